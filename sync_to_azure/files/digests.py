"""Several digests of the same bytes in one read.

``md5``, ``sha256`` and ``sha512`` are those of hashlib. ``crc64`` is CRC-64/NVME (polynomial 0xAD93D23594C93659,
reflected, all bits set before and after; NVM Express, NVM Command Set specification; "123456789" gives
0xAE8B14860A799888): what Azure Storage calls CRC64 (``x-ms-content-crc64``, there in little-endian order) and S3
CRC64NVME (there in big-endian order). Here its 8 bytes are in big-endian order, as one writes the number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol, cast

from sync_to_azure.core.errors import ConfigurationError

NAMES = ("md5", "sha256", "sha512", "crc64")
Bytes = bytes | bytearray | memoryview


class _Digest(Protocol):
    def update(self, data: Bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc64:
    def __init__(self) -> None:
        self._of = crc64_function()
        self._value = 0

    def update(self, data: Bytes, /) -> None:
        self._value = self._of(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(8, "big")


_MAKERS: Mapping[str, Callable[[], _Digest]] = {
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "sha256": lambda: hashlib.sha256(usedforsecurity=False),
    "sha512": lambda: hashlib.sha512(usedforsecurity=False),
    "crc64": _Crc64,
}


class Digests:
    """``update`` with all bytes in their order; each buffer goes through all digests while it is in the cache."""

    def __init__(self, names: Collection[str]) -> None:
        """Raises ConfigurationError for a name that is unknown, or that needs an extra that is not installed."""
        check(names)
        self._each = {name: _MAKERS[name]() for name in dict.fromkeys(names)}

    def update(self, data: Bytes) -> None:
        for digest in self._each.values():
            digest.update(data)

    def so_far(self, name: str) -> bytes:
        return self._each[name].digest()

    def results(self) -> dict[str, bytes]:
        """By their names; of the bytes up to here."""
        return {name: digest.digest() for name, digest in self._each.items()}


def check(names: Iterable[str]) -> None:
    """Raises as Digests does."""
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise ConfigurationError(f"no digest {', '.join(unknown)}", f"there are {', '.join(NAMES)}")
    if "crc64" in names:
        crc64_function()


def crc64_function() -> "Callable[[Bytes, int], int]":
    """(bytes, CRC of what came before or 0) → CRC. Raises ConfigurationError where nothing here computes it.

    awscrt computes it with the processor's own instructions, 55 GB/s without Python's lock; it takes 0.05 s to load.
    """
    try:
        from awscrt.checksums import crc64nvme
    except ImportError:
        raise ConfigurationError(
            "a CRC64 needs the extra 'fast', which is not installed", "pip install 'sync_to_azure[fast]'"
        ) from None
    return cast("Callable[[Bytes, int], int]", crc64nvme)
