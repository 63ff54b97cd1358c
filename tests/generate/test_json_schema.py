"""JSON Schema: every text that may be written is valid, every valid value can be written."""

import json

import jsonschema
import numpy as np
import pytest

from llmlib.generate import JsonSchema, generate
from llmlib.generate.automaton import compile_tree
from llmlib.generate.json_schema import schema_tree


def check(schema, text) -> object:
    """The value of a text, which `jsonschema` must accept and `json.dumps` must write the same."""
    value = json.loads(text)
    jsonschema.validate(value, schema, cls=jsonschema.Draft202012Validator)
    assert json.dumps(value, ensure_ascii=False) == text
    return value


@pytest.mark.parametrize("block", range(4))
def test_random_walks_through_random_schemas_are_valid(block, tokenizer, walk, random_schema):
    rng, checked = np.random.default_rng(block), 0
    for seed in range(12 * block, 12 * block + 12):
        schema = random_schema(seed)
        constraint = JsonSchema(schema, tokenizer)
        for _ in range(25):
            ids = walk(constraint, rng)
            if ids is not None:
                check(schema, tokenizer.decode(ids, errors="strict"))
                checked += 1
    assert checked >= 290


@pytest.mark.slow
def test_two_hundred_more_schemas(tokenizer, walk, random_schema):
    rng, checked = np.random.default_rng(99), 0
    for seed in range(1000, 1200):
        schema = random_schema(seed)
        constraint = JsonSchema(schema, tokenizer)
        for _ in range(20):
            ids = walk(constraint, rng)
            if ids is not None:
                check(schema, tokenizer.decode(ids, errors="strict"))
                checked += 1
    assert checked >= 3800


def test_a_random_model_writes_valid_json(model, tokenizer, random_schema):
    """Through `generate`, a batch with a schema for each row."""
    end = tokenizer.special_tokens["<|end|>"]
    schemas = [random_schema(seed) for seed in range(2000, 2016)]
    rules = [JsonSchema(schema, tokenizer) for schema in schemas]
    options = {"max_new_tokens": 300, "stop": [end], "constraint": rules * 3}
    rows = generate(model, [[50]] * len(rules) * 3, seed=0, **options)
    ended = [(schema, row) for schema, row in zip(schemas * 3, rows, strict=True) if row[-1] == end]
    assert len(ended) >= 46  # the others ran into the limit
    for schema, row in ended:
        check(schema, tokenizer.decode(row[:-1], errors="strict"))


ADDRESS = {
    "type": "object",
    "title": "Order",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "tags": {"type": "array", "items": {"enum": ["new", "old", None]}, "maxItems": 2},
        "home": {"$ref": "#/$defs/home"},
    },
    "required": ["name", "home"],
    "additionalProperties": False,
    "$defs": {
        "home": {
            "anyOf": [
                {"type": "null"},
                {
                    "type": "object",
                    "properties": {"town": {"type": "string"}},
                    "required": ["town"],
                },
            ]
        }
    },
}


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"name": "Ada", "home": None}, True),
        ({"name": 'A "b" \\ \n é 😀 \x7f \x01', "age": 120, "home": {"town": ""}}, True),
        ({"name": "Ada", "tags": ["new", None], "home": {"town": "Oslo"}}, True),
        ({"name": "Ada", "tags": [], "home": None}, True),
        ({"name": "", "home": None}, False),
        ({"home": None}, False),
        ({"name": "Ada"}, False),
        ({"name": "Ada", "age": 121, "home": None}, False),
        ({"name": "Ada", "age": -1, "home": None}, False),
        ({"name": "Ada", "tags": ["new", "old", "new"], "home": None}, False),
        ({"name": "Ada", "tags": ["older"], "home": None}, False),
        ({"name": "Ada", "home": {}}, False),
        ({"name": "Ada", "home": None, "more": 1}, False),
    ],
)
def test_a_schema_by_hand(value, fits):
    assert compile_tree(schema_tree(ADDRESS)).matches(json.dumps(value, ensure_ascii=False)) == fits
    validator = jsonschema.Draft202012Validator(ADDRESS)
    assert validator.is_valid(value) == fits


