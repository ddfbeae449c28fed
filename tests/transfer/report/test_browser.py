"""The pages in a real Chromium: light, dark, on a phone, printed, without a network; and what a screen reader needs."""

from __future__ import annotations

import pathlib
import re
import typing

import pytest

from sync_to_azure.core.model import State
from tests.transfer.report.browser import Browser
from tests.transfer.report.conftest import Lab

WIDE, TABLET, PHONE = 1200, 768, 375


def pages(month: Lab) -> list[pathlib.Path]:
    """The overview, a run with Q30 by cycle, one with several lanes, one whose folder is gone, and the flagged one."""
    runs = sorted((month.output / "runs").iterdir())
    texts = {path: path.read_text("utf-8") for path in runs}
    chosen = [
        next(path for path in runs if "q30-title" in texts[path]),
        next(path for path in runs if "density-title" in texts[path]),
        next(path for path in runs if "No quality plots" in texts[path]),
        next(path for path in runs if "needs attention." in texts[path]),
    ]
    return [month.output / "index.html", *chosen]


@pytest.mark.parametrize("width", [WIDE, TABLET, PHONE])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_and_asks_nobody(month: Lab, chromium: Browser, width: int, dark: bool) -> None:
    for page in pages(month):
        chromium.open(page, width, dark=dark)
        wide, inner = chromium.script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert inner == width and wide <= width, f"{page.name} scrolls sideways at {width}"
        assert chromium.complaints() == []
        assert {url.partition(":")[0] for url in chromium.requests()} == {"file"}
        assert chromium.script("return document.scripts.length") == 0


def test_opened_from_a_mail(month: Lab, chromium: Browser, tmp_path: pathlib.Path) -> None:
    """The first page alone, without anything beside it."""
    alone = tmp_path / "mailed.html"
    alone.write_bytes((month.output / "index.html").read_bytes())
    chromium.open(alone)
    assert chromium.script("return document.querySelectorAll('svg.chart').length") == 4
    assert chromium.complaints() == [] and chromium.requests() == [alone.as_uri()]
    shown = chromium.script(
        "return document.querySelector('svg.chart .bar rect[height]').getBoundingClientRect().width"
    )
    assert shown > 0


@pytest.mark.parametrize("days", [7, 45, 400])
def test_labels_of_charts_are_not_cut_off(lab: Lab, chromium: Browser, days: int) -> None:
    """The last one stands below the last point, at the very edge of what is drawn."""
    lab.report("--days", days)
    for width in (WIDE, PHONE):
        chromium.open(lab.output / "index.html", width)
        assert chromium.script("return document.querySelectorAll('svg.chart').length") >= 3
        assert chromium.script(CUT_OFF) == []


CUT_OFF = """
return [...document.querySelectorAll('svg.chart text')].filter(text => {
    const [all, own] = [text.ownerSVGElement.getBoundingClientRect(), text.getBoundingClientRect()];
    return own.width && (own.left < all.left - 0.5 || own.right > all.right + 0.5);
}).map(text => text.textContent);
"""

PARTS = """
const named = element => (element.getAttribute('aria-label') || (element.getAttribute('aria-labelledby') || '')
    .split(' ').map(id => (document.getElementById(id) || {}).textContent || '').join(' ')).trim();
const all = selector => [...document.querySelectorAll(selector)];
const ids = all('[id]').map(element => element.id);
return {
    language: document.documentElement.lang,
    title: document.title,
    headings: all('h1,h2,h3,h4').map(element => Number(element.tagName[1])),
    landmarks: ['header', 'main', 'footer'].map(name => all('body > ' + name).length),
    skip: document.querySelector('a.skip').getAttribute('href'),
    nameless: all('svg:not([aria-hidden=true]), section, [role=region], table, nav').filter(e => !named(e)).length,
    roleless: all('svg:not([aria-hidden=true])').filter(e => e.getAttribute('role') !== 'img').length,
    headless: all('table').filter(e => !e.querySelector('thead th[scope=col]')).length,
    rowless: all('tbody tr').filter(e => !e.querySelector('th[scope=row]')).length,
    tableless: all('svg.chart').filter(e => !e.closest('figure').querySelector('table td')).length,
    double: ids.filter((id, at) => ids.indexOf(id) !== at),
    dead: all('a[href^="#"]').filter(e => !document.querySelector(e.getAttribute('href'))).length,
};
"""


