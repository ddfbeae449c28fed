"""``upload_file``: one file outside of a run, with its proof, against the real Azurite."""

from __future__ import annotations

import collections.abc
import hashlib
import os
import pathlib
import socket
import threading
import types
import typing

import pytest
from azure.storage.blob import ContainerClient

from sync_to_azure.core.errors import (
    AccessRefused,
    BlobRefused,
    BlobReplaced,
    ConfigurationError,
    Overtaken,
    FilesChanged,
    RunError,
    StorageUnavailable,
    SyncError,
    UploadFailed,
)
from sync_to_azure.core.model import Evidence
from sync_to_azure.files.folder import place_of
from sync_to_azure.uploaders import FileAt, Proof, blocks
from sync_to_azure.uploaders.hot_calls import _only_over
from sync_to_azure.uploaders.native import NativeSession
from sync_to_azure.uploaders.sending import FileSender, Opened, Target, Written
from tests.uploaders.wire import (
    LARGE,
    LOSE,
    MEBIBYTE,
    ODD_NAMES,
    Answer,
    Request,
    Settings,
    Wire,
    first,
    flip,
    native,
)

SIZES = (0, 1, 200_000, 8 * MEBIBYTE, 8 * MEBIBYTE + 1, LARGE)
COMMIT = {5: "PUT blob", LARGE: "PUT blocklist"}


@pytest.fixture
def session(through: Settings) -> collections.abc.Iterator[NativeSession]:
    with native(through).open() as opened:
        yield opened


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "folder" / "a file"


def at(path: pathlib.Path, content: bytes) -> FileAt:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return FileAt(place_of(os.fsencode(path.parent)), os.fsencode(path.name))


def etag_of(container: ContainerClient, name: str) -> str:
    return str(container.get_blob_client(name).get_blob_properties().etag).strip('"')


def holds(container: ContainerClient, proof: Proof) -> bytes:
    """The bytes; and the blob is as the proof says it."""
    found = container.get_blob_client(proof.name).get_blob_properties()
    assert (str(found.etag).strip('"'), found.size) == (proof.etag, proof.size)
    assert bytes(found.content_settings.content_md5 or b"") == proof.digests["md5"]
    content = container.download_blob(proof.name).readall()
    for name, digest in proof.digests.items():
        if name != "crc64":
            assert hashlib.new(name, content).digest() == digest
    return content


@pytest.mark.parametrize("size", SIZES)
def test_the_proof_says_what_is_there(
    size: int, session: NativeSession, container: ContainerClient, path: pathlib.Path
) -> None:
    content = os.urandom(size)
    source = at(path, content)
    proof = session.upload_file(source, "a/b", digests=("sha256", "sha512", "md5"))
    assert holds(container, proof) == content
    assert proof.evidence is Evidence.VALIDATED and sorted(proof.digests) == ["md5", "sha256", "sha512"]
    status = path.stat()
    assert (proof.mtime_ns, proof.ctime_ns) == (status.st_mtime_ns, status.st_ctime_ns)
    # In place of that one, and read back.
    again = session.upload_file(source, "a/b", replaces=proof.etag, read_back=True)
    assert holds(container, again) == content and again.evidence is Evidence.READ_BACK


@pytest.mark.parametrize(
    "name", [name for name in ODD_NAMES if name != "dot."] + ["line\nbreak", "{", "x" * 1024]
)
def test_odd_names(name: str, session: NativeSession, container: ContainerClient, path: pathlib.Path) -> None:
    proof = session.upload_file(at(path, b"12345"), name)
    assert holds(container, proof) == b"12345"


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "dot.", "../other/a", "a/../b", "back\\slash", "x" * 1025, "\udcff", "\x01"]
)
def test_names_that_would_be_another_blob_or_none_are_refused(
    name: str, wire: Wire, session: NativeSession, path: pathlib.Path
) -> None:
    with pytest.raises(BlobRefused, match="cannot be the name of a blob"):
        session.upload_file(at(path, b"1"), name)
    assert not wire.seen


def test_by_a_handle_which_stays_open_where_it_stood(
    session: NativeSession, container: ContainerClient, path: pathlib.Path
) -> None:
    at(path, os.urandom(LARGE))
    with open(path, "rb") as file:
        file.seek(7)
        proof = session.upload_file(file.fileno(), "x")
        assert file.tell() == 7 and holds(container, proof) == path.read_bytes()


def test_many_threads_at_once(session: NativeSession, container: ContainerClient, path: pathlib.Path) -> None:
    content = {str(number): os.urandom(LARGE if number % 4 == 0 else 1000) for number in range(12)}
    sources = {name: at(path.parent / name, each) for name, each in content.items()}
    proofs: dict[str, Proof] = {}

    def upload(name: str) -> None:
        proofs[name] = session.upload_file(sources[name], name)

    threads = [threading.Thread(target=upload, args=(name,)) for name in content]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert {name: holds(container, proof) for name, proof in proofs.items()} == content


