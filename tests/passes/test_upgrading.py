"""docs/upgrading.md: a container that the predecessor filled is taken over; what it carried well is not sent twice."""

from __future__ import annotations

import datetime
import hashlib
import json
import pathlib
import typing

import pytest
from azure.storage.blob import ContainerClient, ContentSettings

from embedded.runs import WrittenRun, write_miseq, write_sample_sheet
from embedded.tools import PROJECT
from sync_to_azure.core.names import CLAIMS_FOLDER
from tests.conftest import config_text

STAMP = b"2025-03-04T05:06:07.891234"


def carried_by_predecessor(
    container: ContainerClient, run: WrittenRun, *, marker: bool = True, without: str = "", wrong: str = ""
) -> None:
    """As its AzCopy left it: every file below runs/RUN with its MD5; when all was well, runs/RUN.sync, an ISO time."""
    for path in sorted(each for each in run.folder.rglob("*") if each.is_file()):
        name = path.relative_to(run.folder).as_posix()
        if name == without:
            continue
        content = b"something else" if name == wrong else path.read_bytes()
        md5 = ContentSettings(content_md5=bytearray(hashlib.md5(content).digest()))
        container.upload_blob(f"runs/{run.name}/{name}", content, content_settings=md5)
    if marker:
        container.upload_blob(f"runs/{run.name}.sync", STAMP)


def etags(container: ContainerClient) -> dict[str, str]:
    """Of all but claims, which are renewed in each pass that sends something."""
    every = container.list_blobs()
    return {str(blob.name): str(blob.etag) for blob in every if CLAIMS_FOLDER not in blob.name}


@pytest.fixture(params=["azcopy", "native"])
def its_config(request: pytest.FixtureRequest, everyday: dict[str, object], tmp_path: pathlib.Path) -> str:
    """The predecessor's own file: no section, its keys, also those that mean nothing any more, its state of JSON."""
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"done": ["a run"]}), encoding="utf-8")
    keys = everyday | {
        "destination": "/runs",
        "state-file": state,
        "pid-file": tmp_path / "azsync.pid",
        "retry-times": 5,
        "timeout": 300,
        "project-glob": "prot[0-9]*",
        "blank-glob": "blank*.raw",
        "min-file-age": 86400,
        "uploader": request.param,
    }
    return config_text(keys)


def test_what_was_carried_well_is_recognised_and_verified(
    run_command: typing.Any,
    its_config: str,
    main_folder: pathlib.Path,
    container: ContainerClient,
    tmp_path: pathlib.Path,
) -> None:
    run = write_miseq(main_folder, files=20, size=200_000)
    carried_by_predecessor(container, run)
    before = etags(container)

    ended = run_command(config=its_config)

    assert ended.returncode == 0, ended.output
    after = etags(container)
    base = f"runs/{run.name}"
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {base + end for end in (".sync", ".json", ".md5", ".files.jsonl")}
    receipt = json.loads(container.download_blob(base + ".json").readall())
    assert receipt["files"] == run.files
    assert receipt["weakest_evidence"] == "read-back", "nobody checked these bytes before us: they are read"
    ours = bytes(container.download_blob(base + ".sync").readall()).decode()
    assert ours.encode() != STAMP and datetime.datetime.fromisoformat(ours.strip())
    written = {blob.name: blob.last_modified for blob in container.list_blobs(base + ".")}
    assert max(written.values()) == written[base + ".sync"]
    # Its state is left alone; each key that means nothing any more is told.
    assert json.loads((tmp_path / "state.json").read_text()) == {"done": ["a run"]}
    for key in ("pid-file", "project-glob", "blank-glob", "min-file-age"):
        assert key in ended.output
    assert run_command(config=its_config).returncode == 0
    assert etags(container) == after


def test_what_it_did_not_finish_is_carried_on(
    run_command: typing.Any, its_config: str, main_folder: pathlib.Path, container: ContainerClient
) -> None:
    """No marker: it was cut off. What is there and right stays, what is missing or wrong is sent."""
    run = write_miseq(main_folder, files=20, size=200_000)
    carried_by_predecessor(container, run, marker=False, without="RunInfo.xml", wrong="runParameters.xml")
    before = etags(container)

    ended = run_command(config=its_config)

    assert ended.returncode == 0, ended.output
    after = etags(container)
    base = f"runs/{run.name}"
    changed = {name for name in after if name.startswith(base + "/") and after[name] != before.get(name)}
    assert changed == {f"{base}/RunInfo.xml", f"{base}/runParameters.xml"}
    assert base + ".sync" in after


def test_its_marker_stays_until_ours_can_be_written(
    run_command: typing.Any, its_config: str, main_folder: pathlib.Path, container: ContainerClient
) -> None:
    """A marker, and a blob that is not what the source holds: a person decides, and nothing is overwritten."""
    run = write_miseq(main_folder, files=20, size=200_000)
    carried_by_predecessor(container, run, wrong="RunInfo.xml")
    before = etags(container)

    ended = run_command(config=its_config)

    assert ended.returncode == 1, ended.output
    assert "1 blobs that another writer published differ from the source" in ended.output
    assert etags(container) == before
    assert container.download_blob(f"runs/{run.name}.sync").readall() == STAMP

    # The administrator moves the wrong blob away: then it is carried, and our marker comes.
    container.delete_blob(f"runs/{run.name}/RunInfo.xml")
    ended = run_command(config=its_config)
    assert ended.returncode == 0, ended.output
    assert container.download_blob(f"runs/{run.name}.sync").readall() != STAMP


def test_a_late_file_is_added(
    run_command: typing.Any, its_config: str, main_folder: pathlib.Path, container: ContainerClient
) -> None:
    """The predecessor looked at top-level times only: what came later below was never carried."""
    run = write_miseq(main_folder, files=20, size=200_000)
    carried_by_predecessor(container, run)
    (run.folder / "InterOp").mkdir(exist_ok=True)
    (run.folder / "InterOp" / "late.bin").write_bytes(b"late")
    before = etags(container)
    ended = run_command(config=its_config)
    assert ended.returncode == 0, ended.output
    after = etags(container)
    assert {name for name in after if "/" in name[5:] and name not in before} == {
        f"runs/{run.name}/InterOp/late.bin"
    }


def test_sheets_stand_where_it_put_them(
    run_command: typing.Any,
    its_config: str,
    main_folder: pathlib.Path,
    container: ContainerClient,
    tmp_path: pathlib.Path,
) -> None:
    """It put the sheet folder's RUN.csv at RUN/SampleSheet.csv, over the instrument's own."""
    sheets = tmp_path / "sheets"
    sheets.mkdir()
    run = write_miseq(main_folder, files=20, size=200_000)
    sheet = write_sample_sheet(sheets, run.name).read_bytes()
    carried_by_predecessor(container, run)
    md5 = ContentSettings(content_md5=bytearray(hashlib.md5(sheet).digest()))
    name = f"runs/{run.name}/SampleSheet.csv"
    container.upload_blob(name, sheet, content_settings=md5, overwrite=True)
    before = etags(container)
    ended = run_command(config=its_config + f"samplesheet-folder = {sheets}\n")
    assert ended.returncode == 0, ended.output
    assert etags(container)[name] == before[name]
    assert container.download_blob(name).readall() == sheet


def test_the_note_names_every_key_that_means_nothing_any_more() -> None:
    note = (PROJECT / "docs" / "upgrading.md").read_text(encoding="utf-8")
    for key in ("pid-file", "project-glob", "blank-glob", "min-file-age", "state-file"):
        assert f"`{key}`" in note
