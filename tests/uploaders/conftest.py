"""A line to the storage on which requests can be spoilt; for whole passes with either uploader, the scene of
tests/passes, and the Azure with logins of tests/passes/identity."""

from __future__ import annotations

import collections.abc
import pathlib

import pytest
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from tests.passes.identity.conftest import (
    certificate,
    secure,
    secure_azurite,
    secure_container,
    service_principal,
    token_endpoint,
    trusting,
)
from tests.passes.conftest import azcopy_calls, scene
from tests.uploaders.wire import Settings, Wire

__all__ = [
    "azcopy_calls",
    "certificate",
    "scene",
    "secure",
    "secure_azurite",
    "secure_container",
    "service_principal",
    "token_endpoint",
    "trusting",
]


@pytest.fixture
def wire(azurite: Azurite) -> collections.abc.Iterator[Wire]:
    with Wire(azurite.port) as made:
        yield made


@pytest.fixture
def through(wire: Wire, container: ContainerClient) -> Settings:
    return Settings(wire.endpoint, container.container_name)


@pytest.fixture
def run(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "run"
