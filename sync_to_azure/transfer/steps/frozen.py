"""Published is frozen: a file that became another is never sent over the good copy; a blob that went wrong is healed
only from a source that still matches the manifest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from sync_to_azure.core.errors import SourceUnavailable
from sync_to_azure.files.hashing import Hasher, hash_file
from sync_to_azure.core.model import FileToSend, Progress
from sync_to_azure.transfer.steps.looks import Differences
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.core.few import Few
from sync_to_azure.transfer.ledger import Files, Run

_log = logging.getLogger(__name__)

_BATCH = 1000


def changed_at_source(
    context: PassContext, current: RunContext, is_frozen: Callable[[str], bool] = lambda blob: True
) -> Differences:
    """Compare what the walk saw with the published manifest. Files that were only touched are hashed once and noted."""
    changed = Differences()
    context.files.changes.begin_offer(current.run)
    expected: dict[str, bytes] = {}
    touched: list[tuple[FileToSend, int | None]] = []
    count = 0

    def became_another(file: FileToSend) -> None:
        if is_frozen(file.blob):
            changed.add(file)
        else:
            changed.renewed.append(file.blob)

    def of_same_size() -> Iterator[FileToSend]:
        for file, published_size, md5 in context.files.plan.published_that_differ(current.run):
            if file.size != published_size:
                became_another(file)
            else:
                expected[file.blob] = md5
                yield file

    with Hasher(current.root, of_same_size(), context.settings.upload.source_readers) as hasher:
        while not hasher.finished:
            for hashed in hasher.drain(0.2):
                if hashed.problem == "share":
                    raise SourceUnavailable(
                        f"{current.key}: {hashed.file.blob} cannot be read: {hashed.detail}"
                    )
                if hashed.md5 is not None and hashed.md5 == expected.pop(hashed.file.blob):
                    touched.append((hashed.file, hashed.ctime_ns))
                    count += 1
                else:
                    became_another(hashed.file)
            if len(touched) >= _BATCH:
                context.files.set_mtimes(current.run, touched)
                touched.clear()
            if len(changed.last) >= _BATCH:
                _on_record(context.files, current.run, changed)
            context.progress(current, Progress(current.key, "comparing", count))
    context.files.set_mtimes(current.run, touched)
    _on_record(context.files, current.run, changed)
    context.files.changes.end_offer(current.run)
    if count:
        _log.info("%s: %d published files have another time but the same bytes", current.key, count)
    return changed


def _on_record(files: Files, run: Run, changed: Differences) -> None:
    """One by one: what a person accepts is exactly these, as they are now."""
    files.changes.offer(run, changed.last)
    changed.last = []


def mark_what_to_heal(context: PassContext, current: RunContext) -> None:
    """Published blobs that are missing or wrong by the listing just taken: ``heal`` where the source was hashed again
    and matches the manifest, ``lost`` otherwise. A sheet is healed by the sheet step."""
    context.files.scratch.hold(_marks(context, current))


def _marks(context: PassContext, current: RunContext) -> Iterator[tuple[str, str]]:
    healed = Few(_log, logging.WARNING, "%s: … and %d more blobs are sent again from the source", current.key)
    for row, seen in context.files.plan.published_gone_wrong(current.run):
        if row.origin == "sheet":
            yield row.blob, "sheet"
            continue
        matches = (
            seen is not None and current.folder is not None and hash_file(current.root, seen).md5 == row.md5
        )
        if matches:
            healed.show(
                "%s: blob %s is missing or wrong; it is sent again from the source", current.key, row.blob
            )
        yield row.blob, "heal" if matches else "lost"
    healed.end()
