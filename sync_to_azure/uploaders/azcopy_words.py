"""What is said to AzCopy and what it says back: arguments, environment and JSON output, as pure functions."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from sync_to_azure.core.model import NONCE_KEY

PUT_BLOB_MIB = 256
"""Up to this size AzCopy sends a file in one Put Blob, whose MD5 the service checks: one bit flipped on the way of a
200 MiB body was refused (400 Md5Mismatch). Above it AzCopy sends blocks without checksums (its issue 3141): one bit
flipped there went through, under the right MD5 in the listing. AzCopy's own default is 8."""

_BUFFER_GB = 1.0
_BUFFER_SHARE = 0.7

OLDEST_VERSION = (10, 22, 0)
"""The oldest release with --put-blob-size-mb and the login by workload identity."""

NO_VERSION_CHECK = "--skip-version-check"
"""Otherwise each start asks Microsoft's server for the newest version, and waits for it behind a closed firewall
(AzCopy's issues 1404, 2299). Since 10.17."""

# Hosts to which AzCopy sends a token without being told (its --trusted-microsoft-suffixes).
_TRUSTED = (
    ".core.windows.net",
    ".core.chinacloudapi.cn",
    ".core.cloudapi.de",
    ".core.usgovcloudapi.net",
    ".storage.azure.net",
)


def put_blob_mib(ours: Mapping[str, str]) -> int:
    """The bound of a Put Blob within AzCopy's memory: a body must fit into three quarters of its buffers, which an
    administrator may have made smaller (AZCOPY_BUFFER_GB; what is no number AzCopy itself complains about).
    """
    try:
        buffers = float(ours.get("AZCOPY_BUFFER_GB") or _BUFFER_GB)
    except ValueError:
        buffers = _BUFFER_GB
    if not math.isfinite(buffers):
        buffers = _BUFFER_GB
    return max(1, min(PUT_BLOB_MIB, int(buffers * 1024 * _BUFFER_SHARE)))


def copy_argv(
    executable: str,
    source: bytes,
    endpoint: str,
    container: str,
    destination: str,
    query: str,
    list_file: str,
    log_level: str,
    cap_mbps: float | None,
    uses_token: bool,
    put_blob: int = PUT_BLOB_MIB,
    tier: str | None = None,
    nonce: str | None = None,
) -> list[str | bytes]:
    """The arguments of one upload. ``destination`` is the blob prefix (unquoted); ``query`` a SAS or empty.

    No --recursive: the list names files; should one become a folder meanwhile, it is not walked into. No length check:
    a listing looks at every blob afterwards, so AzCopy need not ask for each. ``.vhd`` must not become a page blob.
    ``--overwrite=false`` is a HEAD and then an unconditional PUT (recorded with 10.32): it protects what was there
    before, not what comes in between.
    """
    url = f"{endpoint}/{container}/{quote(destination, safe='/')}" + (f"?{query}" if query else "")
    argv: list[str | bytes] = [
        executable,
        "copy",
        source,
        url,
        "--as-subdir=false",
        f"--list-of-files={list_file}",
    ]
    argv += [
        "--from-to=LocalBlob",
        "--blob-type=BlockBlob",
        "--put-md5",
        "--overwrite=false",
        "--check-length=false",
        NO_VERSION_CHECK,
    ]
    argv += [f"--put-blob-size-mb={put_blob}", "--output-type=json", f"--log-level={log_level}"]
    if nonce is not None:
        argv.append(f"--metadata={NONCE_KEY}={nonce}")
    if tier is not None:
        argv.append(f"--block-blob-tier={tier.capitalize()}")
    if cap_mbps is not None:
        argv.append(f"--cap-mbps={cap_mbps:g}")
    host = urlsplit(endpoint).netloc
    if uses_token and not (urlsplit(endpoint).hostname or "").endswith(_TRUSTED):
        argv.append(f"--trusted-microsoft-suffixes={host}")
    return argv


def environment(
    ours: Mapping[str, str], login: Mapping[str, str], plans: str, logs: str, files_at_once: int
) -> dict[str, str]:
    """AzCopy's environment: ours without our own settings and without another login, plus what this job needs.

    Settings of AzCopy's own that the administrator made (AZCOPY_CONCURRENCY_VALUE, AZCOPY_BUFFER_GB …) stay.
    """
    login_names = (
        "AZCOPY_AUTO_LOGIN_TYPE",
        "AZCOPY_TENANT_ID",
        "AZCOPY_SPA_",
        "AZCOPY_MSI_",
        "AZCOPY_ACTIVE_DIRECTORY",
        "AZCOPY_OAUTH",
    )
    kept = {
        name: value
        for name, value in ours.items()
        if not name.startswith("SYNC_TO_AZURE_") and not name.startswith(login_names)
    }
    kept.setdefault("AZCOPY_CONCURRENT_FILES", str(files_at_once))
    kept["AZCOPY_BUFFER_GB"] = kept.get("AZCOPY_BUFFER_GB") or f"{_BUFFER_GB:g}"
    return kept | {
        "AZCOPY_JOB_PLAN_LOCATION": plans,
        "AZCOPY_LOG_LOCATION": logs,
        "AZCOPY_DISABLE_SYSLOG": "true",
        **login,
    }


