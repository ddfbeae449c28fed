"""Where files of projects go: written by hand after what is known of the tool before this one."""

from __future__ import annotations

import pytest

from sync_to_azure.settings import options
from sync_to_azure.instruments import profiles
from sync_to_azure.instruments.profiles.continuous import Continuous, ContinuousRules

RULES = ContinuousRules("prot[0-9]*", "blank*.raw")


def of(name: str) -> Continuous:
    continuous = profiles.BY_NAME[name].continuous
    assert continuous is not None
    return continuous


def test_the_table_of_options_knows_them() -> None:
    assert options.CONTINUOUS == tuple(each.name for each in profiles.PROFILES if each.continuous is not None)


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("20261120_QE_Prot12_01.raw", "samples/20261120_QE_Prot12_01.raw"),
        ("A.RAW", "samples/A.RAW"),
        ("blank_01.raw", "blanks/blank_01.raw"),
        ("BLANK2.raw", "blanks/BLANK2.raw"),
        ("blank.RAW", "blanks/blank.RAW"),
        ("noblank.raw", "samples/noblank.raw"),
        ("top20.meth", "other/top20.meth"),
        ("Sequence.SLD", "other/Sequence.SLD"),
        ("Prot12_Results.xlsx", "results/prot12_results.xlsx"),
        ("prot12.xlsx", "results/prot12.xlsx"),
        ("PROT12.XLSX", "results/prot12.xlsx"),
        ("metadata.xlsx", "metadata.xlsx"),
        ("Metadata.XLSX", "metadata.xlsx"),
        ("results.xlsx", None),
        ("my_metadata.xlsx", None),
        ("Prot12.docx", None),
        ("notes.txt", None),
        ("a.raw.tmp", None),
        ("raw", None),
        ("sub/a.raw", None),
    ],
)
def test_proteomics(file: str, place: str | None) -> None:
    assert of("proteomics").places(file, {}, RULES) == (() if place is None else (place,))


def test_projects() -> None:
    names = ["prot1", "Prot02_Liver", "PROT3", "protein", "Protx1", "myprot4", "Raw", "prot"]
    units = of("proteomics").units(names, RULES)
    assert [(unit.key, unit.inside, unit.problem) for unit in units] == [
        ("PROT3", "PROT3", ""),
        ("PROT02_LIVER", "Prot02_Liver", ""),
        ("PROT1", "prot1", ""),
    ]
    assert [unit.key for unit in of("proteomics").units(["LC7", "prot1"], ContinuousRules("lc*", ""))] == [
        "LC7"
    ]


def test_two_folders_for_one_project() -> None:
    [unit] = of("proteomics").units(["Prot1", "prot1"], RULES)
    assert unit.problem == "the folders Prot1 and prot1 would both be PROT1 at the destination"


def test_only_spectra_are_frozen() -> None:
    frozen = of("proteomics").is_frozen
    assert frozen("samples/a.raw") and frozen("blanks/blank.raw")
    assert not any(map(frozen, ["results/prot1.xlsx", "metadata.xlsx", "other/a.meth", "other/s.sld"]))
    frozen = of("metabolomics").is_frozen
    assert frozen("12/raw/a.raw") and frozen("12/mzML/a.mzML") and frozen("12/raw/a.xml")
    assert not any(map(frozen, ["12/method.xml", "12/sub/a.raw", "12/raw/deep/a.raw", "x/raw/a"]))


def test_data_sets() -> None:
    names = ["RawData_7", "DataProcessingMethod_7", "RawData_8", "DataProcessingMethod_9", "RawData_", "Misc"]
    units = of("metabolomics").units(names, RULES)
    assert [(unit.key, unit.folders, unit.lacks) for unit in units] == [
        ("7", ("RawData_7", "DataProcessingMethod_7"), ""),
        ("8", ("RawData_8",), "DataProcessingMethod_8"),
        ("9", ("DataProcessingMethod_9",), "RawData_9"),
    ]
    assert of("metabolomics").others(names, RULES) == ("RawData_", "Misc")


def test_metabolomics() -> None:
    files = [
        "RawData_7/12/a.raw",
        "RawData_7/12/a.mzML",
        "RawData_7/13/b.mzML",
        "RawData_7/13/c.txt",
        "RawData_7/13/deep/d.raw",
        "RawData_7/x14/e.raw",
        "RawData_7/loose.raw",
        "DataProcessingMethod_7/m.xml",
        "DataProcessingMethod_7/sub/n.xml",
    ]
    metabolomics = of("metabolomics")
    assert metabolomics.survey is not None
    survey = metabolomics.survey(files)
    assert [metabolomics.places(file, survey, RULES) for file in files] == [
        ("12/raw/a.raw",),
        ("12/raw/a.mzML",),
        ("13/mzML/b.mzML",),
        ("13/mzML/c.txt",),
        (),
        (),
        (),
        ("12/m.xml", "13/m.xml"),
        ("12/sub/n.xml", "13/sub/n.xml"),
    ]


@pytest.mark.parametrize(
    ("folder", "enters"),
    [
        ("RawData_7", True),
        ("RawData_7/12", True),
        ("RawData_7/12/deep", False),
        ("RawData_7/x14", False),
        ("RawData_7/१२", False),
        ("DataProcessingMethod_7", True),
        ("DataProcessingMethod_7/a/b/c", True),
    ],
)
def test_which_folders_are_looked_into(folder: str, enters: bool) -> None:
    assert of("metabolomics").enters(folder) is enters
