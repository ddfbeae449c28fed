"""Does the beginning of a .raw say that it is still being acquired? One real file, the rest built after the layout."""

from __future__ import annotations

import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.spectra import SIGNATURE, thermo_raw
from sync_to_azure.instruments.run_facts.thermo_raw import MOST_BYTES, is_being_acquired

# In small.raw (version 57), by hand: SeqRow ends at 1712, ASInfo at 1740; RawFileInfo begins there with 1 (there is
# a method) and the time 2005-07-20 (a Wednesday, 3) 21:44:22.377.
AT, FLAG = 1740, 1760


@pytest.fixture
def real(shared_runs: pathlib.Path) -> bytes:
    return (shared_runs / "proteomics" / "Prot01" / "small.raw").read_bytes()[:MOST_BYTES]


def test_a_real_file_is_done(real: bytes) -> None:
    assert real[AT : AT + 4] == b"\1\0\0\0" and real[AT + 4 : AT + 6] == (2005).to_bytes(2, "little")
    assert is_being_acquired(real) is False


def test_a_real_file_as_it_was_while_it_was_acquired(real: bytes) -> None:
    assert is_being_acquired(real[:FLAG] + b"\1\0\0\0" + real[FLAG + 4 :]) is True


@pytest.mark.parametrize("version", [57, 60, 62, 63, 64, 66])
@pytest.mark.parametrize("acquiring", [False, True])
def test_versions(version: int, acquiring: bool) -> None:
    assert is_being_acquired(thermo_raw(version=version, acquiring=acquiring)) is acquiring


@pytest.mark.parametrize("version", [0, 47, 56, 67, 2**31])
def test_a_version_that_nobody_described_is_not_guessed(version: int) -> None:
    assert is_being_acquired(thermo_raw(version=version, acquiring=True)) is None


@pytest.mark.parametrize("flag", [b"\2\0\0\0", b"\xff\xff\xff\xff", b"\0\1\0\0"])
def test_a_value_that_is_neither_yes_nor_no(real: bytes, flag: bytes) -> None:
    assert is_being_acquired(real[:FLAG] + flag + real[FLAG + 4 :]) is None


def test_what_is_no_time_is_no_header(real: bytes) -> None:
    month_13 = (13).to_bytes(2, "little")
    assert is_being_acquired(real[: AT + 6] + month_13 + real[AT + 8 : FLAG] + b"\1\0\0\0") is None


@given(st.binary(max_size=4000))
def test_any_bytes(content: bytes) -> None:
    assert is_being_acquired(content) is None
    assert is_being_acquired(SIGNATURE + content) in (None, False, True)


@given(st.integers(0, 2600), st.binary(min_size=1, max_size=8))
def test_a_damaged_header(at: int, damage: bytes) -> None:
    whole = thermo_raw(acquiring=True)
    assert is_being_acquired(whole[:at] + damage + whole[at + len(damage) :]) in (None, False, True)


def test_a_header_that_is_cut_off(real: bytes) -> None:
    assert is_being_acquired(real[: FLAG + 3]) is None
    assert [is_being_acquired(real[:cut]) for cut in range(0, FLAG, 97)] == [None] * len(range(0, FLAG, 97))
