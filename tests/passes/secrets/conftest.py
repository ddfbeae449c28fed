"""What the hunts stand on: logins on loopback, a mail server, an AzCopy whose logs and plans are kept."""

from __future__ import annotations

import collections.abc
import pathlib
import shlex

import pytest

from tests.passes.bad_input.faults import stand_in
from tests.passes.identity.conftest import (
    az,
    certificate,
    secure,
    secure_azurite,
    secure_container,
    service_principal,
    token_endpoint,
    trusting,
)
from tests.passes.conftest import azcopy_calls, proxy, scene
from tests.passes.test_mail import Postbox

__all__ = [
    "az",
    "azcopy_calls",
    "certificate",
    "kept_azcopy",
    "postbox",
    "proxy",
    "scene",
    "secure",
    "secure_azurite",
    "secure_container",
    "service_principal",
    "token_endpoint",
    "trusting",
]


@pytest.fixture
def kept_azcopy(tmp_path: pathlib.Path, azcopy: pathlib.Path) -> pathlib.Path:
    """The real AzCopy; its plans and logs are copied to ``kept`` when it has ended, before we clean up."""
    kept = tmp_path / "kept"
    kept.mkdir()
    return stand_in(
        tmp_path / "azcopy-that-is-kept",
        f'{shlex.quote(str(azcopy))} "$@"; code=$?\n'
        f'cp -r "$AZCOPY_JOB_PLAN_LOCATION" {kept}/plans-$$ 2>/dev/null\n'
        f'cp -r "$AZCOPY_LOG_LOCATION" {kept}/logs-$$ 2>/dev/null\n'
        "exit $code",
    )


@pytest.fixture
def postbox() -> collections.abc.Iterator[Postbox]:
    server = Postbox()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def starts() -> None:
    """What process lists and environments of processes show is hunted through: those of cold starts are its own."""
    return None
