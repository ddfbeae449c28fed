"""Does something at an exact point of the command: a ``sitecustomize`` in its interpreter listens to Python's own audit
events. The product has no switch for this. The event comes before the operation: what is done here comes first.
"""

from __future__ import annotations

import pathlib
import textwrap

from tests.warm_start import LISTENER

_LISTENER = """
import os, pathlib, shutil, subprocess, sys

MAIN = pathlib.Path({main!r})
HOME, ASIDE = MAIN / {run!r}, MAIN / (".sync_to_azure-removing-" + {run!r})
steps = {steps!r}
busy = False


def listen(name, arguments):
    global busy
    if busy or not steps:
        return
    event, fragment, code = steps[0]
    if name != event or not any(fragment in _text(each) for each in arguments):
        return
    busy = True
    steps.pop(0)
    try:
        exec(code, globals())
    except BaseException as error:
        print("MEANWHILE FAILED", repr(error), file=sys.stderr, flush=True)
        os._exit(99)
    print("MEANWHILE DONE", file=sys.stderr, flush=True)
    busy = False


def _text(value):
    if isinstance(value, (bytes, bytearray)):
        return bytes(value[:2000]).decode("latin-1")
    return value if isinstance(value, str) else ""


sys.addaudithook(listen)
"""

MOVED = ("os.scandir", "removing-")
"""Moved aside, not yet looked at again."""
DECIDED = ("open", ".sync_to_azure-removing-")
"""The gate let it go; the folder is about to be opened for the first unlink."""


def environment(
    folder: pathlib.Path, main: pathlib.Path, run: str, *steps: tuple[tuple[str, str], str]
) -> dict[str, str]:
    """At each (event, fragment of one of its arguments), one after the other, Python code is run, which knows ``MAIN``,
    ``HOME`` and ``ASIDE``. It fails the command loudly if it fails itself."""
    place = folder / "meanwhile"
    place.mkdir(exist_ok=True)
    flat = [(event, fragment, textwrap.dedent(code)) for (event, fragment), code in steps]
    text = _LISTENER.format(main=str(main), run=run, steps=flat)
    (place / "sitecustomize.py").write_text(text, encoding="utf-8")
    return {LISTENER: str(place)}
