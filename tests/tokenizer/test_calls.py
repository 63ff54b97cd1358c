"""Tool calls as text: what is written is read back, and what cannot be read is said."""

import json
import random
import re

import pytest

from llmlib import checkpoint
from llmlib.tokenizer import SPECIAL_TOKENS, calls, encode_chat, render
from llmlib.world import World, tasks
from llmlib.world.toolbox import SCHEMAS

TOOLS = list(SCHEMAS.values())


def tool(name, required=(), **properties):
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {
        "type": "function",
        "function": {"name": name, "description": f"{name}.", "parameters": schema},
    }


SEARCH = tool(
    "search",
    ["query"],
    query={"type": "string"},
    limit={"type": "integer"},
    exact={"type": "boolean"},
)
MIXED = tool(
    "mixed",
    ["any"],
    any={},
    maybe={"type": ["string", "null"]},
    sizes={"type": "array"},
    options={"type": "object"},
    share={"type": "number"},
    unit={"enum": ["km", "m/s", "12"]},
)
NOW = tool("now")
OWN = [SEARCH, MIXED, NOW]
AWKWARD = [
    '', ' ', ' a', 'a ', 'true', 'null', '12', '-1.5e3', 'nan', 'inf', 'Infinity', '1_000', ',',
    '(', ')', '()', '"', '\\', 'a\nb', 'a\x00', '\u2028', '\xa0', '[1]', '{', '<|/call|>',
    '<|end|>', '\xfcn\xef', '\u65e5\u672c', '\U0001f98a', 'a, b', 'say "hi"', 'f(x)', "'",
    '0x10', '\u0661\u0662', '\ud800',
]  # fmt: skip


def round_trip(name, arguments, tools):
    text = calls.format_call(name, arguments, tools)
    assert calls.parse_call(text, tools) == (name, arguments), text
    assert re.fullmatch(calls.call_pattern(tools), text), text
    assert not any(special in text for special in SPECIAL_TOKENS)
    return text


def test_calls_read_as_in_the_worlds_text():
    assert calls.format_call("weather", {"town": "Quarry Hill"}, TOOLS) == "weather(Quarry Hill)"
    assert calls.format_call("add", {"b": 3, "a": 2}, TOOLS) == "add(2, 3)"
    reminder = {"who": "Ada", "what": "buy bread", "when": "nine o'clock"}
    assert calls.format_call("remind", reminder, TOOLS) == "remind(Ada, buy bread, nine o'clock)"
    assert calls.format_call("weather", {"town": "12"}, TOOLS) == 'weather("12")'
    assert calls.format_call("search", {"query": "tea", "exact": True}, OWN) == (
        "search(tea, , true)"
    )
    assert calls.format_call("search", {"query": "tea"}, OWN) == "search(tea)"
    assert calls.format_call("now", {}, OWN) == "now()"


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_strings_come_back(text):
    round_trip("weather", {"town": text}, TOOLS)
    round_trip("search", {"query": text, "exact": False}, OWN)
    round_trip("mixed", {"any": text, "maybe": text, "options": {text: [text]}}, OWN)


def test_any_string_comes_back():
    rng = random.Random(0)
    alphabet = "ab1-. ,()\"\\<|>[]{}'\n\té日🦊" + "\x7f\u3000\u200b"
    for _ in range(1000):
        made = ["".join(rng.choices(alphabet, k=rng.randrange(8))) for _ in range(3)]
        arguments = dict(zip(("who", "what", "when"), made, strict=True))
        round_trip("remind", arguments, TOOLS)


def test_any_value_comes_back():
    rng = random.Random(1)
    flat = [None, True, False, 0, -7, 10**20, 1.5, -2e-9, "x", "12", "", "a, b"]
    for _ in range(500):
        arguments = {"any": rng.choice([*flat, [1, "a"], {"k": [2, None]}])}
        values = {
            "maybe": rng.choice([None, "null", "x"]),
            "sizes": rng.choices(flat, k=rng.randrange(3)),
            "options": {"a": rng.choice(flat), "b": rng.choices(flat, k=2)},
            "share": rng.choice([1, -0.25, 1e-30]),
            "unit": rng.choice(["km", "m/s", "12"]),
        }
        arguments |= {k: v for k, v in values.items() if rng.random() < 0.6}
        round_trip("mixed", arguments, OWN)


