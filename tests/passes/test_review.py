"""Interleavings that were thought of by reading: a ledger set back, two machines, what is cut off between two steps."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil

import pytest

from embedded.azurite import Azurite
from embedded.tools import PROJECT
from tests.passes.bad_input.test_storage import sas
from tests.passes.proxy import Proxy
from tests.passes.scene import FLAG, Scene, touch_later

SIZE = 5 * 1024 * 1024
ASIDE = ".sync_to_azure-removing-"


def keep_ledger(scene: Scene) -> pathlib.Path:
    copy = scene.folder / "ledger.kept"
    scene.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(scene.ledger, copy)
    return copy


def set_back(scene: Scene, copy: pathlib.Path) -> None:
    """As after a power failure or from a backup: the last transactions are lost."""
    scene.lose_ledger()
    shutil.copy(copy, scene.ledger)


def flagged_for_a_bad_name(scene: Scene) -> pathlib.Path:
    """Carried, and known to be unpublished: the lake was asked before."""
    run = scene.make_run("R", {"bad\\name": "x"})
    scene.run(expect=1)
    assert scene.state("R") == ("flagged", "uncarried")
    return run


def test_ledger_set_back_before_publishing_does_not_send_over_the_published(scene: Scene) -> None:
    run = flagged_for_a_bad_name(scene)
    copy = keep_ledger(scene)
    (run / "bad\\name").unlink()
    scene.run()
    assert scene.is_published("R")
    set_back(scene, copy)
    (run / "RunInfo.xml").write_text("<RUN/>")
    touch_later(run / "RunInfo.xml")
    told = scene.run(expect=1).stderr
    assert scene.get("R/RunInfo.xml") == b"<run/>", "the published copy is frozen"
    assert "changed after they were verified" in told
    scene.check_sums("R")


def test_ledger_set_back_a_generation_does_not_shrink_the_manifest(scene: Scene) -> None:
    run = scene.make_run("R")
    scene.run()
    copy = keep_ledger(scene)
    (run / "late.txt").write_text("late")
    scene.run()
    set_back(scene, copy)
    (run / "late.txt").unlink()
    scene.run("--thorough")
    assert "late.txt" in {row["path"] for row in scene.documents("R")[1]}
    (run / "later.txt").write_text("later")
    scene.run()
    assert {"late.txt", "later.txt"} <= {row["path"] for row in scene.documents("R")[1]}
    assert scene.documents("R")[2]["generation"] == 3


def test_another_machine_added_a_file_that_changed_here_since(scene: Scene) -> None:
    """The same share mounted on two machines, a ledger on each."""
    run = scene.make_run("R")
    scene.run()
    ours = scene.config["state-file"]
    scene.config["state-file"] = scene.folder / "other-machine.sqlite"
    (run / "late.txt").write_text("late")
    scene.run()
    (run / "late.txt").write_text("LATE")
    touch_later(run / "late.txt")
    touch_later(run)
    scene.config["state-file"] = ours
    told = scene.run(expect=1).stderr
    assert scene.get("R/late.txt") == b"late", "published by the other machine: frozen"
    assert "changed after they were verified" in told
    scene.check_sums("R")


def test_published_by_another_machine_while_we_carried(scene: Scene, proxy: Proxy) -> None:
    """Both ask the lake, both carry; whoever comes second does not write its documents over the first one's."""
    run = scene.make_run("R")
    scene.through(proxy)
    ours = dict(scene.config)
    other = scene.config | {"state-file": scene.folder / "other-machine.sqlite"}
    there: list[int] = []

    def at_first_data(method: str, path: str) -> None:
        if method == "PUT" and "/R/" in path and not there:
            there.append(1)
            (run / "other.txt").write_text("only the other machine sees it")
            scene.config = other
            scene.run()
            scene.config = ours
            (run / "other.txt").unlink()

    proxy.before = at_first_data
    scene.run(expect=1)
    proxy.before = lambda method, path: None
    assert "other.txt" in {row["path"] for row in scene.documents("R")[1]}
    scene.run()
    assert "other.txt" in {row["path"] for row in scene.documents("R")[1]}
    scene.check_sums("R")


