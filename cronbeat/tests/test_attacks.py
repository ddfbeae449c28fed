"""Tried on purpose: to lose an event, to tell it twice, to see the webhook, to hang it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading

import pytest
from cronbeat import cards
from harness import LONG, Beat, Receiver, is_alive, pids_in, sh, wait_until

SECRET = "9f2c4d1e7a6b4c0d8e3f"


def answering(data: bytes) -> tuple[socket.socket, str]:
    """A server that answers each connection with these bytes, whatever it was asked."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    return server, f"http://127.0.0.1:{server.getsockname()[1]}/hook/{SECRET}"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 500 No\r\nBroken Header Line\r\n: x\r\nRetry-After: soon\r\n\r\n",
        b"HTTP/1.1 429 No\r\nRetry-After: -5\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 429 No\r\nRetry-After: Fri, 99 Foo 99999 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 99999999999\r\n\r\nx",
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
        b"HTTP/1.1 301 No\r\nLocation: http://[broken\r\nContent-Length: 0\r\n\r\n",
        b"X" * 200_000,
    ],
)
def test_nonsense_from_the_receiver_is_no_delivery_and_shows_nothing(beat: Beat, answer: bytes) -> None:
    server, url = answering(answer)
    with server:
        beat.ini(webhook=url, log_file=beat.home / "log", log_level="DEBUG", http_timeout="60s")
        beat.write({"a": {"commands": [["true"]]}})
        beat.run("a")
        ended = beat("emit")
    assert ended.code == 3 and "kept for the next time" in ended.stderr, ended.output
    assert "Traceback" not in ended.stderr
    assert SECRET not in ended.output + (beat.home / "log").read_text()
    assert beat.sql("SELECT delivered FROM messages") == [(None,)]


@pytest.mark.parametrize(
    "ending",
    ["a b", "\u00e9\u4e2d", "%zz%00", "?sig=a b&x=\u00fc", "#fragment", "\\..\\", "x" * 5000, "@evil"],
)
def test_odd_addresses(beat: Beat, receiver: Receiver, ending: str) -> None:
    beat.ini(webhook=f"{receiver.url.partition('?')[0]}/{SECRET}{ending}")
    beat.write({"a": {"commands": [["true"]]}})
    beat.run("a")
    ended = beat("emit")
    assert ended.code in (0, 2, 3) and "Traceback" not in ended.stderr
    assert SECRET not in ended.output


@pytest.mark.parametrize(
    "address", ["http://[::1", "http://u:p@", "https://127.0.0.1:99999/x", "http://a..b/x", "http:///x"]
)
def test_addresses_that_are_none(beat: Beat, address: str) -> None:
    beat.ini(webhook=address + SECRET)
    beat.write({"a": {"commands": [["true"]]}})
    ended = beat("emit")
    beat.ini()
    beat.run("a")
    beat.ini(webhook=address + SECRET)
    ended = beat("emit")
    assert ended.code in (2, 3) and "Traceback" not in ended.stderr and SECRET not in ended.output


def test_a_server_of_tls_is_not_http_and_the_other_way(beat: Beat, receiver: Receiver) -> None:
    beat.ini(webhook=receiver.url.replace("http:", "https:"))
    beat.write({"a": {"commands": [["true"]]}})
    beat.run("a")
    ended = beat("emit")
    assert ended.code == 3 and "no TLS connection" in ended.stderr


def test_a_pipe_in_place_of_the_tasks_file_is_not_waited_for(beat: Beat) -> None:
    os.mkfifo(beat.home / "pipe")
    ended = beat("run", "pipe", "a")
    assert ended.code == 2 and "is not a file" in ended.stderr


def test_a_tasks_file_whose_name_is_not_utf8(beat: Beat) -> None:
    name = os.fsdecode(b"t\xff.json")
    (beat.home / name).write_text('{"a": {"commands": [["true"]]}}')
    for command in ("run", "check", "forget"):
        ended = beat(command, name, *(["a"] if command == "run" else []))
        assert ended.code == 2 and "is not UTF-8" in ended.stderr and "Traceback" not in ended.stderr


def test_a_reader_that_goes_away(beat: Beat) -> None:
    beat.write({f"task-{number}": {"commands": [["true"]]} for number in range(3000)})
    process = beat.start("list", beat.tasks)
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(LONG) in (0, 141)
    assert process.stderr.read() == ""


