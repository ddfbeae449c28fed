"""What the native uploader costs: in a process of its own."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
from azure.storage.blob import ContainerClient

from sync_to_azure.uploaders import blocks
from tests.conftest import LONG
from tests.uploaders.wire import MEBIBYTE, Wire, WireHandler

CHILD = """
import os, pathlib, re, sys
from sync_to_azure.uploaders.hot_calls import crc64_for
from tests.uploaders.wire import Settings, carried, job_for, native
def facts():
    read = int(re.search(r"rchar: (\\d+)", open("/proc/self/io").read())[1])
    return read, int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
folder = pathlib.Path(sys.argv[3])
made = native(Settings(sys.argv[1], sys.argv[2], concurrency=16, source_readers=4))
carried(made, job_for(folder, ["warm"]))
crc64_for("auto")
before, _ = facts()
sent, error = carried(made, job_for(folder, sorted(set(os.listdir(folder)) - {"warm"})))
after, peak = facts()
print(len(sent), error, after - before, peak)
"""


@pytest.mark.parametrize(
    ("count", "size"),
    [(4, 200 * MEBIBYTE), (1, 1024 * MEBIBYTE), (300, 1000 * 1000), (60, blocks.SINGLE_PUT)],
)
def test_memory_stays_flat_and_every_file_is_read_once(
    count: int, size: int, run: pathlib.Path, container: ContainerClient
) -> None:
    run.mkdir()
    (run / "warm").write_bytes(b"1")
    for number in range(count):
        with open(run / str(number), "wb") as handle:
            handle.truncate(size)
    with Discarding() as server:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, server.endpoint, "container", str(run)],
            capture_output=True,
            text=True,
            timeout=LONG,
            check=True,
        )
    sent, error, read, peak = done.stdout.split()
    assert (int(sent), error) == (count, "None"), done.stdout
    total = count * size
    # Answers of the service are read too: below 2 KB a request.
    requests = count * (1 + size // blocks.BLOCK) + 2 * count
    assert total <= int(read) <= total + 2048 * requests
    assert int(peak) < 250 * 1024, f"{peak} KB"


class Discarding(Wire):
    """A storage that forgets what it is given: Azurite would write gigabytes."""

    def __init__(self) -> None:
        super().__init__(0, Forgetful)


class Forgetful(WireHandler):
    rbufsize = 0
    scratch = memoryview(bytearray(MEBIBYTE))

    def answer(self) -> None:
        left = int(self.headers.get("Content-Length") or 0)
        while left and (size := self.connection.recv_into(self.scratch[: min(left, MEBIBYTE)])):
            left -= size
        if self.command == "PUT":
            self.say(201, {}, b"")
        else:
            self.say(404, {"x-ms-error-code": "BlobNotFound"}, b"")

    do_GET = do_PUT = do_HEAD = answer