def test_ledger_set_back_with_a_removal_half_done(scene: Scene) -> None:
    """The rest of a folder that stands aside is no new run: its published manifest says what it was."""
    run = flagged_for_a_bad_name(scene)
    copy = keep_ledger(scene)
    (run / "bad\\name").unlink()
    scene.run()
    set_back(scene, copy)
    aside = scene.main / f"{ASIDE}R"
    run.rename(aside)
    (aside / "RunInfo.xml").unlink()
    scene.run()
    assert {row["path"] for row in scene.documents("R")[1]} == {"Data/one.bcl", "RunInfo.xml", FLAG}
    scene.run("--thorough")
    assert {row["path"] for row in scene.documents("R")[1]} == {"Data/one.bcl", "RunInfo.xml", FLAG}


def test_cut_off_while_a_removed_runs_rows_are_forgotten(scene: Scene) -> None:
    """A late sheet must not make a manifest of the sheet alone."""
    sheets = scene.sheets()
    scene.config |= {"remove-source": "true", "sheet-optional": "true", "uploader": "native"}
    scene.make_run("R")
    killed_between(scene, "R")
    scene.run()
    (sheets / "R.csv").write_text("late sheet")
    scene.run()
    rows = {row["path"] for row in scene.documents("R")[1]}
    assert rows == {"Data/one.bcl", "RunInfo.xml", FLAG, "SampleSheet.csv"}


def killed_between(scene: Scene, run: str) -> None:
    """The pass is killed in the transaction after the one that drops a run's rows."""
    place = scene.folder / "kill-in-sqlite"
    place.mkdir()
    (place / "sitecustomize.py").write_text(
        "import os, signal, sqlite3\n"
        "class Connection(sqlite3.Connection):\n"
        "    dropped = False\n"
        "    def execute(self, statement, *rest):\n"
        "        if self.dropped and statement.startswith('BEGIN'):\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        if statement.startswith('DELETE FROM uncarried WHERE run_id') and not self.dropped:\n"
        "            import sys\n"
        "            self.dropped = sys._getframe(1).f_code.co_name == 'forget'\n"
        "        return super().execute(statement, *rest)\n"
        "connect = sqlite3.connect\n"
        "sqlite3.connect = lambda *a, **k: connect(*a, factory=Connection, **k)\n",
        encoding="utf-8",
    )
    scene.run(expect=-9, environment={"PYTHONPATH": f"{place}:{PROJECT}"})


def test_an_instrument_sheet_of_that_very_name_is_not_replaced(scene: Scene) -> None:
    sheets = scene.sheets()
    scene.config["sheet-optional"] = "true"
    scene.make_run("R", {"SampleSheet.csv": "own", "SampleSheet.instrument.csv": "precious"})
    scene.run()
    (sheets / "R.csv").write_text("outside")
    scene.run(expect=1)
    assert scene.get("R/SampleSheet.instrument.csv") == b"precious"
    assert scene.get("R/SampleSheet.csv") == b"own"
    scene.check_sums("R")
    scene.run(expect=0)
    assert scene.get("R/SampleSheet.instrument.csv") == b"precious"


@pytest.mark.parametrize("how", ["flagged", "failing"])
def test_trouble_with_a_removed_run_does_not_make_an_empty_main_folder_unbelievable(
    scene: Scene, how: str
) -> None:
    sheets = scene.sheets()
    scene.config |= {"remove-source": "true", "sheet-optional": "true", "uploader": "native"}
    scene.make_run("R")
    scene.run()
    assert list(scene.main.iterdir()) == []
    if how == "flagged":
        scene.container.delete_blob("R/RunInfo.xml")
        assert "blobs are missing or wrong" in scene.run("--thorough", expect=1).stderr
    else:
        scene.put("R.files.jsonl", b"{")
        (sheets / "R.csv").write_text("late")
        scene.run(expect=1)
    scene.run(expect=0 if how == "flagged" else 1)


def test_cut_off_while_a_late_sheet_of_a_removed_run_is_published(scene: Scene, proxy: Proxy) -> None:
    sheets = scene.sheets()
    scene.config |= {"remove-source": "true", "sheet-optional": "true", "uploader": "native"}
    scene.through(proxy)
    scene.make_run("R")
    scene.run()
    (sheets / "R.csv").write_text("late sheet")
    proxy.before = lambda method, path: 400 if method == "PUT" and path.endswith("R.json") else None
    scene.run(expect=1)
    proxy.reset()
    scene.run(expect=0)
    assert "SampleSheet.csv" in {row["path"] for row in scene.documents("R")[1]}
    scene.check_sums("R")


