"""An inventory of a store by its listing: a page, a transaction; it goes on where it was stopped.

What was not listed is gone, but nothing is deleted on a doubt: an empty listing, more than 5 % or more than 1,000
objects need a person, who names that very list by its digest.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable

from sync_to_azure.catalogue.db.port import Catalogue, Inventory, Known
from sync_to_azure.catalogue.inventory.addresses import Target
from sync_to_azure.catalogue.model import MD5, Applied, Checksum, Delete, Provenance, Put
from sync_to_azure.core.clock import Clock
from sync_to_azure.core.errors import TokenRefused
from sync_to_azure.core.model import Blob, Evidence
from sync_to_azure.stores.store import Page, Store

SHARE, COUNT = 0.05, 1000
"""More gone than that needs a person."""
_BATCH = 1000
_EXAMPLES = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Gone:
    """What a listing did not show. ``digest`` names the very list; ``held``: nothing of it is deleted yet."""

    count: int
    digest: str
    examples: tuple[str, ...]
    held: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Listed:
    listed: int
    applied: Applied
    gone: Gone
    went_on: bool


def take(
    catalogue: Catalogue,
    store: Store,
    target: Target,
    clock: Clock,
    moved: Callable[[int], None] = lambda listed: None,
    accepted: str = "",
    anew: bool = False,
) -> Listed:
    """``moved`` is told how many objects came so far; ``accepted``: the digest of a list that may be deleted;
    ``anew``: do not go on with one that was stopped. Raises what stores and databases
    raise; what was done until then stays.
    """
    store.check(target.prefix)
    with catalogue.transaction():
        store_id = catalogue.store_id(target.store)
        inventory = catalogue.unfinished_inventory(store_id, target.prefix)
        if inventory is not None and anew:
            catalogue.finish_inventory(inventory, "abandoned", clock.now())
            inventory = None
        went_on = inventory is not None and bool(inventory.token)
        if inventory is None:
            inventory = _begin(catalogue, store, store_id, target, clock)
    try:
        inventory = _listed(catalogue, store, target, inventory, clock, moved)
    except TokenRefused:
        if not went_on:
            raise
        with catalogue.transaction():
            catalogue.finish_inventory(inventory, "abandoned", clock.now())
            inventory = _begin(catalogue, store, store_id, target, clock)
        went_on = False
        inventory = _listed(catalogue, store, target, inventory, clock, moved)
    gone = _look_for_gone(catalogue, inventory, accepted)
    if gone.count and not gone.held:
        inventory = _delete(catalogue, inventory, clock)
    with catalogue.transaction():
        catalogue.finish_inventory(inventory, "held" if gone.held else "complete", clock.now())
    return Listed(inventory.listed, inventory.applied, gone, went_on)


def _begin(catalogue: Catalogue, store: Store, store_id: int, target: Target, clock: Clock) -> Inventory:
    now = clock.now()
    return catalogue.begin_inventory(store_id, target.prefix, now, store.service_date or now)


def _listed(
    catalogue: Catalogue,
    store: Store,
    target: Target,
    inventory: Inventory,
    clock: Clock,
    moved: Callable[[int], None],
) -> Inventory:
    # An object of a page was there when the answer was made, which is after the answer before it came.
    asked = store.service_date or clock.now()
    for page in store.pages(target.prefix, inventory.token):
        answered = store.service_date or clock.now()
        inventory = _take_page(catalogue, inventory, page, asked, clock.now())
        asked = answered
        moved(inventory.listed)
    return inventory


def _take_page(catalogue: Catalogue, inventory: Inventory, page: Page, at: float, now: float) -> Inventory:
    blobs = [blob for blob in page.blobs if not blob.folder_stub]
    with catalogue.transaction():
        known = catalogue.known(inventory.store_id, [blob.name for blob in blobs if "\0" not in blob.name])
        changes, seen = [], []
        for blob in blobs:
            before = known.get(blob.name)
            if before is not None and _is_unchanged(blob, before):
                seen.append(before.number)
            else:
                changes.append(put_of(blob, at))
        counts = Applied(unchanged=len(seen))
        if changes:
            applied = catalogue.apply(inventory.store_id, changes, now, f"inventory {inventory.id}")
            counts.add(applied)
            seen += applied.numbers
        total = dataclasses.replace(inventory.applied)
        total.add(counts)
        inventory = dataclasses.replace(
            inventory, token=page.token, listed=inventory.listed + len(blobs), applied=total
        )
        catalogue.note_page(inventory, seen)
    return inventory


def _is_unchanged(blob: Blob, known: Known) -> bool:
    return (
        known.etag == blob.etag
        and known.size == blob.size
        and (known.md5 == blob.md5 or blob.md5 is None or known.has_more)
        and known.tier == blob.tier
        and known.mime == blob.content_type
        and not known.is_deleted
    )


def put_of(blob: Blob, at: float) -> Put:
    """An MD5 in a listing is what the object's writer said of it: no service compares it with what came in blocks."""
    checksums: tuple[Checksum, ...] = ()
    if blob.md5 is not None:
        checksums = (Checksum(Provenance.CLIENT, Evidence.NONE, MD5, blob.md5.hex()),)
    return Put(
        name=blob.name,
        etag=blob.etag,
        size=blob.size,
        at=at,
        modified=blob.modified,
        store_version=blob.version,
        checksums=checksums,
        mime=blob.content_type,
        tier=blob.tier,
    )


def _look_for_gone(catalogue: Catalogue, inventory: Inventory, accepted: str) -> Gone:
    live = catalogue.live(inventory.store_id, inventory.prefix)
    digest, count = hashlib.sha256(), 0
    examples: list[str] = []
    for name in catalogue.gone(inventory):
        digest.update(name.encode() + b"\0")
        count += 1
        if len(examples) < _EXAMPLES:
            examples.append(name)
    named = digest.hexdigest()[:16]
    is_doubtful = count > 0 and (inventory.listed == 0 or count > SHARE * live or count > COUNT)
    return Gone(count, named, tuple(examples), is_doubtful and accepted != named)


def _delete(catalogue: Catalogue, inventory: Inventory, clock: Clock) -> Inventory:
    total = dataclasses.replace(inventory.applied)
    for names in _batches(catalogue.gone(inventory)):
        source = f"inventory {inventory.id}"
        changes = [Delete(name, inventory.store_began, source) for name in names]
        with catalogue.transaction():
            total.add(catalogue.apply(inventory.store_id, changes, clock.now(), source))
    return dataclasses.replace(inventory, applied=total)


def _batches(names: Iterable[str]) -> Iterable[list[str]]:
    batch: list[str] = []
    for name in names:
        batch.append(name)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
