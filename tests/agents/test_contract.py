"""One contract, every backend: scripted, local, OpenAI-compatible, and the local one served."""

import copy
import json

import jsonschema
import pytest

from llmlib.agents.backends import LocalBackend, OpenAICompatBackend, Reply, ScriptedBackend
from llmlib.agents.backends.scripted import as_reply
from llmlib.agents.serve import make_server

from . import stub
from .scenarios import FERRY, FORMAT, HELLO, RESULT, TOOLS, WEATHER, policy

FINISH_REASONS = ("stop", "length", "tool_calls")


def honest(connection, request):
    """A server of the stub's own making: what `policy` says, in OpenAI's words."""
    body = request["body"]
    reply = as_reply(policy(body["messages"], body.get("tools")))
    calls = [(call.name, json.dumps(call.arguments)) for call in reply.tool_calls]
    text, reason = reply.text, reply.finish_reason
    words = text.split(" ")
    if len(words) > body["max_tokens"]:
        text, reason = " ".join(words[: body["max_tokens"]]), "length"
    if not body.get("stream"):
        return stub.message(text, calls, reason)(connection, request)
    parts = [
        {"index": i, "id": f"id_{i}", "function": {"name": name, "arguments": arguments}}
        for i, (name, arguments) in enumerate(calls)
    ]
    events = [stub.chunk({"content": text}), stub.chunk({"tool_calls": parts}, reason), stub.DONE]
    data = b"".join(events)
    return stub.stream(*[data[i : i + 5] for i in range(0, len(data), 5)])(connection, request)


@pytest.fixture(params=["scripted", "local", "openai", "served"])
def backend(request, tiny, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    if request.param == "scripted":
        yield ScriptedBackend(policy)
    elif request.param == "local":
        yield LocalBackend(*tiny)
    elif request.param == "openai":
        with stub.Stub(*[honest] * 10) as server:
            yield OpenAICompatBackend("m", server.url)
    else:
        with make_server(LocalBackend(*tiny), "tiny", port=0) as server:
            yield OpenAICompatBackend("tiny", server.url)


def check(reply: Reply) -> None:
    """What holds of every reply."""
    assert isinstance(reply, Reply) and isinstance(reply.text, str)
    assert reply.finish_reason in FINISH_REASONS
    if reply.finish_reason != "length":
        assert bool(reply.tool_calls) == (reply.finish_reason == "tool_calls")
        assert not any(call.error for call in reply.tool_calls)
    ids = [call.id for call in reply.tool_calls]
    assert all(ids) and len(set(ids)) == len(ids)
    if reply.usage is not None:
        assert set(reply.usage) == {"prompt_tokens", "completion_tokens"}
        assert all(isinstance(n, int) and n >= 0 for n in reply.usage.values())
    json.dumps(reply.as_message())


def test_it_answers(backend):
    reply = backend.chat(HELLO)
    check(reply)
    assert (reply.text, reply.finish_reason) == ("Hello, Zoë! 😀 How are you?", "stop")


def test_it_calls_a_tool_and_uses_the_result(backend):
    reply = backend.chat(WEATHER, tools=TOOLS)
    check(reply)
    (call,) = reply.tool_calls
    assert (call.name, call.arguments) == ("weather", {"town": "Arlo"})
    result = {"role": "tool", "tool_call_id": call.id, "content": "foggy"}
    reply = backend.chat([*WEATHER, reply.as_message(), result], tools=TOOLS)
    check(reply)
    assert (reply.text, reply.finish_reason) == ("It is foggy in Arlo.", "stop")


def test_it_keeps_to_a_schema(backend):
    reply = backend.chat(FERRY, response_format=FORMAT)
    check(reply)
    jsonschema.validate(json.loads(reply.text), FORMAT["json_schema"]["schema"])
    assert json.loads(reply.text) == {"leaves": True, "pier": "süd"}


def test_a_reply_that_is_cut_off_says_so(backend):
    reply = backend.chat(HELLO, max_tokens=2)
    check(reply)
    assert reply.finish_reason == "length"
    assert reply.text and "Hello, Zoë! 😀 How are you?".startswith(reply.text.rstrip("\ufffd"))


@pytest.mark.parametrize("messages", [HELLO, WEATHER])
def test_streamed_pieces_are_the_text(backend, messages):
    pieces: list[str] = []
    reply = backend.chat(messages, tools=TOOLS, stream=pieces.append)
    check(reply)
    assert "".join(pieces) == reply.text
    plain = backend.chat(messages, tools=TOOLS)
    assert (plain.text, plain.tool_calls) == (reply.text, reply.tool_calls)


def test_the_same_seed_gives_the_same_reply(backend):
    one, two = (backend.chat(HELLO, temperature=1.0, seed=5) for _ in range(2))
    assert (one.text, one.tool_calls) == (two.text, two.tool_calls)


def test_nothing_that_is_given_is_changed(backend):
    messages, tools = copy.deepcopy(RESULT), copy.deepcopy(TOOLS)
    backend.chat(messages, tools=tools)
    assert (messages, tools) == (RESULT, TOOLS)


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "no user speaks"),
        ([{"role": "system", "content": "Hi."}], "no user speaks"),
        ([{"role": "robot", "content": "Hi."}], "message 0: role 'robot'"),
        ([{"content": "Hi."}], "message 0: role None"),
        (["Hi."], "message 0: role None"),
        ([{"role": "user"}], "content is missing"),
        ([{"role": "user", "content": 3}], "not a string"),
        ([*HELLO, {"role": "assistant", "content": None}], "message 1 .assistant"),
    ],
)
def test_a_caller_that_is_wrong_is_told(backend, messages, words):
    with pytest.raises(ValueError, match=words):
        backend.chat(messages)


def test_other_wrong_arguments(backend):
    with pytest.raises(ValueError, match="max_tokens must be at least 1"):
        backend.chat(HELLO, max_tokens=0)
    with pytest.raises(TypeError, match="stream takes a function"):
        backend.chat(HELLO, stream=True)
