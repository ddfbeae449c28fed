"""Files that come into an existing sub-folder of a published run: found by the mtimes of its folders."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import subprocess
import sys
import typing

import pytest

from embedded import layouts
from tests.conftest import LONG
from tests.passes.scene import Scene, write

HOUR, DAY = 3600.0, 86400.0
PAST = (1_700_000_000, 1_700_000_000)


def settle(folder: pathlib.Path) -> None:
    """Folders and files as of long ago: a folder that changed just before it was read is looked at once more."""
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, PAST, follow_symlinks=False)


def later(scene: Scene, seconds: float) -> None:
    """As if all that was noted had been noted so long ago."""
    scene.sql(
        "UPDATE run SET scanned_at = scanned_at - ?1, published_at = published_at - ?1,"
        " folders_changed_at = folders_changed_at - ?1",
        seconds,
    )


def column(scene: Scene, run: str, name: str) -> typing.Any:
    return scene.sql(f"SELECT {name} FROM run WHERE key = ?", run)[0][0]


@pytest.fixture
def published(scene: Scene) -> Scene:
    scene.config["uploader"] = "native"
    settle(scene.make_run("R", {"Analysis/1/Data/result.txt": "first", "Logs/log.txt": "log"}))
    scene.run()
    return scene


def come_late(scene: Scene, name: str, content: str = "late") -> None:
    """Into a folder that is there: the run's own folder has the mtime that it had."""
    before = (scene.main / "R").stat().st_mtime_ns
    write(scene.main / "R", {name: content})
    assert (scene.main / "R").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "name",
    ["Analysis/1/Data/late.txt", "Analysis/1/Data/new/deep/late.txt", "Data/two.bcl"],
    ids=["in a folder", "in a new folder", "beside base calls"],
)
def test_a_late_file_is_uploaded_when_its_folder_is_due(published: Scene, name: str) -> None:
    scene = published
    come_late(scene, name)
    scene.run()
    assert f"R/{name}" not in scene.etags(), "not due"
    later(scene, HOUR)
    scene.run()
    assert scene.get(f"R/{name}") == b"late"
    assert scene.documents("R")[2]["generation"] == 2
    scene.check_sums("R")
    assert scene.state("R") == ("published", None)


def test_looks_are_hourly_then_daily_then_weekly(published: Scene) -> None:
    scene = published
    for age, passed, looked in (
        (0.0, HOUR, True),
        (3 * DAY, HOUR, False),
        (3 * DAY, DAY, True),
        (40 * DAY, DAY, False),
        (40 * DAY, 7 * DAY, True),
    ):
        scene.sql("UPDATE run SET published_at = unixepoch() - ?, folders_changed_at = NULL", age)
        scene.sql("UPDATE run SET scanned_at = unixepoch() - ?", passed)
        before = column(scene, "R", "scanned_at")
        scene.run()
        assert (column(scene, "R", "scanned_at") > before) is looked, (age, passed)


def test_a_run_that_lacks_files_is_looked_at_in_every_pass(scene: Scene) -> None:
    """Its last base calls come hours after its flags."""
    scene.config["uploader"] = "native"
    del scene.config["completion-flag"]
    name, late = "220923_A01934_0008_BHLL3GDRX2", "Data/Intensities/BaseCalls/L001/C3.1/L001_1.cbcl"
    run = layouts.write_layout(scene.main, name, layouts.novaseq_6000())
    content = (run / late).read_bytes()
    (run / late).unlink()
    settle(run)
    scene.run()
    assert column(scene, name, "complete") == 0
    (run / late).write_bytes(content)
    scene.run()
    assert scene.get(f"{name}/{late}") == content and column(scene, name, "complete") == 1


