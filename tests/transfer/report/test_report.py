"""`report`: what is on its pages, what is not, where they may be written, and how fast."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import time

import pytest

from embedded.runs import write_miseq, write_nextseq
from embedded.tools import PROJECT
from sync_to_azure.files.folder import place_of
from sync_to_azure.core.model import State
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.report import output_folder as folders
from sync_to_azure.transfer.report import interop_reader, quality
from tests.conftest import LONG
from tests.transfer.report.conftest import Lab


def test_the_first_sentence_answers_the_lab_manager(lab: Lab) -> None:
    lab.report()
    text = lab.overview()
    answer = re.search(r'<p class="answer">(.*?)</p>', text)
    assert answer is not None and re.match(
        r"\d+ safe, 2 waiting, 1 retrying \(\S+\), 1 needs attention \(\S+\)", answer[1]
    )
    assert "What to do:" in text and "put the verified files back" in text
    assert "RTAComplete.txt is missing" in text and "MiSeq M00146" in text
    assert not re.search(
        r"\d\d:\d\d(?! (UTC|[A-Z]{3,5}|[+-]\d\d))(?!:)",
        re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL),
    )


def test_nothing_is_on_record(lab: Lab, tmp_path: pathlib.Path) -> None:
    lab.config["state-file"] = tmp_path / "other.sqlite"
    lab.report()
    assert "No run is on record yet" in lab.overview() and os.listdir(lab.output / "runs") == []


def test_why_a_folder_of_no_family_waits_names_nothing(lab: Lab) -> None:
    problem = "no family of instruments writes such a folder"
    lab.ledger.set_state(
        lab.ledger.runs()[lab.names[-1]],
        State.WAITING,
        Reason("no-profile", {"problem": problem}),
        time.time(),
    )
    lab.report()
    assert f"completion-flag is not set, and {problem}" in lab.overview()


def test_a_file_is_no_folder_for_pages(lab: Lab, tmp_path: pathlib.Path) -> None:
    (tmp_path / "page").write_text("x")
    for output in (tmp_path / "page", tmp_path / "page" / "below"):
        told = lab.report("--output", output, expect=3).stderr
        assert f"--output {output}: there is a file where a folder should be" in told
        assert "name an empty or a new folder" in told


def test_no_names_of_samples_unless_asked_for(lab: Lab) -> None:
    """They stand in names of files, in what went wrong, in what a person wrote, and in the sheet."""
    run = write_miseq(lab.main_folder, lab.names[-1], files=8, size=8000).folder
    sheet = (run / "SampleSheet.csv").read_text()
    (run / "SampleSheet.csv").write_text(sheet + "Smith_Bert,,,,,,,\n")
    reason = {"count": 1, "names": ["Smith_Carl.raw (unreadable: Smith_Carl)"]}
    lab.ledger.set_state(
        lab.ledger.runs()[lab.names[-2]], State.FLAGGED, Reason("uncarried", reason), time.time()
    )
    lab.ledger.connection.execute(
        "INSERT INTO uncarried VALUES ((SELECT id FROM run WHERE key = ?), ?, 'unreadable', 1, 'x')",
        (lab.names[-2], b"Smith_Carl.raw"),
    )

    def told() -> str:
        return "".join(path.read_text("utf-8") for path in lab.output.rglob("*") if path.is_file())

    lab.report()
    assert "Smith" not in told() and "1 entries cannot be uploaded" in told()
    lab.report("--sample-names")
    kept = {stat.S_IMODE(path.stat().st_mode) for path in (lab.output / "kept").iterdir()}
    assert kept == {0o600}, "no page needs them"
    text = told()
    assert all(
        name in text for name in ("Smith_Anna.fastq.gz", "Smith_Bert", "Smith_Carl.raw", "flow cell of Smith")
    )
    shutil.rmtree(run)
    lab.report()
    assert "Smith" not in told(), "nor what was kept when they were asked for"


def test_quality_of_a_real_run(month: Lab) -> None:
    newest = next(name for name in reversed(month.names) if "_M0" in name)
    text = month.page(newest)
    assert "lane 1, read 1</th><td" in text and ">95.6</td>" in text and ">597.2</td>" in text
    assert "Base calls of Q30 and more, by cycle, %" in text and "cycle 121" in text
    assert "reads</dt>" in text and "flow cell" in text


def test_what_was_known_stays_when_the_folder_goes(lab: Lab) -> None:
    run = write_nextseq(lab.main_folder, lab.names[-1], files=16, size=8000).folder
    lab.report()
    assert "density-title" in lab.page(lab.names[-1]) and "As it was before" not in lab.page(lab.names[-1])
    shutil.rmtree(run)
    lab.report()
    text = lab.page(lab.names[-1])
    assert (
        "density-title" in text and "As it was before its folder left" in text and "NextSeq 500/550" in text
    )


@pytest.mark.parametrize(
    "kind", ["missing", "empty", "cut", "noise", "huge", "no-info", "a-file", "pipe", "info-pipe"]
)
def test_a_broken_interop_shows_the_rest(lab: Lab, kind: str) -> None:
    run = write_nextseq(lab.main_folder, lab.names[-1], files=16, size=8000).folder
    metrics = run / "InterOp" / "TileMetricsOut.bin"
    (run / "InterOp" / "ErrorMetricsOut.bin").unlink()
    match kind:
        case "missing" | "a-file":
            shutil.rmtree(metrics.parent)
            if kind == "a-file":
                metrics.parent.touch()
        case "empty":
            metrics.unlink()
        case "cut":
            metrics.write_bytes(metrics.read_bytes()[:7])
        case "noise":
            metrics.write_bytes(bytes(range(256)) * 40)
        case "huge":
            metrics.write_bytes(b"\xff" * 2_000_000)
        case "no-info":
            (run / "RunInfo.xml").write_text("<RunInfo")
        case "pipe" | "info-pipe":
            path = metrics if kind == "pipe" else run / "RunInfo.xml"
            path.unlink()
            os.mkfifo(path)
    lab.report()
    text = lab.page(lab.names[-1])
    assert "No quality plots: " in text and "InterOp" in text.partition("No quality plots")[2][:200]
    assert "published" in text and "NextSeq" in text, "the rest is there"
    assert "Traceback" not in text


def test_a_library_that_dies_or_hangs(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As C++ may: its process is another one."""
    run = write_miseq(tmp_path, files=8, size=8000).folder
    python = tmp_path / "python"
    monkeypatch.setattr(sys, "executable", str(python))
    for script, told in (
        ("kill -SEGV $$", "ended without an answer"),
        ("exec sleep 60", "could not be read in 0.5 s"),
    ):
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        monkeypatch.setattr(quality, "LIMIT", 0.5)
        assert told in quality.read(place_of(os.fsencode(run)).open()).problem


