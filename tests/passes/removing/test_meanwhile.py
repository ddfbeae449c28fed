"""Something changes between the verdict and the removal, at the source or at the destination."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import typing

import pytest

from embedded.tools import PROJECT
from tests.conftest import LONG
from tests.passes.proxy import Proxy
from tests.passes.scene import FLAG, Scene, tree, write
from tests.passes.removing import meanwhile
from tests.passes.removing.conftest import ASIDE, Contents
from tests.warm_start import for_cold

POINTS = {"before it is seen again": meanwhile.MOVED, "after the gate": meanwhile.DECIDED}


@pytest.fixture
def precious(scene: Scene) -> pathlib.Path:
    """Files outside of the run, of the same names, sizes and times as its own."""
    folder = scene.folder / "precious"
    write(folder, {"one.bcl": "ONE", "RunInfo.xml": "<RUN/>", FLAG: ""})
    return folder


def published(scene: Scene, precious: pathlib.Path, contents: Contents) -> None:
    run = scene.make_run("R")
    for path in (run / "Data" / "one.bcl", run / "RunInfo.xml", run / FLAG):
        os.utime(path, ns=(10**18, 10**18))
        os.utime(precious / path.name, ns=(10**18, 10**18))
    contents.take("R")
    scene.config["remove-source"] = "false"
    scene.run()
    scene.config["remove-source"] = "true"


def struck(scene: Scene, point: tuple[str, str], code: str, expect: int = 0) -> typing.Any:
    done = scene.run(
        expect=expect, environment=meanwhile.environment(scene.folder, scene.main, "R", (point, code))
    )
    assert "MEANWHILE DONE" in done.stderr
    return done


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize(
    "code, state",
    [
        ("(ASIDE / 'Data/one.bcl').write_text('another')", ("flagged", "changed-after-verification")),
        ("(ASIDE / 'Data/one.bcl').write_text('ONE')", ("flagged", "changed-after-verification")),
        ("(ASIDE / 'Data/late.bcl').write_text('late')", ("removed", None)),
        ("(ASIDE / 'Late').mkdir(); (ASIDE / 'Late' / 'late.bcl').write_text('late')", ("removed", None)),
        ("(ASIDE / 'Data/one.bcl').unlink()", ("removed", None)),
        ("os.link(ASIDE / 'Data/one.bcl', ASIDE / 'hard link')", ("removed", None)),
        (
            "(ASIDE / 'Data/one.bcl').unlink(); (ASIDE / 'Data/one.bcl').symlink_to(MAIN.parent / 'precious/one.bcl')",
            ("published", None),
        ),
        (
            "shutil.rmtree(ASIDE / 'Data'); (ASIDE / 'Data').symlink_to(MAIN.parent / 'precious')",
            ("published", None),
        ),
        ("HOME.mkdir(); (HOME / 'new').write_text('the instrument starts again')", ("removed", None)),
    ],
    ids=[
        "changed",
        "changed, same size",
        "added",
        "added in a new folder",
        "gone",
        "hard linked",
        "a symlink instead",
        "its folder a symlink",
        "the run again",
    ],
)
def test_the_source_changes(
    scene: Scene,
    precious: pathlib.Path,
    contents: Contents,
    point: tuple[str, str],
    code: str,
    state: tuple[str, str | None],
) -> None:
    published(scene, precious, contents)
    before = tree(precious)
    added = {"late.bcl": b"late", "new": b"the instrument starts again", "hard link": b"one"}
    struck(scene, point, code)
    contents.check()
    assert tree(precious) == before
    for _ in range(3):
        scene.run_command(config=scene.config)
        contents.check()
    assert tree(precious) == before and scene.state("R") == state
    if state[0] == "removed":
        assert list(scene.main.iterdir()) == []
        here = tree(scene.download("R") / "R")
        for path, content in added.items():
            if path in code:
                assert content in [here[each] for each in here if each.endswith(path)]
    else:
        assert scene.get("R/Data/one.bcl") == b"one", "the good copy was kept"
    assert scene.run_command(config=scene.config).returncode == 0, "and is told once"
    scene.check_sums("R")


def namespace(
    scene: Scene, environment: dict[str, str], mount: str = ":"
) -> "subprocess.CompletedProcess[str]":
    path = scene.folder / "namespace.cfg"
    path.write_text("".join(f"{key} = {value}\n" for key, value in scene.config.items()), encoding="utf-8")
    command = [sys.executable, "-m", "sync_to_azure", "--config-file", str(path)]
    return subprocess.run(
        ["unshare", "--mount", "sh", "-ec", f'{mount}\nexec "$@"', "sh", *command],
        cwd=scene.folder,
        env=for_cold(scene.start_command.clean_environment() | environment, PROJECT),
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )


def test_a_bind_mount_inside_the_run(scene: Scene, precious: pathlib.Path, contents: Contents) -> None:
    """Of the same file system, with files of the same names, sizes and times: only the mount's number differs."""
    published(scene, precious, contents)
    before = tree(precious)
    mount = f"mount --bind {precious} {scene.main}/R/Data"
    first = namespace(scene, {}, mount)
    assert first.returncode == 1 and "R is not removed: something is mounted inside it" in first.stderr
    second = namespace(scene, {}, mount)
    assert second.returncode == 0 and "ERROR" not in second.stderr
    assert tree(precious) == before and tree(scene.main / "R").keys() == {"Data/one.bcl", "RunInfo.xml", FLAG}
    scene.run()
    assert list(scene.main.iterdir()) == []


