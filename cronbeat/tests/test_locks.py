"""Locks, crashes, many at once: real processes that are killed hard."""

from __future__ import annotations

import os
import signal
import time

from harness import LONG, Beat, is_alive, kill_hard, pids_in, sh, wait_until


def test_a_shared_lock_skips_the_second(beat: Beat) -> None:
    beat.write(
        {
            "a": {"commands": [sh("echo $$ > pid; sleep 300")], "pid": "lake"},
            "b": {"commands": [["touch", "b-ran"]], "pid": "lake"},
            "c": {"commands": [["true"]], "pid": "other"},
        }
    )
    process = beat.start("run", beat.tasks, "a")
    wait_until(lambda: pids_in(beat.home / "pid"))
    ended = beat.run("b")
    assert ended.code == 75 and "the lock 'lake' is held" in ended.stderr
    assert not (beat.home / "b-ran").exists()
    assert beat.run("c").code == 0
    process.send_signal(signal.SIGTERM)
    process.wait(LONG)
    assert beat.run("b").code == 0
    assert [each[1] for each in beat.runs()] == ["interrupted", "skipped", "ok", "ok"]


def test_who_wants_can_wait_for_the_lock(beat: Beat) -> None:
    beat.write(
        {
            "a": {
                "commands": [sh("touch began; while [ ! -e go ]; do sleep 0.05; done; echo a >> order")],
                "pid": "x",
            },
            "b": {"commands": [sh("echo b >> order")], "pid": "x", "lock_wait": "300s"},
        }
    )
    first = beat.start("run", beat.tasks, "a")
    wait_until((beat.home / "began").exists)
    second = beat.start("run", beat.tasks, "b")
    (beat.home / "go").touch()
    assert first.wait(LONG) == 0 and second.wait(LONG) == 0
    assert (beat.home / "order").read_text() == "a\nb\n"


def test_a_task_that_starts_another_with_its_own_lock_does_not_hang(beat: Beat) -> None:
    import sys

    inner = [sys.executable, "-m", "cronbeat", "run", str(beat.tasks), "b"]
    beat.write(
        {"a": {"commands": [inner], "pid": "x"}, "b": {"commands": [["true"]], "pid": "x", "lock_wait": "1s"}}
    )
    ended = beat.run("a")
    assert ended.code == 75


def test_a_daemon_left_behind_does_not_keep_the_lock(beat: Beat) -> None:
    beat.write({"a": {"commands": [sh("sleep 300 >/dev/null 2>&1 & echo $! > pid")], "pid": "x"}})
    assert beat.run("a").code == 0
    try:
        assert is_alive(pids_in(beat.home / "pid")[0])
        beat.write({"a": {"commands": [["true"]], "pid": "x"}})
        assert beat.run("a").code == 0
    finally:
        os.kill(pids_in(beat.home / "pid")[0], signal.SIGKILL)


def test_a_run_that_was_killed_is_lost_and_told(beat: Beat) -> None:
    beat.write({"a": {"commands": [sh("echo $$ > pid; exec sleep 300")]}})
    process = beat.start("run", beat.tasks, "a")
    wait_until(lambda: pids_in(beat.home / "pid"))
    assert beat.listed()["a"]["running_since"] is not None
    assert beat.runs() == [("a", "running", None)]
    kill_hard(process)
    try:
        listed = beat.listed()["a"]
        assert (listed["outcome"], listed["running_since"]) == ("lost", None)
        assert "its process is gone" in listed["reason"]
    finally:
        os.kill(pids_in(beat.home / "pid")[0], signal.SIGKILL)


