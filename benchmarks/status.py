"""`status` over 10,000 published and audited runs with a million files on record.

python -m benchmarks.status [--runs 10000] [--files 100] [--times 5]
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import sys
import tempfile
import time

from benchmarks.flow import PublishedFlow, write_flow
from benchmarks.measured import clean_environment, command, machine, measure, must_have_ended_well
from sync_to_azure.transfer.ledger import Flow, Ledger
from sync_to_azure.transfer.ledger.audits import WELL, Audited, Audits, AuditFinding

TARGET = 0.5
_ENDPOINT = "http://127.0.0.1:1/account"
"""Nobody is asked."""


def _audit(flow: PublishedFlow) -> None:
    """Every run was audited; every hundredth lacks as many blobs as are kept by name."""
    ledger = Ledger.open(flow.state_file, Flow(str(flow.main_folder), _ENDPOINT, "bench", ""))
    audits = Audits(ledger)
    now = time.time()
    for number, run in enumerate(flow.runs):
        missing = (
            [AuditFinding(f"{each}", "missing", "is missing") for each in range(1000)]
            if number % 100 == 0
            else []
        )
        audits.take_listing(Audited(run, WELL, now, files=1000), missing, {})
    ledger.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--folder", type=pathlib.Path)
    arguments = parser.parse_args()
    print(f"{machine()}; {arguments.runs} runs of {arguments.files} files on record")
    worst = 0.0
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as name:
        folder = pathlib.Path(name)
        flow = write_flow(folder, _ENDPOINT, "bench", arguments.runs, arguments.files)
        _audit(flow)
        settings = [
            f"--main-folder={flow.main_folder}",
            f"--blob-endpoint={_ENDPOINT}",
            "--container-name=bench",
            "--auth=default",
            f"--state-file={flow.state_file}",
        ]
        for more in ([], ["--json"], ["--problems"]):
            argv = [*command(), "status", *settings, *more]
            found = []
            for _ in range(arguments.times + 1):
                measured = measure(argv, clean_environment(folder), folder)
                must_have_ended_well(measured, "status")
                found.append(measured)
            walls = [each.wall for each in found[1:]]
            worst = max(worst, statistics.median(walls))
            print(
                f"status {' '.join(more):12} {statistics.median(walls):.2f} s ({min(walls):.2f} to {max(walls):.2f}),"
                f" {statistics.median(each.cpu for each in found[1:]):.2f} s of processor time, at most {TARGET}"
            )
    return 0 if worst <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
