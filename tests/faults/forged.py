"""Somebody else writes to what is published: a blob with the MD5 of the good one, documents that vouch for it, and
documents that no program can read.
"""

from __future__ import annotations

import collections.abc
import contextlib
import hashlib
import json
import typing

from tests.faults.fault import Fault, acting, at_end
from tests.faults.storage import digest_of, forge, put
from tests.faults.world import FLAG, Outcome, World
from tests.line import Request

Armed = collections.abc.Iterator[None]
WORDS = "not removed|missing or wrong|other bytes than|written again|changed by another"
_BEFORE, _FORGED = "before removal", "with its documents"


def _a_file(world: World) -> str:
    """Of a published file of R, the source of which is there."""
    lines = world.watch.status("R").lines or {}
    good = [path for path, now in world.truth.now["R"].items() if lines.get(path) == now]
    good = [path for path in sorted(good) if path != "Data/empty.txt" and "Sheet" not in path]
    return world.chance.choice(good)


def _forge(world: World, path: str) -> str:
    """The ETag of the blob: another content, and the MD5 that it should have."""
    name = f"R/{path}"
    size = world.container.get_blob_client(name).get_blob_properties().size
    etag = forge(world.container, name, world.chance.randbytes(size), digest_of(world.container, name))
    world.truth.spoilt[name] = etag
    world.truth.note(f"blob {name} has another content and the MD5 that it should have")
    return etag


@contextlib.contextmanager
def before_removal(world: World, fault: Fault) -> Armed:
    """When the marker stands, just before the command takes the next listing; or plainly overwritten."""
    is_plain = world.chance.random() < 0.3

    def act(request: Request) -> None:
        listing = request.kind == "GET list" and "prefix=R/" in request.path
        if fault.name in world.struck or not listing or world.watch.get("R.sync") is None:
            return
        path = _a_file(world)
        if is_plain:
            world.spoil(f"R/{path}", world.chance.randbytes(50))
        else:
            _forge(world, path)
        world.strike(fault.name)

    with acting(world, act):
        yield


@contextlib.contextmanager
def with_documents(world: World, fault: Fault) -> Armed:
    """While the run waits for its removal, a blob is forged, and manifest and receipt say that it was read back."""
    how = world.instant("ledger lost", "newer generation", "same generation")
    wanted, world.config["remove-source"] = world.config["remove-source"], "false"

    def ended(outcome: Outcome) -> None:
        if fault.name in world.struck or outcome.code != 0 or world.watch.get("R.sync") is None:
            return
        path = _a_file(world)
        _vouch(world, path, _forge(world, path), newer=how != "same generation")
        if how == "ledger lost":
            world.lose_ledger()
        world.config["remove-source"] = wanted
        world.strike(fault.name)

    with at_end(world, ended):
        yield
    world.config["remove-source"] = wanted


def _vouch(world: World, path: str, etag: str, newer: bool) -> None:
    rows = [json.loads(line) for line in (world.watch.get("R.files.jsonl") or b"").splitlines()]
    for row in rows:
        if row["path"] == path:
            row |= {"etag": etag, "evidence": "read-back"}
    receipt = json.loads(world.watch.get("R.json") or b"")
    receipt["generation"] = int(receipt["generation"]) + newer
    manifest = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    receipt["sha256"]["R.files.jsonl"] = hashlib.sha256(manifest).hexdigest()
    put(world.container, "R.files.jsonl", manifest)
    put(world.container, "R.json", json.dumps(receipt).encode())
    world.truth.note(f"manifest and receipt say that {path} was read back")


def _nested(text: bytes) -> bytes:
    return b'{"a":' * 200_000 + b"1" + b"}" * 200_000


def _huge_numbers(text: bytes) -> bytes:
    return text.replace(b'"size": ', b'"size": 9999999999999999999999').replace(
        b'"generation": ', b'"generation": 9' + b"9" * 5000
    )


def _other_types(text: bytes) -> bytes:
    values = [json.loads(line) for line in text.splitlines()] if text.count(b"\n{") else [json.loads(text)]
    return b"\n".join(
        json.dumps({name: _another(value) for name, value in each.items()}).encode() for each in values
    )


def _another(value: typing.Any) -> typing.Any:
    return {"schema": 1} if isinstance(value, (int, str)) else 1e400


def _long_line(text: bytes) -> bytes:
    return text.rstrip(b"\n") + b" " * (40 * 2**20)


def _no_text(text: bytes) -> bytes:
    return b"\xff\x00\x1b[2J" + text


_HOSTILE = (_huge_numbers, _nested, _other_types, _long_line, _no_text)


@contextlib.contextmanager
def hostile(world: World, fault: Fault) -> Armed:
    """A document of R, which is read as the ledger is lost; a run beside it is published all the same. Somebody brings
    the document back."""
    name = world.instant("R.files.jsonl", "R.json")
    spoil = world.chance.choice(_HOSTILE)
    good = world.watch.get(name) or b""
    bad = spoil(good)
    world.truth.spoilt[name] = put(world.container, name, bad)
    world.truth.note(f"{name} is hostile: {spoil.__name__}")
    world.lose_ledger()
    world.write("OTHER", {"Data/1.bcl": world.noise(500), FLAG: b"done\n"})

    def ended(outcome: Outcome) -> None:
        world.strike(fault.name)

    def beside() -> list[str]:
        there = world.watch.get("OTHER.sync") is not None
        return [] if there else [f"{name} kept another run from being published"]

    world.checks.append(beside)
    with at_end(world, ended):
        yield
    world.checks.remove(beside)
    if world.watch.get(name) == bad:
        put(world.container, name, good)
    del world.truth.spoilt[name]


FAULTS = (
    Fault(
        "a published blob forged before its source is removed",
        before_removal,
        {0, 1},
        WORDS,
        remove=True,
        thorough=True,
        expires=True,
    ),
    Fault(
        "a published blob forged, with manifest and receipt",
        with_documents,
        {0, 1},
        WORDS,
        remove=True,
        thorough=True,
        alone=True,
        expires=True,
        instants=("ledger lost", "newer generation", "same generation"),
    ),
    Fault(
        "a manifest or receipt that is hostile",
        hostile,
        {0, 1},
        "R.json|R.files.jsonl",
        shapes=("growth",),
        alone=True,
        instants=("R.files.jsonl", "R.json"),
    ),
)
