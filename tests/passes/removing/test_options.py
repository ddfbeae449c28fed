"""``remove-after``, ``remove-rehash``, ``remove-excluded``, and what a dry run says of all of it."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import typing

import pytest

from tests.passes.proxy import Proxy
from tests.passes.scene import FLAG, Scene, eventually, tree, write
from tests.passes.removing.conftest import ASIDE

SECOND = 1 / 86400


def snapshot(scene: Scene) -> tuple[typing.Any, ...]:
    """Both ends and the ledger: names, bytes and times."""
    source = {
        str(path): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [scene.main, *scene.main.rglob("*")]
    }
    tables = ("run", "file", "uncarried", "event", "reported")
    return source, scene.etags(), [scene.sql(f"SELECT * FROM {table}") for table in tables]


# remove-after


def test_a_run_stays_until_it_was_published_for_so_long(scene: Scene, proxy: Proxy) -> None:
    scene.through(proxy).config["remove-after"] = "7.5"
    run = scene.make_run("R")
    scene.run()
    assert scene.state("R") == ("published", "removal-due") and run.is_dir()
    proxy.seen.clear()
    idle = scene.run()
    assert proxy.seen == [] and "0 published, 0 waiting" in idle.output, "nothing is asked, and it is no news"
    scene.config["remove-after"] = 3 * SECOND
    assert eventually(lambda: not scene.run().returncode and not run.exists())
    assert scene.state("R") == ("removed", None)


def test_a_pass_that_only_removes_published_nothing(scene: Scene) -> None:
    scene.config["remove-source"] = "no"
    run = scene.make_run("R")
    assert "1 published" in scene.run().stderr
    scene.config["remove-source"] = "yes"
    passed = scene.run()
    assert not run.exists() and "R: removed from the source" in passed.stderr
    assert "0 published" in passed.stderr and re.search(r"^R +removed", passed.stdout, re.MULTILINE)


def test_with_the_ledger_lost_the_receipt_says_since_when(scene: Scene) -> None:
    scene.config["remove-after"] = "1"
    run = scene.make_run("R")
    scene.run()
    scene.lose_ledger()
    scene.run()
    assert run.is_dir() and scene.state("R") == ("published", "removal-due")
    scene.lose_ledger()
    scene.config["remove-after"] = "0"
    scene.run()
    assert not run.exists()


def test_a_receipt_or_a_ledger_that_says_too_early_is_not_believed(scene: Scene) -> None:
    """The service's own time of the marker counts: never earlier than proved."""
    scene.config["remove-after"] = "1"
    run = scene.make_run("R")
    scene.run()
    receipt = json.loads(scene.get("R.json"))
    receipt["times"] |= {
        "published": "2020-01-01T00:00:00+00:00",
        "first_published": "2020-01-01T00:00:00+00:00",
    }
    scene.put("R.json", json.dumps(receipt).encode())
    scene.lose_ledger()
    scene.run()
    assert run.is_dir() and scene.state("R") == ("published", "removal-due")
    [[published_at]] = scene.sql("SELECT published_at FROM run")
    assert published_at < 1.6e9, "the ledger took it from the receipt"
    scene.sql("UPDATE run SET published_at = NULL")
    scene.run()
    assert run.is_dir() and scene.state("R") == ("published", "removal-due")


def test_additions_start_the_time_anew(scene: Scene) -> None:
    scene.config["remove-after"] = "1"
    run = scene.make_run("R")
    scene.run()
    scene.sql("UPDATE run SET published_at = published_at - 100000")
    (run / "late").write_text("late")
    scene.run()
    assert (
        run.is_dir() and scene.state("R") == ("published", "removal-due") and scene.get("R/late") == b"late"
    )


def test_a_time_that_is_not_asked_for_any_more_is_forgotten(scene: Scene) -> None:
    scene.config["remove-after"] = "1"
    scene.make_run("R")
    scene.run()
    scene.config["remove-source"] = "false"
    scene.run()
    assert scene.state("R") == ("published", None)


# remove-rehash


