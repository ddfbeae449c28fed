"""The buffers of the native uploader: few, of one block each, taken from the system when they are first needed."""

from __future__ import annotations

import mmap
import os
import queue
import threading

from sync_to_azure.core.errors import UploadFailed
from sync_to_azure.uploaders import blocks

BUFFERS = 10
"""Buffers of one block each (80 MiB in all) for all files above the small ones; with fewer in flight than requests
allowed, large files still fill a 10 Gb/s line, and memory stays below AzCopy's sixth."""

Buffer = mmap.mmap | bytearray
"""Memory of its own from the system, taken when it is touched and given back with it."""


class Buffers:
    """Shared by readers, who take and fill them, and senders, who give them back. Waiting ends with ``stop``
    (UploadFailed). ``reading`` limits how many files are read at once."""

    def __init__(self, stop: threading.Event, reading: threading.Semaphore) -> None:
        self._stop = stop
        self._reading = reading
        self._large = threading.Semaphore(2)
        # None: one that was not needed yet.
        self._free: queue.LifoQueue[Buffer | None] = queue.LifoQueue()
        for _ in range(BUFFERS):
            self._free.put(None)

    def take(self, block: int, wanted: int) -> Buffer:
        """One for ``wanted`` bytes of a file that is cut into blocks of ``block`` bytes."""
        return self._of_a_block() if block == blocks.BLOCK else self._larger(wanted)

    def _of_a_block(self) -> Buffer:
        while not self._stop.is_set():
            try:
                return self._free.get(timeout=0.2) or mmap.mmap(-1, blocks.BLOCK)
            except queue.Empty:
                continue
        raise UploadFailed("stopped")

    def _larger(self, size: int) -> bytearray:
        """Blocks above 8 MiB (files above 400 GB): two at a time, of their own size."""
        while not self._stop.is_set():
            if self._large.acquire(timeout=0.2):
                return bytearray(max(size, blocks.BLOCK + 1))
        raise UploadFailed("stopped")

    def filled(self, handle: int, buffer: Buffer, wanted: int) -> memoryview:
        """The next ``wanted`` bytes, fewer at the file's end. A buffer that cannot be filled goes back at once."""
        try:
            with self._reading:
                return memoryview(buffer)[: _fill(handle, memoryview(buffer)[:wanted])]
        except OSError:
            self.give_back(buffer)
            raise

    def give_back(self, buffer: Buffer) -> None:
        if len(buffer) == blocks.BLOCK:
            self._free.put(buffer)
        else:
            self._large.release()


def read_whole(handle: int, size: int) -> bytes:
    """``size`` bytes and one more try, so that a file that grew is noticed by its length."""
    parts = []
    left = size + 1
    while left and (part := os.read(handle, left)):
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _fill(handle: int, view: memoryview) -> int:
    """Read until the view is full or the file ends; the number of bytes read."""
    filled = 0
    while filled < len(view) and (count := os.readv(handle, [view[filled:]])):
        filled += count
    return filled