def test_commands_that_outlive_a_killed_run_keep_its_lock(beat: Beat) -> None:
    """The task is still at work: a second one beside it is what the lock is there to prevent."""
    beat.write({"a": {"commands": [sh("echo $$ >> pid; exec sleep 300")], "pid": "x"}})
    process = beat.start("run", beat.tasks, "a")
    wait_until(lambda: pids_in(beat.home / "pid"))
    kill_hard(process)
    (pid,) = pids_in(beat.home / "pid")
    ended = beat.run("a")
    assert ended.code == 75 and f"whose process {pid} goes on" in ended.stderr
    os.kill(pid, signal.SIGKILL)
    beat.write({"a": {"commands": [["true"]], "pid": "x"}})
    wait_until(lambda: not is_alive(pid))
    assert beat.run("a").code == 0


def test_what_a_killed_run_left_is_ended_when_its_time_is_over(beat: Beat) -> None:
    script = "setsid sh -c 'echo $$ >> pid; exec sleep 300' & echo $$ >> pid; wait"
    beat.write({"a": {"commands": [sh(script)], "pid": "x", "timeout": "1h"}})
    process = beat.start("run", beat.tasks, "a")
    wait_until(lambda: len(pids_in(beat.home / "pid")) == 2)
    kill_hard(process)
    pids = pids_in(beat.home / "pid")
    assert beat.run("a").code == 75
    beat.age(3700)
    beat.write({"a": {"commands": [["true"]], "pid": "x", "timeout": "1h"}})
    ended = beat.run("a")
    assert ended.code == 0, ended.output
    assert "left by a killed run whose time is over" in ended.stderr
    assert not any(map(is_alive, pids))


def test_after_a_reboot_with_the_process_id_taken_by_another(beat: Beat) -> None:
    """A lock file and a 'running' record from before hold nothing and nobody up."""
    beat.write({"a": {"commands": [["true"]], "pid": "x"}})
    beat.run("a")
    (beat.cache / "locks" / "x").write_text("1")
    beat.sql(
        "INSERT INTO runs (uid, file, task, started, outcome, log, lock)"
        " VALUES ('u', ?, 'a', ?, 'running', 'gone', 'x')",
        str(beat.tasks),
        time.time() - 500,
    )
    assert beat.run("a").code == 0
    assert [each[1] for each in beat.runs()] == ["ok", "lost", "ok"]


def test_twenty_at_once_into_an_empty_folder(beat: Beat) -> None:
    tasks = {
        f"t{number}": {"commands": [sh(f"echo {number} >> all; exit {number % 3}")]} for number in range(20)
    }
    beat.write(tasks)
    processes = [beat.start("run", beat.tasks, name) for name in tasks]
    codes = [process.wait(LONG) for process in processes]
    errors = [process.stderr.read() for process in processes if process.stderr]
    assert codes == [number % 3 for number in range(20)], errors
    assert not any("not recorded" in text or "Traceback" in text for text in errors)
    assert sorted(beat.runs()) == sorted(
        (f"t{number}", "failed" if number % 3 else "ok", number % 3) for number in range(20)
    )


def test_twenty_that_share_a_lock_never_overlap(beat: Beat) -> None:
    script = "mkdir inside || touch overlap; sleep 0.02; rmdir inside; echo x >> done"
    beat.write({"a": {"commands": [sh(script)], "pid": "x", "lock_wait": "300s"}})
    processes = [beat.start("run", beat.tasks, "a") for _ in range(20)]
    assert [process.wait(LONG) for process in processes] == [0] * 20
    assert not (beat.home / "overlap").exists()
    assert (beat.home / "done").read_text() == "x\n" * 20


def test_killed_at_any_moment_the_state_stays_whole(beat: Beat) -> None:
    beat.write({"a": {"commands": [["true"]], "pid": "x"}})
    beat.run("a")
    for number in range(12):
        process = beat.start("run", beat.tasks, "a")
        time.sleep(0.03 * number)  # nothing to wait for: any moment will do
        kill_hard(process)
    assert beat.sql("PRAGMA integrity_check") == [("ok",)]
    wait_until(lambda: beat.run("a").code == 0)
    assert "running" not in {each[1] for each in beat.runs()}
