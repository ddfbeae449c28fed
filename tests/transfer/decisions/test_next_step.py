"""The story of a run: each line of the table, every way through it, and the drawing in docs/design.md."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import itertools
import re
import typing

import pytest

from embedded.tools import PROJECT
from sync_to_azure.core.model import State
from sync_to_azure.transfer.decisions.next_step import Action, Facts, Readiness, Removal, Step, next_step

SEEN = Facts(State.SEEN)
"""A new folder."""
PREPARED = dataclasses.replace(SEEN, begun=True, prepared=True)
FINISHED = dataclasses.replace(PREPARED, readiness=Readiness.FINISHED)
SCANNED = dataclasses.replace(FINISHED, sheet_read=True, scanned=True, is_quiet=True)
PLANNED = dataclasses.replace(
    SCANNED, remote_known=True, remote_asked=True, compared=True, manifest_updated=True, has_additions=True
)
VERIFIED = dataclasses.replace(PLANNED, verified=True)
WRITTEN = dataclasses.replace(VERIFIED, sheet_written=True)

PUBLISHED = Facts(State.PUBLISHED, is_published=True, remote_known=True, manifest_kept=True)
"""Published before; its folder moved."""
AGAIN = dataclasses.replace(PUBLISHED, begun=True, prepared=True)
RESCANNED = dataclasses.replace(AGAIN, sheet_read=True, scanned=True, is_quiet=True)
COMPARED = dataclasses.replace(RESCANNED, compared=True)
UNCHANGED = dataclasses.replace(COMPARED, manifest_updated=True)
HEALED = dataclasses.replace(UNCHANGED, verified=True, sheet_written=True)
ENDED = dataclasses.replace(UNCHANGED, ended=True)

PROJECT_FOLDER = Facts(State.SEEN, is_continuous=True)
PROJECT_READY = dataclasses.replace(PROJECT_FOLDER, begun=True, prepared=True)

flag, wait = (lambda why: Step(Action.FLAG, why)), (lambda why: Step(Action.WAIT, why))

TABLE: list[tuple[Facts, dict[str, object], Action | Step]] = [
    # By the ledger and the top of the folder alone
    (SEEN, {"has_source": False}, Action.HANDLE_MISSING_SOURCE),
    (PUBLISHED, {"has_source": False}, Action.HANDLE_MISSING_SOURCE),
    (SEEN, {"bad_name": True}, flag("bad-run-name")),
    (PUBLISHED, {"state": State.REMOVING}, Action.RESUME),
    (PUBLISHED, {"is_unchanged": True}, Action.CONSIDER_REMOVAL),
    (PUBLISHED, {"is_unchanged": True, "bad_name": True}, flag("bad-run-name")),
    (SEEN, {"state": State.VERIFIED, "waits_only_for_sheet": True}, wait("same-sheet")),
    (SEEN, {}, Action.PREPARE),
    (PUBLISHED, {}, Action.PREPARE),
    (PUBLISHED, {"kind_changed": True}, Action.ADOPT),
    (PUBLISHED, {"kind_changed": True, "begun": True, "remote_asked": True}, Action.PREPARE),
    # Is it finished?
    (PREPARED, {}, Action.CHECK_FINISHED),
    (PREPARED, {"readiness": Readiness.UNFINISHED}, wait("unfinished")),
    (PREPARED, {"readiness": Readiness.STALLED}, Action.ADOPT),
    (PREPARED, {"readiness": Readiness.STALLED, "remote_asked": True}, flag("stalled")),
    (PREPARED, {"readiness": Readiness.STALLED, "remote_known": True}, flag("stalled")),
    (PREPARED, {"readiness": Readiness.STALLED, "dry_run": True}, flag("stalled")),
    (PREPARED, {"readiness": Readiness.HELD}, Action.ADOPT),
    (PREPARED, {"readiness": Readiness.HELD, "remote_asked": True}, flag("held")),
    (PREPARED, {"readiness": Readiness.HELD, "is_published": True, "remote_asked": True}, Action.READ_SHEET),
    (PREPARED, {"readiness": Readiness.FINISHED}, Action.READ_SHEET),
    (AGAIN, {}, Action.READ_SHEET),
    # The scan
    (FINISHED, {"sheet_read": True}, Action.SCAN),
    (AGAIN, {"sheet_read": True}, Action.SCAN),
    (AGAIN, {"sheet_read": True, "manifest_kept": False}, Action.ADOPT),
    (AGAIN, {"sheet_read": True, "manifest_kept": False, "remote_asked": True}, Action.SCAN),
    (SCANNED, {"is_quiet": False}, wait("not-quiet")),
    (SCANNED, {}, Action.ADOPT),
    (SCANNED, {"remote_known": True}, Action.ADOPT),
    (SCANNED, {"remote_known": True, "remote_asked": True}, Action.COMPARE),
    (RESCANNED, {}, Action.COMPARE),
    (RESCANNED, {"is_quiet": False}, Action.COMPARE),
    (RESCANNED, {"remote_known": False}, Action.ADOPT),
    (RESCANNED, {"remote_known": False, "remote_asked": True}, Action.COMPARE),
    # What was compared
    (COMPARED, {}, Action.UPDATE_MANIFEST),
    (COMPARED, {"replaces_pending": True}, Action.UPDATE_MANIFEST),
    (COMPARED, {"replaces_pending": True, "is_quiet": False}, wait("accepted-not-quiet")),
    (COMPARED, {"remote_known": False}, Action.UPDATE_MANIFEST),
    (UNCHANGED, {"has_additions": True, "is_quiet": False}, wait("not-quiet-additions")),
    # What the destination lacks
    (PLANNED, {}, Action.UPLOAD),
    (PLANNED, {"dry_run": True}, Action.PREVIEW),
    (UNCHANGED, {}, Action.SETTLE),
    (UNCHANGED, {"source_changed": True}, Action.SETTLE),
    (UNCHANGED, {"is_quiet": False}, Action.SETTLE),
    (UNCHANGED, {"dry_run": True}, Action.PREVIEW),
    (UNCHANGED, {"has_additions": True}, Action.CHECK_REMOTE),
    (UNCHANGED, {"is_due": True}, Action.CHECK_REMOTE),
    (UNCHANGED, {"sheet_differs": True}, Action.CHECK_REMOTE),
    (UNCHANGED, {"is_due": True, "is_overtaken": False}, Action.UPLOAD),
    (UNCHANGED, {"is_due": True, "is_overtaken": True}, Action.PLAN_AGAIN),
    # What was proved
    (VERIFIED, {}, Action.WRITE_SHEET),
    (VERIFIED, {"has_foreign": True}, Action.REPLACE_FOREIGN),
    (VERIFIED, {"has_foreign": True, "has_lost": True}, Action.REPLACE_FOREIGN),
    (VERIFIED, {"has_foreign": True, "foreign_offered": True}, flag("taken-over-differs")),
    (VERIFIED, {"has_foreign": True, "foreign_offered": True, "has_lost": True}, flag("blob-lost")),
    (VERIFIED, {"has_lost": True}, flag("blob-lost")),
    (VERIFIED, {"has_unusable": True}, flag("uncarried")),
    (VERIFIED, {"has_unusable": True, "source_changed": True}, flag("changed")),
    (VERIFIED, {"has_unusable": True, "has_lost": True}, flag("blob-lost")),
    (VERIFIED, {"is_empty": True}, wait("empty")),
    (VERIFIED, {"is_empty": True, "has_broken_off": True}, flag("never-ended")),
    (VERIFIED, {"dry_run": True}, Action.WRITE_SHEET),
    # Documents
    (WRITTEN, {}, Action.PUBLISH),
    (WRITTEN, {"sheet_awaited": True}, wait("sheet")),
    (WRITTEN, {"sheet_lost": True}, flag("sheet-lost")),
    (WRITTEN, {"sheet_lost": True, "sheet_undecided": True}, Action.STOP),
    (WRITTEN, {"written": True, "has_additions": False}, Action.SETTLE),
    (WRITTEN, {"written": True, "documents_due": True}, Action.SETTLE),
    (HEALED, {}, Action.SETTLE),
    (HEALED, {"documents_due": True}, Action.PUBLISH),
    (HEALED, {"has_additions": True}, Action.PUBLISH),
    # The run's own sheet was set aside under a name of its own, which no document has yet.
    (HEALED, {"has_additions": True, "documents_due": True, "is_quiet": False}, Action.PUBLISH),
    (HEALED, {"has_additions": True, "sheet_awaited": True}, wait("sheet")),
    # A folder that is never done
    (PROJECT_READY, {"is_half": True}, wait("half-a-data-set")),
    (PROJECT_READY, {}, Action.ADOPT),
    (PROJECT_READY, {"remote_known": True}, Action.ADOPT),
    (PROJECT_READY, {"remote_asked": True}, Action.SCAN),
    (AGAIN, {"is_continuous": True, "is_half": True}, Action.SCAN),
    (AGAIN, {"is_continuous": True, "remote_known": False}, Action.ADOPT),
    (AGAIN, {"is_continuous": True, "remote_known": False, "remote_asked": True}, Action.SCAN),
    (RESCANNED, {"is_continuous": True, "remote_known": False}, Action.COMPARE),
    # May the source go?
    (ENDED, {}, Action.CONSIDER_REMOVAL),
    (ENDED, {"state": State.FLAGGED}, Action.STOP),
    (ENDED, {"state": State.VERIFIED}, Action.STOP),
    (ENDED, {"has_source": False}, Action.STOP),
    (ENDED, {"sheet_undecided": True}, Action.STOP),
    (ENDED, {"removal": Removal.NOT_NOW}, Action.STOP),
    (ENDED, {"removal": Removal.WANTED}, Action.REMOVE),
    (ENDED, {"removal": Removal.LACKS_DOCUMENTS}, Action.PUBLISH_AGAIN),
    (ENDED, {"removal": Removal.DONE}, Action.STOP),
]


@pytest.mark.parametrize(("facts", "changes", "expected"), TABLE, ids=itertools.count())
def test_what_comes_next(facts: Facts, changes: dict[str, typing.Any], expected: Action | Step) -> None:
    wanted = expected if isinstance(expected, Step) else Step(expected)
    assert next_step(dataclasses.replace(facts, **changes)) == wanted


# Every way through it

BOTH: tuple[object, ...] = (False, True)
POSSIBLE: dict[str, tuple[object, ...]] = {
    # The others are to the table what WAITING is.
    "state": (State.WAITING, State.PUBLISHED, State.REMOVING),
    "readiness": tuple(Readiness),
    "removal": tuple(Removal),
    "is_overtaken": BOTH,
}
RESTARTS = (Action.PLAN_AGAIN, Action.PUBLISH_AGAIN)
ENDS = (Action.WAIT, Action.FLAG, Action.SETTLE, Action.PREVIEW, Action.HANDLE_MISSING_SOURCE)
NOT_FOUND: dict[str, object] = {
    name: default
    for name, default in ((field.name, field.default) for field in dataclasses.fields(Facts))
    if name
    in (
        "begun prepared remote_asked readiness sheet_read scanned compared manifest_updated is_overtaken verified"
        " foreign_offered sheet_written written ended removal"
    ).split()
}
"""What is known at the start of a pass: nothing was looked at."""

Known = dict[str, object]


class NotKnownYet(Exception):
    pass


class Asked:
    """Facts of which some are open: who asks for one of these is told so."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def __getattr__(self, name: str) -> object:
        if name == "needs_upload":
            return Facts.needs_upload.fget(self)  # type: ignore[attr-defined]
        if name not in self._known:
            raise NotKnownYet(name)
        return self._known[name]


