"""RunCompletionStatus.xml and CompletedJobInfo.xml: how an Illumina run ended.

Forms of RunCompletionStatus.xml that are known:
- MiniSeq, NextSeq 500/550 (and newer MiSeq): ``CompletionStatus`` with ``CompletedAsPlanned``, ``UserEndedEarly`` or
  ``ExceptionEndedEarly``, and ``ErrorDescription``, which is "None" where there was no error (run
  170609_NB551051_0017_AHLFFJBGX2 of miso-lims/runscanner; the two others: gmc-norr/cleve, its test of the parser).
- NovaSeq X, NextSeq 1000/2000: ``RunStatus`` with ``RunCompleted`` or ``RunErrored``, then ``RunError`` with ``Type``
  and ``Message`` (runs 20230418_LH00130_0003_B223YTFLT3 and 20240531_LH00130_0061_A22CC55LT4 of miso-lims/runscanner,
  and gmc-norr/cleve). Words of these two that nobody has seen yet are judged by their stem, or are unknown.

CompletedJobInfo.xml, ``AnalysisJobInfo`` of a MiSeq's on-board analysis, has ``Error`` and ``Warning``
(gmc-norr/cleve).
"""

from __future__ import annotations

from sync_to_azure.instruments.run_facts import safe_xml
from sync_to_azure.instruments.run_facts.outcome import End, RunOutcome
from sync_to_azure.instruments.run_facts.text import MalformedFile, short

_ENDS = {
    "completedasplanned": End.COMPLETED,
    "runcompleted": End.COMPLETED,
    "userendedearly": End.ENDED_EARLY,
    "exceptionendedearly": End.FAILED,
    "runerrored": End.FAILED,
}
# Stems of words that nobody has seen yet, asked in this order: "ExceptionEndedEarly" is a failure first.
_FAILED = ("exception", "error", "fail")
_EARLY = (
    *("endedearly", "abort", "cancel", "stop", "terminat", "interrupt", "halt"),
    *("incomplete", "notcomplete", "partial"),
)


def read_status(content: bytes, name: str) -> RunOutcome:
    """Of RunCompletionStatus.xml; ``name`` as it is written in the folder. Never raises."""
    try:
        root = safe_xml.parse(content)
    except MalformedFile as problem:
        return RunOutcome(End.UNKNOWN, f"{name} {problem}")
    if safe_xml.local_name(root) != "runcompletionstatus":
        return RunOutcome(End.UNKNOWN, f"{name} is no RunCompletionStatus but {short(root.tag, 60)}")
    found = safe_xml.texts(root)
    status = found.get("completionstatus") or found.get("runstatus")
    if status is None:
        return RunOutcome(End.UNKNOWN, f"{name} holds no status")
    parts = [status, *_errors(found)]
    return RunOutcome(end_of(status), f"{name}: {short(': '.join(parts))}")


def _errors(found: dict[str, str]) -> list[str]:
    words = [found.get("errordescription", ""), found.get("type", ""), found.get("message", "")]
    return [word for word in words if word and word.lower() != "none"]


def end_of(status: str) -> End:
    """Of the word that an instrument has for it."""
    word = "".join(status.lower().split())
    if word in _ENDS:
        return _ENDS[word]
    if any(stem in word for stem in _FAILED):
        return End.FAILED
    return End.ENDED_EARLY if any(stem in word for stem in _EARLY) else End.UNKNOWN


def read_job(content: bytes, name: str) -> RunOutcome:
    """Of CompletedJobInfo.xml. A warning is told and is no failure. Never raises."""
    try:
        root = safe_xml.parse(content)
    except MalformedFile as problem:
        return RunOutcome(End.UNKNOWN, f"{name} {problem}")
    if safe_xml.local_name(root) != "analysisjobinfo":
        return RunOutcome(End.UNKNOWN, f"{name} is no AnalysisJobInfo but {short(root.tag, 60)}")
    found = safe_xml.texts(root)
    told = [
        f"{label} {short(found[key])}"
        for key, label in (("error", "error:"), ("warning", "warning:"))
        if key in found
    ]
    if "error" in found:
        return RunOutcome(End.FAILED, f"{name}: {'; '.join(told)}")
    return RunOutcome(End.COMPLETED, f"{name}: {'; '.join(told) or 'analysis completed'}")
