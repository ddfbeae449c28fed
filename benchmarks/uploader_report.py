"""The results of uploaders.py as tables of Markdown, each target beside what was seen."""

from __future__ import annotations

import pathlib
import statistics
from collections.abc import Callable, Iterable, Sequence

from benchmarks import uploader_parts as parts
from benchmarks.contenders import AZCOPY, AZCOPY_OPEN, NATIVE, SDK, TITLES, WITH_AZCOPY
from benchmarks.uploader_parts import CASES, Result

_Verdict = Callable[[str, float, float], str]
"""(what, seen, target) -> a cell."""

_BY_HAND = "<!-- What follows is written by hand and kept. -->"


def tables(results: dict[str, Result]) -> tuple[str, list[str]]:
    """(the page's tables, the targets that were missed)."""
    missed: list[str] = []

    def verdict(what: str, seen: float, target: float) -> str:
        if seen <= target:
            return f"{seen:.2f} (at most {target:g})"
        missed.append(f"{what}: {seen:.2f} instead of {target:g}")
        return f"**{seen:.2f}** (at most {target:g})"

    text = [*_sets(results, verdict), *_others(results, verdict)]
    text += ["", "Missed: " + ("; ".join(missed) if missed else "none") + "."]
    return "\n".join(text), missed


def conclusion(results: dict[str, Result]) -> str:
    """What the page begins with: the ranges of the sets' medians, with their limits."""
    sets = [results[name] for name in CASES if name in results]
    if not sets:
        return ""

    def span(key: str) -> str:
        medians = [statistics.median(each[key]) for each in sets if each.get(key)]
        return f"{min(medians):.2f} to {max(medians):.2f}" if medians else "not measured"

    def peak(which: str) -> str:
        measures = [each["measures"].get(which) or [] for each in sets]
        peaks = [statistics.median(one["peak"] for one in each) for each in measures if each]
        return f"{max(peaks) / 1e6:,.0f} MB" if peaks else "not measured"

    text = [
        "**Conclusion.** A pass with the native uploader, verification included, takes",
        f"{span('wall ratios')} of the wall time of `azcopy copy` alone as cron starts it, and",
        f"{span('open wall ratios')} of AzCopy at its best (with an open input); of its processor time",
        f"{span('cpu ratios')} and {span('open cpu ratios')}. It uses at most {peak(NATIVE)} of memory",
        f"(AzCopy {peak(AZCOPY)}) and reads the source once, where a pass with AzCopy reads it twice.",
        "Measured on one virtual machine with an emulator and with a server that discards what it gets,",
        "not with Azure: what holds there depends on the network.",
    ]
    return " ".join(text)


def _sets(results: dict[str, Result], verdict: _Verdict) -> list[str]:
    rows, ratios = [], []
    peaks: list[float] = []
    for name, case in CASES.items():
        if name not in results:
            continue
        result = results[name]
        for which in (NATIVE, WITH_AZCOPY, AZCOPY, AZCOPY_OPEN, SDK):
            measures = result["measures"].get(which)
            if not measures:
                continue
            walls = [each["wall"] for each in measures]
            peak = statistics.median(each["peak"] for each in measures)
            if which == NATIVE:
                peaks.append(peak)
            rows.append(
                [
                    f"{case.title}, {case.server}" if which == NATIVE else "",
                    TITLES[which],
                    f"{statistics.median(walls):.2f}",
                    f"{min(walls):.2f} to {max(walls):.2f} ({len(walls)})",
                    f"{statistics.median(each['cpu'] for each in measures):.2f}",
                    f"{peak / 1e6:.0f}",
                ]
            )
        walls, cpus = result["wall ratios"], result["cpu ratios"]
        about = f"{case.title}, {case.server}"
        ratios.append(
            [
                about,
                verdict(f"wall, {about}", statistics.median(walls), case.wall),
                _shown(walls),
                verdict(f"CPU, {about}", statistics.median(cpus), case.cpu),
                _median(result.get("open wall ratios"), case.wall),
                _median(result.get("open cpu ratios"), case.cpu),
                f"{result['load'][0]:.1f} to {result['load'][1]:.1f}",
            ]
        )
    text = _table(["set, server", "", "wall s", "min to max (times)", "CPU s", "peak MB"], rows)
    text += ["", "Native ÷ AzCopy alone, pair by pair, medians; with verification ÷ without:", ""]
    head = ["set, server", "wall", "of", "CPU", "wall, open input", "CPU, open input", "load meanwhile"]
    text += _table(head, ratios)
    if peaks:
        seen = f"Peak memory of the native uploader, largest of these: {max(peaks) / 1e6:.0f} MB: "
        text += ["", seen + verdict("memory, sets", max(peaks) / parts.MOST_MEMORY, 1.0) + " of 150 MB."]
    return text


