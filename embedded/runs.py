"""Writes run folders as instruments do: their names, layout and flags are real, base calls and spectra are noise.

Everything follows from the seed: the same arguments give the same bytes. Layouts as seen in public runs of a
MiSeq (RTA 1.17), a NextSeq 550 (RTA 2.4) and of Thermo instruments.
"""

from __future__ import annotations

import dataclasses
import pathlib
import random
import struct
import zlib

_XML = '<?xml version="1.0"?>\r\n'


@dataclasses.dataclass(frozen=True)
class WrittenRun:
    """A run folder that was written; ``bytes`` and ``files`` count all that is in it."""

    folder: pathlib.Path
    files: int
    bytes: int

    @property
    def name(self) -> str:
        return self.folder.name


def write_miseq(
    main_folder: pathlib.Path,
    name: str | None = None,
    *,
    seed: int = 1,
    files: int = 120,
    size: int = 4_000_000,
    complete: bool = True,
) -> WrittenRun:
    """A MiSeq run: one .bcl a tile and cycle, ``files`` of them with ``size`` bytes together, and what goes with it.

    Not ``complete``: the sequencer still writes it, so the last tenth of the base calls and all flags are missing.
    """
    chance = random.Random(seed)
    name = name or f"{_date(chance)}_M{seed:05}_{seed + 20:04}_000000000-{_flowcell(chance, 5)}"
    write = _Writer(main_folder / name)
    cycles, tiles = _cycles_and_tiles(files, most_tiles=28)
    surfaces = 2 if tiles % 2 == 0 else 1
    numbers = [1101 + 1000 * (tile % surfaces) + tile // surfaces for tile in range(tiles)]
    layout = f'LaneCount="1" SurfaceCount="{surfaces}" SwathCount="1" TileCount="{tiles // surfaces}"'
    write.text("RunInfo.xml", _run_info(name, 2, [(cycles, False)], layout))
    write.text(
        "runParameters.xml", _run_parameters(name, "MiSeq Control Software", "2.2.0", "1.17.28", cycles)
    )
    write.text("SampleSheet.csv", sample_sheet(name, cycles))
    write.text("Config/Effective.cfg", f"[Tiles]\r\nTotalLanes=1\r\nTotalTiles={tiles}\r\n")
    write.text(
        "Data/Intensities/RTAConfiguration.xml",
        f"{_XML}<RTAConfiguration><RTAVersion>1.17.28</RTAVersion>" "</RTAConfiguration>",
    )
    calls = "Data/Intensities/BaseCalls/L001"
    for number in numbers:
        write.binary(f"Data/Intensities/L001/s_1_{number}.locs", chance.randbytes(400))
        write.binary(f"{calls}/s_1_{number}.filter", struct.pack("<III", 0, 3, 100) + b"\x01" * 100)
    written = files if complete else files - max(1, files // 10)
    for index in range(written):
        cycle, tile = divmod(index, tiles)
        clusters = max(0, _share(size, files, index) - 4)
        base_calls = struct.pack("<I", clusters) + chance.randbytes(clusters)
        write.binary(f"{calls}/C{cycle + 1}.1/s_1_{numbers[tile]}.bcl", base_calls)
    _interop(write, chance, lane_count=1, tile_numbers=numbers, cycles=cycles)
    if complete:
        write.text("Basecalling_Netcopy_complete_Read1.txt", "")
        write.text("ImageAnalysis_Netcopy_complete_Read1.txt", "")
        write.text("Basecalling_Netcopy_complete.txt", "")
        write.text("ImageAnalysis_Netcopy_complete.txt", "")
        write.text("RTAComplete.txt", f"4/17/20{name[:2]},16:03:52.361,Illumina RTA 1.17.28\r\n")
    return write.done()


def write_nextseq(
    main_folder: pathlib.Path,
    name: str | None = None,
    *,
    seed: int = 1,
    files: int = 80,
    size: int = 8_000_000,
    complete: bool = True,
) -> WrittenRun:
    """A NextSeq 500/550 run: one .bcl.bgzf (and its .bci index) a lane and cycle, ``files`` of them.

    ``size`` is of the .bcl.bgzf together, within a percent. Not ``complete``: as for ``write_miseq``.
    """
    chance = random.Random(seed)
    name = name or f"{_date(chance)}_NB{551000 + seed:06}_{seed + 16:04}_AH{_flowcell(chance, 4)}BGX2"
    write = _Writer(main_folder / name)
    lanes = 4 if files % 4 == 0 else 1
    cycles = files // lanes
    numbers = [10000 * surface + 1101 for surface in (1, 2)]
    index_cycles = min(8, max(0, cycles - 2))
    read = (cycles - index_cycles + 1) // 2
    reads = [(read, False), (index_cycles, True), (cycles - index_cycles - read, False)]
    layout = f'LaneCount="{lanes}" SurfaceCount="2" SwathCount="1" TileCount="1" SectionPerLane="1" LanePerSection="2"'
    write.text("RunInfo.xml", _run_info(name, 4, [each for each in reads if each[0]], layout))
    write.text(
        "RunParameters.xml", _run_parameters(name, "NextSeq Control Software", "2.1.0.31", "2.4.11", cycles)
    )
    write.text(
        "RTAConfiguration.xml", f"{_XML}<RTAConfiguration><RTAVersion>2.4.11</RTAVersion></RTAConfiguration>"
    )
    write.text("Config/FirmwareVersions.txt", "FPGA 1.2.3\r\n")
    write.text(f"Recipe/NS{2641105 + seed}-REAGT.xml", f"{_XML}<RecipeFile />")
    for lane in range(1, lanes + 1):
        calls = f"Data/Intensities/BaseCalls/L{lane:03}"
        write.binary(f"Data/Intensities/L{lane:03}/s_{lane}.locs", chance.randbytes(800))
        write.binary(f"{calls}/s_{lane}.bci", b"".join(struct.pack("<II", number, 100) for number in numbers))
        write.binary(f"{calls}/s_{lane}.filter", struct.pack("<III", 0, 3, 200) + b"\x01" * 200)
    written = files if complete else files - max(1, files // 10)
    for index in range(written):
        cycle, lane = divmod(index, lanes)
        path = f"Data/Intensities/BaseCalls/L{lane + 1:03}/{cycle + 1:04}.bcl.bgzf"
        clusters = max(0, _share(size, files, index) - 4)
        write.binary(path, _bgzf(struct.pack("<I", clusters) + chance.randbytes(clusters)))
        write.binary(
            f"{path}.bci", struct.pack("<II", 0, len(numbers)) + struct.pack("<QQ", 0, 4 + clusters // 2)
        )
    _interop(write, chance, lane_count=lanes, tile_numbers=numbers, cycles=cycles)
    if complete:
        for number, (length, _) in enumerate(reads, start=1):
            if length:
                write.text(
                    f"RTARead{number}Complete.txt", f"Read {number} complete 6/10/20{name[:2]} 5:29:35 AM"
                )
        write.text("RunCompletionStatus.xml", _completion_status(name, reads))
        write.text("RTAComplete.txt", f"RTA 2.4.11 completed on 6/10/20{name[:2]} 2:09:31 PM\r\n")
    return write.done()


def write_proteomics(
    main_folder: pathlib.Path,
    name: str | None = None,
    *,
    seed: int = 1,
    files: int = 4,
    size: int = 12_000_000,
) -> WrittenRun:
    """A proteomics project: ``files`` Thermo .raw with ``size`` bytes together, sequence and method; no flag ever."""
    chance = random.Random(seed)
    name = name or f"Prot{seed:03}"
    write = _Writer(main_folder / name)
    day = f"20{_date(chance)}"
    # Thermo's files begin with this signature in UTF-16.
    finnigan = b"\x01\xa1" + "Finnigan".encode("utf-16-le") + bytes(16)
    for index in range(files):
        blank = index > 0 and index % 4 == 3
        path = f"blank_{day}_{index:02}.raw" if blank else f"{day}_QE_{name}_sample {index + 1:02}.raw"
        write.binary(path, finnigan + chance.randbytes(max(0, _share(size, files, index) - len(finnigan))))
    write.binary(f"{day}_{name}.sld", finnigan + chance.randbytes(3000))
    # Methods are OLE compound files.
    write.binary(f"{name}_120min_top20.meth", bytes.fromhex("d0cf11e0a1b11ae1") + chance.randbytes(20_000))
    return write.done()


def sample_sheet(run: str, cycles: int = 30) -> str:
    """A sample sheet of version 1, as the laboratory's system writes it."""
    lines = ["[Header]", "IEMFileVersion,4", f"Experiment Name,{run}", "Workflow,GenerateFASTQ", ""]
    lines += ["[Reads]", str(cycles), "", "[Settings]", "", "[Data]"]
    lines += ["Sample_ID,Sample_Name,index,Sample_Project", "S1,S1,ATCACG,Demo", "S2,S2,CGATGT,Demo"]
    return "\r\n".join(lines) + "\r\n"


def write_sample_sheet(folder: pathlib.Path, run: str, cycles: int = 30) -> pathlib.Path:
    """``RUN.csv`` in the sample sheet folder; differs from a MiSeq's own if the cycles do."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run}.csv"
    path.write_bytes(sample_sheet(run, cycles).encode())
    return path


class _Writer:
    """Writes the files of one run and counts them."""

    def __init__(self, folder: pathlib.Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.files = 0
        self.bytes = 0

    def text(self, path: str, text: str) -> None:
        self.binary(path, text.encode())

    def binary(self, path: str, content: bytes) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        self.files += 1
        self.bytes += len(content)

    def done(self) -> WrittenRun:
        return WrittenRun(self.folder, self.files, self.bytes)


def _share(size: int, files: int, index: int) -> int:
    """Bytes of one file when ``size`` is spread over ``files``, the rest on the first ones."""
    return size // files + (1 if index < size % files else 0)


def _cycles_and_tiles(files: int, most_tiles: int) -> tuple[int, int]:
    """Cycles times tiles is exactly ``files``, so that the run's RunInfo.xml tells their number."""
    tiles = max(count for count in range(1, most_tiles + 1) if files % count == 0)
    return files // tiles, tiles


def _date(chance: random.Random) -> str:
    return f"{chance.randint(17, 24)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}"


def _flowcell(chance: random.Random, length: int) -> str:
    return "".join(chance.choice("ABCDFGHJKLMNPRTVWXY2345679") for _ in range(length))


def _run_info(name: str, version: int, reads: list[tuple[int, bool]], layout: str) -> str:
    date, instrument, number, flowcell = name.split("_", maxsplit=3)
    lines = [f'{_XML}<RunInfo Version="{version}">', f'  <Run Id="{name}" Number="{int(number)}">']
    lines += [f"    <Flowcell>{flowcell.removeprefix('A') if version > 2 else flowcell}</Flowcell>"]
    lines += [f"    <Instrument>{instrument}</Instrument>", f"    <Date>{date}</Date>", "    <Reads>"]
    for index, (cycles, indexed) in enumerate(reads, start=1):
        is_indexed = "Y" if indexed else "N"
        lines += [f'      <Read Number="{index}" NumCycles="{cycles}" IsIndexedRead="{is_indexed}" />']
    return "\r\n".join(lines + ["    </Reads>", f"    <FlowcellLayout {layout} />", "  </Run>", "</RunInfo>"])


def _run_parameters(name: str, application: str, version: str, analysis: str, cycles: int) -> str:
    date, instrument, number, flowcell = name.split("_", maxsplit=3)
    facts = {"RunID": name, "ScannerID": instrument, "RunNumber": int(number), "RTAVersion": analysis}
    facts |= {"Barcode": flowcell, "ExperimentName": f"{date}_{flowcell}", "ApplicationName": application}
    facts |= {"ApplicationVersion": version, "Read1": cycles}
    lines = [f"  <{key}>{value}</{key}>" for key, value in facts.items()]
    return "\r\n".join([f"{_XML}<RunParameters>", *lines, "</RunParameters>"])


def _completion_status(name: str, reads: list[tuple[int, bool]]) -> str:
    lines = ["  <Version>1</Version>", "  <CompletionStatus>CompletedAsPlanned</CompletionStatus>"]
    lines += [f"  <RunId>{name}</RunId>"]
    for word in ("Planned", "Completed"):
        for label, (cycles, _) in zip(("Read1", "Index1Read", "Read2"), reads, strict=True):
            lines += [f"  <{word}{label}Cycles>{cycles}</{word}{label}Cycles>"]
    lines += ["  <ErrorDescription>None</ErrorDescription>"]
    return "\r\n".join([f"{_XML}<RunCompletionStatus>", *lines, "</RunCompletionStatus>"])


def _interop(
    write: _Writer, chance: random.Random, lane_count: int, tile_numbers: list[int], cycles: int
) -> None:
    """Tile metrics (version 2) and error metrics (version 3), in Illumina's binary formats."""
    tiles, errors = [b"\x02\x0a"], [b"\x03\x1e"]
    for lane in range(1, lane_count + 1):
        for number in tile_numbers:
            for code, value in ((100, 190e3), (101, 180e3), (102, 9e5), (103, 8.5e5)):
                tiles.append(struct.pack("<HHHf", lane, number, code, value * chance.uniform(0.95, 1.05)))
            for cycle in range(1, cycles + 1):
                errors.append(
                    struct.pack("<HHHf5I", lane, number, cycle, chance.uniform(0.1, 1.5), 0, 0, 0, 0, 0)
                )
    write.binary("InterOp/TileMetricsOut.bin", b"".join(tiles))
    write.binary("InterOp/ErrorMetricsOut.bin", b"".join(errors))


def _bgzf(content: bytes) -> bytes:
    """Blocked gzip (SAM specification, section 4.1). Stored, not deflated: noise does not shrink."""
    blocks = []
    for start in range(0, len(content), 65000):
        part = content[start : start + 65000]
        packer = zlib.compressobj(0, zlib.DEFLATED, -15)
        body = packer.compress(part) + packer.flush()
        header = bytes.fromhex("1f8b08040000000000ff060042430200")
        blocks.append(
            header
            + struct.pack("<H", len(body) + 25)
            + body
            + struct.pack("<II", zlib.crc32(part), len(part))
        )
    end_of_file = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
    return b"".join(blocks) + end_of_file