ODD = [
    "../../outside",
    "a/b",
    "<b>&'\"",
    "Lauf ä ü 漢字",
    "x" * 300,
    "-rf",
    ".hidden",
    "A_run",
    "a_RUN",
    "bell\x07\u202e",
    "\udcff",
]


def test_odd_names_of_runs(lab: Lab) -> None:
    for name in ODD:
        stored = name.encode("utf-8", "backslashreplace").decode()
        lab.ledger.add_run(stored, State.SEEN, time.time())
    lab.report()
    names = [path.name for path in (lab.output / "runs").iterdir()]
    assert all(
        re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*-[0-9a-f]{8}\.html", name) and len(name) < 120
        for name in names
    )
    assert len({name.casefold() for name in names}) == len(names) == len(lab.ledger.runs()) - 0
    assert sorted(os.listdir(lab.folder)) == sorted(
        {"sequencers", "sequencers.cfg", "report", "ledger.sqlite", "ledger.sqlite-shm", "ledger.sqlite-wal"}
    )
    text = lab.overview()
    assert "&lt;b&gt;&amp;" in text and "<b>" not in text and "bell\\x07\\u202e" in text
    assert "sync_to_azure explain -- -rf<" in lab.page("rf"), "else it would be taken for an option"


def test_where_it_may_be_written(lab: Lab, tmp_path: pathlib.Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").touch()
    assert "contains other files" in lab.report("--output", full, expect=2).stderr
    assert os.listdir(full) == ["thesis.txt"]
    inside = lab.main_folder / "report"
    assert "in the main folder" in lab.report("--output", inside, expect=2).stderr and not inside.exists()
    (tmp_path / "link").symlink_to(lab.main_folder)
    assert "in the main folder" in lab.report("--output", tmp_path / "link" / "x", expect=2).stderr
    lab.report()
    lab.config["container-name"] = "others"
    assert "the report of another configuration" in lab.report(expect=2).stderr
    assert lab.report("--output", full / "thesis.txt", expect=3).stderr.count("\n") <= 2
    assert lab.report("--output", "", expect=2).stderr
    assert lab.report("--output", "/proc/report", expect=3).stderr


def test_old_pages_go_and_others_stay(lab: Lab) -> None:
    lab.report()
    before = set(os.listdir(lab.output / "runs"))
    (lab.output / "runs" / "notes.html").write_text("mine")
    lab.report("--days", 1)
    after = set(os.listdir(lab.output / "runs"))
    assert after < before | {"notes.html"} and "notes.html" in after and len(after) < len(before)
    assert all(f"runs/{name}" in lab.overview() for name in after - {"notes.html"})
    modes = {
        stat.S_IMODE(path.stat().st_mode) for path in lab.output.rglob("*.html") if path.name != "notes.html"
    }
    assert modes == {0o644} and not list(lab.output.rglob("*.part"))


def test_what_is_no_page_of_ours_is_neither_replaced_nor_removed(lab: Lab, tmp_path: pathlib.Path) -> None:
    """Although it is named as one."""
    lab.report()
    runs, kept = lab.output / "runs", lab.output / "kept"
    mine = [runs / "notes-01234567.html", kept / "notes-01234567.json", runs / "link-01234567.html"]
    for path in mine[:2]:
        path.write_text("mine")
    page = next(runs.glob("*_*.html"))
    mine[2].symlink_to(page.rename(tmp_path / "saved.html"))
    lab.report()
    assert all(os.path.lexists(path) for path in mine) and mine[0].read_text() == "mine"
    page.unlink()
    page.write_text("thesis")
    told = lab.report(expect=3).stderr
    assert "was not written by sync_to_azure report, and is not changed" in told
    assert page.read_text() == "thesis"
    page.unlink()
    lab.report()
    elsewhere = runs.rename(tmp_path / "elsewhere")
    runs.symlink_to(elsewhere)
    before = {path.name: path.stat().st_mtime_ns for path in elsewhere.iterdir() if not path.is_symlink()}
    lab.report("--days", 1, expect=3)
    assert before == {
        path.name: path.stat().st_mtime_ns for path in elsewhere.iterdir() if not path.is_symlink()
    }


def test_the_same_runs_give_the_same_pages(lab: Lab) -> None:
    def told() -> dict[str, str]:
        lab.report()
        texts = {path.name: path.read_text("utf-8") for path in lab.output.rglob("*.html")}
        volatile = r"As of .*|Written .*|last activity .*|Last activity .*"
        return {name: re.sub(volatile, "", text) for name, text in texts.items()}

    assert told() == told()


def test_without_the_extra(lab: Lab, tmp_path: pathlib.Path) -> None:
    for name in ("jinja2", "pygal"):
        hidden = tmp_path / f"without-{name}"
        hidden.mkdir()
        (hidden / f"{name}.py").write_text("raise ImportError")
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "sync_to_azure",
                *(f"--{key}={value}" for key, value in lab.config.items()),
            ]
            + ["report", "--output", str(tmp_path / "out")],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": f"{hidden}:{PROJECT}"},
            capture_output=True,
            text=True,
            timeout=LONG,
            check=False,
        )
        assert done.returncode == 2 and f"report needs {name}" in done.stderr, done.stderr
        assert "pip install 'sync_to_azure[report]'" in done.stderr and not (tmp_path / "out").exists()


