"""Who has options: the section of the config file, and the environment variables, of each component.

A new component is one entry of ``COMPONENTS``. Until it has options, its section and its variables are only reserved:
a file that also serves a later version ends no pass.
"""

from __future__ import annotations

import dataclasses

from sync_to_azure.settings import catalogue_options
from sync_to_azure.settings.option import Option
from sync_to_azure.settings.options import BY_KEY, OPTIONS


@dataclasses.dataclass(frozen=True, slots=True)
class Component:
    """``section``: its section's name in the config file; with ``named``, ``[section NAME]``, any number of them.
    ``prefix``: of its environment variables, or None if it has none. ``options``: None while it is only reserved.
    """

    section: str
    prefix: str | None
    options: tuple[Option, ...] | None = None
    named: bool = False

    @property
    def keys(self) -> dict[str, Option]:
        return {option.key: option for option in self.options or ()}

    @property
    def variables(self) -> dict[str, Option]:
        """Of all its options that the environment can give."""
        return {self.variable(option): option for option in self.options or () if self.prefix is not None}

    def variable(self, option: Option) -> str:
        """The environment variable of one of its options."""
        assert self.prefix is not None
        return self.prefix + option.name.upper()

    @property
    def header(self) -> str:
        """The section as a person writes it."""
        return f"[{self.section} NAME]" if self.named else f"[{self.section}]"


PASS = Component("sync_to_azure", "SYNC_TO_AZURE_", OPTIONS)
"""Also what stands in a config file before any section."""

CATALOGUE = Component("catalogue", "SYNC_TO_AZURE_CATALOGUE_", catalogue_options.OPTIONS)

COMPONENTS: tuple[Component, ...] = (
    PASS,
    CATALOGUE,
    Component("stream", "SYNC_TO_AZURE_STREAM_"),
    Component("ingest", "SYNC_TO_AZURE_INGEST_"),
    Component("family", None, (BY_KEY["completion-flag"],), named=True),
)


def of_section(section: str) -> Component | None:
    """Whose section it is, by its name as the config file's reader gives it; None if nobody's."""
    kind, _, name = section.partition(" ")
    for component in COMPONENTS:
        if component.section == kind and component.named == bool(name):
            return component
    return None


def of_variable(name: str) -> Component | None:
    """Whose environment variable it is, known or not: the component with the longest prefix of it."""
    owners = [each for each in COMPONENTS if each.prefix is not None and name.startswith(each.prefix)]
    return max(owners, key=lambda each: len(each.prefix or ""), default=None)
