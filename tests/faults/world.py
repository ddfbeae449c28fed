"""One world: a main folder with runs, a container, a ledger, the line between them, and the record of truth."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import os
import pathlib
import queue
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

from azure.storage.blob import ContainerClient

from embedded import layouts
from embedded.azurite import Azurite
from embedded.tools import PROJECT, azcopy_path
from tests.faults.mounts import Bound, Share, SmallDisk
from tests.faults.points import Points
from tests.faults.truth import Truth, digest
from tests.faults.watch import Watch
from tests.line import Act, Answer, Line, Request
from tests.warm_start import Process, WarmServer, for_cold, must_be_cold

FLAG = "RTAComplete.txt"
ASIDE = ".sync_to_azure-removing-"
SHAPES = ("small", "blocks", "sheet", "growth", "family")
PARAMETERS = "runParameters.xml"
"""What a run of the shape ``family`` is recognised by, besides RunInfo.xml: no fault strikes both."""
CACHED = 3
"""Seconds for which a cached share answers looks by itself."""
HUNG_AFTER = 400.0
"""Seconds; the longest pass that was seen took 40, on a machine that was not slow."""

LARGE = 17 * 1024 * 1024
"""Three blocks of ours; with AZCOPY_BUFFER_GB = 0.012 AzCopy sends blocks above 9 MiB."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is tried, all that is needed to try it again. ``mount``: plain, bound, share, or cached (a share whose
    client answers looks from its cache); ``disk``: what lies on a small disk (state, log or plans), or an empty string;
    ``instant``: when the fault strikes, or an empty string where chance decides."""

    seed: str
    faults: tuple[str, ...]
    uploader: str
    shape: str
    remove: bool
    mount: str = "plain"
    disk: str = ""
    instant: str = ""

    def __str__(self) -> str:
        return (
            f"{' + '.join(self.faults)} ({self.uploader}, {self.shape}, {'removing' if self.remove else 'keeping'},"
            f" seed {self.seed})"
        )


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How one pass ended; ``seconds`` of wall time."""

    code: int
    output: str
    seconds: float


