"""What `make demo` runs: three instruments' runs into an embedded Azurite by the real command, one of them while it is
written, then the proof.
"""

from __future__ import annotations

import argparse
import collections
import collections.abc
import dataclasses
import filecmp
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from azure.storage.blob import BlobProperties, ContainerClient

from embedded.azurite import Azurite
from embedded.instrument import Instrument
from embedded.runs import WrittenRun, write_miseq, write_nextseq, write_proteomics, write_sample_sheet
from embedded.tools import azcopy_path

CONTAINER = "runs"
MB = 1_000_000
WRITES_FOR = 4.0
"""Seconds for which the sequencer writes its run."""


class DemoFailed(Exception):
    """Something is not as it should be; the message says what."""


@dataclasses.dataclass(frozen=True)
class Flow:
    """One main folder with its config file; ``complete`` must arrive, ``unfinished`` must not."""

    name: str
    config: str
    complete: list[WrittenRun]
    unfinished: list[WrittenRun]
    at_work: Instrument | None = None
    """It writes the complete run while we look."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the folder (make demo KEEP=1)")
    keep = parser.parse_args().keep
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sync-to-azure-demo-"))
    try:
        demonstrate(folder)
    except DemoFailed as error:
        print(f"\nThe demo failed: {error}\nIts files are kept in {folder}", file=sys.stderr)
        sys.exit(1)
    except BaseException:
        print(f"\nThe demo was stopped; its files are in {folder}", file=sys.stderr)
        raise
    if keep:
        print(f"\nAll is kept in {folder}: main folders, configs, logs, ledgers, what was downloaded.")
    else:
        shutil.rmtree(folder)
        print(f"\n{folder} is removed again (make demo KEEP=1 keeps it).")


def demonstrate(folder: pathlib.Path) -> None:
    with Azurite(folder / "azurite") as azurite, azurite.create_container(CONTAINER) as container:
        heading("Three instruments, and an Azure of our own")
        print(f"Azurite, Microsoft's emulator of Azure Blob Storage, answers at {azurite.endpoint}")
        flows = write_main_folders(folder, azurite)

        heading("First pass: what is complete is uploaded, verified and published")
        for flow in flows:
            if flow.at_work is None:
                run_command(folder, flow)

        heading("While the sequencer writes: unchanged files are uploaded early")
        for flow in flows:
            if flow.at_work is not None:
                carry_while_it_writes(folder, flow, flow.at_work, container)
        first = listing(container)

        heading("Second pass: nothing is sent twice")
        for flow in flows:
            run_command(folder, flow)
        must_be_the_same(first, listing(container))

        heading(f"What is in the container '{CONTAINER}' now")
        show_tree(first)
        show_receipt(container, flows[0])

        heading("The proof: everything is downloaded again and checked")
        download(container, first, folder / "downloaded")
        for flow in flows:
            prove(folder, flow, first)


def write_main_folders(folder: pathlib.Path, azurite: Azurite) -> list[Flow]:
    key_file = folder / "account.key"
    key_file.touch(mode=0o600)
    key_file.write_text(azurite.key + "\n", encoding="utf-8")
    miseq, nextseq, proteomics = (folder / name for name in ("miseq", "nextseq", "proteomics"))
    written = write_nextseq(folder / "what the sequencer will write", seed=3, size=40 * MB)
    sequencer = Instrument(written.folder, nextseq, WRITES_FOR)
    flows = [
        Flow(
            "miseq",
            config_text(folder, azurite, "miseq", flag="RTAComplete.txt", sheets=True),
            [write_miseq(miseq, seed=1)],
            [write_miseq(miseq, seed=2, complete=False)],
        ),
        Flow(
            "nextseq",
            config_text(folder, azurite, "nextseq", flag="RTAComplete.txt", sheets=True)
            + "incremental = yes\nstable-for = 0.5\nuploader = native\n",
            [dataclasses.replace(written, folder=sequencer.run)],
            [],
            sequencer,
        ),
        Flow(
            "proteomics",
            config_text(folder, azurite, "proteomics", flag=None, sheets=False),
            [write_proteomics(proteomics, seed=4, files=3, size=27 * MB)],
            [],
        ),
    ]
    for flow in flows:
        (folder / flow.name).mkdir(exist_ok=True)
        (folder / f"{flow.name}.cfg").write_text(flow.config, encoding="utf-8")
        print(f"\nMain folder {folder / flow.name}")
        for run in flow.complete:
            soon = ", not begun yet" if flow.at_work else ""
            print(f"  {run.name:40} {run.files:5} files {run.bytes / MB:7.1f} MB{soon}")
            if flow.name != "proteomics":
                write_sample_sheet(folder / "samplesheets" / flow.name, run.name)
        for run in flow.unfinished:
            print(f"  {run.name:40} {run.files:5} files {run.bytes / MB:7.1f} MB, still being written")
    print(f"\nThe config of the first one, {folder / 'miseq.cfg'}:\n")
    print("\n".join(f"    {line}" for line in flows[0].config.splitlines()))
    return flows


def config_text(folder: pathlib.Path, azurite: Azurite, name: str, *, flag: str | None, sheets: bool) -> str:
    """No section header, as the config files of old; without a flag the quiet time alone decides."""
    lines = [f"main-folder = {folder / name}"]
    if sheets:
        lines += [f"samplesheet-folder = {folder / 'samplesheets' / name}"]
    # Not as Thermo's, which has to stand still for a day.
    lines += ["profile = generic" if flag is None else f"completion-flag = {flag}"]
    lines += ["completion-delay = 0", f"blob-endpoint = {azurite.endpoint}", f"container-name = {CONTAINER}"]
    lines += [f"destination = /{name}", "auth = account-key", f"credentials = {folder / 'account.key'}"]
    lines += [f"azcopy = {azcopy_path()}", f"azcopy-logs = {folder / 'azcopy-logs'}"]
    lines += [f"state-file = {folder / f'{name}.sqlite'}", f"log-file = {folder / f'{name}.log'}"]
    return "\n".join(lines) + "\n"


def carry_while_it_writes(
    folder: pathlib.Path, flow: Flow, sequencer: Instrument, container: ContainerClient
) -> None:
    """Passes beside a sequencer that writes its run in pieces, and writes some files anew; then its last flags."""
    [run] = flow.complete
    print(f"\nA sequencer writes {run.name} for {WRITES_FOR:g} s; its config has, besides the usual:\n")
    print("\n".join(f"    {line}" for line in flow.config.splitlines()[-3:]))
    writer = threading.Thread(target=sequencer.write, kwargs={"flags": False}, daemon=True)
    writer.start()
    looks_after = 2
    while looks_after:
        print(f"\nOf {run.files} files and {run.bytes / MB:.1f} MB, it has written {amount(run.folder)}:")
        looks_after -= not writer.is_alive()
        run_command(folder, flow)
        time.sleep(0.5)
    ahead = below(listing(container), flow, run)
    if not ahead or f"{flow.name}/{run.name}.sync" in listing(container):
        raise DemoFailed(f"{run.name} should be uploaded in part, and not be published, before its last flag")
    sequencer.finish()
    print("\nIt has written its last flags: the run is complete.")
    began = time.monotonic()
    run_command(folder, flow)
    seconds = time.monotonic() - began
    there = below(listing(container), flow, run)
    kept = [blob.size for name, blob in there.items() if name in ahead and ahead[name].etag == blob.etag]
    print(
        f"\n{len(kept)} of {len(there)} files, {sum(kept) / MB:.1f} of {sum(b.size for b in there.values()) / MB:.1f}"
        f" MB, had been uploaded before that; the last pass took {seconds:.1f} s."
    )


def amount(folder: pathlib.Path) -> str:
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return f"{len(sizes)} files, {sum(sizes) / MB:.1f} MB"


def below(
    blobs: collections.abc.Mapping[str, BlobProperties], flow: Flow, run: WrittenRun
) -> dict[str, BlobProperties]:
    """The run's own files at the destination."""
    return {name: blob for name, blob in blobs.items() if name.startswith(f"{flow.name}/{run.name}/")}


