"""A share whose client answers looks from its cache: what changed at the server is seen before anything goes."""

from __future__ import annotations

import collections.abc
import os
import pathlib
import textwrap
import typing

import pytest

from sync_to_azure.files import fresh
from sync_to_azure.transfer.steps.cache_wait import cache_seconds
from tests.passes.scene import FLAG, Scene, write
from tests.passes.removing import meanwhile
from tests.passes.removing.conftest import ASIDE, Contents, Share

CHANGES = {
    "written to": "(BEHIND / 'Data/one.bcl').write_text('two')",
    "replaced": "(BEHIND / 'new').write_text('two'); (BEHIND / 'new').rename(BEHIND / 'Data/one.bcl')",
}
NO_STATX = """
    import ctypes, struct
    # Load the system call's number; statx (x86_64, aarch64): EPERM, as a container's filter says.
    number = {"x86_64": 332, "aarch64": 291}[os.uname().machine]
    lines = ((0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in lines))
    program = struct.pack("HxxxxxxP", len(lines), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()
"""


def published(scene: Scene, contents: Contents) -> pathlib.Path:
    """R, of files with one time, so that a change that keeps the size shows in nothing but time."""
    run = scene.main / "R"
    write(run, {"Data/one.bcl": "one", "RunInfo.xml": "<run/>", FLAG: ""})
    for path in run.rglob("*"):
        os.utime(path, ns=(10**18, 10**18))
    contents.take("R")
    scene.config["remove-source"] = "false"
    scene.run()
    scene.config["remove-source"] = "true"
    return run


def struck(scene: Scene, code: str, more: str = "", expect: int = 0) -> typing.Any:
    """A pass; the file is changed at the server when the gate let the run go. ``more``: Python at its start."""
    behind = f"BEHIND = pathlib.Path({str(scene.main / (ASIDE + 'R'))!r})\n"
    seen = pathlib.Path(str(scene.config["main-folder"]))
    environment = meanwhile.environment(scene.folder, seen, "R", (meanwhile.DECIDED, behind + code))
    place = scene.folder / "meanwhile" / "sitecustomize.py"
    place.write_text(place.read_text(encoding="utf-8") + textwrap.dedent(more), encoding="utf-8")
    # What is changed at its start has to be there before other modules take hold of it.
    done = scene.run(expect=expect, environment=environment, cold=bool(more))
    assert "MEANWHILE DONE" in done.stderr
    return done


Caching = collections.abc.Callable[[int], Share]


@pytest.mark.parametrize("code", CHANGES.values(), ids=CHANGES)
def test_a_file_that_changes_behind_the_cache_stays(
    scene: Scene, caching_share: Caching, contents: Contents, code: str
) -> None:
    caching_share(600)
    published(scene, contents)
    struck(scene, code)
    [file] = scene.main.rglob("one.bcl")
    assert file.read_text() == "two" and scene.get("R/Data/one.bcl") == b"one"


def test_without_such_looks_the_cache_is_waited_for(
    scene: Scene, caching_share: Caching, contents: Contents
) -> None:
    """Said once. The change comes after the last walk, and before the wait."""
    caching_share(2)
    published(scene, contents)
    soon = "import sync_to_azure.transfer.steps.cache_wait as w\nw._DEFAULT = 3.0\n"
    change = f"""
        import pathlib, time
        sleep = time.sleep

        def slept(seconds):
            file = pathlib.Path({str(scene.main / (ASIDE + "R"))!r}) / "Data" / "one.bcl"
            if file.read_text() == "one":
                os.stat(pathlib.Path({str(scene.config["main-folder"])!r}) / ".sync_to_azure-removing-R/Data/one.bcl")
                file.write_text("two")
            sleep(seconds)

        time.sleep = slept
    """
    told = struck(scene, "pass", textwrap.dedent(NO_STATX) + soon + textwrap.dedent(change))
    assert told.stderr.count("each removal waits 3 s for it") == 1
    [file] = scene.main.rglob("one.bcl")
    assert file.read_text() == "two"


NFS = b"41 28 0:38 / /data rw shared:21 - nfs4 nas:/data rw,vers=4.2"
CIFS = b"42 28 0:39 / /data rw shared:22 - cifs //nas/data rw,vers=3.1.1"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (NFS, 60.0),
        (NFS + b",acregmax=10\n", 60.0),
        (NFS + b",acregmax=10,acdirmax=20\n", 20.0),
        (NFS + b",acregmin=0,acregmax=0,acdirmin=0,acdirmax=0\n", 0.0),
        (NFS + b",noac\n", 0.0),
        (NFS + b",acregmax=3600\n", 3600.0),
        (NFS.replace(b"41", b"43"), 60.0),
        (CIFS, 1.0),
        (CIFS + b",actimeo=30,closetimeo=5\n", 30.0),
        (CIFS.replace(b"cifs", b"smb3") + b",acregmax=4,acdirmax=5\n", 5.0),
        (b"42 28 0:39 / /data rw - ext4 /dev/sda rw", 0.0),
        (b"42 28 0:39 / /data rw - fuse.sshfs nas: rw", 60.0),
        (b"42 28 0:39 / /data rw -", 0.0),
        (b"", 60.0),
    ],
)
def test_for_how_long_a_cache_may_answer(line: bytes, expected: float) -> None:
    number = b"41" if line.startswith(b"41") else b"42"
    assert cache_seconds(number, [b"7 1 0:1 / / rw - ext4 /dev/sda rw\n", line]) == expected


def test_a_fresh_look_sees_what_stat_sees(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    os.utime(path, ns=(1, -1_500_000_001))
    for flags in (os.O_RDONLY, os.O_PATH):
        handle = os.open(path, flags)
        seen, known = fresh.look(handle), os.fstat(handle)
        for name in seen._fields:
            assert getattr(seen, name) == getattr(known, name), name
        assert fresh.is_available(handle)
        os.close(handle)
    with pytest.raises(OSError, match="Bad file descriptor"):
        fresh.is_available(handle)
