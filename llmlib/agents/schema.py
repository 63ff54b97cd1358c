"""JSON Schema from Python type hints, and the check of a value against a schema.

    int                          {"type": "integer"}
    list[str]                    {"type": "array", "items": {"type": "string"}}
    Literal["kg", "lb"]          {"type": "string", "enum": ["kg", "lb"]}
    float | None                 {"anyOf": [{"type": "number"}, {"type": "null"}]}
    Annotated[str, "a town"]     {"type": "string", "description": "a town"}

A dataclass or TypedDict becomes an object with its fields as properties.
"""

import dataclasses
import functools
import math
import operator
import re
import types
from collections.abc import Mapping
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", types.NoneType: "null"}


def schema_of(hint: Any, _inside: tuple = ()) -> dict[str, Any]:
    """The JSON Schema of a type hint. Raises TypeError for one that JSON has no word for.

    Known: str, int, float, bool, None, Any, Literal, X | Y, Optional, list, dict with string keys,
    Annotated (its strings become the description), dataclasses, TypedDicts.
    """
    if hint is Any:
        return {}
    if hint in (str, bool, int, float, None, types.NoneType):
        return {"type": NAMES.get(hint, "null")}
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin in (Required, NotRequired):
        return schema_of(args[0], _inside)
    if origin is Annotated:
        about = " ".join(note for note in args[1:] if isinstance(note, str))
        return schema_of(args[0], _inside) | ({"description": about} if about else {})
    if origin is Literal:
        if not all(type(value) in NAMES for value in args):
            raise TypeError("a Literal of anything but text, numbers, true, false and null")
        kinds = {NAMES[type(value)] for value in args}
        return ({"type": kinds.pop()} if len(kinds) == 1 else {}) | {"enum": list(args)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(arg, _inside) for arg in args]}
    if origin is list:
        return {"type": "array"} | ({"items": schema_of(args[0], _inside)} if args else {})
    if origin is dict and (not args or args[0] is str):
        more = {"additionalProperties": schema_of(args[1], _inside)} if args else {}
        return {"type": "object"} | more
    if dataclasses.is_dataclass(hint) or is_typeddict(hint):
        return _record_schema(hint, _inside)
    raise TypeError(f"no JSON Schema for the type {getattr(hint, '__name__', hint)}")


def object_schema(properties: dict[str, dict], required: list[str]) -> dict[str, Any]:
    """An object with these properties and no others."""
    closed = {"required": required, "additionalProperties": False}
    return {"type": "object", "properties": properties} | closed


def _record_schema(record: type, inside: tuple) -> dict[str, Any]:
    if record in inside:
        raise TypeError(f"{record.__name__} contains itself: write its schema by hand")
    hints = get_type_hints(record, include_extras=True)
    if is_typeddict(record):
        required = [name for name in hints if name in record.__required_keys__]
        defaults: dict[str, Any] = {}
    else:
        fields = [field for field in dataclasses.fields(record) if field.init]
        hints = {field.name: hints[field.name] for field in fields}
        none = dataclasses.MISSING
        defaults = {f.name: f.default for f in fields if f.default is not none}
        required = [f.name for f in fields if f.default is none is f.default_factory]
    properties = {
        name: schema_of(hint, (*inside, record))
        | ({"default": defaults[name]} if is_json(defaults.get(name, ...)) else {})
        for name, hint in hints.items()
    }
    return object_schema(properties, required)


