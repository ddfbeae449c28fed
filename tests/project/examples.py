"""Writes docs/examples anew, from a real pass over the demo's runs: .venv/bin/python -m tests.project.examples

receipt.json and status.json as the program writes them, indented; files.jsonl: the first lines of the manifest.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile

from embedded.azurite import Azurite
from embedded.runs import write_miseq, write_sample_sheet
from embedded.tools import PROJECT

EXAMPLES = PROJECT / "docs" / "examples"
_LINES = 3


def produce(folder: pathlib.Path) -> dict[str, str]:
    """name -> content of each example. One finished MiSeq run with a sheet, and one that is still being written."""
    main, sheets = folder / "runs", folder / "samplesheets"
    run = write_miseq(main, seed=1)
    write_sample_sheet(sheets, run.name)
    write_miseq(main, seed=2, complete=False)
    key = folder / "account.key"
    key.touch(mode=0o600)
    key.write_text(Azurite.key, encoding="utf-8")
    with Azurite(folder / "azurite") as azurite, azurite.create_container("runs") as container:
        lines = {
            "main-folder": main,
            "samplesheet-folder": sheets,
            "completion-delay": 0,
            "uploader": "native",
            "blob-endpoint": azurite.endpoint,
            "container-name": "runs",
            "destination": "/miseq",
            "auth": "account-key",
            "credentials": key,
            "state-file": folder / "state.sqlite",
        }
        config = folder / "azsync.cfg"
        config.write_text("".join(f"{name} = {value}\n" for name, value in lines.items()), encoding="utf-8")
        _command(config)
        status = _command(config, "status", "--json")
        base = f"miseq/{run.name}"
        receipt = container.download_blob(f"{base}.json").readall()
        manifest = container.download_blob(f"{base}.files.jsonl").readall().decode()
    return {
        "receipt.json": _laid_out(receipt),
        "status.json": _laid_out(status),
        "files.jsonl": "".join(manifest.splitlines(keepends=True)[:_LINES]),
    }


def _command(config: pathlib.Path, *words: str) -> str:
    environment = {name: each for name, each in os.environ.items() if not name.startswith("SYNC_TO_AZURE_")}
    ended = subprocess.run(
        [sys.executable, "-m", "sync_to_azure", "--config-file", str(config), *words],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return ended.stdout


def _laid_out(text: str | bytes) -> str:
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    EXAMPLES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        for name, content in produce(pathlib.Path(folder)).items():
            (EXAMPLES / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
