"""A JSON Schema (draft 2020-12) as a pattern's tree: which texts are JSON that it accepts.

Covered, anywhere in the schema:

    type       one name or several: string, integer, number, boolean, null, object, array
    string     minLength, maxLength, pattern (as `re.search`; see `regex.parse`, portable)
    integer    minimum, maximum, exclusiveMinimum, exclusiveMaximum
    number     the same; written without exponent, eleven digits before the point, four behind it
    object     properties (in their order), required, additionalProperties (none is ever written)
    array      items, minItems, maxItems
    any        enum, const, anyOf, $ref to a part of the same schema, without recursion; $defs

and annotations (title, description, default, examples …), which change nothing. Everything else is
a ValueError that names the keyword, as is a schema that no value fits: a keyword that is passed
over in silence is a promise not kept. Each value has one text, that of
``json.dumps(value, ensure_ascii=False)``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from . import regex
from .automaton import EmptyLanguage, compile_tree
from .number_text import integer_tree, number_tree, whole_bounds
from .regex import ANY, MAX_REPEAT, Both, Chars, Either, Node, Repeat, Seq, char_set, literal

KEYWORDS = {
    "string": ("minLength", "maxLength", "pattern"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "minItems", "maxItems"),
    "boolean": (),
    "null": (),
}
WHOLE = ("type", "enum", "const", "anyOf", "$ref")
ANNOTATIONS = set(
    "title description default examples deprecated readOnly writeOnly $comment $schema $id $defs "
    "definitions".split()
)
_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPES = {chr(code): f"\\u{code:04x}" for code in range(32)} | _SHORT


def schema_tree(schema: Mapping | bool, separators: tuple[str, str] = (", ", ": ")) -> Node:
    """The tree whose texts are the values that `schema` accepts. Raises ValueError as above."""
    return _Reader(schema, separators).read(schema, "#")


def escaped(node: Node) -> Node:
    """A tree over the characters of a string, as a tree over how JSON writes them."""
    match node:
        case Chars(ranges):
            plain = [(max(low, 0x20), high) for low, high in ranges if high >= 0x20]
            for mark in map(ord, '"\\'):
                plain = [part for low, high in plain
                         for part in ((low, min(high, mark - 1)), (max(low, mark + 1), high))
                         if part[0] <= part[1]]  # fmt: skip
            marked = [text for char, text in _ESCAPES.items()
                      if any(low <= ord(char) <= high for low, high in ranges)]  # fmt: skip
            return Either((char_set(*plain), _any_text(marked)))
        case Seq(parts):
            return Seq(tuple(map(escaped, parts)))
        case Either(options):
            return Either(tuple(map(escaped, options)))
        case Repeat(part, low, high):
            return Repeat(escaped(part), low, high)
    raise TypeError(f"no tree of characters: {node!r}")


def _any_text(texts: Sequence[str]) -> Node:
    """Any one of the texts; those that begin alike share their beginning, as in a trie."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(text[:1], []).append(text[1:])
    last = [first for first, rests in groups.items() if first and rests == [""]]
    longer = [Seq((literal(first), _any_text(rests))) for first, rests in groups.items()
              if first and rests != [""]]  # fmt: skip
    end = [Seq(())] if "" in groups else []
    return Either((char_set(*((ord(char), ord(char)) for char in last)), *longer, *end))


_ANY_CHARACTER = escaped(ANY)


