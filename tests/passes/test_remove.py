"""Freeing the source: only what is proved, never through a link, never what came later; obstacles are told once."""

from __future__ import annotations

import os
import shlex
import shutil

import pytest

from tests.passes.proxy import Proxy
from tests.passes.scene import FLAG, Scene, touch_later, tree, write

MIB = 1024 * 1024
ASIDE = ".sync_to_azure-removing-"


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """What AzCopy uploads waits for its credentials: tests/uploaders/test_azcopy_runs.py."""
    scene.config["uploader"] = "native"
    return scene


def test_a_proved_run_is_removed_and_stays_known(scene: Scene, proxy: Proxy) -> None:
    sheets = scene.sheets()
    for name in ("R", "S"):
        (sheets / f"{name}.csv").write_text("sheet")
    scene.through(proxy).config["remove-source"] = "true"
    scene.config |= {"verify": "listed", "uploader": "azcopy"}
    scene.make_run("R", {"large.raw": os.urandom(71 * MIB + 1), "SampleSheet.csv": "own", "odd\nname": "x"})
    (scene.main / "R" / "Empty" / "Deep").mkdir(parents=True)
    scene.run(environment={"AZCOPY_BUFFER_GB": "0.1"})
    assert not any(method == "GET" and path.endswith("/R/RunInfo.xml") for method, path in proxy.seen)
    scene.expire_credentials()
    scene.run()
    assert list(scene.main.iterdir()) == []
    scene.check_sums("R")
    assert (
        "GET",
        f"/devstoreaccount1/{scene.container.container_name}/R/large.raw",
    ) in proxy.seen, "read back"
    scene.config["uploader"] = "native"

    before = scene.etags()
    proxy.seen.clear()
    second = scene.run()
    assert "unavailable" not in second.output and scene.state("R") == ("removed", None)
    assert proxy.seen == [], "the sheet of a removed run is no news, and nothing is asked"
    scene.age("R", 49 * 3600)
    assert "48 h" not in scene.run("--thorough").output
    assert scene.etags() == before

    scene.make_run("S")
    scene.run()
    assert list(scene.main.iterdir()) == [] and scene.is_published("S")
    write(scene.main / "R", {"late.txt": "after removal"})
    scene.run()
    # The receipt, which is read again, says until when AzCopy's credentials were valid.
    scene.expire_credentials()
    scene.run()
    assert list(scene.main.iterdir()) == [] and scene.get("R/late.txt") == b"after removal"
    scene.check_sums("R")


def test_nothing_is_removed_without_proof(scene: Scene) -> None:
    plain = {
        name: scene.make_run(name) for name in ("WRONG", "GONE", "NOMARK", "CHANGED", "EXTRA", "NOTED", "OK")
    }
    (plain["NOTED"] / "Thumbs.db").write_text("junk")
    scene.run()
    scene.put("WRONG/RunInfo.xml", b"<RUN/>")
    scene.container.delete_blob("GONE/RunInfo.xml")
    scene.container.delete_blob("NOMARK.sync")
    (plain["CHANGED"] / "Data" / "one.bcl").write_text("ONE")
    touch_later(plain["CHANGED"] / "Data" / "one.bcl")
    (plain["EXTRA"] / "Data" / "late.bcl").write_text("came after publishing, deep inside")
    scene.config["remove-source"] = "true"
    before = {name: tree(folder) for name, folder in plain.items()}
    told = scene.run(expect=1).stderr
    for name, why in (
        ("WRONG", "1 blobs are missing or wrong"),
        ("GONE", "1 blobs are missing or wrong"),
        ("NOMARK", "its marker is not at the destination"),
        ("NOTED", "1 entries in it are not uploaded"),
        ("CHANGED", "put back at the source"),
        ("EXTRA", "put back at the source"),
    ):
        assert f"{name}" in told and why in told, why
    assert not plain["OK"].exists()
    for name in plain.keys() - {"OK"}:
        assert tree(plain[name]) == before[name], name
    assert scene.get("CHANGED/Data/one.bcl") == b"one"
    scene.run(expect=1)
    assert tree(plain["CHANGED"]) == before["CHANGED"] and scene.state("CHANGED")[0] == "flagged"
    assert not plain["EXTRA"].exists() and scene.get("EXTRA/Data/late.bcl").startswith(b"came after")
    scene.check_sums("EXTRA")
    scene.run(expect=0)


def test_a_listed_md5_is_not_enough(scene: Scene) -> None:
    """Two runs with a file of one name: what was sent for the first proves nothing of the second."""
    scene.config["verify"] = "listed"
    scene.make_run("B", {"large.raw": os.urandom(8 * MIB + 1)})
    scene.run()
    scene.put("B/RunInfo.xml", b"<rum/>", md5_of=b"<run/>")
    scene.make_run("A")
    scene.config["remove-source"] = "true"
    told = scene.run(expect=1).stderr
    assert "B: blob RunInfo.xml contains other bytes than its MD5" in told
    assert "B is not removed: 1 blobs contained other bytes than their MD5; they were sent again" in told
    assert scene.get("B/RunInfo.xml") == b"<run/>"
    assert not (scene.main / "A").exists()
    assert (scene.main / "B" / "RunInfo.xml").read_text() == "<run/>"


