"""The harness can fail: what breaks an invariant, done by hand, is found."""

from __future__ import annotations

import collections.abc
import contextlib
import hashlib
import json
import pathlib

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from tests.faults import clocks, faults, invariants, links, plans, rivals, sheets, trial
from tests.faults.fault import acting
from tests.faults.faults import TABLE
from tests.faults.storage import digest_of, forge, put
from tests.faults.world import Plan, World
from tests.line import DRIP, Request
from tests.warm_start import WarmServer


@pytest.fixture
def world(
    azurite: Azurite, container: ContainerClient, tmp_path: pathlib.Path, starts: WarmServer | None
) -> collections.abc.Iterator[World]:
    plan = Plan("by hand", (), "native", "small", False)
    with World(plan, tmp_path / "w", azurite, container, starts) as made:
        yield made


@pytest.fixture
def published(world: World) -> World:
    outcome = world.run()
    assert outcome.code == 0, outcome.output
    assert all_problems(world) == []
    return world


def all_problems(world: World) -> list[str]:
    claimed = invariants.nothing_claimed(world, "by hand")
    return claimed + invariants.nothing_lost(world) + invariants.not_right_yet(world)


def test_a_file_destroyed_before_it_was_carried(world: World) -> None:
    (world.disk / "R" / "RunInfo.xml").unlink()
    assert invariants.nothing_lost(world) == [
        f"lost: R/RunInfo.xml with MD5 {world.truth.now['R']['RunInfo.xml']}"
    ]


def test_a_source_gone_and_a_blob_with_other_bytes(published: World) -> None:
    (published.disk / "R" / "RunInfo.xml").unlink()
    assert invariants.nothing_lost(published) == []
    put(published.container, "R/RunInfo.xml", b"other")
    [lost] = invariants.nothing_lost(published)
    assert lost.startswith("lost: R/RunInfo.xml")


def test_a_marker_over_a_missing_blob(published: World) -> None:
    published.container.delete_blob("R/RunInfo.xml")
    assert any("R.md5 stands, and R/RunInfo.xml is not there" in each for each in all_problems(published))


def test_bytes_that_are_not_those_of_their_listed_md5(published: World) -> None:
    """As a block list makes it: the listing shows the right MD5."""
    from azure.storage.blob import BlobBlock, ContentSettings

    right = published.watch.get("R/RunInfo.xml") or b""
    blob = published.container.get_blob_client("R/RunInfo.xml")
    blob.stage_block("AAAA", b"x" * len(right))
    md5 = bytearray(hashlib.md5(right).digest())
    blob.commit_block_list([BlobBlock("AAAA")], content_settings=ContentSettings(content_md5=md5))
    assert any("R/RunInfo.xml is" in each for each in invariants.nothing_claimed(published, "by hand"))


@pytest.mark.parametrize("document", ["R.md5", "R.files.jsonl", "R.json", "R.sync"])
def test_a_document_that_passes_too_early(published: World, document: str) -> None:
    """Sent through the line as the command would send it, with a blob missing."""
    content = published.watch.get(document) or b""
    published.container.delete_blob("R/Data/L001/0.bcl")
    through = ContainerClient(
        published.line.endpoint, str(published.container.container_name), credential=Azurite.key
    )
    with through:
        through.upload_blob(document, content, overwrite=True)
    assert any(
        f"{document} passes, and R/Data/L001/0.bcl is not there" in each
        for each in published.watch.violations
    )


def test_a_published_file_written_over_through_the_line(published: World) -> None:
    invariants.nothing_claimed(published, "first")
    with ContainerClient(
        published.line.endpoint, str(published.container.container_name), credential=Azurite.key
    ) as through:
        through.upload_blob("R/RunInfo.xml", b"what the source has become", overwrite=True)
    assert any("R/RunInfo.xml is written anew" in each for each in published.watch.violations)


