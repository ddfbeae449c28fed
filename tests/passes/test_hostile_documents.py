"""Documents at the destination that somebody else wrote, huge or hostile: an error of that run, in bounded time, and
never of the pass."""

from __future__ import annotations

import collections.abc
import hashlib
import json
import pathlib
import typing

import pytest

from tests.passes.proxy import Proxy
from tests.passes.scene import Scene, tree

GIB = 2**30


@pytest.fixture
def native(scene: Scene) -> Scene:
    scene.config["uploader"] = "native"
    return scene


def receipt(**values: typing.Any) -> collections.abc.Callable[[dict[str, typing.Any]], bytes]:
    return lambda true: json.dumps(true | values).encode()


def times(text: object) -> collections.abc.Callable[[dict[str, typing.Any]], bytes]:
    return lambda true: json.dumps(true | {"times": dict.fromkeys(true["times"], text)}).encode()


def raw(old: str, new: str) -> collections.abc.Callable[[dict[str, typing.Any]], bytes]:
    """What Python's own writer would not write."""
    return lambda true: json.dumps(true).replace(old, new).encode()


RECEIPTS = {
    "generation": receipt(generation=2**63 - 1),
    "generation of 400 digits": receipt(generation=10**400),
    "bytes": receipt(bytes=2**63 - 1),
    "negative": receipt(files=-1),
    "NaN": raw('"generation": 1', '"generation": NaN'),
    "Infinity": raw('"bytes": ', '"bytes": Infinity, "b": '),
    "nested": raw('"overrides": []', '"words": ' + "[" * 90_000 + "]" * 90_000),
    "nested a little": raw('"overrides": []', '"words": ' + "[" * 900 + "]" * 900),
    "long text": receipt(tool="x" * 100_000),
    "many values": receipt(words=[0] * 2_100_000),
    "33 MiB": lambda true: json.dumps(true).encode() + b" " * (33 * 2**20),
}
BELIEVED = {
    "times beyond all": times("@" + "9" * 50),
    "times of no year": times("99999-12-31T00:00:00+00:00"),
    "times that are numbers": times(10**18),
    "times before 1970": times("0001-01-01T00:00:00+00:00"),
    "others": receipt(
        ready={"blob": "x" * 9000, "time": 5}, instrument=[], overrides=5, replaced=[[]], not_uploaded=7
    ),
}
"""What is no time, and what nobody needs, counts as not said; all else of such a receipt is checked anyway."""


def test_receipts(native: Scene) -> None:
    names = {f"R{number}": how for number, how in enumerate(RECEIPTS.values())}
    good = {f"B{number}": how for number, how in enumerate(BELIEVED.values())}
    for name in [*names, *good]:
        native.make_run(name)
    native.run()
    for name, how in (names | good).items():
        native.put(f"{name}.json", how(native.documents(name)[2]))
    before = native.etags()
    native.lose_ledger()
    native.make_run("S")
    outcome = native.run(expect=1)
    assert "Traceback" not in outcome.output and "internal error" not in outcome.output
    for name in names:
        assert f"{name}.json" in outcome.stderr
        assert native.state(name)[0] == "failing"
    assert native.is_published("S")
    for name in good:
        assert native.state(name)[0] == "published"
    after = native.etags()
    assert {name: after[name] for name in before} == before, "nothing is written over it"
    for command in ("status", "audit"):
        told = native.run_command(command, config=native.config)
        assert told.returncode in (0, 1) and "Traceback" not in told.output and "internal" not in told.output


LINES: dict[str, dict[str, typing.Any]] = {
    "size": {"size": 2**63 - 1},
    "size of 400 digits": {"size": 10**400},
    "negative": {"size": -1},
    "time": {"mtime": "@" + "9" * 4000},
    "path": {"path": "x" * 70_000},
    "outside": {"source_path": "../S/RunInfo.xml"},
    "etag": {"etag": "x" * 1000},
}


def test_manifests(native: Scene, tmp_path: pathlib.Path) -> None:
    names = {f"R{number}": change for number, change in enumerate(LINES.values())}
    for name in [*names, "SUM"]:
        native.make_run(name)
    native.run()
    # Each of them is what its receipt tells.
    for name, change in names.items():
        sums, rows, true, _ = native.documents(name)
        forge(native, name, true, [*rows[:-1], rows[-1] | change])
    true, rows = native.documents("SUM")[2], native.documents("SUM")[1]
    forge(native, "SUM", true, [rows[0] | {"path": f"p{number}", "size": 2**48} for number in range(6)])
    native.lose_ledger()
    native.make_run("S")
    outcome = native.run(expect=1)
    assert "Traceback" not in outcome.output and "internal error" not in outcome.output
    for name in [*names, "SUM"]:
        assert f"{name}.files.jsonl cannot be read: line" in outcome.stderr
        assert native.state(name)[0] == "failing"
        restored = native.run_command("restore", name, "--to", tmp_path / "back", config=native.config)
        assert restored.returncode == 1 and "Traceback" not in restored.output
    assert native.is_published("S")
    native.lose_ledger()
    told = native.run_command("audit", config=native.config)
    assert told.returncode == 1 and "Traceback" not in told.output and "state file" not in told.output


def forge(scene: Scene, run: str, true: dict[str, typing.Any], rows: list[dict[str, typing.Any]]) -> None:
    """Manifest and receipt that agree with each other."""
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    sums = "".join(f"{row['md5']}  {run}/{row['path']}\n" for row in rows).encode()
    digests = {f"{run}.md5": sums, f"{run}.files.jsonl": lines}
    true["sha256"] = {name: hashlib.sha256(content).hexdigest() for name, content in digests.items()}
    for name, content in [*digests.items(), (f"{run}.json", json.dumps(true).encode())]:
        scene.put(name, content)


@pytest.mark.parametrize("suffix", [".json", ".files.jsonl", ".md5", ".sync"])
@pytest.mark.parametrize("ledger", ["kept", "lost"])
def test_a_document_of_100_gb_is_not_downloaded(
    native: Scene, proxy: Proxy, suffix: str, ledger: str
) -> None:
    run = native.make_run("R")
    native.through(proxy).run()
    native.container.delete_blob(f"R{suffix}")
    native.container.get_blob_client(f"R{suffix}").create_page_blob(100 * GIB)
    if ledger == "lost":
        native.lose_ledger()
    native.make_run("S")
    proxy.reset()
    outcome = native.run_command("--thorough", config=native.config)
    assert "Traceback" not in outcome.output and "internal error" not in outcome.output
    assert native.is_published("S")
    reads = [path for method, path in proxy.seen if method == "GET" and f"/R{suffix}" in path]
    assert len(reads) <= 4, reads
    if suffix == ".sync" or (ledger == "kept" and suffix != ".json"):
        # A marker only has to be there; what the ledger knows is written again.
        assert outcome.returncode == 0
        assert native.state("R")[0] == "published"
        if suffix != ".sync":
            native.documents("R")
    else:
        assert outcome.returncode == 1 and f"R{suffix} has 107,374,182,400 bytes" in outcome.stderr
        assert native.state("R")[0] == "failing"
    assert tree(run)
