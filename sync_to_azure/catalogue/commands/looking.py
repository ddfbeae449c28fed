"""`search`, `show`, `totals`."""

from __future__ import annotations

from collections.abc import Iterator

from sync_to_azure.catalogue.commands.printing import (
    as_json,
    counted,
    found_as_json,
    json_array,
    line,
    say,
    table,
    time_of,
)
from sync_to_azure.catalogue.db.port import Catalogue, Found
from sync_to_azure.catalogue.query import Query
from sync_to_azure.core.model import Evidence
from sync_to_azure.notify.redact import plain
from sync_to_azure.notify.terminal import grid, human_size

_PAGE = 500
FOR_PEOPLE = 100


def search(
    catalogue: Catalogue, query: Query, json: bool, limit: int | None, after: int, facets: bool
) -> int:
    if facets:
        return _facets(catalogue, query, json)
    if json:
        json_array(map(found_as_json, _all(catalogue, query, limit, after)))
        return 0
    found = list(_all(catalogue, query, limit or FOR_PEOPLE, after))
    if found:
        line_block(table(found))
    number = catalogue.count(query)
    if len(found) < number:
        say(
            f"{counted(number)} found, {len(found):,} shown; more: --after {found[-1].number if found else after}"
        )
    else:
        say(f"{counted(number)} found")
    return 0


def _all(catalogue: Catalogue, query: Query, limit: int | None, after: int) -> Iterator[Found]:
    left = limit
    while left is None or left > 0:
        size = _PAGE if left is None else min(left, _PAGE)
        page = catalogue.search(query, after, size)
        yield from page
        if len(page) < size:
            return
        after = page[-1].number
        left = None if left is None else left - len(page)


def _facets(catalogue: Catalogue, query: Query, json: bool) -> int:
    number, facets = catalogue.count(query), catalogue.facets(query)
    if json:
        as_json({"found": counted(number), "facets": facets})
        return 0
    for name, values in facets.items():
        ranked = sorted(values.items(), key=lambda each: (-each[1], each[0]))[:20]
        line(f"{name}: " + ", ".join(f"{value or '(none)'} {count:,}" for value, count in ranked))
    say(f"{counted(number)} found")
    return 0


def line_block(text: str) -> None:
    from sync_to_azure.notify.output import show

    show(text)


def show(catalogue: Catalogue, identity: str, json: bool) -> int:
    """Exit code 1 if nothing has this id."""
    found = catalogue.versions(identity)
    if not found:
        say(f"nothing in the catalogue has the id {identity!r}; ids are in the output of search")
        return 1
    if json:
        as_json([found_as_json(each) for each in found])
        return 0
    for each in found:
        state = "current" if each.is_current else "replaced"
        if each.deleted_at is not None:
            state = f"deleted at {time_of(each.deleted_at)}, says {each.deleted_by}"
        line(f"{each.version_id}  {state}")
        for store, name in each.places:
            line(f"  place       {store}/{name}")
        line(f"  size        {each.size:,} bytes, {each.tier or 'no tier'}, {each.mime or 'no type'}")
        line(f"  times       modified {time_of(each.modified)}, file {time_of(each.mtime)}")
        line(f"  ETag        {each.etag}")
        for checksum in each.checksums:
            by = checksum.provenance.label
            if checksum.evidence is not Evidence.NONE:
                by += f", {checksum.evidence.label} at {time_of(checksum.at)}"
            line(f"  {checksum.type:11} {checksum.value} ({by})")
        if each.run:
            line(
                f"  run         {each.run}, instrument {each.instrument or '-'}, flow cell {each.flow_cell or '-'}"
            )
        if each.aliases:
            line(f"  aliases     {', '.join(each.aliases)}")
    return 0


def totals(catalogue: Catalogue, query: Query, json: bool) -> int:
    found = catalogue.totals(query)
    if json:
        as_json(
            [
                {
                    "cloud": each.cloud,
                    "region": each.region,
                    "tier": each.tier,
                    "project": each.project,
                    "objects": each.objects,
                    "bytes": each.bytes,
                    "unique_bytes": each.unique_bytes,
                }
                for each in found
            ]
        )
        return 0
    headings = ("cloud", "region", "tier", "project", "objects", "size")
    rows = [
        [plain(each.cloud), plain(each.region), plain(each.tier), plain(each.project), f"{each.objects:,}"]
        + [human_size(each.bytes)]
        for each in found
    ]
    if rows:
        line_block(grid(headings, rows, {"objects", "size"}))
    objects, size = sum(each.objects for each in found), sum(each.bytes for each in found)
    unique = sum(each.unique_bytes for each in found)
    say(f"{objects:,} objects, {human_size(size)}, {human_size(unique)} of them unique")
    return 0
