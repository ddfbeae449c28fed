"""The embedded surroundings themselves: Azurite starts, stops, and never outlives its parent."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from embedded.tools import PROJECT


def is_running(process_id: int) -> bool:
    """False for a zombie too: in a container nobody may be there to collect it."""
    try:
        status = pathlib.Path(f"/proc/{process_id}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def wait_until_ended(process_id: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while is_running(process_id) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(process_id)


def test_azurite_keeps_blobs(container: ContainerClient) -> None:
    container.upload_blob("run/file.txt", b"text")
    assert container.download_blob("run/file.txt").readall() == b"text"


def test_azurite_restarts_with_its_blobs_and_ends_with_its_folder() -> None:
    with Azurite() as server:
        first = server.process_id
        assert first is not None
        location = server._location
        assert location is not None
        endpoint = server.endpoint
        with server.create_container("kept") as client:
            client.upload_blob("one", b"1")
            server.stop()
            assert not is_running(first)
            server.start()
            assert server.endpoint == endpoint
            assert client.download_blob("one").readall() == b"1"
    assert not location.exists()
    with server.client() as gone, pytest.raises(ServiceRequestError):
        gone.get_service_properties(retry_total=0)


def test_two_azurites_stand_side_by_side() -> None:
    with Azurite() as one, Azurite() as other:
        assert one.port != other.port


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM])
def test_azurite_dies_with_its_parent(stop: signal.Signals) -> None:
    program = (
        "import time\n"
        "from embedded.azurite import Azurite\n"
        "with Azurite() as server:\n"
        "    print(server.process_id, server._location, flush=True)\n"
        "    time.sleep(100)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        process_id, location = parent.stdout.readline().split(maxsplit=1)
        assert is_running(int(process_id))
        parent.send_signal(stop)
        parent.wait()
    assert wait_until_ended(int(process_id))
    for left in sorted(pathlib.Path(location.strip()).rglob("*"), reverse=True):
        left.rmdir() if left.is_dir() else left.unlink()
    pathlib.Path(location.strip()).rmdir()


def test_azcopy_runs(azcopy: pathlib.Path) -> None:
    shown = subprocess.run([azcopy, "--version"], capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("azcopy version 10.")