def _others(results: dict[str, Result], verdict: _Verdict) -> list[str]:
    rows: list[list[str]] = []
    if "sparse" in results:
        found = results["sparse"]
        share = found["peak"] / parts.MOST_MEMORY
        seen = f"{found['peak'] / 1e6:.0f} MB, {found['wall']:.0f} s, {parts.SPARSE / found['wall'] / 1e6:.0f} MB/s"
        rows.append(["Peak memory ÷ 150 MB, one file of 20 GB", verdict("memory, 20 GB", share, 1.0), seen])
    if "reads" in results:
        shares = results["reads"]["shares"]
        seen = f"with AzCopy {shares[WITH_AZCOPY]:.2f}, AzCopy alone {shares[AZCOPY]:.2f}"
        rows.append(
            ["Bytes read ÷ bytes of the run", verdict("bytes read", shares[NATIVE], parts.READS), seen]
        )
    if "growth" in results:
        found = results["growth"]
        seen = f"{found['first'] * 1e3:.3f} ms a file to 10,000, {found['further'] * 1e3:.3f} ms from there to 100,000"
        rows.append(
            [
                "Cost a file, 10,000 to 100,000 ÷ 1,000 to 10,000",
                verdict("growth", found["ratio"], parts.FLAT),
            ]
        )
        rows[-1].append(seen)
    if "slow" in results:
        found = results["slow"]
        ours, its, sums = (statistics.median(column) for column in zip(*found["seconds"], strict=True))
        seen = f"{ours:.1f} s; AzCopy {its:.1f} s, then md5sum {sums:.1f} s"
        rows.append(
            ["Source of 50 MB/s: verified pass ÷ (AzCopy, then md5sum)"]
            + [verdict("slow source", found["ratio"], parts.SLOW_RATIO), seen]
        )
    if "killed" in results:
        found = results["killed"]
        seen = f"killed when {found['before']:.2f} had gone out"
        rows.append(
            [
                "Share of 1 GB sent again after kill -9 at half",
                verdict("killed", found["after"], parts.RESENT),
                seen,
            ]
        )
    text = ["", *_table(["", "seen (target)", ""], rows)] if rows else []
    if "server" in results:
        rates = results["server"]
        told = ", ".join(
            f"{rate:,.0f} Put Blobs of {int(size) / 1000:,.0f} KB a second ({rate * int(size) / 1e6:,.0f} MB/s)"
            for size, rate in rates.items()
            if size.isdecimal()
        )
        text += ["", f"The discarding server by itself, with two bare clients beside it: at least {told}."]
    return text


def _median(ratios: Sequence[float] | None, target: float) -> str:
    """Beside the targets, which are of AzCopy as cron starts it: above the same figure it is marked, too."""
    if not ratios:
        return "not measured"
    seen = statistics.median(ratios)
    return f"{seen:.2f}" if seen <= target else f"**{seen:.2f}**"


def _shown(ratios: Iterable[float]) -> str:
    return ", ".join(f"{ratio:.2f}" for ratio in ratios)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def write(page: pathlib.Path, results: dict[str, Result], text: str) -> None:
    """The page: conclusion and tables from the results, what was written by hand below them as it is."""
    by_hand = ""
    if page.exists():
        by_hand = page.read_text(encoding="utf-8").partition(_BY_HAND)[2]
    dates = sorted({each["date"] for each in results.values()})
    machine = next(iter(results.values()))["machine"].partition(", load")[0] if results else ""
    page.write_text(
        f"# Uploaders side by side\n\n{conclusion(results)}\n\n"
        "Made by `make bench-uploaders` (benchmarks/uploaders.py); "
        f"{' and '.join(dates)}, a virtual machine with {machine}, "
        f"{parts.versions()}. Seconds of whole processes, start included; `sync_to_azure` scans, uploads, "
        "lists, compares and publishes, the others only upload. Client, server and source share the machine.\n\n"
        f"![Wall time, processor time and memory](uploaders.svg)\n\n{text}\n\n{_BY_HAND}{by_hand or chr(10)}",
        encoding="utf-8",
    )