def test_a_bind_mount_comes_after_the_gate(scene: Scene, precious: pathlib.Path, contents: Contents) -> None:
    """A folder that is refused must not pass for the run's own, whose files come after it."""
    published(scene, precious, contents)
    before = tree(precious)
    code = (
        "subprocess.run(['mount', '--bind', str(MAIN.parent / 'precious'), str(ASIDE / 'Data')], check=True)"
    )
    point = meanwhile.environment(scene.folder, scene.main, "R", (meanwhile.DECIDED, code))
    done = namespace(scene, point)
    assert "MEANWHILE DONE" in done.stderr, done.stderr
    assert tree(precious) == before
    contents.check()
    scene.run()
    assert list(scene.main.iterdir()) == [] and tree(precious) == before
    scene.check_sums("R")


def test_hard_links_lose_one_name_only(scene: Scene) -> None:
    run = scene.make_run("R")
    os.link(run / "Data" / "one.bcl", run / "two.bcl")
    os.link(run / "Data" / "one.bcl", scene.folder / "outside.bcl")
    scene.run()
    assert list(scene.main.iterdir()) == [] and scene.get("R/two.bcl") == b"one"
    assert (scene.folder / "outside.bcl").read_bytes() == b"one"


def test_a_persons_word_comes_when_it_stands_aside(
    scene: Scene, precious: pathlib.Path, contents: Contents
) -> None:
    """Asked anew before the first unlink: nothing goes until the run is released."""
    published(scene, precious, contents)
    config = scene.folder / "word.cfg"
    config.write_text("".join(f"{key} = {value}\n" for key, value in scene.config.items()), encoding="utf-8")
    clean = dict(scene.start_command.clean_environment())
    command = [sys.executable, "-m", "sync_to_azure", "hold", "R", "--config-file", str(config)]
    struck(scene, meanwhile.MOVED, f"subprocess.run({command!r}, env={clean!r}, check=True)")
    files = {"Data/one.bcl", "RunInfo.xml", FLAG}
    assert tree(scene.main / "R").keys() == files, "under its own name again, where a person looks for it"
    scene.run()
    assert tree(scene.main / "R").keys() == files
    scene.run_command("release", "R", config=scene.config)
    scene.run()
    assert list(scene.main.iterdir()) == []


def listings(proxy: Proxy, number: int, do: typing.Callable[[], None]) -> list[int]:
    """``do`` is called before the ``number``-th listing of R is answered."""
    seen: list[int] = []

    def before(method: str, path: str) -> None:
        if "prefix=R/" in path:
            seen.append(len(seen) + 1)
            if len(seen) == number:
                do()

    proxy.before = before
    return seen


@pytest.mark.parametrize("number", [1, 2])
def test_a_blob_becomes_another(
    scene: Scene, proxy: Proxy, precious: pathlib.Path, contents: Contents, number: int
) -> None:
    """Before it is moved aside, and after."""
    published(scene.through(proxy), precious, contents)
    seen = listings(proxy, number, lambda: scene.put("R/Data/one.bcl", b"ONE"))
    told = scene.run(expect=2 - number).output
    assert len(seen) == number and "1 blobs are missing or wrong" in told
    assert ("put back at the source" in told) == (number == 2)
    contents.check()
    assert tree(scene.main / "R").keys() == {"Data/one.bcl", "RunInfo.xml", FLAG}
    scene.run("--thorough")
    assert list(scene.main.iterdir()) == [] and scene.get("R/Data/one.bcl") == b"one"


