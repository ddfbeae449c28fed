"""One HTTP request that always ends, and whose failure never shows the address."""

from __future__ import annotations

import dataclasses
import queue
import ssl
import threading
import urllib.parse
import urllib.request
from collections.abc import Mapping

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from cronbeat import __version__
from cronbeat.errors import Unreachable

LARGEST_ANSWER = 1 << 14
"""Bytes that are read of an answer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """``retry_after``: seconds that the receiver asked for, or None."""

    status: int
    text: str
    retry_after: float | None


def post(url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
    """POST ``body``; no redirect is followed, nothing is sent twice. Unreachable after ``seconds`` at the latest.

    The time of a socket begins anew with each byte, and a name server knows none: so a thread does it, and is left
    behind if it does not end.
    """
    results: queue.SimpleQueue[Answer | Unreachable] = queue.SimpleQueue()

    def work() -> None:
        try:
            results.put(_post(url, body, headers, seconds))
        except Exception as error:  # not one may end the thread: its traceback would show the address
            results.put(Unreachable(_reason(error)))

    threading.Thread(target=work, daemon=True).start()
    try:
        result = results.get(timeout=seconds)
    except queue.Empty:
        raise Unreachable(f"no answer within {seconds:g} s") from None
    if isinstance(result, Unreachable):
        raise result
    return result


def _post(url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
    with _manager(url) as manager:
        response = manager.request(
            "POST",
            url,
            body=body,
            headers={"User-Agent": f"cronbeat/{__version__}", **headers},
            redirect=False,
            retries=False,
            timeout=urllib3.Timeout(connect=seconds, read=seconds),
            preload_content=False,
        )
        try:
            text = response.read(LARGEST_ANSWER).decode("utf-8", "replace")
        except (HTTPError, OSError):
            text = ""  # the status says all; what follows it can break off
        return Answer(response.status, text, _retry_after(response.headers.get("Retry-After")))


def _manager(url: str) -> urllib3.PoolManager:
    """Through the proxy that the environment names, if any (https_proxy, no_proxy)."""
    split = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies_environment().get(split.scheme)
    if proxy and not urllib.request.proxy_bypass(split.hostname or ""):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()


def _retry_after(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return urllib3.Retry().parse_retry_after(value)
    except (HTTPError, ValueError, OverflowError):
        return None


def _reason(error: Exception) -> str:
    """What went wrong, in our own words: the library's hold host and path."""
    if isinstance(error, ProxyError):
        return "the proxy cannot be reached or refuses"
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        inner = next((argument for argument in link.args if isinstance(argument, BaseException)), None)
        link = link.__cause__ or link.__context__ or inner
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted (TLS code {link.verify_code})"
    if isinstance(error, SSLError) or any(isinstance(link, ssl.SSLError) for link in chain):
        return "no TLS connection"
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return "no connection in time"
    if isinstance(error, ReadTimeoutError):
        return "no answer in time"
    numbers = [link.strerror for link in chain if isinstance(link, OSError) and link.strerror]
    if isinstance(error, NewConnectionError):
        return f"cannot connect ({numbers[-1]})" if numbers else "cannot connect"
    if isinstance(error, ProtocolError):
        return f"the connection broke off ({numbers[-1]})" if numbers else "the connection broke off"
    if isinstance(error, LocationValueError | ValueError):
        return "the address cannot be used"
    return type(error).__name__
