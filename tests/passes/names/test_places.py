"""Names of runs, of the main folder and of the destination that could be taken for something else: options, patterns,
queries, ways out. Each is carried as it is, or refused clearly."""

from __future__ import annotations

import os
import pathlib

import pytest

from tests.passes.scene import Scene, tree, write

RUNS = [
    "-rf",
    "--help",
    "-",
    ".hidden",
    "..hidden",
    " lead and trail ",
    "%41%2F%00",
    "#hash",
    "?sig=abcdefgh&sp=rwd",
    "[a-z]",
    "*",
    "a*b?c",
    "$(touch x)`id`;&|",
    "'\"<x>&amp;",
    "Größe 日本語",
    "in",  # the destination's own prefix
    "in.json.x",
    "R.SYNC",
    "{",
    "~",
    "RTAComplete.txt",
]


def test_runs_of_every_name(carrying: Scene) -> None:
    carrying.config["destination"] = "in"
    # AzCopy takes three seconds a run: those that it could take for something else.
    some = ["-rf", "%41%2F%00", "?sig=abcdefgh&sp=rwd", "a*b?c", "in"]
    runs = RUNS if carrying.config["uploader"] == "native" else some
    for number, name in enumerate(runs):
        carrying.make_run(name, {f"{number}.txt": name})
    carrying.run()
    for name in runs:
        assert carrying.is_published(f"in/{name}"), name
        run = carrying.main / name
        stored = {
            blob.name.removeprefix(f"in/{name}/"): carrying.get(blob.name)
            for blob in carrying.container.list_blobs(name_starts_with=f"in/{name}/")
        }
        nested = {key for other in runs if name == "in" for key in stored if key.startswith(f"{other}/")}
        assert {key: content for key, content in stored.items() if key not in nested} == tree(run), name
    before = carrying.etags()
    carrying.run("--thorough")
    assert carrying.etags() == before
    carrying.run("--only-run", "a[*]b[?]c", "--thorough")


@pytest.mark.parametrize(
    "folder",
    [
        b"st*r/deep*er*",
        b"que?stion#hash%41+",
        b"[a-z]{x}",
        b" blank and \xc3\xbc ",
        b"latin-\xe9",
        b"-dash",
        b"back\\slash",
        b"quote'\"$(id)",
    ],
)
def test_main_folders_of_every_name(carrying: Scene, folder: bytes) -> None:
    """AzCopy takes a * in a source for a pattern; others have taken more for more."""
    main = os.path.join(os.fsencode(carrying.folder), b"mains", folder)
    os.makedirs(main)
    # What the pattern would match besides.
    os.makedirs(os.path.join(os.fsencode(carrying.folder), b"mains", b"star", b"deeperer", b"R"))
    run = pathlib.Path(os.fsdecode(main)) / "R"
    write(run, {"Data/one.bcl": "one", "a*b?.txt": "odd", "RTAComplete.txt": ""})
    del carrying.config["main-folder"]
    carrying.run("--main-folder", os.fsdecode(main))
    assert carrying.is_published("R")
    assert tree(carrying.download("R") / "R") == tree(run)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("destination", "../x?sig="),
        ("destination", "../x"),
        ("destination", "a/../b"),
        ("destination", "a/./b"),
        ("destination", "x?comp=list"),
        ("destination", "x#y"),
        ("destination", "a\\b"),
        ("destination", "a//b"),
        ("destination", "https://evil.example/x?sv=1&sig=hidden-canary"),
        ("container-name", "../other"),
        ("container-name", "runs?restype=container"),
        ("container-name", "runs/x"),
        ("container-name", "$root"),
        ("storage-account", "lake.evil.example/"),
        ("blob-endpoint", "https://evil.example@127.0.0.1/lake"),
        ("blob-endpoint", "file:///etc"),
        ("blob-endpoint", "https://lake.blob.core.windows.net/?sv=1&sig=hidden-canary"),
        ("completion-flag", "../../etc/passwd"),
        ("tenant-id", "../../x?y="),
        ("application-id", "a b"),
        ("authority-host", "https://evil.example/a/b?c=d"),
        ("smtp-host", "mail:25/x"),
        ("log-recipient", "a@b\r\nBcc: c@d"),
        ("access-tier", "Hot --recursive"),
    ],
)
def test_options_that_could_be_taken_for_more_are_refused(scene: Scene, key: str, value: str) -> None:
    scene.make_run("R")
    scene.config.pop(key, None)
    outcome = scene.run(f"--{key}={value}", expect=2)
    assert key in outcome.stderr and "Traceback" not in outcome.stderr
    assert "hidden-canary" not in outcome.output
    assert scene.etags() == {} and not scene.ledger.exists()


@pytest.mark.parametrize(
    "destination",
    ["100% sure+", "a&b=c", "s*r", "%2e%2e/x", "--recursive", "ü/日本", "a b/c:d@e", "x'\"$(id)"],
)
def test_destinations_are_taken_as_they_are(carrying: Scene, destination: str) -> None:
    run = carrying.make_run("R")
    carrying.config["destination"] = destination
    carrying.run()
    stored = {name for name in carrying.etags() if name.startswith(f"{destination}/R/")}
    assert stored == {f"{destination}/R/{name}" for name in tree(run)}
    assert all(name.startswith(f"{destination}/R") for name in carrying.etags())
    assert carrying.is_published(f"{destination}/R")
    carrying.check_sums(f"{destination}/R")
