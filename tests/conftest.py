"""Fixtures of real things: Azurite, AzCopy, folders, and the command in a process of its own."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import os
import pathlib
import subprocess
import sys
import time
import typing
import uuid

import hypothesis
import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from embedded.tools import PROJECT, azcopy_path
from tests import recording
from tests.warm_start import Process, WarmServer, for_cold, must_be_cold

Config = collections.abc.Mapping[str, object] | str | pathlib.Path
LONG = 600.0
"""Seconds that nothing takes, on no machine: what had not ended then hangs."""

# How long an example takes says nothing on a machine where others work. The examples are the same each time; others:
# --hypothesis-profile any.
hypothesis.settings.register_profile(
    "same", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("any", parent=hypothesis.settings.get_profile("same"), derandomize=False)
hypothesis.settings.load_profile("same")

# What is asked of the loopback goes there, whatever proxy this machine has.
if any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in os.environ):
    os.environ["no_proxy"] = ",".join(filter(None, [os.environ.get("no_proxy"), "127.0.0.1", "localhost"]))


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> collections.abc.Generator[None, typing.Any, typing.Any]:
    """A report that shows a file name that is not UTF-8 must not end xdist's worker, which cannot send it."""
    return _without_surrogates((yield))


def _without_surrogates(value: typing.Any) -> typing.Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_without_surrogates(each) for each in value)
    return value


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> collections.abc.Iterator[Azurite]:
    """One server a worker of pytest-xdist; a test that stops or breaks one starts its own."""
    with Azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def container(azurite: Azurite) -> collections.abc.Iterator[ContainerClient]:
    """An empty container with a name that no other test has. It goes with its test: Azurite looks through the blobs of
    all containers for each request."""
    with azurite.create_container(f"test-{uuid.uuid4().hex}") as client:
        yield client
        # A test may have taken it away, or leased it.
        with contextlib.suppress(AzureError):
            client.delete_container()


@pytest.fixture(scope="session")
def azcopy() -> pathlib.Path:
    """The real AzCopy's path."""
    return azcopy_path()


@pytest.fixture
def main_folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """An empty main folder."""
    folder = tmp_path / "main"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def shared_runs() -> pathlib.Path:
    """The folder with public real runs (``runs/``, ``proteomics/``) beside the project; read it only."""
    folder = (PROJECT / ".." / "shared" / "data").resolve()
    if not (folder / "runs").is_dir():
        pytest.skip(f"the real runs are not beside the project: {folder}/runs is missing")
    return folder


@pytest.fixture
def account_key_file(tmp_path: pathlib.Path) -> pathlib.Path:
    """A credentials file with Azurite's account key, readable by its owner only."""
    path = tmp_path / "account.key"
    path.touch(mode=0o600)
    path.write_text(Azurite.key + "\n", encoding="utf-8")
    return path


@pytest.fixture
def everyday(
    azurite: Azurite,
    container: ContainerClient,
    azcopy: pathlib.Path,
    main_folder: pathlib.Path,
    account_key_file: pathlib.Path,
    tmp_path: pathlib.Path,
) -> dict[str, object]:
    """Keys of a config that carries from ``main_folder`` to ``container``, without a quiet time; change it freely."""
    return {
        "main-folder": main_folder,
        "completion-flag": "RTAComplete.txt",
        "completion-delay": 0,
        "blob-endpoint": azurite.endpoint,
        "container-name": container.container_name,
        "credentials": account_key_file,
        "auth": "account-key",
        "azcopy": azcopy,
        "state-file": tmp_path / "ledger.sqlite",
    }


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How one start of the command ended. ``seconds`` of wall time, the interpreter's start included."""

    returncode: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def clean_environment(home: pathlib.Path) -> dict[str, str]:
    """Without an Azure login, without any setting of ours."""
    kept = {name: os.environ[name] for name in ("PATH", "PYENV_VERSION") if name in os.environ}
    return kept | {"HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": str(PROJECT)}


