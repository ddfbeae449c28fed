"""`report --output DIR`: the overview, and a page for each run of the last days."""

from __future__ import annotations

import time
from pathlib import Path

from sync_to_azure.transfer.views.records import place, reading, records
from sync_to_azure.transfer.views.sentences import zoned
from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.transfer.ledger.milestones import milestones
from sync_to_azure.transfer.own_paths import refuse_overlaps
from sync_to_azure.transfer.report import run_page, overview, run_source
from sync_to_azure.transfer.report.output_folder import INDEX, RUNS, ReportFolder, page_name
from sync_to_azure.transfer.report.pages import Pages, need_extra
from sync_to_azure.settings import Settings
from sync_to_azure.notify.output import show
from sync_to_azure.notify.redact import Redactor, plain
from sync_to_azure.notify.terminal import how_many

MOST_PAGES = 1000


def run(settings: Settings, output: str, days: int, names: bool) -> int:
    need_extra()
    if not output.strip():
        raise ConfigurationError("--output is empty", "name a folder for the pages")
    now = time.time()
    redact = Redactor(settings.secret_values())
    _, flow = place(settings)
    found = records(settings)
    target = Path.cwd() / Path(output).expanduser()
    refuse_overlaps(settings, target)
    folder = ReportFolder.take(target, flow.key)
    shown = overview.recent(found, now, days)
    with_page = {record.run.id: page_name(record.run.key) for record in shown[:MOST_PAGES]}
    pages = Pages(_shared(settings, now, days, names, len(with_page)))
    ledger = reading(settings)
    found_times = {}
    if ledger is not None:
        with ledger:
            found_times = milestones(ledger)
            for record in shown[:MOST_PAGES]:
                page = with_page[record.run.id]
                about = run_source.about(settings.source.main_folder, record.run.key, folder, names, redact)
                values = run_page.values(ledger, record, page, about, names)
                values["not_uploaded_names"] = [redact(name) for name in values["not_uploaded_names"]]
                folder.write(f"{RUNS}/{page}.html", pages.render("run.html", values))
    # Last, and only then what is old goes: a link of the overview always leads somewhere.
    text = pages.render(
        "overview.html", overview.values(found, shown, with_page, found_times, now, days, names)
    )
    folder.write(INDEX, text)
    folder.prune(set(with_page.values()))
    index = folder.path / INDEX
    show(
        f"{plain(str(index))}: {how_many(len(found.runs), 'run')}, {how_many(len(with_page), 'page')}", redact
    )
    return 0


def _shared(settings: Settings, now: float, days: int, names: bool, pages: int) -> dict[str, object]:
    config = settings.general.config_file
    return {
        "flow": plain(config.stem if config is not None else settings.source.main_folder.name),
        "main_folder": plain(str(settings.source.main_folder)),
        "container": settings.destination.container_name,
        "destination": plain(settings.destination.destination),
        "written": zoned(now),
        "days": days,
        "names": names,
        "pages": pages,
        "sources": pages > 0,
    }
