"""OpenAI's chat completions, seen from the server: requests checked and read, replies written.

Supported is what a `ChatBackend` can do. A field that would change the answer in a way that it
cannot is refused by name rather than ignored.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .backends.base import Reply
from .schema import problems, show

# Accepted with no effect: they change nothing, or nothing that is said.
WITHOUT_EFFECT = {
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "parallel_tool_calls",
}
# Accepted with this value only, which asks for nothing.
ONLY = {
    "n": 1,
    "top_p": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logprobs": False,
    "logit_bias": {},
    "stop": [],
}
_FUNCTION = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": r"^[A-Za-z0-9_-]{1,64}\Z"},
        "description": {"type": "string"},
        "parameters": {
            "type": "object",
            "properties": {
                "type": {"const": "object"},
                "properties": {"type": "object", "additionalProperties": {"type": "object"}},
                "required": {"type": "array", "items": {"type": "string"}},
            },
        },
    },
    "required": ["name"],
}
_TOOL = {
    "type": "object",
    "properties": {"type": {"const": "function"}, "function": _FUNCTION},
    "required": ["type", "function"],
}
_CALL = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "function": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "arguments": {"type": "string"}},
            "required": ["name", "arguments"],
        },
    },
    "required": ["function"],
}
_TEXT_PART = {
    "type": "object",
    "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
    "required": ["type", "text"],
}
_MESSAGE = {
    "type": "object",
    "properties": {
        "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
        "content": {
            "anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": _TEXT_PART}]
        },
        "tool_calls": {"anyOf": [{"type": "null"}, {"type": "array", "items": _CALL}]},
    },
    "required": ["role"],
}
FIELDS: dict[str, dict] = {
    "model": {"type": "string"},
    "messages": {"type": "array", "items": _MESSAGE},
    "tools": {"type": "array", "items": _TOOL},
    "tool_choice": {"enum": ["auto", "none"]},
    "response_format": {
        "type": "object",
        "properties": {"type": {"enum": ["text", "json_schema"]}},
        "required": ["type"],
    },
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
    "seed": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "max_tokens": {"type": "integer", "minimum": 1},
    "max_completion_tokens": {"type": "integer", "minimum": 1},
    "stream": {"type": "boolean"},
    "stream_options": {"type": "object"},
}


class BadRequest(ValueError):
    """The request cannot be answered; `field` is what is wrong with it."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


@dataclass
class Request:
    """A request that was understood: `options` are arguments of `ChatBackend.chat`."""

    model: str
    messages: list[dict[str, Any]]
    options: dict[str, Any]
    stream: bool
    wants_usage: bool


def read_request(body: Any) -> Request:
    """A Request from the JSON of its body. Raises BadRequest that names the field at fault."""
    if not isinstance(body, Mapping):
        raise BadRequest(f"the body must be a JSON object, not {show(body)}")
    given = {key: value for key, value in body.items() if value is not None}
    for key, value in given.items():
        if key in ONLY and value not in (ONLY[key], [ONLY[key]]):
            raise BadRequest(f"{key}: only {ONLY[key]!r} is supported, not {show(value)}", key)
        if key not in FIELDS and key not in ONLY and key not in WITHOUT_EFFECT:
            raise BadRequest(f"{key}: there is no such field", key)
        if key in FIELDS and (found := problems(value, FIELDS[key], key)):
            raise BadRequest(found[0], key)
    if "messages" not in given:
        raise BadRequest("messages is missing", "messages")
    tools = given.get("tools") if given.get("tool_choice", "auto") == "auto" else None
    form = given.get("response_format", {"type": "text"})
    options = {
        "tools": tools or None,
        "response_format": None if form["type"] == "text" else form,
        "temperature": float(given.get("temperature", 1.0)),
        "seed": given.get("seed", secrets.randbelow(2**31)),
        "max_tokens": int(given.get("max_completion_tokens", given.get("max_tokens", 256))),
    }
    return Request(
        given.get("model", ""),
        [_message(message) for message in given["messages"]],
        options,
        given.get("stream", False),
        bool(given.get("stream_options", {}).get("include_usage")),
    )


def _message(message: Mapping) -> dict[str, Any]:
    """The message with its text as one string; what OpenAI calls a developer is the system."""
    made = {key: value for key, value in message.items() if value is not None}
    if made["role"] == "developer":
        made["role"] = "system"
    if isinstance(made.get("content"), list):
        made["content"] = "".join(part["text"] for part in made["content"])
    if made["role"] == "assistant" and not made.get("content"):
        made["content"] = ""
    return made


class Answer:
    """One completion on its way out: as a whole (`body`), or as the chunks of a stream."""

    def __init__(self, model: str) -> None:
        self._common = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
        }

    def body(self, reply: Reply) -> dict[str, Any]:
        """The reply as a chat.completion object."""
        message = reply.as_message() | {"refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason}
        made = self._common | {"object": "chat.completion", "choices": [choice | _ids(reply)]}
        return made | ({"usage": _usage(reply)} if reply.usage else {})

    def piece(self, text: str) -> dict[str, Any]:
        """A chunk with a piece of the text."""
        return self._chunk({"role": "assistant", "content": text})

    def last(self, reply: Reply, wants_usage: bool) -> list[dict[str, Any]]:
        """The chunks after the text: calls, the reason for the end, usage if it is wanted."""
        parts = [{"index": i, **call.as_message_part()} for i, call in enumerate(reply.tool_calls)]
        chunks = [self._chunk({"tool_calls": parts})] if parts else []
        chunks.append(self._chunk({}, reply.finish_reason, **_ids(reply)))
        if wants_usage and reply.usage:
            made = {"object": "chat.completion.chunk", "choices": [], "usage": _usage(reply)}
            chunks.append(self._common | made)
        return chunks

    def _chunk(self, delta: dict, reason: str | None = None, **more) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason} | more
        return self._common | {"object": "chat.completion.chunk", "choices": [choice]}


def _ids(reply: Reply) -> dict[str, Any]:
    """The ids that the model wrote, for which OpenAI's own interface has no place."""
    return {} if reply.token_ids is None else {"token_ids": list(reply.token_ids)}


def _usage(reply: Reply) -> dict[str, int]:
    return reply.usage | {"total_tokens": sum(reply.usage.values())}
