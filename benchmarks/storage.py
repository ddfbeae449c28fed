"""Stands in for the container in memory.py: lists what AzCopy's stand-in took, takes what is written, holds no more.

A million blobs in Azurite would measure Azurite. The real azure-storage-blob reads these answers; they have the form of
the service's own (List Blobs of API version 2021 and later). Names come from the list of files, in its order, a page at
a time, so this server's memory is flat too; sizes and MD5s follow from the names, see ``content``.
"""

from __future__ import annotations

import base64
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


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # five, the library's own, overflow: the kernel then resets connections
    daemon_threads = True


def content(name: bytes) -> bytes:
    """The one byte that the file of this path (below the run) holds."""
    return bytes([zlib.crc32(name) & 0xFF])


@functools.lru_cache(maxsize=256)
def _md5(byte: bytes) -> str:
    return base64.b64encode(hashlib.md5(byte, usedforsecurity=False).digest()).decode()


class Storage:
    """A context manager; ``carried`` is the list of files, as soon as it is there."""

    account = "devstoreaccount1"

    def __init__(self, carried: pathlib.Path, prefix: str) -> None:
        self.carried = carried
        self.prefix = prefix
        self.written: dict[str, int] = {}
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
        items: list[str] = []
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
            f"<Blobs>{''.join(items)}</Blobs><NextMarker>{following}</NextMarker></EnumerationResults>"
        ).encode()

    def _item(self, name: bytes) -> str:
        return (
            f"<Blob><Name>{escape(self.prefix + name.decode())}</Name><Properties>"
            f"<Creation-Time>{_WHEN}</Creation-Time><Last-Modified>{_WHEN}</Last-Modified>"
            f"<Etag>0x8DE{zlib.crc32(name):08X}0000</Etag><Content-Length>1</Content-Length>"
            "<Content-Type>application/octet-stream</Content-Type><Content-Encoding /><Content-Language />"
            f"<Content-CRC64 /><Content-MD5>{_md5(content(name))}</Content-MD5><Cache-Control />"
            "<Content-Disposition /><BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier>"
            "<AccessTierInferred>true</AccessTierInferred><LeaseStatus>unlocked</LeaseStatus>"
            "<LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties>"
            "<Metadata /><OrMetadata /></Blob>"
        )


def _etag(name: str) -> str:
    return f'"0x8DE{zlib.crc32(name.encode()):08X}"'


def _handler(storage: Storage) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
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
            self._answer(200, ETag=_etag(name), Last_Modified=_WHEN, x_ms_blob_type="BlockBlob")

        def _name(self) -> str:
            return urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).split("/", 3)[-1]

        def do_PUT(self) -> None:
            name = self._name()
            left, digest = int(self.headers.get("Content-Length", 0)), hashlib.md5(usedforsecurity=False)
            storage.written[name] = storage.written.get(name, 0) + left
            while left and (part := self.rfile.read(min(left, 2**20))):
                left -= len(part)
                digest.update(part)
            sent = self.headers.get("Content-MD5")
            if sent is not None and base64.b64decode(sent) != digest.digest():
                self._answer(400, x_ms_error_code="Md5Mismatch")
                return
            self._answer(201, ETag=_etag(name), Last_Modified=_WHEN)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler
