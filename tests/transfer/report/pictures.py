"""Draws the pictures of README and docs anew, from demo data: .venv/bin/python -m tests.transfer.report.pictures

docs/report.png is the report's first page in Chromium; docs/status.png is `status` on a terminal of 150 columns.
"""

from __future__ import annotations

import html
import pathlib
import re
import sys
import tempfile

from embedded.tools import PROJECT
from sync_to_azure.transfer.ledger import Lock
from sync_to_azure.transfer.ledger.place import lock_path
from tests.transfer.commands.test_status import on_a_terminal
from tests.transfer.report.browser import browser
from tests.transfer.report.conftest import Lab, new_lab

DOCS = PROJECT / "docs"
_COLUMNS = 150
_STYLES = {
    "32": "#3fb950",
    "33": "#d29922",
    "31": "#ff7b72",
    "1;31": "#ff7b72;font-weight:700",
    "36": "#56d4dd",
}
_STYLES |= {"2": "#8b949e", "1": "#ffffff;font-weight:700"}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "lab").mkdir()
        lab = new_lab(folder / "lab")
        with (
            Lock(lock_path(lab.ledger.path, lab.ledger.flow)) as lock,
            browser(folder / "chromium") as chromium,
        ):
            assert lock.take()
            lab.report()
            chromium.open(lab.output / "index.html", width=1100, height=1000)
            (DOCS / "report.png").write_bytes(chromium.picture(whole=False))
            page = folder / "terminal.html"
            page.write_text(terminal(status(lab)), "utf-8")
            chromium.open(page, width=1280, height=700)
            height = chromium.script("return document.querySelector('pre').offsetHeight")
            chromium.open(page, width=1280, height=height)
            (DOCS / "status.png").write_bytes(chromium.picture(whole=False))
        lab.ledger.close()


def status(lab: Lab) -> str:
    config = lab.folder / "sequencers.cfg"
    command = [sys.executable, "-m", "sync_to_azure", "--config-file", str(config), "status", "--since", "4d"]
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TERM": "xterm", "PYTHONPATH": str(PROJECT)}
    return "$ sync_to_azure --config-file sequencers.cfg status --since 4d\n" + on_a_terminal(
        command, environment, _COLUMNS
    )


def terminal(text: str) -> str:
    """What a terminal would show, as a page."""

    def coloured(found: "re.Match[str]") -> str:
        return f'<span style="color:{_STYLES[found[1]]}">{found[2]}</span>'

    shown = re.sub(r"\x1b\[([0-9;]+)m(.*?)\x1b\[0m", coloured, html.escape(text))
    style = "margin:0;padding:18px 22px;background:#0d1117;color:#e6edf3;font:13px/1.45 'DejaVu Sans Mono',monospace"
    return f'<!doctype html><meta charset="utf-8"><body style="margin:0"><pre style="{style}">{shown}</pre>'


if __name__ == "__main__":
    main()
