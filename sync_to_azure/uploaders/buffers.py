"""The buffers of the native uploader: few, of one block each, taken from the system when they are first needed."""

from __future__ import annotations

import mmap
import os
import queue
import threading

from sync_to_azure.uploaders import blocks
from sync_to_azure.uploaders.under_way import UnderWay

BUFFERS = 10
"""Buffers of one block each (80 MiB in all) for all files above the small ones; with fewer in flight than requests
allowed, large files still fill a 10 Gb/s line, and memory stays below AzCopy's sixth."""

Buffer = mmap.mmap | bytearray
"""Memory of its own from the system, taken when it is touched and given back with it."""


class Buffers:
    """Shared by readers, who take and fill them, and senders, who give them back. Waiting ends when that for which one
    is taken has to stop (UploadFailed). ``reading`` limits how many files are read at once."""

    def __init__(self, reading: threading.Semaphore) -> None:
        self._reading = reading
        self._large = threading.Semaphore(2)
        # None: one that was not needed yet.
        self._free: queue.LifoQueue[Buffer | None] = queue.LifoQueue()
        for _ in range(BUFFERS):
            self._free.put(None)

    def take(self, work: UnderWay, block: int, wanted: int) -> Buffer:
        """One for ``wanted`` bytes of a file that is cut into blocks of ``block`` bytes."""
        return self._of_a_block(work) if block == blocks.BLOCK else self._larger(work, wanted)

    def _of_a_block(self, work: UnderWay) -> Buffer:
        while True:
            work.go_on()
            try:
                return self._free.get(timeout=0.2) or mmap.mmap(-1, blocks.BLOCK)
            except queue.Empty:
                continue

    def _larger(self, work: UnderWay, size: int) -> bytearray:
        """Blocks above 8 MiB (files above 400 GB): two at a time, of their own size."""
        while True:
            work.go_on()
            if self._large.acquire(timeout=0.2):
                return bytearray(max(size, blocks.BLOCK + 1))

    def filled(self, handle: int, buffer: Buffer, offset: int, wanted: int) -> memoryview:
        """The ``wanted`` bytes from ``offset`` on, fewer at the file's end. A buffer that cannot be filled goes back at
        once."""
        try:
            with self._reading:
                return memoryview(buffer)[: _fill(handle, memoryview(buffer)[:wanted], offset)]
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


def _fill(handle: int, view: memoryview, offset: int) -> int:
    """Read until the view is full or the file ends; the number of bytes read."""
    filled = 0
    while filled < len(view) and (count := os.preadv(handle, [view[filled:]], offset + filled)):
        filled += count
    return filled
