"""`run`: real commands, their ends, and what is kept of them."""

from __future__ import annotations

import os
import pathlib
import signal
import sys

import pytest
from harness import LONG, Beat, is_alive, pids_in, sh, wait_until


@pytest.mark.parametrize(
    ("commands", "code", "said"),
    [
        ([["true"]], 0, ""),
        ([sh("exit 7")], 7, "exit code 7"),
        ([["true"], sh("exit 3"), ["touch", "after"]], 3, "command 2 of 3: exit code 3"),
        (
            [["no-such-command-here"]],
            127,
            "not found in PATH=/usr/bin:/bin (cron's PATH is short: give the full path)",
        ),
        ([["/no/such/file"]], 127, "there is no such file"),
        ([["/etc/passwd"]], 126, "cannot be run (Permission denied)"),
        ([sh("kill -9 $$")], 137, "killed by SIGKILL"),
        ([sh("kill -TERM $$")], 143, "killed by SIGTERM"),
    ],
)
def test_it_exits_as_the_task_did(beat: Beat, commands: list[list[str]], code: int, said: str) -> None:
    beat.write({"a": {"commands": commands}})
    ended = beat.run("a")
    assert ended.code == code, ended.output
    assert said in ended.stderr
    assert not (beat.home / "after").exists()
    assert beat.runs() == [("a", "failed" if code else "ok", code)]
    if code == 0:
        assert ended.output == ""  # else cron would send a mail


def test_a_script_without_its_interpreter(beat: Beat) -> None:
    script = beat.home / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    beat.write({"a": {"commands": [[str(script)]]}})
    ended = beat.run("a")
    assert ended.code == 127 and "interpreter in its first line is missing" in ended.stderr


def test_what_is_kept_of_a_failure(beat: Beat) -> None:
    beat.write(
        {"a": {"commands": [sh("for i in 1 2 3 4 5 6 7 8; do echo line $i; done; echo oops >&2; exit 4")]}}
    )
    ended = beat.run("a")
    ((tail, duration, memory, log),) = beat.sql("SELECT tail, duration, memory, log FROM runs")
    assert tail == "line 5\nline 6\nline 7\nline 8\noops"
    assert 0 < duration < LONG and 1000 < memory < 1_000_000
    assert (beat.cache / "logs" / log).read_text().startswith("line 1\nline 2\n")
    assert "| oops" in ended.stderr and log in ended.stderr


def test_the_memory_of_the_largest_process(beat: Beat) -> None:
    beat.write({"a": {"commands": [[sys.executable, "-c", "x = b'x' * 300_000_000"], ["true"]]}})
    assert beat.run("a").code == 0
    ((memory,),) = beat.sql("SELECT memory FROM runs")
    assert 290_000 < memory < 400_000


def test_endless_output_is_bounded(beat: Beat) -> None:
    beat.ini(log_size="64K")
    beat.write({"a": {"commands": [sh("head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last")]}})
    assert beat.run("a").code == 0
    (log,) = (beat.cache / "logs").iterdir()
    assert log.stat().st_size < 66_000
    assert log.read_bytes().endswith(b"\nlast\n")


def test_verbose_shows_the_output(beat: Beat) -> None:
    beat.write({"a": {"commands": [["echo", "hello"]]}})
    assert beat("run", "-v", beat.tasks, "a").stdout == "hello\n"


def test_a_background_process_holds_nothing_up(beat: Beat) -> None:
    """It has our pipe open, and would write for ever; it is left alone, as cron would."""
    beat.write({"a": {"commands": [sh("sleep 300 & echo $! > pid; echo done")]}})
    ended = beat.run("a")
    (pid,) = pids_in(beat.home / "pid")
    try:
        assert ended.code == 0 and ended.seconds < 100
        assert is_alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_command_that_closes_its_output_is_waited_for(beat: Beat) -> None:
    beat.write({"a": {"commands": [sh("exec >&- 2>&-; sleep 0.5; touch after; exit 5")]}})
    assert beat.run("a").code == 5
    assert (beat.home / "after").exists()


STUBBORN = """
trap '' TERM
echo $$ >> pids
setsid sh -c 'trap "" TERM; echo $$ >> pids; while :; do sleep 0.1; done' &
(setsid sh -c 'echo $$ >> pids; exec env -i sleep 300' &) &
while :; do sleep 0.1; done
"""


def test_the_time_is_over_for_all_of_them(beat: Beat) -> None:
    """Also for what ignores TERM, changed its session, was orphaned, or cleared its environment."""
    beat.write({"a": {"commands": [sh(STUBBORN), ["touch", "after"]], "timeout": "6s", "kill_after": "0.5s"}})
    ended = beat.run("a")
    assert ended.code == 124, ended.output
    assert "not done after 6 s" in ended.stderr
    pids = pids_in(beat.home / "pids")
    assert len(pids) == 3
    wait_until(lambda: not any(map(is_alive, pids)))
    assert not (beat.home / "after").exists()
    assert beat.runs() == [("a", "timeout", 124)]


def test_a_process_that_hears_term_can_tidy_up(beat: Beat) -> None:
    beat.write(
        {
            "a": {
                "commands": [sh("trap 'echo tidied > tidy; exit 0' TERM; sleep 60 & wait")],
                # As long as a shell may take on a busy machine to come to its trap.
                "timeout": "6s",
                "kill_after": "200s",
            }
        }
    )
    ended = beat.run("a")
    assert ended.code == 124 and ended.seconds < 100
    assert (beat.home / "tidy").read_text() == "tidied\n"


