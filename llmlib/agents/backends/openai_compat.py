"""Any server that speaks OpenAI's chat interface: hosted models, and llama.cpp, vLLM, Ollama,
`llmlib.agents.serve` on your own machine.

    OPENAI_BASE_URL=http://127.0.0.1:8000/v1 python my_agent.py

Set the base URL, and the agent's model is another one; nothing else in the program changes.
"""

import ipaddress
import json
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from .base import BackendError, Message, Reply, ToolCall, check_request, whole
from .transport import RETRYABLE, Exchange, retry_after, server_events


class OpenAICompatBackend:
    """Asks a server at ``{base_url}/chat/completions``.

    model: the name by which the server knows it. base_url: else OPENAI_BASE_URL; there is no other
        default, so nothing is sent anywhere unasked. api_key: else OPENAI_API_KEY; "" for none.
    timeout: seconds without a byte from the server. total: seconds for a whole `chat`, every try
        and wait included. retries: how often a retryable error is tried again, after waits that
        double from `first_wait` seconds, or after as long as the server asks (Retry-After).
    extra: more fields of each request, such as {"top_p": 0.9}; a None leaves one out that is sent
        otherwise, such as {"seed": None} for a server that refuses it.

    The key is sent to the server as the authorization header and goes nowhere else. Raises
    ValueError for no or a wrong base URL, and where a key would travel unencrypted to another
    machine.
    """

    def __init__(
        self,
        model: str = "",
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 60.0,
        total: float = 180.0,
        retries: int = 3,
        first_wait: float = 0.5,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        base_url = os.environ.get("OPENAI_BASE_URL", "") if base_url is None else base_url
        key = os.environ.get("OPENAI_API_KEY", "") if api_key is None else api_key
        self.model, self.base_url = model, base_url.strip().rstrip("/")
        self._key = key.strip()
        _check_address(self.base_url, bool(self._key))
        if not self._key.isascii() or any(c.isspace() for c in self._key):
            raise ValueError("the API key has characters that no key has")
        self._timeout, self._total = timeout, total
        self._retries, self._first_wait = retries, first_wait
        self._extra = dict(extra or {})

    def __repr__(self) -> str:
        return f"OpenAICompatBackend({self.model!r}, {self.base_url!r})"

    def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping] | None = None,
        response_format: Mapping | None = None,
        temperature: float = 0.0,
        seed: int = 0,
        max_tokens: int = 256,
        stream: Callable[[str], None] | None = None,
    ) -> Reply:
        """Ask the server; see `base.ChatBackend`. Whether a seed is heeded is up to the server.

        An error after the first piece was streamed is not tried again: the pieces would come twice.
        """
        check_request(messages, stream, max_tokens)
        request = {
            "model": self.model,
            "messages": list(messages),
            "temperature": temperature,
            "seed": seed,
            "max_tokens": max_tokens,
            "tools": list(tools) if tools else None,
            "response_format": response_format,
            "stream": True if stream else None,
            "stream_options": {"include_usage": True} if stream else None,
        } | self._extra
        request = {key: value for key, value in request.items() if value is not None}
        payload = json.dumps(request, allow_nan=False, default=dict).encode()
        deadline = time.monotonic() + self._total
        for tries in range(self._retries + 1):
            try:
                return self._ask(payload, deadline, stream)
            except BackendError as error:
                doubled = self._first_wait * 2**tries * random.uniform(0.75, 1.25)
                wait = doubled if error.retry_after is None else error.retry_after
                late = time.monotonic() + wait >= deadline
                if not error.retryable or late or tries == self._retries:
                    again = {"retryable": error.retryable, "retry_after": error.retry_after}
                    raise BackendError(self._scrub(str(error)), **again) from None
            time.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _ask(self, payload: bytes, deadline: float, stream) -> Reply:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        headers["Accept"] = "text/event-stream" if stream else "application/json"
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        url = f"{self.base_url}/chat/completions"
        limits = {"silence": self._timeout, "deadline": deadline}
        with Exchange(url, payload, headers, **limits) as exchange:
            if exchange.status != 200:
                raise self._refusal(exchange)
            is_stream = exchange.headers.get_content_type() == "text/event-stream"
            if not is_stream:
                reply = read_completion(_json(exchange.body(), self))
                if stream and reply.text:
                    stream(reply.text)
                return reply
            said = False

            def tell(text: str) -> None:
                nonlocal said
                said = True
                if stream:
                    stream(text)

            try:
                return read_stream(server_events(exchange.pieces()), tell)
            except BackendError as error:
                if not said or not error.retryable:
                    raise
                raise BackendError(f"{error}, in the middle of its answer") from error

    def _refusal(self, exchange: Exchange) -> BackendError:
        """What a status other than 200 means, with the server's own words if it has any."""
        status = exchange.status
        if 300 <= status < 400:
            to = exchange.headers.get("Location", "elsewhere")
            return BackendError(f"{self.base_url} has moved to {to}: set the base URL to that")
        try:
            said = _error_text(json.loads(exchange.body()))
        except (BackendError, ValueError, RecursionError):
            said = ""
        hint = {
            401: "the key is missing or wrong (OPENAI_API_KEY)",
            403: "the key does not allow this",
            404: f"no such model ({self.model!r}) or no such address ({self.base_url})",
            413: "the request is too large",
            429: "the server is busy, or a quota is used up",
        }.get(status, "the server has failed" if status >= 500 else "the request was refused")
        text = f"HTTP {status}: {hint}" + (f": {said[:500]}" if said else "")
        again = status in RETRYABLE and "insufficient_quota" not in said
        return BackendError(text, retryable=again, retry_after=retry_after(exchange.headers))

    def _scrub(self, text: str) -> str:
        """Without the key: servers put it into their messages, and messages go into logs."""
        return text.replace(self._key, "[key]") if self._key else text


