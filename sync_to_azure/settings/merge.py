"""Command line, environment, file and default, merged; each value with where it came from, each problem kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.settings import configfile, placement
from sync_to_azure.settings.components import PASS, Component
from sync_to_azure.settings.configfile import ConfigEntry
from sync_to_azure.settings.option import Option, Type
from sync_to_azure.settings.options import BY_KEY, DEFAULT_CONFIG_FILE
from sync_to_azure.settings.values import Notice


class Merge:
    """Of one component: values taken so far, by key; where each came from; what is wrong; what is worth a warning."""

    def __init__(
        self,
        command_line: Mapping[str, object],
        environ: Mapping[str, str],
        cwd: Path,
        component: Component = PASS,
    ) -> None:
        self.component = component
        self.command_line = {
            key.replace("_", "-"): value
            for key, value in command_line.items()
            if value is not None and value != ()
        }
        self.environ = environ
        self.cwd = cwd
        self.entries: dict[str, ConfigEntry] = {}
        """Of the component's section of the config file."""
        self.sections: Mapping[str, configfile.Section] = {}
        """All of the config file, which is called ``file_name`` in messages."""
        self.file_name = ""
        self.file_is_readable = True
        self.values: dict[str, Any] = {}
        self.origin: dict[str, str] = {}
        self.wrong: set[str] = set()
        self.problems: list[str] = []
        self.notices: list[Notice] = []
        self.advice = ""

    def problem(self, key: str, text: str) -> None:
        """``key`` is wrong; told with its source, and the key counts as not usable for further checks."""
        self.problems.append(f"{self.origin[key]}: {key} {text}")
        self.wrong.add(key)

    def missing(self, key: str, text: str) -> None:
        """Something is not given; not told while the config file, where it may be, could not be read."""
        if self.file_is_readable and key not in self.wrong:
            self.problems.append(text)
            self.advice = "give what is missing as an option or in the config file; see sync_to_azure --help"

    def take_config_file(self) -> None:
        self.take(BY_KEY["config-file"])
        path: Path | None = self.values["config-file"]
        named = path is not None
        if path is None and os.path.lexists(self.cwd / DEFAULT_CONFIG_FILE):
            path = self.cwd / DEFAULT_CONFIG_FILE
            self.values["config-file"], self.origin["config-file"] = path, "current folder"
        if path is not None:
            name = self._name_of(path) if named else DEFAULT_CONFIG_FILE
            try:
                self._take_file(configfile.read(path, name), name)
            except ConfigurationError as error:
                source = self.origin["config-file"]
                where = f"{source}: " if source.startswith("environment") else ""
                self.problems += [where + problem for problem in error.problems]
                self.file_is_readable = False
        elif "config-file" in self.wrong:
            self.file_is_readable = False

    def _take_file(self, file: configfile.ConfigFile, name: str) -> None:
        self.sections, self.file_name = file.sections, name
        self.entries = file.section(self.component.section).entries
        self.problems += placement.file_problems(file, name, self.component)
        self.notices += placement.file_notices(file, name, self.component)

    def _name_of(self, path: Path) -> str:
        return str(path.relative_to(self.cwd) if path.is_relative_to(self.cwd) else path)

    def take_all(self) -> None:
        """Every option of the component; the config file has been taken before."""
        keys = self.component.keys
        for key in sorted(self.command_line.keys() - keys.keys() - {"config-file"}):
            hint = placement.suggestion(key, self.component)
            self.problems.append(f"command line: unknown option --{key}{hint}")
        self.problems += placement.environment_problems(self.environ, self.component)
        for key, option in keys.items():
            if key != "config-file":
                self.take(option)

    def take(self, option: Option) -> None:
        """Parse the value of the first source that has one; a fault in a source that does not count is no fault."""
        given, self.origin[option.key] = self._given(option)
        if option.obsolete:
            if given:
                text = f"{self.origin[option.key]}: {option.key} no longer means anything: {option.help}"
                self.notices.append(Notice(f"obsolete:{option.key}", text, once=True))
            return
        if option.commas:
            given = [part.strip() for text in given for part in text.split(",") if part.strip()]
        self.values[option.key] = () if option.repeatable else None
        if len(given) > 1 and not option.repeatable:
            self.problem(
                option.key, f"has {len(given)} lines of value, but takes one; is the next line indented?"
            )
            return
        parsed: list[object] = []
        for text in given:
            try:
                value = option.parse(text)
                parsed.append(self._path(option, text) if option.type is Type.PATH else value)
            except ValueError as error:
                self.problem(option.key, str(error))
        if option.key not in self.wrong:
            self.values[option.key] = tuple(parsed) if option.repeatable else parsed[0] if parsed else None

    def _given(self, option: Option) -> tuple[list[str], str]:
        value = self.command_line.get(option.key)
        if value is not None and option.on_command_line:
            texts = [str(part) for part in (value if isinstance(value, (tuple, list)) else (value,))]
            if not option.obsolete and not all(text.strip() for text in texts):
                self.problems.append(f"command line: --{option.key} is empty; give a value or leave it out")
                self.wrong.add(option.key)
            return [text for text in texts if text.strip()], "command line"
        variable = self.variable(option)
        text = self.environ.get(variable, "") if variable is not None else ""
        if text.strip():
            lines = (
                text.splitlines()
                if option.repeatable
                else [text.strip("\r\n") if option.secret else text.strip()]
            )
            return [line.strip() for line in lines if line.strip()], f"environment {variable}"
        entry = self.entries.get(option.key)
        if entry and entry.values and option.in_file:
            return list(entry.values), entry.origin
        return [] if option.default is None else [option.default], "default"

    def variable(self, option: Option) -> str | None:
        """Of the config file, which all components share, it is that of a pass."""
        component = PASS if option is BY_KEY["config-file"] else self.component
        return component.variable(option) if component.prefix is not None else None

    def _path(self, option: Option, text: str) -> Path | str:
        if text == "~" or text.startswith("~/"):
            text = self.environ.get("HOME", os.path.expanduser("~")) + text[1:]
        elif text.startswith("~"):
            expanded = os.path.expanduser(text)
            if expanded == text:
                raise ValueError(f"{text!r}: there is no such user; for a file of this name write ./{text}")
            text = expanded
        if option.key == "azcopy":  # a bare name is looked up on the PATH
            return str(self.cwd / text) if "/" in text else text
        return self.cwd / text
