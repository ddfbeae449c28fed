"""May a new sample sheet take the place of the published one, or has a person to look? Encrypting software changes the
sheets of all runs at once, also of those that were removed, and no fresh marker may vouch for that.

A new sheet that is no longer a sample sheet, where the published one is, is refused when it is read. All others that
changed wait for the end of the pass, when their number is known (``decide``); up to ``MOST`` are published then.
"""

from __future__ import annotations

import logging

from sync_to_azure.core.errors import BlobMissing, BlobRefused, BlobReplaced
from sync_to_azure.transfer.ledger.files import FileRow
from sync_to_azure.transfer.ledger.sheet_memory import Refusal, Sheets
from sync_to_azure.transfer.ledger.overrides import ACCEPT, Override
from sync_to_azure.core.names import SHEET_BLOB
from sync_to_azure.core.reasons import Reason
from sync_to_azure.instruments.run_facts import sample_sheet, text
from sync_to_azure.transfer.steps import flagging, sheets, override_checks
from sync_to_azure.transfer.steps.context import PassContext, RunContext
from sync_to_azure.transfer.steps.looks import Sheet

_log = logging.getLogger(__name__)

MOST = 5
"""Published runs whose sheets may change in one pass."""
SHEET = "sheet"
"""What can be accepted: the new sheet of a published run."""
_A_DAY = 24 * 3600.0
_A_SHEET, _TEXT, _NEITHER = 2, 1, 0


def usable(context: PassContext, current: RunContext, sheet: Sheet | None) -> Sheet | None:
    """The sheet, if it may be written now. Called with the manifest in the ledger. What a person has to decide is put
    into ``current.sheet_refused``; with ``current.sheet_counted`` the end of the pass decides."""
    current.sheet = _judged(context, current, sheets.quiet(context, current, sheet))
    return current.sheet


def _judged(context: PassContext, current: RunContext, sheet: Sheet | None) -> Sheet | None:
    run = current.run
    current.sheet_refused = current.sheet_counted = None
    if sheet is None:
        if current.sheet_waits is not None and flagging.is_flagged_for_its_sheet(current.run):
            # Modified once more: a person has not decided yet.
            current.sheet_refused = run.reason
        return None
    row = context.files.get(run, SHEET_BLOB) if run.is_published else None
    if (
        row is None
        or row.md5 == sheet.md5
        or context.settings.mode.dry_run
        or is_accepted(current.override, sheet)
    ):
        return sheet
    current.sheet_refused = refused_before(context, current, sheet)
    if current.sheet_refused is not None:
        return None
    problem = _broken(context, current, row, sheet)
    if problem:
        _refuse(context, current, sheet, Reason("sheet-is-none", {"problem": problem}))
        return None
    if row.origin == "sheet" and current.key not in context.sheets_allowed:
        current.sheet_counted = sheet
        return None
    return sheet


def is_accepted(override: Override | None, sheet: Sheet) -> bool:
    return override is not None and override.accepts(SHEET) and override.about.get("md5") == sheet.md5.hex()


def refused_before(context: PassContext, current: RunContext, sheet: Sheet) -> Reason | None:
    """Why this very sheet was refused; None where it was not, or was accepted since."""
    refused = Sheets(context.ledger).refused(current.run)
    if refused is None or refused.md5 != sheet.md5 or is_accepted(current.override, sheet):
        return None
    if context.clock.now() - refused.at < _A_DAY:
        context.sheets_refused.add(current.key)
    return refused.reason


def _refuse(context: PassContext, current: RunContext, sheet: Sheet, why: Reason) -> None:
    command = f"sync_to_azure {ACCEPT} --sheets{override_checks.config_option(context.settings.general)}"
    about = {"sheet": current.sheets[0].path.name, "md5": sheet.md5.hex(), "command": command}
    reason = Reason(why.code, {**why.parameters, **about})
    Sheets(context.ledger).refuse(current.run, Refusal(sheet.md5, reason, context.clock.now()))
    context.sheets_refused.add(current.key)
    current.sheet_refused = reason


def decide(context: PassContext, changed: list[RunContext]) -> bool:
    """At the end of a pass: may the sheets that changed be published? If not, their runs are flagged, or wait until the
    other sheets are quiet, too."""
    count, moving = len(changed) + len(context.sheets_refused), len(context.sheets_moving)
    if count <= MOST < count + moving:
        _log.warning(
            "the sample sheets of %d published runs are being modified; %d others that changed wait for them",
            moving,
            len(changed),
        )
        return False
    if count <= MOST:
        context.sheets_allowed |= {current.key for current in changed}
        return True
    for current in changed:
        assert current.sheet_counted is not None
        _refuse(context, current, current.sheet_counted, Reason("sheets-at-once", {"count": count}))
        assert current.sheet_refused is not None
        flagging.flag(context, current, current.sheet_refused)
    return False


def _broken(context: PassContext, current: RunContext, row: FileRow, sheet: Sheet) -> str:
    """What is wrong with the new one, where nothing of that is wrong with the published one."""
    now, problem = _rank(sheet.content)
    if now == _A_SHEET:
        return ""
    before = _A_SHEET
    name = current.prefix + SHEET_BLOB
    try:
        stands = context.lake().get_dated(name, sample_sheet.MOST_BYTES + 1)
        if stands is not None:
            before, _ = _rank(stands.content)
    except (BlobMissing, BlobRefused, BlobReplaced):
        # In the archive, perhaps: not to be read now.
        pass
    return problem if now < before else ""


def _rank(content: bytes) -> tuple[int, str]:
    """Is it a sample sheet, a text of another kind, or neither; and why it is no sample sheet."""
    try:
        sample_sheet.read_sheet(content)
        return _A_SHEET, ""
    except text.MalformedFile as problem:
        why = str(problem)
    is_text = all(c.isprintable() or c in "\t\r\n\f" for c in text.decode(content[: sample_sheet.MOST_BYTES]))
    return (_TEXT, why) if is_text else (_NEITHER, "is no text")
