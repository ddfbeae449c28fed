"""What a command of the catalogue is given: settings, the database, stores that are opened to be read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sync_to_azure.settings.catalogue import load_catalogue

if TYPE_CHECKING:
    from sync_to_azure.catalogue.db.port import Catalogue
    from sync_to_azure.catalogue.inventory.addresses import Target
    from sync_to_azure.catalogue.inventory.manifests import Vouching
    from sync_to_azure.settings import Settings
    from sync_to_azure.stores.store import Store


class Context:
    """What a command is given: its settings, and those of the pass where it asks for them."""

    def __init__(self, options: Mapping[str, object], environ: Mapping[str, str], cwd: Path) -> None:
        self._options = {name: value for name, value in options.items() if name == "config_file"}
        self._environ = environ
        self.cwd = cwd
        self.own = load_catalogue(options, environ, cwd)
        self.secrets: tuple[str, ...] = self.own.secrets

    def settings(self) -> "Settings":
        """Of the pass: destination and login. Raises ConfigurationError."""
        from sync_to_azure.settings import load

        settings = load(self._options, self._environ, self.cwd, needs_source=False)
        self.secrets += settings.secret_values()
        return settings

    def open(self, create: bool = False) -> "Catalogue":
        from sync_to_azure.catalogue.db.opening import open_catalogue

        return open_catalogue(self.own.database, create)


def for_writing(context: Context, dry_run: bool) -> "Catalogue":
    """A dry run of a catalogue that is not there yet has one that is gone at its end."""
    from sync_to_azure.catalogue.db.opening import POSTGRESQL, open_catalogue

    is_file = not context.own.database.startswith(POSTGRESQL)
    if dry_run and is_file and not Path(context.own.database).exists():
        import tempfile

        folder = tempfile.TemporaryDirectory(prefix="sync_to_azure-")
        click.get_current_context().call_on_close(folder.cleanup)
        return open_catalogue(str(Path(folder.name) / "catalogue.sqlite"), create=True)
    return context.open(create=not dry_run)


def target(context: Context, text: str | None) -> "tuple[Target, Store, Settings | None]":
    """Which store, opened to be read; the settings only where they are needed."""
    from sync_to_azure.catalogue.inventory import addresses

    region = context.own.region
    found = addresses.target(text, context.cwd, region) if text is not None else None
    if found is not None and found.store.kind == "file":
        return found, _open(found, None), None
    settings = context.settings()
    if found is None:
        destination = settings.destination
        prefix = f"{destination.destination}/" if destination.destination else ""
        found = addresses.azure(destination.blob_endpoint, destination.container_name, prefix, region)
    return found, _open(found, settings), settings


def _open(target: "Target", settings: "Settings | None") -> "Store":
    import dataclasses

    from sync_to_azure.settings.for_stores import login_config, store_config
    from sync_to_azure.stores.store_config import StoreConfig
    from sync_to_azure.stores.opening import open_login, open_store

    if settings is None:
        return open_store(StoreConfig(target.endpoint, target.container), read_only=True)
    endpoint, container = target.endpoint, target.container
    login = dataclasses.replace(
        login_config(settings), endpoint=endpoint, container=container, account=target.account
    )
    config = dataclasses.replace(store_config(settings), endpoint=endpoint, container=container)
    return open_store(config, open_login(login))


def vouching(settings: "Settings") -> "Vouching":
    from sync_to_azure.catalogue.inventory.manifests import Vouching
    from sync_to_azure.settings import evidence_key

    path, destination = settings.identity.evidence_key, settings.destination
    key = evidence_key.read(path) if path is not None else None
    return Vouching(key, destination.storage_account, destination.container_name, destination.destination)


def reachable(context: Context, address: str) -> "Store | None":
    """None for a store of another account than that of the config file."""
    from sync_to_azure.catalogue.inventory import addresses

    found = addresses.target(address, context.cwd)
    if found.store.kind == "file":
        return _open(found, None)
    settings = context.settings()
    is_ours = found.endpoint == settings.destination.blob_endpoint
    return _open(found, settings) if is_ours else None
