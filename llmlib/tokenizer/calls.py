"""Tool calls as short text: what a model writes between ``<|call|>`` and ``<|/call|>``.

    remind(Ada, buy bread, nine o'clock)
    add(2, 3)
    search("tea, coffee", , true)

A call is the tool's name and its values in the order of the schema's properties. A string stands
bare, unless it could be misread: then it is a JSON string, and so is every other value JSON. An
optional argument that is left out leaves its place empty, or at the end is dropped. Far fewer
tokens than JSON, and equally exact: `parse_call` gives back what `format_call` was given.

`tools` are function schemas as OpenAI's API has them (`llmlib.world.toolbox.SCHEMAS`).
"""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from .call_pattern import call_pattern
from .call_schema import IS_TYPE, check_value, format_value, kinds_of, signature

__all__ = [
    "call_pattern",
    "describe_tools",
    "format_call",
    "format_value",
    "parse_call",
    "read_turn",
    "to_template",
]

SPACES = " \t\r\n"
_DECODER = json.JSONDecoder(parse_constant=lambda name: _refuse(f"{name} is not JSON"))


def format_call(name: str, arguments: Mapping[str, Any], tools: Sequence[Mapping]) -> str:
    """The call as text. Raises ValueError for an unknown tool, and for arguments that are unknown,
    missing or of another type than the schema says (top level and ``enum`` only).
    """
    properties, required = signature(name, tools)
    if unknown := sorted(arguments.keys() - properties.keys()):
        raise ValueError(f"{name} has no argument {', '.join(unknown)}")
    texts = []
    for key, schema in properties.items():
        if key in arguments:
            check_value(name, key, arguments[key], schema)
            texts.append(format_value(arguments[key]))
        elif key in required:
            raise ValueError(f"{name} needs the argument {key}")
        else:
            texts.append("")
    while texts and not texts[-1]:
        texts.pop()
    return f"{name}({', '.join(texts)})"


def parse_call(text: str, tools: Sequence[Mapping]) -> tuple[str, dict[str, Any]]:
    """(name, arguments) of a call. Spaces around values, and quotes that are not needed, are fine.

    Raises ValueError, saying what is wrong, for anything but a call that a schema allows.
    """
    match = re.match(r"\s*([\w.-]+)\s*\(", text)
    if not match:
        raise ValueError(f"not a call: {text!r}; a call is written name(value, value)")
    name = match[1]
    properties, required = signature(name, tools)
    keys, arguments, at = list(properties), {}, match.end()
    for place in count():
        at = _skip_spaces(text, at)
        if at == len(text):
            raise ValueError(f"{name}: the call is cut off: {text!r}")
        closing = text.startswith(")", at)
        if place >= len(keys) and not (closing and place == 0):
            takes = f"{len(keys)} ({', '.join(keys)})" if keys else "no"
            raise ValueError(f"{name} takes {takes} arguments: {text!r}")
        if not closing and not text.startswith(",", at):
            value, at = _parse_value(text, at, properties[keys[place]])
            check_value(name, keys[place], value, properties[keys[place]])
            arguments[keys[place]] = value
            at = _skip_spaces(text, at)
        if text.startswith(")", at):
            break
        if not text.startswith(",", at):
            raise ValueError(f"{name}: expected , or ) after {text[:at]!r} in {text!r}")
        at += 1
    if rest := text[at + 1 :].strip():
        raise ValueError(f"text after the call: {rest!r}")
    for key in keys:
        if key in required and key not in arguments:
            raise ValueError(f"{name} needs the argument {key}: {text!r}")
    return name, arguments


def describe_tools(tools: Sequence[Mapping]) -> str:
    """One line a tool, as in ``weather(town): The weather in a town today.``"""
    lines = []
    for tool in tools:
        function = tool["function"]
        keys = function.get("parameters", {}).get("properties", {})
        lines.append(f"{function['name']}({', '.join(keys)}): {function.get('description', '')}")
    return "\n".join(line.rstrip(" :") for line in lines)