def _check_address(base_url: str, has_key: bool) -> None:
    if not base_url:
        raise ValueError("no server: set OPENAI_BASE_URL or give base_url, for example "
                         "http://127.0.0.1:8000/v1")  # fmt: skip
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise ValueError(f"not the base URL of a server: {base_url!r} (http://host:port/v1)")
    if parts.username is not None:
        raise ValueError("a base URL with a user or password: give the key as api_key")
    if has_key and parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(f"the key would go to {parts.hostname} unencrypted: use https, or give "
                         'api_key="" if that server needs none')  # fmt: skip


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def read_completion(answer: Any) -> Reply:
    """A Reply from the body of a chat completion. Raises BackendError if it is not one."""
    try:
        if "error" in answer and not answer.get("choices"):
            raise BackendError(f"the server reports: {_error_text(answer)[:500]}")
        choice = answer["choices"][0]
        message = choice["message"]
        calls = [_call(i, part) for i, part in enumerate(message.get("tool_calls") or ())]
        text = _text(message.get("content")) or _text(message.get("refusal"))
        return _reply(text, calls, choice, answer.get("usage"))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise BackendError(f"the server's answer is no chat completion: {error!r}") from error


def read_stream(events: Iterable[str], tell: Callable[[str], None]) -> Reply:
    """A Reply from the chunks of a streamed completion; `tell` gets each piece of text.

    Raises BackendError, retryable, if the stream ends before the model has.
    """
    text, calls, end, usage = [], {}, None, None
    for event in events:
        if event.strip() == "[DONE]":
            break
        if not event.strip():  # a sign of life
            continue
        chunk = _json(event.encode(), "the stream")
        try:
            if "error" in chunk and not chunk.get("choices"):
                raise BackendError(f"the server reports: {_error_text(chunk)[:500]}")
            usage = chunk.get("usage") or usage
            for choice in chunk.get("choices") or ():
                end = choice if choice.get("finish_reason") else end
                delta = choice.get("delta") or {}
                piece = _text(delta.get("content")) or _text(delta.get("refusal"))
                for part in delta.get("tool_calls") or ():
                    _add_part(calls, part)
                if piece:
                    text.append(piece)
                    tell(piece)
        except (KeyError, TypeError, AttributeError) as error:
            raise BackendError(f"the stream has what is no chunk: {error!r}") from error
    if end is None:
        raise BackendError("the connection was closed", retryable=True)
    made = [_call(i, calls[key]) for i, key in enumerate(sorted(calls))]
    return _reply("".join(text), made, end, usage)


def _add_part(calls: dict[int, dict], part: Mapping) -> None:
    """Add a piece of a tool call to the calls by index; a new id without index is a new call."""
    index = part.get("index")
    if index is None:
        index = len(calls) if part.get("id") or not calls else max(calls)
    if not isinstance(index, int):
        raise TypeError(f"the index of a call is {index!r}")
    call = calls.setdefault(index, {"id": "", "function": {"name": "", "arguments": ""}})
    call["id"] = call["id"] or part.get("id") or ""
    function = part.get("function") or {}
    for key in ("name", "arguments"):
        call["function"][key] += function.get(key) or ""


def _call(number: int, part: Mapping) -> ToolCall:
    name, arguments = part["function"]["name"], part["function"].get("arguments") or ""
    if not isinstance(name, str):
        raise TypeError(f"the name of a tool is {name!r}")
    if not isinstance(arguments, str):  # some servers send the object itself
        arguments = json.dumps(arguments)
    return ToolCall.from_json(part.get("id") or f"call_{number}", name, arguments)


def _reply(text: str, calls: list[ToolCall], choice: Mapping, usage: Any) -> Reply:
    reason, ids = choice.get("finish_reason"), choice.get("token_ids")
    if reason == "content_filter":
        raise BackendError("the server's filter stopped the answer")
    if reason != "length":
        reason = "tool_calls" if calls else "stop"
    keys = ("prompt_tokens", "completion_tokens")
    known = isinstance(usage, Mapping) and all(isinstance(usage.get(key), int) for key in keys)
    usage = {key: usage[key] for key in keys} if known else None
    has_ids = isinstance(ids, list) and all(isinstance(id, int) for id in ids)
    return Reply(text, calls, reason, usage, tuple(ids) if has_ids else None)


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    if content is not None and not isinstance(content, str):
        raise TypeError(f"content is {type(content).__name__}")
    return whole(content or "")


def _json(body: bytes, source: Any) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        start = body[:80].decode("utf-8", "replace")
        raise BackendError(f"{source} does not answer in JSON: {start!r}") from None


def _error_text(answer: Any) -> str:
    """The words of an error body: {"error": {"message": …, "code": …}} or something near it."""
    error = answer.get("error", answer) if isinstance(answer, Mapping) else answer
    if not isinstance(error, Mapping):
        return str(error)
    code = error.get("code")
    words = str(error.get("message") or error.get("detail") or error)
    return f"{words} ({code})" if code and str(code) not in words else words