class World:
    """Entered once a trial. ``main`` is what the command sees, ``disk`` the folder that lies below it."""

    def __init__(
        self,
        plan: Plan,
        folder: pathlib.Path,
        azurite: Azurite,
        container: ContainerClient,
        warm: WarmServer | None = None,
    ) -> None:
        """``warm``: starts the passes; without it each is a cold one."""
        self.plan = plan
        self.chance = random.Random(plan.seed)
        self.folder = folder
        self.azurite = azurite
        self.container = container
        self.truth = Truth()
        self.watch = Watch(container, self.truth)
        self.struck: set[str] = set()
        self.found_by_thorough = False
        self.not_ours: set[str] = set()
        """Runs that another flow published; their sources are not in this main folder."""
        self.credentials_expired = False
        self.once: dict[str, list[bytes]] = {}
        """By path: what files held before each fault that changed them."""
        self.acts: list[Act] = []
        self.heads: list[Act] = []
        self.changes: list[collections.abc.Callable[[Request, bytes], bytes]] = []
        self.answered: list[collections.abc.Callable[[Request, int], None]] = []
        """Called when the storage has done a request, before the command hears of it."""
        self.headers: list[collections.abc.Callable[[Request, dict[str, str]], None]] = []
        self.checks: list[collections.abc.Callable[[], list[str]]] = []
        """What must hold after each pass, besides the invariants; faults add theirs."""
        self.final_checks: list[collections.abc.Callable[[], list[str]]] = []
        """What must hold when all is right again."""
        self.before_healing: list[collections.abc.Callable[[], None]] = []
        """Called before each pass when the faults are lifted."""
        self.on_end: list[collections.abc.Callable[[Outcome], None]] = []
        self.tasks: "queue.SimpleQueue[collections.abc.Callable[[], None]]" = queue.SimpleQueue()
        self.on_start: list[collections.abc.Callable[[Process], None]] = []
        self.environment: dict[str, str] = {}
        self.passes: list[Outcome] = []
        self.process: Process | None = None
        self.main, self.disk = folder / "main", folder / "main"
        self.bound: Bound | None = None
        self.share: Share | None = None
        self.small: SmallDisk | None = None
        self.seen = 0
        self._warm = warm
        self._processes: list[Process] = []

    def __enter__(self) -> "World":
        for name in ("home", "main", "state", "log", "plans", "sheets"):
            (self.folder / name).mkdir(parents=True)
        key = self.folder / "account.key"
        key.touch(mode=0o600)
        key.write_text(Azurite.key + "\n", encoding="utf-8")
        if self.plan.mount != "plain":
            self.disk = self.folder / "disk"
            self.disk.mkdir()
        if self.plan.mount == "bound":
            self.bound = Bound(self.disk, self.main)
        elif self.plan.mount in ("share", "cached"):
            seconds = CACHED if self.plan.mount == "cached" else 0
            self.share = Share(self.disk, self.main, self.folder / "control", seconds)
        if self.plan.disk:
            # AzCopy's folder must have 64 MiB.
            self.small = SmallDisk(self.folder / self.plan.disk, 100 if self.plan.disk == "plans" else 8)
        self.points = Points(self.folder)
        self.line = Line(self.azurite.port)
        self.line.act, self.line.forwarding = self._act, self.watch.forwarding
        self.line.change, self.line.head = self._changed, self._head
        self.line.headers = self._headers
        self.line.__enter__()
        self.config = self._config(key)
        if self.plan.uploader == "azcopy":
            # So that a file of 17 MiB goes in blocks, which the service does not check.
            self.environment["AZCOPY_BUFFER_GB"] = "0.012"
        self._first_runs()
        return self

    def _config(self, key: pathlib.Path) -> dict[str, object]:
        config: dict[str, object] = {
            "main-folder": self.main,
            "completion-flag": FLAG,
            "completion-delay": 0,
            "blob-endpoint": self.line.endpoint,
            "container-name": self.container.container_name,
            "credentials": key,
            "auth": "account-key",
            "azcopy": azcopy_path(),
            "azcopy-logs": self.folder / "plans" / "jobs",
            "state-file": self.folder / "state" / "ledger.sqlite",
            "log-file": self.folder / "log" / "pass.log",
            "uploader": self.plan.uploader,
            "remove-source": str(self.plan.remove).lower(),
            "concurrency": 4,
            "retry-times": 2,
            # Nothing that is not held back takes so long, on a busy machine either: see network.stalled. AzCopy says
            # how far it is every two seconds, and would try in vain for a quarter of an hour.
            "timeout": 100 if self.plan.uploader == "native" else 20,
        }
        if self.plan.shape == "sheet":
            config["samplesheet-folder"] = self.folder / "sheets"
        if self.plan.shape == "family":
            # The instrument's family says when a run is finished.
            del config["completion-flag"]
        return config

    def _first_runs(self) -> None:
        """R is what faults strike; OTHER lies beside it, and must come through."""
        self.write(
            "R", {f"Data/L00{lane}/{cycle}.bcl": self.noise(300) for lane in (1, 2) for cycle in range(4)}
        )
        of_its_family = _of_a_miseq() if self.plan.shape == "family" else {}
        self.write(
            "R", {"RunInfo.xml": self.noise(900), "Data/empty.txt": b"", FLAG: b"done\n"} | of_its_family
        )
        if self.plan.shape == "blocks":
            self.write("R", {"Data/large.raw": self.chance.randbytes(LARGE)})
        if self.plan.shape in ("small", "sheet", "family"):
            self.write("OTHER", {"Data/1.bcl": self.noise(500), FLAG: b"done\n"} | of_its_family)
        if self.plan.shape == "sheet":
            self.write("R", {"SampleSheet.csv": self.sample_sheet()})
            for run in ("R", "OTHER"):
                self.sheet(run, self.sample_sheet())

    def noise(self, most: int) -> bytes:
        return self.chance.randbytes(self.chance.randint(20, most))

    def sample_sheet(self) -> bytes:
        """One that can be parsed, with an index of its own."""
        index = "".join(self.chance.choices("ACGT", k=10))
        return f"[Header]\nDate,2026-11-22\n[Data]\nSample_ID,index\nS1,{index}\n".encode()

    def instant(self, *names: str) -> str:
        """The plan's, where it names one of these."""
        return self.plan.instant if self.plan.instant in names else self.chance.choice(names)

    @property
    def runs(self) -> list[str]:
        return sorted(self.truth.now)

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.line.__exit__(None, None, None)
        self.points.close()
        for mount in (self.bound, self.share, self.small):
            if mount is not None:
                mount.close()

    def remove(self) -> None:
        shutil.rmtree(self.folder)

    # The source

    def path(self, run: str, path: str) -> pathlib.Path:
        """Where a file lies, or would; the run may be moved aside."""
        aside = self.disk / f"{ASIDE}{run}"
        return (aside if aside.is_dir() else self.disk / run) / path

    def write(self, run: str, files: collections.abc.Mapping[str, bytes]) -> None:
        """New files of a complete run."""
        for name, content in files.items():
            path = self.path(run, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            self.truth.written(run, name, content)

    def sheet(self, run: str, content: bytes) -> None:
        (self.folder / "sheets" / f"{run}.csv").write_bytes(content)
        self.truth.sheets.setdefault(run, set()).add(digest(content))
        self.truth.now.setdefault(run, {})["SampleSheet.csv:sheet"] = digest(content)

    def alter(
        self, run: str, name: str, change: collections.abc.Callable[[pathlib.Path], bytes | None]
    ) -> None:
        """``change`` returns what the file holds then, None where none stands there any more."""
        path = self.path(run, name)
        was = digest(path.read_bytes())
        # Whose blob the harness spoilt, of that the source held the only copy.
        kept = self.watch.is_published(run, name, was) and not self.is_spoilt(f"{run}/{name}")
        content = change(path)
        why = getattr(change, "__name__", "altered")
        self.truth.note(f"{run}/{name}: {why}{', published before' if kept else ''}")
        if content is None:
            if not kept:
                self.truth.destroyed(run, name, was, why)
            self.truth.gone(run, name)
        elif digest(content) != was:
            if not kept:
                self.truth.destroyed(run, name, was, why)
            self.truth.written(run, name, content)

    def rename(self, run: str, new: str) -> None:
        """A person gives our run another name, as its own is another flow's at the destination."""
        (self.disk / run).rename(self.disk / new)
        self.truth.renamed(run, new)
        self.not_ours.add(run)

    @property
    def away(self) -> pathlib.Path:
        """Where parts of runs lie that somebody moved out of the main folder: ``away/RUN/PATH``."""
        return self.folder / "away"

    # The ledger

    def lose_ledger(self) -> None:
        for path in (self.folder / "state").glob("ledger.sqlite*"):
            path.unlink()

    # The destination, behind the command's back

    def spoil(self, blob: str, content: bytes | None) -> None:
        """Somebody else overwrites a blob, or deletes it (None)."""
        client = self.container.get_blob_client(blob)
        if content is None:
            client.delete_blob()
            self.truth.spoilt[blob] = None
        else:
            self.truth.spoilt[blob] = str(client.upload_blob(content, overwrite=True)["etag"]).strip('"')
        self.truth.note(f"blob {blob} {'deleted' if content is None else 'overwritten'} by somebody else")

    def is_spoilt(self, blob: str) -> bool:
        """Does it stand as somebody else left it?"""
        return blob in self.truth.spoilt and self.watch.etags().get(blob) == self.truth.spoilt[blob]

    # The line

    def _act(self, request: Request) -> "Answer | str | None":
        self.seen += 1
        for act in list(self.acts):
            what = act(request)
            if what is not None:
                return what
        return None

    def _head(self, request: Request) -> "Answer | str | None":
        return next((what for head in list(self.heads) if (what := head(request)) is not None), None)

    def _changed(self, request: Request, status: int, content: bytes) -> bytes:
        self.watch.passed(request, status)
        for answered in list(self.answered):
            answered(request, status)
        for change in list(self.changes):
            content = change(request, content)
        return content

    def _headers(self, request: Request, headers: dict[str, str]) -> None:
        for change in list(self.headers):
            change(request, headers)

    # The command

    def start(self, *arguments: str, state: str = "ledger.sqlite", **other: object) -> Process:
        """``state``: name of the ledger; ``other``: keys of the configuration, with _ for -."""
        config = dict(self.config) | {name.replace("_", "-"): value for name, value in other.items()}
        config["state-file"] = self.folder / "state" / state
        path = self.folder / f"{state}.cfg"
        path.write_text("".join(f"{key} = {value}\n" for key, value in config.items()), encoding="utf-8")
        given = self.environment | self.points.environment()
        kept = {name: os.environ[name] for name in ("PATH", "PYENV_VERSION") if name in os.environ}
        home = self.folder / "home"
        environment = kept | {"HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": str(PROJECT)} | given
        words = ["--config-file", str(path), *arguments]
        if self._warm is None or must_be_cold(given):
            process: Process = self._start_cold(words, home, for_cold(environment, PROJECT))
        else:
            process = self._warm.start(
                words, cwd=home, environment=environment, unprivileged=os.geteuid() == 0, one_stream=True
            )
        self._processes.append(process)
        return process

    @staticmethod
    def _start_cold(
        words: list[str], home: pathlib.Path, environment: dict[str, str]
    ) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "sync_to_azure", *words]
        if os.geteuid() == 0:
            # Without root's right to ignore file modes.
            command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--", *command]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=home,
            env=environment,
        )

    def finish(self, process: Process, began: float) -> Outcome:
        """Waits for its end; what must happen in this thread meanwhile is done (Azurite dies with its starter)."""
        while True:
            try:
                output, _ = process.communicate(timeout=0.1)
                break
            except subprocess.TimeoutExpired:
                while not self.tasks.empty():
                    self.tasks.get()()
                if time.monotonic() - began > HUNG_AFTER:
                    process.kill()
                    output, _ = process.communicate()
                    output += f"\n[the harness killed it: it had not ended after {HUNG_AFTER:g} s]"
                    return Outcome(HUNG, output, time.monotonic() - began)
        return Outcome(process.returncode, output, time.monotonic() - began)

    def run(self, *arguments: str) -> Outcome:
        """One pass to its end, with the faults that are armed."""
        began = time.monotonic()
        process = self.process = self.start(*arguments)
        for each in list(self.on_start):
            threading.Thread(target=each, args=(process,), daemon=True).start()
        outcome = self.finish(process, began)
        self.process = None
        self.passes.append(outcome)
        for each_end in list(self.on_end):
            each_end(outcome)
        return outcome

    def expire_credentials(self) -> None:
        """As if a day had passed: what AzCopy uploaded may be removed now, and its requests are refused."""
        self.credentials_expired = True
        ledger = self.folder / "state" / "ledger.sqlite"
        with contextlib.suppress(sqlite3.Error):
            address = f"file:{ledger}?mode=rw"
            with contextlib.closing(sqlite3.connect(address, uri=True, timeout=60)) as connection, connection:
                connection.execute("UPDATE azcopy_job SET expires = 1")

    def an_hour_passes(self) -> None:
        """As if all that is on record of published runs were an hour older: their folders are due to be scanned."""
        ledger = self.folder / "state" / "ledger.sqlite"
        with contextlib.suppress(sqlite3.Error):
            address = f"file:{ledger}?mode=rw"
            with contextlib.closing(sqlite3.connect(address, uri=True, timeout=60)) as connection, connection:
                connection.execute("UPDATE run SET scanned_at = scanned_at - 3600")

    def azcopies(self) -> list[int]:
        """Process ids of AzCopy jobs of this world."""
        found, name = [], str(self.container.container_name).encode()
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if b"--list-of-files" in words and name in words:
                found.append(int(folder.name))
        return found

    def kill(self, number: int = signal.SIGKILL) -> bool:
        """The pass that runs; False if there is none any more."""
        process = self.process
        if process is None or process.poll() is not None:
            return False
        process.send_signal(number)
        return True

    def strike(self, fault: str) -> None:
        self.struck.add(fault)


def _of_a_miseq() -> dict[str, bytes]:
    """What it is recognised by, and how it ended; how many base calls it must have is not said."""
    software = b"<Setup><ApplicationName>MiSeq Control Software</ApplicationName></Setup>"
    return {
        "RunInfo.xml": layouts.run_info("191028_M00001_0021_000000000-97CKD", layout=(0, 0, 0, 0)),
        PARAMETERS: b"<RunParameters>" + software + b"</RunParameters>",
        "RunCompletionStatus.xml": layouts.completion_status("CompletedAsPlanned"),
    }


HUNG = -999
"""The code of a pass that the harness had to end."""