def test_removed_and_its_marker_taken_away_the_manifest_still_counts(scene: Scene) -> None:
    scene.config |= {"remove-source": "true", "uploader": "native"}
    scene.make_run("R")
    scene.run()
    assert list(scene.main.iterdir()) == []
    scene.container.delete_blob("R.sync")
    late = scene.make_run("R", {"late.txt": "late"})
    (late / "Data" / "one.bcl").write_text("ONE!")
    scene.config["remove-source"] = "false"
    scene.run(expect=1)
    assert scene.get("R/Data/one.bcl") == b"one"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_signature_in_the_ledger_when_nobody_answers(
    scene: Scene, account_key_file: pathlib.Path, azurite: Azurite, scheme: str
) -> None:
    """The HTTP layer names the whole address, with its SAS, where TLS fails."""
    secret = sas(scene.container, "racwl")
    account_key_file.write_text(secret + "\n", encoding="utf-8")
    port = azurite.port if scheme == "https" else 9
    scene.config |= {"auth": "sas", "blob-endpoint": f"{scheme}://127.0.0.1:{port}/devstoreaccount1"}
    scene.make_run("R")
    outcome = scene.run(expect=3)
    signature = re.escape(secret.rpartition("sig=")[2])[:20]
    assert not re.search(signature, outcome.output)
    for path in scene.folder.glob("ledger.sqlite*"):
        assert not re.search(signature.encode(), path.read_bytes()), path.name


def test_an_unreadable_folder_aside_does_not_stop_the_others(scene: Scene) -> None:
    scene.config["uploader"] = "native"
    run = scene.make_run("R")
    scene.run(unprivileged=True)
    scene.config["remove-source"] = "true"
    scene.sql("UPDATE run SET state = 'removing', reason_code = 'unlinking'")
    aside = scene.main / f"{ASIDE}R"
    run.rename(aside)
    aside.chmod(0)
    scene.make_run("S")
    try:
        scene.run(expect=1, unprivileged=True)
        assert scene.is_published("S")
    finally:
        aside.chmod(0o755)
    scene.run(unprivileged=True)
    assert scene.state("R") == ("removed", None)


def test_a_fifo_as_own_sheet_does_not_hang(scene: Scene) -> None:
    sheets = scene.sheets()
    (sheets / "R.csv").write_text("sheet")
    run = scene.make_run("R")
    os.mkfifo(run / "SampleSheet.csv")
    assert "special-file" in scene.run(expect=1).output


@pytest.mark.parametrize("first", ["native", "azcopy"])
def test_blocks_that_the_other_uploader_left(scene: Scene, first: str) -> None:
    """Ids of another length make every Put Block fail until the service forgets them, a week later."""
    blob = scene.container.get_blob_client("R/large.raw")
    blob.stage_block("s2a-00000-" + "0" * 32 if first == "native" else "AAAAAAAA", b"left over")
    scene.make_run("R", {"large.raw": os.urandom(20 * 1024 * 1024)})
    scene.config["uploader"] = "azcopy" if first == "native" else "native"
    scene.run(environment={"AZCOPY_BUFFER_GB": "0.012"})
    scene.check_sums("R")


def test_blocks_that_another_tool_left_where_azcopy_cannot_write(scene: Scene) -> None:
    name = "odd\nname.raw"
    blob = scene.container.get_blob_client(f"R/{name}")
    blob.stage_block("AAAA", b"left over")
    scene.make_run("R", {name: os.urandom(SIZE)})
    scene.run()
    scene.check_sums("R")


def test_a_receipt_of_a_newer_version_is_not_written_over(scene: Scene) -> None:
    scene.make_run("R")
    scene.run()
    newer = json.dumps(json.loads(scene.get("R.json")) | {"schema": 99, "generation": 5}).encode()
    scene.put("R.json", newer)
    assert "newer version" in scene.run("--thorough", expect=1).stderr
    assert scene.get("R.json") == newer
