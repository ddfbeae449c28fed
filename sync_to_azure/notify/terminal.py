"""What a person at a terminal sees: one live line while a run is uploaded, tables, colours.

No library draws them. With rich a table of 1,000 runs took 1.8 s of processor time, here 0.02 s, and its import 0.1 s;
and a table that goes to a pipe, a mail or the log has to be made of plain lines anyway.
"""

from __future__ import annotations

import itertools
import math
import os
import threading
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import TextIO

from sync_to_azure.core.clock import Clock
from sync_to_azure.core.model import Progress, RunLine, State
from sync_to_azure.notify.redact import plain

SECONDS_BETWEEN_DRAWINGS = 0.2
_FALLBACK_WIDTH = 80
_NAME_WIDTH = 12
_REASON_WIDTH = 24
_HEADINGS = ("run", "state", "files", "size", "time", "rate", "reason")
_RIGHT = {"files", "size", "time", "rate"}
_COLOURS = {
    State.PUBLISHED: "32",
    State.REMOVED: "32",
    State.VERIFIED: "32",
    State.FLAGGED: "31",
    State.FAILING: "31",
    State.GONE: "31",
    State.WAITING: "33",
    State.EXPECTED: "33",
}


class ProgressLine:
    """One line, redrawn in place at most five times a second; on anything but a terminal it does nothing.

    ``enabled``: None asks the stream. Give it to ``LogSetup.attach``, so that log lines never run into it. It may
    be used from several threads. A terminal that goes away ends the drawing, not the pass.
    """

    def __init__(self, stream: TextIO, clock: Clock, enabled: bool | None = None) -> None:
        self._stream = stream
        self._clock = clock
        self._enabled = _is_terminal(stream) if enabled is None else enabled
        self._drawn = False
        self._next = -math.inf
        self._lock = threading.RLock()

    def update(self, progress: Progress) -> None:
        """Shows ``progress``, unless the last drawing is too short ago."""
        if not self._enabled:
            return
        with self._lock:
            now = self._clock.monotonic()
            if now < self._next:
                return
            self._next = now + SECONDS_BETWEEN_DRAWINGS
            self._drawn = True
            self._write("\r" + progress_text(progress, terminal_width(self._stream) - 1) + "\x1b[K")

    def clear(self) -> None:
        """Takes the line away; the next ``update`` brings it back."""
        with self._lock:
            if self._drawn:
                self._drawn = False
                self._write("\r\x1b[K")

    def close(self) -> None:
        """Takes the line away for good."""
        self.clear()
        self._enabled = False

    def _write(self, text: str) -> None:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            self._stream.write(text.encode(encoding, "replace").decode(encoding))
            self._stream.flush()
        except (OSError, ValueError):
            self._enabled = False


def progress_text(progress: Progress, width: int) -> str:
    """``progress`` in at most ``width`` columns. The numbers matter more than the end of a long name, and the time that
    is left more than rate and files."""
    step, files = plain(progress.step), f"{_of(progress.files_done, progress.files_total)} files"
    size = rate = left = ""
    if progress.bytes_total:
        size = f"{human_size(progress.bytes_done)} of {human_size(progress.bytes_total)}"
    elif progress.bytes_done:
        size = human_size(progress.bytes_done)
    if progress.rate > 0:
        rate = human_rate(progress.rate)
        if progress.bytes_total > progress.bytes_done:
            left = f"{human_time((progress.bytes_total - progress.bytes_done) / progress.rate)} left"
    numbers = ""
    for parts in ((step, files, size, rate, left), (step, files, size, left), (step, size or files, left)):
        numbers = "  ".join(filter(None, parts))
        if columns(numbers) + 2 + _NAME_WIDTH <= width:
            break
    name = cut(plain(progress.run), max(width - columns(numbers) - 2, _NAME_WIDTH))
    return cut(f"{name}  {numbers}", width)


def _of(done: int, total: int) -> str:
    return f"{done}/{total}" if total else str(done)


def table(lines: Sequence[RunLine], width: int | None = None, colours: bool = False) -> str:
    """The runs of a pass; "" if there are none. The rate: what was sent in this pass over the run's wall time."""
    styles = [{1: _COLOURS.get(line.state, "")} for line in lines]
    return grid(_HEADINGS, [_cells(line) for line in lines], _RIGHT, width, styles if colours else None)


