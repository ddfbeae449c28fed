"""``[family NAME]`` of the config file: the completion flag of one family of instruments."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.settings import Settings, load

REQUIRED = "main-folder = /data/runs\nstorage-account = acc\ncontainer-name = runs\n"


def a_pass(folder: Path, text: str) -> Settings:
    """What the file says; the secret stands for a login that is given elsewhere."""
    (folder / "azsync.cfg").touch(mode=0o600)
    (folder / "azsync.cfg").write_text(REQUIRED + text, encoding="utf-8")
    return load({"auth": "default"}, {}, folder)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        a_pass(folder, text)
    return list(caught.value.problems)


@pytest.mark.parametrize("name", ["nextseq-500", "NextSeq_500", "nextseq 500"])
def test_each_family_has_its_flags(tmp_path: Path, name: str) -> None:
    text = (
        f"completion-flag = all.txt\n[family {name}]\nCompletion-Flag = a.txt, b.txt\n  c.txt\n[family mgi]\n"
    )
    settings = a_pass(tmp_path, text)
    assert settings.completion.family_flags == {"nextseq-500": ("a.txt", "b.txt", "c.txt")}
    assert settings.completion.completion_flag == ("all.txt",) and settings.notices == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[family novaseqx]\n", "azsync.cfg line 4: no family [family novaseqx]; did you mean 'novaseq-x'?"),
        (
            "[family proteomics]\ncompletion-flag = a\n",
            "azsync.cfg line 4: [family proteomics]: such a folder is never done, so no flag ends it; leave it out",
        ),
        (
            "[family mgi]\ncompletion-flag = a, b/c\n",
            "azsync.cfg line 5: completion-flag of family mgi 'b/c' is not the name of a file in the run folder",
        ),
        (
            "[family mgi]\ncompletion-flags = a\n",
            "azsync.cfg line 5: key 'completion-flags' has no place in a section of a family: only completion-flag"
            " does",
        ),
        (
            "[family mgi]\nremove-source = yes\n",
            "azsync.cfg line 5: key 'remove-source' belongs in section [sync_to_azure]",
        ),
        (
            "[family mgi]\nnothing\n",
            "azsync.cfg line 5: is not 'key = value', and not indented to go on with a key",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, problem: str) -> None:
    assert problems(tmp_path, text) == [problem]
