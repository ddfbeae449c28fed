"""`.ci/release ready`: what holds a release up, in a small tree of its own."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest

from embedded.tools import PROJECT

pytestmark = pytest.mark.xdist_group("vm")

CHANGES = """# Changes

## Unreleased

- soon

## 1.2.3 (2026-11-22)

### Added

- a thing

## 1.2.2

- old
"""


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in ("sync_to_azure", ".ci", "container"):
        (tmp_path / name).mkdir()
    shutil.copy(PROJECT / ".ci" / "release", tmp_path / ".ci")
    shutil.copy(PROJECT / "container" / "image", tmp_path / "container")
    (tmp_path / "sync_to_azure" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGES)
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(tree: pathlib.Path, *words: str) -> str:
    given = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    ended = subprocess.run(["git", *given, *words], cwd=tree, capture_output=True, text=True, check=True)
    return ended.stdout.strip()


def commit(tree: pathlib.Path) -> None:
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", "a state")


def ready(tree: pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", ".ci/release", "ready"], cwd=tree, capture_output=True, text=True)


def test_all_is_well(tree: pathlib.Path) -> None:
    said = ready(tree)
    assert (said.returncode, said.stdout) == (0, "release: 1.2.3 is ready (1 changes told)\n")


def test_all_that_is_wrong_is_told_at_once(tree: pathlib.Path) -> None:
    (tree / "sync_to_azure" / "__init__.py").write_text('__version__ = "1.2.4"\n')
    git(tree, "tag", "v1.2.4")
    said = ready(tree)
    assert said.returncode == 1
    assert "nothing below '## 1.2.4'" in said.stderr
    assert "the tag v1.2.4 is taken" in said.stderr
    assert "not as committed" in said.stderr


def test_a_version_needs_its_own_heading_with_something_below(tree: pathlib.Path) -> None:
    (tree / "CHANGELOG.md").write_text(CHANGES.replace("- a thing\n", ""))
    commit(tree)
    assert "nothing below '## 1.2.3'" in ready(tree).stderr


def image(tree: pathlib.Path, verb: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "container/image", verb],
        cwd=tree,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tree)} | environment,
        capture_output=True,
        text=True,
    )


def test_an_image_is_named_by_its_commit(tree: pathlib.Path) -> None:
    short = git(tree, "rev-parse", "--short", "HEAD")
    assert image(tree, "name").stdout == f"cfbregistry.azurecr.io/sync_to_azure:{short}\n"
    assert (
        image(tree, "name", REGISTRY="other:5000", TAG="1.2.3").stdout == "other:5000/sync_to_azure:1.2.3\n"
    )


def test_a_tree_that_is_not_as_committed_has_no_name_but_a_given_one(tree: pathlib.Path) -> None:
    (tree / "new").touch()
    for verb in ("tag", "build", "push"):
        refused = image(tree, verb)
        assert refused.returncode == 2, refused.stdout
        assert "the tree is not as committed" in refused.stderr
    assert image(tree, "tag", TAG="trial").stdout == "trial\n"
    assert "is no tag" in image(tree, "tag", TAG="a b").stderr


def test_an_engine_that_is_not_there_is_told(tree: pathlib.Path) -> None:
    refused = image(tree, "build", DOCKER="nowhere")
    assert refused.returncode == 2 and "DOCKER=nowhere: there is no such command" in refused.stderr
