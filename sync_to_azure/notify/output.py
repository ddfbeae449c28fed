"""The one door to the terminal for what is no log line: whatever a text is made of, nothing in it can act there.

Values of others (names, answers) are made ``plain`` where a line is put together, as only there is it known where a
line ends. This door does it for whole lines once more: a message that forgot it shows an escape, and writes none.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TextIO

from sync_to_azure.notify.redact import plain, plain_lines

_COLOUR = re.compile("(\x1b\\[[0-9;]*m)")


def show(
    text: str,
    redact: Callable[[str], str] | None = None,
    stream: TextIO | None = None,
    coloured: bool = False,
) -> None:
    """Lines of ours, on standard output if no ``stream`` is named. ``coloured``: sequences that set a colour are ours
    and stay. What the stream's encoding does not know is escaped. Raises OSError."""
    stream = stream if stream is not None else sys.stdout
    if redact is not None:
        text = redact(text)
    if coloured:
        parts = _COLOUR.split(text)
        parts[::2] = map(plain_lines, parts[::2])
        text = "".join(parts)
    else:
        text = plain_lines(text)
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def quoted(word: str) -> str:
    """A word of a command as a person can paste it into a shell: as ``shlex.quote`` does it; with a character that
    ``plain`` would escape, in the form $'…' of bash, zsh, ksh and POSIX 2024, by the bytes of UTF-8."""
    if plain(word) == word:
        import shlex

        return shlex.quote(word)
    return f"$'{''.join(map(_octal, word))}'"


def _octal(character: str) -> str:
    if character in "'\\":
        return f"\\{character}"
    if plain(character) == character:
        return character
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))
