"""A container that discards bodies: so that the client is what is measured.

It is Debian's nginx (two processes) with its Lua module and discarding.lua: Put Blob, Put Block and Put Block List are
read to their end and thrown away; List Blobs answers with the names, sizes, MD5s and ETags of what was put, so that the
verdict of a pass is a real one. It checks no MD5 and no signature and gives nothing back. ``top_rate`` says how fast it
is by itself, on the same two cores as whoever asks.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import types
import urllib.request

from embedded.azurite import ACCOUNT, KEY

_CONFIGURATION = """
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
daemon off;
user root;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    client_body_buffer_size 64m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/1; fastcgi_temp_path {folder}/2; uwsgi_temp_path {folder}/3; scgi_temp_path {folder}/4;
    large_client_header_buffers 4 32k;
    lua_shared_dict blobs 512m;
    lua_package_path "/usr/share/lua/5.1/?.lua;;";
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        merge_slashes off;
        location / {{ content_by_lua_file {lua}; }}
    }}
}}
"""


class Discarding:
    """A context manager with Azurite's account; the container is there, whatever its name."""

    account = ACCOUNT
    key = KEY

    def __init__(self) -> None:
        self.port = 0
        self._folder = pathlib.Path()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/{self.account}"

    def __enter__(self) -> Discarding:
        nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
        if nginx is None or not pathlib.Path("/usr/lib/nginx/modules/ngx_http_lua_module.so").exists():
            raise SystemExit(
                "the discarding server is nginx: apt-get install nginx-light libnginx-mod-http-lua"
            )
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="discarding-"))
        # Bound, but nobody listens: until nginx does, no other can take this port.
        ours = socket.socket()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ours.bind(("127.0.0.1", 0))
        self.port = int(ours.getsockname()[1])
        configuration = self._folder / "nginx.conf"
        lua = pathlib.Path(__file__).with_suffix(".lua")
        configuration.write_text(_CONFIGURATION.format(folder=self._folder, port=self.port, lua=lua))
        # TERM ends its worker processes as well.
        argv = ["setpriv", "--pdeathsig", "TERM", nginx, "-c", str(configuration), "-p", str(self._folder)]
        self._process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.received()
                ours.close()
                return self
            except OSError as error:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    ours.close()
                    self.__exit__(None, None, None)
                    raise SystemExit(f"nginx does not answer: {error}") from error
                time.sleep(0.02)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def received(self) -> int:
        """Bytes of all bodies so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_bytes", timeout=5) as answer:
            return int(answer.read())

    def top_rate(self, size: int, count: int) -> float:
        """Put Blobs of ``size`` bytes a second that it takes from four connections of two bare processes, which send
        prepared bytes and share the cores with it: it can do at least so many."""
        spawn = multiprocessing.get_context("fork")
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=spawn) as pool:
            list(pool.map(_send, [self.port] * 2, [size] * 2, [4] * 2))
            started = time.monotonic()
            list(pool.map(_send, [self.port] * 2, [size] * 2, [count // 2] * 2))
            return count / (time.monotonic() - started)


def _send(port: int, size: int, count: int) -> None:
    """Two connections in turn: while one is answered, the other is sent."""
    body = bytes(size)
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = f"PUT /{ACCOUNT}/rate/{size} HTTP/1.1\r\nHost: bench\r\nContent-Length: {size}\r\n\r\n".encode()
    for number in range(count):
        connection = connections[number % 2]
        if number >= 2:
            connection.recv(4096)
        connection.sendall(head)
        connection.sendall(body)
    for connection in connections[: min(count, 2)]:
        connection.recv(4096)
        connection.close()
