"""Tokens that run out, or are called stale, in the middle of a long upload: it goes on with new ones."""

from __future__ import annotations

import collections.abc
import os
import pathlib
import typing

import pytest

from embedded.azurite import Azurite
from tests.bad_input.faults import assert_no_secret, told, write_run
from tests.identity.conftest import CLIENT_SECRET, TokenEndpoint, token
from tests.identity.front import Front

Run = typing.Any
MEBIBYTE = 1024 * 1024


@pytest.fixture
def front(
    secure_azurite: Azurite, certificate: tuple[pathlib.Path, pathlib.Path]
) -> collections.abc.Iterator[Front]:
    with Front(secure_azurite, certificate) as server:
        yield server


def assert_carried(container: typing.Any, folder: pathlib.Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            blob = container.download_blob(f"{folder.name}/{path.relative_to(folder)}")
            assert blob.readall() == path.read_bytes(), path


def test_a_whole_pass_by_the_native_uploader(
    run_command: Run,
    service_principal: dict[str, object],
    trusting: dict[str, str],
    main_folder: pathlib.Path,
    secure_container: typing.Any,
    tmp_path: pathlib.Path,
) -> None:
    folder = write_run(main_folder, "run", files=20, size=30_000)
    (folder / "large.raw").write_bytes(os.urandom(20 * MEBIBYTE))
    config = service_principal | {"uploader": "native", "log-file": tmp_path / "x.log", "log-level": "DEBUG"}
    outcome = run_command(config=config, environment=trusting)
    told(outcome, 0, "run: published")
    assert_carried(secure_container, folder)
    assert_no_secret(tmp_path, outcome, [CLIENT_SECRET, "not checked"], but=("client.secret",))


def test_a_token_that_the_service_calls_stale_in_the_middle(
    run_command: Run,
    service_principal: dict[str, object],
    trusting: dict[str, str],
    token_endpoint: TokenEndpoint,
    main_folder: pathlib.Path,
    secure_container: typing.Any,
    front: Front,
) -> None:
    """By its own dates it is good for an hour (a clock that is wrong, a tenant that revoked it): a new one is asked
    for, not the same again out of a cache; blocks that are there are not sent again."""
    folder = write_run(main_folder, "run", files=30, size=30_000)
    (folder / "large.raw").write_bytes(os.urandom(64 * MEBIBYTE))
    stale: set[str] = set()
    blocks: list[str] = []

    def judge(method: str, path: str, authorization: str) -> bool:
        if "comp=block&" in path:
            blocks.append(path)
            if len(blocks) == 4:
                stale.add(authorization)
        return authorization not in stale

    front.judge = judge
    token_endpoint.each_differs = True
    config = service_principal | {"uploader": "native", "blob-endpoint": front.endpoint, "retry-times": 1}
    outcome = run_command(config=config, environment=trusting)
    told(outcome, 0, "run: published")
    assert front.refused > 0 and len(token_endpoint.asked) > 1
    assert_carried(secure_container, folder)
    taken = {path for path in blocks}
    assert len(taken) == 8, "each block once, but for those that were refused"


def test_a_token_that_really_runs_out_in_the_middle(
    run_command: Run,
    service_principal: dict[str, object],
    trusting: dict[str, str],
    token_endpoint: TokenEndpoint,
    main_folder: pathlib.Path,
    secure_container: typing.Any,
) -> None:
    """Azurite looks at its times itself. It is good for four seconds, the upload takes about eight."""
    folder = write_run(main_folder, "run", files=3, size=30_000)
    (folder / "large.raw").write_bytes(os.urandom(24 * MEBIBYTE))
    token_endpoint.life = 4
    config = service_principal | {"uploader": "native", "cap-mbps": 25, "retry-times": 1}
    outcome = run_command(config=config, environment=trusting)
    told(outcome, 0, "run: published")
    assert outcome.seconds > 4 and len(token_endpoint.asked) > 2
    assert_carried(secure_container, folder)


def test_rights_that_are_taken_away_in_the_middle(
    run_command: Run,
    service_principal: dict[str, object],
    trusting: dict[str, str],
    main_folder: pathlib.Path,
    secure_container: typing.Any,
    front: Front,
) -> None:
    """No token helps any more: that ends the pass at once, as the surroundings' fault; given back, the rest goes."""
    folder = write_run(main_folder, "run", files=40, size=30_000)
    puts: list[str] = []

    def judge(method: str, path: str, authorization: str) -> bool:
        puts.extend([path] if method == "PUT" else [])
        return len(puts) < 20

    front.judge = judge
    config = service_principal | {"uploader": "native", "blob-endpoint": front.endpoint}
    outcome = run_command(config=config, environment=trusting)
    told(outcome, 3, "refuses us")
    assert "run.sync" not in set(secure_container.list_blob_names())
    front.judge = lambda method, path, authorization: True
    told(run_command(config=config, environment=trusting), 0, "run: published")
    assert_carried(secure_container, folder)


def test_azcopys_token_runs_out_in_the_middle(
    run_command: Run,
    secure: dict[str, object],
    trusting: dict[str, str],
    az: pathlib.Path,
    main_folder: pathlib.Path,
    secure_container: typing.Any,
    front: Front,
) -> None:
    """AzCopy logs in by az here, its own login asks the public cloud. Every token is stale after some Put Blobs."""
    folder = write_run(main_folder, "run", files=60, size=30_000)
    given = az / "token"
    used: dict[str, int] = {}

    def judge(method: str, path: str, authorization: str) -> bool:
        if method != "PUT" or not path.split("?")[0].endswith(".bcl"):
            return True
        used[authorization] = used.get(authorization, 0) + 1
        if used[authorization] == 25:
            given.write_text(token(life=3600 + len(used)), encoding="utf-8")
        return used[authorization] <= 25

    front.judge = judge
    environment = trusting | {"PATH": f"{az}:{os.environ['PATH']}"}
    config = secure | {"auth": "default", "blob-endpoint": front.endpoint, "timeout": 20}
    outcome = run_command(config=config, environment=environment)
    assert front.refused > 0 and len(used) > 1, used
    told(outcome, 0, "run: published")
    assert_carried(secure_container, folder)
