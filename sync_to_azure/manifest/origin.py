"""Which flow this is and where its main folder is: what receipts and claims say about the flow that wrote them."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sync_to_azure.files.mounts import place_on_mount

MACHINE_FILES = (Path("/etc/machine-id"), Path("/proc/sys/kernel/random/boot_id"))
"""The first that says something counts. Containers often have no machine-id: the boot ID is at least that of their host
until it starts again."""
_APPLICATION = b"sync_to_azure: flow identity"
_LONGEST = 4096


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """``flow``: the random identity that the ledger keeps, None in receipts of versions that had none. ``machine``: a
    hash, from which nobody computes the machine's ID. ``mount``: the source of the main folder's mount;
    ``place``: the main folder's path on what is mounted."""

    flow: str | None
    machine: str | None
    mount: str | None
    place: str | None
    main_folder: str | None

    def is_same_folder(self, other: "Origin") -> bool:
        """Is it the same folder, seen from the same machine? Then only the ledger was lost, or there are two."""
        here = (self.machine, self.mount, self.place)
        return None not in here and here == (other.machine, other.mount, other.place)

    def values(self) -> dict[str, str | None]:
        """As ``source`` in receipts and claims."""
        return {
            "main_folder": self.main_folder,
            "flow": self.flow,
            "machine": self.machine,
            "mount": self.mount,
            "place": self.place,
        }

    def described(self, ours: "Origin") -> str:
        """In words, for a person of the flow ``ours``."""
        on = f" on {self.mount}" if self.mount else ""
        elsewhere = "; another machine" if self.machine and self.machine != ours.machine else ""
        return f"main folder {self.main_folder or '?'}{on}{elsewhere}"


def origin_of(main_folder: Path, flow: str, mount_source: str | None) -> Origin:
    """This flow. ``mount_source``: as the ledger notes it, without secrets."""
    place = place_on_mount(main_folder)
    return Origin(flow, machine_of(MACHINE_FILES), mount_source, place, str(main_folder))


def origin_in(source: object) -> Origin:
    """What ``source`` of a receipt or claim says; what is not text of a sensible length counts as not said."""
    values: Mapping[str, Any] = source if isinstance(source, dict) else {}

    def text(name: str) -> str | None:
        value = values.get(name)
        return value if isinstance(value, str) and 0 < len(value) <= _LONGEST else None

    return Origin(text("flow"), text("machine"), text("mount"), text("place"), text("main_folder"))


def machine_of(files: Iterable[Path]) -> str | None:
    """A keyed hash of this machine's ID, as machine-id(5) asks for; None where there is no ID."""
    for file in files:
        try:
            identity = file.read_bytes().strip()
        except OSError:
            continue
        if identity and identity != b"uninitialized":
            return hmac.new(identity, _APPLICATION, hashlib.sha256).hexdigest()[:32]
    return None
