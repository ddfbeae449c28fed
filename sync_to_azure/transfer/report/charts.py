"""Charts as inline SVG by pygal, with their numbers beside them for whoever does not see them.

Of pygal's SVG only the drawing is kept: its style, script and comments (with the date) go, so that the same numbers
give the same bytes, the page's own style sheet colours both schemes, and no script is on the page.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

WIDTH, HEIGHT = 400, 230
"""Of a phone's width: wider screens draw it larger, none much smaller."""
_FONT = 13
_LABELS = 5
_HALF_A_LABEL = 26
"""The last label may stand below the very edge of what is drawn: half of "22 Nov" (or a week, a month)."""
_MOST_SERIES = 8
"""Lanes of the largest flow cell; the style sheet has so many colours and dashes."""

Values = Sequence[float | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Chart:
    """``svg`` is safe HTML; ``names`` of the series, if more than one; ``rows`` are its numbers as text."""

    key: str
    title: str
    svg: str
    names: tuple[str, ...]
    is_line: bool
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Axis:
    """``labels``: one a value; ``names``: the same for the table; ``heading``: of the table's first column."""

    heading: str
    labels: Sequence[str]
    names: Sequence[str]


def bars(key: str, title: str, unit: str, axis: Axis, series: Mapping[str, Values]) -> Chart | None:
    import pygal

    return _chart(pygal.Bar, key, title, unit, axis, series, False, include_x_axis=True)


def lines(
    key: str,
    title: str,
    unit: str,
    axis: Axis,
    series: Mapping[str, Values],
    dots: bool = True,
    zero: bool = True,
) -> Chart | None:
    """A gap where a value is missing. ``dots``: mark each value; ``zero``: the axis begins there."""
    import pygal

    drawn = {"show_dots": dots, "dots_size": 3, "include_x_axis": zero}
    return _chart(pygal.Line, key, title, unit, axis, series, True, **drawn)


def _chart(
    kind: Callable[..., Any],
    key: str,
    title: str,
    unit: str,
    axis: Axis,
    series: Mapping[str, Values],
    is_line: bool,
    **options: Any,
) -> Chart | None:
    """None where there is nothing to draw."""
    from pygal.style import Style

    known = [value for values in series.values() for value in values if value is not None]
    if not any(known):
        return None
    style = Style(
        label_font_size=_FONT, major_label_font_size=_FONT, no_data_font_size=_FONT, font_family="sans-serif"
    )
    step = max(math.ceil(len(axis.labels) / _LABELS), 1)
    chart = kind(
        width=WIDTH,
        height=HEIGHT,
        style=style,
        js=(),
        show_legend=False,
        margin=6,
        margin_right=_HALF_A_LABEL,
        spacing=6,
        show_minor_x_labels=False,
        truncate_label=-1,
        max_scale=6,
        min_scale=3,
        x_labels_major=[],
        x_labels_major_every=step,
        value_formatter=_number,
        **options,
    )
    chart.uuid = key
    chart.x_labels = list(axis.labels)
    for name, values in list(series.items())[:_MOST_SERIES]:
        chart.add(name, list(values), allow_interruptions=True)
    alt = _in_words(title, unit, axis, series)
    rows = tuple(
        (name, *("–" if values[at] is None else _number(values[at]) for values in series.values()))
        for at, name in enumerate(axis.names)
        if any(values[at] for values in series.values())
    )
    headings = (axis.heading, *(f"{name}, {unit}" for name in series))
    names = tuple(series) if len(series) > 1 else ()
    return Chart(
        key, f"{title}, {unit}", _svg(chart.render_tree(), key, title, alt), names, is_line, headings, rows
    )


def _in_words(title: str, unit: str, axis: Axis, series: Mapping[str, Values]) -> str:
    parts = []
    for name, values in series.items():
        known = [(value, at) for at, value in enumerate(values) if value is not None]
        if known:
            (least, _), (most, at) = min(known), max(known)
            parts.append(f"{name}: from {_number(least)} to {_number(most)} {unit}, most at {axis.names[at]}")
    first, last = axis.names[0], axis.names[-1]
    return f"{title} from {first} to {last}. {'; '.join(parts)}. The table below has the numbers."


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if value and abs(value) < 1:
        return f"{value:.2g}"
    return f"{value:.1f}".removesuffix(".0") if abs(value) < 100 else f"{value:,.0f}".replace(",", "\u202f")


def _svg(root: Any, key: str, title: str, alt: str) -> str:
    """Of ElementTree's tree, that pygal gives."""
    from xml.etree import ElementTree

    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or _local(child.tag) in ("style", "script", "desc", "title"):
                parent.remove(child)
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) == "defs" and not len(child):
                parent.remove(child)
    root.set("role", "img")
    root.set("aria-labelledby", f"{key}-title {key}-desc")
    root.set("class", "chart")
    for number, (tag, text) in enumerate((("title", title), ("desc", alt))):
        element = ElementTree.Element(tag, {"id": f"{key}-{tag}"})
        element.text = text
        root.insert(number, element)
    for element in root.iter():
        # HTML knows the namespace of an <svg>; a prefix in front of each tag it would not know.
        element.tag = _local(element.tag)
        for name in [name for name in element.attrib if name.startswith("{")]:
            del element.attrib[name]
        element.attrib.pop("style", None)
    root.attrib.pop("id", None)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
