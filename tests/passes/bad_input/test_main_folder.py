"""A main folder that cannot be believed: exit code 3, and nothing on record is forgotten."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable
from typing import Any

from tests.passes.bad_input.faults import blobs, broken_file, told, write_run

Run = Callable[..., Any]


def test_missing(run_command: Run, everyday: dict[str, object], tmp_path: pathlib.Path) -> None:
    path = tmp_path / "nowhere"
    told(
        run_command(config=everyday | {"main-folder": path}), 3, f"main folder {path} is not there", "mounted"
    )


def test_a_file(run_command: Run, everyday: dict[str, object], tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.touch()
    told(run_command(config=everyday | {"main-folder": path}), 2, f"main folder {path} is not a folder")


def test_empty_with_nothing_on_record(run_command: Run, everyday: dict[str, object]) -> None:
    told(run_command(config=everyday), 0, "WARNING", "holds no runs")


def test_empty_where_runs_were(
    run_command: Run, everyday: dict[str, object], main_folder: pathlib.Path
) -> None:
    folder = write_run(main_folder, "run", complete=False)
    told(run_command(config=everyday), 0, "run: waiting: RTAComplete.txt is missing")
    shutil.rmtree(folder)
    told(
        run_command(config=everyday),
        3,
        str(main_folder),
        "is empty, but 1 runs were there before",
        "mounted?",
    )
    write_run(main_folder, "run", complete=False)
    told(run_command(config=everyday), 0, "run: waiting: RTAComplete.txt is missing")


def test_not_readable(run_command: Run, everyday: dict[str, object], main_folder: pathlib.Path) -> None:
    main_folder.chmod(0)
    told(
        run_command(config=everyday, unprivileged=True),
        3,
        f"main folder {main_folder} cannot be read: Permission denied",
        "permissions",
    )


def test_below_a_folder_that_may_not_be_entered(
    run_command: Run, everyday: dict[str, object], tmp_path: pathlib.Path
) -> None:
    """It may well be there: to say that it is not sends people to the wrong place."""
    above = tmp_path / "above"
    (above / "main").mkdir(parents=True)
    above.chmod(0)
    outcome = run_command(config=everyday | {"main-folder": above / "main"}, unprivileged=True)
    above.chmod(0o700)
    told(outcome, 3, f"main folder {above / 'main'} cannot be read: Permission denied")


def test_the_sample_sheet_folder_is_missing(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    container: Any,
) -> None:
    write_run(main_folder, "run")
    sheets = tmp_path / "sheets"
    told(run_command(config=everyday | {"samplesheet-folder": sheets}), 3, f"sample sheet folder {sheets}")
    assert blobs(container) == set()


def test_a_run_folder_that_may_not_be_read_does_not_stop_the_others(
    run_command: Run, everyday: dict[str, object], main_folder: pathlib.Path, container: Any
) -> None:
    locked, _ = write_run(main_folder, "locked"), write_run(main_folder, "open")
    locked.chmod(0)
    outcome = run_command(config=everyday, unprivileged=True)
    locked.chmod(0o700)
    assert "open.sync" in blobs(container) and not any(name.startswith("locked") for name in blobs(container))
    told(outcome, 1, f"{locked} cannot be read: Permission denied", "check its permissions")


def test_a_source_that_answers_with_an_input_output_error(
    run_command: Run, everyday: dict[str, object], main_folder: pathlib.Path, container: Any
) -> None:
    folder = write_run(main_folder, "a-broken", files=1)
    write_run(main_folder, "b-whole", files=1)
    with broken_file(folder / "Data" / "broken.bcl"):
        outcome = run_command(config=everyday)
    told(outcome, 1, "a-broken", "broken.bcl cannot be read: Input/output error")
    assert "b-whole.sync" in blobs(container) and "a-broken.sync" not in blobs(container)
    told(run_command(config=everyday), 0)
    assert "a-broken.sync" in blobs(container)
