"""PacBio's MOVIE.transferdone: the list of the files of one SMRT cell, written when all of them were transferred.

Lines as in the public Revio run r84028_20230214_022129 (pacb.com; trimmed in miso-lims/runscanner): ``Transfer Manifest
nfiles: 57``, ``AcqId … transfer list size : 57``, then a path a line, /data/icc/MOVIE/… as on the instrument, where
what follows MOVIE/ is the path below the cell's folder.
"""

from __future__ import annotations

import dataclasses
import re

from sync_to_azure.instruments.run_facts.text import MalformedFile, lines_of

_MOST_FILES = 10_000
_COUNT = re.compile(r"Transfer Manifest nfiles:\s*(\d{1,7})\s*", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class Transfer:
    """``files``: paths below the cell's folder. ``announced``: how many the first line says there are."""

    files: tuple[str, ...]
    announced: int


def read_transferdone(content: bytes, movie: str) -> Transfer:
    """``movie``: the name of the file without its ending. Raises Problem, also where the list is not whole: a list that
    was cut would claim completeness for less."""
    written = lines_of(content, _MOST_FILES)
    if written and not written[-1].endswith("\n"):
        raise MalformedFile("ends within a line")
    lines = [line.strip() for line in written if line.strip()]
    found = _COUNT.fullmatch(lines[0]) if lines else None
    if found is None:
        raise MalformedFile("does not begin with the number of its files")
    announced = int(found[1])
    files = []
    for line in lines[1:]:
        _, here, below = line.partition(f"/{movie}/")
        if line.startswith("/") and here:
            if not below or any(part in ("", ".", "..") for part in below.split("/")):
                raise MalformedFile("lists a path that does not lie below its folder")
            files.append(below)
    if len(files) != announced:
        raise MalformedFile(f"announces {announced} files and lists {len(files)}")
    return Transfer(tuple(files), announced)
