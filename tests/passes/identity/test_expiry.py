"""Tokens that run out, or are called stale, in the middle of a long upload: it goes on with new ones."""

from __future__ import annotations

import collections.abc
import os
import pathlib

import pytest

from embedded.azurite import Azurite
from tests.passes.bad_input.faults import assert_no_secret, blobs, write_run
from tests.passes.identity.conftest import CLIENT_SECRET, Login, TokenEndpoint, token
from tests.passes.identity.front import Front

MEBIBYTE = 1024 * 1024


@pytest.fixture
def front(
    secure_azurite: Azurite, certificate: tuple[pathlib.Path, pathlib.Path]
) -> collections.abc.Iterator[Front]:
    with Front(secure_azurite, certificate) as server:
        yield server


def test_a_whole_pass_by_the_native_uploader(principal: Login) -> None:
    run = write_run(principal.main, "run", files=20, size=30_000)
    (run / "large.raw").write_bytes(os.urandom(20 * MEBIBYTE))
    principal.config["uploader"] = "native"
    principal.logs_all()
    outcome = principal.run(0, "run: published")
    principal.assert_carried(run)
    assert_no_secret(principal.folder, outcome, [CLIENT_SECRET, "not checked"], but=("client.secret",))


def test_a_token_that_the_service_calls_stale_in_the_middle(
    principal: Login, token_endpoint: TokenEndpoint, front: Front
) -> None:
    """By its own dates it is good for an hour (a clock that is wrong, a tenant that revoked it): a new one is asked
    for, not the same again out of a cache; blocks that are there are not sent again."""
    run = write_run(principal.main, "run", files=30, size=30_000)
    (run / "large.raw").write_bytes(os.urandom(64 * MEBIBYTE))
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
    principal.config |= {"uploader": "native", "blob-endpoint": front.endpoint, "retry-times": 1}
    principal.run(0, "run: published")
    assert front.refused > 0 and len(token_endpoint.asked) > 1
    principal.assert_carried(run)
    taken = {path for path in blocks}
    assert len(taken) == 8, "each block once, but for those that were refused"


def test_a_token_that_really_runs_out_in_the_middle(principal: Login, token_endpoint: TokenEndpoint) -> None:
    """Azurite looks at its times itself. It is good for eight seconds, the upload takes about sixteen."""
    run = write_run(principal.main, "run", files=3, size=30_000)
    (run / "large.raw").write_bytes(os.urandom(24 * MEBIBYTE))
    token_endpoint.life = 8
    principal.config |= {"uploader": "native", "cap-mbps": 12.5, "retry-times": 1}
    outcome = principal.run(0, "run: published")
    assert outcome.seconds > 8 and len(token_endpoint.asked) > 2
    principal.assert_carried(run)


def test_rights_that_are_taken_away_in_the_middle(principal: Login, front: Front) -> None:
    """No token helps any more: that ends the pass at once, as the surroundings' fault; given back, the rest goes."""
    run = write_run(principal.main, "run", files=40, size=30_000)
    puts: list[str] = []

    def judge(method: str, path: str, authorization: str) -> bool:
        puts.extend([path] if method == "PUT" else [])
        return len(puts) < 20

    front.judge = judge
    principal.config |= {"uploader": "native", "blob-endpoint": front.endpoint}
    principal.run(3, "refuses access")
    assert "run.sync" not in blobs(principal.container)
    front.judge = lambda method, path, authorization: True
    principal.run(0, "run: published")
    principal.assert_carried(run)


def test_azcopys_token_runs_out_in_the_middle(by_az: Login, az: pathlib.Path, front: Front) -> None:
    """AzCopy logs in by az here, its own login asks the public cloud. Every token is stale after some Put Blobs."""
    run = write_run(by_az.main, "run", files=60, size=30_000)
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
    by_az.config |= {"auth": "default", "blob-endpoint": front.endpoint, "timeout": 60}
    by_az.run(0, "run: published")
    assert front.refused > 0 and len(used) > 1, used
    by_az.assert_carried(run)
