"""What an audit found is seen wherever a person asks how a run stands, counts before a source goes, and is solved by
the pass that proves the run anew."""

from __future__ import annotations

import re
import json
import pathlib
import typing

import pytest

from embedded.azurite import Azurite
from tests.transfer.commands.test_audit import flip_on_disk
from tests.passes.scene import Scene

CONTENT = b"a content that nobody else has"


@pytest.fixture
def native(scene: Scene) -> Scene:
    scene.config["uploader"] = "native"
    return scene


def standing(scene: Scene, run: str = "R") -> str:
    document = json.loads(scene.run("status", "--json").stdout)
    return str({each["run"]: each["status"] for each in document["runs"]}[run])


def test_a_run_that_is_damaged_in_the_lake_is_not_safe_until_it_is_healed(
    native: Scene, tmp_path: pathlib.Path
) -> None:
    native.config |= {"metrics-file": tmp_path / "flow.prom"}
    native.make_run("R")
    native.make_run("S")
    native.run()
    native.run("audit")
    [well] = [
        each for each in json.loads(native.run("status", "--json").stdout)["runs"] if each["run"] == "R"
    ]
    assert (
        well["audit"]["outcome"] == "well" and well["audit"]["listed"] and well["audit"]["read_back"] is None
    )
    assert well["audit"]["found"] == {} and well["audit"]["text"] is None
    assert "Nothing that an audit found is wrong with it now." in native.run("explain", "R").stdout
    assert native.run("status", "--problems").stdout == "No run needs attention, and none is being retried.\n"
    assert native.run("status").stdout.startswith("All 2 runs are safe.")
    native.container.delete_blob("R/RunInfo.xml")
    native.container.delete_blob("R.md5")
    native.run("audit", expect=1)

    said = native.run("status").stdout
    assert said.startswith("1 safe, 1 needs attention (R). See: sync_to_azure explain R")
    assert "1 document (manifest, receipt, marker) missing or changed, 1 blob missing" in said
    first = native.run("status", "R").stdout.splitlines()[0]
    assert first.startswith("R is not as it was published, an audit found (") and "1 blob missing" in first
    assert "S" not in native.run("status", "--problems").stdout.split("\n\n")[1].split()
    document = json.loads(native.run("status", "--json", "--problems").stdout)
    assert document["counts"]["needs-attention"] == 1
    [bad] = document["runs"]
    assert bad["run"] == "R" and bad["state"] == "published" and bad["status"] == "needs-attention"
    assert bad["audit"]["outcome"] == "wrong" and bad["audit"]["found"] == {"documents": 1, "missing": 1}
    assert bad["evidence"] == "none" and well["evidence"] == "validated"
    assert bad["since"] == bad["audit"]["wrong_since"] and "--thorough --only-run R" in bad["audit"]["advice"]
    explained = native.run("explain", "R").stdout
    assert "It is not as it was published, an audit found (" in explained
    assert "RunInfo.xml is missing" in explained and "R.md5 is missing" in explained
    assert "needs attention: published (the destination no longer holds what was published)" in explained
    assert (
        "What to do: if its source is still there, a pass with --thorough --only-run R uploads it again"
        in explained
    )
    native.run("report", "--output", tmp_path / "pages")
    page = (tmp_path / "pages" / "index.html").read_text(encoding="utf-8")
    assert "not as it was published" in page and "--thorough --only-run R" in page
    native.run()
    metrics = (tmp_path / "flow.prom").read_text(encoding="utf-8")
    assert re.search(
        r'^sync_to_azure_runs_by_status\{[^}]*status="needs-attention"[^}]*\} 1(\.0)?$', metrics, re.MULTILINE
    )
    assert standing(native) == "needs-attention", "a pass that does not look at it solves nothing"

    assert "would be uploaded: 1 files" in native.run("--thorough", "--dry-run", "--only-run", "R").output
    said = native.run("--thorough", "--only-run", "R").output
    assert "R: what an audit found is solved" in said
    history = native.run("explain", "R").stdout.partition("History")[2]
    assert "audit: not as it was published (1 documents, 1 missing)" in history
    assert "audit: earlier findings are resolved" in history
    assert native.run("status").stdout.startswith("All 2 runs are safe.")
    assert "1 well" in native.run("audit", "--run", "R").stdout
    assert ", audited 20" in native.run("status", "R").stdout.splitlines()[0]


