"""Ends the command at an exact point: a ``sitecustomize`` in its interpreter listens to Python's own audit events.

The product has no switch for this. The event comes before the operation: the process is killed just before it.
"""

from __future__ import annotations

import pathlib

from tests.warm_start import LISTENER

_LISTENER = """
import os, sys

event, fragment, number = os.environ["KILL_AT"].split("|")
left = int(number)


def listen(name, arguments):
    global left
    if name != event:
        return
    if not any(fragment in _text(each) for each in arguments):
        return
    left -= 1
    if left == 0:
        os.kill(os.getpid(), int(os.environ.get("KILL_WITH", "9")))


def _text(value):
    if isinstance(value, (bytes, bytearray)):
        return bytes(value[:2000]).decode("latin-1")
    if isinstance(value, (list, tuple)):
        return " ".join(map(_text, value))
    return value if isinstance(value, str) else ""


sys.addaudithook(listen)
"""


def environment(folder: pathlib.Path, event: str, fragment: str = "", number: int = 1) -> dict[str, str]:
    """Killed before the ``number``-th ``event`` with ``fragment`` in one of its arguments."""
    place = folder / "kill-point"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(_LISTENER, encoding="utf-8")
    return {LISTENER: str(place), "KILL_AT": f"{event}|{fragment}|{number}"}
