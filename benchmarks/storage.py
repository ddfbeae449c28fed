"""Stands in for the container in memory.py: lists what AzCopy's stand-in took, takes what is written, and holds of that
what is small (claims, receipt, marker).

A million blobs in Azurite would measure Azurite. The real azure-storage-blob reads these answers; they have the form of
the service's own (List Blobs of API version 2021 and later). Names come from the list of files, in its order, a page at
a time, so this server's memory is flat too; sizes and MD5s follow from the names, see ``content``.
"""

from __future__ import annotations

import base64
import dataclasses
import email.utils
import functools
import hashlib
import http.server
import pathlib
import threading
import types
import urllib.parse
import zlib
from xml.sax.saxutils import escape

_WHEN = "Sun, 22 Nov 2026 10:00:00 GMT"
_KEPT = 2**20


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # five, the library's own, overflow: the kernel then resets connections
    daemon_threads = True


def content(name: bytes) -> bytes:
    """The one byte that the file of this path (below the run) holds."""
    return bytes([zlib.crc32(name) & 0xFF])


@functools.lru_cache(maxsize=256)
def _md5(byte: bytes) -> str:
    return base64.b64encode(hashlib.md5(byte, usedforsecurity=False).digest()).decode()


@dataclasses.dataclass(frozen=True)
class Written:
    """``content``: None of what is larger than ``_KEPT``."""

    size: int
    md5: str
    etag: str
    when: str
    content: bytes | None

    @property
    def about(self) -> dict[str, str]:
        return {"ETag": f'"{self.etag}"', "Last_Modified": self.when, "x_ms_blob_type": "BlockBlob"}


class Storage:
    """A context manager; ``carried`` is the list of files, as soon as it is there."""

    account = "devstoreaccount1"

    def __init__(self, carried: pathlib.Path, prefix: str) -> None:
        self.carried = carried
        self.prefix = prefix
        self.written: dict[str, Written] = {}
        self.lists = 0
        self.listed = 0
        self._server = _Server(("127.0.0.1", 0), _handler(self))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{self.account}"

    def __enter__(self) -> "Storage":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def page(self, prefix: str, marker: str, most: int) -> bytes:
        """One page of List Blobs; the marker is the place in the list of files."""
        self.lists += 1
        documents: list[str] = []
        items: list[str] = []
        if not marker:
            documents = [
                _entry(name, each.size, each.md5, each.etag, each.when)
                for name, each in sorted(self.written.items())
                if name.startswith(prefix)
            ]
        following = ""
        if self.carried.exists() and (prefix.startswith(self.prefix) or self.prefix.startswith(prefix)):
            with open(self.carried, "rb") as lines:
                lines.seek(int(marker or 0))
                while len(items) < most and (line := lines.readline()):
                    items.append(self._item(line[:-1]))
                at = lines.tell()
                following = str(at) if lines.readline() else ""
        self.listed += len(items)
        return (
            '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://127.0.0.1/"'
            f' ContainerName="bench"><Prefix>{escape(prefix)}</Prefix><MaxResults>{most}</MaxResults>'
            f"<Blobs>{''.join(documents + items)}</Blobs><NextMarker>{following}</NextMarker></EnumerationResults>"
        ).encode()

    def _item(self, name: bytes) -> str:
        etag = f"0x8DE{zlib.crc32(name):08X}0000"
        return _entry(self.prefix + name.decode(), 1, _md5(content(name)), etag, _WHEN)

    def put(self, name: str, size: int, md5: bytes, content: bytes | None) -> Written:
        etag = f"0x8DF{len(self.written):08X}{zlib.crc32(md5):08X}"
        sum_of_it = base64.b64encode(md5).decode()
        self.written[name] = Written(size, sum_of_it, etag, email.utils.formatdate(usegmt=True), content)
        return self.written[name]


def _entry(name: str, size: int, md5: str, etag: str, when: str) -> str:
    return (
        f"<Blob><Name>{escape(name)}</Name><Properties>"
        f"<Creation-Time>{when}</Creation-Time><Last-Modified>{when}</Last-Modified>"
        f"<Etag>{etag}</Etag><Content-Length>{size}</Content-Length>"
        "<Content-Type>application/octet-stream</Content-Type><Content-Encoding /><Content-Language />"
        f"<Content-CRC64 /><Content-MD5>{md5}</Content-MD5><Cache-Control />"
        "<Content-Disposition /><BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier>"
        "<AccessTierInferred>true</AccessTierInferred><LeaseStatus>unlocked</LeaseStatus>"
        "<LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties>"
        "<Metadata /><OrMetadata /></Blob>"
    )


def _handler(storage: Storage) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self, status: int, body: bytes = b"", /, **headers: str) -> None:
            self.send_response(status)
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            for name, value in {
                "Content-Length": str(len(body)),
                "x-ms-version": "2021-12-02",
                **named,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self) -> None:
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            if query.get("comp") == ["list"]:
                most = int(query.get("maxresults", ["5000"])[0])
                page = storage.page(query.get("prefix", [""])[0], query.get("marker", [""])[0], most)
                self._answer(200, page, Content_Type="application/xml")
                return
            found = storage.written.get(self._name())
            if found is not None and found.content is not None and self.command == "GET":
                self._answer(200, found.content, **found.about, Content_MD5=found.md5)
                return
            body = (
                b'<?xml version="1.0" encoding="utf-8"?><Error><Code>BlobNotFound</Code>'
                b"<Message>The specified blob does not exist.</Message></Error>"
            )
            self._answer(404, body, x_ms_error_code="BlobNotFound", Content_Type="application/xml")

        def do_HEAD(self) -> None:
            name = self._name()
            if name not in storage.written:
                self.do_GET()
                return
            self._answer(200, **storage.written[name].about)

        def _name(self) -> str:
            return urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).split("/", 3)[-1]

        def do_PUT(self) -> None:
            name = self._name()
            size = left = int(self.headers.get("Content-Length", 0))
            digest, kept = hashlib.md5(usedforsecurity=False), bytearray()
            while left and (part := self.rfile.read(min(left, 2**20))):
                left -= len(part)
                digest.update(part)
                if size <= _KEPT:
                    kept += part
            sent = self.headers.get("Content-MD5")
            if sent is not None and base64.b64decode(sent) != digest.digest():
                self._answer(400, x_ms_error_code="Md5Mismatch")
                return
            written = storage.put(name, size, digest.digest(), bytes(kept) if size <= _KEPT else None)
            self._answer(201, ETag=f'"{written.etag}"', Last_Modified=written.when)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler
