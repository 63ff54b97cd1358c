"""A model that is no model: replies from a list or from a function, with faults at known rates.

It costs nothing, never varies and can be made wrong in one way at a time. That is how the parts
around a model are tested: a loop that should notice repetition gets a model that repeats itself.
"""

import dataclasses
import json
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .base import BackendError, Message, Reply, ToolCall, check_request

Policy = Callable[[Sequence[Message], Sequence[Mapping]], Any]


@dataclass(frozen=True)
class Faults:
    """How often a scripted model does each thing wrong: rates from 0 to 1, drawn apart.

    What happens in a turn depends on seed, conversation and dial alone: the same run again has the
    same faults, and turning one dial up leaves the draws of the others as they were.
    """

    forget: float = 0.0  # does not see one of its earlier calls and its result
    obey: float = 0.0  # does what an instruction in a tool's result says (see `injection`)
    early_stop: float = 0.0  # says "done" where it should call a tool
    repeat: float = 0.0  # makes its last call again
    wrong_tool: float = 0.0  # calls another of the tools, with the same arguments
    unknown_tool: float = 0.0  # calls a tool that does not exist
    wrong_argument: float = 0.0  # one argument has another value of the same type
    malformed: float = 0.0  # the arguments are not valid JSON
    fail: float = 0.0  # no reply: a BackendError that may be retried, drawn anew each time

    def __post_init__(self) -> None:
        for dial, rate in dataclasses.asdict(self).items():
            if not 0 <= rate <= 1:
                raise ValueError(f"{dial} is a rate from 0 to 1, not {rate}")


class ScriptedBackend:
    """Replies from a script, or from a policy, with `faults`.

    script: the replies in order, or a function (messages, tools) -> reply. A reply is a Reply, a
        text, a ToolCall, a list of ToolCalls, or an exception to raise.
    injection: (messages) -> ToolCall or None: the call that an instruction planted in what the
        model reads asks for; needed if `faults.obey` is above 0.
    seed: changes which turns go wrong, as chat's own `seed` does.

    A token is a word here, in usage and max_tokens. A script that is over is a BackendError.
    `requests` keeps what was asked: one dict a call of `chat`.
    """

    def __init__(
        self,
        script: Iterable[Any] | Policy,
        *,
        faults: Faults | None = None,
        injection: Callable[[Sequence[Message]], ToolCall | None] | None = None,
        seed: int = 0,
    ) -> None:
        self.faults = faults or Faults()
        if self.faults.obey and injection is None:
            raise ValueError("faults.obey needs injection: what the planted instruction asks for")
        if isinstance(script, (str, Reply, ToolCall)):
            script = [script]
        self._policy = script if callable(script) else None
        self._script = [] if callable(script) else list(script)
        self._injection, self._seed = injection, seed
        self.requests: list[dict[str, Any]] = []

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
        """Give the next reply; see `base.ChatBackend`. A policy's errors are raised as they are."""
        check_request(messages, stream, max_tokens)
        request = {"messages": list(messages), "tools": tools, "response_format": response_format}
        self.requests.append(request | {"seed": seed, "max_tokens": max_tokens})
        key = f"{self._seed} {seed} {json.dumps(messages, sort_keys=True, default=str)}"
        dice = Dice(self.faults, key)
        if random.Random(f"fail {len(self.requests)} {key}").random() < self.faults.fail:
            raise BackendError("the scripted model is busy", retryable=True)
        seen = forget(messages, dice.of("forget")) if dice.falls("forget") else messages
        reply = self._next(seen, tools or ())
        planted = self._injection(messages) if self._injection else None
        if planted and dice.falls("obey"):
            reply = Reply(tool_calls=(planted,), finish_reason="tool_calls")
        reply = spoil(reply, messages, tools or (), dice)
        reply = number_calls(reply, messages)
        return _measured(reply, messages, max_tokens, stream)

    def _next(self, messages: Sequence[Message], tools: Sequence[Mapping]) -> Reply:
        if self._policy:
            return as_reply(self._policy(messages, tools))
        if not self._script:
            raise BackendError(f"the script is over: {len(self.requests) - 1} replies were given")
        return as_reply(self._script.pop(0))


class Dice:
    """One draw a dial, made from the dial's name and the conversation."""

    def __init__(self, faults: Faults, key: str) -> None:
        self._faults, self._key = faults, key

    def of(self, dial: str) -> random.Random:
        """The random numbers of one dial, from the beginning."""
        return random.Random(f"{dial} {self._key}")

    def falls(self, dial: str) -> bool:
        """Whether this fault happens now."""
        return self.of(dial).random() < getattr(self._faults, dial)


