"""What the receipt says of a run's instrument and of its sample sheet (docs/receipt.md), and what of the sheet would
break demultiplexing. Names of samples, and what people write them into, only with ``sample-names``."""

from __future__ import annotations

import logging
from typing import Any

from sync_to_azure.transfer.ledger.ledger import storable
from sync_to_azure.core.names import SHEET_BLOB
from sync_to_azure.instruments.profiles import illumina
from sync_to_azure.instruments.run_facts import final_summary, sample_sheet
from sync_to_azure.instruments.run_facts.text import MalformedFile
from sync_to_azure.transfer.steps.instruments import known
from sync_to_azure.transfer.steps.looks import Known
from sync_to_azure.transfer.steps.context import PassContext, RunContext

_log = logging.getLogger(__name__)

_NAMING = frozenset({"experiment", "names"})


def facts(context: PassContext, current: RunContext) -> Any:
    """``instrument`` of the receipt (docs/receipt.md). With the source gone, what was said of it stays true."""
    if current.continuous is not None:
        return {
            "profile": current.run.profile,
            "recognised_by": current.run.recognised_by,
            "outcome": None,
            "run": {},
        }
    if current.folder is None:
        earlier = _earlier(context, current)
        return {**earlier, "sample_sheet": sheet_facts(context, current)} if earlier else None
    here, run = known(context, current), current.run
    about: dict[str, Any] = {
        "profile": run.profile,
        "recognised_by": run.recognised_by,
        "outcome": run.outcome,
        "outcome_detail": run.outcome_detail,
        "complete": None if run.complete is None else bool(run.complete),
    }
    whole = here.completeness
    if whole is not None and whole.complete == run.complete:
        about["completeness"] = {
            "rule": whole.rule,
            "expected": whole.expected,
            "found": whole.found,
            "missing": list(whole.missing),
        }
    elif "completeness" in _earlier(context, current):
        about["completeness"] = _earlier(context, current)["completeness"]
    before = _earlier(context, current).get("run")
    told = here.profile.facts(here.view) if here.profile else {}
    about["run"] = _allowed(context, {**(before if isinstance(before, dict) else {}), **told})
    about["sample_sheet"] = sheet_facts(context, current)
    return _unicode(context.redact.within(about))


def _unicode(value: Any) -> Any:
    """Names of files that are not UTF-8, as \\xff: half a surrogate is no JSON to other programs."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {key: _unicode(each) for key, each in value.items()}
    return [_unicode(each) for each in value] if isinstance(value, (list, tuple)) else value


def _earlier(context: PassContext, current: RunContext) -> dict[str, Any]:
    """What the receipt that stands says; names may have been asked for then."""
    earlier = (current.receipt or {}).get("instrument")
    if not isinstance(earlier, dict):
        return {}
    return {key: _allowed(context, each) if isinstance(each, dict) else each for key, each in earlier.items()}


def _allowed(context: PassContext, about: dict[str, Any]) -> dict[str, Any]:
    """People write names of samples into the experiment's."""
    return {
        key: each for key, each in about.items() if context.settings.source.sample_names or key not in _NAMING
    }


def sheet_facts(context: PassContext, current: RunContext) -> dict[str, Any]:
    """What the receipt says of the sheet that stands as SampleSheet.csv; empty where there is none."""
    here = known(context, current) if current.folder is not None else None
    standing = context.files.get(current.run, SHEET_BLOB)
    if current.sheet is None and (here is None or (standing is not None and standing.origin == "sheet")):
        # It came from the sheet folder and is not there now: what was said of it stays true.
        earlier = _earlier(context, current).get("sample_sheet")
        return earlier if isinstance(earlier, dict) else {}
    try:
        if current.sheet is not None:
            run_info = illumina.run_info_of(here.view) if here is not None else None
            return _allowed(
                context, _about(sample_sheet.read_sheet(current.sheet.content, run_info, current.key))
            )
        return _allowed(context, _of_its_own(here)) if here is not None else {}
    except MalformedFile as problem:
        return {"problem": str(problem)}


def _of_its_own(here: Known) -> dict[str, Any]:
    """Of the sheet in the run's folder. Raises Problem."""
    pattern = here.profile.sheet if here.profile is not None else ""
    found = here.view.read(pattern) if pattern else None
    if found is None:
        return {}
    if pattern == illumina.SHEET:
        return _about(sample_sheet.read_sheet(found[1], illumina.run_info_of(here.view), here.view.name))
    return {"samples": final_summary.count_samples(found[1])}


def _about(sheet: sample_sheet.SheetFacts) -> dict[str, Any]:
    return {
        "version": sheet.version,
        "samples": sheet.samples,
        "lanes": list(sheet.lanes),
        "findings": [
            {"code": each.code, "count": each.count, "lines": list(each.lines), "words": each.words}
            for each in sheet.findings
        ],
        "names": list(sheet.names),
    }


def tell_sheet(context: PassContext, current: RunContext) -> None:
    """What of its sheet would break demultiplexing, once; that it is none that can be read, too."""
    if current.continuous is not None:
        return
    about = sheet_facts(context, current)
    findings = [str(finding["words"]) for finding in about.get("findings", ())]
    said = f"may not demultiplex: {'; '.join(findings)}" if findings else about.get("problem")
    if said and context.ledger.report_once(f"sheet-findings:{current.key}", context.clock.now()):
        _log.warning("%s: its sample sheet %s", current.key, said)
