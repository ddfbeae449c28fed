"""`check`: try everything that passes need, and say of each thing whether it is well or what to do.

Nothing stops it: one look shows all that is wrong. The source is only read; at the destination a probe is written.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from sync_to_azure.instruments import completion
from sync_to_azure.settings import evidence_key
from sync_to_azure.transfer.configs import mail_config
from sync_to_azure.core.clock import Clock, local_time
from sync_to_azure.transfer.commands import check_removal, check_webhook
from sync_to_azure.transfer.commands.check_output import show_result
from sync_to_azure.transfer.commands.families import MOST, families, of_families
from sync_to_azure.core.errors import RunError, SyncError
from sync_to_azure.transfer.ledger import Ledger
from sync_to_azure.transfer.ledger.place import is_damaged
from sync_to_azure.transfer.own_paths import overlaps
from sync_to_azure.instruments.profiles import AUTO
from sync_to_azure.files.mounts import Mount, mount_of
from sync_to_azure.transfer.source import MainFolderContents
from sync_to_azure.transfer.source import RunFolder, find_runs, find_sheets, top_level_files
from sync_to_azure.transfer.session import PassSession
from sync_to_azure.notify import log as tell_log
from sync_to_azure.transfer import metrics
from sync_to_azure.notify.output import show
from sync_to_azure.notify.redact import Redactor, plain
from sync_to_azure.notify.terminal import how_many, human_size, human_time

if TYPE_CHECKING:
    from sync_to_azure.transfer.commands.probe import DestinationProbe
    from sync_to_azure.settings import Settings

OK, WRONG, NOTE, SKIPPED = "ok", "WRONG", "note", "-"

CLOCK_TOLERANCE = 300.0
"""Seconds. A service refuses keys and SAS whose times are some minutes off (15 for a key's signature)."""
SAS_SOON = 30 * 86400.0
"""Seconds before a SAS ends from which on it is worth a word."""
_RUNS_OPENED = 20
_ST_NOSYMFOLLOW = 0x2000
"""statvfs, Linux 5.10; Python has no name for it."""
_SHARES = frozenset(
    "nfs nfs4 cifs smb3 smbfs 9p afs ceph glusterfs lustre beegfs ncpfs fuse.sshfs fuse.glusterfs fuse.s3fs"
    " fuse.blobfuse fuse.blobfuse2 vboxsf".split()
)
"""File systems that lie on another machine: SQLite's locks and flock cannot be relied on there."""
_WRITES = "r l and one of w c"


@dataclasses.dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that was tried. ``kind``: ok, WRONG, note (works, but look at it) or - (not tried, and why)."""

    kind: str
    subject: str
    text: str
    advice: str = ""


Results = Iterator[tuple[str, str, str]]
"""(kind, text, advice) of one subject; errors of ours and of the system become a WRONG."""


def run(settings: "Settings", send_mail: bool) -> int:
    """Exit code 0 if nothing is wrong, 3 if something is."""
    redact = Redactor(settings.secret_values())
    # What libraries say about a login that fails is told in a line of ours.
    logs = tell_log.set_up("CRITICAL", None, redact)
    wrong = 0
    try:
        for line in lines(settings, send_mail):
            wrong += line.kind == WRONG
            show_result(line.kind, line.subject, plain(redact(line.text)), plain(redact(line.advice)))
    finally:
        logs.close()
    show("\nall checks passed" if not wrong else f"\n{how_many(wrong, 'check')} failed")
    return 3 if wrong else 0


def lines(settings: "Settings", send_mail: bool) -> Iterator[CheckResult]:
    from sync_to_azure.transfer.commands.probe import DestinationProbe

    # A person waits: what does not answer is not asked for minutes.
    upload = settings.upload._replace(retry_times=1, timeout=min(settings.upload.timeout, 20.0))
    quick = dataclasses.replace(settings, upload=upload)
    session = PassSession(quick, Clock())
    misplaced = frozenset(each.key for each in overlaps(settings))
    yield from _tried("settings", lambda: _settings(settings))
    yield from _tried("main folder", lambda: _main_folder(settings))
    yield from _tried("sample sheets", lambda: _sheets(settings))
    yield from _tried("remove-source", lambda: _removal(settings))
    yield from _tried("state file", lambda: _state(settings, session), "state-file" in misplaced)
    yield from _tried("remove-source", lambda: _before_removal(settings, session), "state-file" in misplaced)
    yield from _tried("log file", lambda: _log_file(settings), "log-file" in misplaced)
    destination = DestinationProbe(quick, session.clock, session.state_folder)
    yield from _tried("metrics file", lambda: _metrics_file(settings), "metrics-file" in misplaced)
    yield from _tried("login", lambda: _login(settings, destination, session.clock.now()))
    yield from _tried("evidence key", lambda: _evidence_key(settings))
    yield from _tried("container", lambda: _container(settings, destination))
    yield from _tried("clock", lambda: _clock(destination))
    yield from _tried(
        "uploader", lambda: _uploader(settings, destination), bool(misplaced & {"azcopy-logs", "state-file"})
    )
    yield from _tried("probe", lambda: _probe(destination))
    yield from _tried("mail", lambda: _mail(settings, send_mail))
    yield from _tried("webhook", lambda: _webhook(settings))


def _tried(subject: str, look: Callable[[], Results], is_misplaced: bool = False) -> Iterator[CheckResult]:
    if is_misplaced:
        # It would write there.
        yield CheckResult(SKIPPED, subject, "not tried: it overlaps with the main folder, see settings")
        return
    try:
        for kind, text, advice in look():
            yield CheckResult(kind, subject, text, advice)
    except SyncError as error:
        yield CheckResult(WRONG, subject, error.message, error.advice)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        yield CheckResult(
            WRONG, subject, f"{where}{error.strerror or error}", "check the path and its permissions"
        )


def _settings(settings: "Settings") -> Results:
    file = str(settings.general.config_file) if settings.general.config_file else "no config file"
    yield OK, f"{file}; `sync_to_azure settings` shows each value and where it comes from", ""
    for notice in settings.notices:
        yield NOTE, notice.text, ""
    for each in overlaps(settings):
        yield WRONG, each.text, each.advice


def _main_folder(settings: "Settings") -> Results:
    found = find_runs(settings.source.main_folder)
    mount = f"{found.mount.source} ({found.mount.kind})"
    if found.strays:
        yield NOTE, *_left(found)
    if not found.runs:
        yield NOTE, f"{settings.source.main_folder} on {mount} holds no runs", "is the share mounted?"
        return
    unreadable = [name for name in map(_unreadable, found.runs) if name]
    if unreadable:
        shown = ", ".join(unreadable[:5]) + (", …" if len(unreadable) > 5 else "")
        yield WRONG, f"{len(unreadable)} of {len(found.runs)} runs cannot be read: {shown}", (
            f"let {_me()} read them: files r, folders r and x"
        )
    else:
        yield OK, f"{settings.source.main_folder} on {mount}: {how_many(len(found.runs), 'run')}", ""
    wanted = settings.completion.completion_flag
    if wanted and not unreadable:
        finished = sum(not completion.missing_flags(wanted, top_level_files(run)) for run in found.runs)
        if not finished:
            advice = f"is {wanted[0]} what this instrument writes last?"
            yield NOTE, f"no run holds {' and '.join(wanted)} (completion-flag)", advice
        else:
            yield OK, f"{finished} of {len(found.runs)} runs hold {' and '.join(wanted)}", ""
    for text, advice in of_families(
        found.runs, settings.completion.profile, settings.completion.family_flags
    ):
        yield NOTE if advice else OK, text, advice
    if not wanted and settings.completion.profile == AUTO:
        counted, others = families(found.runs)
        looked_at = "" if len(found.runs) <= MOST else f"of the newest {MOST} folders: "
        if counted:
            yield OK, f"{looked_at}recognised are {', '.join(counted)}", ""
        for text, advice in others:
            yield NOTE, f"{looked_at}{text}", advice


def _left(found: MainFolderContents) -> tuple[str, str]:
    """What is in the main folder itself and is not uploaded; what to do."""
    files = len(found.strays) - len(found.links)
    parts = [how_many(count, word) for count, word in ((files, "file"), (len(found.links), "link")) if count]
    shown = ", ".join(found.strays[:5]) + (", …" if len(found.strays) > 5 else "")
    return (
        f"{' and '.join(parts)} in the main folder itself, not uploaded: {shown}",
        "only folders are: give each run a folder of its own, and let what is linked be a main folder itself",
    )


def _unreadable(run: RunFolder) -> str:
    """The run's name and why, if its folder or one of its top-level files cannot be read."""
    try:
        for name in top_level_files(run)[:_RUNS_OPENED]:
            with run.place.open() as folder:
                os.close(folder.file(os.fsencode(name))[0])
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{run.key} ({error.strerror})"
    except RunError as error:
        return f"{run.key} ({error.message.rpartition(': ')[2]})"
    return ""


def _sheets(settings: "Settings") -> Results:
    folder = settings.source.samplesheet_folder
    if folder is None:
        yield SKIPPED, "samplesheet-folder is not set: runs are published without a sheet of their own", ""
        return
    sheets = find_sheets(folder)
    yield OK, f"{folder}: {how_many(sum(map(len, sheets.values())), 'sheet')}", ""
    for same in sheets.values():
        if len(same) > 1:
            names = ", ".join(sheet.path.name for sheet in same)
            yield NOTE, f"{names} differ only in case", "keep one"


def _removal(settings: "Settings") -> Results:
    folder = settings.source.main_folder
    if not settings.removal.remove_source:
        yield SKIPPED, "not set: the source is only read", ""
        return
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        yield WRONG, f"{folder} is mounted read-only: nothing can be removed there", (
            "mount it read-write, or drop remove-source"
        )
    elif not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        yield WRONG, f"{folder} cannot be written by {_me()}: nothing can be removed there", (
            f"let {_me()} write there, or drop remove-source"
        )
    else:
        locked = [run.key for run in find_runs(folder).runs if not os.access(run.path, os.W_OK | os.X_OK)]
        if locked:
            yield WRONG, f"{len(locked)} runs cannot be written by {_me()}: {', '.join(locked[:5])}", (
                "the instrument's account created them: give this account the right to delete in them"
            )
        else:
            yield OK, f"{folder} may be written; removed are only files that were proved", ""


def _before_removal(settings: "Settings", session: PassSession) -> Results:
    if not settings.removal.remove_source:
        return
    if settings.upload.uploader != "native":
        for text, advice in check_removal.with_azcopy(settings, session.clock.now()):
            yield NOTE, text, advice
    volume = check_removal.to_read_back(session.state_path(), session.flow, settings)
    if volume:
        yield NOTE, volume, ""


def _state(settings: "Settings", session: PassSession) -> Results:
    path = session.state_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    yield from _place(path, mount_of(path.parent))
    if not path.exists():
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".sync_to_azure-"):
            free = os.statvfs(path.parent)
        size = human_size(free.f_bavail * free.f_frsize)
        yield OK, f"{path}: made by the first pass; {size} free", ""
        return
    try:
        # As a pass does it; what it makes of an older ledger is what the next pass would.
        Ledger.open(path, session.flow).close()
    except sqlite3.Error as error:
        how = "the next pass keeps it aside and builds a new one: costs time, no data"
        advice = how if is_damaged(error) else "check space and permissions, or name another state-file"
        yield WRONG, f"{path}: {error}", advice
        return
    yield OK, f"{path}: can be read and written", ""


def _place(path: Path, mount: Mount) -> Results:
    if mount.kind in _SHARES:
        yield WRONG, f"{path} is on a network share ({mount.source}, {mount.kind}): its locks cannot be relied on", (
            "set state-file to a local disk"
        )


def _log_file(settings: "Settings") -> Results:
    if settings.log.log_file is None:
        yield SKIPPED, "log-file is not set: the log goes to the terminal, or to cron's mail", ""
        return
    said: list[str] = []
    handler = tell_log.FileHandler(settings.log.log_file, said.append)
    # A full disk still takes an empty file.
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S%z"))
    handler.handle(logging.makeLogRecord({"msg": "sync_to_azure check was here", "levelname": "INFO"}))
    handler.close()
    if said:
        yield WRONG, said[0], "name another log-file"
    else:
        yield OK, f"{settings.log.log_file}: can be written", ""


def _uploader(settings: "Settings", destination: "DestinationProbe") -> Results:
    yield OK, destination.prepare_uploader(), ""
    folder = settings.source.main_folder
    if (
        settings.upload.uploader != "native"
        and folder.is_dir()
        and not os.statvfs(folder).f_flag & _ST_NOSYMFOLLOW
    ):
        # We open everything below handles; AzCopy takes paths.
        yield NOTE, (
            f"AzCopy opens files by their paths and follows symbolic links below {folder}: who may write there can have"
            " it read files from elsewhere"
        ), "mount it with nosymfollow, or set uploader = native (docs/security.md)"


