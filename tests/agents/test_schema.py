"""JSON Schema from type hints, and our check of values against that of `jsonschema`."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmlib.agents.schema import build, problems, schema_of


@dataclass
class Point:
    x: int
    y: float = 0.5
    tags: list[str] = field(default_factory=list)


class Row(TypedDict):
    name: str
    age: NotRequired[Annotated[int, "in years"]]


HINTS = {
    "text": (str, {"type": "string"}),
    "whole": (int, {"type": "integer"}),
    "number": (float, {"type": "number"}),
    "truth": (bool, {"type": "boolean"}),
    "nothing": (None, {"type": "null"}),
    "anything": (Any, {}),
    "list": (list, {"type": "array"}),
    "list of": (list[int], {"type": "array", "items": {"type": "integer"}}),
    "dict": (dict, {"type": "object"}),
    "dict of": (
        dict[str, bool],
        {"type": "object", "additionalProperties": {"type": "boolean"}},
    ),
    "choice": (Literal["kg", "lb"], {"type": "string", "enum": ["kg", "lb"]}),
    "mixed choice": (Literal["kg", 1], {"enum": ["kg", 1]}),
    "optional": (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),  # noqa: UP045
    "union": (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
    "described": (Annotated[str, "a town"], {"type": "string", "description": "a town"}),
    "dataclass": (
        Point,
        {
            "type": "object",
            "properties": {
                "x": {"type": "integer"},
                "y": {"type": "number", "default": 0.5},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["x"],
            "additionalProperties": False,
        },
    ),
    "typed dict": (
        Row,
        {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "age": {"type": "integer", "description": "in years"},
            },
            "required": ["name"],
            "additionalProperties": False,
        },
    ),
}


@pytest.mark.parametrize("name", HINTS)
def test_the_schema_of_each_hint(name):
    hint, schema = HINTS[name]
    assert schema_of(hint) == schema
    jsonschema.Draft202012Validator.check_schema(schema_of(hint))


def without_titles(schema):
    """The schema as pydantic would have it, which closes no object and gives each a title."""
    if not isinstance(schema, dict):
        return schema
    left = {key: without_titles(part) for key, part in schema.items() if key != "title"}
    if left.get("additionalProperties") in (False, True):
        del left["additionalProperties"]
    return left


@pytest.mark.parametrize("name", sorted(HINTS.keys() - {"described", "typed dict"}))
def test_the_schema_is_that_of_pydantic(name):
    """Of all hints but two: pydantic has another way to describe, and no TypedDict on 3.11."""
    pydantic = pytest.importorskip("pydantic")
    theirs = pydantic.TypeAdapter(HINTS[name][0]).json_schema()
    if name in ("list", "dict"):
        theirs.pop("items", None)
    assert without_titles(theirs) == without_titles(schema_of(HINTS[name][0]))


@pytest.mark.parametrize(
    "hint", [bytes, complex, set[int], dict[int, str], tuple[int, str], list[bytes], Literal[b"x"]]
)
def test_a_hint_without_json_is_refused(hint):
    with pytest.raises(TypeError):
        schema_of(hint)


def test_a_record_that_contains_itself_is_refused():
    with pytest.raises(TypeError, match="Tree contains itself"):
        schema_of(Tree)


@dataclass
class Tree:
    left: "Tree | None" = None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, "", "a", "kg"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["x", "y", "a", "name"]), inner, max_size=3)
    ),
    max_leaves=6,
)
LEAVES = st.sampled_from(
    [
        *(schema for _, schema in HINTS.values()),
        True,
        False,
        {"type": ["integer", "null"]},
        {"enum": [1, "a", None, [1]]},
        {"enum": [True, 0]},
        {"const": 1},
        {"const": {"x": False}},
        {"minimum": 0, "maximum": 2},
        {"exclusiveMinimum": 0, "exclusiveMaximum": 2},
        {"minLength": 1, "maxLength": 1},
        {"pattern": "^k"},
        {"minItems": 1, "maxItems": 2},
        {"required": ["x", "y"]},
    ]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda a: {"items": a}, inner),
        st.builds(lambda a, b: {"properties": {"x": a, "y": b}}, inner, inner),
        st.builds(lambda a, b: {"properties": {"x": a}, "additionalProperties": b}, inner, inner),
        st.builds(lambda a, b: {"anyOf": [a, b]}, inner, inner),
        st.builds(lambda a, b: {"oneOf": [a, b]}, inner, inner),
        st.builds(lambda a, b: {"allOf": [a, b]}, inner, inner),
    ),
    max_leaves=4,
)


@settings(max_examples=600, deadline=None)
@given(SCHEMAS, VALUES)
def test_our_verdict_is_that_of_jsonschema(schema, value):
    found = problems(value, schema)
    assert (found == []) == jsonschema.Draft202012Validator(schema).is_valid(value), found


def test_items_stands_for_what_comes_after_prefix_items():
    schema = {"prefixItems": [{"type": "integer"}], "items": {"type": "string"}}
    assert problems([1, "a"], schema) == []
    assert problems([1, 2], schema) == ["[1] must be string, not 2 (integer)"]


def test_messages_name_the_place_and_the_type():
    schema = schema_of(Point)
    assert problems({"x": "2"}, schema, "p") == ["p.x must be integer, not '2' (string)"]
    assert problems({"x": 1, "tags": ["a", 3]}, schema) == [
        "tags[1] must be string, not 3 (integer)"
    ]
    assert problems({"z": 1}, schema) == [
        "x is missing",
        "z is not an argument (there are: x, y, tags)",
    ]
    assert problems(True, {"type": "integer"}) == ["the value must be integer, not True (boolean)"]


def test_a_value_nested_too_deeply_does_not_fit():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    schema: dict = {"type": "array"}
    schema["items"] = schema
    assert problems(deep, schema, "a") == ["a is nested too deeply"]


def test_values_become_what_the_hint_promises():
    two = build(int, 2.0)
    assert (two, type(two)) == (2, int)
    assert type(build(float, 2)) is float
    assert build(bool, True) is True and build(Any, 2.0) == 2.0
    assert build(list[Point], [{"x": 1.0}]) == [Point(1)]
    assert build(Point | None, None) is None
    assert build(Annotated[Point | str, "one"], {"x": 3, "y": 1}) == Point(3, 1.0)
    assert build(dict[str, Point], {"a": {"x": 3}}) == {"a": Point(3)}
    assert build(Row, {"name": "Ada", "age": 3.0}) == {"name": "Ada", "age": 3}
