"""Files of projects, with the age that a test gives them."""

from __future__ import annotations

import json
import os
import pathlib
import time
import typing

from tests.passes.scene import Scene

HOUR, DAY = 3600.0, 86400.0


class Projects:
    """``age``: seconds since a file was written, where a test says nothing else."""

    def __init__(self, scene: Scene, age: float) -> None:
        self.scene = scene
        self.age = age

    def write(self, path: str, content: bytes | str = b"", age: float | None = None) -> pathlib.Path:
        target = self.scene.main / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        written = time.time() - (self.age if age is None else age)
        os.utime(target, (written, written))
        return target

    def lake(self, key: str) -> dict[str, bytes]:
        """Every blob of one project, by its name below it."""
        names = [n for n in self.scene.etags() if n.startswith(f"{key}/")]
        return {name.removeprefix(f"{key}/"): self.scene.get(name) for name in names}

    def receipt(self, key: str) -> dict[str, typing.Any]:
        return typing.cast(dict[str, typing.Any], json.loads(self.scene.get(f"{key}.json")))

    def manifest(self, key: str) -> dict[str, dict[str, typing.Any]]:
        rows = [json.loads(line) for line in self.scene.get(f"{key}.files.jsonl").splitlines()]
        return {row["path"]: row for row in rows}

    def ready(self, key: str) -> str | None:
        return self.lake(key).get("results.ready", b"").decode() or None

    def waiting(self, key: str) -> dict[str, str]:
        """What waits, and why, as ``explain`` has it."""
        rows = self.scene.sql(
            "SELECT u.path, u.detail FROM uncarried u JOIN run r ON r.id = u.run_id WHERE r.key = ?"
            " AND u.kind = 'waiting'",
            key,
        )
        return {bytes(path).decode(): detail for path, detail in rows}
