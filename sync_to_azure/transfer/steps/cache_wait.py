"""Where the kernel gives no fresh look at the share (an old one, a filter of system calls): for how long the client's
cache may answer. Removal waits for so long between its last walk and its last looks; the server answers those then.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from sync_to_azure.files import fresh
from sync_to_azure.core.model import Progress
from sync_to_azure.files.mounts import mount_number
from sync_to_azure.transfer.steps.context import PassContext, RunContext

_log = logging.getLogger(__name__)

LONGEST = 300.0
"""Seconds: a cache that may answer for longer is not waited for; nothing is removed there."""

_NETWORK = tuple("nfs cifs smb fuse 9p ceph lustre afs gpfs beegfs gluster virtiofs".split())
_DEFAULT = 60.0
"""Seconds: acregmax and acdirmax of NFS where the mount does not say (man 5 nfs); the longest default that we know."""
_CIFS_DEFAULT = 1.0
"""Seconds: actimeo where the mount does not say (man 8 mount.cifs)."""
_BOTH = ("actimeo", "attr_timeout")
_FILES, _FOLDERS = ("acregmax", *_BOTH), ("acdirmax", "entry_timeout", *_BOTH)
_STEP = 2.0


def problem(context: PassContext) -> str:
    """Why nothing can be removed from the main folder, or an empty string."""
    seconds = _cache(context)
    if seconds <= LONGEST:
        return ""
    return (
        f"the cache of the share that holds {context.settings.source.main_folder} may answer for {seconds:g} s, and"
        f" this kernel offers no look past it (statx): mount the share with an actimeo of at most {LONGEST:g}"
    )


def wait_out(context: PassContext, current: RunContext) -> None:
    """Between the last walk and the last looks. Nothing where looks are fresh, or on a local file system."""
    left = _cache(context)
    if left and context.ledger.report_once("no-fresh-look", context.clock.now()):
        _log.warning(
            "this kernel cannot bypass the cache of the share with %s (statx is refused): each removal"
            " waits %g s for it",
            context.settings.source.main_folder,
            left,
        )
    while left > 0:
        context.progress(current, Progress(current.key, "waiting for the share's cache", round(left)))
        context.clock.sleep(min(_STEP, left))
        left -= _STEP


def _cache(context: PassContext) -> float:
    """Seconds; 0 where looks are fresh. Asked once a pass. Raises OSError."""
    if context.share_cache is None:
        handle = context.main().handle
        if fresh.is_available(handle):
            context.share_cache = 0.0
        else:
            with open("/proc/self/mountinfo", "rb") as lines:
                context.share_cache = cache_seconds(mount_number(handle), lines)
    return context.share_cache


def cache_seconds(number: bytes, mountinfo: Iterable[bytes]) -> float:
    """For how long the client of the mount with this ID may answer from its cache. Pure."""
    for line in mountinfo:
        # man 5 proc: ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [TAGS] - TYPE SOURCE SUPEROPTIONS
        left, _, right = line.decode("utf-8", "replace").partition(" - ")
        if left.split(" ")[0] == number.decode():
            about = right.split()
            return _by_options(about[0] if about else "", about[2] if len(about) > 2 else "")
    return _DEFAULT


def _by_options(kind: str, options: str) -> float:
    if not kind.startswith(_NETWORK):
        return 0.0
    named = dict(option.partition("=")[::2] for option in options.split(","))
    if "noac" in named:
        return 0.0
    default = _CIFS_DEFAULT if kind.startswith(("cifs", "smb")) else _DEFAULT
    return max(_longest(named, names, default) for names in (_FILES, _FOLDERS))


def _longest(named: dict[str, str], names: Iterable[str], default: float) -> float:
    said = [float(named[name]) for name in names if named.get(name, "").replace(".", "", 1).isdecimal()]
    return max(said, default=default)
