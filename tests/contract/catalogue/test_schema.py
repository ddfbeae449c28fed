"""Opening: made, opened again, refused."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import threading

import pytest

from embedded.postgresql import Postgresql
from sync_to_azure.catalogue.db.opening import open_catalogue
from sync_to_azure.catalogue.db.port import Catalogue
from sync_to_azure.catalogue.db.postgresql import PostgresqlCatalogue
from sync_to_azure.catalogue.db.sqlite import SqliteCatalogue
from sync_to_azure.core.errors import ConfigurationError, StateUnavailable
from tests.contract.catalogue.shelf import Shelf, put

STORE = "https://lake.blob.core.windows.net/runs"


def test_what_is_not_there_is_only_made_where_asked_for(address: str) -> None:
    with pytest.raises(StateUnavailable, match="there is no catalogue at"):
        open_catalogue(address)
    open_catalogue(address, create=True).close()
    open_catalogue(address).close()


def test_what_was_written_is_there_for_the_next(address: str) -> None:
    with contextlib.closing(open_catalogue(address, create=True)) as first:
        Shelf(first, STORE).apply(put("a"))
        with contextlib.closing(open_catalogue(address)) as second:
            assert Shelf(second, STORE).names() == {"a"}


def test_a_newer_schema_is_refused(address: str, catalogue: Catalogue) -> None:
    assert isinstance(catalogue, (SqliteCatalogue, PostgresqlCatalogue))
    with catalogue.transaction():
        catalogue.do("INSERT INTO catalogue_migration VALUES ('0099_tomorrow', 0)")
    with pytest.raises(StateUnavailable, match=r"newer version of sync_to_azure \(0099_tomorrow\)"):
        open_catalogue(address)


def test_many_open_it_at_once(address: str) -> None:
    failed: list[Exception] = []

    def opened() -> None:
        try:
            with contextlib.closing(open_catalogue(address, create=True)) as one:
                Shelf(one, STORE).apply(put("a"))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=opened) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with contextlib.closing(open_catalogue(address)) as one:
        assert len(Shelf(one, STORE).found()) == 1


def test_a_database_of_another_program_is_left_alone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "other.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE migration (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(StateUnavailable, match="database of another program"):
        open_catalogue(str(path), create=True)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x").write_bytes(b"no database at all, " * 100)
    with pytest.raises(StateUnavailable, match="cannot be used"):
        open_catalogue(str(tmp_path / "x"), create=True)


def test_only_its_owner_reads_a_new_file(tmp_path: pathlib.Path) -> None:
    open_catalogue(str(tmp_path / "c.sqlite"), create=True).close()
    assert (tmp_path / "c.sqlite").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("other", ["mysql://user:hunter2@host/db", "https://host/db"])
def test_an_address_that_is_none(other: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_catalogue(other)
    assert "hunter2" not in str(caught.value)


def test_a_server_that_does_not_answer() -> None:
    with pytest.raises(StateUnavailable) as caught:
        open_catalogue("postgresql://user:hunter2@127.0.0.1:1/db")
    assert "hunter2" not in str(caught.value) and "127.0.0.1" in str(caught.value)


def test_a_user_who_may_not_log_in(postgresql: Postgresql) -> None:
    with pytest.raises(StateUnavailable, match="nobody"):
        open_catalogue(postgresql.address(user="nobody"))


def test_a_database_that_is_not_there(postgresql: Postgresql) -> None:
    with pytest.raises(StateUnavailable, match="nowhere"):
        open_catalogue(postgresql.address("nowhere"), create=True)