def as_reply(made: Any) -> Reply:
    """A Reply from what a script or a policy may give; exceptions are raised."""
    if isinstance(made, Reply):
        return made
    if isinstance(made, str):
        return Reply(made)
    if isinstance(made, BaseException):
        raise made
    calls = (made,) if isinstance(made, ToolCall) else made
    if isinstance(calls, (list, tuple)) and all(isinstance(call, ToolCall) for call in calls):
        return Reply(tool_calls=tuple(calls), finish_reason="tool_calls")
    raise TypeError(f"a reply is a text, ToolCall, list of ToolCalls or Reply, not {made!r}")


def forget(messages: Sequence[Message], rng: random.Random) -> list[Message]:
    """The conversation without one of the assistant's turns that called tools, and its results."""
    turns = [i for i, message in enumerate(messages) if message.get("tool_calls")]
    if not turns:
        return list(messages)
    start = rng.choice(turns)
    end = start + 1
    while end < len(messages) and messages[end]["role"] == "tool":
        end += 1
    return [*messages[:start], *messages[end:]]


def spoil(reply: Reply, messages: Sequence[Message], tools: Sequence[Mapping], dice: Dice) -> Reply:
    """The reply with the faults that concern calls; a reply without calls stays as it is."""
    if not reply.tool_calls:
        return reply
    if dice.falls("early_stop"):
        return Reply("done")
    past = [message for message in messages if message.get("tool_calls")]
    if past and dice.falls("repeat"):
        parts = [part["function"] for part in past[-1]["tool_calls"]]
        calls = [_call_from(part["name"], part["arguments"]) for part in parts]
        return dataclasses.replace(reply, tool_calls=calls)
    first, *others = reply.tool_calls
    names = [schema["function"]["name"] for schema in tools]
    rest = [name for name in names if name != first.name]
    if rest and dice.falls("wrong_tool"):
        first = dataclasses.replace(first, name=dice.of("wrong_tool choice").choice(rest))
    if dice.falls("unknown_tool"):
        first = dataclasses.replace(first, name=f"{first.name}_now")
    if first.arguments and dice.falls("wrong_argument"):
        key = dice.of("wrong_argument choice").choice(sorted(first.arguments))
        wrong = _other(first.arguments[key])
        first = dataclasses.replace(first, arguments=first.arguments | {key: wrong})
    if dice.falls("malformed"):
        first = _call_from(first.name, json.dumps(first.arguments, ensure_ascii=False)[:-1])
    return dataclasses.replace(reply, tool_calls=(first, *others))


def _call_from(name: str, arguments: str | Mapping) -> ToolCall:
    if isinstance(arguments, Mapping):
        return ToolCall("", name, dict(arguments))
    return ToolCall.from_json("", name, arguments)


def _other(value: Any) -> Any:
    """Another value of the same JSON type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, str):
        return value[:-1] if len(value) > 1 else value + "x"
    return type(value)() if value else value


def number_calls(reply: Reply, messages: Sequence[Message]) -> Reply:
    """Give calls without an id one that no earlier call of the conversation has."""
    before = sum(len(message.get("tool_calls") or ()) for message in messages)
    calls = [
        call if call.id else dataclasses.replace(call, id=f"call_{before + i}")
        for i, call in enumerate(reply.tool_calls)
    ]
    return dataclasses.replace(reply, tool_calls=calls)


def _measured(reply: Reply, messages, max_tokens: int, stream) -> Reply:
    """The reply cut to max_tokens words, with its usage, given to `stream` word by word."""
    words = re.findall(r"\s*\S+\s*?(?=\s|$)|\s+$", reply.text)
    made = [str(call.as_message_part()["function"]) for call in reply.tool_calls]
    asked = json.dumps(list(messages), default=str, ensure_ascii=False)
    usage = {
        "prompt_tokens": len(asked.split()),
        "completion_tokens": min(max_tokens, len(words) + len(" ".join(made).split())),
    }
    if len(words) > max_tokens:
        words = words[:max_tokens]
        text = "".join(words)
        reply = dataclasses.replace(reply, text=text, tool_calls=(), finish_reason="length")
    for word in words if stream else ():
        stream(word)
    return dataclasses.replace(reply, usage=reply.usage or usage)