def run_command(folder: pathlib.Path, flow: Flow) -> None:
    """The real command, its output straight to the screen, without the settings of whoever runs the demo."""
    command = ["sync_to_azure", "--config-file", f"{flow.name}.cfg"]
    print(f"\n$ {' '.join(command)}", flush=True)
    foreign = ("SYNC_TO_AZURE_", "AZCOPY_", "AZURE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment["PATH"] = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    ended = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL)
    print(f"(exit code {ended.returncode})", flush=True)
    if ended.returncode != 0:
        raise DemoFailed(f"{' '.join(command)} ended with {ended.returncode}")


def listing(container: ContainerClient) -> dict[str, BlobProperties]:
    return {blob.name: blob for blob in container.list_blobs()}


def must_be_the_same(
    first: collections.abc.Mapping[str, BlobProperties], second: collections.abc.Mapping[str, BlobProperties]
) -> None:
    """Every upload gives a blob a new ETag: equal ones prove that nothing was sent."""
    before = {name: blob.etag for name, blob in first.items()}
    after = {name: blob.etag for name, blob in second.items()}
    if before != after:
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        raise DemoFailed(f"the second pass changed {len(changed)} blobs, the first of them {changed[0]}")
    print(f"\nAll {len(after)} blobs have the ETags that they had before: not one was sent again.")


def show_tree(blobs: collections.abc.Mapping[str, BlobProperties]) -> None:
    """Files below DEST/RUN/ are summed up by their first folder; the blobs beside a run are shown one by one."""
    sums: dict[str, tuple[int, int]] = collections.defaultdict(lambda: (0, 0))
    for name, blob in sorted(blobs.items()):
        parts = name.split("/")
        shown = "/".join(parts[:3]) + ("/" if len(parts) > 3 else "")
        files, size = sums[shown]
        sums[shown] = (files + 1, size + blob.size)
    above = ""
    for shown, (files, size) in sums.items():
        folder, _, last = shown.rstrip("/").rpartition("/")
        if folder != above:
            print(f"  {folder}/")
            above = folder
        slash = f"/  ({files} file{'s' if files > 1 else ''})" if shown.endswith("/") else ""
        print(f"  {'  ' * shown.rstrip('/').count('/')}{last + slash:56} {size:>12,}")


def show_receipt(container: ContainerClient, flow: Flow) -> None:
    name = f"{flow.name}/{flow.complete[0].name}"
    receipt = json.loads(container.download_blob(f"{name}.json").readall())
    print(f"\nThe receipt {name}.json:\n")
    print("\n".join(f"    {line}" for line in json.dumps(receipt, indent=2).splitlines()))
    marker = container.download_blob(f"{name}.sync").readall().decode()
    print(f"\nThe marker {name}.sync, written last, for the pipelines that wait for it: {marker.strip()}")
    if receipt.get("schema") != 1 or receipt.get("run") != flow.complete[0].name:
        raise DemoFailed(f"{name}.json is no receipt of this run")


def download(
    container: ContainerClient, blobs: collections.abc.Mapping[str, BlobProperties], target: pathlib.Path
) -> None:
    for name in blobs:
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            container.download_blob(name).readinto(file)


def prove(folder: pathlib.Path, flow: Flow, blobs: collections.abc.Mapping[str, BlobProperties]) -> None:
    destination = folder / "downloaded" / flow.name
    for run in flow.complete:
        print(f"\n$ cd downloaded/{flow.name} && md5sum --check --quiet {run.name}.md5", flush=True)
        checked = subprocess.run(["md5sum", "--check", "--quiet", f"{run.name}.md5"], cwd=destination)
        if checked.returncode != 0:
            raise DemoFailed(f"md5sum does not agree with {run.name}.md5")
        lines = (destination / f"{run.name}.md5").read_text(encoding="utf-8").splitlines()
        expected = expected_at(destination / run.name, run, folder / "samplesheets" / flow.name)
        for arrived, path in expected.items():
            if not arrived.is_file() or not filecmp.cmp(path, arrived, shallow=False):
                raise DemoFailed(f"{path} did not arrive as it is at {arrived}")
        if len(lines) != len(expected):
            raise DemoFailed(f"{run.name}.md5 has {len(lines)} lines for {len(expected)} files")
        receipt = json.loads((destination / f"{run.name}.json").read_bytes())
        for name, digest in receipt["sha256"].items():
            if hashlib.sha256((destination / name).read_bytes()).hexdigest() != digest:
                raise DemoFailed(f"{name} is not the one that the receipt names")
        print(
            f"OK: {len(lines)} MD5s agree, and {len(expected)} files are byte for byte those of the source."
        )
    for run in flow.unfinished:
        if any(name.startswith(f"{flow.name}/{run.name}") for name in blobs):
            raise DemoFailed(f"{run.name} is still being written and was uploaded all the same")
        print(f"OK: nothing of {run.name} was sent, it is still being written.")


def expected_at(
    arrived: pathlib.Path, run: WrittenRun, sheets: pathlib.Path
) -> dict[pathlib.Path, pathlib.Path]:
    """Which file of the source must stand where: the laboratory's sheet counts, the instrument's is kept aside."""
    expected = {
        arrived / path.relative_to(run.folder): path for path in run.folder.rglob("*") if path.is_file()
    }
    sheet = sheets / f"{run.name}.csv"
    if sheet.is_file():
        own = expected.pop(arrived / "SampleSheet.csv", None)
        if own is not None and not filecmp.cmp(own, sheet, shallow=False):
            expected[arrived / "SampleSheet.instrument.csv"] = own
        expected[arrived / "SampleSheet.csv"] = sheet
    return expected


def heading(text: str) -> None:
    print(f"\n{text}\n{'=' * len(text)}", flush=True)


if __name__ == "__main__":
    main()