def test_a_document_that_was_damaged_on_its_way_is_no_claim(published: World) -> None:
    """The storage refuses it by the MD5 that was sent with it."""
    content = published.watch.get("R.files.jsonl") or b""

    def flip(request: Request) -> None:
        if request.blob == "R.files.jsonl":
            request.body = request.body.replace(b"Data/L001/0.bcl", b"Data+L001/0.bcl")

    published.acts.append(flip)
    with ContainerClient(
        published.line.endpoint, str(published.container.container_name), credential=Azurite.key
    ) as through:
        with pytest.raises(HttpResponseError):
            through.upload_blob("R.files.jsonl", content, overwrite=True, validate_content=True)
    assert published.watch.violations == []


def test_a_receipt_for_another_manifest(published: World) -> None:
    receipt = json.loads(published.watch.get("R.json") or b"")
    receipt["sha256"]["R.md5"] = "0" * 64
    put(published.container, "R.json", json.dumps(receipt).encode())
    assert "R: the receipt's checksum of R.md5 is wrong" in invariants.not_right_yet(published)


@pytest.mark.parametrize(
    "spoil, problem",
    [
        (lambda world: world.container.delete_blob("OTHER.sync"), "OTHER is not published"),
        (lambda world: world.write("R", {"late.txt": b"late"}), "the manifest has late.txt as None"),
        (lambda world: (world.folder / "state" / "ledger.sqlite").unlink(), "the ledger says nothing"),
        (lambda world: (world.disk / ".sync_to_azure-removing-R").mkdir(), "is left in the main folder"),
        (
            lambda world: (world.folder / "plans" / "jobs" / "j" / "plans").mkdir(parents=True),
            "plans of j are left",
        ),
    ],
)
def test_an_end_that_is_not_right(
    published: World, spoil: collections.abc.Callable[[World], object], problem: str
) -> None:
    spoil(published)
    assert any(problem in each for each in invariants.not_right_yet(published))


def test_what_the_harness_destroys_is_owed_no_more(world: World) -> None:
    def emptied(path: pathlib.Path) -> bytes:
        path.write_bytes(b"")
        return b""

    world.alter("R", "RunInfo.xml", emptied)
    assert invariants.nothing_lost(world) == []


def test_what_was_published_is_owed_whatever_the_harness_does(published: World) -> None:
    def emptied(path: pathlib.Path) -> bytes:
        path.write_bytes(b"")
        return b""

    published.alter("R", "RunInfo.xml", emptied)
    assert invariants.nothing_lost(published) == []
    published.container.delete_blob("R/RunInfo.xml")
    assert len(invariants.nothing_lost(published)) == 1


def test_a_canary_in_a_blob(published: World) -> None:
    canary = links.Canary(published)
    secret = canary.stand_for(published.disk / "R", "RunInfo.xml")
    assert canary.leaks() == [] and canary.damage() == []
    put(published.container, "R/RunInfo.xml", b"first " + secret.read_bytes())
    assert canary.leaks() == ["blob R/RunInfo.xml holds a file from outside of the run"]
    secret.unlink()
    assert canary.damage() == [f"{secret} outside of the run is gone or another"]


def test_a_check_of_a_fault_is_looked_at_after_each_pass(world: World) -> None:
    world.checks.append(lambda: ["what must hold"])
    looked = trial.Trial(world)
    looked._pass()
    assert looked.violations == ["after pass 1: what must hold"]


def test_what_was_moved_out_of_the_main_folder_is_not_lost(world: World) -> None:
    (world.away / "R").mkdir(parents=True)
    (world.disk / "R" / "RunInfo.xml").rename(world.away / "R" / "RunInfo.xml")
    assert invariants.nothing_lost(world) == []


def of_shape(
    shape: str, azurite: Azurite, container: ContainerClient, folder: pathlib.Path
) -> contextlib.AbstractContextManager[World]:
    return World(Plan("by hand", (), "native", shape, False), folder / "w", azurite, container)