def can_be_listed(path: bytes) -> bool:
    """Can this path stand on a line of --list-of-files? The list is cut at line ends, a carriage return before one is
    dropped, and a byte order mark at its start too."""
    return (
        b"\n" not in path
        and b"\r" not in path
        and not path.startswith(b"\xef\xbb\xbf")
        and path.strip() != b"{"
    )


def version_of(output: str) -> tuple[int, ...] | None:
    found = re.search(r"azcopy version (\d+)\.(\d+)\.(\d+)", output)
    return tuple(int(part) for part in found.groups()) if found else None


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """AzCopy's Progress or EndOfJob. ``moved`` changes whenever anything got further."""

    final: bool
    status: str
    total: int
    completed: int
    failed: int
    skipped: int
    skipped_links: int
    skipped_special: int
    bytes_done: int
    bytes_on_wire: int
    bytes_total: int
    failures: tuple[str, ...]

    @property
    def bytes_shown(self) -> int:
        """How far it is: a Put Blob counts as done only at its end, so what is on the wire is shown, too."""
        return max(self.bytes_done, min(self.bytes_on_wire, self.bytes_total))

    @property
    def moved(self) -> tuple[int, ...]:
        return (self.total, self.completed, self.failed, self.skipped, self.bytes_done, self.bytes_on_wire)


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """One line of output: a report, or words (``kind``: Info, Error, Init, odd …)."""

    kind: str
    text: str
    report: Report | None = None


def parse(line: str) -> Said:
    """Never raises: a line that is no JSON (warnings break the stream, its issue 3182; a Go panic) is odd, and kept."""
    try:
        outer = json.loads(line)
        kind, content = str(outer["MessageType"]), str(outer["MessageContent"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return _cut_summary(line) or Said("odd", line)
    if kind in ("Progress", "EndOfJob"):
        try:
            return Said(kind, "", _report(json.loads(content), kind == "EndOfJob"))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return Said("odd", content)
    return Said(kind, content)


def _cut_summary(line: str) -> Said | None:
    """The summary lists every failed file: a line of hundreds of megabytes, of which only head and tail were kept.
    The numbers stand before and after the list."""
    if '"MessageType":"EndOfJob"' not in line[:300]:
        return None
    values: dict[str, str] = {}
    for name, value in re.findall(r'\\"(\w+)\\":\\"([^"\\]*)\\"', line):
        values.setdefault(name, value)
    if not {"JobStatus", "TransfersCompleted"} <= values.keys():
        return None
    try:
        return Said("EndOfJob", "", _report(values, True))
    except (ValueError, OverflowError):
        return None


def _report(values: Mapping[str, Any], final: bool) -> Report:
    def number(name: str) -> int:
        return int(values.get(name) or 0)

    failures: Sequence[Mapping[str, Any]] = values.get("FailedTransfers") or ()
    return Report(
        final=final,
        status=str(values.get("JobStatus", "")),
        total=number("TotalTransfers"),
        completed=number("TransfersCompleted"),
        failed=number("TransfersFailed"),
        skipped=number("TransfersSkipped"),
        skipped_links=number("SkippedSymlinkCount"),
        skipped_special=number("SkippedSpecialFileCount"),
        bytes_done=number("TotalBytesTransferred"),
        bytes_on_wire=number("BytesOverWire"),
        bytes_total=number("TotalBytesEnumerated"),
        failures=tuple(
            f"{item.get('Src', '?')} (error {item.get('ErrorCode', '?')})" for item in failures[:5]
        ),
    )


def findings(report: Report | None, exit_code: int, wanted: int) -> list[str]:
    """What is odd about how a job ended; an empty list means that it claims to have sent all. The listing decides."""
    if report is None:
        return [
            f"AzCopy ended with exit code {exit_code} and no summary"
            + (" (a panic)" if exit_code == 2 else "")
        ]
    found = []
    if report.status != "Completed":
        found.append(f"AzCopy's job ended as {report.status or 'unknown'}")
    if report.failed:
        found.append(f"{report.failed} transfers failed: {', '.join(report.failures)}")
    skipped = report.skipped + report.skipped_links + report.skipped_special
    if skipped:
        found.append(f"{skipped} files were skipped, which AzCopy does not call a failure")
    if report.completed < wanted and not report.failed and not skipped:
        found.append(f"AzCopy claims success, but sent {report.completed} of {wanted} files")
    if exit_code != 0 and not found:
        found.append(f"AzCopy ended with exit code {exit_code}")
    return found