def _metrics_file(settings: "Settings") -> Results:
    """A word only where it is wanted; whatever is wrong with it, no pass fails for it."""
    path = settings.monitoring.metrics_file
    if path is None:
        return
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=True):
        yield NOTE, f"{path.parent} is not a folder that {_me()} can write to: passes work without it", (
            "make the folder, or name another metrics-file"
        )
    elif problem := metrics.not_ours(path):
        yield NOTE, f"{path}: {problem}: nothing is written there", "move it away, or name another metrics-file"
    elif path.suffix != ".prom":
        yield NOTE, f"{path}: node_exporter's textfile collector reads only files that end in .prom", (
            "rename it, if that collector should read it"
        )
    else:
        yield OK, f"{path}: can be written", ""


def _login(settings: "Settings", destination: "DestinationProbe", now: float) -> Results:
    destination.sign_in()
    origin = settings.origin["auth"]
    shown = f"{settings.identity.auth}" + (f" ({origin})" if origin != "default" else "")
    if settings.identity.auth in ("service-principal", "default"):
        yield OK, f"{shown}: a token was given", ""
    else:
        yield OK, f"{shown}: tried with the container", ""
    if settings.identity.auth == "sas":
        yield from sas_found(settings.identity.secret or "", now)


def _evidence_key(settings: "Settings") -> Results:
    path = settings.identity.evidence_key
    if path is None:
        yield NOTE, "there is no credentials file, so no place for an evidence-key next to it: receipts have no HMAC", (
            "name a file by evidence-key; without it, losing the state file costs reading back (docs/operations.md)"
        )
    elif evidence_key.read(path) is not None:
        yield OK, f"{path}: receipts are written with an HMAC under it; back it up", ""
    elif os.access(path.parent, os.W_OK | os.X_OK, effective_ids=True):
        yield OK, f"{path}: made at the first publishing; back it up then", ""
    else:
        yield NOTE, f"{path} is not there, and {_me()} may not make it: receipts have no HMAC", (
            f"make it ({evidence_key.COMMAND} {path}), or name another file by evidence-key"
        )


