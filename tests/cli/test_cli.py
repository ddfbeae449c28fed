"""The real command in a process of its own: words before and after a command, exit codes, what stands on stderr."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from sync_to_azure import __version__, cli
from sync_to_azure.cli.program import group, settings_command
from sync_to_azure.settings import Settings
from sync_to_azure.settings.options import EVERYDAY, GROUPS

Run = Callable[..., Any]
REQUIRED = "main-folder = /data/runs\ncontainer-name = runs\nstorage-account = lake\n"
REQUIRED_VARIABLES = {
    "SYNC_TO_AZURE_MAIN_FOLDER": "/data/runs",
    "SYNC_TO_AZURE_CONTAINER_NAME": "runs",
    "SYNC_TO_AZURE_STORAGE_ACCOUNT": "lake",
}
WORDS = ("--main-folder", "/data/runs", "--container-name", "runs", "--storage-account", "lake")


ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("SYNC_TO_AZURE_")} | {
    "PYTHONPATH": str(Path(cli.__file__).parent.parent.parent)
}


def shown(stdout: str) -> dict[str, tuple[str, str]]:
    """key -> (value, origin) of the output of `settings`."""
    rows = [line.split(None, 1) for line in stdout.splitlines()]
    return {key: (rest[:40].strip(), rest[40:].strip()) for key, rest in rows}


def places_of(headings: Sequence[str], text: str) -> list[int]:
    return [text.index(f"\n{heading}:\n") for heading in headings]


def test_version(run_command: Run) -> None:
    assert run_command("--version").stdout == f"sync_to_azure {__version__}\n"


def test_help_shows_commands_then_everyday_options(run_command: Run) -> None:
    outcome = run_command("--help")
    assert outcome.returncode == 0 and outcome.stderr == ""
    places = places_of(("Commands", "Everyday options", "Help", "Exit codes"), outcome.stdout)
    assert places == sorted(places)
    options = {word.rstrip(",") for word in outcome.stdout.split() if word.startswith("--")}
    assert options - {"--version", "--help", "--help-all"} == {f"--{key}" for key in EVERYDAY}
    assert len(EVERYDAY) == 10


def test_help_all_shows_every_group(run_command: Run) -> None:
    outcome = run_command("--help-all")
    assert outcome.returncode == 0 and outcome.stderr == ""
    headings = [heading for group, heading in GROUPS.items() if group != "obsolete"]
    places = places_of(["Commands", *headings, "Help", "Exit codes"], outcome.stdout)
    assert places == sorted(places)
    assert "--remove-source / --no-remove-source" in outcome.stdout
    assert "pid-file" not in outcome.stdout and "--secret" not in outcome.stdout


def test_help_of_a_command_begins_with_its_own_options(run_command: Run) -> None:
    outcome = run_command("audit", "--help")
    places = places_of(("Options", "Everyday options", "Help"), outcome.stdout)
    assert places == sorted(places)
    assert outcome.stdout.index("--read-back") < places[1]
    assert "--config-file FILE" in outcome.stdout and "--help-all" in outcome.stdout
    assert "--smtp-port" not in outcome.stdout and "--smtp-port" in run_command("audit", "--help-all").stdout
    assert "--verify" not in run_command("audit", "--help-all").stdout, "audit does not honour it"


@pytest.mark.parametrize("words", [["--help"], ["--help-all"], ["status", "--help"], ["check", "--help-all"]])
def test_help_fits_a_narrow_terminal(run_command: Run, words: list[str]) -> None:
    outcome = run_command(*words, environment={"COLUMNS": "80"})
    assert max(map(len, outcome.stdout.splitlines())) <= 80


def test_each_command_of_the_catalogue_is_described_in_one_whole_line(run_command: Run) -> None:
    said = run_command("catalogue", "--help", environment={"COLUMNS": "80"}).stdout
    listed = said.split("\nCommands:\n")[1].split("\n\n")[0].splitlines()
    assert len(listed) == 11 and all(line.endswith(".") and not line.endswith("...") for line in listed)


def test_each_command_is_described_in_one_line_of_80_columns(run_command: Run) -> None:
    listed = (
        run_command("--help", environment={"COLUMNS": "80"}).stdout.split("\nCommands:\n")[1].split("\n\n")[0]
    )
    assert len(listed.splitlines()) == 14 and "..." not in listed


def test_looking_loads_no_heavy_library() -> None:
    code = "import sys, sync_to_azure.cli; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"azure", "logging", "sqlite3", "socket", "coloredlogs"} & set(process.stdout.split())


def test_a_misspelt_command_suggests_one(run_command: Run) -> None:
    outcome = run_command("setings")
    assert outcome.returncode == 2
    assert "No such command 'setings'. Did you mean 'settings'?" in outcome.stderr
    outcome = run_command("--main-folder", "/data", "nonsense", "--config-file", "x")
    assert outcome.returncode == 2
    assert "No such command 'nonsense'. Commands: accept, audit, " in " ".join(outcome.stderr.split())


@pytest.mark.parametrize("words", [("--main-foldr", "x"), ("settings", "--nonsense"), ("--main-folder",)])
def test_wrong_usage(run_command: Run, words: tuple[str, ...]) -> None:
    outcome = run_command(*words)
    assert outcome.returncode == 2 and "Traceback" not in outcome.stderr


def test_options_before_and_after_a_command_and_after_wins(run_command: Run) -> None:
    before = ("--timeout", "1", "--retry-times", "1", "--exclude", "a", "--exclude", "b", "--dry-run")
    after = ("--timeout", "2", "--exclude", "c", "--no-dry-run")
    outcome = run_command(*WORDS, *before, "settings", *after)
    assert outcome.returncode == 0, outcome.stderr
    found = shown(outcome.stdout)
    assert [found[key][0] for key in ("timeout", "retry-times", "exclude", "dry-run")] == [
        "2 seconds",
        "1 tries",
        "c",
        "false",
    ]
    assert found["dry-run"][1] == "command line"


def test_settings_shows_sources_and_no_secrets(run_command: Run, tmp_path: Path) -> None:
    config = REQUIRED + "smtp-password = hidden-1\npid-file = x\n"
    environment = {"SYNC_TO_AZURE_SECRET": "hidden-2", "SYNC_TO_AZURE_AUTH": "default"}
    outcome = run_command("settings", config=config, environment=environment)
    assert outcome.returncode == 0 and "hidden" not in outcome.output
    found = shown(outcome.stdout)
    (file,) = tmp_path.glob("config-*.cfg")
    assert found["smtp-password"] == ("(set)", f"{file} line 4")
    assert found["secret"] == ("(set)", "environment SYNC_TO_AZURE_SECRET")
    assert found["destination"] == ("/", "default")
    assert found["blob-endpoint"] == ("https://lake.blob.core.windows.net", "from storage-account")
    assert "warning: " in outcome.stderr and "pid-file no longer means anything" in outcome.stderr


def test_config_file_before_or_after(run_command: Run, tmp_path: Path) -> None:
    file = tmp_path / "nextseq.cfg"
    file.write_text(REQUIRED, encoding="utf-8")
    for words in (("--config-file", file, "settings"), ("settings", "--config-file", file)):
        outcome = run_command(*words)
        assert outcome.returncode == 0, outcome.stderr
        assert shown(outcome.stdout)["main-folder"] == ("/data/runs", f"{file} line 1")


def test_a_config_file_in_the_current_folder_is_found(run_command: Run, tmp_path: Path) -> None:
    (tmp_path / "home" / "azsync.cfg").write_text(REQUIRED, encoding="utf-8")
    assert shown(run_command("settings").stdout)["main-folder"][1] == "azsync.cfg line 1"


def test_a_pass_tells_all_problems_each_on_its_line(run_command: Run, tmp_path: Path) -> None:
    (tmp_path / "home" / "nextseq.cfg").write_text("\n\n\nmain-foldr = x\ntimeout = soon\n", encoding="utf-8")
    outcome = run_command("--config-file", "nextseq.cfg", "--retry-times", "x")
    assert outcome.returncode == 2 and outcome.stdout == ""
    assert outcome.stderr.splitlines() == [
        "sync_to_azure: nextseq.cfg line 4: unknown key 'main-foldr'; did you mean 'main-folder'?",
        "sync_to_azure: command line: retry-times 'x' is not accepted: give a whole number from 1 up",
        "sync_to_azure: nextseq.cfg line 5: timeout 'soon' is not accepted:"
        " give a number above 0, at most 1,000,000,000",
        "sync_to_azure: main-folder is not given: the folder that holds the runs",
        "sync_to_azure: container-name is not set: the container to upload runs to",
        "sync_to_azure: storage-account is not given (or blob-endpoint, for another cloud)",
        "sync_to_azure: give what is missing as an option or in the config file; see sync_to_azure --help",
    ]


@pytest.mark.parametrize("content", [b"\0\1\2", b"main-folder = \xe4", b"no config at all"])
def test_config_files_that_are_none(run_command: Run, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.cfg"
    file.write_bytes(content)
    outcome = run_command(config=file)
    assert outcome.returncode == 2
    assert str(file) in outcome.stderr.splitlines()[0] and "Traceback" not in outcome.stderr


def test_files_that_may_not_be_read(run_command: Run, tmp_path: Path) -> None:
    """Without privileges: to root, modes mean nothing."""
    secret, file = tmp_path / "secret", tmp_path / "locked.cfg"
    for path in (secret, file):
        path.write_text(REQUIRED, encoding="utf-8")
        path.chmod(0)
    outcome = run_command(config=file, unprivileged=True)
    assert outcome.returncode == 2 and f"config file {file}: " in outcome.stderr
    assert "may not read it" in outcome.stderr
    outcome = run_command(*WORDS, "--credentials", secret, unprivileged=True)
    assert outcome.returncode == 2 and f"credentials file {secret}: " in outcome.stderr
    assert "may not read it" in outcome.stderr


def test_the_current_folder_is_gone(run_command: Run, tmp_path: Path) -> None:
    code = (
        "import os, sys; os.mkdir('x'); os.chdir('x'); os.rmdir('../x'); from sync_to_azure.cli import main; "
    )
    process = subprocess.run(
        [sys.executable, "-c", code + "sys.exit(main(['settings']))"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 2 and "the current folder does not exist any more" in process.stderr


def test_names_that_are_not_utf8_are_shown_all_the_same(run_command: Run) -> None:
    words = ("--main-folder", os.fsdecode(b"/data/\xe4"), *WORDS[2:], "settings")
    outcome = run_command(*words, environment={"PYTHONIOENCODING": "ascii"})
    assert outcome.returncode == 0 and "/data/\\xe4" in outcome.stdout


@pytest.mark.parametrize(
    ("words", "stream", "code"),
    [
        (["settings", *WORDS], "stdout", cli.READER_GONE),
        (["--help"], "stdout", cli.READER_GONE),
        ([], "stderr", 2),
    ],
)
def test_a_reader_that_goes_away_is_no_trouble(
    words: list[str], stream: str, code: int, tmp_path: Path
) -> None:
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [sys.executable, "-m", "sync_to_azure", *words],
        stdout=write if stream == "stdout" else subprocess.PIPE,
        stderr=write if stream == "stderr" else subprocess.PIPE,
        cwd=tmp_path,
        env=ENVIRONMENT,
    )
    os.close(write)
    assert process.returncode == code
    assert not process.stderr and not process.stdout


def run_work(work: str, tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Start a command whose body is ``work``, as a later command is added, with a secret in its settings."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, click, logging, os\nfrom sync_to_azure import cli\nfrom sync_to_azure.core import errors\n"
        "from sync_to_azure.cli.program import settings_command\n"
        "@settings_command('work', honours=['upload'])\n@click.option('--times', type=int, default=2)\n"
        f"def work(settings, times):\n    {work}\n"
        "sys.exit(cli.main())\n",
        encoding="utf-8",
    )
    return subprocess.run(
        [sys.executable, program, "work", *words],
        env=ENVIRONMENT | REQUIRED_VARIABLES | {"SYNC_TO_AZURE_SMTP_PASSWORD": "hidden-1"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )


def test_a_later_command_has_options_of_its_own(tmp_path: Path) -> None:
    process = run_work(
        "print(settings.upload.timeout, times); return 3", tmp_path, "--times", "7", "--timeout", "9"
    )
    assert (process.returncode, process.stdout) == (3, "9.0 7\n")


def test_errors_of_ours_become_a_message_and_a_code(tmp_path: Path) -> None:
    process = run_work("raise errors.SourceUnavailable('/data hidden-1 is gone', 'mount it')", tmp_path)
    assert process.returncode == 3
    assert process.stderr == "sync_to_azure: /data *** is gone\nsync_to_azure: mount it\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path: Path, number: int) -> None:
    process = run_work(f"raise errors.Interrupted({int(number)})", tmp_path)
    assert process.returncode == 128 + number
    assert process.stderr == f"sync_to_azure: stopped by signal {int(number)}\n"


def test_ctrl_c_without_a_handler(tmp_path: Path) -> None:
    process = run_work("import time; os.kill(os.getpid(), 2); time.sleep(60)", tmp_path)
    assert process.returncode == 130 and "Traceback" not in process.stderr


def test_a_fault_of_ours_before_there_is_a_log(tmp_path: Path) -> None:
    process = run_work("raise KeyError('hidden-1')", tmp_path)
    assert process.returncode == 1 and "hidden-1" not in process.stderr
    *trace, line = process.stderr.splitlines()
    assert trace[0].startswith("Traceback")
    assert line == "sync_to_azure: internal error: KeyError: '***'; the traceback is above"


def test_a_fault_of_ours_goes_to_the_log(tmp_path: Path) -> None:
    body = (
        "logging.getLogger('sync_to_azure').addHandler(logging.FileHandler('x.log')); raise KeyError('what')"
    )
    process = run_work(body, tmp_path)
    log = tmp_path / "x.log"
    assert process.returncode == 1
    assert process.stderr == f"sync_to_azure: internal error: KeyError: 'what'; the traceback is in {log}\n"
    assert "Traceback" in log.read_text(encoding="utf-8")


def test_an_own_option_cannot_hide_a_setting() -> None:
    with pytest.raises(AssertionError, match="timeout"):

        @settings_command("clash", honours=[])
        @click.option("--timeout")
        def clash(settings: Settings, timeout: str) -> int:
            raise NotImplementedError

    assert "clash" not in group.commands


def test_the_group_is_an_ordinary_click_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(group, ["settings", *WORDS])
    assert result.exit_code == 0, result.output