def test_a_value_of_one_of_several_schemas():
    either = tool(
        "either",
        many={"anyOf": [{"type": "integer"}, {"type": "null"}]},
        unit={"anyOf": [{"enum": ["km", "m"], "type": "string"}, {"type": "null"}]},
        word={"anyOf": [{"type": "string"}, {"type": "boolean"}]},
    )
    for many, unit, word in ((3, "km", "tea"), (None, None, "true"), (0, "m", True)):
        round_trip("either", {"many": many, "unit": unit, "word": word}, [either])
    for text, message in (
        ("either(three)", "many is integer, not 'three' or either: many is null"),
        ("either(1, miles)", "unit is one of"),
        ("either(1, km, 4)", None),
    ):
        assert bool(re.fullmatch(calls.call_pattern([either]), text)) == (message is None)
        if message:
            with pytest.raises(ValueError, match=message):
                calls.parse_call(text, [either])


def test_every_tool_of_the_world():
    world = World()
    for split in ("train", "S5"):
        for row in tasks.rows(world, 60, split=split, families=["tool_use"]):
            text = round_trip(row["meta"]["call"]["name"], row["meta"]["call"]["arguments"], TOOLS)
            assert '"' not in text or "," in text, "ordinary values stand bare"


def test_what_the_pattern_matches_can_be_parsed():
    """Texts near valid calls, by small edits: whoever matches, parses."""
    rng = random.Random(2)
    seeds = ["add(2, 3)", 'search("a, b", 3, true)', "search(tea, , false)", "now()"]
    seeds += ['mixed([1, "x"], null, [{"a": 1}], {"k": [true]}, -0.5e3, km)', "mixed(, )"]
    pattern, matched = re.compile(calls.call_pattern([*TOOLS, *OWN])), 0
    for _ in range(6000):
        text = rng.choice(seeds)
        for _ in range(rng.randrange(3)):
            at = rng.randrange(len(text) + 1)
            text = (
                text[:at] + rng.choice(["", *' ,()"\\[]{}:0a1.\n']) + text[at + rng.randrange(2) :]
            )
        if pattern.fullmatch(text):
            matched += 1
            name, arguments = calls.parse_call(text, [*TOOLS, *OWN])
            round_trip(name, arguments, [*TOOLS, *OWN])
    assert matched > 1500


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a call"),
        ("weather", "not a call"),
        ("the weather in Oslo", "not a call"),
        ("sun(Oslo)", "no tool 'sun'; there are weather"),
        ("weather()", "needs the argument town"),
        ("weather(Oslo", r"expected , or \)"),
        ("weather(Oslo, Bergen)", r"takes 1 \(town\)"),
        ("weather(Oslo) please", "text after the call"),
        ('weather("Oslo)', "unreadable"),
        ('weather("Oslo"x)', r"expected , or \)"),
        ("weather(a(b)", "JSON string"),
        ('weather(a"b)', "JSON string"),
        ("weather(a\nb)", "JSON string"),
        ("add(two, 3)", "a is integer, not 'two'"),
        ("add(2.5, 3)", "a is integer"),
        ("add(true, 3)", "a is integer"),
        ("add(, 3)", "needs the argument a"),
        ("now(1)", "takes no arguments"),
        ("search(tea, 3, maybe)", "exact is boolean"),
        ("mixed(NaN, x, [1", "unreadable"),
        ("mixed(1, , , , 1e999)", "cannot hold"),
        ("mixed(1, , , , 1, miles)", "unit is one of"),
        ("mixed(" + "[" * 100_000, "unreadable"),
    ],
)
def test_what_cannot_be_read_is_said(text, message):
    with pytest.raises(ValueError, match=message):
        calls.parse_call(text, [*TOOLS, *OWN])


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("sun", {}, "no tool"),
        ("weather", {}, "needs the argument town"),
        ("weather", {"town": "Oslo", "day": 1}, "no argument day"),
        ("weather", {"town": 3}, "town is string, not 3"),
        ("add", {"a": True, "b": 1}, "a is integer"),
        ("mixed", {"any": float("nan")}, "cannot hold"),
        ("mixed", {"any": [float("nan")]}, "JSON"),
        ("mixed", {"any": 1, "sizes": [object()]}, "JSON"),
    ],
)
def test_what_cannot_be_written_is_said(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        calls.format_call(name, arguments, [*TOOLS, *OWN])


def test_a_pattern_needs_tools():
    with pytest.raises(ValueError, match="no tools"):
        calls.call_pattern([])


def test_tools_are_described_in_a_line_each():
    assert calls.describe_tools(TOOLS[:2]) == (
        "weather(town): The weather in a town today.\n"
        "stock(product): How many of a product are in the store."
    )
    assert calls.describe_tools([NOW, {"function": {"name": "f"}}]) == "now(): now.\nf()"


CHAT = [
    {"role": "user", "content": "What is 2 + 3?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "1",
                "type": "function",
                "function": {"name": "add", "arguments": '{"b": 3, "a": 2}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "1", "name": "add", "content": "5"},
    {"role": "assistant", "content": "<|think|>5, then.<|/think|>5."},
]


def test_openai_messages_become_a_chat():
    made = calls.to_template(CHAT, [SCHEMAS["add"]])
    assert render(made) == (
        "<|system|>Tools:\nadd(a, b): The sum of two numbers.<|end|>"
        "<|user|>What is 2 + 3?<|end|><|assistant|><|call|>add(2, 3)<|/call|><|end|>"
        "<|tool|><|result|>5<|/result|><|end|>"
        "<|assistant|><|think|>5, then.<|/think|>5.<|end|>"
    )
    own = [{"role": "system", "content": "Be brief."}, *CHAT]
    assert calls.to_template(own, TOOLS)[0]["content"].startswith("Be brief.\n\nTools:\nweather(")
    assert calls.to_template(own)[0]["content"] == "Be brief."
    parts = [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    ]
    assert calls.to_template(parts) == [{"role": "user", "content": "ab"}]


def test_every_row_of_the_world_can_be_encoded():
    tokenizer = checkpoint.load_shipped_tokenizer()
    for row in tasks.rows(World(), 240):
        made = calls.to_template(row["messages"], row.get("tools"))
        ids, mask = encode_chat(tokenizer, made)
        assert ids == tokenizer.encode(render(made), allowed_special="all")
        assert any(mask)


def test_a_call_that_the_model_got_wrong_can_be_shown_to_it():
    function = {"name": "sun", "arguments": {"x": "a, b", "y": 1}}
    wrong = [*CHAT[:1], {"role": "assistant", "tool_calls": [{"function": function}]}]
    assert calls.to_template(wrong, TOOLS)[-1]["calls"] == ['sun("a, b", 1)']


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"role": "user", "content": [{"type": "image_url"}]}, "only text"),
        ({"role": "user", "content": 3}, "not text"),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": "add", "arguments": "{"}}]},
            "not JSON",
        ),
    ],
)
def test_unreadable_messages(message, error):
    with pytest.raises(ValueError, match=error):
        calls.to_template([message], TOOLS)


def test_a_generated_turn_is_read_by_its_ids():
    tokenizer = checkpoint.load_shipped_tokenizer()
    message = {
        "role": "assistant",
        "think": "2 + 3",
        "content": "So <|end|> is 5.",
        "calls": ["add(2, 3)", 'weather("<|/call|>")'],
    }
    ids, mask = encode_chat(tokenizer, [CHAT[0], message])
    written = [id for id, mine in zip(ids, mask, strict=True) if mine]
    read = calls.read_turn(tokenizer, written)
    assert read.pop("ended")
    assert read | {"role": "assistant"} == message
    cut = calls.read_turn(tokenizer, written[:-3])
    assert not cut["ended"] and len(cut["calls"]) == 2
    json.dumps(cut)


def test_a_call_cut_off_anywhere_is_refused_in_words():
    tools = list(SCHEMAS.values())
    for whole in ("lookup(Ada Moss, pet)", "add(3, 45)", 'count_words("a, b")'):
        assert calls.parse_call(whole, tools)
        for end in range(len(whole)):
            with pytest.raises(ValueError):
                calls.parse_call(whole[:end], tools)