def decided(known: Known) -> collections.abc.Iterator[tuple[Known, Step]]:
    """What comes next, for each value of the facts that it depends on."""
    try:
        yield known, next_step(typing.cast(Facts, Asked(known)))
    except NotKnownYet as open_fact:
        name = str(open_fact)
        for value in POSSIBLE.get(name, BOTH):
            yield from decided(known | {name: value})


def after(known: Known, action: Action) -> collections.abc.Iterator[Known]:
    """What is known after an action; what is not named there may be anything."""

    def given(*opened: str, **now: object) -> Known:
        return {name: value for name, value in known.items() if name not in opened} | now

    published = bool(known.get("is_published"))
    restart = NOT_FOUND | {name: known[name] for name in ("dry_run", "is_continuous") if name in known}
    if action is Action.RESUME:
        yield given(state=State.PUBLISHED, is_published=True, is_unchanged=False)
    elif action is Action.PREPARE:
        yield given("state", begun=True, prepared=True, remote_asked=False, has_source=True)
    elif action is Action.CHECK_FINISHED:
        yield from (given(readiness=each) for each in Readiness)
    elif action is Action.ADOPT:
        yield given("remote_known", begun=True, remote_asked=True, is_published=True, manifest_kept=True)
        if not published:
            yield given(begun=True, remote_asked=True, remote_known=True)
    elif action is Action.READ_SHEET:
        yield given(sheet_read=True)
    elif action is Action.SCAN:
        if known.get("is_continuous"):
            yield given(scanned=True, is_quiet=True)
        else:
            yield given("is_quiet", scanned=True, remote_asked=False)
    elif action is Action.COMPARE:
        if published:
            yield given("remote_known", "replaces_pending", "source_changed", compared=True)
        else:
            yield given(compared=True, replaces_pending=False, source_changed=False)
    elif action is Action.UPDATE_MANIFEST:
        # A run that is not published has nothing but additions, unless it is empty.
        yield given("has_additions", "is_due", "sheet_differs", manifest_updated=True)
    elif action is Action.CHECK_REMOTE:
        yield from (given(is_overtaken=each) for each in BOTH)
    elif action is Action.UPLOAD:
        yield given("state", verified=True)
    elif action is Action.REPLACE_FOREIGN:
        yield given(foreign_offered=True)
        yield restart | {"begun": True, "has_source": True}
    elif action is Action.WRITE_SHEET:
        # Writing it may set the run's own sheet aside, which is an addition.
        opened = ("sheet_lost", "sheet_undecided", "documents_due", "sheet_awaited")
        yield given(*opened, *(["has_additions"] if published else []), sheet_written=True)
    elif action is Action.PUBLISH:
        yield given("documents_due", written=True, is_published=True, has_additions=False)
    elif action is Action.PLAN_AGAIN:
        yield restart | {"begun": True, "has_source": True, "is_published": True}
    elif action is Action.PUBLISH_AGAIN:
        again = {"begun": True, "has_source": True, "is_published": True, "is_due": True}
        yield restart | again | {"removal": Removal.DONE}
    elif action is Action.CONSIDER_REMOVAL:
        yield from (given(ended=True, removal=each) for each in (Removal.NOT_NOW, *list(Removal)[1:3]))
    elif action is Action.REMOVE:
        yield given("state", removal=Removal.DONE)
    else:
        assert action in ENDS, action
        yield given("state", ended=True)


