"""The real commands: a run published by a real pass to a real Azurite is found, with its evidence."""

from __future__ import annotations

import collections.abc
import csv
import json
import pathlib
import typing

import pytest
from azure.storage.blob import ContainerClient

from embedded.runs import write_miseq

Run = collections.abc.Callable[..., typing.Any]


def config_with(everyday: dict[str, object], database: pathlib.Path) -> str:
    from tests.conftest import config_text

    return f"{config_text(everyday)}[catalogue]\ndatabase = {database}\nregion = westeurope\n"


@pytest.fixture
def published(
    run_command: Run, everyday: dict[str, object], main_folder: pathlib.Path, tmp_path: pathlib.Path
) -> str:
    """A config whose destination holds one published run."""
    everyday["destination"] = "lake"
    write_miseq(main_folder)
    ended = run_command(config=everyday)
    assert ended.returncode == 0, ended.output
    return config_with(everyday, tmp_path / "catalogue.sqlite")


def test_a_published_run_is_found_with_its_evidence(
    run_command: Run, published: str, main_folder: pathlib.Path, container: ContainerClient
) -> None:
    [run] = [each.name for each in main_folder.iterdir()]
    dry = run_command("catalogue", "inventory", "--manifests", "--dry-run", "--json", config=published)
    assert dry.returncode == 0, dry.output
    assert json.loads(dry.stdout)["new"] > 0
    assert run_command("catalogue", "search", config=published).returncode == 3, "nothing was made"
    ended = run_command("catalogue", "inventory", "--manifests", "--json", config=published)
    assert ended.returncode == 0, ended.output
    done = json.loads(ended.stdout)
    assert (done["runs"], done["runs_not_vouched_for"], done["poison"]) == (1, 0, 0)
    found = json.loads(run_command("catalogue", "search", "--json", "RunInfo*", config=published).stdout)
    [info] = [each for each in found if each["name"] == f"lake/{run}/RunInfo.xml"]
    assert info["run"] == run and info["evidence"] in ("validated", "read-back")
    [checksum] = info["checksums"]
    assert (checksum["type"], checksum["provenance"]) == ("md5", "proved")
    import hashlib

    content = (main_folder / run / "RunInfo.xml").read_bytes()
    assert checksum["checksum"] == hashlib.md5(content).hexdigest() and info["size"] == len(content)
    again = json.loads(
        run_command("catalogue", "inventory", "--manifests", "--json", config=published).stdout
    )
    assert (again["runs_unchanged"], again["files"]) == (1, 0)

    # A listing adds what the store says, and takes no proof away.
    listed = run_command("catalogue", "inventory", "--json", config=published)
    assert listed.returncode == 0, listed.output
    assert json.loads(listed.stdout)["gone"] == 0
    shown = json.loads(run_command("catalogue", "show", info["id"], "--json", config=published).stdout)
    assert [each["evidence"] for each in shown] == [info["evidence"]] and shown[0]["mime_type"]
    totals = json.loads(run_command("catalogue", "totals", "--json", run, config=published).stdout)
    assert {(each["cloud"], each["region"]) for each in totals} == {("azure", "westeurope")}
    verified = run_command("catalogue", "verify", config=published)
    assert verified.returncode == 0, verified.output

    # Written again by somebody else: what was proved is not true of it.
    container.upload_blob(info["name"], b"other", overwrite=True)
    assert run_command("catalogue", "verify", "--objects", "10000", config=published).returncode == 1
    run_command("catalogue", "inventory", config=published)
    [now] = [
        each
        for each in json.loads(
            run_command("catalogue", "search", "--json", "RunInfo", config=published).stdout
        )
        if each["name"] == info["name"]
    ]
    assert now["evidence"] == "none" and now["id"] == info["id"] and now["version_id"] != info["version_id"]
    assert all(each["provenance"] == "client" for each in now["checksums"])


def test_without_our_key_nothing_counts_as_proved(
    run_command: Run, published: str, account_key_file: pathlib.Path
) -> None:
    for key in account_key_file.parent.glob("*.evidence-key"):
        key.unlink()
    done = json.loads(run_command("catalogue", "inventory", "--manifests", "--json", config=published).stdout)
    assert done["runs_not_vouched_for"] == 1
    found = json.loads(run_command("catalogue", "search", "--json", config=published).stdout)
    assert found and all(each["evidence"] == "listed" for each in found)
    assert {sum_["provenance"] for each in found for sum_ in each["checksums"]} == {"client"}