def _replaced(path: pathlib.Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    os.rename(other, path)


def _rewritten(path: pathlib.Path) -> None:
    status = path.stat()
    with open(path, "r+b") as file:
        file.seek(status.st_size // 2)
        file.write(b"?")
    os.utime(path, ns=(0, status.st_mtime_ns))


def _grown(path: pathlib.Path) -> None:
    with open(path, "ab") as file:
        file.write(b"more")


def _link(path: pathlib.Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


CHANGES: dict[str, collections.abc.Callable[[pathlib.Path], None]] = {
    "replaced by the same bytes": _replaced,
    "rewritten, and its mtime put back": _rewritten,
    "grown": _grown,
    "truncated": lambda path: os.truncate(path, path.stat().st_size - 1),
    "emptied": lambda path: os.truncate(path, 0),
    "deleted": lambda path: path.unlink(),
    "a link put in its place": _link,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [5, LARGE])
def test_a_file_that_changes_while_it_is_read_is_an_error_and_nothing_is_written(
    size: int,
    change: str,
    monkeypatch: pytest.MonkeyPatch,
    session: NativeSession,
    container: ContainerClient,
    path: pathlib.Path,
) -> None:
    source = at(path, os.urandom(size))
    real, lock, left = os.preadv, threading.Lock(), [1]

    def preadv(handle: int, buffers: "list[memoryview]", offset: int) -> int:
        """The change comes between two reads, or just after the only one."""
        count = real(handle, buffers, offset)
        with lock:
            if left[0]:
                left[0] -= 1
                CHANGES[change](path)
        return count

    monkeypatch.setattr(os, "preadv", preadv)
    with pytest.raises(FilesChanged, match="a file changed while it was read"):
        session.upload_file(source, "a/b")
    assert not container.get_blob_client("a/b").exists()


@pytest.mark.parametrize("kind", ["missing", "folder", "link", "link on the way", "fifo", "socket"])
def test_what_is_no_plain_file_is_never_read(
    kind: str, session: NativeSession, container: ContainerClient, path: pathlib.Path
) -> None:
    source = at(path, b"12345")
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/etc/hostname")
    elif kind == "link on the way":
        (path.parent / "to etc").symlink_to("/etc")
        source = FileAt(source.place, b"to etc/hostname")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    with pytest.raises(RunError, match="cannot be read"):
        session.upload_file(source, "x")
    assert not container.get_blob_client("x").exists()


def test_a_handle_of_what_is_no_plain_file(session: NativeSession) -> None:
    reading, writing = os.pipe()
    try:
        for handle in (reading, 10_000):
            with pytest.raises(RunError, match="cannot be read"):
                session.upload_file(handle, "x")
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("size", COMMIT)
def test_a_name_that_another_took(
    size: int, wire: Wire, session: NativeSession, container: ContainerClient, path: pathlib.Path
) -> None:
    container.upload_blob("a", b"before")
    source = at(path, os.urandom(size))
    with pytest.raises(Overtaken):
        session.upload_file(source, "a")
    etag = etag_of(container, "a")
    wire.act = first(
        COMMIT[size], lambda request: container.upload_blob("a", b"theirs", overwrite=True) and None
    )
    with pytest.raises(Overtaken):
        session.upload_file(source, "a", replaces=etag)
    with pytest.raises(Overtaken):
        session.upload_file(source, "not there", replaces=etag)
    assert container.download_blob("a").readall() == b"theirs"


@pytest.mark.parametrize("size", COMMIT)
def test_our_own_lost_answer_is_listed_and_read_back_on_request(
    size: int, wire: Wire, session: NativeSession, container: ContainerClient, path: pathlib.Path
) -> None:
    source = at(path, os.urandom(size))
    for name, read_back, evidence in (("a", False, Evidence.LISTED), ("b", True, Evidence.READ_BACK)):
        wire.act = first(COMMIT[size], lambda request: LOSE)
        proof = session.upload_file(source, name, read_back=read_back)
        assert proof.evidence is evidence
        holds(container, proof)


@pytest.mark.parametrize("size", COMMIT)
def test_bytes_that_are_damaged_on_the_way_are_sent_again(
    size: int, wire: Wire, session: NativeSession, container: ContainerClient, path: pathlib.Path
) -> None:
    content = os.urandom(size)
    wire.act = first("PUT block" if size == LARGE else "PUT blob", flip)
    proof = session.upload_file(at(path, content), "a", digests=["sha256"])
    assert proof.evidence is Evidence.VALIDATED and holds(container, proof) == content


def test_read_back_finds_other_bytes(
    wire: Wire, session: NativeSession, container: ContainerClient, path: pathlib.Path
) -> None:
    source = at(path, b"12345")
    wire.change = lambda request, status, content: b"54321" if request.kind == "GET blob" else content
    with pytest.raises(UploadFailed, match="holds other bytes"):
        session.upload_file(source, "a", read_back=True)


def test_read_back_finds_another_blob(
    wire: Wire, session: NativeSession, container: ContainerClient, path: pathlib.Path
) -> None:
    source = at(path, b"12345")
    for name, act in (
        ("a", lambda: container.upload_blob("a", b"theirs", overwrite=True)),
        ("b", lambda: container.delete_blob("b")),
    ):
        wire.act = first("GET blob", lambda request, act=act: act() and None)  # type: ignore[misc]
        with pytest.raises(UploadFailed, match="could not be read back"):
            session.upload_file(source, name, read_back=True)


def test_blocks_that_an_earlier_try_left_are_not_believed(
    wire: Wire, session: NativeSession, container: ContainerClient, path: pathlib.Path
) -> None:
    """Somebody wrote other bytes under the id that ours would have."""
    content = os.urandom(LARGE)
    source = at(path, content)
    forged = blocks.block_id(0, hashlib.md5(content[: blocks.BLOCK]).digest())
    container.get_blob_client("a").stage_block(forged.decode(), bytes(blocks.BLOCK))
    proof = session.upload_file(source, "a", digests=["sha256"])
    assert holds(container, proof) == content and proof.evidence is Evidence.VALIDATED
    # And what is there rightly is not sent again.
    again = os.urandom(LARGE)
    source = at(path, again)
    ours = blocks.block_id(0, hashlib.md5(again[: blocks.BLOCK]).digest())
    container.get_blob_client("b").stage_block(ours.decode(), again[: blocks.BLOCK])
    before = wire.kinds().count("PUT block")
    assert holds(container, session.upload_file(source, "b")) == again
    assert wire.kinds().count("PUT block") - before == 2


def test_a_storage_that_is_busy(
    wire: Wire, through: Settings, session: NativeSession, container: ContainerClient, path: pathlib.Path
) -> None:
    source = at(path, os.urandom(LARGE))
    wire.act = first("PUT block", lambda request: Answer(503, "ServerBusy"), 2)
    holds(container, session.upload_file(source, "a"))
    through.retry_times = 2
    with native(through).open() as impatient:
        wire.act = lambda request: Answer(503, "ServerBusy") if request.kind == "PUT block" else None
        with pytest.raises(UploadFailed, match="503 ServerBusy, after 2 tries"):
            impatient.upload_file(source, "b")
        wire.act = lambda request: None
        holds(container, impatient.upload_file(source, "b"))


@pytest.mark.parametrize(
    "changes, kind",
    [({"container_name": "no-such-container"}, StorageUnavailable), ({"secret": "d3Jvbmc="}, AccessRefused)],
)
@pytest.mark.parametrize("size", COMMIT)
def test_what_no_try_puts_right(
    size: int,
    changes: dict[str, str],
    kind: type[SyncError],
    through: Settings,
    path: pathlib.Path,
) -> None:
    for name, value in changes.items():
        setattr(through, name, value)
    with native(through).open() as session, pytest.raises(kind):
        session.upload_file(at(path, os.urandom(size)), "a")


def test_a_digest_that_is_unknown_is_refused_before_anything_is_sent(
    wire: Wire, session: NativeSession, path: pathlib.Path
) -> None:
    with pytest.raises(ConfigurationError, match="sha1"):
        session.upload_file(at(path, b"1"), "a", digests=["sha1"])
    assert not wire.seen


def test_a_request_is_seen_once(wire: Wire, session: NativeSession, path: pathlib.Path) -> None:
    seen: list[Request] = wire.seen
    session.upload_file(at(path, b"12345"), "a")
    assert [request.kind for request in seen] == ["PUT blob"]
    assert seen[0].headers["If-None-Match"] == "*"


@pytest.mark.parametrize("etag", ["*", 'a"b', "a\r\nX: y", "", "a*"])
def test_what_is_no_etag_replaces_nothing(etag: str) -> None:
    with pytest.raises(BlobReplaced, match="no version"):
        _only_over(etag)
    assert _only_over("0x8DC") == {"If-Match": '"0x8DC"'} and _only_over(None) == {"If-None-Match": "*"}


@pytest.mark.parametrize("second", [None, RunError("x cannot be read")])
def test_wrong_blocks_that_could_not_be_replaced_are_no_news_of_the_source(
    monkeypatch: pytest.MonkeyPatch, second: RunError | None
) -> None:
    """The file changed, or went away, between the list of blocks and the second sending: wrong bytes are there."""

    def send_again(*_: object) -> None:
        if second is not None:
            raise second

    sender = object.__new__(FileSender)
    monkeypatch.setattr(FileSender, "_holds", lambda *_: False)
    monkeypatch.setattr(FileSender, "_send_blocks", send_again)
    file = Opened(Target("x", 9, None), 0, ("md5",), lambda status: True)
    written = Written("etag-1", Evidence.VALIDATED, {})
    cut = types.SimpleNamespace(size=4)
    with pytest.raises(UploadFailed, match="etag-1"):
        sender._read_back(file, written, typing.cast(typing.Any, cut))
