"""Whatever changes a file moves its ctime, which nobody can set back: such a file is hashed again before it goes."""

from __future__ import annotations

import collections.abc
import os
import pathlib
import textwrap

import pytest

from embedded.tools import PROJECT
from tests.passes.scene import FLAG, Scene, tree, write
from tests.passes.removing import meanwhile
from tests.passes.removing.conftest import ASIDE

FILES = {f"Data/{number}.bcl": f"bytes {number}" for number in range(6)}


def published(scene: Scene, files: collections.abc.Mapping[str, bytes | str] = FILES) -> pathlib.Path:
    run = scene.main / "R"
    write(run, {**files, FLAG: ""})
    scene.config["remove-source"] = "false"
    scene.run()
    scene.config["remove-source"] = "true"
    return run


def rewrite(path: pathlib.Path, content: str) -> None:
    """Other bytes of the same number, and the time set back: as rsync, a restored backup or an intruder leaves it."""
    status = path.stat()
    assert len(content) == status.st_size
    path.write_text(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def patched(scene: Scene, code: str) -> dict[str, str]:
    """The environment in which Python code is run at the start of the command."""
    place = scene.folder / "patched"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(textwrap.dedent(code), encoding="utf-8")
    return {"PYTHONPATH": f"{place}:{PROJECT}"}


def test_other_bytes_under_the_same_size_and_time_stay(scene: Scene) -> None:
    run = published(scene)
    rewrite(run / "Data" / "1.bcl", "BYTES 1")
    told = scene.run(expect=1).output
    assert "1 files were read once more, 1 differ" in told, "that one alone"
    assert scene.state("R") == ("published", "rehash-differs") and "Data/1.bcl (other bytes)" in told
    assert tree(run)["Data/1.bcl"] == b"BYTES 1" and len(tree(run)) == 7
    assert scene.get("R/Data/1.bcl") == b"bytes 1"
    assert "read once more" not in scene.run().output, "not in every pass"


def test_a_file_that_was_only_touched_is_read_once_more_and_goes(scene: Scene) -> None:
    run = published(scene)
    for number in (1, 4):
        (run / f"Data/{number}.bcl").chmod(0o600)
    assert "2 files, 14 B, would be read once more first" in scene.run("--dry-run").stderr
    told = scene.run().stderr
    assert "2 files were read once more, 0 differ" in told and not run.exists()


@pytest.mark.parametrize("uploader", ["native", "azcopy"])
def test_of_each_file_it_is_known_how_it_was_when_it_was_hashed(scene: Scene, uploader: str) -> None:
    """And so nothing is read once more: small, in one piece, in blocks, by the lake itself, touched, added later."""
    scene.config["uploader"] = uploader
    sizes = {"small": 10, "middling": 1024**2, "large": 9 * 1024**2, "odd\nname": 5}
    run = published(scene, {name: os.urandom(size) for name, size in sizes.items()})
    status = (run / "small").stat()
    os.utime(run / "small", ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    write(run, {"later": "x"})
    scene.config["remove-source"] = "false"
    scene.run()
    rows = dict(scene.sql("SELECT CAST(path AS TEXT), ctime_ns FROM file"))
    assert rows == {name: (run / name).stat().st_ctime_ns for name in [*sizes, "later", FLAG]}
    scene.config["remove-source"] = "true"
    scene.expire_credentials()
    assert "once more" not in scene.run().output and not run.exists()


def test_what_an_older_version_published_is_read_once_more(scene: Scene) -> None:
    run = published(scene)
    scene.sql("UPDATE file SET ctime_ns = NULL")
    assert "7 files were read once more, 0 differ" in scene.run().stderr
    assert not run.exists()


@pytest.mark.parametrize("rehash", [False, True], ids=["chmod -R", "remove-rehash"])
def test_an_interrupted_reading_goes_on_where_it_was(scene: Scene, rehash: bool) -> None:
    """Killed at the fifth file, when what was read before is on record."""
    run = published(scene)
    if rehash:
        scene.config["remove-rehash"] = "true"
    else:
        for path in run.rglob("*"):
            path.chmod(0o700)
    scene.config["source-readers"] = 1
    cut = f"""
        import os, sqlite3, time
        import sync_to_azure.files.hashing as h
        import sync_to_azure.transfer.steps.removal_proof as p
        p._KEPT_EVERY, below = 0.0, h.hash_below

        def hash_below(folder, file, stop=None):
            # A run's files in order of their names: 0 to 5, then the flag.
            while file.blob == "Data/4.bcl":
                known = dict(sqlite3.connect({str(scene.ledger)!r}).execute("SELECT blob, ctime_ns FROM file"))
                now = os.stat({str(scene.main / (ASIDE + "R"))!r} + "/Data/3.bcl").st_ctime_ns
                if known["Data/3.bcl"] == now:
                    os._exit(9)
                time.sleep(0.01)
            return below(folder, file, stop)

        h.hash_below = hash_below
    """
    scene.run(expect=9, environment=patched(scene, cut))
    assert (scene.main / (ASIDE + "R") / "Data" / "5.bcl").exists()
    told = scene.run().stderr
    assert "3 files were read once more, 0 differ" in told and list(scene.main.iterdir()) == []


def test_what_changes_while_it_is_read_once_more_waits(scene: Scene) -> None:
    """Rights that somebody changes at this moment. Only those files are read again in the next pass."""
    run = published(scene)
    for number in (1, 4):
        (run / f"Data/{number}.bcl").chmod(0o600)
    touch = f"""
        import os
        import sync_to_azure.files.hashing as h
        below = h.hash_below

        def hash_below(folder, file, stop=None):
            done = below(folder, file, stop)
            if file.blob == "Data/4.bcl":
                os.chmod({str(scene.main / (ASIDE + "R"))!r} + "/Data/4.bcl", 0o640)
            return done

        h.hash_below = hash_below
    """
    told = scene.run(expect=1, environment=patched(scene, touch)).output
    assert "R is not removed: 1 file changed in some way" in told
    assert len(tree(run)) == 7
    told = scene.run().stderr
    assert "1 files were read once more, 0 differ" in told and not run.exists()


def test_a_late_write_just_before_the_first_unlink_stays(scene: Scene) -> None:
    published(scene)
    code = """
        path = ASIDE / "Data" / "2.bcl"
        status = path.stat()
        path.write_text("BYTES 2")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    """
    environment = meanwhile.environment(scene.folder, scene.main, "R", (meanwhile.DECIDED, code))
    done = scene.run(expect=1, environment=environment)
    assert "MEANWHILE DONE" in done.stderr
    [left] = [path for path in scene.main.rglob("*") if path.is_file()]
    assert left.read_text() == "BYTES 2" and scene.get("R/Data/2.bcl") == b"bytes 2"


def test_links_of_one_file_go_in_one_pass(scene: Scene) -> None:
    """Unlinking one name of a file moves the ctime that its other names show."""
    run = scene.main / "R"
    write(run, {"Data/a": "one file", FLAG: ""})
    for name in ("b", "c", "d"):
        os.link(run / "Data/a", run / "Data" / name)
    told = scene.run().stderr
    assert not run.exists() and "once more" not in told