def test_other_bytes_under_the_same_size_and_time(scene: Scene) -> None:
    """What no look at names, sizes and times can see."""
    scene.config |= {"remove-source": "false", "remove-rehash": "true"}
    for name in ("BAD", "GOOD"):
        scene.make_run(name)
    scene.run()
    rotten = scene.main / "BAD" / "Data" / "one.bcl"
    status = rotten.stat()
    rotten.write_text("ONE")
    os.utime(rotten, ns=(status.st_atime_ns, status.st_mtime_ns))
    scene.config["remove-source"] = "true"
    told = scene.run(expect=1).output
    assert "BAD: put back at the source: 1 files are not what was published" in told
    assert "1 files hold other bytes than were published, with the same size and time: Data/one.bcl" in told
    assert tree(scene.main) == {"BAD/Data/one.bcl": b"ONE", "BAD/RunInfo.xml": b"<run/>", f"BAD/{FLAG}": b""}
    assert scene.get("BAD/Data/one.bcl") == b"one" and scene.state("BAD") == ("published", "rehash-differs")
    again = scene.run().output
    assert "read once more" not in again and "put back" not in again, "not all of it in every pass"
    rotten.write_text("one")
    os.utime(rotten, ns=(status.st_atime_ns, status.st_mtime_ns))
    scene.run("--thorough")
    assert list(scene.main.iterdir()) == []


@pytest.mark.parametrize("aside", [False, True], ids=["at home", "aside"])
def test_a_manifest_that_was_written_to_fit_other_blobs(scene: Scene, aside: bool) -> None:
    """With the ledger lost, everything in the lake agrees, and size and time at the source too: only its bytes tell."""
    scene.config["remove-source"] = "false"
    run = scene.make_run("R")
    scene.run()
    scene.put("R/Data/one.bcl", b"ONE")
    forged = {"md5": hashlib.md5(b"ONE").hexdigest(), "etag": scene.etags()["R/Data/one.bcl"].strip('"')}
    sums, rows, receipt, _ = scene.documents("R")
    lines = [json.dumps(row | (forged if row["path"] == "Data/one.bcl" else {})) + "\n" for row in rows]
    documents = {
        "R.md5": sums.replace(hashlib.md5(b"one").hexdigest(), forged["md5"]).encode(),
        "R.files.jsonl": "".join(lines).encode(),
    }
    receipt["sha256"] = {name: hashlib.sha256(content).hexdigest() for name, content in documents.items()}
    for name, content in [*documents.items(), ("R.json", json.dumps(receipt).encode())]:
        scene.put(name, content)
    scene.check_sums("R")
    scene.lose_ledger()
    if aside:
        run.rename(scene.main / f"{ASIDE}R")
    scene.config["remove-source"] = "true"
    told = scene.run(expect=1).output
    assert "1 files hold other bytes than were published" in told
    assert tree(run).keys() == {"Data/one.bcl", "RunInfo.xml", FLAG}
    assert "ERROR" not in scene.run().output and run.is_dir()


# remove-excluded


def with_excluded(scene: Scene) -> pathlib.Path:
    run = scene.make_run("R", {"Thumbs/1.jpg": "picture", "log.tmp": "log", "Data/.DS_Store": "junk"})
    (run / "Thumbs" / "Empty").mkdir()
    (run / "link.tmp").symlink_to(scene.folder / "precious")
    write(scene.folder / "precious", {"keep": "keep"})
    scene.config["exclude"] = ["Thumbs", "*.tmp"]
    return run


def test_excluded_entries_keep_a_run_unless_said_otherwise(scene: Scene) -> None:
    run = with_excluded(scene)
    before = tree(run)
    told = scene.run(expect=1).stderr
    assert told.count("R is published but not removed: ") == 1 and "remove-excluded also removes" in told
    assert "ERROR" not in scene.run().output and tree(run) == before
    scene.config["remove-excluded"] = "true"
    scene.run()
    assert list(scene.main.iterdir()) == [] and tree(scene.folder / "precious") == {"keep": b"keep"}
    assert set(tree(scene.download("R") / "R")) == {"Data/one.bcl", "RunInfo.xml", FLAG}


