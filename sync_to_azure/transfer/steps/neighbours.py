"""Destinations that overlap: is ours inside a run of another flow, or is a run's folder another flow's destination?

A prefix counts as another flow's only by a receipt or a claim of sync_to_azure that can be read and whose own
destination it is: what instruments, people and copies of containers leave there says nothing.
"""

from __future__ import annotations

import logging
from typing import Any

from sync_to_azure.core import bounded
from sync_to_azure.core.errors import ConfigurationError, RunError
from sync_to_azure.core.names import CLAIMS_FOLDER
from sync_to_azure.core.reasons import Reason
from sync_to_azure.manifest import documents
from sync_to_azure.manifest.origin import origin_in
from sync_to_azure.transfer.steps.context import PassContext, RunContext

_log = logging.getLogger(__name__)

_MOST_READ = 5
"""Documents of a listing that are read; there are none below nearly every run."""
_LISTED = ".files.jsonl"
NOTICED = (_LISTED, "/1")
"""How names of blobs end that may be documents of another flow: a manifest, a first claim."""


class DestinationInside(RunError):
    """A run's folder is the destination of another flow. ``reason`` flags the run."""

    def __init__(self, current: RunContext, prefix: str, theirs: str) -> None:
        self.reason = Reason("destination-of-other-flow", {"prefix": prefix, "theirs": theirs})
        super().__init__(f"{current.key}: {self.reason.text}", self.reason.advice)


def none_above(context: PassContext) -> None:
    """Once a pass, before the first byte; one request for each part of the destination. Raises ConfigurationError if
    the destination is inside a run that another flow published. Where this flow has published runs there before, that
    is only reported."""
    if context.is_above_known:
        return
    parts = [part for part in context.settings.destination.destination.split("/") if part]
    for depth in range(len(parts), 0, -1):
        prefix, run = "/".join(parts[: depth - 1]), parts[depth - 1]
        values = _read(context, "/".join(parts[:depth]) + ".json")
        if values is not None and _is_at(context, values, prefix, run):
            theirs = origin_in(values.get("source")).described(context.origin)
            inside = (
                f"destination {context.settings.destination.destination} is inside run {run}, which another flow"
                f" published ({theirs})"
            )
            if context.ledger.has_published():
                # Anybody can have written that document, and a true one would have been found before our first run.
                text = f"{inside}, by {run}.json, which was written after this flow's runs"
                if context.ledger.report_once(f"above:{run}", context.clock.now()):
                    context.report_problem(
                        f"above:{run}", f"{text} (find out who wrote it; runs continue)", once=True
                    )
                continue
            raise ConfigurationError(
                inside, "set another destination or container-name; nothing was uploaded"
            )
    context.is_above_known = True


def none_below(context: PassContext, current: RunContext) -> None:
    """From the listing just taken, before something is sent. Raises DestinationInside."""
    for name in current.noticed[:_MOST_READ]:
        document = _document(name)
        if document is None:
            continue
        folder, run, blob = document
        prefix = f"{current.base}/{folder}" if folder else current.base
        values = _read(context, f"{current.base}/{blob}")
        if values is not None and _is_at(context, values, prefix, run):
            raise DestinationInside(
                current, prefix, origin_in(values.get("source")).described(context.origin)
            )


def _document(name: str) -> tuple[str, str, str] | None:
    """Of a name below the run that was noticed: the destination and the run that a document there is of, and the blob
    to read. Pure."""
    if name.endswith(_LISTED):
        base = name.removesuffix(_LISTED)
        folder, _, run = base.rpartition("/")
        return (folder, run, f"{base}.json") if run else None
    above, found, claimed = f"/{name}".partition(f"/{CLAIMS_FOLDER}/")
    run = claimed.removesuffix("/1")
    return (above.removeprefix("/"), run, name) if found and run else None


def _is_at(context: PassContext, values: dict[str, Any], prefix: str, run: str) -> bool:
    """Is it a document of this run, written for this very destination?"""
    destination = values.get("destination")
    if not isinstance(destination, dict) or values.get("run") != run:
        return False
    container = context.settings.destination.container_name
    return destination.get("container") == container and destination.get("prefix") == prefix


def _read(context: PassContext, name: str) -> dict[str, Any] | None:
    read = context.lake().get_dated(name, bounded.MOST_DOCUMENT)
    return documents.parsed(read.content) if read is not None else None