def test_the_timeout_is_for_all_commands_together(beat: Beat) -> None:
    beat.write({"a": {"commands": [["sleep", "0.4"]] * 5, "timeout": "1s"}})
    assert beat.run("a").code == 124


def test_term_ends_the_task_and_is_recorded(beat: Beat) -> None:
    beat.write({"a": {"commands": [sh("echo $$ > pid; sleep 300"), ["touch", "after"]]}})
    process = beat.start("run", beat.tasks, "a")
    wait_until(lambda: pids_in(beat.home / "pid"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(LONG) == 143
    assert not is_alive(pids_in(beat.home / "pid")[0])
    assert beat.runs() == [("a", "interrupted", 143)]
    assert not (beat.home / "after").exists()


def test_an_environment_without_home(beat: Beat, tmp_path: pathlib.Path) -> None:
    """Then the passwd database knows it; --cache and --config make it needless."""
    beat.write({"a": {"commands": [["true"]]}})
    (tmp_path / "empty.ini").touch()
    where = ("--cache", tmp_path / "cache", "--config", tmp_path / "empty.ini")
    ended = beat(*where, "run", beat.tasks, "a", environment={"HOME": None, "PATH": None})
    assert ended.code == 0, ended.output
    assert (tmp_path / "cache" / "cronbeat.sqlite").exists()


def test_names_that_are_not_ascii_without_lang(beat: Beat) -> None:
    beat.write({"Läuferin": {"commands": [["printf", "%s\n", "größe \u2026"], ["false"]]}})
    ended = beat.run("Läuferin", environment={"LC_ALL": "C"})
    assert ended.code == 1 and "Traceback" not in ended.stderr
    assert beat.sql("SELECT tail FROM runs") == [("größe \u2026",)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "missing.json", "a"), "missing.json: there is no such file"),
        (("run", "tasks.json", "b"), "there is no task 'b'; its tasks: a"),
        (("run", "tasks.json"), "Missing argument"),
        (("--config", "none.ini", "list"), "none.ini: there is no such file"),
        (("emit",), "no webhook is set"),
        (("frobnicate",), "No such command"),
        (("--log-level", "LOUD", "list"), "log-level 'LOUD' is not one of"),
    ],
)
def test_wrong_usage_is_one_plain_message(beat: Beat, arguments: tuple[str, ...], said: str) -> None:
    beat.write({"a": {"commands": [["true"]]}})
    ended = beat(*arguments)
    assert ended.code == 2 and said in ended.stderr and "Traceback" not in ended.stderr


def test_a_damaged_database_keeps_no_task_from_running(beat: Beat) -> None:
    beat.write({"a": {"commands": [["touch", "ran"]]}})
    beat.cache.mkdir()
    (beat.cache / "cronbeat.sqlite").write_bytes(b"not a database at all" * 100)
    ended = beat.run("a")
    assert ended.code == 0 and (beat.home / "ran").exists()
    assert "this run is not recorded" in ended.stderr and "move it away" in ended.stderr
    assert beat("list").code == 3


def test_the_log_file(beat: Beat) -> None:
    beat.ini(log_file=beat.home / "log" / "cronbeat.log")
    beat.write({"a": {"commands": [["false"]]}})
    beat.run("a")
    text = (beat.home / "log" / "cronbeat.log").read_text()
    assert "a: begins" in text and "a: failed" in text
    (beat.home / "log" / "cronbeat.log").write_text("x" * 1_100_000)
    beat.run("a")
    assert (beat.home / "log" / "cronbeat.log.1").stat().st_size == 1_100_000
    assert (beat.home / "log" / "cronbeat.log").stat().st_size < 10_000


def test_what_the_predecessor_left_is_not_touched(beat: Beat) -> None:
    beat.write({"a": {"commands": [["true"]], "pid": "lock"}})
    beat.cache.mkdir()
    left = {"a.json": "{broken", "lock.pid": "12345", "a": "\x80\x03}q\x00.", "cronbeat.db": "x"}
    for name, text in left.items():
        (beat.cache / name).write_text(text)
    assert beat.run("a").code == 0
    assert {name: (beat.cache / name).read_text() for name in left} == left
    assert beat.listed()["a"]["outcome"] == "ok"


def test_where_the_predecessor_left_a_file_as_its_cache(beat: Beat) -> None:
    beat.write({"a": {"commands": [["true"]]}})
    beat.cache.write_text("a pickle, perhaps")
    assert beat.run("a").code == 0
    assert beat.cache.read_text() == "a pickle, perhaps"
    assert (beat.home / ".cronbeat.d" / "cronbeat.sqlite").exists()


def test_nobody_else_may_read_what_tasks_wrote(beat: Beat) -> None:
    beat.write({"a": {"commands": [["echo", "hello"], sh("umask > mask")]}})
    beat.cache.mkdir(mode=0o755)
    beat.run("a")
    for path in beat.cache.rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o077 == 0, path
    assert (beat.home / "mask").read_text().strip() in (
        "0022",
        "022",
        "0002",
    )  # the task's own is not changed


def test_what_is_old_or_too_much_is_pruned(beat: Beat) -> None:
    beat.ini(keep_days=30, logs_size="200K")
    beat.write({"a": {"commands": [sh("head -c 90000 /dev/zero")]}})
    for _ in range(4):
        beat.run("a")
    logs = list((beat.cache / "logs").iterdir())
    assert len(logs) == 2
    assert len(beat.runs()) == 4
    beat.age(31 * 86400)
    for log in logs:
        os.utime(log, (0, 0))
    beat.run("a")
    assert len(beat.runs()) == 1
    assert len(list((beat.cache / "logs").iterdir())) == 1
