"""The headline of `status`: how many runs have which status, and which of them ask for something."""

from __future__ import annotations

import pytest

from sync_to_azure.core.model import State
from sync_to_azure.core.reasons import Reason
from sync_to_azure.transfer.ledger import Run
from sync_to_azure.transfer.ledger.audits import WRONG, Audited
from sync_to_azure.transfer.ledger.overrides import Override
from sync_to_azure.transfer.views.records import Record
from sync_to_azure.transfer.views.sentences import sentence

FLAGGED = Reason("changed-after-verification", {"count": 1, "names": ["a"]})
FAILED = Reason("failed", {"problem": "x"})


def record(
    name: str,
    state: State,
    reason: Reason | None = None,
    generation: int = 1,
    override: str | None = None,
    is_damaged: bool = False,
) -> Record:
    run = Run(
        id=1,
        key=name,
        profile="generic",
        state=state,
        reason=reason,
        since=5.0,
        first_seen=5.0,
        folder_mtime_ns=None,
        fingerprint=None,
        quiet_since=None,
        generation=generation,
        remote_state_current=True,
        foreign_blobs=False,
        manifest_cached=True,
        files=1,
        bytes=1,
        published_at=None,
        first_published=None,
        sheet_size=None,
        sheet_mtime_ns=None,
        weakest=None,
        verified_at=None,
    )
    said = Override(1, name, override, "anna@lab", 5.0, "", {}) if override is not None else None
    audited = Audited(name, WRONG, 5.0, found="missing=1", wrong_since=5.0) if is_damaged else None
    return Record(run, said, None, audited)


def safe(name: str) -> Record:
    return record(name, State.PUBLISHED)


def waiting(name: str) -> Record:
    return record(name, State.WAITING, Reason("flag-missing", {"flags": ["f"]}), generation=0)


def flagged(name: str) -> Record:
    return record(name, State.FLAGGED, FLAGGED)


def failing(name: str) -> Record:
    return record(name, State.FAILING, FAILED, generation=0)


def held(name: str) -> Record:
    return record(name, State.FLAGGED, FLAGGED, override="hold")


@pytest.mark.parametrize(
    ("records", "headline"),
    [
        ([safe("A"), safe("B")], "All 2 runs are safe."),
        ([safe("A"), waiting("B")], "1 safe, 1 waiting."),
        # The run that needs attention, not the one that is held, whichever comes first.
        (
            [held("A"), safe("B"), flagged("C"), waiting("D")],
            "1 safe, 1 waiting, 1 needs attention (C), 1 held. See: sync_to_azure explain C",
        ),
        (
            [flagged("A"), failing("B"), held("C")],
            "1 retrying (B), 1 needs attention (A), 1 held. See: sync_to_azure explain A",
        ),
        ([safe("A"), failing("B")], "1 safe, 1 retrying (B)."),
        # Damaged at the destination, and an operator holds the other damaged one.
        (
            [
                record("A", State.REMOVED, is_damaged=True),
                record("B", State.PUBLISHED, None, 1, "hold", True),
            ],
            "1 needs attention (A), 1 held. See: sync_to_azure explain A",
        ),
        (
            [flagged(name) for name in "ABCDE"],
            "5 need attention (A, B, C and 2 more). See: sync_to_azure explain A",
        ),
        (
            [flagged("-a b"), safe("B")],
            "1 safe, 1 needs attention (-a b). See: sync_to_azure explain -- '-a b'",
        ),
        ([held("A"), record("B", State.GONE, None, 0, "ignore")], "1 held, 1 ignored."),
        ([flagged("A")], "A needs attention."),
        ([failing("A")], "A failed and will be retried."),
        ([held("A")], "A is held."),
    ],
)
def test_the_headline_names_the_right_run(records: list[Record], headline: str) -> None:
    assert sentence(records, records, filtered=False) == headline


def test_a_selection_says_nothing_of_all_runs() -> None:
    everything = [safe("A"), safe("B"), flagged("C")]
    assert sentence(everything, everything[:2], filtered=True) == "2 safe."
    assert sentence(everything, [], filtered=True) == "No run matches."