def test_only_what_the_rules_exclude_goes(scene: Scene) -> None:
    """A rule that is taken back keeps its files; a published file that a new rule names must still be as published."""
    run = with_excluded(scene)
    scene.config["remove-source"] = "false"
    scene.run()
    scene.config |= {"remove-source": "true", "remove-excluded": "true", "exclude": ["*.tmp"]}
    before = tree(run)
    told = scene.run().output
    assert "R: put back at the source: in its way: Thumbs/1.jpg (not in the manifest)" in told
    assert tree(run) == before and (run / "link.tmp").is_symlink()
    scene.run()
    assert (
        list(scene.main.iterdir()) == [] and scene.get("R/Thumbs/1.jpg") == b"picture"
    ), "carried before it went"

    changed = scene.make_run("S")
    scene.config["remove-source"] = "false"
    scene.run()
    (changed / "RunInfo.xml").write_text("<another/>")
    scene.config |= {"remove-source": "true", "exclude": ["RunInfo.xml"]}
    scene.run()
    scene.run()
    assert (changed / "RunInfo.xml").read_text() == "<another/>"


def test_what_is_gone_by_itself_keeps_nothing(scene: Scene) -> None:
    """Deep inside, so that the run's own folder shows no change."""
    run = scene.make_run("R", {"Data/Thumbs.db": "junk"})
    scene.run(expect=1)
    (run / "Data" / "Thumbs.db").unlink()
    scene.run()
    assert list(scene.main.iterdir()) == []


def test_what_is_deleted_but_open_waits_also_with_remove_excluded(scene: Scene) -> None:
    run = scene.make_run("R", {"Data/.nfs0000000000000007": "open"})
    scene.config["remove-excluded"] = "true"
    scene.run()
    assert (run / "Data" / ".nfs0000000000000007").is_file() and (run / "RunInfo.xml").is_file()
    (run / "Data" / ".nfs0000000000000007").unlink()
    scene.run()
    assert list(scene.main.iterdir()) == []


# dry-run


def dry(scene: Scene) -> str:
    before = snapshot(scene)
    output = str(scene.run("--dry-run").output)
    assert snapshot(scene) == before, "a dry run changes nothing"
    return output


def test_a_dry_run_names_exactly_what_would_go(scene: Scene) -> None:
    scene.config["remove-source"] = "false"
    run = scene.make_run("R", {f"Data/{number:02}.bcl": "12345" for number in range(20)})
    (run / "Empty" / "Deep").mkdir(parents=True)
    scene.run()
    assert "would be removed" not in dry(scene), "remove-source is off"
    scene.config["remove-source"] = "true"
    said = dry(scene)
    size = sum(len(content) for content in tree(run).values())
    assert f"R: would be removed: 23 files, {size} B, in 4 folders" in said
    assert said.count("R: would go: ") == 20 and "R: and 3 files more" in said
    scene.config["log-level"] = "DEBUG"
    named = {line.rpartition("would go: ")[2] for line in dry(scene).splitlines() if "would go: " in line}
    assert named == set(tree(run))
    scene.run()
    assert list(scene.main.iterdir()) == []


