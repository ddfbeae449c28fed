"""Options of the catalogue, and how they are read: the section ``[catalogue]``, SYNC_TO_AZURE_CATALOGUE_*."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.settings.components import CATALOGUE, PASS
from sync_to_azure.settings.merge import Merge
from sync_to_azure.settings.options import BY_KEY
from sync_to_azure.settings.state import state_folder

_FILE = "catalogue.sqlite"


@dataclasses.dataclass(frozen=True, slots=True)
class CatalogueSettings:
    """``database``: an absolute path, or a postgresql:// address."""

    database: str = dataclasses.field(repr=False)
    region: str
    warnings: tuple[str, ...] = ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that no message may hold."""
        if "://" not in self.database:
            return ()
        password = urlsplit(self.database).password
        return tuple(dict.fromkeys(filter(None, (password, unquote(password or "")))))


def load_catalogue(
    command_line: Mapping[str, object], environ: Mapping[str, str], cwd: Path
) -> CatalogueSettings:
    """From all sources. ``command_line``: option key -> value; None is unset. Raises ConfigurationError."""
    merge = Merge(command_line, environ, cwd, CATALOGUE)
    merge.take_config_file()
    merge.take_all()
    if merge.problems:
        raise ConfigurationError(merge.problems, merge.advice)
    database = merge.values["database"]
    warnings = [notice.text for notice in merge.notices]
    if database is None:
        of_pass = Merge(_only(command_line, "config-file"), environ, cwd, PASS)
        of_pass.take_config_file()
        of_pass.take(BY_KEY["state-file"])
        database = str(state_folder(of_pass.values["state-file"]) / _FILE)
    elif "://" not in database:
        database = str(cwd / Path(database).expanduser())
    elif merge.origin["database"] == "command line" and urlsplit(database).password:
        warnings.append(
            "database: a password on the command line is shown by process lists: put the address into the config file"
            f" or into {CATALOGUE.variable(CATALOGUE.keys['database'])}"
        )
    return CatalogueSettings(database, merge.values["region"] or "", tuple(warnings))


def _only(options: Mapping[str, object], key: str) -> dict[str, object]:
    return {name: value for name, value in options.items() if name.replace("_", "-") == key}
