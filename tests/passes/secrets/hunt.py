"""A canary secret is hunted in everything that a pass writes, shows, sends or hands on, in every form it may take.

Written apart from the redactor: what that one does not think of, this one must find.
"""

from __future__ import annotations

import base64
import collections.abc
import contextlib
import dataclasses
import email.message
import html
import json
import os
import pathlib
import secrets
import subprocess
import threading
import time
import typing
import urllib.parse

from tests.conftest import LONG

PART = 12
"""So many characters of a secret in a row are a leak: half of it, cut by a limit, is worse than none."""


def canary(kind: str) -> str:
    """A secret that nothing else can hold, with the characters that quoting changes."""
    return f"Cnry+{kind}/{secrets.token_hex(12)}~x=%y"


def key_canary() -> str:
    """One that is an account's key: base64 of 64 bytes."""
    return base64.b64encode(secrets.token_bytes(64)).decode()


def forms(secret: str) -> dict[str, bytes]:
    """Everything that counts as a finding, by its name."""
    found = {f"part {at}": secret[at : at + PART] for at in range(max(1, len(secret) - PART + 1))}
    quoted = urllib.parse.quote(secret, safe="")
    found |= {
        "quoted": quoted,
        "quoted twice": urllib.parse.quote(quoted, safe=""),
        "quoted in small letters": quoted.lower(),
        "as a form": urllib.parse.quote_plus(secret),
        "json": json.dumps(secret)[1:-1],
        "repr": repr(secret)[1:-1],
        "html": html.escape(secret),
        "hex": secret.encode().hex(),
        "utf-16": secret.encode("utf-16-le").decode("latin-1"),
    }
    for before in range(3):
        # Inside base64, wherever it starts; the characters that share bits with neighbours are left out.
        whole = base64.b64encode(bytes(before) + secret.encode()).decode().rstrip("=")
        middle = whole[(before * 8 + 5) // 6 : (before + len(secret.encode())) * 8 // 6]
        found |= {
            f"base64 at {before}": middle,
            f"base64 for addresses at {before}": middle.translate({43: "-", 47: "_"}),
        }
    return {name: text.encode("latin-1" if name == "utf-16" else "utf-8") for name, text in found.items()}


@dataclasses.dataclass
class Hunt:
    """``secrets``: name -> text. ``findings``: what was found, where; it must stay empty."""

    secrets: dict[str, str]
    findings: list[str] = dataclasses.field(default_factory=list)
    looked_at: set[str] = dataclasses.field(default_factory=set)

    def __post_init__(self) -> None:
        self._forms = {name: forms(text) for name, text in self.secrets.items()}

    def look(self, place: str, content: bytes | str) -> None:
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        self.looked_at.add(place)
        for secret, written in self._forms.items():
            for form, text in written.items():
                if text in data:
                    at = data.index(text)
                    self.findings.append(f"{secret} ({form}) in {place}: …{data[max(0, at - 60):at + 60]!r}…")
                    break

    def look_into(self, folder: pathlib.Path, but: collections.abc.Collection[pathlib.Path] = ()) -> None:
        """All files below; ``but``: those in which a secret was given."""
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and path not in but:
                self.look(str(path), str(path).encode() + b"\n" + path.read_bytes())

    def look_at_container(self, container: typing.Any) -> None:
        for blob in container.list_blobs(include=["metadata"]):
            self.look(f"blob {blob.name}", blob.name)
            self.look(f"metadata of blob {blob.name}", json.dumps(blob.metadata or {}))
            self.look(f"content of blob {blob.name}", container.download_blob(blob.name).readall())

    def look_at_mails(
        self, mails: collections.abc.Iterable[email.message.EmailMessage], raw: list[bytes]
    ) -> None:
        for number, mail in enumerate(mails):
            self.look(f"mail {number}", "\n".join(f"{key}: {value}" for key, value in mail.items()))
            self.look(f"body of mail {number}", str(mail.get_content()))
        for number, whole in enumerate(raw):
            self.look(f"mail {number} as sent", whole)

    def assert_nothing(self) -> None:
        assert self.findings == [], "\n".join(self.findings)


@dataclasses.dataclass(frozen=True)
class Seen:
    """A process of the pass as /proc showed it."""

    pid: int
    command: bytes
    environment: bytes

    @property
    def is_azcopy(self) -> bool:
        """It, or the script in its place (its first word is the shell then)."""
        return any(b"azcopy" in word.rpartition(b"/")[2] for word in self.command.split(b"\0")[:2])

    @property
    def is_passing(self) -> bool:
        """Whether it is seen is a matter of chance, and what it shows is another's."""
        return self.command == b"uname\0-p\0" or self.command.startswith(b"cp\0-r\0")


class Watch:
    """Reads command line and environment of a process and of all that it starts, a hundred times a second."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.pid = process.pid
        self.seen: set[Seen] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        family = {self.pid}
        while not self._stop.wait(0.01):
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    with contextlib.suppress(OSError, ValueError, IndexError):
                        self._read(int(entry), family)

    def _read(self, pid: int, family: set[int]) -> None:
        if pid not in family:
            stat = pathlib.Path(f"/proc/{pid}/stat").read_bytes()
            if int(stat.rpartition(b")")[2].split()[1]) not in family:
                return
            family.add(pid)
        folder = pathlib.Path(f"/proc/{pid}")
        command, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        # Between the two it may have become another program.
        if command and command == (folder / "cmdline").read_bytes():
            self.seen.add(Seen(pid, command, environment))

    def end(self) -> None:
        self._stop.set()
        self._thread.join()

    def children(self) -> list[Seen]:
        """Without what is forked and not another program yet: it shows what it was copied from. Without the
        ``uname -p`` of Python's ``platform``, whose environment is ours for the instant that it lives. And without the
        ``cp`` of ``kept_azcopy``, which has AzCopy's."""
        ours = {(seen.command, seen.environment) for seen in self.own()}
        others = (seen for seen in self.seen if seen.pid != self.pid and not seen.is_passing)
        return [seen for seen in others if (seen.command, seen.environment) not in ours]

    def own(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.pid == self.pid]


@dataclasses.dataclass(frozen=True)
class Ended:
    returncode: int
    output: str
    watch: Watch


def watched(
    start_command: typing.Any, *arguments: object, timeout: float = LONG, **options: typing.Any
) -> Ended:
    """Start the command, watch it and its children, and wait for its end."""
    process = start_command(*arguments, **options)
    watch = Watch(process)
    began = time.monotonic()
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    finally:
        watch.end()
    assert time.monotonic() - began < timeout
    return Ended(process.returncode, stdout + stderr, watch)