def is_json(value: Any) -> bool:
    """Whether JSON can write this value so that reading it gives an equal one."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_json(value[key]) for key in value)
    return value is None or isinstance(value, (str, int, bool))


def build(hint: Any, value: Any) -> Any:
    """The Python value that a hint promises, from JSON that fits its schema.

    ``2.0`` becomes ``2`` for an int (JSON knows one kind of number), an object becomes the
    dataclass; all else stays as it is.
    """
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin in (Annotated, Required, NotRequired):
        return build(args[0], value)
    if hint in (int, float) and isinstance(value, (int, float)) and not isinstance(value, bool):
        return hint(value)
    if origin in (Union, types.UnionType):
        fits = (arg for arg in args if not problems(value, schema_of(arg)))
        return build(next(fits, Any), value)
    if origin is list and args:
        return [build(args[0], item) for item in value]
    if origin is dict and args:
        return {key: build(args[1], item) for key, item in value.items()}
    if dataclasses.is_dataclass(hint) or is_typeddict(hint):
        hints = get_type_hints(hint, include_extras=True)
        return hint(**{key: build(hints[key], item) for key, item in value.items()})
    return value


def problems(value: Any, schema: Mapping | bool, where: str = "") -> list[str]:
    """What is wrong with a value, one sentence each; an empty list if it fits the schema.

    where: the value's name in the messages. Checked are the keywords of `_CHECKS`, which are those
    that tools use; others (`$ref`, `format`, `if` …) are not looked at. A value that is nested
    too deeply to look at does not fit.
    """
    try:
        return _problems(value, schema, where)
    except RecursionError:
        return [f"{where or 'the value'} is nested too deeply"]


def _problems(value: Any, schema: Mapping | bool, where: str) -> list[str]:
    if isinstance(schema, bool):
        return [] if schema else [f"{where} is not allowed"]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return [f"{where or 'the value'} must be {' or '.join(kinds)}, not {show(value)}"]
    found: list[str] = []
    for keyword, check in _CHECKS.items():
        if keyword in schema:
            found += check(value, schema, where)
    return found


def show(value: Any) -> str:
    """A value and its JSON type in few words, for a message."""
    text = repr(value)
    kind = next((kind for kind in ("null", "boolean", *_KINDS) if _is(value, kind)), "no JSON")
    return f"{text if len(text) <= 40 else text[:37] + '...'} ({kind})"


def kind_of(schema: Mapping) -> str:
    """The JSON types that a schema allows, in words: "string or null", "'kg' or 'lb'", "any"."""
    if "enum" in schema:
        return " or ".join(map(repr, schema["enum"]))
    if "type" in schema:
        kinds = schema["type"]
        return kinds if isinstance(kinds, str) else " or ".join(kinds)
    return " or ".join(kind_of(part) for part in schema.get("anyOf", ())) or "any"


_KINDS = {"integer": int, "number": (int, float), "string": str, "array": list, "object": dict}


def _is(value: Any, kind: str) -> bool:
    if kind == "null":
        return value is None
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _KINDS.get(kind, ()))


def _equal(a: Any, b: Any) -> bool:
    """Equality of JSON, in which true is not 1."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _enum(value, schema, where):
    if any(_equal(value, choice) for choice in schema["enum"]):
        return []
    choices = ", ".join(map(repr, schema["enum"]))
    return [f"{where or 'the value'} must be one of {choices}, not {show(value)}"]


def _any_of(value, schema, where):
    tried = [_problems(value, choice, where) for choice in schema["anyOf"]]
    return [] if not all(tried) else [" or ".join(dict.fromkeys(t[0] for t in tried))]


def _one_of(value, schema, where):
    tried = [_problems(value, choice, where) for choice in schema["oneOf"]]
    fits = sum(not found for found in tried)
    if fits > 1:
        return [f"{where or 'the value'} fits {fits} of the choices, not one"]
    return [] if fits else [" or ".join(dict.fromkeys(t[0] for t in tried))]


def _all_of(value, schema, where):
    return [found for part in schema["allOf"] for found in _problems(value, part, where)]


def _items(value, schema, where):
    if not isinstance(value, list):
        return []
    first = len(schema.get("prefixItems", ()))
    return [
        found
        for index, item in enumerate(value[first:], first)
        for found in _problems(item, schema["items"], f"{where}[{index}]")
    ]


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _properties(value, schema, where):
    if not isinstance(value, dict):
        return []
    return [
        found
        for name, part in schema["properties"].items()
        if name in value
        for found in _problems(value[name], part, _join(where, name))
    ]


def _required(value, schema, where):
    if not isinstance(value, dict):
        return []
    return [f"{_join(where, name)} is missing" for name in schema["required"] if name not in value]


def _additional(value, schema, where):
    if not isinstance(value, dict):
        return []
    known, rule = schema.get("properties", {}), schema["additionalProperties"]
    extra = [name for name in value if name not in known]
    if rule is False:
        allowed = f" (there are: {', '.join(known)})" if known else ""
        return [f"{_join(where, name)} is not an argument{allowed}" for name in extra]
    return [found for name in extra for found in _problems(value[name], rule, _join(where, name))]


# keyword: (what it applies to, how it is measured, what must hold, in words)
_LIMITS = {
    "minimum": ((int, float), None, operator.ge, "be at least"),
    "maximum": ((int, float), None, operator.le, "be at most"),
    "exclusiveMinimum": ((int, float), None, operator.gt, "be above"),
    "exclusiveMaximum": ((int, float), None, operator.lt, "be below"),
    "minLength": (str, len, operator.ge, "have a length of at least"),
    "maxLength": (str, len, operator.le, "have a length of at most"),
    "minItems": (list, len, operator.ge, "have a length of at least"),
    "maxItems": (list, len, operator.le, "have a length of at most"),
    "pattern": (str, None, lambda text, pattern: re.search(pattern, text), "match"),
}


def _limit(keyword: str, value, schema, where):
    kind, measure, holds, words = _LIMITS[keyword]
    if isinstance(value, bool) or not isinstance(value, kind):
        return []
    if holds(measure(value) if measure else value, schema[keyword]):
        return []
    return [f"{where or 'the value'} must {words} {schema[keyword]}, not {show(value)}"]


_CHECKS = {
    "enum": _enum,
    "const": lambda value, schema, where: _enum(value, {"enum": [schema["const"]]}, where),
    "anyOf": _any_of,
    "oneOf": _one_of,
    "allOf": _all_of,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    **{keyword: functools.partial(_limit, keyword) for keyword in _LIMITS},
}
