"""Who may write to the share puts links, pipes and devices where the run had files and folders, at the worst instants:
the bytes of a file outside of the run never reach the container, and no pass waits for a pipe.

By both roads, openat2 and part by part (a seccomp filter refuses openat2, as an old kernel does), and with AzCopy.
"""

from __future__ import annotations

import errno
import os
import pathlib
import textwrap
import typing

import pytest

from embedded.tools import PROJECT
from tests.passes.bad_input.faults import azcopy_that
from tests.conftest import LONG
from tests.files.refusing import SITECUSTOMIZE
from tests.passes.conftest import azcopy_calls, scene
from tests.passes.scene import FLAG, Scene, tree, write
from tests.passes.removing import meanwhile

__all__ = ["azcopy_calls", "scene"]

CANARY = b"CANARY of a file that no run holds"
DATA = {"Data/1.bcl": bytes(34), "Data/2.bcl": bytes(34), "More/3.bcl": bytes(34), "More/4.bcl": bytes(34)}
AT = 1_700_000_000 * 10**9
"""The mtime of all: who writes to a share sets it as he likes."""
ROADS = ["openat2", "part by part"]


@pytest.fixture
def run(scene: Scene) -> pathlib.Path:
    """And ``secrets`` beside the main folder: its files have the names, sizes and times of the run's."""
    scene.config |= {"uploader": "native", "retry-times": 1}
    folder = scene.make_run("R", typing.cast("dict[str, bytes | str]", DATA))
    secrets = scene.folder / "secrets"
    write(
        secrets / "run", {**dict.fromkeys([*DATA, "RunInfo.xml"], CANARY), FLAG: b"", "Data/one.bcl": b"ONE"}
    )
    (secrets / "pipes").mkdir()
    for name in ("1.bcl", "2.bcl"):
        os.mkfifo(secrets / "pipes" / name)
    for path in [*folder.rglob("*"), *secrets.rglob("*")]:
        if path.is_file():
            os.utime(path, ns=(AT, AT))
    return folder


def struck(scene: Scene, road: str, point: tuple[str, str], code: str, **options: typing.Any) -> typing.Any:
    """A pass, and ``code`` at a point of it; ``HOME`` is the run, ``SECRETS`` what lies outside."""
    code = f"SECRETS = pathlib.Path({str(scene.folder / 'secrets')!r})\n" + textwrap.dedent(code)
    environment = meanwhile.environment(scene.folder, scene.main, "R", (point, code))
    if road == "part by part":
        with open(scene.folder / "meanwhile" / "sitecustomize.py", "a", encoding="utf-8") as listener:
            listener.write(SITECUSTOMIZE.format(project=str(PROJECT)))
        environment["REFUSE_OPENAT2"] = str(errno.ENOSYS)
    cold = road == "part by part"
    done = scene.run_command(config=scene.config, environment=environment, timeout=LONG, cold=cold, **options)
    assert "MEANWHILE DONE" in done.stderr, done.output
    assert "internal error" not in done.output and "Traceback" not in done.output, done.output
    return done


def nothing_left(scene: Scene) -> None:
    for name in scene.etags():
        assert CANARY not in scene.get(name), f"{name} holds a file that lies outside of the run"


BECOMES_A_LINK = "HOME.rename(MAIN.parent / 'away'); HOME.symlink_to(SECRETS / 'run')"
FOLDERS_BECOME_LINKS = """
for name in ("Data", "More"):
    (HOME / name).rename(MAIN.parent / name)
    (HOME / name).symlink_to(SECRETS / "run" / name)
"""

ATTACKS = {
    "the run, after the scan": (("os.scandir", "/A"), BECOMES_A_LINK),
    "the run, before it is walked": (("os.scandir", "/main/R"), BECOMES_A_LINK),
    "the run, while it is read": (("open", "/R/Data/1.bcl"), BECOMES_A_LINK),
    "the run, before it is listed": (("http.client.connect", ""), BECOMES_A_LINK),
    "folders, while the others are looked at": (("os.scandir", "/R/"), FOLDERS_BECOME_LINKS),
    "folders, while their files are read": (("open", "/R/Data/1.bcl"), FOLDERS_BECOME_LINKS),
    "a file": (
        ("open", "/R/Data/1.bcl"),
        "(HOME / 'Data/1.bcl').unlink(); (HOME / 'Data/1.bcl').symlink_to(SECRETS / 'run/Data/1.bcl')",
    ),
    "a pipe": (
        ("open", "/R/Data/1.bcl"),
        "(HOME / 'Data/1.bcl').unlink(); os.mkfifo(HOME / 'Data/1.bcl')",
    ),
    "a link to a folder of pipes": (
        ("open", "/R/Data/1.bcl"),
        "shutil.rmtree(HOME / 'Data'); (HOME / 'Data').symlink_to(SECRETS / 'pipes')",
    ),
    "a device": (
        ("open", "/R/Data/1.bcl"),
        "(HOME / 'Data/1.bcl').unlink(); os.mknod(HOME / 'Data/1.bcl', 0o20644, os.makedev(1, 5))",
    ),
}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_put_in_its_place_is_not_read(
    scene: Scene, run: pathlib.Path, attack: str, road: str
) -> None:
    if attack == "a device" and os.geteuid() != 0:
        pytest.skip("a device is made by root")
    scene.make_run("A")
    point, code = ATTACKS[attack]
    done = struck(scene, road, point, code)
    assert done.returncode in (0, 1) and not scene.is_published("R"), done.output
    nothing_left(scene)
    assert scene.is_published("A"), "one run's trouble stops no other"
    scene.run_command(config=scene.config, timeout=LONG)
    nothing_left(scene)
    assert not scene.is_published("R")


