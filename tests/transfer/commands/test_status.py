"""`status`: the answer first, then the table; from the ledger alone, fast, and while a pass works."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import time
import typing

import pytest

from embedded.tools import PROJECT
from sync_to_azure.transfer.ledger import Flow, Ledger, overrides
from sync_to_azure.transfer.ledger.audits import WELL, Audited, Audits, AuditFinding
from sync_to_azure.core.model import Progress, State
from sync_to_azure.core.reasons import STATES, Reason, RunStatus, run_status, what_next
from tests.conftest import LONG
from tests.passes.proxy import Proxy
from tests.passes.scene import FLAG, Scene, eventually, touch_later

NOW = 1_790_000_000.0
PUBLISHED: dict[str, typing.Any] = {
    "generation": 1,
    "files": 21034,
    "bytes": 7_400_000_000,
    "published_at": NOW,
    "first_published": NOW,
    "weakest": 2,
    "verified_at": NOW,
    "profile": "miseq",
    "recognised_by": "RunParameters.xml says MiSeq Control Software",
    "outcome": "completed",
    "outcome_detail": "RunCompletionStatus.xml: CompletedAsPlanned",
}


@pytest.fixture
def config(tmp_path: pathlib.Path) -> dict[str, object]:
    return {
        "main-folder": tmp_path / "main",
        "storage-account": "lake",
        "container-name": "runs",
        "auth": "default",
        "state-file": tmp_path / "ledger.sqlite",
    }


@pytest.fixture
def ledger(config: dict[str, object]) -> typing.Iterator[Ledger]:
    flow = Flow(str(config["main-folder"]), "https://lake.blob.core.windows.net", "runs", "")
    opened = Ledger.open(pathlib.Path(str(config["state-file"])), flow)
    yield opened
    opened.close()


def fill(ledger: Ledger) -> None:
    def add(key: str, state: State, reason: Reason | None, **columns: object) -> None:
        run = ledger.add_run(key, State.SEEN, NOW - 7200)
        ledger.set_state(run, state, reason, NOW, **columns)

    long = "261121_M00001_0101_000000000-ABCDE"
    add(long, State.VERIFIED, Reason("no-sheet-yet", {"sheet": f"{long}.csv"}))
    add("A_safe", State.PUBLISHED, None, **PUBLISHED)
    add("B_removed", State.REMOVED, None, **PUBLISHED)
    flagged = Reason("changed-after-verification", {"count": 2, "names": ["one", "two"]})
    add("C_flagged", State.FLAGGED, flagged, **PUBLISHED)
    add("D_waits", State.WAITING, Reason("flag-missing", {"flags": [FLAG]}))
    add("E_fails", State.FAILING, Reason("failed", {"problem": "not verified after 5 tries"}))
    add("F_held", State.PUBLISHED, None, **PUBLISHED)
    overrides.set_override(ledger, "F_held", "hold", "anna@lab", NOW, "swapped", {})
    add("odd \x1b[31m\u202e", State.PUBLISHED, None, **PUBLISHED)
    overrides.set_override(ledger, "G_to_come", "ignore", "anna@lab", NOW, "", {})


def audits(ledger: Ledger) -> None:
    """A_safe is well, B_removed lacks a blob, and so does a run that only the lake knows."""
    of = Audits(ledger)
    of.take_listing(Audited("A_safe", WELL, NOW, files=21034), [], {})
    for run in ("B_removed", "Z_only_there"):
        missing = AuditFinding("RunInfo.xml", "missing", "is missing")
        of.take_listing(Audited(run, WELL, NOW, files=21034), [missing], {})


def rows(output: str) -> dict[str, str]:
    table = output.split("\n\n", 1)[1]
    return {line.split("  ")[0]: line for line in table.splitlines()[1:]}


def test_the_answer_comes_first(run_command: typing.Any, config: dict[str, object], ledger: Ledger) -> None:
    fill(ledger)
    outcome = run_command("status", config=config)
    assert outcome.returncode == 0 and outcome.stderr == ""
    first = outcome.stdout.splitlines()[0]
    assert first == (
        "3 safe, 2 waiting, 1 retrying (E_fails), 1 needs attention (C_flagged), 1 held."
        " See: sync_to_azure explain C_flagged"
    )
    found = rows(outcome.stdout)
    assert (
        "needs attention  flagged" in found["C_flagged"]
        and "the good copy was kept: one, two" in found["C_flagged"]
    )
    assert "21034  7.4 GB  validated" in found["A_safe"] and "next" not in found["A_safe"]
    assert f"{FLAG} is missing; next: uploaded when {FLAG} exists" in found["D_waits"]
    assert "next: retried in the next pass" in found["E_fails"]
    assert "held by anna@lab: swapped" in found["F_held"]
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", found["A_safe"]), "times with zone"
    assert "odd \\x1b[31m\\u202e" in found and "\x1b" not in outcome.stdout
    assert "G_to_come: ignore, set before the run exists" in outcome.stdout


def test_one_run_and_patterns(run_command: typing.Any, config: dict[str, object], ledger: Ledger) -> None:
    fill(ledger)
    assert run_command("status", "A_safe", config=config).stdout.startswith("A_safe is safe: published ")
    assert set(rows(run_command("status", "[AB]_*", config=config).stdout)) == {"A_safe", "B_removed"}
    missing = run_command("status", "A_sfae", config=config)
    assert missing.returncode == 2
    assert "no run A_sfae is on record" in missing.stderr and "did you mean A_safe?" in missing.stderr


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--problems"], {"C_flagged", "E_fails"}),
        (
            ["--state", "waiting", "--state", "removed"],
            {"B_removed", "D_waits", "261121_M00001_0101_000000000-ABCDE"},
        ),
        (["--state", "needs-attention"], {"C_flagged"}),
        (["--since", "2026-09-21T16:00+00:00"], set()),
        (["--since", "2020-01-01", "--state", "held"], {"F_held"}),
    ],
)
def test_filters(
    run_command: typing.Any,
    config: dict[str, object],
    ledger: Ledger,
    arguments: list[str],
    expected: set[str],
) -> None:
    fill(ledger)
    document = json.loads(run_command("status", "--json", *arguments, config=config).stdout)
    assert {run["run"] for run in document["runs"]} == expected
    shown = run_command("status", *arguments, config=config).stdout
    assert (set(rows(shown)) if expected else shown.startswith("No run matches.")) == (expected or True)


@pytest.mark.parametrize("arguments", [("--since", "yesterday"), ("--state", "nonsense")])
def test_what_is_no_filter(run_command: typing.Any, config: dict[str, object], arguments: tuple[str]) -> None:
    outcome = run_command("status", *arguments, config=config)
    assert outcome.returncode == 2 and arguments[1] in outcome.stderr


def test_json_is_as_documented(run_command: typing.Any, config: dict[str, object], ledger: Ledger) -> None:
    """Every field of the output stands in docs/status.md, and every field that stands there is in the output."""
    fill(ledger)
    audits(ledger)
    run = ledger.runs()["D_waits"]
    ledger.outbox.register("webhook", NOW)
    ledger.beat(NOW, run, Progress("D_waits", "uploading", 1, 2, 3, 4))
    config["main-folder"] = str(config["main-folder"])
    from sync_to_azure.transfer.ledger import Lock
    from sync_to_azure.transfer.ledger.place import lock_path

    with Lock(lock_path(ledger.path, ledger.flow)) as lock:
        assert lock.take()
        document = json.loads(run_command("status", "--json", config=config).stdout)
    assert document["schema"] == 1 and document["pass"]["running"] is True
    runs = {each["run"]: each for each in document["runs"]}
    assert runs["D_waits"]["progress"]["files_total"] == 2
    assert runs["A_safe"]["status"] == "safe" and runs["A_safe"]["evidence"] == "validated"
    assert runs["C_flagged"]["reason"]["parameters"]["count"] == 2
    assert runs["F_held"]["override"] == {
        "action": "hold",
        "by": "anna@lab",
        "at": "2026-09-21T14:13:20+00:00",
        "reason": "swapped",
    }
    text = (PROJECT / "docs" / "status.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))
    assert fields(document) <= documented
    assert {name for name in documented if name not in fields(document)} <= {
        str(state) for state in State
    } | {str(each).replace(" ", "-") for each in RunStatus}


def fields(document: typing.Any, prefix: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in document.items():
        name = f"{prefix}{key}"
        found.add(name)
        if isinstance(value, dict) and key not in ("parameters", "counts", "found"):
            found |= fields(value, f"{name}.")
        elif isinstance(value, list):
            for each in value:
                found |= fields(each, f"{name}[].")
    return found


def test_every_state_has_its_words() -> None:
    assert set(STATES) == set(State)
    for state in State:
        for published in (False, True):
            assert run_status(state, None, published) in RunStatus
    assert run_status(State.PUBLISHED, None, True, "ignore") is RunStatus.IGNORED
    assert what_next(State.PUBLISHED, None, "retry") == "checked again from the start in the next pass"


def on_a_terminal(command: list[str], environment: dict[str, str], columns: int) -> str:
    """The real command on a pseudo-terminal of so many columns."""
    import fcntl
    import pty
    import struct
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    output = b""
    try:
        while block := os.read(leader, 65536):
            output += block
    except OSError:  # the terminal's end, as Linux tells it
        pass
    process.wait(LONG)
    os.close(leader)
    return output.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_on_a_terminal(
    start_command: typing.Any, config: dict[str, object], ledger: Ledger, tmp_path: pathlib.Path, columns: int
) -> None:
    fill(ledger)
    path = tmp_path / "flow.cfg"
    path.write_text("".join(f"{key} = {value}\n" for key, value in config.items()), encoding="utf-8")
    command = [sys.executable, "-m", "sync_to_azure", "status", "--config-file", str(path)]
    environment = start_command.clean_environment() | {"TERM": "xterm"}
    coloured = on_a_terminal(command, environment, columns)
    plain = on_a_terminal(command, environment | {"NO_COLOR": "1"}, columns)
    assert "\x1b[1;31mneeds attention\x1b[0m" in coloured and "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain, "colours never alone"
    assert "C_flagged" in plain and "validated" in plain
    widest = max(len(line) for line in plain.splitlines() if not line.startswith(("run ", "odd")))
    assert columns == 40 or widest <= columns, "names and states are never cut, all else is folded"


def test_nothing_is_on_record(
    run_command: typing.Any, config: dict[str, object], tmp_path: pathlib.Path
) -> None:
    outcome = run_command("status", config=config)
    assert outcome.returncode == 0 and "no pass has scanned this main folder" in outcome.stdout
    assert not (tmp_path / "ledger.sqlite").exists(), "looking makes nothing"
    assert json.loads(run_command("status", "--json", config=config).stdout)["runs"] == []


def test_another_destination_is_another_record(
    run_command: typing.Any, config: dict[str, object], ledger: Ledger
) -> None:
    """A slip in destination or container-name must not read as if nobody had ever looked at the main folder."""
    fill(ledger)
    said = run_command("status", config=config | {"container-name": "other"})
    assert said.returncode == 0 and said.stdout.startswith(
        "No run is on record yet: no pass has scanned this main folder for this destination."
    )


@pytest.mark.parametrize(
    "break_it, told",
    [
        ("INSERT INTO migration VALUES ('9999_later')", "written by a newer version"),
        ("DELETE FROM migration WHERE name <> '0001_first'", "written by an older version"),
        ("DROP TABLE migration", "a database of another program"),
    ],
)
def test_a_ledger_of_another_version(
    run_command: typing.Any, config: dict[str, object], ledger: Ledger, break_it: str, told: str
) -> None:
    ledger.connection.execute(break_it)
    outcome = run_command("status", config=config)
    assert outcome.returncode == 3 and told in outcome.stderr and "Traceback" not in outcome.stderr


def test_a_ledger_that_cannot_be_read(
    run_command: typing.Any, config: dict[str, object], ledger: Ledger
) -> None:
    fill(ledger)
    ledger.close()
    path = pathlib.Path(str(config["state-file"]))
    path.chmod(0)
    outcome = run_command("status", config=config, unprivileged=True)
    assert outcome.returncode == 3 and "sudo -u" in outcome.stderr
    path.chmod(0o600)
    path.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    outcome = run_command("status", config=config)
    assert (
        outcome.returncode == 3 and "cannot be read" in outcome.stderr and "Traceback" not in outcome.stderr
    )


def test_whoever_may_read_may_look(
    run_command: typing.Any, config: dict[str, object], ledger: Ledger, tmp_path: pathlib.Path
) -> None:
    """The lab manager's account: the file may be read, the folder not be written."""
    fill(ledger)
    ledger.close()
    path = pathlib.Path(str(config["state-file"]))
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        outcome = run_command("status", "A_safe", config=config_file(config, tmp_path), unprivileged=True)
    finally:
        tmp_path.chmod(0o755)
    assert outcome.returncode == 0, outcome.output