def test_a_dry_run_tells_what_goes_of_runs_that_this_very_pass_would_carry_first(scene: Scene) -> None:
    """What it says of each is what the pass then does, file by file."""
    scene.config |= {"exclude": "*.tmp", "log-level": "DEBUG", "remove-source": "false"}
    scene.make_run("LATE", {"Data/sent.bcl": "before"})
    scene.run()
    write(scene.main / "LATE", {"late.bcl": "after"})
    scene.config["remove-source"] = "true"
    scene.make_run("NEW", {"Data/Deep/two.bcl": "two"})
    (scene.main / "NEW" / "Empty").mkdir()
    scene.make_run("EXCLUDED", {"log.tmp": "log"})
    (scene.make_run("LINK") / "out").symlink_to("/etc/passwd")
    scene.make_run("ANOTHERS")
    scene.put("ANOTHERS.sync", b"2020-01-01\n")
    scene.put("ANOTHERS/RunInfo.xml", b"<other/>")
    (scene.make_run("UNFINISHED") / FLAG).unlink()
    goes = {name: set(tree(scene.main / name)) for name in ("LATE", "NEW")}
    stays = {"EXCLUDED", "LINK", "ANOTHERS", "UNFINISHED"}
    said = dry(scene)
    assert "NEW: would be removed after that: 4 files, 12 B, in 4 folders" in said
    assert "LATE: would be removed after that: 5 files" in said
    for name, files in goes.items():
        lines = [line for line in said.splitlines() if f"{name}: would go: " in line]
        assert {line.rpartition("would go: ")[2] for line in lines} == files
    assert "EXCLUDED: would not be removed after that: in its way: log.tmp (excluded)" in said
    assert "LINK: would not be removed after that: 1 entries cannot be uploaded" in said
    assert "ANOTHERS: would not be removed after that: 1 blobs that another writer published differ" in said
    assert not [line for line in said.splitlines() if "UNFINISHED: would" in line]
    scene.run(expect=1)
    assert {path.name for path in scene.main.iterdir()} == stays

    # With these nothing goes in the same pass, or what else would go.
    (scene.main / "LINK" / "out").unlink()
    scene.config |= {"remove-excluded": "true", "remove-after": "2", "remove-rehash": "true"}
    said = dry(scene)
    assert "EXCLUDED: would be removed from " in said and "EXCLUDED: would go: log.tmp" in said
    assert "LINK: would be removed 2 days after that: 3 files" in said
    assert "LINK: its files would be read once more first" in said
    scene.run(expect=0)
    assert {path.name for path in scene.main.iterdir()} == stays
    scene.sheets()
    scene.config["remove-after"] = "0"
    scene.make_run("SHEETLESS")
    assert "SHEETLESS: would not be removed after that: it waits for its sample sheet" in dry(scene)
    scene.run()
    assert {path.name for path in scene.main.iterdir()} == {"SHEETLESS", "ANOTHERS", "UNFINISHED"}


def test_a_dry_run_names_what_stands_in_the_way(scene: Scene) -> None:
    scene.config["remove-source"] = "false"
    for name in ("WRONG", "LATE", "EXCLUDED", "NOMARK", "LISTED", "CHANGED"):
        scene.make_run(name, {"log.tmp": "log"} if name == "EXCLUDED" else {})
    scene.config |= {"exclude": "*.tmp", "verify": "listed"}
    scene.run()
    scene.put("WRONG/RunInfo.xml", b"<RUN/>")
    scene.container.delete_blob("NOMARK.sync")
    (scene.main / "LATE" / "Data" / "late.bcl").write_text("late")
    (scene.main / "CHANGED" / "Data" / "one.bcl").write_text("changed")
    scene.put("LISTED/RunInfo.xml", b"<run/>")
    scene.config |= {"remove-source": "true", "remove-rehash": "true"}
    said = dry(scene)
    assert "WRONG: would not be removed: 1 blobs are missing or wrong" in said
    assert "WRONG: in the way: RunInfo.xml (its blob is another)" in said
    assert "NOMARK: would not be removed: its marker is not at the destination" in said
    assert "LATE: in the way: Data/late.bcl (not in the manifest)" in said
    assert "CHANGED: in the way: Data/one.bcl (size or time changed)" in said
    assert "EXCLUDED: in the way: log.tmp (excluded)" in said
    assert "LISTED: would be removed: 3 files" in said
    assert "LISTED: of its blobs 1, 6 B, would be read back first" in said
    assert "LISTED: its files would be read once more first" in said
    scene.config |= {"remove-excluded": "true", "remove-after": "2"}
    said = dry(scene)
    assert "EXCLUDED: would be removed from " in said
    assert "EXCLUDED: would be removed: 4 files" in said and "1 of them are not at the destination" in said


@pytest.mark.parametrize("on", ["true", "false"])
def test_a_dry_run_says_what_becomes_of_a_folder_that_stands_aside(scene: Scene, on: str) -> None:
    scene.config["remove-source"] = "false"
    scene.make_run("R")
    scene.run()
    (scene.main / "R").rename(scene.main / f"{ASIDE}R")
    scene.config["remove-source"] = on
    said = dry(scene)
    if on == "true":
        assert "R: its removal would go on: 3 files" in said
    else:
        assert f"R: its folder {ASIDE}R would be put back: remove-source is off" in said
