"""A model of this library as an OpenAI-compatible server on your own machine.

    python -m llmlib.agents.serve --model S-instruct
    curl http://127.0.0.1:8000/v1/chat/completions -H "Content-Type: application/json" \\
         -d '{"messages": [{"role": "user", "content": "What is 2 + 3?"}]}'

It answers GET /v1/models and POST /v1/chat/completions, streamed or not, one request at a time. It
listens on this machine only unless told otherwise, asks for no key, and refuses requests that a web
page of another origin makes a browser send. It is made for experiments, not for strangers.
"""

import argparse
import json
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from llmlib.checkpoint import load, load_shipped
from llmlib.model import Transformer
from llmlib.tokenizer import Tokenizer

from .backends.base import BackendError, ChatBackend, Reply
from .backends.local import LocalBackend
from .backends.openai_compat import is_loopback
from .completions import Answer, BadRequest, Request, read_request

MOST_BYTES = 2 * 2**20  # of a request


class ChatServer(ThreadingHTTPServer):
    """An HTTP server for one backend. As a context manager it serves in a thread of its own.

    `url` is the base URL for `OpenAICompatBackend`.
    """

    daemon_threads = True

    def __init__(self, backend: ChatBackend, name: str, host: str, port: int) -> None:
        super().__init__((host, port), Handler)
        self.backend, self.name, self.host = backend, name, host
        self.one_at_a_time = threading.Lock()
        self.url = f"http://{host}:{self.server_port}/v1"

    def __enter__(self) -> "ChatServer":
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address) -> None:
        """Say nothing of connections that break; everything else is reported."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()


def make_server(
    backend: ChatBackend, name: str = "local", *, host: str = "127.0.0.1", port: int = 8000
) -> ChatServer:
    """A server for a backend; port 0 takes a free one. Raises OSError where the port is taken."""
    return ChatServer(backend, name, host, port)


class Handler(BaseHTTPRequestHandler):
    """One connection. Errors are answered in OpenAI's form: {"error": {"message": …, …}}."""

    protocol_version = "HTTP/1.1"
    server_version = "llmlib"
    sys_version = ""
    timeout = 60  # seconds that a silent client is waited for
    server: ChatServer

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: what is asked is nobody else's affair."""

    def do_GET(self) -> None:
        if not self._is_welcome():
            return
        models = [{"id": self.server.name, "object": "model", "created": 0, "owned_by": "you"}]
        if self._path() == "/v1/models":
            self._send(200, {"object": "list", "data": models})
        elif self._path() == f"/v1/models/{self.server.name}":
            self._send(200, models[0])
        elif self._path() == "/v1/chat/completions":
            self._fail(405, "use POST with a JSON body", Allow="POST")
        else:
            self._fail(404, _NOT_HERE)

    def do_POST(self) -> None:
        if not self._is_welcome():
            return
        if self._path() != "/v1/chat/completions":
            self._fail(404, _NOT_HERE)
            return
        body = self._body()
        if body is None:
            return
        try:
            asked = read_request(json.loads(body))
        except (BadRequest, ValueError, RecursionError) as error:
            field = getattr(error, "field", None)
            why = str(error) if isinstance(error, BadRequest) else f"the body is no JSON: {error}"
            self._fail(400, why, field)
            return
        if asked.model not in ("", self.server.name):
            wrong = f"there is no model {asked.model[:100]!r} here; there is {self.server.name!r}"
            self._fail(404, wrong, "model", code="model_not_found")
            return
        self._answer(asked)

    def _answer(self, asked: Request) -> None:
        """Ask the backend, and send what it says."""
        answer, self._streaming = Answer(self.server.name), False
        tell = (lambda text: self._event(answer.piece(text))) if asked.stream else None
        try:
            with self.server.one_at_a_time:
                backend = self.server.backend
                reply = backend.chat(asked.messages, stream=tell, **asked.options)
            self._finish(answer, reply, asked)
        except BackendError as error:
            self._trouble(503 if error.retryable else 400, str(error))
        except (ValueError, TypeError) as error:
            self._trouble(400, str(error))
        except OSError:  # the client has gone; nobody is left to tell
            self.close_connection = True
        except Exception:
            traceback.print_exc()
            self._trouble(500, "the server has failed; its terminal says how")

    def _finish(self, answer: Answer, reply: Reply, asked: Request) -> None:
        if not asked.stream:
            self._send(200, answer.body(reply))
            return
        for chunk in answer.last(reply, asked.wants_usage):
            self._event(chunk)
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _trouble(self, status: int, message: str) -> None:
        """An error while answering: as a status if nothing was sent yet, else as an event."""
        if not self._streaming:
            self._fail(status, message)
            return
        self.close_connection = True
        self._event({"error": {"message": message, "type": "server_error"}})
        self._chunk(b"")

    # -- HTTP -------------------------------------------------------------------------------------

    def _is_welcome(self) -> bool:
        """Refuse a browser that a page of another origin sends here, also by a name of its own."""
        if not is_loopback(self.server.host):
            return True
        origin = self.headers.get("Origin")
        hosts = [urlsplit(f"//{self.headers.get('Host', 'localhost')}").hostname]
        hosts += [urlsplit(origin).hostname] if origin is not None else []
        if all(host is not None and is_loopback(host) for host in hosts):
            return True
        self._fail(403, "this server answers this machine only, and no pages of other origins")
        return False

    def _path(self) -> str:
        return urlsplit(self.path).path.rstrip("/")

    def _body(self) -> bytes | None:
        """The request's body, or None after an error was sent."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            self._fail(411, "a request needs a Content-Length")
        elif int(length) > MOST_BYTES:
            self._fail(413, f"the request is larger than {MOST_BYTES >> 20} MB")
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                return body
            self.close_connection = True
        return None

    def _send(self, status: int, body: dict, **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _fail(
        self,
        status: int,
        message: str,
        field: str | None = None,
        code: str | None = None,
        **headers: str,
    ) -> None:
        kind = "invalid_request_error" if status < 500 else "server_error"
        error = {"message": message, "type": kind, "param": field, "code": code}
        self.close_connection = True  # the body may be unread
        self._send(status, {"error": error}, Connection="close", **headers)

    def _event(self, chunk: dict) -> None:
        """Send one server-sent event, after the headers if it is the first."""
        if not self._streaming:
            self._streaming = True
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Cache-Control", "no-cache")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
        self._chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


_NOT_HERE = "there are GET /v1/models and POST /v1/chat/completions"


def load_model(source: str) -> tuple[Transformer, Tokenizer]:
    """A checkpoint's model and tokenizer, or a shipped model's by its name.

    Raises ValueError for an unknown name, a damaged file, and a checkpoint without tokenizer.
    """
    if not Path(source).is_file():
        return load_shipped(source)
    model, tokenizer, _ = load(source)
    if tokenizer is None:
        raise ValueError(f"{source} has no tokenizer in it: it cannot be served")
    return model.eval(), tokenizer


def main(arguments: list[str] | None = None) -> int:
    """Serve a model until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m llmlib.agents.serve")
    parser.add_argument("--model", default="S-instruct", help="a shipped model, or a checkpoint")
    parser.add_argument("--host", default="127.0.0.1", help="another one opens it to the network")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    options = parser.parse_args(arguments)
    try:
        backend = LocalBackend(*load_model(options.model))
        server = make_server(backend, options.model, host=options.host, port=options.port)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not is_loopback(options.host):
        print("Anybody who can reach this machine can now use the model.", file=sys.stderr)
    print(f"{options.model} answers at {server.url} (Ctrl-C ends it)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("\nstopped")
    finally:
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
