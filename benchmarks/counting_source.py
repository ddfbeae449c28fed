"""A folder seen through FUSE, read-only: counting_source.py FOLDER MOUNT_POINT COUNT_FILE [BYTES_A_SECOND]

COUNT_FILE holds the bytes given out so far, as 8 bytes. embedded/mounted.py starts it, with the system's Python.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time

import trio

from embedded.pass_through import PassThrough, serve


class Source(PassThrough):
    kept = 300

    def __init__(self, folder: str, count: mmap.mmap, rate: float) -> None:
        super().__init__(folder)
        self._count = count
        self._given = 0
        self._rate = rate
        self._free_at = 0.0

    async def read(self, handle: int, offset: int, size: int) -> bytes:
        data = await super().read(handle, offset, size)
        self._given += len(data)
        struct.pack_into("<q", self._count, 0, self._given)
        if self._rate:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + len(data) / self._rate
            await trio.sleep(self._free_at - now)
        return data


def main() -> None:
    folder, mount_point, count_file = sys.argv[1:4]
    rate = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
    with open(count_file, "wb+") as file:
        file.write(bytes(8))
        file.flush()
        serve(Source(folder, mmap.mmap(file.fileno(), 8), rate), mount_point, ["ro"])


if __name__ == "__main__":
    main()