def grid(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Collection[str],
    width: int | None = None,
    styles: Sequence[Mapping[int, str]] | None = None,
) -> str:
    """An aligned table without a final line end; "" without rows. A cell is one line.

    ``width`` in columns: the last column is wrapped to it, names never cut (they are there to be copied); None: as long
    as they are. ``right``: headings of columns of numbers. ``styles``: for each row, colours (SGR codes) of cells.
    """
    if not rows:
        return ""
    rows = [[plain(cell) for cell in row] for row in rows]
    every = [headings, *rows]
    last = len(headings) - 1
    widths = [max(map(columns, cells)) for cells in itertools.islice(zip(*every), last)]
    indent = sum(widths) + 2 * len(widths)
    below = width is not None and width - indent < _REASON_WIDTH
    text: list[str] = []
    for number, row in enumerate(every):
        cells = [_pad(cell, widths[at], headings[at] in right) for at, cell in enumerate(row[:last])]
        if styles is not None:
            for at, colour in {1: "1"}.items() if number == 0 else styles[number - 1].items():
                cells[at] = painted(cells[at], colour)
        reason = _wrapped(row[last], width, indent) if number else ("" if below else row[last])
        text.extend(line.rstrip() for line in ("  ".join(cells) + "  " + reason).split("\n"))
    return "\n".join(text)


def _cells(line: RunLine) -> tuple[str, ...]:
    counted = bool(line.files or line.bytes)
    return (
        plain(line.run),
        line.state.value,
        str(line.files) if counted else "-",
        human_size(line.bytes) if counted else "-",
        human_time(line.seconds) if line.seconds > 0 else "-",
        human_rate(line.sent_bytes / line.seconds) if line.seconds > 0 and line.sent_bytes else "-",
        plain(line.reason),
    )


def _wrapped(reason: str, width: int | None, indent: int) -> str:
    """The reason in its column; below the row, at the left, where the column would be too narrow."""
    if width is None or indent + columns(reason) <= width:
        return reason
    if width - indent >= _REASON_WIDTH:
        return ("\n" + " " * indent).join(folded(reason, width - indent))
    return "".join("\n    " + part for part in folded(reason, max(width - 4, _REASON_WIDTH)))


def folded(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` columns, broken at spaces where there are any."""
    lines, line = [], ""
    for word in text.split(" "):
        while line and columns(line) + 1 + columns(word) > width or columns(word) > width:
            if line:
                lines.append(line)
                line = ""
                continue
            head = _prefix(word, width) or word[0]
            lines.append(head)
            word = word[len(head) :]
        line = f"{line} {word}" if line else word
    return [*lines, line] if line else lines


def columns(text: str) -> int:
    """How many columns a terminal gives to ``text``: East Asian wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def cut(text: str, width: int) -> str:
    """``text`` in at most ``width`` columns, with an ellipsis where something is missing."""
    if columns(text) <= width:
        return text
    return _prefix(text, width - 1) + "…" if width > 0 else ""


def _prefix(text: str, width: int) -> str:
    """The longest beginning of ``text`` in ``width`` columns."""
    used = 0
    for at, character in enumerate(text):
        used += _columns_of(character)
        if used > width:
            return text[:at]
    return text


def _pad(text: str, width: int, right: bool) -> str:
    if text.isascii():
        return text.rjust(width) if right else text.ljust(width)
    blanks = " " * (width - columns(text))
    return blanks + text if right else text + blanks


def terminal_width(stream: TextIO) -> int:
    """Columns of the terminal behind ``stream``; 80 where it does not know them."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or _FALLBACK_WIDTH
    except (OSError, ValueError):
        return _FALLBACK_WIDTH


def is_coloured(stream: TextIO) -> bool:
    """Is it a terminal of somebody who wants colours? https://no-color.org: NO_COLOR, with any value but an empty one,
    says no."""
    return _is_terminal(stream) and not os.environ.get("NO_COLOR")


def painted(text: str, colour: str) -> str:
    """``text`` in a colour (SGR code); for ``output.show(…, coloured=True)``."""
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # closed
        return False


def human_size(size: float) -> str:
    """Bytes in decimal units, as disks and clouds are sold: 999 B, 1.2 GB."""
    if not math.isfinite(size):
        return "?"
    if abs(size) < 999.5:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        size /= 1000
        if abs(size) < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} EB"


def how_many(count: int, thing: str) -> str:
    """1 file, 2 files."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def human_rate(rate: float) -> str:
    """Bytes a second: 85.0 MB/s."""
    return f"{human_size(rate)}/s"


def human_time(seconds: float) -> str:
    """A duration in its two largest units: 0.4 s, 45 s, 3 min 20 s, 2 h 5 min, 3 d 4 h, 1 h."""
    if not math.isfinite(seconds):
        return "?"
    if 0 < seconds < 0.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    days, hours = divmod(hours, 24)
    if not days:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{days} d {hours} h" if hours else f"{days} d"
