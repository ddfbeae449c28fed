"""A real child process: its lines, its end, and that it dies with us."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from embedded.tools import PROJECT
from sync_to_azure.uploaders.process import Child, run_briefly
from tests.passes.scene import eventually


def child(script: str, folder: pathlib.Path) -> Child:
    return Child([sys.executable, "-uc", textwrap.dedent(script)], {"PATH": os.environ["PATH"]}, str(folder))


def lines_of(process: Child, seconds: float = 200.0) -> list[str]:
    lines, ends = [], time.monotonic() + seconds
    while not process.ended:
        assert time.monotonic() < ends, lines[-3:]
        line = process.line(0.1)
        if line is not None:
            lines.append(line)
    return lines


def gone(pid: int, seconds: float = 60.0) -> bool:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_all_lines_of_both_outputs_then_the_exit_code(tmp_path: pathlib.Path) -> None:
    script = r"""
        import os, sys
        os.write(1, b"one\r\ntwo \xff\n\n")
        os.write(2, b"three, without an end")
        sys.exit(7)
    """
    with child(script, tmp_path) as process:
        assert lines_of(process) == ["one", "two \ufffd", "", "three, without an end"]
        assert process.line(0.1) is None
        assert process.exit_code() == 7


def test_more_lines_than_the_queue_holds_are_all_taken(tmp_path: pathlib.Path) -> None:
    with child("for number in range(5000): print(number)", tmp_path) as process:
        assert lines_of(process) == [str(number) for number in range(5000)]
        assert process.exit_code() == 0


def test_of_a_line_of_megabytes_head_and_tail_are_kept(tmp_path: pathlib.Path) -> None:
    with child("print('head' + 'x' * 50_000_000 + 'tail'); print('next')", tmp_path) as process:
        long, following = lines_of(process)
        assert long.startswith("headx") and long.endswith("xtail")
        assert len(long) < 200_000
        assert following == "next"


def test_its_input_is_open_and_silent(tmp_path: pathlib.Path) -> None:
    """At the end of an input AzCopy reads again and again; an end can be read, silence cannot."""
    with child("import select; print(select.select([0], [], [], 0.2)[0])", tmp_path) as process:
        assert lines_of(process) == ["[]"]


@pytest.mark.parametrize("length", [262_143, 262_144, 262_145, 524_288])
def test_lines_around_the_limit_do_not_run_into_the_next(tmp_path: pathlib.Path, length: int) -> None:
    with child(f"print('a' * {length}); print('next')", tmp_path) as process:
        long, following = lines_of(process)
        assert set(long) <= {"a", " ", "."} and long[0] == long[-1] == "a"
        assert following == "next"


def test_a_child_that_ends_in_order_on_the_first_signal(tmp_path: pathlib.Path) -> None:
    script = """
        import signal, sys, time
        signal.signal(signal.SIGINT, lambda *_: sys.exit(3))
        print("ready")
        time.sleep(600)
    """
    with child(script, tmp_path) as process:
        assert process.line(100.0) == "ready"
        process.end()
        # Killed, it would be -9.
        assert process.exit_code() == 3


def test_a_child_that_ignores_us_and_floods_is_killed_and_leaves_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only to be quick: the grace is 5 s.
    monkeypatch.setattr("sync_to_azure.uploaders.process._GRACE", 0.3)
    script = """
        import os, signal
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(os.getpid())
        while True:
            print("x" * 1000)
    """
    others, descriptors = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))
    with child(script, tmp_path) as process:
        pid = int(process.line(100.0) or 0)
        began = time.monotonic()
    assert time.monotonic() - began < 100
    assert gone(pid)
    assert process.ended
    # What others before us left behind may end meanwhile.
    assert eventually(lambda: not set(threading.enumerate()) - others)
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_its_children_are_ended_with_it(tmp_path: pathlib.Path) -> None:
    script = """
        import subprocess, time
        inner = subprocess.Popen(["sleep", "600"])
        print(inner.pid)
        time.sleep(600)
    """
    with child(script, tmp_path) as process:
        inner = int(process.line(100.0) or 0)
    assert gone(inner)


def test_a_child_that_ended_is_not_waited_for_because_of_what_it_left_behind(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync_to_azure.uploaders.process._GRACE", 0.3)
    script = """
        import subprocess
        print(subprocess.Popen(["sleep", "600"]).pid)
    """
    with child(script, tmp_path) as process:
        (left,) = lines_of(process)
        assert process.exit_code() == 0
    os.kill(int(left), signal.SIGKILL)


def test_one_that_closes_its_output_and_lives_on_is_ended(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As long as a signal may take to arrive on a busy machine: then it is killed.
    monkeypatch.setattr("sync_to_azure.uploaders.process._GRACE", 4.0)
    script = """
        import os, signal, time
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.close(1); os.close(2)
        time.sleep(600)
    """
    with child(script, tmp_path) as process:
        assert lines_of(process) == []
        assert process.exit_code() == -signal.SIGINT


PARENT = """
import os, sys
sys.path.insert(0, sys.argv[1])
from sync_to_azure.uploaders.process import Child
script = "import signal, os, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(os.getpid()); time.sleep(600)"
child = Child([sys.executable, "-uc", script], dict(os.environ), "/")
print(child.line(100), flush=True)
sys.stdin.read()
"""


def test_it_dies_with_us_also_on_sigkill(tmp_path: pathlib.Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(PROJECT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not gone(pid, 0.2)
        parent.kill()
    assert gone(pid)


def test_a_program_that_is_not_there(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        Child([str(tmp_path / "missing")], {}, str(tmp_path))


def test_a_brief_run(tmp_path: pathlib.Path) -> None:
    assert run_briefly(
        ["sh", "-c", "echo out; echo err >&2; exit 3"], {"PATH": os.environ["PATH"]}, 100.0
    ) == (
        3,
        "out\nerr\n",
    )
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        run_briefly(["sh", "-c", "sleep 300 & sleep 300"], {"PATH": os.environ["PATH"]}, 0.2)
    assert time.monotonic() - began < 100
