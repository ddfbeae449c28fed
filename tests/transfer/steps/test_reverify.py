"""Which published runs get their turn in a pass, and what a turn finds."""

from __future__ import annotations

import typing

import pytest

from sync_to_azure.core.model import State
from sync_to_azure.transfer.steps.reverify import FILES_A_PASS, RUNS_A_PASS, due
from tests.passes.conftest import azcopy_calls, scene
from tests.passes.scene import Scene

__all__ = ["azcopy_calls", "scene"]

DAY = 86400.0


def run(key: str, verified: float | None, state: State = State.PUBLISHED, files: int = 10) -> typing.Any:
    class Row:
        is_published = state is not State.WAITING
        published_at = 0.0
        reason = None

    row = Row()
    row.__dict__.update(key=key, verified_at=verified, state=state, files=files)
    return row


def test_the_oldest_first_and_only_a_few() -> None:
    runs = [run(f"{number:02}", number * DAY) for number in range(20)]
    assert due(runs, {}, 30 * DAY, 12, None) == {f"{number:02}" for number in range(RUNS_A_PASS)}
    assert due(runs, {}, 30 * DAY, 0, None) == frozenset()
    assert due(runs, {}, 30 * DAY, 29, None) == {"00"}
    assert due(runs, {"00": 29 * DAY}, 30 * DAY, 28, None) == {"01"}, "an audit has looked at it"
    assert due(runs, {}, 30 * DAY, 12, "1*") == {f"{number}" for number in range(10, 15)}


def test_no_more_than_a_pass_has_room_for() -> None:
    large = [run(key, 0.0, files=FILES_A_PASS) for key in "ABC"]
    assert due(large, {}, 9 * DAY, 1, None) == {"A"}
    huge = [run("A", 0.0, files=10 * FILES_A_PASS)]
    assert due(huge, {}, 9 * DAY, 1, None) == {"A"}


@pytest.mark.parametrize("state", [State.FLAGGED, State.FAILING, State.WAITING, State.REMOVING])
def test_what_is_looked_at_anyway_takes_no_turn(state: State) -> None:
    assert due([run("A", 0.0, state)], {}, 9 * DAY, 1, None) == frozenset()


@pytest.mark.parametrize("gone", [False, True])
def test_a_turn_finds_what_a_thorough_pass_would(scene: Scene, gone: bool) -> None:
    scene.config["uploader"] = "native"
    folder = scene.make_run("R")
    scene.make_run("young")
    scene.run()
    if gone:
        folder.rename(scene.folder / "R")
        scene.run()
    scene.container.delete_blob("R/RunInfo.xml")
    scene.config["reverify-after"] = 30
    scene.run()
    assert "R/RunInfo.xml" not in scene.etags(), "not its turn yet"
    scene.sql("UPDATE run SET verified_at = 0, published_at = 0 WHERE key = 'R'")
    if gone:
        assert "blobs are missing or wrong" in scene.run(expect=1).stderr
        assert scene.state("R") == ("flagged", "blob-lost")
    else:
        scene.run()
        assert scene.get("R/RunInfo.xml") == b"<run/>"
    assert "it is checked again" not in scene.run().stderr, "it had its turn"
