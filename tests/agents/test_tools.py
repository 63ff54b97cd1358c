"""Tools: the schema a model sees, the checks before a call, and errors that stay errors."""

import _thread
import contextlib
import contextvars
import json
import threading
import time
from dataclasses import dataclass
from typing import Annotated, Literal

import jsonschema
import pytest

from llmlib.agents.backends.base import ToolCall
from llmlib.agents.tools import Tool, ToolRegistry, as_text, tool
from llmlib.world.toolbox import SCHEMAS


@dataclass
class Point:
    x: int
    y: float = 0.5


def weather(town: Annotated[str, "a town's name"], unit: Literal["C", "F"] = "C", days: int = 1):
    """The weather
    in a town.

    It is never asked twice.

    Args:
        town: not this, the hint has one
        unit (str): of the temperature,
            as a letter
        days: how many
    Returns:
        nothing
    """
    return f"{town} {unit} {days!r}"


def run(registry, name, /, **arguments):
    return registry.run(ToolCall("call_0", name, arguments))


def test_the_schema_comes_from_hints_and_docstring():
    made = tool(weather)
    assert made.name == "weather"
    assert made.description == "The weather in a town. It is never asked twice."
    assert made.schema == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": made.description,
            "parameters": {
                "type": "object",
                "properties": {
                    "town": {"type": "string", "description": "a town's name"},
                    "unit": {
                        "type": "string",
                        "enum": ["C", "F"],
                        "description": "of the temperature, as a letter",
                        "default": "C",
                    },
                    "days": {"type": "integer", "description": "how many", "default": 1},
                },
                "required": ["town"],
                "additionalProperties": False,
            },
        },
    }
    jsonschema.Draft202012Validator.check_schema(made.parameters)


def test_decorator_with_options_and_the_function_underneath():
    @tool(name="send", description="Send it.", writes=True)
    def function(text: str):
        "Not this."
        return text.upper()

    assert (function.name, function.description, function.writes) == ("send", "Send it.", True)
    assert function("hi") == "HI"


def test_the_same_schema_as_the_world_gives_by_hand():
    def add(a: int, b: int) -> int:
        "The sum of two numbers."
        return a + b

    assert tool(add).schema == SCHEMAS["add"]


def no_hint(a):
    "x"


def no_json(a: bytes):
    "x"


def stars(*a: int):
    "x"


def by_place(a: int, /):
    "x"


async def later(a: int):
    "x"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_hint, "no_hint: a has no type hint"),
        (no_json, "no_json: a: no JSON Schema for the type bytes"),
        (stars, r"stars: \*a: int cannot be given by name"),
        (by_place, "by_place: a: int cannot be given by name"),
        (later, "later is async"),
    ],
)
def test_what_cannot_be_a_tool(function, message):
    with pytest.raises(TypeError, match=message):
        tool(function)


def test_names_and_schemas_that_servers_refuse():
    with pytest.raises(ValueError, match="tool name"):
        Tool("no spaces", "", {"type": "object"}, weather)
    with pytest.raises(ValueError, match="must be an object's"):
        Tool("x", "", {"type": "string"}, weather)
    with pytest.raises(ValueError, match="a tool 'weather' already"):
        ToolRegistry([weather, weather])


def test_a_call_is_checked_run_and_answered():
    registry = ToolRegistry([weather])
    result = run(registry, "weather", town="Arlo", days=2.0)
    assert (result.text, result.is_error, result.cut) == ("Arlo C 2", False, 0)
    assert result.as_message() == {
        "role": "tool",
        "tool_call_id": "call_0",
        "content": "Arlo C 2",
    }


def test_a_dataclass_argument_arrives_as_one():
    def shift(point: Point, by: list[Point]) -> Point:
        "Add."
        return Point(point.x + sum(p.x for p in by), point.y)

    result = run(ToolRegistry([shift]), "shift", point={"x": 1}, by=[{"x": 2}, {"x": 3}])
    assert json.loads(result.text) == {"x": 6, "y": 0.5}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            ToolCall("c", "wether", {}),
            "error: there is no tool 'wether'; did you mean weather? The tools are: weather",
        ),
        (
            ToolCall("c", "weather", {"days": "two"}),
            "error: weather: town is missing; days must be integer, not 'two' (string); it takes "
            "town (string), unit ('C' or 'F', may be left out), days (integer, may be left out)",
        ),
        (
            ToolCall.from_json("c", "weather", '{"town": "Ar'),
            "error: weather: the arguments are not valid JSON: Unterminated string starting at at "
            "character 10 of 12; it takes town",
        ),
    ],
)
def test_a_wrong_call_is_an_error_the_model_can_act_on(call, message):
    result = ToolRegistry([weather]).run(call)
    assert result.is_error and result.text.startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "'a' comes twice"),
        ('{"o": {"b": 1, "b": 2}}', "'b' comes twice"),
        ('{"a": NaN}', "NaN is not JSON"),
        ("[1, 2]", "must be one JSON object"),
        ("[" * 200_000, "nested too deeply"),
        ('{"a": ' * 200_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "not valid JSON"),
        ("Arlo", "not valid JSON"),
    ],
)
def test_arguments_that_are_not_one_json_object_are_kept_raw(text, message):
    call = ToolCall.from_json("c", "weather", text)
    assert message in call.error and call.raw == text and call.arguments == {}
    assert call.as_message_part()["function"]["arguments"] == text