def test_optional_properties_and_their_commas():
    schema = {"type": "object", "properties": {k: {"const": 1} for k in "abc"}, "required": ["b"]}
    dfa = compile_tree(schema_tree(schema))
    texts = [json.dumps(dict.fromkeys(keys, 1)) for keys in ("b", "ab", "bc", "abc")]
    assert all(map(dfa.matches, texts))
    others = ["{}", '{"a": 1}', '{"b": 1, }', '{, "b": 1}', '{"b": 1, "a": 1}', '{"b": 1 "c": 1}']
    assert not any(map(dfa.matches, others))
    free = compile_tree(schema_tree({**schema, "required": []}))
    assert all(map(free.matches, [*texts, "{}", '{"a": 1}', '{"c": 1}', '{"a": 1, "c": 1}']))


def test_separators():
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "null"},
              "minItems": 2, "maxItems": 2}}, "required": ["a"]}  # fmt: skip
    dfa = compile_tree(schema_tree(schema, (",", ":")))
    assert dfa.matches('{"a":[null,null]}') and not dfa.matches('{"a": [null, null]}')


BOUNDS = [(None, None), (0, None), (None, 0), (-13, 27), (7, 7), (99, 1001), (-205, -18), (-1, 1)]


@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_whole_numbers_within_bounds(low, high):
    schema = {"type": "integer"}
    schema |= {} if low is None else {"minimum": low}
    schema |= {} if high is None else {"maximum": high}
    dfa = compile_tree(schema_tree(schema))
    for n in range(-1300, 1300):
        fits = (low is None or n >= low) and (high is None or n <= high)
        assert dfa.matches(str(n)) == fits, n
    assert not any(map(dfa.matches, ["-0", "00", "01", "+1", "1.0", "1e3", "", "-"]))


@pytest.mark.parametrize("low", [-3.25, -0.0001, 0, 0.3, 9.99, 1e-9])
@pytest.mark.parametrize("width", [0.0005, 0.7, 3, 110.5])
def test_numbers_within_bounds(low, width):
    """Every multiple of 0.01 near the bounds, as Python writes it, against `jsonschema`."""
    for least, most in (("minimum", "maximum"), ("exclusiveMinimum", "exclusiveMaximum")):
        schema = {"type": "number", least: low, most: low + width}
        dfa = compile_tree(schema_tree(schema))
        validator = jsonschema.Draft202012Validator(schema)
        for centre in (low, 0, low + width):
            for step in range(-150, 150):
                value = round(centre + step / 100, 4)
                for number in {value, int(value)}:
                    if str(number) != "-0.0" and "e" not in str(number):
                        assert dfa.matches(str(number)) == validator.is_valid(number), number


