"""The record of truth: what was ever in a complete run, and what the harness itself destroyed."""

from __future__ import annotations

import dataclasses
import hashlib
import threading


def digest(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@dataclasses.dataclass
class Truth:
    """``owed``: digests of each (run, path) that must exist somewhere; ``now``: what the source was left with last, and
    so what the destination must hold in the end; ``spoilt``: ETags of blobs as somebody else left them (None: deleted).
    """

    owed: dict[tuple[str, str], set[str]] = dataclasses.field(default_factory=dict)
    now: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    sheets: dict[str, set[str]] = dataclasses.field(default_factory=dict)
    spoilt: dict[str, str | None] = dataclasses.field(default_factory=dict)
    lost_for_good: set[str] = dataclasses.field(default_factory=set)
    events: list[str] = dataclasses.field(default_factory=list)
    lock: threading.RLock = dataclasses.field(default_factory=threading.RLock)

    def written(self, run: str, path: str, content: bytes) -> None:
        with self.lock:
            self.owed.setdefault((run, path), set()).add(digest(content))
            self.now.setdefault(run, {})[path] = digest(content)

    def destroyed(self, run: str, path: str, was: str, why: str) -> None:
        """By the harness, where nobody had promised to keep it yet."""
        with self.lock:
            self.owed.get((run, path), set()).discard(was)
            self.note(f"{run}/{path}: {why}; its bytes {was[:8]} are owed no more")

    def renamed(self, run: str, new: str) -> None:
        with self.lock:
            self.owed = {(new if of == run else of, path): owed for (of, path), owed in self.owed.items()}
            self.now[new] = self.now.pop(run)
            self.note(f"{run} is named {new} now")

    def gone(self, run: str, path: str) -> None:
        """Nothing of this name is at the source any more."""
        with self.lock:
            self.now.get(run, {}).pop(path, None)

    def note(self, text: str) -> None:
        with self.lock:
            self.events.append(text)
