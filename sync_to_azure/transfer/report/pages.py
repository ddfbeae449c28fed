"""Renders the pages: the only place that knows jinja2. Everything that others wrote is escaped by it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sync_to_azure import __version__
from sync_to_azure.core.errors import ConfigurationError

_TEMPLATES = Path(__file__).parent / "templates"


def one_word(text: str) -> str:
    return text.replace(" ", "-")


class Pages:
    """``shared``: what every page shows. Raises ConfigurationError without the extra that draws."""

    def __init__(self, shared: Mapping[str, Any]) -> None:
        need_extra()
        import jinja2

        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["one_word"] = one_word
        style = (_TEMPLATES / "style.css").read_text("utf-8")
        self._environment.globals.update(shared, version=__version__, style=style)

    def render(self, template: str, values: Mapping[str, Any]) -> str:
        return self._environment.get_template(template).render(values)


def need_extra() -> None:
    for module in ("jinja2", "pygal"):
        try:
            __import__(module)
        except ImportError as error:
            raise ConfigurationError(
                f"report needs {module}, which is not installed", "pip install 'sync_to_azure[report]'"
            ) from error