def test_no_arguments_at_all_are_an_empty_object():
    assert ToolCall.from_json("c", "f", "") == ToolCall("c", "f", {})


def raises():
    "x"
    raise FileNotFoundError("no such note: tea")


def ends_the_program():
    "x"
    raise SystemExit(3)


def unwritable():
    "x"
    return {"when": Unwritable()}


class Unwritable:
    def __str__(self):
        raise RuntimeError("no words")


def recursive():
    "x"
    loop: list = []
    loop.append(loop)
    return loop


def speechless():
    "x"
    raise Speechless


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def half_a_character():
    "x"
    raise ValueError("\ud800")


@pytest.mark.parametrize("timeout", [5.0, None])
@pytest.mark.parametrize(
    ("function", "message"),
    [
        (speechless, "error: speechless failed: Speechless"),
        (half_a_character, "error: half_a_character failed: ValueError: \ufffd"),
        (raises, "error: raises failed: FileNotFoundError: no such note: tea"),
        (ends_the_program, "error: ends_the_program failed: RuntimeError: it tried to end"),
        (unwritable, "error: unwritable failed: RuntimeError: no words"),
        (recursive, "error: recursive failed: ValueError: Circular reference"),
    ],
)
def test_a_tool_that_fails_gives_a_marked_error(function, message, timeout):
    result = run(ToolRegistry([function], timeout=timeout), function.__name__)
    assert result.is_error and result.text.startswith(message)


def test_a_tool_that_hangs_is_left_and_an_endless_loop_is_stopped():
    started, ended = threading.Event(), threading.Event()

    @tool(writes=True)
    def spin():
        "x"
        started.set()
        try:
            while True:
                with contextlib.suppress(Exception):
                    time.sleep(0.001)
        finally:
            ended.set()

    def wait():
        "x"
        ended.wait(5)

    registry = ToolRegistry([spin, wait], timeout=0.1)
    begin = time.monotonic()
    result = run(registry, "spin")
    assert result.is_error and "no answer within 0.1 s; it may still have had" in result.text
    assert started.is_set() and ended.wait(2), "the loop goes on"
    ended.clear()
    result = run(registry, "wait")
    ended.set()
    assert result.text == "error: wait gave no answer within 0.1 s"
    assert time.monotonic() - begin < 3


def test_an_interrupted_caller_does_not_leave_a_loop_behind():
    ended = threading.Event()

    def spin():
        "x"
        try:
            _thread.interrupt_main()
            while True:
                time.sleep(0.001)
        finally:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        run(ToolRegistry([spin], timeout=5), "spin")
    assert ended.wait(2)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": None},
        {"properties": {"a": 3}},
        {"required": 3},
        {"properties": {"a": {"pattern": "("}}},
        {"properties": {"a": {"minLength": "x"}}},
        {"properties": {"a": {"enum": 7}}},
        {"properties": {"a": {"type": "string", "items": [{"type": "string"}]}}},
    ],
)
def test_a_schema_from_outside_that_is_none_is_an_error_or_no_matter(schema):
    broken = Tool("broken", "", {"type": "object"} | schema, lambda **arguments: "ran")
    result = run(ToolRegistry([broken]), "broken", a="b")
    assert result.text == "ran" or result.text.startswith("error: broken: its own schema is malf")


def test_ten_megabytes_are_cut_and_it_says_so():
    def big():
        "x"
        return "x" * 10_000_000

    result = run(ToolRegistry([big], max_chars=1000), "big")
    assert result.text == "x" * 1000 + "\n[cut: 9,999,000 more characters are not shown]"
    assert result.cut == 9_999_000 and not result.is_error


def test_a_tool_gets_its_own_copy_of_the_arguments():
    def grow(items: list):
        "x"
        items.append(1)
        return items

    call = ToolCall("c", "grow", {"items": []})
    assert ToolRegistry([grow]).run(call).text == "[1]"
    assert call.arguments == {"items": []}


def test_a_tool_sees_the_callers_context():
    who = contextvars.ContextVar("who")
    who.set("Ada")

    def name():
        "x"
        return who.get()

    assert run(ToolRegistry([name]), "name").text == "Ada"


def test_what_a_tool_returns_becomes_text():
    assert as_text(None) == "done"
    assert as_text("ä\n") == "ä\n"
    assert as_text({"a": [1, True, None, "ä"]}) == '{"a": [1, true, null, "ä"]}'
    assert as_text(Point(1)) == '{"x": 1, "y": 0.5}'
    assert as_text({3, 1, 2}) == "[1, 2, 3]"
    assert as_text("a\ud800b") == "a\ufffdb" and as_text("\ud83d\ude00") == "😀"
    as_text("\ud800").encode()


def test_the_registry_is_a_collection():
    registry = ToolRegistry([weather])
    assert "weather" in registry and len(registry) == 1
    assert [one.name for one in registry] == ["weather"] and registry["weather"].name == "weather"
    assert registry.schemas == [tool(weather).schema]