def test_what_is_still_written_waits_for_the_quiet_time(published: Scene) -> None:
    scene = published
    scene.config["completion-delay"] = 3600
    come_late(scene, "Analysis/1/Data/late.txt", "half")
    later(scene, HOUR)
    assert "new files found, unchanged since" in scene.run().stderr
    come_late(scene, "Analysis/1/Data/late.txt", "half and half")
    scene.sql("UPDATE run SET quiet_since = quiet_since - 3600")
    scene.run()
    assert (
        "R/Analysis/1/Data/late.txt" not in scene.etags()
    ), "it changed in place: the quiet time starts over"
    scene.sql("UPDATE run SET quiet_since = quiet_since - 3600")
    scene.run()
    assert scene.get("R/Analysis/1/Data/late.txt") == b"half and half"


def test_a_pass_that_fails_after_the_look_forgets_nothing(published: Scene) -> None:
    scene = published
    come_late(scene, "Analysis/1/Data/late.txt")
    later(scene, HOUR)
    key = pathlib.Path(str(scene.config["credentials"]))
    right = key.read_bytes()
    key.write_bytes(base64.b64encode(b"wrong" * 12))
    scene.run(expect=3)
    key.write_bytes(right)
    scene.run()
    assert scene.get("R/Analysis/1/Data/late.txt") == b"late"


def test_runs_of_an_earlier_version_are_walked_at_their_first_look(published: Scene) -> None:
    scene = published
    scene.sql("UPDATE run SET folders = NULL, scanned_at = NULL")
    scene.sql("DELETE FROM folder")
    come_late(scene, "Analysis/1/Data/late.txt")
    scene.run()
    assert scene.get("R/Analysis/1/Data/late.txt") == b"late"
    assert column(scene, "R", "folders") == 5


def test_held_runs_are_not_looked_at_and_take_nobodys_turn(published: Scene) -> None:
    scene = published
    come_late(scene, "Analysis/1/Data/late.txt")
    scene.run("hold", "R")
    later(scene, DAY)
    before = column(scene, "R", "scanned_at")
    scene.run()
    assert column(scene, "R", "scanned_at") == before and "R/Analysis/1/Data/late.txt" not in scene.etags()
    assert json.loads(scene.run("status", "--json").stdout)["runs"][0]["next_scan"] is None
    scene.run("release", "R")
    scene.run()
    assert scene.get("R/Analysis/1/Data/late.txt") == b"late"


SMALL = """
import sys
from sync_to_azure import cli
from sync_to_azure.transfer.decisions import scan_schedule

scan_schedule.ENTRIES_A_PASS = 2
sys.exit(cli.main())
"""


def test_a_look_in_part_goes_on_where_it_ended(published: Scene) -> None:
    """A run with more folders than a pass has room for: five, two in a pass."""
    scene = published
    come_late(scene, "Logs/late.txt")
    later(scene, HOUR)
    cursors = []
    for _ in range(3):
        assert "R/Logs/late.txt" not in scene.etags()
        subprocess.run(
            [sys.executable, "-c", SMALL, "--config-file", scene.start_command._file(scene.config)],
            env=scene.start_command.clean_environment(),
            check=True,
            timeout=LONG,
        )
        cursors.append(column(scene, "R", "scan_cursor"))
    assert cursors == [b"Analysis/1", b"Data", None]
    assert scene.get("R/Logs/late.txt") == b"late"


def test_status_and_explain_say_when_it_was_scanned_and_is_next(published: Scene) -> None:
    scene = published
    [run] = json.loads(scene.run("status", "--json").stdout)["runs"]
    assert run["status"] == "safe" and run["scanned"] < run["next_scan"]
    for arguments in (("status",), ("explain", "R")):
        told = scene.run(*arguments).stdout
        assert "last scanned 20" in told and ", next 20" in told, arguments
    later(scene, HOUR)
    assert "next in the next pass" in scene.run("status").stdout
    scene.make_run("S")
    (scene.main / "R").rename(scene.folder / "R")
    scene.run()
    run = json.loads(scene.run("status", "--json").stdout)["runs"][0]
    assert run["next_scan"] is None and run["state"] == "gone"
    assert not scene.sql("SELECT 1 FROM folder JOIN run ON run.id = run_id WHERE key = 'R'")
