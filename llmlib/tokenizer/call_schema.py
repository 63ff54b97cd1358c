"""A tool's arguments: how one value is written, and what its schema allows."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

MUST_QUOTE = set(',()"\\<')  # "<" so that no call spells out a special token
IS_TYPE = {
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}


def format_value(value: Any) -> str:
    """One value: a string bare where nobody can misread it, anything else as JSON."""
    if isinstance(value, str) and not _misread(value):
        return value
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{value!r} cannot be written as JSON: {error}") from error
    return text.replace("<|", "\\u003c|")  # stands in strings only


def signature(name: str, tools: Sequence[Mapping]) -> tuple[dict[str, Mapping], set[str]]:
    """A tool's properties, and which of them are required."""
    for tool in tools:
        if tool["function"]["name"] == name:
            parameters = tool["function"].get("parameters", {})
            return dict(parameters.get("properties", {})), set(parameters.get("required", ()))
    known = ", ".join(tool["function"]["name"] for tool in tools) or "none"
    raise ValueError(f"no tool {name!r}; there are {known}")


def kinds_of(schema: Mapping) -> list[str]:
    """The JSON types that a value may have; all of them if the schema does not say."""
    if "type" not in schema and "anyOf" in schema:
        return list(dict.fromkeys(kind for part in schema["anyOf"] for kind in kinds_of(part)))
    kinds = schema.get("type", list(IS_TYPE))
    return [kinds] if isinstance(kinds, str) else list(kinds)


def check_value(name: str, key: str, value: Any, schema: Mapping) -> None:
    """Raise ValueError unless the schema allows `value`: its type, ``enum``, ``anyOf``."""
    if "anyOf" in schema:
        wrong = [_why_not(name, key, value, part) for part in schema["anyOf"]]
        if all(wrong):
            raise ValueError(" or ".join(dict.fromkeys(wrong)))
    kinds = kinds_of(schema)
    if not any(IS_TYPE[kind](value) for kind in kinds):
        raise ValueError(f"{name}: {key} is {' or '.join(kinds)}, not {value!r}")
    if "enum" in schema and value not in schema["enum"]:
        raise ValueError(f"{name}: {key} is one of {schema['enum']}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name}: {key} is {value}, which JSON cannot hold")


def _why_not(name: str, key: str, value: Any, schema: Mapping) -> str:
    try:
        check_value(name, key, value, schema)
    except ValueError as error:
        return str(error)
    return ""


def _misread(text: str) -> bool:
    """Whether a bare string could be taken for something else."""
    if not text or text != text.strip() or not text.isprintable() or MUST_QUOTE & set(text):
        return True
    return text[0] in "[{" or text in ("true", "false", "null") or _is_number(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
