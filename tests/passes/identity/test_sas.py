"""A SAS, the user's or one that we make of the account's key: whole passes, what process lists show, and its end."""

from __future__ import annotations

import datetime
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from embedded.azurite import Azurite
from tests.conftest import LONG
from tests.passes.bad_input.faults import Proxy, assert_no_secret, blobs, told, write_run
from tests.passes.bad_input.test_storage import sas

Run = Callable[..., Any]
SHORT_LIVED = """
import datetime, sys
from sync_to_azure import cli
from sync_to_azure.stores import login as identity
identity.AccountKey.__init__.__defaults__ = (datetime.timedelta(seconds={life}),)
sys.exit(cli.main())
"""


@pytest.mark.parametrize("mark", ["", "?"])
def test_a_pass_with_a_users_sas(
    run_command: Run,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    account_key_file: pathlib.Path,
    container: Any,
    tmp_path: pathlib.Path,
    mark: str,
) -> None:
    """Derived, not said; read, add, create, write and list are all that is needed."""
    folder = write_run(main_folder, "run")
    secret = sas(container, "racwl")
    account_key_file.write_text(mark + secret + "\n", encoding="utf-8")
    del everyday["auth"]
    config = everyday | {"log-file": tmp_path / "x.log", "log-level": "DEBUG", "azcopy-log-level": "DEBUG"}
    outcome = run_command(config=config)
    told(outcome, 0, "run: published")
    for path in folder.rglob("*.bcl"):
        assert container.download_blob(f"run/{path.relative_to(folder)}").readall() == path.read_bytes()
    assert_no_secret(tmp_path, outcome, [secret.rpartition("sig=")[2], Azurite.key], but=("account.key",))
    told(run_command(config=config | {"thorough": "true"}), 0)


def test_process_lists_show_the_signature_and_nothing_else(
    start_command: Any,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    azurite: Azurite,
    container: Any,
) -> None:
    """What ps shows of every process of a pass: no key, no password, and of AzCopy the documented sig=, short-lived."""
    write_run(main_folder, "run", files=1, size=3_000_000)
    with Proxy(azurite.port) as proxy:
        # So that AzCopy is there for some looks, on a busy machine too.
        proxy.rate = 500_000
        config = everyday | {"blob-endpoint": proxy.endpoint}
        process = start_command(
            config=config, environment={"SYNC_TO_AZURE_SMTP_PASSWORD": "hunter3-smtp"}, cold=True
        )
        seen: set[str] = set()
        while process.poll() is None:
            listed = subprocess.run(
                ["ps", "-eo", "sid,pid,ppid,args", "-ww"], capture_output=True, text=True
            ).stdout
            seen |= {line for line in listed.splitlines() if str(container.container_name) in line}
            seen |= {line for line in listed.splitlines() if line.split()[1] == str(process.pid)}
            time.sleep(0.1)
        assert process.returncode == 0
    everything = "\n".join(seen)
    assert azurite.key not in everything and "hunter3" not in everything
    (signed,) = {line.split(None, 3)[3] for line in seen if "sig=" in line}
    assert "sp=racwl&" in signed and "sr=c" in signed
    found = re.search(r"se=([^&]+)&", signed)
    assert found is not None
    end = datetime.datetime.fromisoformat(found[1].replace("%3A", ":").replace("Z", "+00:00"))
    assert end - datetime.datetime.now(datetime.timezone.utc) < datetime.timedelta(hours=4)


@pytest.fixture
def slow(azurite: Azurite) -> Iterator[Proxy]:
    with Proxy(azurite.port) as proxy:
        proxy.rate = 400_000
        yield proxy


def _with_short_life(
    start_command: Any, config: dict[str, object], life: float
) -> "subprocess.CompletedProcess[str]":
    file = start_command._file(config)
    return subprocess.run(
        [sys.executable, "-c", SHORT_LIVED.format(life=life), "--config-file", file],
        capture_output=True,
        text=True,
        env=start_command.clean_environment(),
        cwd=start_command.home,
        timeout=LONG,
    )


def test_a_job_that_outlives_its_sas_goes_on_under_a_new_one(
    start_command: Any,
    everyday: dict[str, object],
    main_folder: pathlib.Path,
    slow: Proxy,
    container: Any,
) -> None:
    """It is stopped in time, loses no try (there is only one), and what was sent is not sent again."""
    folder = write_run(main_folder, "run", files=20, size=400_000)
    config = everyday | {"blob-endpoint": slow.endpoint, "retry-times": 1, "source-readers": 2}
    # To start, AzCopy may take some seconds of it on a busy machine.
    done = _with_short_life(start_command, config, 16)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the SAS expires before AzCopy is done" in done.stderr and "try 1 of" not in done.stderr
    assert "run.sync" in blobs(container)
    for path in folder.rglob("*.bcl"):
        assert container.download_blob(f"run/{path.relative_to(folder)}").readall() == path.read_bytes()
    counts = [int(found) for found in re.findall(r"run: sending (\d+) files", done.stderr)]
    assert counts == sorted(counts, reverse=True) and len(set(counts)) == len(counts) > 1, counts
