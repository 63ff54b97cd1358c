"""One HTTP request to a server that may be slow, busy, broken or gone; only the standard library.

Two limits hold: on silence (no byte for so long) and on the whole exchange, so that a server that
sends one byte now and then cannot hold the caller for ever. Redirects are not followed, since they
would take the key to another server. Proxies named in the environment are not used.
"""

import contextlib
import email.utils
import http.client
import math
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from .base import BackendError

MOST_BYTES = 32 * 2**20  # an answer beyond this is not one
RETRYABLE = {408, 409, 425, 429, 500, 502, 503, 504, 529}


class Exchange:
    """A POST and its response, as a context manager: ``status``, ``headers``, ``pieces()``.

    silence: seconds without a byte. deadline: the `time.monotonic` at which all must be over.
    Raises BackendError for whatever goes wrong on the way, retryable unless it cannot get better.
    """

    def __init__(
        self, url: str, payload: bytes, headers: dict[str, str], *, silence: float, deadline: float
    ) -> None:
        self._url, self._payload, self._request_headers = urlsplit(url), payload, headers
        self._silence, self._deadline = silence, deadline

    def __enter__(self) -> "Exchange":
        secure = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        timeout = max(0.001, min(self._silence, self._deadline - time.monotonic()))
        self._connection = kind(self._url.hostname, self._url.port, timeout=timeout)
        self._watch = None
        path = self._url.path + (f"?{self._url.query}" if self._url.query else "")
        try:
            self._connection.connect()
            left = max(0.001, self._deadline - time.monotonic())
            self._watch = threading.Timer(left, _hang_up, [self._connection.sock])
            self._watch.daemon = True
            self._watch.start()
            self._connection.request("POST", path, self._payload, self._request_headers)
            self._response = self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self.__exit__()
            raise self._explain(error) from error
        self.status, self.headers = self._response.status, self._response.headers
        return self

    def __exit__(self, *_) -> None:
        if self._watch:
            self._watch.cancel()
        self._connection.close()

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives. Raises BackendError if it is cut off or is too large."""
        size = 0
        while True:
            try:
                piece = self._response.read1(65536)
                if not piece and self._response.length:  # read1 does not tell
                    raise http.client.IncompleteRead(b"")
            except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
                # the last two: the watch has closed the connection under http.client's feet
                raise self._explain(error) from error
            if time.monotonic() >= self._deadline:
                raise self._explain(TimeoutError())
            if not piece:
                return
            size += len(piece)
            if size > MOST_BYTES:
                raise BackendError(f"the server's answer is larger than {MOST_BYTES >> 20} MB")
            yield piece

    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces())

    def _explain(self, error: Exception) -> BackendError:
        server = self._url.netloc.rpartition("@")[2]
        if time.monotonic() >= self._deadline:
            return BackendError(f"{server} was not done in the time given", retryable=True)
        if isinstance(error, TimeoutError):
            return BackendError(f"{server} was silent for {self._silence:g} s", retryable=True)
        if isinstance(error, ssl.SSLCertVerificationError):
            return BackendError(f"{server}: its certificate is not valid: {error.verify_message}")
        if isinstance(error, ssl.SSLError):
            return BackendError(f"{server} does not answer in TLS (https) as it should: {error}")
        if isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN:
            return BackendError(f"there is no server {self._url.hostname}: {error.strerror}")
        if isinstance(error, ConnectionRefusedError):
            return BackendError(f"nothing listens at {server}: is it running?", retryable=True)
        if isinstance(error, http.client.HTTPException) and not isinstance(
            error, (http.client.IncompleteRead, http.client.RemoteDisconnected)
        ):
            return BackendError(f"{server} does not speak HTTP as it should: {error!r}")
        return BackendError(f"the connection to {server} was lost", retryable=True)


def _hang_up(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        sock.shutdown(socket.SHUT_RDWR)


def retry_after(headers) -> float | None:
    """Seconds that a Retry-After header asks to wait, given as a number or as a date, or None."""
    value = headers.get("Retry-After")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def server_events(pieces: Iterator[bytes]) -> Iterator[str]:
    """The data of each server-sent event (text/event-stream), wherever the pieces were cut.

    Lines are cut as bytes and decoded whole, so that a character that two pieces share stays whole;
    bytes that are no UTF-8 become the replacement character.
    """
    data: list[str] = []
    for line in _lines(pieces):
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []
    if data:
        yield "\n".join(data)


def _lines(pieces: Iterator[bytes]) -> Iterator[str]:
    rest: list[bytes] = []
    for piece in pieces:
        *lines, last = piece.split(b"\n")
        for line in lines:
            yield b"".join([*rest, line]).removesuffix(b"\r").decode("utf-8", "replace")
            rest = []
        rest.append(last)
    yield b"".join(rest).decode("utf-8", "replace")
