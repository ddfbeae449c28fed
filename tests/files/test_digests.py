"""Several digests in one read: known values, and any mixture of buffers."""

from __future__ import annotations

import builtins
import hashlib
import mmap
import os
import pathlib
import typing

import pytest

from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.core.model import FileToSend
from sync_to_azure.files.digests import NAMES, Digests, check
from sync_to_azure.files.folder import place_of
from sync_to_azure.files.hashing import hash_file

KNOWN = {
    # RFC 1321; FIPS 180-4 as NIST's examples give them; the catalogue of CRCs (CRC-64/NVME, check).
    (b"", "md5"): "d41d8cd98f00b204e9800998ecf8427e",
    (b"abc", "md5"): "900150983cd24fb0d6963f7d28e17f72",
    (b"", "sha256"): "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    (b"abc", "sha256"): "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    (b"abc", "sha512"): "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    (b"", "crc64"): "0000000000000000",
    (b"123456789", "crc64"): "ae8b14860a799888",
}


def crc64_bit_by_bit(data: bytes) -> int:
    """CRC-64/NVME by its definition: the reflected polynomial, a bit at a time."""
    value = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x9A6C9329AC4BC9B5 if value & 1 else 0)
    return value ^ 0xFFFFFFFFFFFFFFFF


@pytest.mark.parametrize("data, name", KNOWN)
def test_known_values(data: bytes, name: str) -> None:
    digests = Digests([name])
    digests.update(data)
    assert digests.results() == {name: bytes.fromhex(KNOWN[data, name])}


@pytest.mark.parametrize("step", [1, 7, 64, 1000])
def test_in_pieces_of_any_size(step: int) -> None:
    data = os.urandom(3001)
    digests = Digests(NAMES)
    for start in range(0, len(data), step):
        digests.update(memoryview(data)[start : start + step])
    assert digests.so_far("md5") == hashlib.md5(data).digest()
    results = digests.results()
    assert results.pop("crc64") == crc64_bit_by_bit(data).to_bytes(8, "big")
    assert results == {name: hashlib.new(name, data).digest() for name in results}
    assert list(digests.results()) == list(NAMES)


def test_from_memory_of_the_system() -> None:
    with mmap.mmap(-1, 5000) as buffer:
        buffer[:5000] = data = os.urandom(5000)
        digests = Digests(["crc64", "md5"])
        with memoryview(buffer) as view:
            digests.update(view[:3000])
            digests.update(view[3000:])
    assert digests.results()["crc64"] == crc64_bit_by_bit(data).to_bytes(8, "big")


def test_an_unknown_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="no digest sha1.*md5, sha256, sha512, crc64"):
        Digests(["md5", "sha1"])
    real = builtins.__import__

    def without(name: str, *given: typing.Any, **named: typing.Any) -> object:
        if name.startswith("awscrt"):
            raise ImportError(name)
        return real(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    check(["md5", "sha512"])
    with pytest.raises(ConfigurationError, match="needs the extra 'fast'"):
        check(["crc64"])


def test_of_a_file_beside_its_md5(tmp_path: pathlib.Path) -> None:
    content = os.urandom(3_000_000)
    path = tmp_path / "file"
    path.write_bytes(content)
    file = FileToSend(b"file", "file", len(content), path.stat().st_mtime_ns)
    hashed = hash_file(place_of(os.fsencode(tmp_path)), file, others=["sha256", "crc64"])
    assert hashed.md5 == hashlib.md5(content).digest()
    assert sorted(hashed.digests) == ["crc64", "sha256"]
    assert hashed.digests["sha256"] == hashlib.sha256(content).digest()
    assert hash_file(place_of(os.fsencode(tmp_path)), file).digests == {}
