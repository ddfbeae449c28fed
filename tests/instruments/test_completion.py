"""Is a run complete? By flags and by two equal looks on our own clock."""

from __future__ import annotations

import datetime

import hypothesis
import pytest
from hypothesis import strategies

from sync_to_azure.core import clock
from sync_to_azure.instruments.completion import Remembered, decide, missing_flags, named_flags, without_flags
from sync_to_azure.core.reasons import Reason

SECONDS = strategies.floats(0, 4e9)


def test_flags_are_compared_without_case_and_all_must_be_there() -> None:
    assert missing_flags(["CopyComplete.txt"], ["copycomplete.TXT", "x"]) == ()
    assert missing_flags(["a", "B"], ["A"]) == ("B",)
    assert missing_flags([], []) == ()
    assert missing_flags(["a"], ["a.txt", "xa"]) == ("a",)


def test_the_flags_of_its_family_count_instead_of_those_of_all_runs() -> None:
    of_families = {"mgi": ("done.txt", "sums.txt"), "miseq": ()}
    assert named_flags("mgi", ("all.txt",), of_families) == ("done.txt", "sums.txt")
    for family in ("novaseq-x", "miseq", None):
        assert named_flags(family, ("all.txt",), of_families) == ("all.txt",)
    assert named_flags(None, (), of_families) == ()


def test_a_missing_flag_is_named() -> None:
    decision = without_flags(["CopyComplete.txt", "RTAComplete.txt"])
    assert not decision.ready and decision.remember is None
    assert decision.reason is not None
    assert decision.reason.text == "waiting: CopyComplete.txt, RTAComplete.txt is missing"


@hypothesis.given(SECONDS)
def test_with_no_delay_one_look_is_enough(now: float) -> None:
    assert decide("x", None, now, 0).ready


@hypothesis.given(SECONDS, strategies.floats(1, 1e6))
def test_the_first_look_waits_and_is_remembered(now: float, delay: float) -> None:
    decision = decide("x", None, now, delay)
    assert not decision.ready
    assert decision.remember == Remembered("x", now)


@hypothesis.given(SECONDS, SECONDS, strategies.floats(1, 1e6))
def test_ready_only_if_the_same_tree_was_seen_that_long_ago(since: float, now: float, delay: float) -> None:
    same = decide("x", Remembered("x", since), now, delay)
    assert same.ready is (now - since >= delay)
    assert not decide("y", Remembered("x", since), now, delay).ready


@hypothesis.given(SECONDS, strategies.floats(0.001, 1e6), strategies.floats(1, 1e6))
def test_a_clock_that_went_back_starts_the_quiet_time_anew(since: float, back: float, delay: float) -> None:
    hypothesis.assume(since - back < since)
    decision = decide("x", Remembered("x", since), since - back, delay)
    assert not decision.ready
    assert decision.remember == Remembered("x", since - back)


@hypothesis.given(
    strategies.lists(strategies.tuples(strategies.sampled_from("xy"), SECONDS), min_size=2, max_size=8)
)
def test_whatever_the_clock_does_a_ready_tree_stood_still_between_two_looks(
    looks: list[tuple[str, float]],
) -> None:
    remembered, history, delay = None, [], 3600.0
    for digest, now in looks:
        decision = decide(digest, remembered, now, delay)
        history.append((digest, now))
        if decision.ready:
            run_of_equals = []
            for earlier, at in reversed(history):
                if earlier != digest:
                    break
                run_of_equals.append(at)
            assert now - min(run_of_equals) >= delay
        remembered = decision.remember


def test_the_reason_says_since_when_and_from_when_on() -> None:
    since = datetime.datetime.now().replace(hour=10, minute=0, second=0, microsecond=0).timestamp()
    reason = decide("x", Remembered("x", since), since + 60, 3600).reason
    assert reason is not None
    zone = datetime.datetime.now().astimezone().tzname()
    assert reason.text == f"waiting: unchanged since 10:00 {zone}, uploaded from 11:00 {zone} on"


@pytest.mark.parametrize("delay", [1e12, 1e300])
def test_a_quiet_time_beyond_all_calendars_is_told_too(delay: float) -> None:
    reason = decide("x", None, 1e9, delay).reason
    assert reason is not None and reason.text.startswith("waiting: unchanged since")


def test_words_of_another_version_are_no_error() -> None:
    assert Reason("code-of-tomorrow", {"a": 1}).text == "code-of-tomorrow"
    assert Reason("odd {code", {"a": 1}).text == "odd {code"
    assert Reason("uncarried", {"count": 2}).text == "2 entries cannot be uploaded and block publication: ?"
    assert Reason("failed", {"problem": "{braces} %s"}).text == "{braces} %s"


def test_iso_has_its_zone() -> None:
    assert clock.iso(0) == "1970-01-01T00:00:00+00:00"
