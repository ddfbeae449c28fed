"""What is drawn on a real terminal (a pty whose screen is followed), and how the table lines up."""

from __future__ import annotations

import collections.abc
import dataclasses
import fcntl
import io
import logging
import os
import pty
import re
import struct
import termios
import threading
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_to_azure.core.clock import Clock
from sync_to_azure.core.model import Progress, RunLine, State
from sync_to_azure.notify import log
from sync_to_azure.notify.redact import Redactor
from sync_to_azure.notify.terminal import (
    ProgressLine,
    columns,
    cut,
    human_rate,
    human_size,
    human_time,
    progress_text,
    table,
)

RUN = "170609_NB551051_0017_AHLFFJBGX2"
HALF = Progress(RUN, "upload", 1000, 2000, 20_000_000_000, 40_000_000_000, 85_000_000.0)


class HandClock(Clock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class Terminal:
    """A real terminal: ``stream`` to write to, and what arrived."""

    def __init__(self, width: int) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        self.stream: typing.TextIO = open(theirs, "w", encoding="utf-8")
        self._pieces: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while piece := os.read(self._ours, 65536):
                self._pieces.append(piece)
        except OSError:  # Linux says EIO when the other side is closed
            pass

    def drawn(self) -> str:
        """Everything written; ends the terminal."""
        self.stream.close()
        self._reader.join()
        os.close(self._ours)
        return b"".join(self._pieces).decode()


def _screen(drawn: str) -> list[str]:
    """What a person sees after ``drawn``: carriage returns and "erase to the end of the line" are followed."""
    lines = []
    for text in drawn.replace("\r\n", "\n").split("\n"):
        line = ""
        for piece in text.split("\r"):
            kept = "" if "\x1b[K" in piece else line[len(piece) :]
            line = piece.replace("\x1b[K", "") + kept
        lines.append(line)
    return lines


@pytest.fixture
def terminal() -> collections.abc.Iterator[Terminal]:
    yield Terminal(100)


def test_one_line_says_run_step_files_bytes_rate_and_time_left(terminal: Terminal) -> None:
    line = ProgressLine(terminal.stream, HandClock())
    line.update(HALF)
    assert _screen(terminal.drawn()) == [
        "170609_NB551051_0017_AHLF…  upload  1000/2000 files  20.0 GB of 40.0 GB  85.0 MB/s  3 min 55 s left"
    ]


def test_it_is_redrawn_at_most_five_times_a_second(terminal: Terminal) -> None:
    clock = HandClock()
    line = ProgressLine(terminal.stream, clock)
    for step in range(1001):
        clock.seconds = step / 1000
        line.update(dataclasses.replace(HALF, files_done=step))
    drawn = terminal.drawn()
    assert 5 <= drawn.count("\r") <= 6
    assert "\n" not in drawn


def test_closing_leaves_an_empty_line_and_nothing_follows(terminal: Terminal) -> None:
    line = ProgressLine(terminal.stream, HandClock())
    line.update(HALF)
    line.close()
    line.update(HALF)
    line.close()
    assert _screen(terminal.drawn()) == [""]


def test_log_lines_stand_alone(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    clock = HandClock()
    setup = log.set_up("INFO", None, Redactor(), terminal.stream)
    try:
        line = ProgressLine(terminal.stream, clock)
        setup.attach(line)
        line.update(HALF)
        logging.getLogger("sync_to_azure.x").info("published")
        clock.seconds = 1
        line.update(HALF)
        setup.attach(None)
    finally:
        setup.close()
    first, second = _screen(terminal.drawn())
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO    published", first)
    assert second.startswith("170609_NB551051_0017_")


@pytest.mark.parametrize("width", [1, 5, 20, 60, 79])
@pytest.mark.parametrize("run", [RUN, "日本語のとても長い名前です" * 4, "e\u0301" * 80, "a\r\n\x1b[2J\u202e"])
def test_the_line_never_wraps(width: int, run: str) -> None:
    terminal = Terminal(width)
    ProgressLine(terminal.stream, HandClock()).update(dataclasses.replace(HALF, run=run))
    drawn = terminal.drawn()
    (seen,) = _screen(drawn)
    assert columns(seen) < width or width == 1
    assert drawn.count("\x1b") == 1 and "\n" not in drawn


def test_a_terminal_that_does_not_know_its_width_has_eighty_columns() -> None:
    terminal = Terminal(0)
    ProgressLine(terminal.stream, HandClock()).update(dataclasses.replace(HALF, run="x" * 200))
    assert columns(_screen(terminal.drawn())[0]) == 79


def test_nothing_is_written_to_a_pipe_or_a_closed_stream() -> None:
    reader, writer = os.pipe()
    with open(writer, "w") as stream:
        line = ProgressLine(stream, HandClock())
        line.update(HALF)
        line.close()
    with open(reader) as stream:
        assert stream.read() == ""
    ProgressLine(stream, HandClock()).update(HALF)


def test_a_terminal_that_goes_away_ends_the_drawing_only() -> None:
    terminal = Terminal(80)
    clock = HandClock()
    line = ProgressLine(terminal.stream, clock)
    line.update(HALF)
    terminal.drawn()
    clock.seconds = 1
    line.update(HALF)
    line.close()


def test_a_terminal_without_unicode_gets_what_it_can_show() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    ProgressLine(stream, HandClock(), enabled=True).update(dataclasses.replace(HALF, run="日本" * 50))
    stream.seek(0)
    assert "??" in stream.read()


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (
            100,
            "170609_NB551051_0017_AHLF…  upload  1000/2000 files  20.0 GB of 40.0 GB  85.0 MB/s  3 min 55 s left",
        ),
        (80, "170609_NB551051_…  upload  1000/2000 files  20.0 GB of 40.0 GB  3 min 55 s left"),
        (60, "170609_NB5510…  upload  20.0 GB of 40.0 GB  3 min 55 s left"),
    ],
)
def test_a_narrow_terminal_still_shows_the_time_left(width: int, shown: str) -> None:
    assert progress_text(HALF, width - 1) == shown and columns(shown) == width - 1