def test_what_an_audit_found_is_no_look_that_spares_another(native: Scene) -> None:
    native.config["reverify-after"] = 30
    native.make_run("R")
    native.run()
    native.sql(
        "UPDATE run SET verified_at = verified_at - 31 * 86400, published_at = published_at - 31 * 86400"
    )
    native.container.delete_blob("R/RunInfo.xml")
    native.run("audit", expect=1)
    assert "R: what an audit found is solved" in native.run().output
    assert standing(native) == "safe"


def test_a_word_of_a_person_counts_more_and_says_what_was_found(native: Scene) -> None:
    native.make_run("R")
    native.run()
    native.container.delete_blob("R/RunInfo.xml")
    native.run("audit", expect=1)
    native.run("hold", "R", "--reason", "asked IT")
    assert standing(native) == "held"
    assert "asked IT; not as it was published" in native.run("status").stdout


def test_what_only_the_lake_knows_is_told_too(native: Scene, tmp_path: pathlib.Path) -> None:
    native.make_run("R")
    native.run()
    native.lose_ledger()
    native.container.delete_blob("R/RunInfo.xml")
    native.run("audit", expect=1)
    assert "R, known only at the destination: not as it was published" in native.run("status").stdout
    document = json.loads(native.run("status", "--json").stdout)
    assert [each["run"] for each in document["remote_only_problems"]] == ["R"]
    assert "RunInfo.xml is missing" in native.run("explain", "R").stdout
    native.run("report", "--output", tmp_path / "pages")
    assert "R, known only at the destination: not as" in (tmp_path / "pages" / "index.html").read_text(
        "utf-8"
    )


@pytest.fixture
def rotten(native: Scene, tmp_path: pathlib.Path) -> typing.Iterator[Scene]:
    """A published run with a blob whose bytes are other ones, under the MD5 and the ETag that it was published with;
    an audit has found it."""
    native.make_run("R", {"rotten": CONTENT})
    with Azurite(tmp_path / "azurite") as server, server.create_container("rotten") as container:
        native.container = container
        native.config |= {"blob-endpoint": server.endpoint, "container-name": "rotten"}
        yield native


def spoil(scene: Scene, folder: pathlib.Path) -> None:
    flip_on_disk(folder / "azurite", CONTENT)
    assert "under the right MD5: rotten" in scene.run("audit", "--read-back", expect=1).output
    assert standing(scene) == "needs-attention"
    assert "1 blob with other bytes than were published" in scene.run("status", "R").stdout


def test_the_source_does_not_go_for_a_blob_that_an_audit_found_wrong(
    rotten: Scene, tmp_path: pathlib.Path
) -> None:
    """The evidence of the upload stands under the ETag; by that alone the only good copy would be removed."""
    rotten.run()
    spoil(rotten, tmp_path)
    rotten.config["remove-source"] = "yes"
    rotten.run(expect=1)
    assert rotten.get("R/rotten") == CONTENT, "the source was read again, and healed it"
    rotten.run()
    assert not (rotten.main / "R").exists() and rotten.get("R/rotten") == CONTENT


@pytest.mark.parametrize("verify", ["validated", "read-back"])
@pytest.mark.parametrize("asked_anew", [False, True])
def test_what_reading_back_found_is_solved_by_proving_that_blob_anew(
    rotten: Scene, tmp_path: pathlib.Path, verify: str, asked_anew: bool
) -> None:
    """Also where it had been read back once, and where the manifest, which says so, is read anew."""
    rotten.config["verify"] = verify
    rotten.run()
    spoil(rotten, tmp_path)
    if asked_anew:
        rotten.sql("UPDATE run SET remote_state_current = 0")
    rotten.run("--thorough", "--verify", "listed")
    assert (
        rotten.get("R/rotten") != CONTENT and standing(rotten) == "needs-attention"
    ), "a listing cannot see it"
    rotten.run("--thorough")
    assert rotten.get("R/rotten") == CONTENT and standing(rotten) == "safe"
    assert "0 wrong" in rotten.run("audit", "--read-back").stdout


def test_what_was_found_before_it_was_counted(native: Scene) -> None:
    """A ledger of the version before this one."""
    native.make_run("R")
    native.run()
    native.container.delete_blob("R/RunInfo.xml")
    native.run("audit", expect=1)
    native.sql("ALTER TABLE audit DROP COLUMN found")
    native.sql("ALTER TABLE audit DROP COLUMN wrong_since")
    native.sql("DELETE FROM migration WHERE name = '0007_audit_found'")
    native.run()
    assert "1 blob missing" in native.run("status", "R").stdout
