"""A loopback server that answers exactly as it is told, and as badly."""

import json
import socket
import threading
import time


class Stub:
    """Plays `answers` in order, one a connection; each is a function of the open socket.

    `requests` has what was sent: {"path", "headers" (lower-case names), "body"}.
    """

    def __init__(self, *answers):
        self.answers, self.requests = list(answers), []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection):
        with connection:
            try:
                request = read_request(connection)
                self.requests.append(request)
                answer = self.answers.pop(0) if self.answers else status(404)
                answer(connection, request)
            except OSError:
                pass


def read_request(connection) -> dict:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise OSError("nothing was asked")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return {"path": first.split()[1], "headers": headers, "body": json.loads(body)}


def head(code=200, kind="application/json", **headers) -> bytes:
    lines = [f"HTTP/1.1 {code} X", f"Content-Type: {kind}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def status(code, body=None, **headers):
    """Answer with a status and a JSON body (or bytes as they are)."""
    data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()

    def answer(connection, request):
        connection.sendall(head(code, Content_Length=len(data), **headers) + data)

    return answer


def message(text="", calls=(), reason="stop", usage=(3, 2), **more):
    """Answer with a completion; calls are (name, arguments as text)."""
    parts = [
        {"id": f"id_{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for i, (name, arguments) in enumerate(calls)
    ]
    said = {"role": "assistant", "content": text, "tool_calls": parts} | more
    body = {"choices": [{"index": 0, "message": said, "finish_reason": reason}]}
    if usage:
        body["usage"] = dict(zip(("prompt_tokens", "completion_tokens"), usage, strict=True))
    return status(200, body)


def chunk(delta=None, reason=None, **more) -> bytes:
    """One event of a stream."""
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": reason}]
    return (
        b"data: " + json.dumps({"choices": choices} | more, ensure_ascii=False).encode() + b"\n\n"
    )


DONE = b"data: [DONE]\n\n"


def stream(*pieces: bytes, gap=0.0, cut=False):
    """Answer with these bytes of an event stream, each sent by itself as one HTTP chunk.

    cut: the connection is closed without the end that HTTP asks for.
    """

    def answer(connection, request):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head(kind="text/event-stream", Transfer_Encoding="chunked"))
        for piece in pieces:
            connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            time.sleep(gap)
        if not cut:
            connection.sendall(b"0\r\n\r\n")

    return answer


def silence(seconds):
    """Say nothing for a while, then close."""

    def answer(connection, request):
        time.sleep(seconds)

    return answer


def drip(data: bytes, gap):
    """Send these bytes one by one."""

    def answer(connection, request):
        for i in range(len(data)):
            connection.sendall(data[i : i + 1])
            time.sleep(gap)

    return answer
