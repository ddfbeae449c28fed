"""Components: sections of the config file and prefixes of variables; what belongs to another ends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.settings import Settings, components, load, not_for_children
from sync_to_azure.settings.catalogue import load_catalogue
from sync_to_azure.settings.components import COMPONENTS, PASS, Component
from sync_to_azure.settings.merge import Merge
from sync_to_azure.settings.option import Option, Type

REQUIRED = "main-folder = /data/runs\ncontainer-name = runs\nstorage-account = lake\n"
KIOSK = Component(
    "kiosk",
    "SYNC_TO_AZURE_KIOSK_",
    (
        Option("url", Type.TEXT, "kiosk", "Where it is."),
        Option("log-file", Type.PATH, "kiosk", "Its log."),
        Option("token", Type.TEXT, "kiosk", "Who it is.", secret=True, in_file=False),
    ),
)


def a_pass(tmp_path: Path, file: str = REQUIRED, environ: Mapping[str, str] | None = None) -> Settings:
    (tmp_path / "azsync.cfg").touch(mode=0o600)
    (tmp_path / "azsync.cfg").write_text(file, encoding="utf-8")
    return load({}, environ or {}, tmp_path)


def problems(tmp_path: Path, file: str = REQUIRED, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        a_pass(tmp_path, file, environ)
    assert caught.value.exit_code == 2
    return caught.value.problems


def a_kiosk(
    tmp_path: Path, file: str, environ: Mapping[str, str], given: Mapping[str, object] | None = None
) -> Merge:
    """As a component's own command would read its options."""
    (tmp_path / "azsync.cfg").touch(mode=0o600)
    (tmp_path / "azsync.cfg").write_text(file, encoding="utf-8")
    merge = Merge(given or {}, environ, tmp_path, KIOSK)
    merge.take_config_file()
    merge.take_all()
    return merge


