"""The embedded surroundings themselves: Azurite starts, stops and never outlives its parent; runs look real."""

from __future__ import annotations

import gzip
import math
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import typing
import xml.etree.ElementTree

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from embedded.runs import WrittenRun, write_miseq, write_nextseq, write_proteomics
from embedded.tools import PROJECT


def is_running(process_id: int) -> bool:
    """False for a zombie too: in a container nobody may be there to collect it."""
    try:
        status = pathlib.Path(f"/proc/{process_id}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def wait_until_ended(process_id: int, seconds: float = 60) -> bool:
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
        "    time.sleep(1000)\n"
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


def tree(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("write", [write_miseq, write_nextseq, write_proteomics])
def test_runs_follow_from_their_seed(tmp_path: pathlib.Path, write: typing.Callable[..., WrittenRun]) -> None:
    one, other = write(tmp_path / "one", seed=7), write(tmp_path / "other", seed=7)
    found = tree(one.folder)
    assert one.name == other.name
    assert found == tree(other.folder)
    assert one.files == len(found)
    assert one.bytes == sum(map(len, found.values()))
    different = write(tmp_path / "one", seed=8)
    assert different.name != one.name
    assert tree(different.folder) != found


def test_a_miseq_run_has_as_many_base_calls_as_its_run_info_says(tmp_path: pathlib.Path) -> None:
    run = write_miseq(tmp_path, seed=3, files=140, size=1_000_000)
    info = xml.etree.ElementTree.parse(run.folder / "RunInfo.xml").getroot()
    layout = info.find(".//FlowcellLayout")
    assert layout is not None
    tiles = math.prod(
        int(layout.attrib[key]) for key in ("LaneCount", "SurfaceCount", "SwathCount", "TileCount")
    )
    cycles = sum(int(read.attrib["NumCycles"]) for read in info.iter("Read"))
    calls = sorted(run.folder.glob("Data/Intensities/BaseCalls/L001/C*.1/s_1_*.bcl"))
    assert len(calls) == tiles * cycles == 140
    assert sum(path.stat().st_size for path in calls) == 1_000_000
    assert re.fullmatch(r"\d{6}_M\d{5}_\d{4}_000000000-[A-Z0-9]{5}", run.name)
    assert (run.folder / "runParameters.xml").is_file()
    assert (run.folder / "RTAComplete.txt").is_file()


def test_a_nextseq_run_has_real_blocked_gzip(tmp_path: pathlib.Path) -> None:
    run = write_nextseq(tmp_path, seed=3, files=20, size=2_000_000)
    calls = sorted(run.folder.glob("Data/Intensities/BaseCalls/L00?/????.bcl.bgzf"))
    assert len(calls) == 20
    for path in calls:
        content = gzip.decompress(path.read_bytes())
        assert int.from_bytes(content[:4], "little") == len(content) - 4
        assert path.with_name(path.name + ".bci").is_file()
    assert re.fullmatch(r"\d{6}_NB\d{6}_\d{4}_A[A-Z0-9]{9}", run.name)
    status = xml.etree.ElementTree.parse(run.folder / "RunCompletionStatus.xml").getroot()
    assert status.findtext("CompletionStatus") == "CompletedAsPlanned"


@pytest.mark.parametrize("write", [write_miseq, write_nextseq])
def test_a_run_that_is_still_written_has_no_flag(
    tmp_path: pathlib.Path, write: typing.Callable[..., WrittenRun]
) -> None:
    run = write(tmp_path, complete=False)
    assert (run.folder / "RunInfo.xml").is_file()
    assert not [path.name for path in run.folder.iterdir() if "omplet" in path.name]


def test_a_proteomics_project_looks_like_thermos(tmp_path: pathlib.Path, shared_runs: pathlib.Path) -> None:
    run = write_proteomics(tmp_path, seed=4, files=5, size=500_000)
    with (shared_runs / "proteomics" / "Prot01" / "small.raw").open("rb") as real:
        signature = real.read(18)
    raw = list(run.folder.glob("*.raw"))
    assert len(raw) == 5
    assert all(path.read_bytes().startswith(signature) for path in raw)
    assert {path.suffix for path in run.folder.iterdir()} == {".raw", ".sld", ".meth"}