class _Reader:
    """One schema being read: where its references point, and which are being followed."""

    def __init__(self, root: Mapping | bool, separators: tuple[str, str]):
        self.root, (self.comma, self.colon) = root, separators
        self.following: list[str] = []

    def read(self, schema: Any, path: str) -> Node:
        """The tree of the schema at `path`: what all of its keywords allow together."""
        if not isinstance(schema, Mapping):
            fail(path, "false: no value fits" if schema is False else f"{schema!r}: say its type")
        types = _types(schema, path)
        known = {*WHOLE, *ANNOTATIONS, *(key for kind in types for key in KEYWORDS[kind])}
        if unknown := [key for key in schema if key not in known]:
            of = f" with type {' or '.join(types)}" if types else " without a type"
            fail(path, f"{unknown[0]} is not supported{of}")
        parts = []
        if "anyOf" in schema:
            parts.append(self._any_of(schema, path))
        if "$ref" in schema:
            parts.append(self._ref(schema, path))
        if listed := "enum" in schema or "const" in schema:
            parts.append(self._values(schema, path))
        if types and not (listed and not any(key in schema for t in types for key in KEYWORDS[t])):
            readers = {kind: getattr(self, f"_{kind}") for kind in types}
            parts.append(Either(tuple(read(schema, path) for read in readers.values())))
        if not parts:
            fail(path, "type is missing: say what the value may be")
        tree = parts[0]
        for part in parts[1:]:
            tree = _meet(tree, part, path, " and ".join(k for k in schema if k not in ANNOTATIONS))
        return tree

    def _any_of(self, schema: Mapping, path: str) -> Node:
        options = schema["anyOf"]
        if not isinstance(options, list) or not options:
            fail(path, "anyOf is a list of at least one schema")
        return Either(tuple(self.read(one, f"{path}/anyOf/{i}") for i, one in enumerate(options)))

    def _ref(self, schema: Mapping, path: str) -> Node:
        ref = schema["$ref"]
        if not isinstance(ref, str) or not (ref == "#" or ref.startswith("#/")):
            fail(path, f"$ref {ref!r} does not point into this schema (#/…)")
        if ref in self.following or path == ref or path.startswith(ref + "/"):
            fail(path, f"$ref {ref!r} leads back to itself: recursion needs more than an automaton")
        target: Any = self.root
        for name in ref.split("/")[1:]:
            name = name.replace("~1", "/").replace("~0", "~")
            if isinstance(target, list) and name.isdigit() and int(name) < len(target):
                target = target[int(name)]
            elif isinstance(target, Mapping) and name in target:
                target = target[name]
            else:
                fail(path, f"$ref {ref!r} points to nothing")
        self.following.append(ref)
        node = self.read(target, ref)
        self.following.pop()
        return node

    def _values(self, schema: Mapping, path: str) -> Node:
        """enum and const, of the given types."""
        values = schema.get("enum", [schema.get("const")])
        if not isinstance(values, list):
            fail(path, "enum is a list of values")
        if "const" in schema:
            values = [value for value in values if _same(value, schema["const"])]
        if types := _types(schema, path):
            values = [v for v in values if any(_is_of(v, kind) for kind in types)]
        if not values:
            fail(path, f"{'enum' if 'enum' in schema else 'const'} has no value that fits")
        return _any_text([self._dumps(value) for value in values])

    def _string(self, schema: Mapping, path: str) -> Node:
        low, high = _counts(schema, "minLength", "maxLength", path)
        inside = Repeat(_ANY_CHARACTER, low, high)
        if "pattern" in schema:
            try:
                pattern = regex.parse(schema["pattern"], search=True, portable=True)
            except ValueError as error:
                fail(path, f"pattern: {error}")
            inside = _meet(inside, escaped(pattern), path, "pattern")
        return Seq((literal('"'), inside, literal('"')))

    def _integer(self, schema: Mapping, path: str) -> Node:
        return integer_tree(*_bounds(schema, path, 0))

    def _number(self, schema: Mapping, path: str) -> Node:
        return number_tree(*_bounds(schema, path, 4))

    def _boolean(self, schema: Mapping, path: str) -> Node:
        return Either((literal("true"), literal("false")))

    def _null(self, schema: Mapping, path: str) -> Node:
        return literal("null")

    def _array(self, schema: Mapping, path: str) -> Node:
        low, high = _counts(schema, "minItems", "maxItems", path)
        if high == 0:
            return literal("[]")
        if "items" not in schema:
            fail(path, "items is missing: say what the items may be")
        item = self.read(schema["items"], f"{path}/items")
        more = Repeat(Seq((literal(self.comma), item)), max(low - 1, 0), high and high - 1)
        some = Seq((item, more))
        inside = some if low else Either((Seq(()), some))
        return Seq((literal("["), inside, literal("]")))

    def _object(self, schema: Mapping, path: str) -> Node:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, list):
            fail(path, "properties is an object, required a list of names")
        if not isinstance(schema.get("additionalProperties", False), bool):
            fail(path, "additionalProperties can be true or false only; none is ever written")
        if unknown := [name for name in required if name not in properties]:
            fail(path, f"required names {unknown[0]!r}, which properties does not describe")
        pairs = [
            (name in required,
             Seq((literal(self._dumps(name) + self.colon),
                  self.read(one, f"{path}/properties/{_pointer(name)}"))))
            for name, one in properties.items()
        ]  # fmt: skip
        # Whichever pair comes first has no comma before it, and all after it have one.
        options = []
        for first, (needed, pair) in enumerate(pairs):
            rest = [Repeat(Seq((literal(self.comma), later)), int(must), 1)
                    for must, later in pairs[first + 1 :]]  # fmt: skip
            options.append(Seq((pair, *rest)))
            if needed:
                break
        else:
            options.append(Seq(()))  # nothing is required
        return Seq((literal("{"), Either(tuple(options)), literal("}")))

    def _dumps(self, value: Any) -> str:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(self.comma, self.colon)
        )


def fail(path: str, why: str) -> None:
    raise ValueError(f"schema at {path}: {why}")


def _meet(one: Node, other: Node, path: str, keywords: str) -> Node:
    both = Both(one, other)
    try:
        compile_tree(both)
    except EmptyLanguage:
        fail(path, f"{keywords}: no value fits")
    return both


def _types(schema: Mapping, path: str) -> list[str]:
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if not isinstance(types, list) or ("type" in schema and not types):
        fail(path, "type is a name or a list of names")
    if unknown := [kind for kind in types if not isinstance(kind, str) or kind not in KEYWORDS]:
        fail(path, f"type {unknown[0]!r} is none of {', '.join(KEYWORDS)}")
    return types


def _counts(schema: Mapping, least: str, most: str, path: str) -> tuple[int, int | None]:
    for key in (least, most):
        value = schema.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_REPEAT:
            fail(path, f"{key} is a whole number from 0 to {MAX_REPEAT}, not {value!r}")
    low, high = schema.get(least, 0), schema.get(most)
    if high is not None and high < low:
        fail(path, f"{most} {high} is below {least} {low}: no value fits")
    return low, high


def _bounds(schema: Mapping, path: str, digits: int) -> tuple[int | None, int | None]:
    try:
        return whole_bounds(schema, digits)
    except ValueError as error:
        fail(path, str(error))


def _is_of(value: Any, kind: str) -> bool:
    if kind in ("integer", "number"):
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        fits = isinstance(value, float) if kind == "number" else whole
        return not isinstance(value, bool) and (fits or whole)
    python = {"string": str, "boolean": bool, "null": type(None), "object": Mapping, "array": list}
    return isinstance(value, python[kind])


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _pointer(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
