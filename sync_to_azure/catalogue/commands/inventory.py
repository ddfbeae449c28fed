"""`inventory`: of published runs, or of a store."""

from __future__ import annotations

import contextlib
import sys
import tempfile

from collections.abc import Iterator
from pathlib import Path

from sync_to_azure.catalogue.commands.printing import as_json, say
from sync_to_azure.catalogue.db.port import Catalogue
from sync_to_azure.catalogue.inventory import listing, manifests
from sync_to_azure.catalogue.inventory.addresses import Target
from sync_to_azure.catalogue.inventory.manifests import Vouching
from sync_to_azure.catalogue.model import Applied
from sync_to_azure.core.clock import Clock
from sync_to_azure.core.model import Progress
from sync_to_azure.notify.terminal import ProgressLine
from sync_to_azure.stores.store import Store


class _Nothing(Exception):
    """Ends the transaction of a dry run."""


def of_store(
    catalogue: Catalogue,
    store: Store,
    target: Target,
    clock: Clock,
    accepted: str,
    anew: bool,
    dry_run: bool,
    json: bool,
) -> int:
    """Exit code 1 if objects are gone that a person has to decide about."""
    progress = ProgressLine(sys.stderr, clock)
    began = clock.monotonic()

    def moved(listed: int) -> None:
        seconds = clock.monotonic() - began
        step = f"inventory, {listed / seconds:,.0f} a second" if seconds > 0 else "inventory"
        progress.update(Progress(target.store.address, step, files_done=listed))

    done = listing.Listed(0, Applied(), listing.Gone(0, "", (), False), False)
    with _dry(catalogue, dry_run), contextlib.closing(progress):
        done = listing.take(catalogue, store, target, clock, moved, accepted, anew)
    gone = done.gone
    if json:
        as_json(
            {
                "store": target.store.address,
                "prefix": target.prefix,
                "dry_run": dry_run,
                "listed": done.listed,
                "resumed": done.went_on,
                **done.applied.counts(),
                "held": gone.count if gone.held else 0,
                "digest": gone.digest if gone.held else None,
                "seconds": round(clock.monotonic() - began, 3),
            }
        )
    words = ", ".join(f"{number:,} {name}" for name, number in done.applied.counts().items())
    say(f"{'would be: ' if dry_run else ''}{target.store.address}: {done.listed:,} listed: {words}")
    if gone.held:
        say(
            f"{gone.count:,} objects are missing ({', '.join(gone.examples[:3])}, ...); nothing was deleted. Check that"
            f" the store is complete; if these objects are really gone: --accept-deletions {gone.digest}"
        )
    return int(gone.held or done.applied.poison > 0)


def of_manifests(
    catalogue: Catalogue,
    lake: Store,
    target: Target,
    destination: str,
    vouching: Vouching,
    sample_names: bool,
    clock: Clock,
    again: bool,
    dry_run: bool,
    json: bool,
) -> int:
    """Exit code 1 if something is wrong with a run's documents."""
    progress = ProgressLine(sys.stderr, clock)
    began = clock.monotonic()

    def moved(run: str, files: int) -> None:
        progress.update(Progress(run, "manifest", files_done=files))

    done = manifests.Read()
    with _dry(catalogue, dry_run), contextlib.closing(progress), tempfile.TemporaryDirectory() as folder:
        done = manifests.take(
            *(catalogue, lake, target, destination, vouching, sample_names, Path(folder), clock, moved, again)
        )
    if json:
        as_json(
            {
                "store": target.store.address,
                "destination": destination,
                "dry_run": dry_run,
                "runs": done.runs,
                "runs_unchanged": done.unchanged,
                "runs_not_vouched_for": done.doubtful,
                "files": done.files,
                **done.applied.counts(),
                "problems": [{"run": run, "problem": problem} for run, problem in done.problems],
                "seconds": round(clock.monotonic() - began, 3),
            }
        )
    for run, problem in done.problems:
        say(f"{run}: {problem}")
    words = ", ".join(
        f"{number:,} {name}" for name, number in done.applied.counts().items() if name != "gone"
    )
    say(
        f"{'would be: ' if dry_run else ''}{done.runs:,} published runs, {done.unchanged:,} of them unchanged;"
        f" {done.files:,} files read: {words}"
    )
    if done.doubtful:
        say(
            f"{done.doubtful:,} runs have a receipt that evidence-key does not vouch for: their files count as listed,"
            " not as proved"
        )
    return int(bool(done.problems) or done.applied.poison > 0)


@contextlib.contextmanager
def _dry(catalogue: Catalogue, dry_run: bool) -> Iterator[None]:
    """With ``dry_run`` everything is undone at the end; until then nobody else writes."""
    if not dry_run:
        yield
        return
    with contextlib.suppress(_Nothing), catalogue.transaction():
        yield
        raise _Nothing
