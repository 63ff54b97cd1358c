"""What an agent may ask of a model, whichever model it is.

Messages are dicts in the style of OpenAI's chat interface, tools are its function schemas:

    {"role": "user", "content": "What is 2 + 3?"}
    {"role": "assistant", "content": "", "tool_calls": [{"id": "call_0", "type": "function",
        "function": {"name": "add", "arguments": '{"a": 2, "b": 3}'}}]}
    {"role": "tool", "tool_call_id": "call_0", "content": "5"}
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Message = Mapping[str, Any]
ROLES = ("system", "user", "assistant", "tool")
FINISH_REASONS = ("stop", "length", "tool_calls")


class BackendError(Exception):
    """The model could not be asked, or did not answer.

    retryable: the same request may succeed later (a busy server, a lost connection); if False it
    will not (a wrong key, a prompt that is too long). retry_after: seconds the server asks to wait.
    """

    def __init__(self, message: str, *, retryable: bool = False, retry_after: float | None = None):
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after


@dataclass(frozen=True)
class ToolCall:
    """A model's wish that a tool be run; nothing has happened yet.

    A call whose arguments could not be read has `error` (what is wrong), `raw` (what the model
    wrote) and no arguments. It must not be run: `ToolRegistry.run` answers it with the error.
    """

    id: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    raw: str = ""
    error: str = ""

    @classmethod
    def from_json(cls, id: str, name: str, arguments: str) -> "ToolCall":
        """Read arguments written as JSON; what is not one JSON object gives a call with `error`."""
        try:
            return cls(id, name, read_arguments(arguments))
        except ValueError as error:
            return cls(id, name, raw=arguments, error=str(error))

    def as_message_part(self) -> dict[str, Any]:
        """The entry of a message's `tool_calls`; arguments as JSON text, unreadable ones as is."""
        arguments = self.raw if self.error else json.dumps(self.arguments, ensure_ascii=False)
        function = {"name": self.name, "arguments": arguments}
        return {"id": self.id, "type": "function", "function": function}


@dataclass(frozen=True)
class Reply:
    """One turn of the model.

    finish_reason: "stop" (it was done), "tool_calls" (it waits for results), or "length" (cut off:
        the text is not complete, and neither may be the last call).
    usage: {"prompt_tokens": …, "completion_tokens": …}, or None where the server does not say.
    token_ids: the ids the model itself wrote, its stop token included, where they are known.
        Training on these rather than on the text encoded again avoids retokenization drift.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    usage: dict[str, int] | None = None
    token_ids: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tool_calls", tuple(self.tool_calls))
        if self.finish_reason not in FINISH_REASONS:
            raise ValueError(
                f"finish_reason {self.finish_reason!r} is none of {', '.join(FINISH_REASONS)}"
            )

    def as_message(self) -> dict[str, Any]:
        """This turn as a message to put at the end of the conversation."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.tool_calls:
            message["tool_calls"] = [call.as_message_part() for call in self.tool_calls]
        return message


class ChatBackend(Protocol):
    """A model behind one method. The same messages and seed give the same reply where it can.

    messages, tools: see this module. response_format: None, or {"type": "json_schema",
        "json_schema": {"name": …, "schema": …}}: then the text is JSON of that schema.
    temperature: 0 is the likeliest reply. max_tokens: at most so many tokens are written.
    stream: called with each piece of the text as it arrives; the pieces add up to `Reply.text`.

    Raises BackendError where the model cannot answer and ValueError where the caller is wrong: no
    user turn, an unknown role. Neither messages nor tools are changed.
    """

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
    ) -> Reply: ...


def read_arguments(text: str) -> dict[str, Any]:
    """Read one JSON object, strictly: no key twice, no NaN. ValueError says what is wrong.

    A key that comes twice is refused because programs differ in which one they believe: what a
    check has seen is then not what the tool gets.
    """
    try:
        value = json.loads(text or "{}", object_pairs_hook=_no_key_twice, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        at = f"at character {error.pos + 1} of {len(text)}"
        raise ValueError(f"the arguments are not valid JSON: {error.msg} {at}") from None
    except RecursionError:
        raise ValueError("the arguments are nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"the arguments are not valid JSON: {error}") from None
    if "\\u" in text and whole(text := json.dumps(value, ensure_ascii=False)) != text:
        raise ValueError("the arguments have half of a surrogate pair, which is no character")
    if not isinstance(value, dict):
        raise ValueError(f"the arguments must be one JSON object {{…}}, not {text[:40]}")
    return value


def whole(text: str) -> str:
    """The text with halves of surrogate pairs joined, and the replacement character for a lone one.

    JSON can carry such halves (``\\ud83d``), which no encoding and no tokenizer accepts.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise ValueError(f"the key {twice!r} comes twice")
    return value


def _refuse(constant: str):
    raise ValueError(f"{constant} is not JSON")


def check_request(messages: Sequence[Message], stream=None, max_tokens: int = 1) -> None:
    """Raise ValueError or TypeError for what no backend can answer, naming the message at fault."""
    for index, message in enumerate(messages):
        role = message.get("role") if isinstance(message, Mapping) else None
        if role not in ROLES:
            raise ValueError(f"message {index}: role {role!r} is none of {', '.join(ROLES)}")
        content = message.get("content")
        if not isinstance(content, str) and not (content is None and message.get("tool_calls")):
            raise ValueError(f"message {index} ({role}): content is missing or is not a string")
    if not any(message["role"] == "user" for message in messages):
        raise ValueError("no user speaks in this conversation: there is nothing to answer")
    if max_tokens < 1:
        raise ValueError(f"max_tokens must be at least 1, not {max_tokens}")
    if stream and not callable(stream):
        raise TypeError("stream takes a function that gets each piece of text, such as print")
