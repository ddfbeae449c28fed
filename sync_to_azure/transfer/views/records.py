"""What is on record of the runs of a flow, for the commands that look at it or speak of a run."""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
from collections.abc import Iterable, Sequence
from pathlib import Path

from sync_to_azure.transfer.views import audit_text
from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.transfer.ledger.audits import Audited
from sync_to_azure.transfer.ledger.backlogs import Undelivered
from sync_to_azure.transfer.ledger.lock import is_held
from sync_to_azure.transfer.ledger.place import ledger_path, lock_path, state_folder
from sync_to_azure.transfer.ledger.reader import Live, LedgerReader, open_reading
from sync_to_azure.transfer.ledger.run import Flow, Run
from sync_to_azure.transfer.ledger.overrides import Override
from sync_to_azure.core.model import Evidence, State
from sync_to_azure.core.reasons import DAMAGED, OF_NO_FAMILY, STATES, RunStatus, run_status, what_next
from sync_to_azure.settings import Settings
from sync_to_azure.transfer.decisions.ended import never_removed
from sync_to_azure.transfer.decisions.scan_schedule import next_scan


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One run as it stands. ``live``: how far the pass is with it, if it works on it now; ``audited``: what audits
    found, None if none looked at it."""

    run: Run
    override: Override | None
    live: Live | None
    audited: Audited | None = None
    status: RunStatus = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        # Asked for several times of each of ten thousand runs.
        override = self.override.action if self.override else None
        found = run_status(self.run.state, self.run.reason, self.run.is_published, override, self.damaged)
        object.__setattr__(self, "status", found)

    @property
    def damaged(self) -> bool:
        """An audit found that it does not stand at the destination as it was published, and nobody healed it since."""
        return self.audited is not None and self.audited.is_wrong

    @property
    def state_words(self) -> str:
        """What its state means; of a damaged run no state's words are true any more."""
        return DAMAGED if self.damaged else STATES[self.run.state]

    @property
    def next(self) -> str:
        return what_next(
            self.run.state, self.run.reason, self.override.action if self.override else None, self.damaged
        )

    @property
    def why(self) -> str:
        """What an audit found, the reason in words, and the word of a person that is in force."""
        parts = [audit_text.brief(self.audited)] if self.audited is not None and self.damaged else []
        parts += [self.run.reason.text] if self.run.reason is not None else []
        ended_so = never_removed(self.run) if self.run.is_published else ""
        parts += [ended_so] if ended_so else []
        if self.override is not None:
            said = f": {self.override.reason}" if self.override.reason else ""
            parts.insert(0, f"{_PAST[self.override.action]} by {self.override.by}{said}")
        return "; ".join(parts)

    @property
    def advice(self) -> str:
        """What a person does about it; may be empty."""
        parts = [self.run.reason.advice if self.run.reason is not None else ""]
        if self.audited is not None and self.damaged:
            parts.insert(0, audit_text.advice(self.run.key, self.audited.counts))
        return "; ".join(filter(None, parts))

    @property
    def evidence(self) -> Evidence | None:
        """The weakest of the last verdict; None before there was one. What an audit found wrong since is not proved."""
        if self.run.weakest is None:
            return None
        return min(Evidence(self.run.weakest), audit_text.at_most(self.audited))

    def next_scan(self, now: float) -> float | None:
        """When its folders at the source are looked at next for late files, in seconds since 1970; a time that is past
        means the next pass. None where nobody looks: its folder is not there, or it is held or ignored."""
        if self.override is not None and self.override.stops:
            return None
        return next_scan(self.run, now)

    @property
    def since(self) -> float:
        said = self.override.at if self.override is not None and self.override.stops else 0.0
        wrong = self.audited.wrong_since if self.audited is not None else None
        return max(self.run.since, said, wrong or 0.0)


_PAST = {"hold": "held", "ignore": "ignored", "retry": "retry asked", "accept": "accepted"}