def test_what_is_not_known_is_left_out() -> None:
    assert progress_text(Progress("r", "list", 12), 80) == "r  list  12 files"
    assert progress_text(Progress("r", "hash", 1, 2, 500), 80) == "r  hash  1/2 files  500 B"
    assert (
        progress_text(Progress("r", "hash", 2, 2, 10, 10, 5.0), 80)
        == "r  hash  2/2 files  10 B of 10 B  5 B/s"
    )


LINES = [
    RunLine(RUN, State.PUBLISHED, "", 2000, 1_200_000_000, 100.0, 1000, 600_000_000),
    RunLine("日本", State.WAITING, "waiting: CopyComplete.txt is missing"),
    RunLine("evil\x1b[2J\n", State.FAILING, "b\rc", 1, 0, 0.5),
]


def test_the_table_is_aligned() -> None:
    assert table(LINES) == "\n".join(
        [
            "run                              state      files    size        time      rate  reason",
            "170609_NB551051_0017_AHLFFJBGX2  published   2000  1.2 GB  1 min 40 s  6.0 MB/s",
            "日本                             waiting        -       -           -         -  "
            "waiting: CopyComplete.txt is missing",
            "evil\\x1b[2J\\n                    failing        1     0 B       0.5 s         -  b\\rc",
        ]
    )
    assert table([]) == ""


def test_reasons_are_wrapped_and_names_never_cut() -> None:
    reason = "the file Data/Intensities/s_1_1101.bcl changed after verification; decide what is right"
    lines = [RunLine(RUN, State.FLAGGED, reason, 2000, 10**9, 10.0, 5, 10**6)]
    for width in (200, 110, 80, 40):
        text = table(lines, width)
        assert RUN in text and " ".join(text.split()).endswith(reason)
        assert all(columns(line) <= max(width, 78) for line in text.split("\n"))
    assert len(table(lines, 200).split("\n")) == 2
    unbroken = table([RunLine("r", State.FLAGGED, "x" * 300)], 100)
    assert max(columns(line) for line in unbroken.split("\n")) <= 100 and unbroken.count("x") == 300


def test_colours_only_when_asked_and_still_aligned() -> None:
    assert "\x1b" not in table(LINES)
    coloured = table(LINES, colours=True)
    assert "\x1b[32mpublished\x1b[0m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == table(LINES)


@given(st.text(), st.integers(0, 60))
def test_cut_never_exceeds(text: str, width: int) -> None:
    assert columns(cut(text, width)) <= width


@given(st.text(st.sampled_from("ab 漢語x"), max_size=200), st.integers(1, 120))
def test_wrapping_loses_no_word(reason: str, width: int) -> None:
    text = table([RunLine("r", State.FLAGGED, reason)], width)
    assert "".join(text.split("flagged")[1].replace("-", "").split()) == "".join(reason.split())


def test_sizes_times_and_rates() -> None:
    sizes = [0, 999, 1000, 1_234_567_890, 999_949, 999_950, 10**12, 2 * 10**18]
    assert [human_size(size) for size in sizes] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.2 GB",
        "999.9 kB",
        "1.0 MB",
        "1.0 TB",
        "2.0 EB",
    ]
    times = [0, 0.04, 0.4, 1, 59.6, 200, 7500, 86_400 * 3 + 3600 * 4]
    assert [human_time(seconds) for seconds in times] == [
        "0 s",
        "0.0 s",
        "0.4 s",
        "1 s",
        "1 min",
        "3 min 20 s",
        "2 h 5 min",
        "3 d 4 h",
    ]
    assert human_rate(85_000_000) == "85.0 MB/s"
    assert human_time(float("inf")) == human_size(float("nan")) == "?"
