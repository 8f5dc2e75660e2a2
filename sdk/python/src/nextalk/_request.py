"""One call of the server: an attempt with a timeout, and more of them where a repeat changes nothing."""

import base64
import email.utils
import http.client
import json
import os
import random
import select
import socket
import threading
import time
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple, Union
from urllib.parse import urlencode, urlsplit

from ._error import NexTalkError

Parameters = Sequence[Tuple[str, str]]

_FIRST_PAUSE_S = 0.25
#: A connection that was still for longer is not used again: the server, or what stands before it, may be closing it.
_STILL_S = 4.0


class Clock:
    """Time and chance, for tests."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def random(self) -> float:
        """From 0 to 1."""
        return random.random()


class _Unsent(Exception):
    """Before a connection stands nothing has been sent."""


class _Kept:
    """A connection of one thread of one process."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection
        self.process = os.getpid()
        self.used = time.monotonic()

    def is_usable(self) -> bool:
        sock = self.connection.sock
        if sock is None or self.process != os.getpid() or time.monotonic() - self.used > _STILL_S:
            return False
        # What can be read between two calls is the end of the connection.
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            return not poll.poll(0)
        return not select.select([sock], [], [], 0)[0]


class Transport:
    """Keeps one connection for each thread; safe to share among threads and over a fork."""

    def __init__(
        self, server: str, domain: str, api_key: str, timeout: float, retries: int, clock: Clock
    ) -> None:
        parts = urlsplit(server)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("server is an address that begins with https:// or http://")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        credentials = base64.b64encode(f"{domain}:{api_key}".encode("utf-8")).decode("ascii")
        self._headers = {
            "Accept": "application/json",
            "Authorization": f"Basic {credentials}",
            "User-Agent": "nextalk-site-python",
        }
        self._timeout = timeout
        self._retries = retries
        self.clock = clock
        self._threads = threading.local()

    def perform(
        self,
        method: str,
        path: str,
        parameters: Parameters,
        *,
        document: Optional[object] = None,
        repeatable: bool = True,
        ends: bool = False,
    ) -> Dict[str, Any]:
        """``repeatable``: whether a repeat after an attempt of which nobody knows the end changes nothing.

        ``ends``: that the ticket is gone is success, where an earlier attempt may have ended it.
        """
        uncertain = False
        repeats = 0
        while True:
            try:
                return self._attempt(method, path, parameters, document)
            except NexTalkError as error:
                if uncertain and ends and error.status == 404:
                    return {}
                uncertain = uncertain or error.status == 0 or error.status >= 500
                asked = error.retry_after or 0
                if repeats >= self._retries or asked > self._timeout or not _is_worth_repeating(repeatable, error):
                    raise
            pause = asked + _FIRST_PAUSE_S * 2**repeats * (0.5 + self.clock.random())
            self.clock.sleep(pause)
            repeats += 1

    def close(self) -> None:
        """Closes the connection of this thread."""
        kept: Optional[_Kept] = getattr(self._threads, "kept", None)
        self._threads.kept = None
        if kept is not None and kept.process == os.getpid():
            kept.connection.close()

    def _connection(self, deadline: float) -> http.client.HTTPConnection:
        kept: Optional[_Kept] = getattr(self._threads, "kept", None)
        if kept is not None and kept.is_usable():
            return kept.connection
        self.close()
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=_left(deadline))
        try:
            connection.connect()
        except OSError as error:
            raise _Unsent() from error
        self._threads.kept = _Kept(connection)
        return connection

    def _attempt(
        self, method: str, path: str, parameters: Parameters, document: Optional[object]
    ) -> Dict[str, Any]:
        deadline = time.monotonic() + self._timeout
        headers = dict(self._headers)
        body: Optional[bytes] = None
        target = self._prefix + path
        if document is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(document, ensure_ascii=False).encode("utf-8")
        elif method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(parameters).encode("ascii")
        else:
            target += "?" + urlencode(parameters)
        try:
            connection = self._connection(deadline)
            _set_timeout(connection, deadline)
            connection.request(method, target, body=body, headers=headers)
            response = connection.getresponse()
            content = _read(connection, response, deadline)
        except _Unsent as error:
            raise _failure(error.__cause__, unsent=True) from error.__cause__
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise _failure(error, unsent=False) from error
        except BaseException:
            # A connection with half an answer in it would hand that to the next call.
            self.close()
            raise
        if response.will_close:
            self.close()
        else:
            self._threads.kept.used = time.monotonic()
        return _read_answer(response, content, self.clock.now())


class _ConnectionFailed(NexTalkError):
    """Nothing was sent."""


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout("timed out")
    return left


def _set_timeout(connection: http.client.HTTPConnection, deadline: float) -> None:
    if connection.sock is not None:
        connection.sock.settimeout(_left(deadline))


def _read(connection: http.client.HTTPConnection, response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The body, whose last byte must come before the deadline: a socket's own timeout counts from byte to byte."""
    chunks = []
    while True:
        _set_timeout(connection, deadline)
        chunk = response.read1(65536) if not response.isclosed() else b""
        if not chunk:
            break
        chunks.append(chunk)
    if response.length:
        raise http.client.IncompleteRead(b"".join(chunks), response.length)
    # read1 leaves the answer open at its end, and an open answer keeps the connection from its next one.
    response.close()
    return b"".join(chunks)


def _failure(error: Optional[BaseException], unsent: bool) -> NexTalkError:
    if isinstance(error, socket.timeout):
        return NexTalkError(0, "timeout")
    detail = str(error) or type(error).__name__
    return (_ConnectionFailed if unsent else NexTalkError)(0, "connection failed", detail)


def _is_worth_repeating(repeatable: bool, error: NexTalkError) -> bool:
    """Whether another attempt may help and does no harm."""
    # The server did nothing: it refused, or was never reached.
    if error.status in (429, 503) or isinstance(error, _ConnectionFailed):
        return True
    return repeatable and (error.status in (0, 408) or error.status >= 500)


def _retry_after(header: Optional[str], now: float) -> Optional[int]:
    """Seconds from Retry-After, which is a number or a date."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    return max(0, int(-((now - date.timestamp()) // 1)))


def _parsed(content: bytes) -> Union[Mapping[str, Any], None]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _read_answer(response: http.client.HTTPResponse, content: bytes, now: float) -> Dict[str, Any]:
    body = _parsed(content)
    if 200 <= response.status < 300 and body is not None:
        return dict(body)
    retry_after = _retry_after(response.getheader("Retry-After"), now)
    message = body.get("message") if body is not None else None
    if body is None or not isinstance(message, str):
        raise NexTalkError(response.status, "unexpected answer", None, retry_after)
    detail = body.get("detail")
    raise NexTalkError(response.status, message, detail if isinstance(detail, str) else None, retry_after)