@dataclasses.dataclass(frozen=True, slots=True)
class PassActivity:
    """``running``: None where nobody can say. ``heartbeat``: when a pass last moved, in seconds since 1970."""

    running: bool | None
    heartbeat: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Records:
    """All runs in order of names, and words on runs that are not there yet. ``elsewhere``: runs that only the lake
    knows and in which an audit found something wrong. ``left``: how many files and links of the main folder itself
    the last pass left alone."""

    runs: tuple[Record, ...]
    expected: tuple[Override, ...]
    at_work: PassActivity
    elsewhere: tuple[Audited, ...] = ()
    left: tuple[int, int] = (0, 0)
    undelivered: tuple[Undelivered, ...] = ()

    @property
    def of_no_family(self) -> int:
        """Folders of which nobody can say when they are finished."""
        reasons = (record.run.reason for record in self.runs if record.status is not RunStatus.IGNORED)
        return sum(reason is not None and reason.code in OF_NO_FAMILY for reason in reasons)


def place(settings: Settings) -> tuple[Path, Flow]:
    """Where the ledger of this flow lies."""
    flow = Flow(
        str(settings.source.main_folder),
        settings.destination.blob_endpoint,
        settings.destination.container_name,
        settings.destination.destination,
    )
    path, _ = ledger_path(settings.state.state_file, flow, state_folder(settings.state.state_file))
    return path, flow


def reading(settings: Settings) -> LedgerReader | None:
    path, flow = place(settings)
    return open_reading(path, flow)


def records(settings: Settings) -> Records:
    """Everything that ``status`` shows; the run table alone is read."""
    path, flow = place(settings)
    opened = open_reading(path, flow)
    if opened is None:
        return Records((), (), PassActivity(is_held(lock_path(path, flow)), None))
    with opened as ledger:
        at_work = PassActivity(is_held(lock_path(path, flow)), ledger.heartbeat())
        live = ledger.live() if at_work.running is not False else None
        overrides = ledger.overrides()
        audited = ledger.audited()
        left = ledger.left()
        waiting = ledger.undelivered(flow)
        found = [
            Record(
                run,
                overrides.pop(run.key, None),
                live if live is not None and live.run_id == run.id else None,
                audited.pop(run.key, None),
            )
            for run in ledger.runs()
        ]
    # A run whose folder and sheet both went, without anything of it carried, is no run any more.
    kept = [record for record in found if record.run.state is not State.GONE or record.run.reason is not None]
    elsewhere = sorted((each for each in audited.values() if each.is_wrong), key=lambda each: each.run)
    return Records(tuple(kept), tuple(overrides.values()), at_work, tuple(elsewhere), left, tuple(waiting))


def matching(records: Iterable[Record], patterns: Sequence[str]) -> list[Record]:
    """Those that one of the names or globs names; all without any. Raises ConfigurationError for one that names
    none."""
    known = list(records)
    if not patterns:
        return known
    chosen: dict[str, Record] = {}
    for pattern in patterns:
        found = [record for record in known if record.run.key == pattern]
        found = found or [record for record in known if fnmatch.fnmatchcase(record.run.key, pattern)]
        if not found:
            raise unknown(pattern, [record.run.key for record in known])
        chosen.update((record.run.key, record) for record in found)
    return sorted(chosen.values(), key=lambda record: record.run.key)


def unknown(name: str, known: Sequence[str]) -> ConfigurationError:
    """A name that no run on record has, with those that it may have meant."""
    folded = {key.casefold(): key for key in known}
    near = [folded[each] for each in difflib.get_close_matches(name.casefold(), folded, 3, 0.6)]
    inside = [key for key in known if name and name.casefold() in key.casefold()][:3]
    hints = list(dict.fromkeys([*near, *inside]))[:4]
    advice = f"did you mean {' or '.join(hints)}?" if hints else "sync_to_azure status lists all runs"
    return ConfigurationError(f"no run {name} is on record", advice)
