"""What a person reads of each code and state, on one page; all other tests go by the codes."""

from __future__ import annotations

import collections.abc
import time

import pytest

from tests.core import wording


@pytest.fixture
def in_utc() -> collections.abc.Iterator[None]:
    """Times are shown in the zone of the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def test_the_page_is_what_is_said(in_utc: None) -> None:
    """After a change of words: ``python -m tests.core.wording``, and read what changed."""
    assert wording.page() == wording.PAGE.read_text(encoding="utf-8")


def test_no_text_lacks_a_parameter(in_utc: None) -> None:
    assert "?" not in wording.page()