def config_file(config: dict[str, object], folder: pathlib.Path) -> pathlib.Path:
    """Written before the folder is closed."""
    path = folder / "flow.cfg"
    if os.access(folder, os.W_OK):
        folder.chmod(0o755)
        path.write_text("".join(f"{key} = {value}\n" for key, value in config.items()), encoding="utf-8")
        folder.chmod(0o555)
    return path


def test_while_a_pass_works(scene: Scene, proxy: Proxy) -> None:
    scene.config["uploader"] = "native"
    scene.make_run("R")
    scene.make_run("S")
    scene.through(proxy)

    def stall(method: str, path: str) -> typing.Any:
        if method == "PUT" and f"/R/{FLAG}" in path:
            proxy.wait_for_release()

    proxy.before = stall
    running = scene.start()
    assert eventually(lambda: any(f"/R/{FLAG}" in path for _, path in proxy.seen))
    # No network, no lock: asked of a port where nobody answers, it is the same.
    document = json.loads(scene.run("status", "--json").stdout)
    assert document["pass"]["running"] is True
    states = {run["run"]: run["state"] for run in document["runs"]}
    assert states["R"] == "uploading"
    assert "A pass is running" in scene.run("status").stdout
    proxy.hold.set()
    assert running.wait(LONG) == 0
    document = json.loads(scene.run("status", "--json").stdout)
    assert document["pass"]["running"] is False and {run["progress"] for run in document["runs"]} == {None}
    assert scene.run("status").stdout.startswith("All 2 runs are safe.")
    [first] = [run for run in document["runs"] if run["run"] == "R"]
    assert first["evidence"] == "validated" and first["verified"] is not None and first["files"] == 3