def test_what_a_screen_reader_needs(month: Lab, chromium: Browser) -> None:
    for page in pages(month):
        chromium.open(page)
        parts: dict[str, typing.Any] = chromium.script(PARTS)
        assert parts["language"] == "en" and parts["title"]
        assert parts["headings"].count(1) == 1
        assert all(after - before <= 1 for before, after in zip(parts["headings"], parts["headings"][1:]))
        assert parts["landmarks"] == [1, 1, 1] and parts["skip"] == "#main"
        wrong = {
            name: parts[name] for name in ("nameless", "roleless", "headless", "rowless", "tableless", "dead")
        }
        assert not any(wrong.values()), f"{page.name}: {wrong}"
        assert parts["double"] == []


CONTRAST = """
const seen = {};
const background = element => {
    for (let at = element; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (!colour.startsWith('rgba(0, 0, 0, 0')) return colour;
    }
    return getComputedStyle(document.documentElement).backgroundColor;
};
for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    const style = getComputedStyle(element);
    const drawn = element.matches('svg.chart .bar rect, svg.chart .series .line, svg.chart .dot circle');
    const colour = drawn ? (style.stroke === 'none' ? style.fill : style.stroke)
        : element.matches('svg text') ? style.fill : style.color;
    const told = own && !element.matches('svg title, svg desc');
    if (told || drawn) seen[[colour, background(element), drawn ? 3 : 4.5].join('|')] = element.outerHTML.slice(0, 80);
}
return [seen, getComputedStyle(document.body).backgroundColor];
"""


def luminance(colour: str) -> float:
    """https://www.w3.org/TR/WCAG21/#dfn-relative-luminance"""
    parts = [int(each) / 255 for each in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_contrast(month: Lab, chromium: Browser, dark: bool) -> None:
    """Of every text 4.5 to 1, of what is drawn 3 to 1 (WCAG 2.1, AA)."""
    for page in pages(month):
        chromium.open(page, dark=dark)
        seen, paper = chromium.script(CONTRAST)
        assert (luminance(paper) < 0.1) == dark and len(seen) >= 4
        for key, where in seen.items():
            colour, ground, least = key.split("|")
            light, low = sorted((luminance(colour), luminance(ground)), reverse=True)
            assert (light + 0.05) / (low + 0.05) >= float(least), f"{page.name}: {key} {where}"


def test_printed(month: Lab, chromium: Browser) -> None:
    for page in pages(month):
        chromium.open(page, dark=True)
        printed = chromium.printed()
        assert printed.startswith(b"%PDF") and 1 <= printed.count(b"/Type /Page\n") <= 6
    chromium.open(pages(month)[0], width=794)
    chromium.command("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    assert chromium.script("return document.documentElement.scrollWidth") <= 794
    narrowest = chromium.script(
        "return Math.min(...[...document.querySelectorAll('.stack td:last-child')]"
        ".map(element => element.offsetWidth).filter(width => width))"
    )
    assert narrowest > 120, "the reasons are not squeezed"


def test_links_lead_to_pages(month: Lab, chromium: Browser) -> None:
    chromium.open(month.output / "index.html")
    links = chromium.script("return [...document.querySelectorAll('main a')].map(element => element.href)")
    assert len(set(links)) == len(list((month.output / "runs").iterdir()))
    chromium.driver.get(links[0])
    chromium.script("document.querySelector('nav a').click()")
    assert chromium.driver.current_url == (month.output / "index.html").as_uri()
    assert chromium.complaints() == []


def test_a_hostile_name_does_nothing(lab: Lab, chromium: Browser) -> None:
    name = "<img src=x onerror=alert(1)>\"'&amp;</title><script>document.title='taken'</script>"
    lab.ledger.add_run(name, State.SEEN, 1e9)
    lab.report()
    chromium.open(lab.output / "index.html")
    assert name in chromium.script("return document.querySelector('main').textContent")
    for path in [lab.output / "index.html", *(lab.output / "runs").iterdir()]:
        chromium.open(path)
        assert chromium.driver.title != "taken"
        assert chromium.script("return document.querySelectorAll('img, script').length") == 0
        assert chromium.complaints() == []