def test_a_sheet_that_is_none_below_a_marker(
    azurite: Azurite, container: ContainerClient, tmp_path: pathlib.Path
) -> None:
    """A snapshot of the one before it is enough that it is not lost."""
    with of_shape("sheet", azurite, container, tmp_path) as world:
        seen = sheets.Sheets(world)
        assert world.run().code == 0
        assert seen.kept() == seen.true() == []
        blob = container.get_blob_client("R/SampleSheet.csv")
        blob.create_snapshot()
        put(container, "R/SampleSheet.csv", b"\x00encrypted")
        assert seen.kept() == [] and len(seen.true()) == 1
        put(container, "OTHER/SampleSheet.csv", b"\x00encrypted")
        [lost] = seen.kept()
        assert lost.startswith("lost: sheet") and lost.endswith("of OTHER")


def test_a_rival_s_run_that_is_lost_or_mixed_with_ours(published: World) -> None:
    rival = rivals.Rival(published)
    assert rival.lost() == rival.mixed() == [] and not rival.has_won
    assert rival.run() == 1, "it is ours"
    assert rival.lost() == rival.mixed() == []
    theirs = rival.main / "R" / "own.txt"
    content = theirs.read_bytes()
    theirs.unlink()
    assert rival.lost() == ["lost: own.txt of the rival's R"]
    rows = (published.watch.get("R.files.jsonl") or b"").splitlines()
    row = json.loads(rows[0]) | {"path": "own.txt", "md5": hashlib.md5(content).hexdigest()}
    put(published.container, "R.files.jsonl", b"\n".join([*rows, json.dumps(row).encode()]))
    assert rival.mixed() == ["our R is published with the rival's ['own.txt']"]


def test_a_run_with_another_name_as_its_own_is_another_flow_s(world: World) -> None:
    world.rename("R", "R-2")
    assert world.runs == ["OTHER", "R-2"] and invariants.nothing_lost(world) == []
    assert world.run().code == 0
    assert all_problems(world) == []


def test_a_source_removed_while_clocks_are_wrong(world: World) -> None:
    check = clocks.stays(world)
    assert check() == []
    (world.disk / "R").rename(world.disk / ".sync_to_azure-removing-R")
    assert check() == []
    (world.disk / "OTHER").rename(world.folder / "gone")
    assert check() == ["OTHER was removed while clocks are wrong"]


def test_an_answer_that_drips(published: World) -> None:
    published.line.drip = 0.001
    with (
        acting(published, lambda request: DRIP),
        ContainerClient(
            published.line.endpoint, str(published.container.container_name), credential=Azurite.key
        ) as through,
    ):
        assert through.download_blob("R.sync").readall() == published.watch.get("R.sync")


def test_a_late_file_is_found_by_an_hour(published: World) -> None:
    published.write("R", {"Data/L001/late.bcl": b"late"})
    published.an_hour_passes()
    assert published.run().code == 0
    assert all_problems(published) == []


def test_a_forged_blob_is_listed_with_the_right_md5(published: World) -> None:
    right = published.watch.get("R/RunInfo.xml") or b""
    forge(published.container, "R/RunInfo.xml", b"x" * len(right), hashlib.md5(right).digest())
    assert digest_of(published.container, "R/RunInfo.xml") == hashlib.md5(right).digest()
    assert any("R/RunInfo.xml is" in each for each in invariants.nothing_claimed(published, "by hand"))


def test_classes() -> None:
    assert faults.of(()) == TABLE and faults.of(("link",)) == links.FAULTS
    chosen = faults.of(("link", "other-writer"))
    for number in range(90):
        plan = plans.plan(1, number, classes=("link", "other-writer"))
        assert any(faults.BY_NAME[name] in chosen for name in plan.faults), plan


def test_the_table() -> None:
    assert len({fault.name for fault in TABLE}) == len(TABLE) >= 30
    assert plans.plan(3, 17) == plans.plan(3, 17) != plans.plan(4, 17)
    pairs = [plans.plan(1, number) for number in range(200, 300)]
    assert {len(each.faults) for each in pairs} == {1, 2} and {each.uploader for each in pairs} == {
        "native",
        "azcopy",
    }
