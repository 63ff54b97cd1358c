"""Three ways to carry a JSON-RPC message to a server and its answer back.

`request(message, version)` returns the answer with the message's id; `notify` expects none. Both
raise McpError when the server is gone, late, or talks nonsense; nobody waits longer than `timeout`
seconds. Other messages in between (notifications, answers that come too late) are passed over, and
a request from the server is told that there is no such method.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..limits import Hung, run_for

MAX_LINE = 10 * 2**20
SAFE = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "TEMP")


class McpError(RuntimeError):
    """The server refused a request (`code` is JSON-RPC's), or is gone, late or not to be
    understood (`code` is None).
    """

    def __init__(self, message: str, code: int | None = None):
        super().__init__(message)
        self.code = code


class Memory:
    """Straight into a server object in this process: `answer(message) -> message or None`."""

    def __init__(self, server):
        self.server = server

    def request(self, message: dict[str, Any], version: str) -> dict[str, Any]:
        # through text and back, as over any wire: nothing is shared, what is no JSON fails here
        answer = self.server.answer(json.loads(json.dumps(message)))
        if answer is None:
            raise _error(message, "gave no answer")
        return json.loads(json.dumps(answer))

    def notify(self, message: dict[str, Any], version: str) -> None:
        self.server.answer(message)

    def close(self) -> None:
        pass


class Stdio:
    """A server as a child process: one message a line, on its standard input and output.

    command: the program and its arguments. env: variables that it gets besides a few harmless ones
        (SAFE): the parent's secrets stay at home. timeout: seconds for an answer.

    The server's standard error is kept for messages about its end.
    """

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float = 30.0
    ):
        self.command, self.timeout = list(command), timeout
        given = {key: os.environ[key] for key in SAFE if key in os.environ} | dict(env or {})
        try:
            self.process = subprocess.Popen(
                self.command, env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            raise McpError(f"cannot start {self.command[0]}: {error.strerror}") from None
        self._lines: queue.Queue[bytes] = queue.Queue(maxsize=100)
        self._last_words: deque[str] = deque(maxlen=10)
        self._writing = threading.Lock()
        for work in (self._read, self._listen):
            threading.Thread(target=work, daemon=True, name="mcp").start()

    def _read(self) -> None:
        while line := self.process.stdout.readline(MAX_LINE):
            self._lines.put(line)
        self._lines.put(b"")  # the end

    def _listen(self) -> None:
        for line in self.process.stderr:
            self._last_words.append(line.decode(errors="replace").rstrip()[:300])

    def request(self, message: dict[str, Any], version: str) -> dict[str, Any]:
        self._write(message)
        until = time.monotonic() + self.timeout
        while True:
            try:
                if (left := until - time.monotonic()) <= 0:
                    raise queue.Empty
                line = self._lines.get(timeout=left)
            except queue.Empty:
                raise _error(message, f"gave no answer within {self.timeout:g} s") from None
            if not line:
                self._lines.put(b"")  # for whoever asks next
                raise _error(message, self._end())
            for received in _parse(line, message):
                if received.get("id") == message["id"] and "method" not in received:
                    return received
                if "method" in received and "id" in received:
                    self._write(_no_such_method(received))

    def notify(self, message: dict[str, Any], version: str) -> None:
        self._write(message)

    def _write(self, message: dict[str, Any]) -> None:
        line = json.dumps(message).encode() + b"\n"

        def write() -> None:
            try:
                with self._writing:
                    self.process.stdin.write(line)
                    self.process.stdin.flush()
            except (OSError, ValueError):
                failed.append(True)

        # A server that does not read fills the pipe; then writing waits, perhaps for ever.
        failed: list[bool] = []
        thread = threading.Thread(target=write, daemon=True, name="mcp")
        thread.start()
        thread.join(self.timeout)
        if thread.is_alive():
            raise _error(message, f"does not read what is sent: nothing went in {self.timeout:g} s")
        if failed:
            raise _error(message, self._end())

    def _end(self) -> str:
        try:
            code = self.process.wait(1)
        except subprocess.TimeoutExpired:
            return "closed its output"
        time.sleep(0.05)  # its last words may still be on their way
        words = " | ".join(self._last_words)
        return f"ended with exit code {code}" + (f"; it said: {words[-500:]}" if words else "")

    def close(self) -> None:
        """Close the server's input, which tells it to end; one that does not is killed."""
        if self._writing.locked():  # it does not read: closing would wait for it
            self.process.kill()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Http:
    """Streamable HTTP: every message is a POST to one address; the answer is JSON or events."""

    def __init__(
        self, url: str, *, timeout: float = 30.0, headers: Mapping[str, str] | None = None
    ):
        self.url, self.timeout, self.headers = url, timeout, dict(headers or {})
        self.session: str | None = None

    def request(self, message: dict[str, Any], version: str) -> dict[str, Any]:
        for received in self._exchange(message, version):
            if received.get("id") == message["id"] and "method" not in received:
                return received
        raise _error(message, "gave no answer")

    def notify(self, message: dict[str, Any], version: str) -> None:
        self._exchange(message, version)

    def _exchange(self, message: dict[str, Any], version: str) -> list[dict[str, Any]]:
        """All that comes back, up to the answer; the limit is on the whole, not on each wait."""
        try:
            return run_for(self.timeout, lambda: list(self._post(message, version)))
        except Hung:
            raise _error(message, f"gave no answer within {self.timeout:g} s") from None

    def _post(self, message: dict[str, Any], version: str) -> Iterable[dict[str, Any]]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": version,
            "Mcp-Method": message["method"],
        }
        if name := message.get("params", {}).get("name"):
            headers["Mcp-Name"] = name
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        data = json.dumps(message).encode()
        request = urllib.request.Request(self.url, data, headers | self.headers)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as reply:
                self.session = reply.headers.get("Mcp-Session-Id", self.session)
                if reply.headers.get_content_type() == "text/event-stream":
                    yield from self._events(reply, message)
                elif body := reply.read(MAX_LINE):
                    yield from _parse(body, message)
        except urllib.error.HTTPError as error:
            body = error.read(MAX_LINE)
            if error.headers.get_content_type() == "application/json":
                yield from _parse(body, message)
            else:
                raise _error(message, f"answered with HTTP {error.code}") from None
        except (OSError, urllib.error.URLError) as error:
            why = getattr(error, "reason", error)
            raise _error(message, f"did not answer at {self.url}: {why}") from None

    def _events(self, reply, message: dict[str, Any]) -> Iterable[dict[str, Any]]:
        """Server-sent events: `data:` lines, up to an empty line, are one message."""
        data = b""
        while line := reply.readline(MAX_LINE):
            if line.startswith(b"data:"):
                data += line[5:].strip()
            elif not line.strip() and data:
                for received in _parse(data, message):
                    yield received
                    if received.get("id") == message.get("id") and "method" not in received:
                        return  # the stream may stay open after the answer
                data = b""

    def close(self) -> None:
        pass


def _parse(line: bytes, message: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        received = json.loads(line)
        return [received] if isinstance(received, dict) else [one for one in received if one.get]
    except (ValueError, AttributeError, TypeError, RecursionError):
        said = line[:80].decode(errors="replace").strip()
        advice = "a server may print to standard error only"
        raise _error(message, f"wrote what is no message: {said!r} ({advice})") from None


def _no_such_method(received: dict[str, Any]) -> dict[str, Any]:
    error = {"code": -32601, "message": "Method not found"}
    return {"jsonrpc": "2.0", "id": received["id"], "error": error}


def _error(message: dict[str, Any], why: str) -> McpError:
    name = message.get("params", {}).get("name")
    what = f"{message['method']} {name}" if name else message["method"]
    return McpError(f"{what}: the server {why}")
