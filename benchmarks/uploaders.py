"""The native uploader against AzCopy and the SDK: time, processor, memory, reads; docs/uploaders.md and its picture.

    python -m benchmarks.uploaders [--pairs 5] [--others 2] [--folder FOLDER] [part ...]

Results are kept in build/uploaders.json, so that a part that was disturbed can be measured again without the others;
the page and the picture are made from all that is there. Ends with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable

from benchmarks import uploader_parts, uploader_picture, uploader_report
from benchmarks.measured import machine
from benchmarks.uploader_parts import CASES, Result
from embedded.tools import PROJECT

_RESULTS = PROJECT / "build" / "uploaders.json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--others", type=int, default=2, help="rounds of the other two")
    parser.add_argument("--folder", type=pathlib.Path, help="where to work; wants 4 GB")
    parser.add_argument("parts", nargs="*", help="all by default; 'page': only write page and picture")
    arguments = parser.parse_args()
    pairs: int = arguments.pairs
    others: int = arguments.others
    parts: dict[str, Callable[[pathlib.Path], Result]] = {
        "server": uploader_parts.server_rates,
        "reads": uploader_parts.reads,
        "killed": uploader_parts.killed,
        "sparse": uploader_parts.sparse,
        "slow": lambda folder: uploader_parts.slow_source(folder, max(1, pairs // 2)),
        "growth": lambda folder: uploader_parts.growth(folder, pairs),
    }
    for name in CASES:
        parts[name] = functools.partial(uploader_parts.side_by_side, name, pairs=pairs, others=others)
    wanted = arguments.parts or list(parts)
    unknown = sorted(set(wanted) - set(parts) - {"page"})
    if unknown:
        parser.error(f"no parts: {', '.join(unknown)}; there are: {', '.join(parts)}")
    results: dict[str, Result] = json.loads(_RESULTS.read_text()) if _RESULTS.exists() else {}
    for part in wanted:
        if part == "page":
            continue
        at_the_start = {"machine": machine(), "date": time.strftime("%Y-%m-%d")}
        with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as folder:
            results[part] = parts[part](pathlib.Path(folder)) | at_the_start
        results[part]["load"] = [
            float(at_the_start["machine"].split("load ")[1].split()[0]),
            os.getloadavg()[0],
        ]
        _RESULTS.parent.mkdir(exist_ok=True)
        _RESULTS.write_text(json.dumps(results, indent=1))
    tables, missed = uploader_report.tables(results)
    print(tables)
    uploader_report.write(PROJECT / "docs" / "uploaders.md", results, tables)
    (PROJECT / "docs" / "uploaders.svg").write_text(uploader_picture.picture(results))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
