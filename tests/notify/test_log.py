"""The log in its three places: terminal (a real one), file (real, also broken ones) and the collected mail text."""

from __future__ import annotations

import collections.abc
import io
import logging
import os
import pathlib
import pty
import re
import stat
import subprocess
import sys

import pytest

from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.notify import log
from sync_to_azure.notify.redact import Redactor

PLAIN_LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4} (INFO|WARNING|ERROR) ")
logger = logging.getLogger("sync_to_azure.test")


@pytest.fixture(autouse=True)
def _closed_afterwards() -> collections.abc.Iterator[None]:
    yield
    if log._current is not None:
        log._current.close()


def _set_up(level: str = "INFO", file: pathlib.Path | None = None) -> tuple[log.LogSetup, io.StringIO]:
    stream = io.StringIO()
    return log.set_up(level, file, Redactor(["hunter22"]), stream), stream


def test_a_line_stands_in_all_three_places_redacted(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "new" / "folder" / "pass.log"
    setup, stream = _set_up(file=file)
    logger.info("login with %s", "hunter22")
    logger.debug("not asked for")
    for text in (stream.getvalue(), file.read_text(), setup.mail_text() + "\n"):
        assert PLAIN_LINE.match(text) and text.endswith(" INFO login with ***\n") and text.count("\n") == 1


def test_setting_up_twice_doubles_nothing_and_closing_restores() -> None:
    before = list(logging.getLogger().handlers), logging.raiseExceptions, logging.getLogger("azure").level
    first, first_stream = _set_up()
    second, stream = _set_up()
    logger.info("once")
    assert stream.getvalue().count("once") == second.mail_text().count("once") == 1
    assert "once" not in first_stream.getvalue()
    second.close()
    second.close()
    first.close()
    assert before == (
        list(logging.getLogger().handlers),
        logging.raiseExceptions,
        logging.getLogger("azure").level,
    )
    assert "once" in second.mail_text()


def test_libraries_are_quiet_and_redacted() -> None:
    setup, stream = _set_up("DEBUG")
    for name in ("azure.core.pipeline", "urllib3.connectionpool", "msal.token_cache", "some.other.library"):
        logging.getLogger(name).info("chatter of %s", name)
        logging.getLogger(name).warning("%s failed: https://h/c?sig=abc", name)
    assert "chatter" not in stream.getvalue()
    assert stream.getvalue().count("sig=***") == 4
    setup.close()
    setup, stream = _set_up("ERROR")
    logging.getLogger("azure.identity").warning("not at this level")
    assert stream.getvalue() == ""


def test_a_level_that_is_none_is_told() -> None:
    with pytest.raises(ConfigurationError, match="log-level: 'LOUD'.*DEBUG, INFO"):
        _set_up("LOUD")
    _set_up(" warning ")


def test_a_traceback_is_redacted_and_indented() -> None:
    setup, stream = _set_up()
    try:
        raise RuntimeError("with hunter22")
    except RuntimeError:
        logger.exception("it broke")
    assert "hunter22" not in stream.getvalue() and "RuntimeError: with ***" in stream.getvalue()
    assert all(line.startswith("    ") for line in stream.getvalue().splitlines()[1:])
    assert setup.mail_text() + "\n" == stream.getvalue()


def test_rotation_keeps_five_and_all_are_private(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "pass.log"
    file.write_text("of the predecessor\n")
    file.chmod(0o644)
    _set_up(file=file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and file.read_text() == "of the predecessor\n"
    for number in range(800):
        logger.info("%d %s", number, "x" * 10_000)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["pass.log"] + [f"pass.log.{number}" for number in range(1, 6)]
    for path in tmp_path.iterdir():
        assert path.stat().st_size <= log.FILE_BYTES
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert file.read_text().splitlines()[-1].split()[3] == "799"


def test_an_umask_changes_nothing(tmp_path: pathlib.Path) -> None:
    before = os.umask(0)
    try:
        _set_up(file=tmp_path / "pass.log")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "pass.log").stat().st_mode) == 0o600


def test_a_file_that_cannot_be_opened_is_told_once(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_text("")
    for bad in (
        tmp_path,
        tmp_path / "file" / "pass.log",
        tmp_path / "fifo",
        pathlib.Path("/proc/none/pass.log"),
    ):
        setup, stream = _set_up(file=bad)
        logger.info("one")
        logger.info("two")
        assert stream.getvalue().count(f"log file {bad} cannot be opened") == 1
        assert "Traceback" not in stream.getvalue()
        assert stream.getvalue().count("\n") == 3 and setup.mail_text() + "\n" == stream.getvalue()


def test_a_full_disk_is_told_once_and_stops_nothing() -> None:
    mode = os.stat("/dev/full").st_mode
    setup, stream = _set_up("ERROR", pathlib.Path("/dev/full"))
    for number in range(50):
        logger.error("line %d", number)
    setup.close()
    assert stream.getvalue().count("/dev/full cannot be written: No space left on device") == 1
    assert stream.getvalue().count("ERROR line ") == 50
    assert "Traceback" not in stream.getvalue()
    assert os.stat("/dev/full").st_mode == mode


def test_a_file_that_cannot_be_rotated_grows_on(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "pass.log"
    (tmp_path / "pass.log.4").touch()
    (tmp_path / "pass.log.5").mkdir()  # a file cannot take a folder's place, not even for root
    _, stream = _set_up(file=file)
    for number in range(250):
        logger.info("%d %s", number, "x" * 10_000)
    assert stream.getvalue().count("cannot be rotated and keeps growing") == 1
    assert file.stat().st_size > 2 * log.FILE_BYTES
    numbers = [int(line.split()[3]) for line in file.read_text().splitlines()]
    assert numbers == list(range(250))


_ODD_NAMES = r"""
import logging, pathlib, sys
from sync_to_azure.notify.log import set_up
from sync_to_azure.notify.redact import Redactor
setup = set_up("INFO", pathlib.Path(sys.argv[1]), Redactor())
logging.getLogger("sync_to_azure.x").warning("%s", b"f\xe4\n\x1b[2J".decode("utf-8", "surrogateescape"))
logging.getLogger("sync_to_azure.x").warning("\ud800 in our own text")
print(setup.mail_text())
"""


def test_odd_names_are_written(tmp_path: pathlib.Path) -> None:
    """In a process of its own: pytest-xdist cannot carry the lone surrogates that pytest records of the log."""
    file = tmp_path / "pass.log"
    done = subprocess.run(
        [sys.executable, "-c", _ODD_NAMES, file], capture_output=True, text=True, check=True
    )
    assert done.stdout == done.stderr == file.read_text()
    assert "f\\xe4\\n\\x1b[2J\n" in done.stderr and "\\ud800 in our own" in done.stderr
    assert "\x1b" not in done.stderr


def test_the_mail_text_is_bounded() -> None:
    setup, _ = _set_up()
    for number in range(7_000):
        logger.info("line %d", number)
    lines = setup.mail_text().split("\n")
    assert len(lines) == 5_001
    assert lines[999].endswith("line 999") and lines[1000] == "… 2000 lines are left out here …"
    assert lines[1001].endswith("line 3000") and lines[-1].endswith("line 6999")
    logger.info("x" * 100_000)
    assert len(setup.mail_text().split("\n")[-1]) < 4_100


def test_a_broken_or_closed_stream_stops_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = open(writer, "w")
    setup = log.set_up("INFO", None, Redactor(), stream)
    logger.info("nobody reads this")
    assert "nobody reads this" in setup.mail_text()
    with pytest.raises(BrokenPipeError):
        stream.close()
    logger.info("closed by now")
    assert "closed by now" in setup.mail_text()


_SCRIPT = """
import logging, sys
from sync_to_azure.notify.log import set_up
from sync_to_azure.notify.redact import Redactor
set_up("INFO", None, Redactor(["hunter22"]))
logging.getLogger("sync_to_azure.x").error("login %s\\x1b[5m", "hunter22")
print("coloredlogs" in sys.modules)
"""


def _on_terminal(**environment: str) -> tuple[str, str]:
    """What a fresh process writes to stdout, and to a real terminal as its stderr."""
    ours, theirs = pty.openpty()
    try:
        inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            stdout=subprocess.PIPE,
            stderr=theirs,
            env={**inherited, "TERM": "xterm", **environment},
            text=True,
            check=True,
        )
        return done.stdout.strip(), os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def test_colours_on_a_terminal_and_nothing_of_others_acts() -> None:
    colours_loaded, text = _on_terminal()
    assert colours_loaded == "True"
    assert re.search(r"\x1b\[[0-9;]*31m", text) and "login ***\\x1b[5m" in text


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colours_where_they_are_not_wanted(environment: dict[str, str]) -> None:
    colours_loaded, text = _on_terminal(**environment)
    assert colours_loaded == "False"
    assert re.fullmatch(r"\d\d:\d\d:\d\d ERROR   login \*\*\*\\x1b\[5m\r\n", text)


def test_a_pipe_gets_plain_lines_without_the_cost_of_colours() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert PLAIN_LINE.match(done.stderr) and "\x1b" not in done.stderr
