"""A main folder, a container, and the command that carries from one to the other."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import time
import typing

from azure.storage.blob import ContainerClient, ContentSettings

from sync_to_azure.core.names import CLAIMS_FOLDER
from tests.conftest import LONG

FLAG = "RTAComplete.txt"
DOCUMENTS = (".files.jsonl", ".md5", ".json", ".sync")
"""In the order in which they are written."""

Content = bytes | str


@dataclasses.dataclass
class Scene:
    """``config`` may be changed freely; every start of the command reads it anew."""

    config: dict[str, object]
    container: ContainerClient
    main: pathlib.Path
    folder: pathlib.Path
    calls: pathlib.Path
    run_command: typing.Any
    start_command: typing.Any

    # The source

    def make_run(self, name: str, files: collections.abc.Mapping[str, Content] | None = None) -> pathlib.Path:
        """A finished run; without ``files`` one of two small files and its flag."""
        run = self.main / name
        write(run, {"Data/one.bcl": "one", "RunInfo.xml": "<run/>", FLAG: "", **(files or {})})
        return run

    def sheets(self) -> pathlib.Path:
        """The sample sheet folder, set in the config from now on."""
        folder = self.folder / "sheets"
        folder.mkdir(exist_ok=True)
        self.config["samplesheet-folder"] = folder
        return folder

    # The command

    def run(self, *arguments: object, expect: int = 0, **options: typing.Any) -> typing.Any:
        """One pass to its end, which must be the exit code ``expect``."""
        outcome = self.run_command(*arguments, config=self.config, **options)
        assert outcome.returncode == expect, f"exit code {outcome.returncode}\n{outcome.output}"
        return outcome

    def start(self, *arguments: object, **options: typing.Any) -> "subprocess.Popen[str]":
        process: subprocess.Popen[str] = self.start_command(*arguments, config=self.config, **options)
        return process

    def in_namespace(self, mount: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
        """The command after a line of shell that mounts, in a mount namespace that ends with it."""
        path = self.folder / "namespace.cfg"
        path.write_text("".join(f"{key} = {value}\n" for key, value in self.config.items()), encoding="utf-8")
        command = [sys.executable, "-m", "sync_to_azure", "--config-file", str(path), *map(str, arguments)]
        return subprocess.run(
            ["unshare", "--mount", "sh", "-ec", f'{mount}\nexec "$@"', "sh", *command],
            cwd=self.folder,
            env=self.start_command.clean_environment(),
            capture_output=True,
            text=True,
            timeout=LONG,
            check=False,
        )

    def through(self, proxy: typing.Any) -> "Scene":
        self.config["blob-endpoint"] = proxy.endpoint
        return self

    def azcopy_jobs(self) -> int:
        """How often AzCopy was started to copy."""
        return sum(line.startswith("copy ") for line in self.calls.read_text("utf-8").splitlines())

    def azcopy_runs(self) -> bool:
        """Is an AzCopy of this scene's container alive?"""
        name = str(self.container.container_name).encode()
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes()
                if b"--list-of-files" in words and name in words:
                    return True
        return False

    # The destination

    def etags(self) -> dict[str, str]:
        """Of all but claims, which are renewed in each pass that sends something."""
        every = self.container.list_blobs()
        return {blob.name: str(blob.etag) for blob in every if CLAIMS_FOLDER not in blob.name}

    def claims(self, run: str) -> dict[str, dict[str, typing.Any]]:
        """What stands in the claims of a run, by their blobs."""
        base, _, name = run.rpartition("/")
        prefix = f"{base}/{CLAIMS_FOLDER}/{name}/".lstrip("/")
        return {
            blob: json.loads(self.get(blob))
            for blob in self.container.list_blob_names(name_starts_with=prefix)
        }

    def get(self, name: str) -> bytes:
        return bytes(self.container.download_blob(name).readall())

    def put(self, name: str, content: bytes, *, md5_of: bytes | None = None) -> None:
        """Write behind the command's back. ``md5_of``: the content whose MD5 is stored, as a corruption would."""
        digest = hashlib.md5(content if md5_of is None else md5_of).digest()
        blob = self.container.get_blob_client(name)
        if md5_of is None:
            blob.upload_blob(
                content, overwrite=True, content_settings=ContentSettings(content_md5=bytearray(digest))
            )
            return
        # A block list's MD5 is only stored, never checked: the way in which a listing can show a wrong one.
        from azure.storage.blob import BlobBlock

        blob.stage_block("AAAA", content)
        blob.commit_block_list(
            [BlobBlock("AAAA")], content_settings=ContentSettings(content_md5=bytearray(digest))
        )

    def documents(self, base: str) -> tuple[str, list[dict[str, typing.Any]], dict[str, typing.Any], str]:
        """RUN.md5, the lines of RUN.files.jsonl, RUN.json, RUN.sync; the receipt's checksums are verified."""
        sums, lines = self.get(base + ".md5"), self.get(base + ".files.jsonl")
        receipt = json.loads(self.get(base + ".json"))
        run = base.rpartition("/")[2]
        assert receipt["sha256"] == {
            f"{run}.md5": hashlib.sha256(sums).hexdigest(),
            f"{run}.files.jsonl": hashlib.sha256(lines).hexdigest(),
        }
        rows = [json.loads(line) for line in lines.splitlines()]
        assert receipt["files"] == len(rows) == sums.count(b"\n")
        assert receipt["bytes"] == sum(row["size"] for row in rows)
        return sums.decode(), rows, receipt, self.get(base + ".sync").decode()

    def is_published(self, base: str) -> bool:
        return bool(self.container.get_blob_client(f"{base}.sync").exists())

    def download(self, base: str) -> pathlib.Path:
        """DEST as a folder: everything of the run, and what stands beside it."""
        folder = self.folder / f"downloaded-{time.monotonic_ns()}"
        for blob in self.container.list_blobs(name_starts_with=base):
            path = folder / blob.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.get(blob.name))
        return folder / pathlib.PurePosixPath(base).parent

    def check_sums(self, base: str) -> None:
        """The real ``md5sum -c`` in a downloaded DEST."""
        run = base.rpartition("/")[2]
        done = subprocess.run(
            ["md5sum", "-c", "--strict", "--quiet", f"{run}.md5"],
            cwd=self.download(base),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    # The ledger

    @property
    def ledger(self) -> pathlib.Path:
        return pathlib.Path(str(self.config["state-file"]))

    def sql(self, statement: str, *parameters: object) -> list[tuple[typing.Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.ledger, timeout=60)) as connection, connection:
            return connection.execute(statement, parameters).fetchall()

    def state(self, run: str) -> tuple[str, str | None]:
        """Of the flow that was begun last, if the ledger has several."""
        query = "SELECT state, reason_code FROM run WHERE key = ? ORDER BY flow_id DESC LIMIT 1"
        [row] = self.sql(query, run)
        return row[0], row[1]

    def age(self, run: str, seconds: float) -> None:
        """As if the run had been seen first so long ago."""
        self.sql("UPDATE run SET first_seen = first_seen - ? WHERE key = ?", seconds, run)

    def expire_credentials(self) -> None:
        """As if all that AzCopy was given had expired: what it uploaded may be removed now."""
        self.sql("UPDATE azcopy_job SET expires = 1")

    def lose_ledger(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            pathlib.Path(f"{self.ledger}{suffix}").unlink(missing_ok=True)


def write(folder: pathlib.Path, files: collections.abc.Mapping[str, Content]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def tree(folder: pathlib.Path) -> dict[str, bytes]:
    """Every plain file below the folder and its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def touch_later(path: pathlib.Path) -> None:
    """Another mtime, as a second write would leave, without waiting for the clock of the file system."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 2_000_000_000))


def eventually(condition: collections.abc.Callable[[], object], seconds: float = 120.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False
