"""Mails of whole passes, to a real server on loopback: what is news is mailed once, and that it is over, once."""

from __future__ import annotations

import collections.abc
import email.message
import email.policy
import fcntl
import os
import pathlib
import sqlite3
import subprocess
import sys
import time
import typing

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from embedded.azurite import Azurite
from tests.passes.bad_input import faults
from tests.passes.bad_input.faults import AZCOPY_FAILS, SIGNATURE, blobs, stand_in, told, write_run
from tests.line import Answer
from tests.passes.proxy import Proxy
from tests.passes.scene import eventually

Run = collections.abc.Callable[..., typing.Any]
PASSWORD = "hunter2%#x-of-the-mail-server"
HEADERS = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"}
HEADERS |= {"Content-Type", "Content-Transfer-Encoding", "X-Peer", "X-MailFrom", "X-RcptTo"}


class Postbox(Controller):
    """A mail server on any free port; ``mails`` as they came, ``closed`` refuses what is sent."""

    def __init__(self) -> None:
        self.mails: list[email.message.EmailMessage] = []
        self.raw: list[bytes] = []
        self.closed = False
        super().__init__(
            self,
            hostname="127.0.0.1",
            port=0,
            authenticator=self._log_in,
            auth_require_tls=False,
            ready_timeout=120,
        )

    def _log_in(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        good = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
        return AuthResult(success=good, handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.closed:
            return "554 no, thank you"
        content = typing.cast(bytes, envelope.content)
        self.raw.append(content)
        message = email.message_from_bytes(content, policy=email.policy.default)
        self.mails.append(typing.cast(email.message.EmailMessage, message))
        return "250 OK"

    def _trigger_server(self) -> None:
        """The port is known after the bind only."""
        self.port = typing.cast(typing.Any, self.server).sockets[0].getsockname()[1]
        typing.cast(typing.Any, super())._trigger_server()

    def take(self) -> email.message.EmailMessage:
        """The one mail that came since the last look."""
        (mail,) = self.mails
        self.mails.clear()
        return mail


@pytest.fixture
def postbox() -> collections.abc.Iterator[Postbox]:
    server = Postbox()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def config(everyday: dict[str, object], postbox: Postbox) -> dict[str, object]:
    return everyday | {
        "log-recipient": "lab@example.org, Anna Änderson <anna@example.org>",
        "smtp-host": "127.0.0.1",
        "smtp-port": postbox.port,
        "smtp-user": "robot@example.org",
        "smtp-password": PASSWORD,
        "smtp-security": "none",
        "retry-times": 1,
    }


@pytest.fixture
def state(everyday: dict[str, object]) -> pathlib.Path:
    return pathlib.Path(str(everyday["state-file"]))


@pytest.fixture
def broken(tmp_path: pathlib.Path) -> pathlib.Path:
    """An AzCopy that sends nothing."""
    version = 'if [ "$1" = --version ]; then echo "azcopy version 10.32.2"; exit 0; fi'
    return stand_in(tmp_path / "broken-azcopy", f'{version}\necho "sig=abcdefghijklmn"; {AZCOPY_FAILS}')


def text(mail: email.message.EmailMessage) -> str:
    assert set(mail.keys()) <= HEADERS, mail.keys()
    return str(mail.get_content())


def test_from_the_first_error_to_all_is_well(
    run_command: Run,
    config: dict[str, object],
    postbox: Postbox,
    broken: pathlib.Path,
    main_folder: pathlib.Path,
    state: pathlib.Path,
) -> None:
    write_run(main_folder, "a"), write_run(main_folder, "waiting", complete=False)
    failing = config | {"azcopy": broken}
    told(run_command(config=failing), 1, "it said: sig=***")
    assert b"abcdefghijklmn" not in b"".join(
        path.read_bytes() for path in state.parent.glob(f"{state.name}*")
    )
    mail = postbox.take()
    assert "1 run needs attention: a (failed)" in mail["Subject"] and mail["To"].count("@") == 2
    body = text(mail)
    digest, table, log = body.index("1 problem:"), body.index("run  "), body.index(" INFO a: sending")
    assert digest < table < body.index("-" * 72) < log
    assert "* a: not verified after 1 tries" in body and "Waiting: 1." in body
    assert "waiting: RTAComplete.txt is missing" in body[table:log]
    assert PASSWORD not in body and Azurite.key not in body and not SIGNATURE.search(postbox.raw[-1])

    told(run_command(config=failing), 1)
    assert postbox.mails == [], "the same within a day"

    write_run(main_folder, "b")
    told(run_command(config=failing), 1)
    mail = postbox.take()
    assert "2 runs need attention" in mail["Subject"]
    body = text(mail)
    assert body.index("* b: not verified") < body.index("* (reported before) a: not verified")

    with sqlite3.connect(state) as connection:
        connection.execute("UPDATE reported SET at = at - 25 * 3600 WHERE key LIKE 'mail:%'")
    connection.close()
    told(run_command(config=failing), 1)
    assert "2 problems" in text(postbox.take()), "again after a day"

    told(run_command(config=config), 0, "a: published", "b: published")
    mail = postbox.take()
    assert "all problems resolved" in mail["Subject"] and "Published in this pass: 2." in text(mail)
    told(run_command(config=config), 0)
    assert postbox.mails == []


def test_a_dry_run_mails_nothing(
    run_command: Run, config: dict[str, object], postbox: Postbox, tmp_path: pathlib.Path
) -> None:
    told(run_command("--dry-run", config=config | {"main-folder": tmp_path / "nowhere"}), 3)
    assert postbox.mails == []


def test_surroundings_that_fail_are_mailed_too(
    run_command: Run, config: dict[str, object], postbox: Postbox, main_folder: pathlib.Path
) -> None:
    write_run(main_folder, "a")
    told(run_command(config=config | {"container-name": "not-there"}), 3)
    mail = postbox.take()
    assert "container not-there is not there" in text(mail)
    told(run_command(config=config | {"container-name": "not-there"}), 3)
    assert postbox.mails == []


def test_a_main_folder_that_became_a_file_is_mailed_too(
    run_command: Run, config: dict[str, object], postbox: Postbox, tmp_path: pathlib.Path
) -> None:
    """Wrong configuration that only the pass can find: nobody reads what cron's command says on standard error."""
    (tmp_path / "file").touch()
    told(run_command(config=config | {"main-folder": tmp_path / "file"}), 2, "is not a folder")
    assert f"main folder {tmp_path / 'file'} is not a folder" in text(postbox.take())


def test_a_fault_of_ours_is_mailed_in_full(
    start_command: typing.Any, config: dict[str, object], postbox: Postbox
) -> None:
    """Made by breaking a room of the pass: there is none to be had for real."""
    code = (
        "import sys; from sync_to_azure import cli; from sync_to_azure.transfer import one_pass\n"
        "def broken(*_): raise KeyError('what')\n"
        "one_pass.over_all_runs = broken; sys.exit(cli.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--config-file", start_command._file(config)],
        capture_output=True,
        text=True,
        env=start_command.clean_environment(),
        cwd=start_command.home,
    )
    assert done.returncode == 1
    body = text(postbox.take())
    assert "internal error: KeyError: 'what'" in body and "Traceback (most recent call last)" in body


def test_a_mail_that_cannot_be_sent_changes_nothing_and_is_sent_later(
    run_command: Run,
    config: dict[str, object],
    postbox: Postbox,
    broken: pathlib.Path,
    main_folder: pathlib.Path,
) -> None:
    write_run(main_folder, "a")
    failing = config | {"azcopy": broken}
    postbox.closed = True
    told(run_command(config=failing), 1, "the mail could not be sent", "554 no, thank you")
    wrong = failing | {"smtp-password": "wrong-" + PASSWORD}
    outcome = run_command(config=wrong)
    told(outcome, 1, "refuses the login", "smtp-user and smtp-password")
    assert PASSWORD not in outcome.output
    postbox.closed = False
    told(run_command(config=failing), 1)
    assert "1 run needs attention: a (failed)" in postbox.take()["Subject"]


def test_a_hung_pass_is_mailed(
    run_command: Run, config: dict[str, object], postbox: Postbox, state: pathlib.Path
) -> None:
    told(run_command(config=config), 0)
    (lock,) = state.parent.glob("*.lock")
    with open(lock, "r+b") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        told(run_command(config=config), 0, "another pass")
        assert postbox.mails == []
        with sqlite3.connect(state) as connection:
            connection.execute("UPDATE flow SET heartbeat = ?", (time.time() - 25 * 3600,))
        connection.close()
        told(run_command(config=config), 3)
        assert "no progress for 25 h" in text(postbox.take())
        told(run_command(config=config), 3)
        assert postbox.mails == []
    told(run_command(config=config), 0)
    assert "all problems resolved" in postbox.take()["Subject"]


def test_names_of_runs_add_no_header_and_no_control_character(
    run_command: Run,
    config: dict[str, object],
    postbox: Postbox,
    broken: pathlib.Path,
    main_folder: pathlib.Path,
) -> None:
    names = [
        "x\nBcc: evil@example.org",
        "x\r\nSubject: y",
        "=?utf-8?q?odd?=",
        "\x1b[31mred",
        "läb (späces), <a@b>",
    ]
    for name in names:
        write_run(main_folder, name)
    os.mkdir(os.fsencode(main_folder) + b"/\xff\xfe")
    outcome = run_command(config=config | {"azcopy": broken})
    told(outcome, 1)
    mail = postbox.take()
    assert mail["Bcc"] is None and mail.get_all("Subject") is not None and len(mail.get_all("Subject")) == 1
    assert "\x1b" not in text(mail) + str(mail["Subject"]) + outcome.output
    assert "runs need attention" in mail["Subject"] and len(mail["Subject"]) <= 120
    told(run_command(config=config | {"azcopy": broken}), 1)
    assert postbox.mails == []


@pytest.fixture
def sheetless(
    run_command: Run,
    config: dict[str, object],
    main_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    state: pathlib.Path,
) -> dict[str, object]:
    """A run that was first seen three days ago, and still has no sheet."""
    (tmp_path / "sheets").mkdir()
    write_run(main_folder, "a")
    config = config | {"samplesheet-folder": tmp_path / "sheets"}
    told(run_command(config=config), 0)
    with sqlite3.connect(state) as connection:
        connection.execute("UPDATE run SET first_seen = first_seen - 3 * 86400")
    connection.close()
    return config


def test_a_missing_sheet_is_mailed_once_and_is_no_trouble_that_ends(
    run_command: Run, sheetless: dict[str, object], postbox: Postbox, tmp_path: pathlib.Path
) -> None:
    assert postbox.mails == []
    told(run_command(config=sheetless), 1, "without its sample sheet for 48 h")
    assert "without its sample sheet for 48 h" in text(postbox.take())
    told(run_command(config=sheetless), 0)
    (tmp_path / "sheets" / "a.csv").write_text("[Header]\n", encoding="utf-8")
    told(run_command(config=sheetless), 0, "a: published")
    assert postbox.mails == []


def test_a_missing_sheet_does_not_hide_that_all_is_well_again(
    run_command: Run,
    sheetless: dict[str, object],
    postbox: Postbox,
    main_folder: pathlib.Path,
    container: typing.Any,
    broken: pathlib.Path,
    tmp_path: pathlib.Path,
    state: pathlib.Path,
) -> None:
    """A failure is mailed; in the pass that solves it, something is told that is told only once."""
    with sqlite3.connect(state) as connection:
        connection.execute("UPDATE run SET first_seen = first_seen + 3 * 86400")
    connection.close()
    write_run(main_folder, "b")
    (tmp_path / "sheets" / "b.csv").write_text("[Header]\n", encoding="utf-8")
    told(run_command(config=sheetless | {"azcopy": broken}), 1)
    assert "b (failed)" in postbox.take()["Subject"]
    with sqlite3.connect(state) as connection:
        connection.execute("UPDATE run SET first_seen = first_seen - 3 * 86400")
    connection.close()
    told(run_command(config=sheetless), 1, "b: published", "without its sample sheet")
    assert "without its sample sheet" in text(postbox.take())
    told(run_command(config=sheetless), 0)
    assert "all problems resolved" in postbox.take()["Subject"]
    told(run_command(config=sheetless), 0)
    assert postbox.mails == [] and "b.sync" in blobs(container)


def test_of_thousands_of_refused_files_five_and_a_count_are_logged_and_mailed(
    run_command: Run,
    config: dict[str, object],
    postbox: Postbox,
    proxy: Proxy,
    main_folder: pathlib.Path,
) -> None:
    files = 40
    for name in ("R", "links"):
        write_run(main_folder, name)
    for number in range(files):
        (main_folder / "R" / f"{number:03}.dat").write_text("refused")
        (main_folder / "links" / f"{number:03}.lnk").symlink_to("/nowhere")
    leased = Answer(412, "LeaseIdMissing")
    proxy.before = lambda method, path: leased if method == "PUT" and ".dat" in path else None
    outcome = run_command(config=config | {"uploader": "native", "blob-endpoint": proxy.endpoint})
    body = text(postbox.take())
    for output in (outcome.output, body):
        lines = [line for line in output.splitlines() if " ERROR R: " in line and "refuses for good" in line]
        named = {line.split(".dat")[0][-3:] for line in lines if ".dat" in line}
        assert len(named) == 5 and len(lines) < 9, output
        assert f"R: … and {files - 5} more files are refused" in output
        assert output.count(".lnk") in range(5, 21) and f"and {files - 5} more" in output
    assert len(body.splitlines()) < 80, body


@pytest.fixture
def slow(postbox: Postbox) -> collections.abc.Iterator[faults.Proxy]:
    """Before the mail server."""
    with faults.Proxy(postbox.port) as proxy:
        yield proxy


def test_a_mail_server_that_drips_is_given_up(
    run_command: Run,
    config: dict[str, object],
    postbox: Postbox,
    slow: faults.Proxy,
    broken: pathlib.Path,
    main_folder: pathlib.Path,
) -> None:
    """A byte a second is no silence that a socket would end."""
    write_run(main_folder, "a")
    failing = config | {"azcopy": broken, "smtp-port": slow.port, "timeout": 10}
    slow.drip = 1.0
    outcome = run_command(config=failing)
    told(outcome, 1, "the mail could not be sent", f"127.0.0.1:{slow.port}: not done within 10 s")
    assert outcome.seconds < 300, "the greeting and the first answer take longer"
    slow.drip = None
    told(run_command(config=failing), 1)
    assert "1 run needs attention: a (failed)" in postbox.take()["Subject"]


def test_a_mail_server_that_drips_holds_up_no_pass(
    start_command: typing.Any,
    run_command: Run,
    config: dict[str, object],
    postbox: Postbox,
    slow: faults.Proxy,
    broken: pathlib.Path,
    main_folder: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    """The next pass works meanwhile, and mails when the first one is done: what was mailed is not mailed twice."""
    write_run(main_folder, "a")
    failing = config | {"azcopy": broken, "smtp-port": slow.port, "log-file": tmp_path / "log"}

    def ended() -> int:
        return (tmp_path / "log").read_text("utf-8").count("pass ended")

    slow.drip = 3600.0
    first = start_command(config=failing)
    assert slow.said.wait(120)
    second = start_command(config=failing)
    assert eventually(lambda: ended() == 2), "it did not find another pass"
    assert first.poll() is None and postbox.mails == []
    well = run_command(config=failing | {"uploader": "native"})
    told(well, 0)
    slow.drip = None
    slow.go_on.set()
    for each in (first, second):
        each.communicate(timeout=300)
        assert each.returncode == 1
    assert "1 run needs attention: a (failed)" in postbox.take()["Subject"]
    told(run_command(config=failing), 0)
    assert "all problems resolved" in postbox.take()["Subject"]
