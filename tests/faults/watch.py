"""Watched while the fault stands: whatever document of ours passes or stands, every file that it names stands with
those bytes. Asked of the storage itself, beside the line that is spoilt.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import threading

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContainerClient

from tests.faults.truth import Truth, digest
from tests.line import Request

SUFFIXES = (".files.jsonl", ".md5", ".json", ".sync")
SHEET, INSTRUMENT_SHEET = "SampleSheet.csv", "SampleSheet.instrument.csv"


@dataclasses.dataclass
class Standing:
    """One run's documents as they stand: MD5s by path, of each form of the manifest; None where it is missing."""

    lines: dict[str, str] | None
    sums: dict[str, str] | None
    receipt: dict[str, object] | None
    marker: bytes | None


class Watch:
    """``violations`` grows; the caller looks at it when it likes.

    ``one_ledger``: with two machines at the same moment, one may write its receipt over the other's manifest; each file
    stands all the same, and a thorough look puts it right.
    """

    def __init__(self, container: ContainerClient, truth: Truth) -> None:
        self._container = container
        self._truth = truth
        self._bytes: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()
        self._promised: dict[str, dict[str, str]] = {}
        self.violations: list[str] = []
        self.one_ledger = True

    # What stands

    def etags(self) -> dict[str, str]:
        return {blob.name: str(blob.etag).strip('"') for blob in self._container.list_blobs()}

    def get(self, name: str) -> bytes | None:
        try:
            return bytes(self._container.download_blob(name).readall())
        except ResourceNotFoundError:
            return None

    def digest_of(self, name: str, etag: str) -> str | None:
        """MD5 of the bytes themselves, not the one that the listing shows."""
        known = self._bytes.get((name, etag))
        if known is None:
            content = self.get(name)
            if content is None:
                return None
            known = self._bytes[name, etag] = digest(content)
        return known

    def status(self, run: str) -> Standing:
        receipt = self.get(f"{run}.json")
        return Standing(
            self._named(f"{run}.files.jsonl"),
            self._named(f"{run}.md5"),
            None if receipt is None else _parsed(receipt),
            self.get(f"{run}.sync"),
        )

    def _named(self, document: str) -> dict[str, str] | None:
        """None also for what nobody can read."""
        content = self.get(document)
        if content is None:
            return None
        try:
            return named_in(document, content)
        except (ValueError, TypeError, KeyError, RecursionError):
            return None

    def is_published(self, run: str, path: str, was: str) -> bool:
        """Does the tool vouch for these bytes? Then they may not be lost, whatever becomes of the source."""
        standing = self.status(run)
        return standing.marker is not None and (standing.lines or {}).get(path) == was

    # What passes

    def forwarding(self, request: Request) -> None:
        """A request is about to reach the storage, as it is."""
        if not request.writes:
            return
        run, suffix = base_of(request.blob)
        if suffix is None or not _is_whole(request):
            return
        with self._lock:
            try:
                named = named_in(request.blob, request.body)
            except ValueError:
                # Damaged on the way, for the storage to refuse.
                return
            if suffix == ".json":
                self._receipt_passes(run, json.loads(request.body))
            if suffix in (".json", ".sync"):
                named = named_in(f"{run}.files.jsonl", self.get(f"{run}.files.jsonl") or b"")
                if not named:
                    self._violated(f"{request.blob} passes, and no manifest stands")
            self._must_stand(run, named, f"{request.blob} passes")
            if suffix == ".files.jsonl":
                self._promised[run] = named

    def passed(self, request: Request, status: int) -> None:
        """A request was answered: a published file may only have been written with the bytes that are published."""
        run, _, path = request.blob.partition("/")
        wanted = self._promised.get(run, {}).get(path)
        if wanted is not None and request.writes and status == 201:
            with self._lock:
                if self.get(f"{run}.sync") is not None:
                    self._must_stand(run, {path: wanted}, f"{request.blob} is written anew")

    def _receipt_passes(self, run: str, receipt: dict[str, object]) -> None:
        sums = receipt.get("sha256")
        assert isinstance(sums, dict)
        for name, wanted in sums.items():
            content = self.get(name)
            if self.one_ledger and (content is None or hashlib.sha256(content).hexdigest() != wanted):
                self._violated(f"{run}.json passes and vouches for another {name} than stands")

    def look(self, runs: list[str], when: str) -> None:
        """At what stands: where a marker or a receipt does, everything that the manifests name must."""
        with self._lock:
            etags = self.etags()
            for run in runs:
                standing = self.status(run)
                if standing.marker is None and standing.receipt is None:
                    continue
                for form, named in (("files.jsonl", standing.lines), ("md5", standing.sums)):
                    if named is None:
                        if f"{run}.{form}" not in self._truth.spoilt:
                            self._violated(f"{when}: a marker or receipt of {run} stands without its {form}")
                        continue
                    self._must_stand(run, named, f"{when}: {run}.{form} stands", etags)
                if standing.lines:
                    self._promised[run] = standing.lines

    def _must_stand(
        self, run: str, named: dict[str, str], why: str, etags: dict[str, str] | None = None
    ) -> None:
        etags = self.etags() if etags is None else etags
        for path, wanted in named.items():
            name = f"{run}/{path}"
            etag = etags.get(name)
            if name in self._truth.spoilt and self._truth.spoilt[name] == etag:
                # Somebody else did that, and it is as he left it.
                continue
            there = None if etag is None else self.digest_of(name, etag)
            if there == wanted or (path == SHEET and there in self._truth.sheets.get(run, set())):
                # A published run's sheet and its manifest change together, the sheet first.
                continue
            self._violated(f"{why}, and {name} is {there or 'not there'} instead of {wanted}")

    def _violated(self, text: str) -> None:
        self.violations.append(text)


def _parsed(receipt: bytes) -> dict[str, object] | None:
    try:
        values = json.loads(receipt)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def _is_whole(request: Request) -> bool:
    """False for what was damaged on its way: the storage compares the MD5 and refuses it."""
    sent = next((value for name, value in request.headers.items() if name.lower() == "content-md5"), None)
    return sent is None or base64.b64decode(sent) == hashlib.md5(request.body).digest()


def base_of(blob: str) -> tuple[str, str | None]:
    """(run, suffix) of a document beside a run; (first part, None) of anything else."""
    if "/" not in blob:
        for suffix in SUFFIXES:
            if blob.endswith(suffix):
                return blob.removesuffix(suffix), suffix
    return blob.partition("/")[0], None


def named_in(document: str, content: bytes) -> dict[str, str]:
    """Path below the run and MD5 of each file that a manifest names; nothing for receipt and marker."""
    run, suffix = base_of(document)
    if suffix == ".files.jsonl":
        rows = [json.loads(line) for line in content.splitlines()]
        return {row["path"]: row["md5"] for row in rows}
    if suffix == ".md5":
        pairs = [line.split("  ", 1) for line in content.decode().splitlines()]
        return {path.removeprefix(f"{run}/"): md5 for md5, path in pairs}
    return {}