def test_a_changed_file_says_who_is_asked(scene: Scene) -> None:
    scene.config["uploader"] = "native"
    run = scene.make_run("R")
    scene.run()
    (run / "RunInfo.xml").write_text("<other/>")
    touch_later(run)
    told = scene.run(expect=1).stderr
    assert "sync_to_azure explain R --config-file" in told
    assert scene.run("status").stdout.startswith("R needs attention.")


def test_the_rows_of_files_are_not_read(
    run_command: typing.Any, config: dict[str, object], ledger: Ledger
) -> None:
    """They may be millions (benchmarks/status.py has the time): without them it says the same."""
    fill(ledger)
    audits(ledger)
    before = [run_command("status", *more, config=config).stdout for more in ([], ["--json"], ["--problems"])]
    ledger.connection.execute("ALTER TABLE file RENAME TO nobody_looks_here")
    ledger.connection.execute("ALTER TABLE audit_finding RENAME TO nor_here")
    ledger.close()
    after = [run_command("status", *more, config=config).stdout for more in ([], ["--json"], ["--problems"])]
    assert [_without_times(each) for each in before] == [_without_times(each) for each in after]


def _without_times(text: str) -> str:
    return re.sub(r"(\d+ \w+ )+ago|\"(now|written|at)\": \"[^\"]+\"", "", text)


def test_completion_offers_commands_and_runs(
    start_command: typing.Any, config: dict[str, object], ledger: Ledger, tmp_path: pathlib.Path
) -> None:
    fill(ledger)
    path = tmp_path / "flow.cfg"
    path.write_text("".join(f"{key} = {value}\n" for key, value in config.items()), encoding="utf-8")

    def offered(line: str, at: int) -> list[str]:
        environment = start_command.clean_environment() | {
            "_SYNC_TO_AZURE_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(at),
        }
        done = subprocess.run(
            [sys.executable, "-m", "sync_to_azure"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LONG,
            check=True,
        )
        assert done.stderr == ""
        return [each.partition(",")[2] for each in done.stdout.splitlines() if each]

    assert "status" in offered("sync_to_azure sta", 1)
    assert offered(f"sync_to_azure --config-file {path} explain C", 4) == ["C_flagged"]
    assert (
        offered("sync_to_azure explain C", 2) == []
    ), "without a config nothing is known, and nothing is said"
    began = time.monotonic()
    assert offered(f"sync_to_azure --config-file {path} hold Z", 4) == []
    assert time.monotonic() - began < 100