@pytest.fixture
def with_kiosk(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more entry of the registry: all that a new component needs."""
    monkeypatch.setattr(components, "COMPONENTS", (*COMPONENTS, KIOSK))


# Reserved


@pytest.mark.parametrize("header", ["stream", "Ingest"])
def test_a_reserved_section_ends_no_pass(tmp_path: Path, header: str) -> None:
    settings = a_pass(tmp_path, f"{REQUIRED}[{header}]\nnobody-knows = x\nno key at all\nx = 1\nx = 2\n")
    assert str(settings.source.main_folder) == "/data/runs"
    [notice] = settings.notices
    assert f"line 4: section [{header}] is reserved" in notice.text and notice.once


def test_a_key_of_a_pass_that_slipped_into_a_reserved_section_is_named(tmp_path: Path) -> None:
    settings = a_pass(tmp_path, f"{REQUIRED}[stream]\nverify = read-back\nexclude = x\n")
    assert settings.upload.verify == "validated"
    assert (
        "nor exclude, verify there: what a pass shall read belongs in [sync_to_azure]"
        in settings.notices[0].text
    )


def test_back_in_our_section(tmp_path: Path) -> None:
    settings = a_pass(tmp_path, f"{REQUIRED}[catalogue]\nx = 1\n[Sync-To-Azure]\nverify = read-back\n")
    assert settings.upload.verify == "read-back"
    assert settings.origin["verify"] == "azsync.cfg line 7"


@pytest.mark.parametrize("name", ["CATALOGUE_URL", "STREAM_X", "INGEST_PASSWORD", "CATALOGUE_MAIN_FOLDER"])
def test_a_variable_of_another_component_ends_no_pass(tmp_path: Path, name: str) -> None:
    assert a_pass(tmp_path, environ={f"SYNC_TO_AZURE_{name}": "x"}).notices == ()


def test_no_child_inherits_what_belongs_to_another_component() -> None:
    environ = {
        "SYNC_TO_AZURE_INGEST_PASSWORD": "x",
        "SYNC_TO_AZURE_SECRET": "y",
        "SYNC_TO_AZURE_TIMEOUT": "5",
    }
    assert sorted(not_for_children(environ | {"PATH": "/bin"})) == [
        "SYNC_TO_AZURE_INGEST_PASSWORD",
        "SYNC_TO_AZURE_SECRET",
    ]


def test_a_secret_in_any_section_needs_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    (tmp_path / "azsync.cfg").touch(mode=0o644)
    settings = a_pass(tmp_path, f"{REQUIRED}[stream]\nsmtp-password = x\n")
    assert "config-file-readable" in {notice.key for notice in settings.notices}


# The catalogue


def test_a_pass_leaves_the_catalogues_section_to_it(tmp_path: Path) -> None:
    file = f"{REQUIRED}[catalogue]\ndatabase = /data/catalogue.sqlite\nregoin = x\n"
    assert a_pass(tmp_path, file).notices == ()
    assert problems(tmp_path, f"{REQUIRED}database = x\n") == [
        "azsync.cfg line 4: key 'database' belongs in section [catalogue]"
    ]


def test_the_catalogues_database(tmp_path: Path) -> None:
    def database(file: str, environ: Mapping[str, str], given: Mapping[str, object]) -> str:
        (tmp_path / "azsync.cfg").touch(mode=0o600)
        (tmp_path / "azsync.cfg").write_text(file, encoding="utf-8")
        return load_catalogue(given, environ, tmp_path).database

    file = "state-file = state/l.sqlite\n"
    assert database(file, {}, {}) == str(tmp_path / "state" / "catalogue.sqlite"), "in the state folder"
    in_file = f"{file}[catalogue]\ndatabase = c.sqlite\n"
    assert database(in_file, {}, {}) == str(tmp_path / "c.sqlite")
    variable = {"SYNC_TO_AZURE_CATALOGUE_DATABASE": "postgresql://u:hunter2@h/d"}
    assert database(in_file, variable, {}) == "postgresql://u:hunter2@h/d"
    assert database(in_file, variable, {"database": "/x/y"}) == "/x/y"


def test_the_password_of_the_catalogue_is_a_secret(tmp_path: Path) -> None:
    settings = load_catalogue({"database": "postgresql://u:hunter%202@h/d"}, {}, tmp_path)
    assert settings.secrets == ("hunter%202", "hunter 2") and "hunter" not in repr(settings)
    assert "process lists" in settings.warnings[0] and "hunter" not in settings.warnings[0]


def test_a_typo_of_the_catalogue_ends_its_commands(tmp_path: Path) -> None:
    (tmp_path / "azsync.cfg").write_text("[catalogue]\ndatabse = x\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="unknown key 'databse'; did you mean 'database'"):
        load_catalogue({}, {}, tmp_path)


# Unknown


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("catalog", "unknown section [catalog]; did you mean [catalogue]?"),
        ("Streams", "unknown section [Streams]; did you mean [stream]?"),
        ("sync_to_azur", "unknown section [sync_to_azur]; did you mean [sync_to_azure]?"),
        ("familiy nextseq", "unknown section [familiy nextseq]; did you mean [family NAME]?"),
        ("family", "section [family] needs a name, such as [family nextseq-500]"),
        ("catalogue main", "unknown section [catalogue main]; did you mean [catalogue]?"),
        (
            "DEFAULT",
            "unknown section [DEFAULT]; sections are [sync_to_azure], [catalogue], [stream], [ingest], [family NAME]",
        ),
        ("", "unknown section (not repeated); sections are "),
        ("c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA==", "unknown section (not repeated); "),
    ],
)
def test_an_unknown_section_is_named_once_with_the_one_that_is_meant(
    tmp_path: Path, header: str, words: str
) -> None:
    [problem] = problems(tmp_path, f"{REQUIRED}[{header}]\nwhat = ever\nnonsense\n")
    assert problem.startswith(f"azsync.cfg line 4: {words}")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SYNC_TO_AZURE_MAIN_FOLDR", "SYNC_TO_AZURE_MAIN_FOLDER"),
        ("SYNC_TO_AZURE_CATALOG_URL", "SYNC_TO_AZURE_CATALOGUE_URL"),
        ("SYNC_TO_AZURE_STREAMS_URL", "SYNC_TO_AZURE_STREAM_URL"),
        ("sync_to_azure_timeout", "SYNC_TO_AZURE_TIMEOUT"),
    ],
)
def test_a_misspelt_variable_ends_a_pass(tmp_path: Path, name: str, meant: str) -> None:
    [problem] = problems(tmp_path, environ={name: "x"})
    assert problem.startswith(f"environment {name}: ") and problem.endswith(f"; did you mean '{meant}'?")


@pytest.mark.parametrize("header", ["[sync_to_azure] # back", "[sync_to_azure"])
def test_a_header_that_is_none_ends_a_pass_below_any_section(tmp_path: Path, header: str) -> None:
    [problem] = problems(tmp_path, f"{REQUIRED}[stream]\nx = 1\n{header}\nverify = read-back\n")
    assert problem == "azsync.cfg line 6: is no section: it must be [NAME] and nothing else"


@pytest.mark.parametrize("name", ["SYNC_TO_AZURE_", "SYNC_TO_AZURE_STREAM", "SYNC_TO_AZURE_FAMILY_X"])
def test_variables_that_are_nobodys_end_a_pass(tmp_path: Path, name: str) -> None:
    [problem] = problems(tmp_path, environ={name: "hunter2"})
    assert problem.startswith(f"environment {name}: unknown variable") and "hunter2" not in problem


def test_a_value_in_the_place_of_a_key_is_not_repeated_in_any_section(tmp_path: Path) -> None:
    secret = "c2VjcmV0" * 6
    for header in ("", "[family mgi]\n"):
        assert secret.lower() not in str(problems(tmp_path, f"{REQUIRED}{header}{secret}==\n")).lower()


def test_a_variable_that_only_looks_like_one_is_nobodys(tmp_path: Path) -> None:
    """A shell's own variable in small letters, and an empty one."""
    a_pass(tmp_path, environ={"sync_to_azure_home": "/opt", "SYNC_TO_AZURE_NONSENSE": " "})


# A component more


def test_a_new_component_is_one_entry(tmp_path: Path, with_kiosk: None) -> None:
    file = f"{REQUIRED}log-file = /var/log/pass.log\n[kiosk]\nurl = https://kiosk\nlog-file = /var/log/kiosk.log\n"
    environ = {"SYNC_TO_AZURE_KIOSK_TOKEN": "t", "SYNC_TO_AZURE_TIMEOUT": "5"}
    settings = a_pass(tmp_path, file, environ)
    assert settings.notices == () and str(settings.log.log_file) == "/var/log/pass.log"
    kiosk = a_kiosk(tmp_path, file, environ)
    assert kiosk.problems == []
    assert {key: str(value) for key, value in kiosk.values.items()} == {
        "config-file": str(tmp_path / "azsync.cfg"),
        "url": "https://kiosk",
        "log-file": "/var/log/kiosk.log",
        "token": "t",
    }
    assert kiosk.origin["url"] == "azsync.cfg line 6"
    assert kiosk.origin["token"] == "environment SYNC_TO_AZURE_KIOSK_TOKEN"


def test_its_typos_are_its_own_matter(tmp_path: Path, with_kiosk: None) -> None:
    file, environ = f"{REQUIRED}[kiosk]\nulr = x\ny\n", {"SYNC_TO_AZURE_KIOSK_ULR": "x"}
    a_pass(tmp_path, file, environ)
    assert a_kiosk(tmp_path, file, environ).problems == [
        "azsync.cfg line 5: unknown key 'ulr'; did you mean 'url'?",
        "azsync.cfg line 6: is not 'key = value', and not indented to go on with a key",
        "environment SYNC_TO_AZURE_KIOSK_ULR: unknown variable; did you mean 'SYNC_TO_AZURE_KIOSK_URL'?",
    ]


def test_the_typos_of_a_pass_are_not_its_matter(tmp_path: Path, with_kiosk: None) -> None:
    file = "main-foldr = x\n[kiosk]\nurl = y\n"
    assert a_kiosk(tmp_path, file, {}).problems == []
    unknown = a_kiosk(tmp_path, file, {"SYNC_TO_AZURE_KISOK_URL": "x"}, {"ulr": "x"}).problems
    assert unknown == [
        "command line: unknown option --ulr; did you mean 'url'?",
        "environment SYNC_TO_AZURE_KISOK_URL: unknown variable; did you mean 'SYNC_TO_AZURE_KIOSK_URL'?",
    ], "whose a variable is that nobody knows is not known: everybody ends for it"


def test_a_key_in_the_wrong_section_is_named_with_the_right_one(tmp_path: Path, with_kiosk: None) -> None:
    file = f"{REQUIRED}url = x\n[kiosk]\nverify = read-back\nlog-file = /x\n"
    assert problems(tmp_path, file) == [
        "azsync.cfg line 4: key 'url' belongs in section [kiosk]",
        "azsync.cfg line 6: key 'verify' belongs in section [sync_to_azure]",
    ]
    assert a_kiosk(tmp_path, file, {}).problems == [
        "azsync.cfg line 4: key 'url' belongs in section [kiosk]",
        "azsync.cfg line 6: key 'verify' belongs in section [sync_to_azure]",
    ]


def test_a_secret_that_has_no_place_in_a_file(tmp_path: Path, with_kiosk: None) -> None:
    [problem] = a_kiosk(tmp_path, "[kiosk]\ntoken = hunter2\n", {}).problems
    assert "give the environment variable SYNC_TO_AZURE_KIOSK_TOKEN" in problem and "hunter2" not in problem


# The registry


def test_no_variable_of_one_component_looks_like_one_of_another() -> None:
    for component in COMPONENTS:
        for name in component.variables:
            assert components.of_variable(name) is component


def test_sections_and_prefixes_are_there_once() -> None:
    assert len({each.section for each in COMPONENTS}) == len(COMPONENTS)
    prefixes = [each.prefix for each in COMPONENTS if each.prefix is not None]
    assert len(set(prefixes)) == len(prefixes)
    assert all(prefix.startswith(PASS.prefix or "") for prefix in prefixes)