@pytest.mark.parametrize("road", ROADS)
def test_a_run_that_becomes_a_link_before_it_is_removed(scene: Scene, run: pathlib.Path, road: str) -> None:
    scene.run()
    scene.config["remove-source"] = "true"
    before = tree(scene.folder / "secrets")
    struck(scene, road, ("os.rename", "removing-R"), BECOMES_A_LINK)
    scene.run_command(config=scene.config)
    assert tree(scene.folder / "secrets") == before
    assert {name: (scene.folder / "away" / name).read_bytes() for name in DATA} == DATA


SHEET = ("open", "/sheets/R.csv")


@pytest.mark.parametrize("road", ROADS)
def test_a_sheet_that_is_a_link_is_refused_and_told(scene: Scene, run: pathlib.Path, road: str) -> None:
    sheet = scene.sheets() / "R.csv"
    sheet.symlink_to(scene.folder / "secrets/run/RunInfo.xml")
    told = scene.run(expect=1).output
    assert "R.csv" in told and "it is a symlink" in told
    sheet.unlink()
    sheet.write_bytes(b"[Header]\n")
    struck(
        scene,
        road,
        SHEET,
        "s = MAIN.parent / 'sheets/R.csv'; s.unlink(); s.symlink_to(SECRETS / 'run/RunInfo.xml')",
    )
    nothing_left(scene)
    assert not scene.is_published("R")
    sheet.unlink()
    sheet.write_bytes(b"[Header]\n")
    scene.run()
    assert scene.get("R/SampleSheet.csv") == b"[Header]\n" and scene.is_published("R")


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("what", ["os.mkfifo(s)", "s.mkdir()"])
def test_a_sheet_that_becomes_a_pipe_does_not_hold_the_pass(
    scene: Scene, run: pathlib.Path, road: str, what: str
) -> None:
    (scene.sheets() / "R.csv").write_bytes(b"[Header]\n")
    done = struck(scene, road, SHEET, f"s = MAIN.parent / 'sheets/R.csv'; s.unlink(); {what}")
    assert "it is not a regular file" in done.output and not scene.is_published("R")


def test_the_instruments_facts_are_not_read_through_links(scene: Scene, run: pathlib.Path) -> None:
    """A file that the profile reads: swapped after its name was seen."""
    del scene.config["completion-flag"]
    scene.config["profile"] = "generic"
    (run / "RunInfo.xml").write_bytes(CANARY)
    done = struck(
        scene,
        "openat2",
        ("open", "/R/RunInfo.xml"),
        "(HOME / 'RunInfo.xml').unlink(); (HOME / 'RunInfo.xml').symlink_to(SECRETS / 'run/RunInfo.xml')",
    )
    nothing_left(scene)
    assert CANARY.decode() not in done.output


OF_R = 'case "$*" in */main/R\\ *) {} ;; esac'
SWAP, SWAP_BACK = OF_R.format("mv {d} {a}; ln -s {s} {d}"), OF_R.format("rm {d}; mv {a} {d}")


@pytest.mark.parametrize("back", [True, False], ids=["and back", "and stays"])
@pytest.mark.parametrize("what", ["Data", "."], ids=["a folder", "the run"])
def test_what_azcopy_is_led_to_is_overwritten_and_reported(
    scene: Scene, run: pathlib.Path, azcopy: pathlib.Path, what: str, back: bool
) -> None:
    """AzCopy takes paths, and follows links that come after the walk: what it read is gone at the end of the pass."""
    words = {
        "d": run / what if what != "." else run,
        "a": scene.folder / "away",
        "s": scene.folder / "secrets/run" / what,
    }
    before = SWAP.format(**words)
    after = SWAP_BACK.format(**words) if back else ":"
    scene.make_run("A")
    scene.config |= {
        "azcopy": azcopy_that(scene.folder / "wrapper", azcopy, before, after),
        "uploader": "azcopy",
    }
    scene.config |= {"retry-times": 1, "source-readers": 1}
    done = scene.run(expect=0 if back else 1)
    nothing_left(scene)
    assert ("were written again from it" if back else "AzCopy was led out of the run by links") in done.output
    assert "Data/1.bcl" in done.output
    assert scene.is_published("R") is back
    told = scene.run_command("explain", "R", config=scene.config).output
    assert "bytes from outside the run, and were overwritten" in told
    if not back:
        words["d"].unlink()
        words["a"].rename(words["d"])
    scene.config["azcopy"] = azcopy
    scene.run()
    nothing_left(scene)
    assert scene.get("R/Data/1.bcl") == DATA["Data/1.bcl"] and scene.is_published("R")
