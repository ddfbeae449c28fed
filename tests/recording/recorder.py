"""Facts and action, a JSON line each, for every run in every pass: which step was begun, and what the ledger said of
the run just then.

    RECORD_STEPS=FOLDER pytest tests/passes …             writes one file a process
    python -m tests.recording.compare FOLDER OTHER        what differs, test by test
"""

from __future__ import annotations

import collections.abc
import functools
import importlib
import importlib.util
import json
import os
import pathlib
import sys
import time
import typing

_STEPS = "sync_to_azure.transfer.steps"

ACTIONS = (
    ("adopt", "publication"),
    ("accept", "take_back"),
    ("accept", "changed_files"),
    ("accept", "taken_over"),
    ("carry", "take_listing"),
    ("carry", "until_verified"),
    ("carry", "what_stands_still"),
    ("claims", "take"),
    ("incremental", "ahead"),
    ("flagging", "flag"),
    ("frozen", "changed_at_source"),
    ("frozen", "mark_what_to_heal"),
    ("instrument_facts", "tell_sheet"),
    ("scan", "into_ledger"),
    ("scan", "fingerprint_now"),
    ("placing", "into_ledger"),
    ("publish", "publish"),
    ("read_back", "until"),
    ("read_back", "before_removal"),
    ("remove", "remove"),
    ("removal_preview", "show"),
    ("removal_preview", "show_after_carrying"),
    ("outcomes", "settle"),
    ("sheet_writing", "carry"),
    ("sheets", "read"),
    ("override_checks", "stand_still"),
    ("override_checks", "stand_still"),
)
"""Module and function of ``transfer/steps``: what reads or writes the source, the destination or the ledger's files. A
module that was renamed stands here under both names, so that a recording goes over the renaming."""


def install() -> None:
    """Once a process."""
    if hasattr(sys, "steps_are_recorded"):
        return
    setattr(sys, "steps_are_recorded", True)
    folder = pathlib.Path(os.environ["RECORD_STEPS"])
    folder.mkdir(parents=True, exist_ok=True)
    out = open(folder / f"{os.getpid()}-{time.monotonic_ns()}.jsonl", "a", buffering=1, encoding="utf-8")

    def note(work: typing.Any, action: str, more: object = None) -> None:
        run = getattr(work, "run", None)
        if run is None:
            return
        facts = [str(run.state), run.generation > 0, bool(run.manifest_cached), work.folder is not None]
        line = {
            "at": time.monotonic_ns(),
            "test": os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0],
            "run": run.key,
            "facts": facts,
            "action": action,
            "more": more,
        }
        out.write(json.dumps(line) + "\n")

    for module, name in ACTIONS:
        if importlib.util.find_spec(f"{_STEPS}.{module}") is not None:
            _wrap(importlib.import_module(f"{_STEPS}.{module}"), name, note)
    context = importlib.import_module(f"{_STEPS}.context").PassContext
    state_was = context.set_state

    def set_state(
        self: object, work: typing.Any, state: object, reason: typing.Any = None, *rest: object, **c: object
    ) -> bool:
        note(work, "state", [str(state), reason.code if reason is not None else None, sorted(c)])
        done: bool = state_was(self, work, state, reason, *rest, **c)
        return done

    context.set_state = set_state


def _wrap(module: typing.Any, name: str, note: collections.abc.Callable[..., None]) -> None:
    step = getattr(module, name, None)
    if step is None:
        return

    @functools.wraps(step)
    def noted(context: object, work: object, *rest: object, **named: object) -> object:
        more = rest[0].code if name == "flag" else None  # type: ignore[attr-defined]
        note(work, f"{module.__name__.rpartition('.')[2]}.{name}", more)
        return step(context, work, *rest, **named)

    setattr(module, name, noted)
