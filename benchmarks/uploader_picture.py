"""The picture of docs/uploaders.md: plain SVG, three panels (wall time, processor time, memory), a group of bars a set.

Each bar is a median as a share of AzCopy's, so that sets of seconds and of minutes can stand side by side; the red line
is the target of the native uploader.
"""

from __future__ import annotations

import statistics

from benchmarks.contenders import AZCOPY, AZCOPY_OPEN, NATIVE, SDK, TITLES, WITH_AZCOPY
from benchmarks.uploader_parts import CASES, MOST_MEMORY, Result

_COLOURS = {
    NATIVE: "#1b7f5c",
    WITH_AZCOPY: "#8fc7b1",
    AZCOPY: "#3b6ea8",
    AZCOPY_OPEN: "#8db4dd",
    SDK: "#c9ced6",
}
_WIDTH, _LEFT, _BAR, _GAP, _PANEL = 980, 210, 13, 16, 22
_SCALE = 2.0
"""Longer bars are cut here, and say their value."""


def picture(results: dict[str, Result]) -> str:
    names = [name for name in CASES if name in results]
    group = len(_COLOURS) * _BAR + _GAP
    height = 108 + len(names) * group + 16
    panel = (_WIDTH - _LEFT - 2 * _PANEL - 30) / 3
    text = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
        ' font-family="Helvetica, Arial, sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="26" font-size="16" font-weight="bold" fill="#222">Carrying a run: shares of what AzCopy takes'
        "</text>",
    ]
    x = 16.0
    for which, colour in _COLOURS.items():
        note = " (with proof)" if which in (NATIVE, WITH_AZCOPY) else " (upload only)"
        label = (
            TITLES[which].replace("sync_to_azure ", "").replace(", 16 threads of upload_blob", ", 16 threads")
        )
        text.append(f'<rect x="{x:.0f}" y="40" width="12" height="12" fill="{colour}"/>')
        text.append(f'<text x="{x + 17:.0f}" y="51" fill="#222">{label}{note}</text>')
        x += 17 + 5.6 * len(label + note) + 12
    for number, (what, key) in enumerate(
        (("Wall time", "wall"), ("Processor time", "cpu"), ("Peak memory", "peak"))
    ):
        left = _LEFT + number * (panel + _PANEL)
        text += _panel(results, names, what, key, left, panel, group)
    for number, name in enumerate(names):
        y = 108 + number * group + 2 * _BAR + 4
        case = CASES[name]
        text.append(f'<text x="16" y="{y - 8}" font-weight="bold" fill="#222">{case.title}</text>')
        text.append(f'<text x="16" y="{y + 8}" fill="#555">{_server(case.server)}</text>')
    return "\n".join([*text, "</svg>\n"])


def _server(server: str) -> str:
    return "Azurite" if server == "Azurite" else "server that discards"


def _panel(
    results: dict[str, Result], names: list[str], what: str, key: str, left: float, width: float, group: int
) -> list[str]:
    bottom = 108 + len(names) * group - _GAP + 4
    text = [f'<text x="{left:.0f}" y="80" font-weight="bold" fill="#222">{what}</text>']
    for share in (0.0, 0.5, 1.0, 1.5, 2.0):
        x = left + width * share / _SCALE
        colour = "#8a94a3" if share == 1.0 else "#e3e6eb"
        text.append(f'<line x1="{x:.1f}" y1="100" x2="{x:.1f}" y2="{bottom}" stroke="{colour}"/>')
        text.append(
            f'<text x="{x:.1f}" y="95" text-anchor="middle" font-size="10" fill="#555">{share:g}</text>'
        )
    for number, name in enumerate(names):
        top = 108 + number * group
        measures = results[name]["measures"]
        medians = {
            which: statistics.median(each[key] for each in every)
            for which, every in measures.items()
            if every
        }
        shares = {which: found / medians[AZCOPY] for which, found in medians.items()}
        if key != "peak":
            shares[NATIVE] = statistics.median(results[name][f"{key} ratios"])
        target = {"wall": CASES[name].wall, "cpu": CASES[name].cpu}.get(key, MOST_MEMORY / medians[AZCOPY])
        for place, (which, colour) in enumerate(_COLOURS.items()):
            if which in shares:
                amount = _amount(key, medians[which])
                after = target if which == NATIVE else 0.0
                text += _bar(left, top + place * _BAR, width, shares[which], colour, amount, after)
        x = left + width * min(target, _SCALE) / _SCALE
        line = f'x1="{x:.1f}" y1="{top - 2}" x2="{x:.1f}" y2="{top + _BAR + 1}"'
        text.append(f'<line {line} stroke="#b3261e" stroke-width="2.5"/>')
    return text


def _amount(key: str, found: float) -> str:
    if key == "peak":
        return f"{found / 1e6:.0f} MB"
    return f"{found:.1f} s" if found >= 10 else f"{found:.2f} s"


def _bar(
    left: float, y: float, width: float, share: float, colour: str, amount: str, after: float
) -> list[str]:
    """``after``: a share that the amount must not cover."""
    length = width * min(share, _SCALE) / _SCALE
    inside = length > width * 0.75
    x = left + length - 4 if inside else left + max(length, width * min(after, _SCALE) / _SCALE) + 5
    anchor, dark = ("end", "#ffffff") if inside else ("start", "#222")
    if inside and colour in ("#c9ced6", "#8fc7b1"):
        dark = "#222"
    return [
        f'<rect x="{left:.1f}" y="{y}" width="{length:.1f}" height="{_BAR - 2}" fill="{colour}"/>',
        f'<text x="{x:.1f}" y="{y + 9}" font-size="10" text-anchor="{anchor}" fill="{dark}">{amount}</text>',
    ]
