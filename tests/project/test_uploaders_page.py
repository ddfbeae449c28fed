"""docs/uploaders.md begins with what its own tables say."""

from __future__ import annotations

import re

from benchmarks.uploader_report import conclusion
from benchmarks.contenders import AZCOPY, NATIVE
from benchmarks.uploader_parts import CASES, Result
from embedded.tools import PROJECT

PAGE = (PROJECT / "docs" / "uploaders.md").read_text(encoding="utf-8")
SETS = {f"{case.title}, {case.server}": name for name, case in CASES.items()}


def cells(header: str) -> list[list[str]]:
    table = PAGE.partition(f"| {header} |")[2].partition("\n\n")[0]
    return [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_conclusion_is_that_of_the_tables() -> None:
    results: dict[str, Result] = {}
    for about, wall, _, cpu, open_wall, open_cpu, _ in cells("set, server | wall | of"):
        numbers = [
            float(each.strip("*").partition("*")[0].split()[0]) for each in (wall, cpu, open_wall, open_cpu)
        ]
        keys = ("wall ratios", "cpu ratios", "open wall ratios", "open cpu ratios")
        results[SETS[about]] = {key: [number] for key, number in zip(keys, numbers, strict=True)}
    name = ""
    titles = {"sync_to_azure --uploader native": NATIVE, "azcopy copy --put-md5, as cron starts it": AZCOPY}
    for about, which, *_, peak in cells("set, server |  | wall s"):
        name = SETS[about] if about else name
        if which in titles:
            measures = results[name].setdefault("measures", {})
            measures[titles[which]] = [{"peak": float(peak) * 1e6}]
    assert len(results) == len(SETS)
    assert re.search(r"\*\*Conclusion\.\*\*.*", PAGE)[0] == conclusion(results)  # type: ignore[index]