def sas_found(sas: str, now: float) -> Results:
    """What a SAS says of itself: its end, and what it permits."""
    from sync_to_azure.stores.login import sas_end

    facts = {name: values[0] for name, values in parse_qs(sas.lstrip("?")).items()}
    rights = facts.get("sp", "")
    if rights and not ("r" in rights and "l" in rights and ("w" in rights or "c" in rights)):
        yield WRONG, f"the SAS permits {rights!r}; needed are {_WRITES}", "have another one made"
    end = sas_end(sas)
    if end is None:
        return
    left = end - now
    if left <= 0:
        yield WRONG, f"the SAS ended {local_time(end)}", "have another one made"
    elif left < SAS_SOON:
        yield NOTE, f"the SAS ends in {human_time(left)}", "have another one made before"


def _container(settings: "Settings", destination: "DestinationProbe") -> Results:
    if not destination.is_signed_in:
        yield SKIPPED, "not tried without a login", ""
        return
    destination.look_into_container()
    where = f"{settings.destination.blob_endpoint}/{settings.destination.container_name}"
    yield OK, f"{where} answers" + (
        f", runs go to {settings.destination.destination}/" if settings.destination.destination else ""
    ), ""


def _clock(destination: "DestinationProbe") -> Results:
    ahead = destination.clock_ahead
    if ahead is None:
        yield SKIPPED, "the service did not answer, so its clock is not known", ""
    elif abs(ahead) > CLOCK_TOLERANCE:
        which = "ahead of" if ahead > 0 else "behind"
        yield WRONG, f"this machine's clock is {human_time(abs(ahead))} {which} the service's", (
            "keys and SAS are refused for that: set it, and keep it by NTP (chrony, systemd-timesyncd)"
        )
    else:
        # The service tells whole seconds, and the answer was under way.
        yield OK, f"{human_time(abs(round(ahead)))} from the service's", ""


def _probe(destination: "DestinationProbe") -> Results:
    if not destination.answers:
        yield SKIPPED, "not tried without a container", ""
        return
    yield OK, destination.write_probe(), ""
    try:
        if destination.has_uploader:
            yield OK, destination.carry_probe(), ""
    finally:
        removed = destination.remove_probes()
    if removed:
        yield OK, "deleted again", ""
    else:
        yield OK, "it stays: no right to delete, which is fine", ""


def _mail(settings: "Settings", send_mail: bool) -> Results:
    from sync_to_azure.notify import mail

    server = mail_config(settings)
    if server is None:
        yield NOTE, "log-recipient is not set: no mail is sent when something is wrong", ""
        return
    server = dataclasses.replace(server, timeout=15.0, whole=60.0)
    to = ", ".join(server.recipients)
    security, port = mail.connection(server)
    where = f"{server.host}:{port}, {'no encryption' if security == 'none' else security.upper()}"
    if not send_mail:
        mail.knock(server)
        login = " and accepts the login" if server.user else ""
        yield OK, f"{where} answers{login}; no mail was sent, --send-mail sends one to {to}", ""
        return
    subject = "[sync_to_azure] check: this mail is a test"
    body = "This mail was sent by `sync_to_azure check --send-mail`. Nothing is wrong.\n"
    refused = mail.send(server, mail.compose(subject, body, mail.sender_of(server), server.recipients))
    if refused:
        yield WRONG, f"{where} took the mail, but not for {'; '.join(refused)}", "correct log-recipient"
    else:
        yield OK, f"{where} took a mail to {to}: has it arrived?", ""


def _webhook(settings: "Settings") -> Results:
    for is_well, text, advice in check_webhook.answers(settings):
        yield OK if is_well else WRONG, text, advice


def _me() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"user {os.geteuid()}"