def test_ten_thousand_runs(lab: Lab) -> None:
    """benchmarks/report.py has the time; here: the page stays small, and the rows of files are read for pages only."""
    with lab.ledger.transaction() as connection:
        connection.executemany(
            "INSERT INTO run (flow_id, key, state, since, first_seen, generation, bytes, published_at, first_published)"
            " VALUES (?, ?, 'published', 1e9, 1e9, 1, 1000, 1e9, 1e9)",
            ((lab.ledger.flow_id, f"010909_M00146_{number:05}_000000000-AAAAA") for number in range(10_000)),
        )
    recent = len(lab.ledger.runs()) - 10_000
    told = lab.report().stdout
    assert f"{recent + 10_000} runs, {recent} pages" in told
    assert (lab.output / "index.html").stat().st_size < 300_000, "it can be mailed"
    lab.ledger.connection.execute(
        "UPDATE run SET since = 1e9, first_seen = 1e9, published_at = 1e9, state = 'published',"
        " reason_code = NULL, generation = 1"
    )
    lab.ledger.connection.execute("DELETE FROM override")
    lab.ledger.connection.execute("ALTER TABLE file RENAME TO nobody_looks_here")
    assert " runs, 0 pages" in lab.report().stdout


def test_no_two_runs_share_a_page() -> None:
    assert folders.page_name("A_run").casefold() != folders.page_name("a_RUN").casefold()


