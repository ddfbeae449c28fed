"""Manifest.tsv of a NovaSeq X: the files that it transferred, a row each: the path below the run, a tab, a checksum
(Clinical-Genomics/cg, pull request 2403 and its test data).

Only what lies in Data and InterOp is taken, as cg does: thumbnails and logs may be left out of a transfer. Which
checksum it is, is not documented, so it is not compared.
"""

from __future__ import annotations

from sync_to_azure.instruments.run_facts.text import MalformedFile, lines_of

MOST_BYTES = 32 * 2**20
_MOST_FILES = 200_000
_FOLDERS = ("Data/", "InterOp/")


def read_manifest(content: bytes) -> tuple[str, ...]:
    """The paths of the files that must be there. Raises Problem."""
    found = []
    for line in lines_of(content, _MOST_FILES):
        path, tab, _ = line.rstrip("\r\n").partition("\t")
        if not path.startswith(_FOLDERS):
            continue
        if not tab:
            raise MalformedFile("has a row without a checksum: it was cut")
        if any(part in ("", ".", "..") for part in path.split("/")):
            raise MalformedFile("lists a path that is not below the run")
        found.append(path)
    return tuple(found)