def test_links_are_not_followed(scene: Scene) -> None:
    precious = scene.folder / "precious"
    write(precious, {"RunInfo.xml": "<run/>", "one.bcl": "one"})
    run = scene.make_run("R")
    scene.run()
    status = (run / "Data" / "one.bcl").stat()
    os.utime(precious / "one.bcl", ns=(status.st_mtime_ns, status.st_mtime_ns))
    shutil.rmtree(run / "Data")
    (run / "Data").symlink_to(precious)
    os.utime(run)
    scene.config["remove-source"] = "true"
    scene.run(expect=1)
    assert set(tree(precious)) == {"RunInfo.xml", "one.bcl"}
    assert (run / "Data").is_symlink() and (run / "RunInfo.xml").exists()


def test_a_read_only_share_is_told_once(scene: Scene) -> None:
    scene.make_run("R")
    scene.config["remove-source"] = "true"
    main = shlex.quote(str(scene.main))
    # The mount keeps its type and source, so it is the same file system as before.
    mount = f"mount --bind {main} {main}\nmount -o remount,bind,ro {main}"
    first = scene.in_namespace(mount)
    assert first.returncode == 1 and "is mounted read-only: remove-source cannot work there" in first.stderr
    second = scene.in_namespace(mount)
    assert second.returncode == 0 and "read-only" not in second.stdout + second.stderr
    assert scene.is_published("R") and (scene.main / "R" / FLAG).exists()
    scene.run()
    assert not (scene.main / "R").exists()


def test_busy_and_denied_wait_and_are_told_once(scene: Scene) -> None:
    run = scene.make_run("R")
    other = scene.make_run("S")
    scene.run(unprivileged=True)
    scene.config["remove-source"] = "true"
    path = shlex.quote(str(run))
    busy = f"mount --bind {path} {path}"
    first = scene.in_namespace(busy)
    assert (
        first.returncode == 1
        and "R cannot be moved aside for removal (Device or resource busy)" in first.stderr
    )
    assert not other.exists()
    second = scene.in_namespace(busy)
    assert second.returncode == 0 and tree(run).keys() == {"Data/one.bcl", "RunInfo.xml", FLAG}

    (run / "Data").chmod(0o555)
    third = scene.run(expect=1, unprivileged=True)
    assert "removal stopped" in third.stderr and "Permission denied" in third.stderr
    aside = scene.main / f"{ASIDE}R"
    assert set(tree(aside)) == {"Data/one.bcl"} and scene.state("R") == ("removing", "unlink-refused")
    scene.run(expect=0, unprivileged=True)
    assert set(tree(aside)) == {"Data/one.bcl"} and scene.state("R") == ("removing", "unlink-refused")
    (aside / "Data").chmod(0o755)
    scene.run(unprivileged=True)
    assert list(scene.main.iterdir()) == [] and scene.state("R") == ("removed", None)


def test_a_folder_left_aside_is_proved_anew(scene: Scene) -> None:
    """Cut off before the first unlink: the storage or the will may have changed since; with the ledger lost as well."""
    for name in ("OFF", "WRONG", "RIGHT", "NEVER"):
        scene.make_run(name)
    scene.run("--only-run", "[!N]*")
    for name in ("OFF", "WRONG", "RIGHT", "NEVER"):
        (scene.main / name).rename(scene.main / f"{ASIDE}{name}")
    scene.container.delete_blob("WRONG/RunInfo.xml")
    scene.lose_ledger()
    scene.run("--only-run", "OFF")
    assert (scene.main / "OFF" / FLAG).exists(), "remove-source is off: it goes back"
    assert sorted(path.name for path in scene.main.iterdir() if path.name != "OFF") == [
        f"{ASIDE}{name}" for name in ("NEVER", "RIGHT", "WRONG")
    ]
    scene.config["remove-source"] = "true"
    told = scene.run("--only-run", "[!O]*", expect=1).stderr
    assert "WRONG: put back at the source: 1 blobs are missing or wrong" in told
    assert (scene.main / "WRONG" / "RunInfo.xml").exists()
    assert not (scene.main / "RIGHT").exists() and not (scene.main / f"{ASIDE}RIGHT").exists()
    scene.run("--thorough")
    assert list(scene.main.iterdir()) == []
    for name in ("OFF", "WRONG", "RIGHT", "NEVER"):
        scene.check_sums(name)


def test_additions_that_are_not_quiet_yet_are_no_reason_to_complain(scene: Scene) -> None:
    run = scene.make_run("R")
    scene.run()
    (run / "late.txt").write_text("late")
    scene.config |= {"completion-delay": 3600, "remove-source": "true"}
    told = scene.run().output
    assert "new files found, unchanged since" in told and "not removed" not in told
    assert run.is_dir()
    scene.config["completion-delay"] = 0
    scene.run()
    assert not run.exists() and scene.get("R/late.txt") == b"late"