def test_interop_is_read_below_the_run_and_through_no_link(tmp_path: pathlib.Path) -> None:
    """Illumina's library takes a path: it gets links to handles that we opened."""
    run = write_miseq(tmp_path, files=8, size=8000).folder
    outside = write_miseq(tmp_path / "elsewhere", files=8, size=8000).folder
    (run / "InterOp/C1.1").mkdir()
    (run / "InterOp/C1.1/QMetricsOut.bin").write_bytes(b"of a cycle")
    (run / "InterOp/C2.1").symlink_to(outside / "InterOp")
    (run / "InterOp/QMetricsOut.bin").symlink_to(outside / "InterOp/TileMetricsOut.bin")
    (run / "InterOp/QMetrics2030Out.bin").mkdir()
    os.mkfifo(run / "InterOp/ImageMetricsOut.bin")
    (run / "RunParameters.xml").unlink(missing_ok=True)
    (run / "RunParameters.xml").symlink_to(outside / "RunInfo.xml")
    links = tmp_path / "links"
    links.mkdir()
    with place_of(os.fsencode(run)).open() as folder:
        handles = interop_reader.link(folder, str(links))
        made = {str(path.relative_to(links)) for path in links.rglob("*") if path.is_symlink()}
        assert (links / "InterOp/C1.1/QMetricsOut.bin").read_bytes() == b"of a cycle"
        for handle in handles:
            os.close(handle)
    (run / "InterOp/C1.1/QMetricsOut.bin").unlink()
    expected = {
        "RunInfo.xml",
        "InterOp/TileMetricsOut.bin",
        "InterOp/ErrorMetricsOut.bin",
        "InterOp/C1.1/QMetricsOut.bin",
    }
    assert expected <= made and not made & {
        "RunParameters.xml",
        "InterOp/QMetricsOut.bin",
        "InterOp/QMetrics2030Out.bin",
        "InterOp/ImageMetricsOut.bin",
    }
    assert quality.read(place_of(os.fsencode(run)).open()).lanes
    (run / "InterOp").rename(tmp_path / "moved")
    (run / "InterOp").symlink_to(tmp_path / "moved")
    assert "no InterOp folder" in quality.read(place_of(os.fsencode(run)).open()).problem
