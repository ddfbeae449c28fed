"""What the fault matrix found, or what was found on the way to it: each with the test that now holds it."""

from __future__ import annotations

import collections.abc
import pathlib
import signal

import pytest
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from tests.faults import invariants
from tests.faults.fault import acting, is_document
from tests.faults.world import Plan, World
from tests.line import CUT, Answer, Request
from tests.warm_start import WarmServer

DOCUMENTS = ("R.md5", "R.files.jsonl", "R.json", "R.sync")
KILLED = -signal.SIGKILL


@pytest.fixture
def world(
    azurite: Azurite, container: ContainerClient, tmp_path: pathlib.Path, starts: WarmServer | None
) -> collections.abc.Iterator[World]:
    with World(
        Plan("finds", (), "native", "small", False), tmp_path / "w", azurite, container, starts
    ) as made:
        yield made


def run_until(world: World, *blobs: str) -> int:
    """A pass that is killed before it writes the first of these; its exit code."""

    def act(request: Request) -> str | None:
        if is_document(request) and request.blob in blobs:
            world.kill(signal.SIGKILL)
            return CUT
        return None

    with acting(world, act):
        return world.run().code


def other_content(path: pathlib.Path) -> bytes:
    path.write_bytes(b"the instrument wrote it anew, and it is another file now")
    return path.read_bytes()


def holds(world: World) -> None:
    assert invariants.nothing_claimed(world, "now") == []
    assert invariants.nothing_lost(world) == []


@pytest.mark.parametrize("document", ["R.json", "R.sync"])
def test_a_file_that_changes_when_a_publishing_was_cut_off(world: World, document: str) -> None:
    """A receipt without its marker is a claim as well: what it vouches for may not be written over."""
    assert run_until(world, document) == KILLED
    world.alter("R", "Data/L001/0.bcl", other_content)
    run_until(world, *DOCUMENTS)
    holds(world)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_new_file_that_changes_when_a_second_publishing_was_cut_off(world: World, document: str) -> None:
    """The marker of the first publishing stands all the time, and the manifest of the second may stand already."""
    assert world.run().code == 0
    world.write("R", {"late.txt": b"late", "later.txt": b"later"})
    assert run_until(world, document) == KILLED
    world.alter("R", "late.txt", other_content)
    run_until(world, *DOCUMENTS)
    holds(world)


@pytest.mark.parametrize("field", ["path", "md5", "size", "mtime", "evidence", "etag"])
def test_a_bit_flipped_in_the_manifest_that_is_read_back(world: World, field: str) -> None:
    """The ledger is lost, so the published manifest is read; on its way one bit of it flips, and it is JSON still."""
    assert world.run().code == 0
    world.lose_ledger()
    world.write("R", {"late.txt": b"late"})
    flipped: list[int] = []

    def change(request: Request, content: bytes) -> bytes:
        if request.method != "GET" or request.blob != "R.files.jsonl" or flipped:
            return content
        at = content.index(f'"{field}": '.encode()) + len(field) + 6
        flipped.append(at)
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    world.changes.append(change)
    world.run()
    world.changes.clear()
    assert flipped
    for _ in range(3):
        last = world.run()
    assert last.code == 0, last.output
    holds(world)
    assert invariants.not_right_yet(world) == [], invariants.told(world)


def test_a_bit_flipped_in_an_answer_is_no_fault_of_the_configuration(world: World) -> None:
    """Well-formed still, and a number no more: the library ends with an error that is a ValueError, as it does for a
    malformed key."""
    assert world.run().code == 0
    world.write("R", {"late.txt": b"late"})
    flipped: list[int] = []

    def change(request: Request, content: bytes) -> bytes:
        if request.kind != "GET list" or b"maxresults=1&" not in request.path.encode() + b"&":
            return content
        flipped.append(1)
        return content.replace(b"<Content-Length>", b"<Content-Length>x")

    world.changes.append(change)
    outcome = world.run()
    world.changes.clear()
    assert flipped and outcome.code == 3, outcome.output
    assert "answers with what cannot be read" in outcome.output and "malformed" not in outcome.output
    assert world.run().code == 0
    holds(world)


def test_trouble_with_the_storage_when_a_published_run_was_to_be_removed(world: World) -> None:
    """It stayed at the source for ever, and every pass said that it was not carried "in this pass"."""
    world.config["remove-source"] = "true"

    def act(request: Request) -> Answer | None:
        removal = request.method == "HEAD" and request.blob == "R.sync"
        return Answer(403, "AuthenticationFailed") if removal else None

    with acting(world, act):
        assert world.run().code == 3
    assert (world.disk / "R").exists()
    outcome = world.run()
    assert outcome.code == 0 and "not uploaded" not in outcome.output, outcome.output
    assert not (world.disk / "R").exists()


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"<Name>R/", b"<Name>\xd2/"),
        (b"<Content-Length>", b"<Content-Length>x"),
        (b"==</Content-MD5>", b"=\xbd</Content-MD5>"),
        (b"==</Content-MD5>", b"=</Content-MD5>"),
        (b"</Blob>", b"</Blub>"),
    ],
)
def test_a_listing_that_was_damaged_on_its_way(world: World, was: bytes, becomes: bytes) -> None:
    """It was told as malformed credentials, with exit code 2, for which nobody tries again."""
    damaged: list[int] = []

    def change(request: Request, content: bytes) -> bytes:
        # The last listing of a pass: what was sent stands in it.
        if request.kind != "GET list" or "prefix=R/" not in request.path or was not in content:
            return content
        damaged.append(1)
        return content.replace(was, becomes, 1)

    world.changes.append(change)
    outcome = world.run()
    world.changes.clear()
    assert damaged and outcome.code in (1, 3) and "malformed" not in outcome.output, outcome.output
    assert "cannot be read" in outcome.output or "cannot be reached" in outcome.output, outcome.output
    holds(world)
    assert world.run().code == 0
    assert invariants.not_right_yet(world) == []


def test_what_cannot_be_carried_does_not_hide_a_change(world: World) -> None:
    """An intruder who encrypts a published run, and leaves a note and a link in it."""
    assert world.run().code == 0
    world.write("R", {"pay.txt": b"pay"})
    world.alter("R", "RunInfo.xml", other_content)
    (world.disk / "R" / "link").symlink_to("/etc/hostname")
    outcome = world.run()
    assert outcome.code == 1 and "the good copy was kept: RunInfo.xml" in outcome.output, outcome.output
    holds(world)


def test_a_lease_does_not_hide_a_change(world: World) -> None:
    """As before, and a new file that cannot be sent."""
    assert world.run().code == 0
    world.write("R", {"pay.txt": b"pay"})
    world.alter("R", "RunInfo.xml", other_content)

    def act(request: Request) -> Answer | None:
        return Answer(412, "LeaseIdMissing") if request.writes and request.blob == "R/pay.txt" else None

    with acting(world, act):
        outcome = world.run()
    assert outcome.code == 1 and "R/pay.txt: the service refuses for good" in outcome.output, outcome.output
    assert "the good copy was kept: RunInfo.xml" in outcome.output, outcome.output
    holds(world)
    outcome = world.run()
    assert outcome.code == 1 and "the good copy was kept: RunInfo.xml" in outcome.output, outcome.output
    holds(world)
