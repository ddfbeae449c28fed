"""The key beside the credentials: made once, whole, for our eyes only; never overwritten, refused if others read it."""

from __future__ import annotations

import os
import pathlib
import threading

import pytest

from sync_to_azure.settings import evidence_key
from sync_to_azure.core.errors import ConfigurationError


def test_it_is_made_once_and_for_our_eyes(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "key"
    assert evidence_key.read(path) is None
    old = os.umask(0)
    try:
        key = evidence_key.read_or_make(path)
    finally:
        os.umask(old)
    assert len(key) == 32 and path.stat().st_mode & 0o777 == 0o600
    assert evidence_key.read_or_make(path) == evidence_key.read(path) == key
    assert os.listdir(tmp_path) == ["key"]


def test_of_two_passes_that_make_it_both_have_the_same(tmp_path: pathlib.Path) -> None:
    path, found = tmp_path / "key", set()
    begin = threading.Barrier(8)

    def make() -> None:
        begin.wait()
        found.add(evidence_key.read_or_make(path))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {evidence_key.read(path)} and os.listdir(tmp_path) == ["key"]


@pytest.mark.parametrize(
    "text", ["", "x" * 64, "ab" * 31, "ab" * 33, "ab" * 32 + "\nab", "ab" * 100_000, "\xff"]
)
def test_what_is_no_key(tmp_path: pathlib.Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="64 hexadecimal digits"):
        evidence_key.read_or_make(path)
    assert path.read_text(encoding="latin-1") == text


def test_a_folder_or_a_pipe_is_no_key(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ConfigurationError):
            evidence_key.read(path)
