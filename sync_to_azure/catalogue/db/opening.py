"""The one place that knows which databases there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sync_to_azure.core.errors import ConfigurationError

if TYPE_CHECKING:
    from sync_to_azure.catalogue.db.port import Catalogue

POSTGRESQL = ("postgresql://", "postgres://")


def open_catalogue(database: str, create: bool = False) -> "Catalogue":
    """``database``: the path of a file, or postgresql://USER@HOST/DATABASE. With ``create`` it is made where there is
    none. Raises ConfigurationError, StateUnavailable."""
    if database.startswith(POSTGRESQL):
        from sync_to_azure.catalogue.db.postgresql import PostgresqlCatalogue

        return PostgresqlCatalogue(database, create)
    if "://" in database:
        raise ConfigurationError(
            f"database {database.partition('://')[0]}://… is neither a file nor postgresql://",
            "name a file, or postgresql://USER@HOST/DATABASE",
        )
    from sync_to_azure.catalogue.db.sqlite import SqliteCatalogue

    return SqliteCatalogue(Path(database), create)
