"""A flow of published runs without carrying any: the ledger's rows are written through the ledger's own rooms.

For idle_pass.py and its test. Runs can have real files and blobs too, so that a thorough look finds all well.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import pathlib
import time
from collections.abc import Iterator

from azure.storage.blob import ContainerClient, ContentSettings

from sync_to_azure.transfer.ledger import Files, Flow, Ledger, Run
from sync_to_azure.transfer.ledger.files import FileRow
from sync_to_azure.core.model import Evidence, State


@dataclasses.dataclass(frozen=True)
class PublishedFlow:
    """What ``write_flow`` made; ``main_folder`` holds one folder a run."""

    main_folder: pathlib.Path
    state_file: pathlib.Path
    runs: list[str]


def write_flow(
    folder: pathlib.Path,
    endpoint: str,
    container: str,
    runs: int,
    files: int,
    filled: ContainerClient | None = None,
) -> PublishedFlow:
    """``runs`` published runs of ``files`` files on record, below ``folder``. With ``filled`` (a client of the
    container), the files are there as well: in the run folders, and as blobs with the MD5s and ETags on record.
    """
    main, state = folder / "main", folder / "ledger.sqlite"
    names = [f"26{1 + number // 250:02}{1 + number % 28:02}_M00001_{number:04}" for number in range(runs)]
    ledger = Ledger.open(state, Flow(str(main), endpoint, container, ""))
    rows = Files(ledger)
    now = time.time()
    try:
        for name in names:
            (main / name).mkdir(parents=True)
            run = ledger.add_run(name, State.SEEN, now)
            rows.put(run, _filled(main, run, files, filled) if filled is not None else _on_record(files))
            ledger.set_state(
                run,
                State.PUBLISHED,
                None,
                now,
                "published",
                folder_mtime_ns=(main / name).stat().st_mtime_ns,
                remote_state_current=1,
                generation=1,
                files=files,
                bytes=files,
                published_at=now,
                first_published=now,
                scanned_at=now,
                folders=_folders(ledger, main / name, run, files),
            )
    finally:
        rows.close()
        ledger.close()
    return PublishedFlow(main, state, names)


def _folders(ledger: Ledger, folder: pathlib.Path, run: Run, files: int) -> int:
    """What a walk would have noted: the folders of the files, as they are or, without files, as if they were there."""
    paths = {str(parent) for name in _names(files) for parent in pathlib.PurePosixPath(name).parents} - {"."}
    rows = [
        (run.id, path.encode(), (folder / path).stat().st_mtime_ns if (folder / path).exists() else 1)
        for path in paths
    ]
    with ledger.transaction() as connection:
        connection.executemany("INSERT INTO folder VALUES (?, ?, ?)", rows)
    return len(rows)


def _content(blob: str) -> bytes:
    return blob.encode()[-1:]


def _row(blob: str, mtime_ns: int, etag: str) -> FileRow:
    content = _content(blob)
    md5 = hashlib.md5(content, usedforsecurity=False).digest()
    return FileRow(blob, blob.encode(), "run", len(content), mtime_ns, md5, Evidence.VALIDATED, etag, 1)


def _names(files: int) -> Iterator[str]:
    return (
        f"Data/Intensities/BaseCalls/L001/C{number // 100}.1/s_1_{number:06}.bcl" for number in range(files)
    )


def _on_record(files: int) -> Iterator[FileRow]:
    return (
        _row(blob, 1_700_000_000_000_000_000, f"0x8DE{number:012X}")
        for number, blob in enumerate(_names(files))
    )


def _filled(main: pathlib.Path, run: Run, files: int, container: ContainerClient) -> list[FileRow]:
    def write(blob: str) -> FileRow:
        path = main / run.key / blob
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_content(blob))
        md5 = bytearray(hashlib.md5(_content(blob), usedforsecurity=False).digest())
        answer = container.get_blob_client(f"{run.key}/{blob}").upload_blob(
            _content(blob), content_settings=ContentSettings(content_md5=md5)
        )
        return _row(blob, path.stat().st_mtime_ns, str(answer["etag"]).strip('"'))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(write, _names(files)))
