"""Stands in for AzCopy in memory.py: takes the list of files as AzCopy would, sends nothing, ends with its summary.

AzCopy itself wants gigabytes for a million files and Azurite a long time; neither is what is measured there. The list
is handed on to the stand-in for the container (storage.py), so that exactly what was asked for is listed afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import sys


def main() -> int:
    if "--version" in sys.argv:
        print("azcopy version 10.32.2")
        return 0
    (named,) = [word.partition("=")[2] for word in sys.argv if word.startswith("--list-of-files=")]
    carried = os.environ["BENCH_CARRIED"]
    shutil.copyfile(named, carried + ".part")
    os.rename(carried + ".part", carried)
    with open(carried, "rb") as lines:
        count = sum(1 for _ in lines)
    summary = {
        "JobStatus": "Completed",
        "TotalTransfers": f"{count}",
        "FileTransfers": f"{count}",
        "TransfersCompleted": f"{count}",
        "TransfersFailed": "0",
        "TransfersSkipped": "0",
        "SkippedSymlinkCount": "0",
        "SkippedSpecialFileCount": "0",
        "TotalBytesTransferred": f"{count}",
        "TotalBytesEnumerated": f"{count}",
        "FailedTransfers": [],
    }
    print(json.dumps({"MessageType": "EndOfJob", "MessageContent": json.dumps(summary)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
