"""Text of others cannot act on a terminal, in a log, in a mail: a whole story of runs and files with names that try it,
through every command. And what is suggested to be pasted is right although its name is odd."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import typing
import unicodedata

import hypothesis
import pytest
from hypothesis import strategies

from sync_to_azure.notify import output
from tests.passes import conftest as passes
from tests.passes import test_mail
from tests.passes.scene import FLAG, Scene, write

proxy = passes.proxy
azcopy_calls = passes.azcopy_calls
scene = passes.scene
postbox = test_mail.postbox

ACTS = "a\u202eb\u200b\u2066c\x7f\x9b31m\x85d' e$(id)"
"""Of what a blob's name, and so a run, may hold: direction, nothing to see, the C1 form of ESC [."""
REFUSED = ("esc\x1b]0;owned\x07\x1b[2J", "line\nsync_to_azure: forged", "back\rover", "lone\udcff")
"""What no run may hold; it is told of all the same."""


def acting(text: str) -> list[str]:
    """What must reach no terminal: written apart from the product."""
    return [
        repr(each)
        for each in text
        if each != "\n" and unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn")
    ]


def clean(outcome: typing.Any) -> str:
    text = str(outcome.output)
    # Python wrote bytes; what was no UTF-8 would be a replacement character here.
    assert not acting(text) and "\ufffd" not in text, text
    assert not re.search(r"^(sync_to_azure: )?forged", text, re.MULTILINE), text
    return text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write everywhere")
def test_every_command_over_names_that_act(scene: Scene, postbox: typing.Any) -> None:
    scene.config |= {
        "uploader": "native",
        "log-file": scene.folder / "x.log",
        "log-level": "DEBUG",
        "metrics-file": scene.folder / "x.prom",
        "state-file": scene.folder / "le\u202edger.sqlite",
        "log-recipient": "lab@example.org",
        "smtp-host": "127.0.0.1",
        "smtp-port": postbox.port,
        "smtp-security": "none",
    }
    run = scene.make_run(ACTS, {f"Data/{ACTS}.bcl": "one"})
    for name in REFUSED:
        write(scene.main / os.fsdecode(os.fsencode(name)), {FLAG: "", "x": "x"})
        write(run, {f"Data/{name}": "x"})
    (scene.main / "stray\x1b[2J").write_text("x")
    commands: list[tuple[str, ...]] = [
        ("--dry-run",),
        (),
        ("status",),
        ("status", ACTS),
        ("status", "--json"),
        ("explain", ACTS),
        ("audit",),
        ("audit", "--read-back", "--run", ACTS),
        ("check",),
        ("settings",),
        ("hold", ACTS, "--reason", REFUSED[0]),
        ("explain", ACTS),
        (),
        ("release", ACTS, "--reason", ACTS),
        ("retry", ACTS),
        ("report", "--output", str(scene.folder / "pages")),
        ("restore", ACTS, "--to", str(scene.folder / f"back{ACTS}")),
    ]
    for refused in REFUSED:
        commands += [("explain", refused), ("hold", refused), ("status", refused), ("restore", refused)]
        commands += [(refused,), ("status", f"--{refused}"), ("status", "--state", refused)]
        commands += [("status", "--since", refused), ("report", "--output", "x", "--days", refused)]
        commands += [
            ("settings", "--exclude", refused),
            ("--main-folder", refused),
            ("audit", "--budget", refused),
        ]
    for arguments in commands:
        outcome = scene.run_command(*arguments, config=scene.config)
        assert "Traceback" not in outcome.output, outcome.output
        text = clean(outcome)
        if arguments[-1:] == ("--json",):
            names = {each["run"] for each in json.loads(outcome.stdout)["runs"]}
            assert ACTS in names
        assert arguments[:1] != ("explain",) or arguments[1] != ACTS or "\\u202e" in text
    # The published file becomes another: flagged, mailed, and offered to be accepted.
    (run / "Data" / f"{ACTS}.bcl").write_text("two!")
    for arguments in (("--thorough",), ("explain", ACTS), ("status",), ("accept", ACTS, "--yes"), ()):
        clean(scene.run_command(*arguments, config=scene.config))
    for path in (scene.folder / "x.log", scene.folder / "x.prom", *(scene.folder / "pages").rglob("*.html")):
        assert not acting(path.read_bytes().decode("utf-8")), path
    assert postbox.mails
    for mail in postbox.mails:
        assert not acting(str(mail["Subject"]))
        assert not acting(mail.get_payload(decode=True).decode("utf-8").replace("\r\n", "\n"))


WORD = strategies.text(strategies.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1)


@hypothesis.settings(max_examples=60)
@hypothesis.given(strategies.lists(WORD, min_size=20, max_size=20))
@hypothesis.example([ACTS, *REFUSED[:3], "'", "\\", "\x1b1", "\x7f9", "a\\x1b\u202e", "--x\u202e"])
def test_a_quoted_word_is_the_word_in_a_shell(words: list[str]) -> None:
    line = " ".join(map(output.quoted, words))
    assert not acting(line)
    shell = ["bash", "-c", f"printf '%s\\0' {line}"]
    done = subprocess.run(
        shell, capture_output=True, check=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    )
    assert done.stdout.decode("utf-8").split("\0")[:-1] == words


def test_what_is_suggested_can_be_pasted(scene: Scene) -> None:
    """The very line that explain shows, given to a shell."""
    scene.config["uploader"] = "native"
    scene.make_run(ACTS)
    scene.run()
    scene.run("hold", ACTS)
    said = " ".join(scene.run("explain", ACTS).stdout.split())
    found = re.search(r"(sync_to_azure release .*?) undoes this", said)
    assert found is not None and not acting(found[1])
    bin_folder = scene.folder / "bin"
    bin_folder.mkdir()
    (bin_folder / "sync_to_azure").write_text('#!/bin/sh\nprintf "%s\\0" "$@"\n')
    (bin_folder / "sync_to_azure").chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", found[1]], capture_output=True, check=True, env={"PATH": f"{bin_folder}:/usr/bin:/bin"}
    )
    assert done.stdout.decode("utf-8").split("\0")[:2] == ["release", ACTS]


def test_colours_of_ours_stay_and_others_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    output.show("\x1b[1;31mred\x1b[0m \x1b[2J\x07", coloured=True)
    output.show("\x1b[31mred")
    assert capsys.readouterr().out == "\x1b[1;31mred\x1b[0m \\x1b[2J\\x07\n\\x1b[31mred\n"


def test_the_paths_that_are_written_are_what_they_are(scene: Scene, tmp_path: pathlib.Path) -> None:
    """Quoting is for eyes: what is carried keeps its name."""
    scene.config["uploader"] = "native"
    run = scene.make_run(ACTS, {f"Data/{ACTS}": "one"})
    scene.run()
    assert f"{ACTS}/Data/{ACTS}" in scene.etags()
    scene.run("restore", ACTS, "--to", tmp_path / "back")
    assert (tmp_path / "back" / ACTS / "Data" / ACTS).read_text() == (run / "Data" / ACTS).read_text()
