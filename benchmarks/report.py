"""`report` over 10,000 published runs with a million files on record, 100 of them with a page.

python -m benchmarks.report [--runs 10000] [--files 100] [--times 3]
"""

from __future__ import annotations

import argparse
import pathlib
import sqlite3
import statistics
import sys
import tempfile

from benchmarks.flow import write_flow
from benchmarks.measured import clean_environment, command, machine, measure, must_have_ended_well

TARGET = 5.0
PAGES = 100
_ENDPOINT = "http://127.0.0.1:1/account"
"""Nobody is asked."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--folder", type=pathlib.Path)
    arguments = parser.parse_args()
    print(f"{machine()}; {arguments.runs} runs of {arguments.files} files on record, {PAGES} with a page")
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as name:
        folder = pathlib.Path(name)
        flow = write_flow(folder, _ENDPOINT, "bench", arguments.runs, arguments.files)
        _make_old(flow.state_file)
        argv = [
            *command(),
            "report",
            f"--main-folder={flow.main_folder}",
            f"--blob-endpoint={_ENDPOINT}",
            "--container-name=bench",
            "--auth=default",
            f"--state-file={flow.state_file}",
            f"--output={folder / 'report'}",
        ]
        found = []
        for _ in range(arguments.times + 1):
            measured = measure(argv, clean_environment(folder), folder)
            must_have_ended_well(measured, "report")
            found.append(measured)
        pages = len(list((folder / "report" / "runs").iterdir()))
        walls = [each.wall for each in found[1:]]
    print(
        f"report of {pages} pages: {statistics.median(walls):.2f} s ({min(walls):.2f} to {max(walls):.2f}),"
        f" {statistics.median(each.cpu for each in found[1:]):.2f} s of processor time, at most {TARGET}"
    )
    return 0 if statistics.median(walls) <= TARGET else 1


def _make_old(state_file: pathlib.Path) -> None:
    """All but the last are of long ago, with a history."""
    connection = sqlite3.connect(state_file)
    with connection:
        old = f"(SELECT max(id) - {PAGES} FROM run)"
        connection.execute(
            f"UPDATE run SET since = since - 1e8, first_seen = first_seen - 1e8, published_at = published_at - 1e8"
            f" WHERE id <= {old}"
        )
        for code, after in (("waiting:not-quiet-yet", 0), ("uploading", 3600), ("published", 3900)):
            connection.execute(
                "INSERT INTO event (flow_id, run_id, at, code, parameters) SELECT flow_id, id, first_seen + ?, ?, '{}'"
                " FROM run",
                (after, code),
            )
    connection.close()


if __name__ == "__main__":
    sys.exit(main())
