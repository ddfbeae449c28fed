"""Fills names into the templates: `generate.py IMAGE FOLDER [KEY=value]...` writes into FOLDER what the VM gets.

The names stand in `variables`; a template holds @KEY@ where one goes, @IMAGE@ is the image with its tag. One wrapper a
job comes from `utils/job.in`. KEY=value overrules a line of `variables`; keys that it lacks (make hands on all that it
was given, such as TAG) are let go.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
JOBS = ("miseq", "nextseq", "proteomics", "metabolomics")
MAY_WRITE = ("miseq", "nextseq")
"""Jobs whose ACCESS_… stands in `variables`; from the others' shares nothing is ever removed."""
ROOMS = ("autofs", "config", "systemd", "utils")


def variables(text: str) -> dict[str, str]:
    """KEY=value lines, quoted as in a shell."""
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = shlex.split(line, comments=True)
        if not words:
            continue
        key, equals, value = words[0].partition("=")
        if len(words) > 1 or not equals or not re.fullmatch(r"[A-Z][A-Z_]*", key):
            raise SystemExit(
                f"variables line {number}: {line.strip()!r} is not KEY=value (quote a value with spaces)"
            )
        found[key] = value
    return found


def filled(template: Path, names: dict[str, str]) -> str:
    def name(found: re.Match[str]) -> str:
        if found[1] not in names:
            raise SystemExit(f"{template.relative_to(HERE)}: @{found[1]}@ stands in no line of variables")
        return names[found[1]]

    return re.sub(r"@([A-Z_]+)@", name, template.read_text(encoding="utf-8"))


def main(image: str, target: Path, overruled: dict[str, str]) -> None:
    names = variables((HERE / "variables").read_text(encoding="utf-8"))
    names |= {key: value for key, value in overruled.items() if key in names} | {"IMAGE": image}
    for key in (f"ACCESS_{job.upper()}" for job in MAY_WRITE):
        if names[key] not in ("ro", "rw"):
            raise SystemExit(f"variables: {key} is ro or rw, not {names[key]!r}")
    if target.exists():
        shutil.rmtree(target)
    for room in ROOMS:
        (target / room).mkdir(parents=True)
        for template in sorted((HERE / room).iterdir()):
            if template.name == "job.in":
                for job in JOBS:
                    access = names[f"ACCESS_{job.upper()}"] if job in MAY_WRITE else "ro"
                    own = names | {"JOB": job, "ACCESS": access}
                    _write(target / room / f"sync-{job}", filled(template, own), 0o755)
            else:
                name = template.name.removesuffix(".in")
                mode = 0o755 if os.access(template, os.X_OK) else 0o600 if room == "config" else 0o644
                _write(target / room / name, filled(template, names), mode)
    # cronbeat runs on the VM itself: what pip needs to install it there.
    for part in ("pyproject.toml", "README.md", "src"):
        source = HERE.parent / "cronbeat" / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, target / "utils" / "cronbeat" / part, ignore=ignored)
        else:
            (target / "utils" / "cronbeat").mkdir(exist_ok=True)
            shutil.copy(source, target / "utils" / "cronbeat" / part)
    print(f"generated for {image}: {target}")


def _write(path: Path, text: str, mode: int) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


if __name__ == "__main__":
    if len(sys.argv) < 3 or not all("=" in each for each in sys.argv[3:]):
        raise SystemExit("usage: generate.py IMAGE FOLDER [KEY=value]...")
    main(sys.argv[1], Path(sys.argv[2]), dict(each.split("=", 1) for each in sys.argv[3:]))
