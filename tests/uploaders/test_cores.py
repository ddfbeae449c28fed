"""Threads with small files share one core, and a caller gets its own back."""

import os

from sync_to_azure.uploaders.threads import Cores


def test_one_core_and_all_of_them_again() -> None:
    before = os.sched_getaffinity(0)
    cores = Cores()
    try:
        cores.together()
        shared = os.sched_getaffinity(0)
        assert len(shared) == 1 and shared <= before
    finally:
        cores.apart()
    assert os.sched_getaffinity(0) == before


def test_whoever_was_never_bound_is_left_as_it_was() -> None:
    before = os.sched_getaffinity(0)
    Cores().apart()
    assert os.sched_getaffinity(0) == before