@functools.cache
def explored() -> tuple[set[tuple[str, str]], int]:
    """All edges between actions, and the most steps without a restart."""
    edges: set[tuple[str, str]] = set()
    seen: set[tuple[str, frozenset[tuple[str, object]]]] = set()
    longest = 0
    todo: list[tuple[str, Known, int]] = [("start", NOT_FOUND, 0)]
    while todo:
        came_from, open_facts, depth = todo.pop()
        longest = max(longest, depth)
        assert depth < 40, f"it does not end: {came_from}, {open_facts}"
        for known, step in decided(open_facts):
            edges.add((came_from, str(step.action)))
            if step.action is Action.STOP:
                continue
            for result in after(known, step.action):
                key = (str(step.action), frozenset(result.items()))
                if key not in seen:
                    seen.add(key)
                    begins = step.action in RESTARTS or step.action is Action.REPLACE_FOREIGN
                    todo.append((str(step.action), result, 0 if begins else depth + 1))
    return edges, longest


def test_every_way_ends_and_is_in_the_drawing() -> None:
    edges, longest = explored()
    assert longest <= 16, "steps from the start, or from a new plan, to the end"
    text = (PROJECT / "docs" / "design.md").read_text(encoding="utf-8")
    drawing = re.search(r"## State machine of a run\n.*?```mermaid\nflowchart TD\n(.*?)```", text, re.DOTALL)
    assert drawing is not None
    drawn = set()
    for line in drawing[1].strip().splitlines():
        begin, _, ends = line.strip().partition(" --> ")
        drawn |= {(begin.replace("_", " "), end.replace("_", " ")) for end in ends.split(" & ")}
    assert drawn == edges


def test_every_action_can_happen() -> None:
    edges, _ = explored()
    assert {end for _, end in edges} == {str(action) for action in Action}
