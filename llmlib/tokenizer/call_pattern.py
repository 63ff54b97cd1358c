"""A regular expression for the valid calls of some tools, for constrained decoding."""

import re
from collections.abc import Mapping, Sequence

from .call_schema import format_value, kinds_of, signature

_BARE = r'[^,()"\\<\x00-\x20\[{](?:[^,()"\\<\x00-\x1f]*[^,()"\\<\x00-\x20])?'
_STRING = r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"'
_INTEGER = r"-?(?:0|[1-9][0-9]*)"
_NUMBER = _INTEGER + r"(?:\.[0-9]+)?(?:[eE][+-]?[12]?[0-9]?[0-9])?"  # finite
_SCALAR = f"(?:{_STRING}|{_NUMBER}|true|false|null)"


def call_pattern(tools: Sequence[Mapping]) -> str:
    """A regular expression that matches the valid calls of `tools`, in the form of `format_call`.

    Only plain syntax: classes, groups, ``|``, ``*``, ``?``, no lookahead, so that any engine can
    run it. Arrays and objects are matched two levels deep. Raises ValueError for no tools.
    """
    if not tools:
        raise ValueError("no tools: there is no call to match")
    calls = []
    for tool in tools:
        name = tool["function"]["name"]
        properties, required = signature(name, tools)
        slots = [(_value_pattern(s), key in required) for key, s in properties.items()]
        calls.append(rf"{_escape(name)}\({_tail(slots, '')}\)")
    return f"(?:{'|'.join(calls)})"


def _some(slots: list[tuple[str, bool]], separator: str = ", ") -> str:
    """The arguments from here on, at least one: an optional one may leave its place empty."""
    (value, needed), rest = slots[0], slots[1:]
    match = f"{separator}{value}{_tail(rest)}"
    if not needed and rest:
        match = f"(?:{match}|{separator}{_some(rest)})"
    return match


def _tail(slots: list[tuple[str, bool]], separator: str = ", ") -> str:
    """The arguments from here on: nothing, where all of them are optional."""
    if not slots:
        return ""
    needed = any(needed for _, needed in slots)
    return _some(slots, separator) if needed else f"(?:{_some(slots, separator)})?"


def _value_pattern(schema: Mapping) -> str:
    if "enum" in schema:
        return f"(?:{'|'.join(_escape(format_value(value)) for value in schema['enum'])})"
    if "anyOf" in schema and "type" not in schema:
        return f"(?:{'|'.join(_value_pattern(part) for part in schema['anyOf'])})"
    return f"(?:{'|'.join(_PATTERNS[kind] for kind in kinds_of(schema))})"


def _nested(inner: str) -> tuple[str, str]:
    """Patterns of an array and of an object whose values match `inner`."""
    pair = f"{_STRING}: {inner}"
    return rf"\[(?:{inner}(?:, {inner})*)?\]", rf"\{{(?:{pair}(?:, {pair})*)?\}}"


_FLAT = "(?:" + "|".join((_SCALAR, *_nested(_SCALAR))) + ")"
_ARRAY, _OBJECT = _nested(_FLAT)
_PATTERNS = {
    "string": f"{_BARE}|{_STRING}",
    "integer": _INTEGER,
    "number": _NUMBER,
    "boolean": "true|false",
    "null": "null",
    "array": _ARRAY,
    "object": _OBJECT,
}


def _escape(text: str) -> str:
    """`re.escape` that leaves letters, digits, spaces and quotes as they are."""
    return re.sub(r"([\\.^$*+?{}\[\]|()/-])", r"\\\1", text)
