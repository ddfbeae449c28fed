"""Changes of a run's state and what programs get to know of them: in one transaction, or neither."""

from __future__ import annotations

import collections.abc
import pathlib

import pytest

from sync_to_azure.core.model import State
from sync_to_azure.core.reasons import Reason
from sync_to_azure.events.cloud_event import CloudEvent
from sync_to_azure.transfer.ledger import Ledger, Run, announcing, overrides
from sync_to_azure.transfer.ledger.audits import Audited, Audits, AuditFinding
from tests.transfer.ledger.conftest import FLOW

NAMES = Reason("changed-after-verification", {"count": 2, "names": ["Sample_Doe.fastq.gz"]})


@pytest.fixture
def ledger(tmp_path: pathlib.Path) -> collections.abc.Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "ledger.sqlite", FLOW)
    opened.outbox.register("one", 1.0)
    yield opened
    opened.close()


@pytest.fixture
def run(ledger: Ledger) -> Run:
    return ledger.add_run("R", State.SEEN, 1.0)


def events(ledger: Ledger) -> list[CloudEvent]:
    return ledger.outbox.read(0, 100)


def codes(ledger: Ledger) -> list[str]:
    return [event.data["code"] for event in events(ledger)]


def test_attention_is_news_once(ledger: Ledger, run: Run) -> None:
    for _ in range(3):
        ledger.set_state(run, State.FLAGGED, NAMES, 5.0)
    assert [event.type for event in events(ledger)] == ["run.needs_attention"]
    ledger.set_state(run, State.FLAGGED, Reason("blob-lost", {"count": 1, "names": ["x"]}), 6.0)
    ledger.set_state(run, State.PUBLISHED, None, 7.0)
    ledger.set_state(run, State.FLAGGED, NAMES, 8.0)
    assert codes(ledger) == ["changed-after-verification", "blob-lost", "changed-after-verification"]


def test_what_waits_or_is_tried_again_needs_nobody(ledger: Ledger, run: Run) -> None:
    for state in (State.WAITING, State.FAILING, State.UPLOADING, State.VERIFIED, State.GONE):
        ledger.set_state(run, state, Reason("storage", {"problem": "x"}), 5.0)
    assert events(ledger) == []
    ledger.set_state(run, State.GONE, Reason("vanished"), 5.0)
    assert codes(ledger) == ["vanished"], "carried never, and gone"


def test_files_are_named_only_where_that_is_allowed(ledger: Ledger, run: Run) -> None:
    ledger.set_state(run, State.FLAGGED, NAMES, 5.0)
    [event] = events(ledger)
    assert "Doe" not in event.line() and event.data["count"] == 2 and event.data["text"] is None
    assert event.data["advice"] == NAMES.advice
    ledger.set_state(run, State.PUBLISHED, None, 6.0)
    ledger.names_allowed = True
    ledger.set_state(run, State.FLAGGED, NAMES, 7.0)
    assert "Sample_Doe.fastq.gz" in events(ledger)[1].data["text"]


def test_what_is_undone_is_not_reported(ledger: Ledger, run: Run) -> None:
    with pytest.raises(ValueError):
        ledger.set_state(run, State.FLAGGED, NAMES, 5.0, no_such_column=1)
    assert events(ledger) == [] and ledger.runs()["R"].state is State.SEEN


def test_removed_is_the_end_of_a_removal_alone(ledger: Ledger, run: Run) -> None:
    ledger.set(run, generation=2, files=7, bytes=9, receipt_sha256="c" * 64)
    ledger.set_state(run, State.REMOVING, Reason("unlinking"), 5.0)
    ledger.set_state(run, State.REMOVED, None, 6.0)
    ledger.set_state(run, State.FLAGGED, Reason("blob-lost", {"removed": True}), 7.0)
    ledger.set_state(run, State.REMOVED, None, 8.0)
    assert [event.type for event in events(ledger)] == ["run.removed", "run.needs_attention"]
    assert events(ledger)[0].data == {
        "run": "R",
        "generation": 2,
        "destination": {"endpoint": FLOW.endpoint, "container": "container", "prefix": "dest"},
        "receipt": {"blob": "dest/R.json", "sha256": "c" * 64},
        "files": 7,
        "bytes": 9,
    }


def test_the_first_report_of_a_run_says_published_whatever_its_generation(ledger: Ledger, run: Run) -> None:
    def reported(generation: int, sha256: str, new: tuple[int, int, int] | None) -> None:
        event = announcing.published(FLOW, run, generation, "a" * 64, sha256, 3, 30, 2, "finished", new)
        ledger.note_asked(run, is_known=True, event=event, now=5.0, generation=generation, announced=sha256)

    reported(4, "b" * 64, None)
    reported(5, "c" * 64, (1, 10, 0))
    first, second = events(ledger)
    assert (first.type, first.data["generation"], first.data["is_adopted"]) == ("run.published", 4, True)
    assert (second.type, second.data["new_files"], second.data["is_adopted"]) == ("run.changed", 1, False)
    assert ledger.runs()["R"].announced == "c" * 64


def test_a_receipt_that_others_wrote_says_nothing_unknown(ledger: Ledger, run: Run) -> None:
    for outcome in ({"x": 1}, "by hand", None, 7):
        event = announcing.published(FLOW, run, 1, "a" * 64, "b" * 64, 3, 30, None, outcome, None)
        assert event.outcome == "unknown" and event.weakest_evidence == "none"  # type: ignore[union-attr]


def test_what_an_audit_finds_is_reported_once(ledger: Ledger, run: Run) -> None:
    audits = Audits(ledger)
    for _ in range(2):
        audits.take_listing(Audited("R", "well", listed_at=5.0), [AuditFinding("x", "missing", "", "")], {})
    assert codes(ledger) == ["audit-wrong"] and events(ledger)[0].data["count"] == 1
    audits.take_listing(Audited("R", "well", listed_at=6.0), [], {})
    audits.take_listing(Audited("R", "well", listed_at=7.0), [AuditFinding("y", "size", "", "")], {})
    assert codes(ledger) == ["audit-wrong"] * 2


def test_what_a_dry_run_tries_is_not_reported(ledger: Ledger, run: Run, tmp_path: pathlib.Path) -> None:
    copy = Ledger.open_copy(tmp_path / "ledger.sqlite", FLOW)
    copy.set_state(copy.runs()["R"], State.FLAGGED, NAMES, 5.0)
    copy.close()
    assert events(ledger) == []


def test_an_audit_of_an_ignored_run_reports_nothing(ledger: Ledger, run: Run) -> None:
    overrides.set_override(ledger, run.key, overrides.IGNORE, "somebody", 5.0, "no use", {})
    Audits(ledger).take_listing(
        Audited("R", "well", listed_at=6.0), [AuditFinding("a", "missing", "is missing")], {}
    )
    assert events(ledger) == []
