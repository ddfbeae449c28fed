"""The table of docs/reliability.md, from what the trials left."""

from __future__ import annotations

import collections
import collections.abc
import pathlib
import re
import statistics
import typing

from tests.faults.faults import TABLE
from tests.faults.fault import Fault

Row = collections.abc.Mapping[str, typing.Any]


def table(rows: collections.abc.Sequence[Row], faults: collections.abc.Sequence[Fault] = TABLE) -> str:
    """``rows``: one a trial, as the lanes wrote them. Of ``faults``, one row each; and of others beside them, if any
    came in pairs."""
    beside = [fault for fault in TABLE if fault not in faults]
    faults = [*faults, *(fault for fault in beside if any(fault.name in row["faults"] for row in rows))]
    lines = [
        "| fault | tried | struck | of these in pairs | exit codes while it stood (passes) |"
        " passes until all was right: median, most | invariants |",
        "|---|---|---|---|---|---|---|",
    ]
    for fault in faults:
        of_it = [row for row in rows if fault.name in row["faults"]]
        struck = [row for row in of_it if fault.name in row["struck"]]
        if not of_it:
            lines.append(f"| {fault.name} | 0 | | | | | |")
            continue
        codes = collections.Counter(code for row in struck for code in row["codes"])
        told = ", ".join(f"{code} ({count})" for code, count in sorted(codes.items()))
        healed = [row["healed_after"] for row in struck if not row["violations"] and row["counts"]]
        passes = f"{statistics.median(healed):g}, {max(healed)}" if healed else ""
        broken = sum(bool(row["violations"]) for row in of_it)
        pairs = sum(len(row["faults"]) > 1 for row in struck)
        held = "held" if not broken else f"violated in {broken}"
        lines.append(
            f"| {fault.name} | {len(of_it)} | {len(struck)} | {pairs} | {told} | {passes} | {held} |"
        )
    return "\n".join(lines)


def put(document: pathlib.Path, name: str, text: str) -> None:
    """Between ``<!-- name -->`` and ``<!-- end of name -->``."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    old = document.read_text(encoding="utf-8")
    if begin not in old or end not in old:
        raise SystemExit(f"{document} has no place marked {begin}")
    new = re.sub(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{text}\n{end}", old, flags=re.DOTALL
    )
    document.write_text(new, encoding="utf-8")
