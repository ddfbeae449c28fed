"""AzCopy's jobs on record: which were cut off, and when their credentials expire."""

from __future__ import annotations

import pathlib

from sync_to_azure.transfer.ledger import Ledger
from sync_to_azure.transfer.ledger.azcopy_history import AzCopyHistory
from sync_to_azure.core.model import State
from tests.transfer.ledger.conftest import FLOW


def test_a_job_that_did_not_report_its_end_is_cut_off_for_whoever_asks_next(path: pathlib.Path) -> None:
    ledger = Ledger.open(path, FLOW)
    run, other = (ledger.add_run(name, State.SEEN, 1.0) for name in ("run", "other"))
    history = AzCopyHistory(ledger)
    assert history.expiry(run, 0.0) == 0.0 and not history.was_cut_off(run, 0.0)
    history.begin(run, "whole", expires=100.0, token_life=0.0)
    history.end(run, "whole", now=50.0)
    assert not history.was_cut_off(run, 50.0)
    history.begin(run, "killed", expires=90.0, token_life=0.0)
    ledger.close()

    ledger = Ledger.open(path, FLOW)
    history = AzCopyHistory(ledger)
    assert history.was_cut_off(run, 60.0) and not history.was_cut_off(other, 60.0)
    assert history.was_cut_off(run, 1e9), "for good"
    assert history.expiry(run, 60.0) == 100.0 and history.expiry(other, 60.0) == 0.0
    ledger.close()


def test_a_token_may_be_as_young_as_the_end_of_its_job_or_as_the_moment_in_which_it_was_found_cut_off(
    ledger: Ledger,
) -> None:
    run = ledger.add_run("run", State.SEEN, 1.0)
    history = AzCopyHistory(ledger)
    history.begin(run, "long", expires=10.0 + 24, token_life=24.0)
    history.end(run, "long", now=100.0)
    assert history.expiry(run, 100.0) == 124.0
    history.begin(run, "killed", expires=110.0 + 24, token_life=24.0)
    assert history.expiry(run, 200.0) == 224.0
    assert history.expiry(run, 900.0) == 224.0, "found once"


def test_jobs_that_only_the_lake_knows_count_as_cut_off(ledger: Ledger) -> None:
    run = ledger.add_run("run", State.SEEN, 1.0)
    history = AzCopyHistory(ledger)
    history.note_receipt(run, 500.0)
    history.note_receipt(run, 400.0)
    assert history.expiry(run, 0.0) == 500.0 and not history.was_cut_off(run, 0.0)
    history.begin(run, "ours", expires=100.0, token_life=0.0)
    history.end(run, "ours", now=50.0)
    assert history.unknown(run, {"ours", "theirs"}) == {"theirs"}
    history.note_unknown(run, {"theirs"}, 700.0)
    assert not history.unknown(run, {"ours", "theirs"})
    assert history.was_cut_off(run, 0.0) and history.expiry(run, 0.0) == 700.0
