"""A source that moves while it is carried: nothing failed or is published; the next pass carries what is there.

AzCopy is the real one, with a change just before it starts or just after it ended; or the change falls together with
its first request, which a proxy before the server sees.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import shlex
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from embedded.azurite import Azurite
from tests.passes.bad_input.faults import Proxy, azcopy_that, blobs, told, write_run

Run = Callable[..., Any]

CHANGES = {
    "grows": "echo more >> {file}",
    "shrinks": "echo less > {file}",
    "vanishes": "rm {file}",
    "becomes a folder": "rm {file}; mkdir {file}",
    "becomes a full folder": "rm {file}; mkdir {file}; echo secret-of-others > {file}/inside",
    "becomes a link": "rm {file}; ln -s {secret} {file}",
    "becomes another": "touch -r {file} {file}.time; head -c 3000 /dev/urandom > {file}.new; mv {file}.new {file}",
    "a new one comes": "echo new > {file}.new",
}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_changes(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    azcopy: pathlib.Path,
    container: Any,
    tmp_path: pathlib.Path,
    change: str,
    moment: str,
) -> None:
    folder = write_run(main_folder, "run", size=3000)
    secret = tmp_path / "secret-of-others"
    secret.write_text("secret-of-others", encoding="utf-8")
    file = folder / "Data" / "1.bcl"
    script = CHANGES[change].format(file=shlex.quote(str(file)), secret=shlex.quote(str(secret)))
    wrapper = azcopy_that(tmp_path / "wrapper", azcopy, **{moment: script})
    outcome = run_command(config=everyday | {"azcopy": wrapper, "retry-times": 1})
    told(outcome, 0, "files changed during the upload", "the waiting time starts again")
    assert not {"run.sync", "run.json", "run.md5"} & blobs(container)
    for blob in container.list_blobs():
        assert b"secret-of-others" not in container.download_blob(blob.name).readall(), blob.name
    for left in file.parent.glob("*.time"):
        left.unlink()
    outcome = run_command(config=everyday)
    if change == "becomes a link":
        told(outcome, 1, "Data/1.bcl (symlink-outside: to")
        return
    told(outcome, 0, "run: published")
    assert json.loads(container.download_blob("run.json").readall())["schema"] == 1
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            name = f"run/{path.relative_to(folder)}"
            assert container.download_blob(name).readall() == path.read_bytes(), name


@pytest.mark.parametrize("change", ["grows", "shrinks", "vanishes"])
def test_a_large_file_changes_while_azcopy_sends_it(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    azurite: Azurite,
    container: Any,
    change: str,
) -> None:
    folder = write_run(main_folder, "run", files=1, size=20_000_000)
    file = folder / "Data" / "0.bcl"
    seen: list[str] = []

    def act(request: str) -> None:
        if request.startswith("PUT") and "0.bcl" in request and not seen:
            seen.append(request)
            if change == "grows":
                with file.open("ab") as handle:
                    handle.write(b"more")
            elif change == "shrinks":
                with file.open("r+b") as handle:
                    handle.truncate(1000)
            else:
                file.unlink()

    with Proxy(azurite.port, act) as proxy:
        config = everyday | {"blob-endpoint": proxy.endpoint, "retry-times": 1}
        told(run_command(config=config), 0, "files changed during the upload")
        assert seen and not {"run.sync", "run.json", "run.md5"} & blobs(container)
        told(run_command(config=config), 0, "run: published")
    there = container.get_blob_client("run/Data/0.bcl")
    if change != "vanishes":
        assert there.download_blob().readall() == file.read_bytes()


def test_a_run_vanishes_in_the_middle(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    azurite: Azurite,
    container: Any,
) -> None:
    """The others are carried; that it is gone is told once, in the next pass."""
    folder = write_run(main_folder, "a", size=100_000)
    write_run(main_folder, "b")

    def act(request: str) -> None:
        if request.startswith("PUT") and "/a/" in request:
            shutil.rmtree(folder, ignore_errors=True)  # several lines at once

    with Proxy(azurite.port, act) as proxy:
        config = everyday | {"blob-endpoint": proxy.endpoint, "retry-times": 1, "timeout": 40}
        outcome = run_command(config=config)
        told(outcome, outcome.returncode, "b: published")
        assert outcome.returncode in (0, 1) and "a.sync" not in blobs(container)
        told(run_command(config=config), 1, "a: its folder vanished before it was uploaded")
        told(run_command(config=config), 0)
    assert "a.sync" not in blobs(container) and "b.sync" in blobs(container)


def test_the_main_folder_vanishes_in_the_middle(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    azurite: Azurite,
    container: Any,
) -> None:
    write_run(main_folder, "a", size=100_000)
    write_run(main_folder, "b")
    away = main_folder.with_name("away")

    taken: list[str] = []

    def act(request: str) -> None:
        if request.startswith("PUT") and "/a/Data/" in request and not taken:
            taken.append(request)
            with contextlib.suppress(FileNotFoundError):  # several lines at once
                main_folder.rename(away)

    with Proxy(azurite.port, act) as proxy:
        config = everyday | {"blob-endpoint": proxy.endpoint, "retry-times": 1, "timeout": 40}
        outcome = run_command(config=config)
        told(outcome, outcome.returncode)
        told(run_command(config=config), 3, f"main folder {main_folder} is not there")
        assert not {"a.sync", "b.sync"} & blobs(container)
        away.rename(main_folder)
        told(run_command(config=config), 0, "a: published", "b: published")