def test_the_reader_of_verbose_output_goes_away(beat: Beat) -> None:
    beat.write({"a": {"commands": [sh("for i in 1 2 3 4 5; do seq 50000; done; touch ran")]}})
    process = beat.start("run", "-v", beat.tasks, "a")
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()
    process.wait(LONG)
    assert (beat.home / "ran").exists()
    assert beat.runs() == [("a", "ok", 0)]


CHAIN = """
import os, time
while True:  # a new session and a new process id, a hundred times a second
    if os.fork():
        os._exit(0)
    os.setsid()
    with open("pids", "a") as stream:
        stream.write(f"{os.getpid()}\\n")
    time.sleep(0.01)
"""


def test_a_chain_of_processes_that_runs_away(beat: Beat) -> None:
    """The command ends at once; its descendants change process id and session all the time."""
    script = f"{sys.executable} -c '{CHAIN}' & sleep 300"
    beat.write({"a": {"commands": [sh(script)], "timeout": "5s", "kill_after": "0.3s"}})
    ended = beat.run("a")
    assert ended.code == 124 and "cannot be ended" not in ended.stderr, ended.output
    size = (beat.home / "pids").stat().st_size
    assert not any(map(is_alive, pids_in(beat.home / "pids")))
    assert (beat.home / "pids").stat().st_size == size


def test_output_without_end_is_stopped_in_time(beat: Beat) -> None:
    beat.write({"a": {"commands": [["yes"]], "timeout": "1s", "kill_after": "0.5s"}})
    ended = beat.run("a")
    assert ended.code == 124 and ended.seconds < 100


def test_the_open_database_of_a_stopped_process_does_not_hold_a_run_up_for_ever(beat: Beat) -> None:
    beat.write({"a": {"commands": [["touch", "ran"]]}})
    beat("list", beat.tasks)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sqlite3, sys, time\n"
            "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "database.execute('BEGIN IMMEDIATE'); print('held', flush=True); time.sleep(300)",
            beat.cache / "cronbeat.sqlite",
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        impatient = (
            "import sys; from cronbeat import cli, state; state.WAIT = 1; sys.exit(cli.main(sys.argv[1:]))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", impatient, "run", beat.tasks, "a"],
            env={"HOME": str(beat.home), "PATH": "/usr/bin:/bin"},
            cwd=beat.home,
            stderr=subprocess.PIPE,
            timeout=LONG,
        )
        assert ended.returncode == 0 and b"not recorded" in ended.stderr
        assert (beat.home / "ran").exists()
    finally:
        holder.kill()
        holder.communicate()


def test_a_json_message_stays_small_enough_to_be_taken() -> None:
    entry = {
        "task": "a",
        "lines": ["x" * 500] * 5,
        "counts": {"failed": 1},
        "failures": [{"tail": "x" * 2500}] * 10,
    }
    data = cards.body({"id": "1", "title": "t", "tone": "good", "entries": [entry] * 50}, "json")
    assert len(data) <= cards.LARGEST_JSON
    assert len(json.loads(data)["entries"]) == 50


def test_a_command_cannot_let_go_of_another_ones_lock(beat: Beat) -> None:
    """Only what cronbeat started has the lock's descriptor; closing it lets nothing go."""
    beat.write(
        {
            "a": {
                "commands": [
                    sh("for f in 3 4 5 6 7 8 9; do eval exec $f'>&-'; done; touch began; sleep 300")
                ],
                "pid": "x",
            }
        }
    )
    beat.start("run", beat.tasks, "a")
    wait_until((beat.home / "began").exists)
    assert beat.run("a").code == 75


def test_a_disk_that_the_output_fills_still_takes_how_the_run_ended(beat: Beat) -> None:
    """On a real, small file system, which goes with the process that mounted it."""
    beat.write({"a": {"commands": [sh("seq 200000; touch ran; exit 5")]}})
    cronbeat = f"{sys.executable} -m cronbeat --cache small/cache"
    script = (
        f"mkdir small; mount -t tmpfs -o size=300k tmpfs small || exit 99; {cronbeat} run tasks.json a; echo code $?;"
        f" {cronbeat} list --json"
    )
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    ended = subprocess.run(
        [*unshare, "sh", "-c", script],
        cwd=beat.home,
        env={"HOME": str(beat.home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    if ended.returncode in (1, 99) and "code" not in ended.stdout:
        pytest.skip(f"no mount of our own here: {ended.stderr}")
    code, _, listed = ended.stdout.partition("\n")
    assert code == "code 5" and (beat.home / "ran").exists()
    assert "its log is not complete: No space left on device" in ended.stderr
    (task,) = json.loads(listed)
    assert (task["outcome"], task["code"]) == ("failed", 5), ended.stderr
