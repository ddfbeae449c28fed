"""Where the embedded AzCopy and Azurite are (from the npm registry, by embedded/package-lock.json)."""

from __future__ import annotations

import os
import pathlib
import platform

FOLDER = pathlib.Path(__file__).resolve().parent
PROJECT = FOLDER.parent

_AZCOPY = FOLDER / "node_modules" / "@azure-tools" / "azcopy-linux" / "dist" / "bin" / "azcopy_linux_amd64"
_AZURITE = FOLDER / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


class ToolMissing(RuntimeError):
    """An embedded tool is not installed; the message says what to run."""


def azcopy_path() -> pathlib.Path:
    """The AzCopy binary. The npm package holds one for 64-bit x86 Linux only, and unpacks it without its run bit."""
    if platform.machine() not in ("x86_64", "AMD64"):
        raise ToolMissing(
            f"the embedded AzCopy is for x86_64, this machine is {platform.machine()}:"
            " demo and tests cannot run here"
        )
    _must_be_there(_AZCOPY, "AzCopy")
    if not os.access(_AZCOPY, os.X_OK):
        raise ToolMissing(f"{_AZCOPY} may not be run: start 'make bootstrap'")
    return _AZCOPY


def azurite_path() -> pathlib.Path:
    """The script of Azurite's blob server, to be run by node."""
    _must_be_there(_AZURITE, "Azurite")
    return _AZURITE


def _must_be_there(path: pathlib.Path, name: str) -> None:
    if not path.is_file():
        raise ToolMissing(f"{name} is not installed ({path} is missing): start 'make bootstrap'")