def test_a_blob_is_written_anew_with_the_same_bytes(
    scene: Scene, proxy: Proxy, precious: pathlib.Path, contents: Contents
) -> None:
    """Another ETag: what was proved does not count any more; it is read back."""
    published(scene.through(proxy), precious, contents)
    listings(proxy, 2, lambda: scene.put("R/Data/one.bcl", b"one"))
    scene.run()
    assert ("GET", f"/devstoreaccount1/{scene.container.container_name}/R/Data/one.bcl") in proxy.seen
    assert list(scene.main.iterdir()) == []


def test_a_blob_is_corrupt_under_its_md5(
    scene: Scene, proxy: Proxy, precious: pathlib.Path, contents: Contents
) -> None:
    published(scene.through(proxy), precious, contents)
    listings(proxy, 2, lambda: scene.put("R/Data/one.bcl", b"ONE", md5_of=b"one"))
    assert "they were sent again" in scene.run().output
    contents.check()
    scene.run()
    assert list(scene.main.iterdir()) == [] and scene.get("R/Data/one.bcl") == b"one"


def test_the_lake_is_asked_again_when_the_proof_is_old(
    scene: Scene, proxy: Proxy, precious: pathlib.Path, contents: Contents
) -> None:
    """Unlinking takes longer than a proof lasts, and meanwhile a blob whose file is still here is overwritten."""
    published(scene.through(proxy), precious, contents)
    seen = listings(proxy, 3, lambda: scene.put(f"R/{FLAG}", b"overwritten"))
    old = (
        ("os.remove", "one.bcl"),
        "sys.modules['sync_to_azure.transfer.steps.moved_aside'].PROOF_LASTS = -1.0",
    )
    fresh = (
        ("os.scandir", "removing-"),
        "sys.modules['sync_to_azure.transfer.steps.moved_aside'].PROOF_LASTS = 300.0",
    )
    point = meanwhile.environment(scene.folder, scene.main, "R", old, fresh)
    done = scene.run(environment=point)
    assert done.stderr.count("MEANWHILE DONE") == 2 and len(seen) == 3
    assert "put back at the source: 1 blobs are missing or wrong" in done.output
    assert tree(scene.main / "R").keys() == {"RunInfo.xml", FLAG}
    contents.check()
    scene.run("--thorough")
    assert list(scene.main.iterdir()) == [] and scene.get(f"R/{FLAG}") == b""
    scene.check_sums("R")


@pytest.mark.parametrize("other", ["true", "false"], ids=["both remove", "one puts back"])
def test_two_machines(scene: Scene, contents: Contents, other: str) -> None:
    names = [f"R{number}" for number in range(6)]
    for name in names:
        scene.make_run(name, {f"Data/{number}.bcl": f"{number}" for number in range(20)})
    contents.take(*names)
    # One is not finished: a main folder that somebody else emptied would pass for a share that is not mounted.
    write(scene.main / "UNFINISHED", {"RunInfo.xml": "<run/>"})
    scene.config["remove-source"] = "false"
    scene.run()
    mine = scene.config | {"remove-source": "true"}
    theirs = scene.config | {"remove-source": other, "state-file": scene.folder / "other.sqlite"}
    for _ in range(3):
        both = [scene.start_command(config=config) for config in (mine, theirs)]
        for process in both:
            _, stderr = process.communicate(timeout=LONG)
            assert "Traceback" not in stderr and "internal error" not in stderr
        contents.check()
    for config in (mine, theirs, mine):
        scene.run_command(config=config)
    assert [path.name for path in scene.main.iterdir()] == ["UNFINISHED"]
    for name in names:
        scene.check_sums(name)
    scene.config |= mine
    scene.run(expect=0)


def test_what_stands_aside_and_is_not_ours(scene: Scene, precious: pathlib.Path) -> None:
    (scene.main / f"{ASIDE}LINK").symlink_to(precious)
    (scene.main / f"{ASIDE}FILE").write_text("a file")
    scene.make_run("LINK")
    first = scene.run(expect=1)
    assert first.stderr.count("is a file or a symbolic link, not a folder") == 2
    assert "ERROR" not in scene.run().output
    assert (
        tree(precious).keys() == {"one.bcl", "RunInfo.xml", FLAG}
        and (scene.main / f"{ASIDE}LINK").is_symlink()
    )
    assert (scene.main / f"{ASIDE}FILE").read_text() == "a file"