def test_a_folder_from_beginning_to_end(run_command: Run, tmp_path: pathlib.Path) -> None:
    store, database = tmp_path / "store", tmp_path / "c.sqlite"
    (store / "a").mkdir(parents=True)
    for number in range(30):
        (store / "a" / f"S{number}_L001.txt").write_text(str(number))
    options = ("--database", database)
    assert run_command("catalogue", "init", *options).returncode == 0
    assert run_command("catalogue", "inventory", store, *options).returncode == 0
    table = run_command("catalogue", "search", "s7", *options)
    assert "a/S7_L001.txt" in table.stdout and "1 found" in table.stderr
    (store / "a" / "S7_L001.txt").unlink()
    assert run_command("catalogue", "inventory", store, *options).returncode == 0
    assert json.loads(run_command("catalogue", "search", "--json", "s7", *options).stdout) == []
    [gone] = json.loads(run_command("catalogue", "search", "--json", "s7", "--deleted", *options).stdout)
    assert gone["deleted"] and gone["deleted_by"] == "inventory 2"
    for path in (store / "a").iterdir():
        path.unlink()
    held = run_command("catalogue", "inventory", store, *options, "--json")
    assert held.returncode == 1 and json.loads(held.stdout)["held"] == 29
    digest = json.loads(held.stdout)["digest"]
    assert run_command("catalogue", "status", *options).returncode == 1
    assert (
        run_command("catalogue", "inventory", store, *options, "--accept-deletions", digest).returncode == 0
    )
    assert json.loads(run_command("catalogue", "search", "--json", *options).stdout) == []
    assert run_command("catalogue", "clean", *options).returncode == 0
    assert len(json.loads(run_command("catalogue", "search", "--json", "--deleted", *options).stdout)) == 30
    assert run_command("catalogue", "clean", "--yes", *options).returncode == 0
    assert json.loads(run_command("catalogue", "search", "--json", "--deleted", *options).stdout) == []


def test_export(run_command: Run, tmp_path: pathlib.Path) -> None:
    import pyarrow.parquet

    store, options = tmp_path / "store", ("--database", tmp_path / "c.sqlite")
    store.mkdir()
    # A store in a folder escapes what is no part of a file's name.
    (store / 'odd "name", with, commas%0A.txt').write_text("x")
    (store / "=1+1.txt").write_text("xy")
    run_command("catalogue", "inventory", store, *options)
    assert run_command("catalogue", "export", *options, "--output", tmp_path / "f.csv").returncode == 0
    with open(tmp_path / "f.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["name"]: row["size"] for row in rows} == {
        'odd "name", with, commas\n.txt': "1",
        "=1+1.txt": "2",
    }
    parquet = ("--format", "parquet", "--output", tmp_path / "f.parquet")
    assert run_command("catalogue", "export", *options, *parquet).returncode == 0
    table = pyarrow.parquet.read_table(tmp_path / "f.parquet")
    assert sorted(table["size"].to_pylist()) == [1, 2] and table.column_names == list(rows[0])
    failed = run_command("catalogue", "export", *options, "--output", tmp_path / "no" / "f.csv")
    assert failed.returncode == 3 and "Traceback" not in failed.output


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("search", "*ab*"), 2),
        (("search", "///"), 2),
        (("search", "--since", "yesterday", "x"), 2),
        (("search", "--evidence", "sworn", "x"), 2),
        (("show", "no-such-id"), 1),
        (("separate", "7"), 2),
        (("merge", "x", "y"), 2),
        (("inventory",), 2),
        (("inventory", "--manifests", "x"), 2),
        (("inventory", "s3://bucket"), 2),
        (("inventory", "nowhere"), 3),
        (("export", "--format", "parquet", "--output", "-"), 2),
        (("nothing",), 2),
    ],
)
def test_what_is_wrong_has_a_code_and_a_message(
    run_command: Run, tmp_path: pathlib.Path, words: tuple[str, ...], code: int
) -> None:
    run_command("catalogue", "init", "--database", tmp_path / "c.sqlite")
    environment = {"SYNC_TO_AZURE_CATALOGUE_DATABASE": str(tmp_path / "c.sqlite")}
    ended = run_command("catalogue", *words, environment=environment)
    assert ended.returncode == code, ended.output
    assert ended.stderr.strip() and "Traceback" not in ended.output


def test_options_of_a_pass_before_it_are_refused(run_command: Run) -> None:
    ended = run_command("--dry-run", "catalogue", "status")
    assert ended.returncode == 2 and "--dry-run" in ended.stderr


def test_a_password_is_never_shown(run_command: Run) -> None:
    ended = run_command("catalogue", "search", "x", "--database", "postgresql://u:hunter2@127.0.0.1:1/d")
    assert ended.returncode == 3 and "hunter2" not in ended.output
