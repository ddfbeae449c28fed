"""Options on how files are uploaded and verified."""

from __future__ import annotations

from sync_to_azure.settings.option import Option, Type
from sync_to_azure.settings.options.kinds import choice, path

UPLOAD = (
    choice(
        "uploader",
        "upload",
        "Choose the program that uploads.",
        "azcopy: Microsoft's AzCopy. native: built in; reads each file once, and the service checks every byte.",
        "azcopy native",
        "azcopy",
    ),
    choice(
        "verify",
        "upload",
        "Require at least this evidence before a run is published.",
        "listed: size and MD5 in the listing. validated: the service checked every byte on arrival; what it did not"
        " check is read back. read-back: every file is downloaded and hashed.",
        "listed validated read-back",
        "validated",
    ),
    Option(
        "access-tier",
        Type.CHOICE,
        "upload",
        "Store the blobs of runs in this tier; without it, in the account's default.",
        "Not archive: an archived blob can be neither read nor overwritten.",
        choices=("hot", "cool", "cold"),
        refused=(
            (
                "archive",
                "archive is refused: an archived blob can be neither read nor overwritten, so nothing could be verified"
                " or healed; let a lifecycle rule of the account move old runs there",
            ),
        ),
    ),
    Option(
        "concurrency",
        Type.INTEGER,
        "upload",
        "Keep this many requests in flight, 1 to 256, or auto; native uploader only.",
        "auto: find the number with the best throughput, beginning with 16.",
        "auto",
        "REQUESTS",
        unit="requests",
        word="auto",
        least=1,
        most=256,
    ),
    choice(
        "block-check",
        "upload",
        "Choose the checksum for blocks of large files; native uploader only.",
        "crc64 takes far less processor time, and needs the extra 'fast'. auto: crc64 if that is installed, else md5.",
        "auto crc64 md5",
        "auto",
    ),
    path(
        "azcopy",
        "upload",
        "Run this AzCopy; without it, azcopy or azure-storage-azcopy from the PATH.",
        placeholder="PATH",
    ),
    path(
        "azcopy-logs",
        "upload",
        "Let AzCopy write its logs and plans to this folder; they are deleted after each job.",
        placeholder="FOLDER",
    ),
    choice(
        "azcopy-log-level",
        "upload",
        "Let AzCopy log messages of this level and above.",
        "",
        "INFO WARNING ERROR NONE DEBUG",
        "WARNING",
        "LEVEL",
    ),
    Option(
        "cap-mbps",
        Type.NUMBER,
        "upload",
        "Upload at most this many megabits per second; without it, no limit.",
        placeholder="NUMBER",
        unit="Mbit/s",
        above=0,
        most=1_000_000,
    ),
    Option(
        "retry-times",
        Type.INTEGER,
        "upload",
        "Try each run at most this many times in a pass.",
        "",
        "5",
        "TIMES",
        unit="tries",
        least=1,
    ),
    Option(
        "timeout",
        Type.NUMBER,
        "upload",
        "End an upload, as a failed try, after this many seconds without progress.",
        "It also limits the time for one response of the storage (at most 4 MiB of data), and for a mail.",
        "300",
        "SECONDS",
        unit="seconds",
        above=0,
        most=1_000_000_000,
    ),
    Option(
        "source-readers",
        Type.INTEGER,
        "upload",
        "Read at most this many source files at once.",
        "The share is often the instrument's own computer.",
        "4",
        "FILES",
        unit="files",
        least=1,
        most=256,
    ),
)
