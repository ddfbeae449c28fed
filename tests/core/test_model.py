"""Values that cross rooms."""

from __future__ import annotations

import pytest

from sync_to_azure.core.model import Evidence, Kind


def test_evidence_is_ordered_from_weak_to_strong_and_has_words() -> None:
    assert Evidence.NONE < Evidence.LISTED < Evidence.VALIDATED < Evidence.READ_BACK
    assert [each.label for each in Evidence] == ["none", "listed", "validated", "read-back"]
    assert [Evidence.from_label(each.label) for each in Evidence] == list(Evidence)
    with pytest.raises(KeyError):
        Evidence.from_label("sworn")


def test_what_holds_a_run_up_is_what_would_be_lost() -> None:
    assert {kind for kind in Kind if not kind.holds_up} == {
        Kind.FILE,
        Kind.EMPTY_FOLDER,
        Kind.SYMLINK,
        Kind.JUNK,
        Kind.EXCLUDED,
        Kind.LEFT,
        Kind.WAITING,
    }