def test_large_and_small_numbers():
    free = compile_tree(schema_tree({"type": "number"}))
    assert all(map(free.matches, ["99999999999.9999", "-0.0001", "0", "0.0", "12345678901"]))
    assert not any(map(free.matches, ["1e5", "0.00001", "1.50", ".5", "1.", "-0", "123456789012"]))


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({}, "type is missing"), (True, "say its type"), (False, "no value fits"),
        (3, "say its type"),
        ({"type": "text"}, "type 'text'"), ({"type": []}, "type is a name"),
        ({"type": "string", "format": "date"}, "format is not supported"),
        ({"type": "integer", "multipleOf": 3}, "multipleOf is not supported"),
        ({"type": "string", "minimum": 3}, "minimum is not supported with type string"),
        ({"oneOf": [{"type": "null"}]}, "oneOf is not supported"),
        ({"allOf": [{"type": "null"}]}, "allOf is not supported"),
        ({"not": {"type": "null"}}, "not is not supported"),
        ({"type": "array", "items": {"type": "null"}, "uniqueItems": True}, "uniqueItems"),
        ({"type": "array"}, "items is missing"), ({"anyOf": []}, "anyOf"), ({"enum": []}, "enum"),
        ({"enum": 3}, "enum is a list"), ({"type": "string", "const": 3}, "const has no value"),
        ({"type": "string", "enum": [1, 2]}, "enum has no value"),
        ({"enum": [1, 2], "const": 3}, "enum has no value"),
        ({"enum": [1], "const": True}, "enum has no value"),
        ({"type": "string", "enum": ["abc"], "maxLength": 2}, "enum and maxLength: no value"),
        ({"type": "string", "pattern": "^a{3}$", "maxLength": 2}, "pattern: no value"),
        ({"type": "string", "pattern": "(?=a)"}, "pattern: .*lookahead"),
        ({"type": "string", "pattern": r"\W"}, "pattern: .*different"),
        ({"type": "string", "pattern": 3}, "pattern: a pattern is"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "maxLength 2 is below minLength 3"),
        ({"type": "string", "maxLength": -1}, "maxLength is a whole"),
        ({"type": "string", "maxLength": 10**6}, "maxLength is a whole"),
        ({"type": "array", "items": {"type": "null"}, "minItems": True}, "minItems is a whole"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "minimum and maximum: no value"),
        ({"type": "integer", "minimum": 1.2, "maximum": 1.8}, "minimum and maximum: no value"),
        ({"type": "number", "minimum": 1, "exclusiveMaximum": 1}, "no value fits"),
        ({"type": "number", "minimum": 1e30}, "minimum"),
        ({"type": "integer", "minimum": "3"}, "minimum is a number"),
        ({"type": "integer", "exclusiveMinimum": True}, "exclusiveMinimum is a number"),
        ({"type": "object", "required": ["a"]}, "required names 'a'"),
        ({"type": "object", "additionalProperties": {"type": "null"}}, "additionalProperties"),
        ({"type": "object", "patternProperties": {}}, "patternProperties is not supported"),
        ({"type": "object", "properties": []}, "properties is an object"),
        ({"type": "object", "properties": {"a": {}}}, "#/properties/a: type is missing"),
        ({"$ref": "#/$defs/a"}, "points to nothing"),
        ({"$ref": "other.json"}, "does not point into"),
        ({"$ref": "#"}, "leads back to itself"),
        ({"$ref": "#/$defs/a",
          "$defs": {"a": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/a"}]}}}, "leads back"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/b"}},
          "b": {"type": "array", "items": {"$ref": "#/$defs/a"}}}}, "leads back to itself"),
        ({"type": "array", "maxItems": 900, "items": {"type": "array", "maxItems": 900,
          "items": {"type": "string", "maxLength": 1000}}}, "states"),
    ],
)  # fmt: skip
def test_what_is_impossible_or_not_supported_is_named(schema, why, tokenizer):
    with pytest.raises(ValueError, match=why):
        JsonSchema(schema, tokenizer)


def test_a_reference_may_be_used_twice_and_point_into_a_list():
    schema = {
        "type": "object",
        "properties": {
            "a": {"$ref": "#/$defs/x~1y/anyOf/1"},
            "b": {"$ref": "#/properties/a"},
        },
        "required": ["a", "b"],
        "$defs": {"x/y": {"anyOf": [{"type": "null"}, {"type": "boolean"}]}},
    }
    assert compile_tree(schema_tree(schema)).matches('{"a": true, "b": false}')
    assert not compile_tree(schema_tree(schema)).matches('{"a": null, "b": false}')


def test_the_tools_of_the_world_are_schemas_that_work(tokenizer, walk):
    from llmlib.world.toolbox import SCHEMAS

    rng = np.random.default_rng(0)
    for tool in SCHEMAS.values():
        parameters = tool["function"]["parameters"]
        constraint = JsonSchema(parameters, tokenizer)
        for _ in range(5):
            ids = walk(constraint, rng, limit=3000)
            if ids is not None:
                check(parameters, tokenizer.decode(ids, errors="strict"))