class StartCommand:
    """Starts the real command in a process of its own with a clean environment (no Azure login, no own config).

    ``config``: a mapping of keys (a list gives one value a line), the text of a config file, or its path.
    ``environment``: added to the clean one. ``unprivileged``: without capabilities, so that file modes bind
    root too (CI runs as root). ``cold``: by ``python -m``, not by the server that has it loaded; so is everything
    where there is none, and what is given variables that count when an interpreter starts. Its home and working
    folder are empty folders of the test.
    """

    def __init__(self, tmp_path: pathlib.Path, warm: WarmServer | None = None) -> None:
        self.home = tmp_path / "home"
        self.home.mkdir()
        self.processes: list[Process] = []
        self._warm = warm

    def __call__(
        self,
        *arguments: object,
        config: Config | None = None,
        environment: collections.abc.Mapping[str, str] | None = None,
        unprivileged: bool = False,
        cold: bool = False,
    ) -> Process:
        words = [str(argument) for argument in arguments]
        if config is not None:
            words = ["--config-file", str(self._file(config)), *words]
        given = environment or {}
        variables = self.clean_environment() | dict(given)
        unprivileged = unprivileged and os.geteuid() == 0
        process: Process
        if self._warm is None or cold or must_be_cold(given):
            process = self._start_cold(words, for_cold(variables, PROJECT), unprivileged)
        else:
            process = self._warm.start(words, cwd=self.home, environment=variables, unprivileged=unprivileged)
        self.processes.append(process)
        return process

    def _start_cold(
        self, words: list[str], environment: dict[str, str], unprivileged: bool
    ) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "sync_to_azure", *words]
        if unprivileged:
            command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--", *command]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=self.home,
            env=environment,
        )

    def clean_environment(self) -> dict[str, str]:
        return clean_environment(self.home) | recording.environment()

    def _file(self, config: Config) -> pathlib.Path:
        if isinstance(config, pathlib.Path):
            return config
        path = self.home.parent / f"config-{uuid.uuid4().hex}.cfg"
        path.touch(mode=0o600)
        path.write_text(config if isinstance(config, str) else config_text(config), encoding="utf-8")
        return path


def config_text(config: collections.abc.Mapping[str, object]) -> str:
    """A config file without a section header; several values stand on several lines."""
    lines = []
    for key, value in config.items():
        values = value if isinstance(value, list | tuple) else [value]
        lines.append(f"{key} = " + "\n    ".join(str(each) for each in values))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def warm_server(tmp_path_factory: pytest.TempPathFactory) -> collections.abc.Iterator[WarmServer]:
    """One a worker; it starts the command in the place of ``python -m``: see tests/warm_start.py."""
    server = WarmServer(clean_environment(tmp_path_factory.mktemp("warm")))
    yield server
    server.close()


@pytest.fixture
def starts(warm_server: WarmServer) -> WarmServer | None:
    """Where every start has to be cold, a module or a folder has a fixture of this name that returns None. Processes
    that are recorded are cold too: the recorder comes in while they load."""
    return None if recording.environment() else warm_server


@pytest.fixture
def start_command(
    tmp_path: pathlib.Path, starts: WarmServer | None
) -> collections.abc.Iterator[StartCommand]:
    """Start the command and go on: for tests that stop or kill it. What still runs at the end is killed."""
    start = StartCommand(tmp_path, starts)
    yield start
    for process in start.processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


class RunCommand(typing.Protocol):
    def __call__(
        self,
        *arguments: object,
        config: Config | None = None,
        environment: collections.abc.Mapping[str, str] | None = None,
        unprivileged: bool = False,
        cold: bool = False,
        timeout: float = LONG,
    ) -> Outcome: ...


@pytest.fixture
def run_command(start_command: StartCommand) -> RunCommand:
    """Run the command to its end: see StartCommand for the arguments; ``timeout`` in seconds."""

    def run(*arguments: object, timeout: float = LONG, **options: typing.Any) -> Outcome:
        began = time.monotonic()
        process = start_command(*arguments, **options)
        stdout, stderr = process.communicate(timeout=timeout)
        return Outcome(process.returncode, stdout, stderr, time.monotonic() - began)

    return run