def to_template(
    messages: Sequence[Mapping], tools: Sequence[Mapping] | None = None
) -> list[dict[str, Any]]:
    """Messages as OpenAI's API and TRL have them -> messages of the chat template (`render`).

    ``tool_calls`` become ``calls``; of a tool's message the result stays; an assistant's content
    that begins with ``<|think|>…<|/think|>`` becomes ``think`` and the rest. With `tools`, the
    system message (there is one then) ends with their descriptions. A call of a tool that is not
    among `tools` is written with its arguments in the order given, so that a model can be shown
    what it did wrong. Raises ValueError for content that is not text, and unreadable arguments.
    """
    made = [_template_message(number, message, tools) for number, message in enumerate(messages)]
    if tools:
        described = f"Tools:\n{describe_tools(tools)}"
        if made and made[0]["role"] == "system":
            described = f"{made.pop(0)['content']}\n\n{described}"
        made.insert(0, {"role": "system", "content": described})
    return made


def read_turn(tokenizer, ids: Sequence[int]) -> dict[str, Any]:
    """A generated assistant's turn, as ids up to ``<|end|>`` -> ``think``, ``content``, ``calls``.

    Marks are told by their ids, so text that spells one out cannot forge it. ``ended`` says
    whether the turn was closed; ``calls`` may end with one that was cut off, if it was not.
    """
    names = {id: name for name, id in tokenizer.special_tokens.items()}
    stretches: list[tuple[str, list[int]]] = [("content", [])]
    ended = False
    for id in ids:
        mark = names.get(id)
        if mark in ("<|end|>", "<|endoftext|>"):
            ended = mark == "<|end|>"
            break
        if mark in ("<|think|>", "<|call|>"):
            stretches.append((mark[2:-2], []))
        elif mark in ("<|/think|>", "<|/call|>"):
            stretches.append(("content", []))
        else:
            stretches[-1][1].append(id)
    texts = [(kind, tokenizer.decode(part)) for kind, part in stretches]
    return {
        "think": "".join(text for kind, text in texts if kind == "think"),
        "content": "".join(text for kind, text in texts if kind == "content"),
        "calls": [text for kind, text in texts if kind == "call"],
        "ended": ended,
    }


# -- parts ----------------------------------------------------------------------------------------


def _skip_spaces(text: str, at: int) -> int:
    return len(text) - len(text[at:].lstrip(SPACES))


def _parse_value(text: str, at: int, schema: Mapping) -> tuple[Any, int]:
    """The value that begins at `at`, and where it ends."""
    kinds = kinds_of(schema)
    if text[at] == '"' or (text[at] in "[{" and {"array", "object"} & set(kinds)):
        try:
            return _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"unreadable value in {text!r}: {error}") from error
    end = re.compile(r"[^,()]*").match(text, at).end()
    bare = text[at:end].rstrip(SPACES)
    if text.startswith("(", end) or any(c in '"\\' or ord(c) < 32 for c in bare):
        raise ValueError(f"{bare!r} in {text!r} must be written as a JSON string")
    others = [kind for kind in kinds if kind != "string"]
    try:
        value = _DECODER.decode(bare) if others else bare
    except (ValueError, RecursionError):
        value = bare
    if "string" in kinds and not any(IS_TYPE[kind](value) for kind in others):
        value = bare
    return value, end


def _refuse(message: str) -> None:
    raise ValueError(message)


def _template_message(number: int, message: Mapping, tools) -> dict[str, Any]:
    role, content = message.get("role"), message.get("content")
    if isinstance(content, (list, tuple)):
        if not all(isinstance(p, Mapping) and p.get("type") == "text" for p in content):
            raise ValueError(f"message {number} ({role}): only text can be read")
        content = "".join(part["text"] for part in content)
    if content is not None and not isinstance(content, str):
        raise ValueError(f"message {number} ({role}): content is not text: {content!r}")
    made: dict[str, Any] = {"role": role}
    if content is not None or role != "assistant":
        made["content"] = content
    if role == "assistant":
        thought = re.match(r"\s*<\|think\|>(.*?)<\|/think\|>", content or "", flags=re.S)
        if thought:
            made |= {"think": thought[1], "content": content[thought.end() :].lstrip()}
        if message.get("think"):
            made["think"] = message["think"]
        calls = [_call_text(call["function"], tools) for call in message.get("tool_calls") or ()]
        calls += message.get("calls", ())
        if calls:
            made["calls"] = calls
    return made


def _call_text(function: Mapping, tools) -> str:
    name, arguments = function["name"], function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError as error:
            raise ValueError(f"the arguments of {name} are not JSON: {arguments!r}") from error
    if any(tool["function"]["name"] == name for tool in tools or ()):
        return format_call(name, arguments, tools)
    return f"{name}({', '.join(format_value(value) for value in arguments.values())})"
