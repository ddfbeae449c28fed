"""What becomes of a place: any order of the same changes, with any repetitions, ends in the same one."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from sync_to_azure.catalogue.merging import reason_to_merge, why_not
from sync_to_azure.catalogue.model import Change, Checksum, Delete, Place, Provenance, Put
from sync_to_azure.catalogue.places import applied, current, is_newer, tombstone_of
from sync_to_azure.core.model import Evidence

TIMES = st.integers(0, 6).map(float)
ETAGS = st.sampled_from(["e1", "e2", "e3"])
CHECKSUMS = st.builds(
    Checksum,
    st.sampled_from(Provenance),
    st.sampled_from(Evidence),
    st.sampled_from(["md5", "sha-256", "crc32c"]),
    st.sampled_from(["00", "11"]),
    TIMES,
)
PUTS = st.builds(
    Put,
    st.just("a"),
    ETAGS,
    st.just(5),
    TIMES,
    modified=st.none() | TIMES,
    sequencer=st.sampled_from(["", "01", "02"]),
    checksums=st.lists(CHECKSUMS, max_size=2).map(tuple),
    mtime=st.none() | TIMES,
    mime=st.sampled_from([None, "text/plain", "x/y"]),
    tier=st.sampled_from([None, "Hot", "Cool"]),
    run=st.none() | st.integers(1, 2),
    aliases=st.lists(st.sampled_from(["p", "q"]), max_size=1).map(tuple),
)
DELETES = st.builds(Delete, st.just("a"), TIMES, st.sampled_from(["x", "y"]), st.just("") | ETAGS)


def after(changes: list[Change]) -> Place:
    place = Place()
    for change in changes:
        place = applied(place, change)
    return place


@given(st.lists(PUTS | DELETES, max_size=8), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_end_the_same(changes: list[Change], order: random.Random) -> None:
    once = after(changes)
    again = changes + [order.choice(changes) for _ in changes]
    order.shuffle(again)
    assert after(again) == once
    assert (current(after(again)), tombstone_of(after(again))) == (current(once), tombstone_of(once))


@given(st.lists(PUTS | DELETES, max_size=6), st.integers(0, 6))
def test_twice_is_once(changes: list[Change], at: int) -> None:
    place = after(changes)
    for change in changes[at:]:
        place = applied(place, change)
    assert place == after(changes)


@given(st.lists(PUTS, min_size=1, max_size=5))
def test_what_was_seen_after_its_deletion_is_there(puts: list[Change]) -> None:
    place = after([*puts, Delete("a", 3.0, "x"), Put("a", "e9", 5, 4.0)])
    now = current(place)
    assert now is not None
    assert (tombstone_of(place) is None) is (now.seen > 3.0)


@given(CHECKSUMS, CHECKSUMS, st.integers(0, 1), st.integers(0, 1))
def test_only_equal_sizes_and_checksums_that_count_merge(
    one: Checksum, other: Checksum, size: int, other_size: int
) -> None:
    reason = reason_to_merge(size, [one], other_size, [other])
    may = (
        size == other_size
        and (one.type, one.value) == (other.type, other.value)
        and one.type in ("md5", "sha-256")
        and min(one.provenance, other.provenance) >= Provenance.STORE
    )
    assert (reason is not None) is may
    assert reason == reason_to_merge(other_size, [other], size, [one])
    if reason is None:
        assert why_not(size, [one], other_size, [other])


def test_equal_md5s_do_not_merge_what_another_checksum_tells_apart() -> None:
    md5 = Checksum(Provenance.PROVED, Evidence.READ_BACK, "md5", "00")
    one = Checksum(Provenance.STORE, Evidence.NONE, "sha-256", "11")
    other = Checksum(Provenance.STORE, Evidence.NONE, "sha-256", "22")
    assert reason_to_merge(1, [md5, one], 1, [md5, other]) is None
    assert why_not(1, [md5, one], 1, [md5, other]) == "their checksums differ"
    assert reason_to_merge(1, [md5, one], 1, [md5]) == md5


def test_sequencers_of_different_lengths_are_not_compared() -> None:
    assert is_newer("02", "01") and is_newer("01", "02") is False
    assert is_newer("002", "01") is None and is_newer("", "") is None
