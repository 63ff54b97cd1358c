"""The scripted model: replies in order or by a policy, and faults at the rates asked for."""

import dataclasses

import pytest

from llmlib.agents.backends import BackendError, Faults, Reply, ScriptedBackend, ToolCall
from llmlib.agents.backends.scripted import as_reply
from llmlib.world.toolbox import SCHEMAS

ASK = [{"role": "user", "content": "What is the weather in Arlo?"}]
TOOLS = [SCHEMAS[name] for name in ("weather", "stock", "add")]


def call_then_tell(messages, tools):
    """Calls the weather once for each town, then repeats the result."""
    seen = [message["content"] for message in messages if message["role"] == "tool"]
    if len(seen) < 2:
        return ToolCall("", "weather", {"town": ["Arlo", "Brisk"][len(seen)]})
    return f"It is {' and '.join(seen)}."


def after(backend, n_calls, **options):
    """The reply once n_calls were answered."""
    messages = list(ASK)
    for _ in range(n_calls):
        reply = as_reply(call_then_tell(messages, TOOLS))
        call = dataclasses.replace(reply.tool_calls[0], id=f"call_{len(messages)}")
        messages += [Reply(tool_calls=[call]).as_message()]
        messages += [{"role": "tool", "tool_call_id": call.id, "content": "foggy"}]
    return backend.chat(messages, tools=TOOLS, **options)


def test_a_script_is_played_in_order_and_then_over():
    call = ToolCall("x", "weather", {"town": "Arlo"})
    lost = BackendError("lost", retryable=True)
    backend = ScriptedBackend(["hello", call, [call, call], Reply("end"), lost])
    assert backend.chat(ASK).text == "hello"
    one, two = backend.chat(ASK), backend.chat(ASK)
    assert one.tool_calls == (call,) and one.finish_reason == "tool_calls"
    assert len(two.tool_calls) == 2
    assert backend.chat(ASK).text == "end"
    with pytest.raises(BackendError, match="lost"):
        backend.chat(ASK)
    with pytest.raises(BackendError, match="script is over: 5 replies") as caught:
        backend.chat(ASK)
    assert not caught.value.retryable
    assert len(backend.requests) == 6 and backend.requests[0]["messages"] == ASK


def test_a_policy_sees_messages_and_tools():
    backend = ScriptedBackend(call_then_tell)
    assert after(backend, 0).tool_calls[0].arguments == {"town": "Arlo"}
    assert after(backend, 1).tool_calls[0] == ToolCall("call_1", "weather", {"town": "Brisk"})
    assert after(backend, 2).text == "It is foggy and foggy."


def test_what_a_script_may_not_contain():
    with pytest.raises(TypeError, match="a reply is a text, ToolCall"):
        ScriptedBackend([3]).chat(ASK)


EXPECTED = {
    "early_stop": lambda reply: reply.text == "done" and not reply.tool_calls,
    "repeat": lambda reply: reply.tool_calls[0].arguments == {"town": "Arlo"},
    "forget": lambda reply: reply.tool_calls[0].arguments == {"town": "Arlo"},
    "wrong_tool": lambda reply: reply.tool_calls[0].name in ("stock", "add"),
    "unknown_tool": lambda reply: reply.tool_calls[0].name == "weather_now",
    "wrong_argument": lambda reply: reply.tool_calls[0].arguments == {"town": "Bris"},
    "malformed": lambda reply: reply.tool_calls[0].error and reply.tool_calls[0].raw,
    "obey": lambda reply: reply.tool_calls[0].name == "stock",
}


@pytest.mark.parametrize("dial", EXPECTED)
def test_each_dial_does_its_fault_at_its_rate(dial):
    def planted(messages):
        return ToolCall("", "stock", {"product": "plums"})

    for rate in (0.0, 0.3, 1.0):
        backend = ScriptedBackend(call_then_tell, faults=Faults(**{dial: rate}), injection=planted)
        replies = [after(backend, 1, seed=seed) for seed in range(400)]
        share = sum(bool(EXPECTED[dial](reply)) for reply in replies) / len(replies)
        assert share == rate if rate in (0, 1) else abs(share - rate) < 0.1
        again = [after(backend, 1, seed=seed) for seed in range(400)]
        assert again == replies


def test_turning_one_dial_leaves_the_others_alone():
    def faulty(**rates):
        backend = ScriptedBackend(call_then_tell, faults=Faults(unknown_tool=0.5, **rates))
        replies = [after(backend, 1, seed=seed) for seed in range(50)]
        return [reply.tool_calls[0].name for reply in replies]

    assert faulty() == faulty(malformed=0.5) and len(set(faulty())) == 2


def test_failures_come_anew_at_each_try():
    backend = ScriptedBackend(call_then_tell, faults=Faults(fail=0.5))
    outcomes = []
    for _ in range(60):
        try:
            outcomes.append(after(backend, 0).finish_reason)
        except BackendError as error:
            assert error.retryable
            outcomes.append("failed")
    assert 15 < outcomes.count("failed") < 45


def test_faults_concern_calls_only():
    faults = Faults(early_stop=1, repeat=1, wrong_tool=1, unknown_tool=1, malformed=1)
    assert after(ScriptedBackend(call_then_tell, faults=faults), 2).text.startswith("It is")


def test_bad_dials():
    with pytest.raises(ValueError, match="repeat is a rate from 0 to 1"):
        Faults(repeat=2)
    with pytest.raises(ValueError, match="needs injection"):
        ScriptedBackend(["a"], faults=Faults(obey=0.5))


def test_words_are_tokens():
    pieces: list[str] = []
    reply = ScriptedBackend(["one  two\nthree four "]).chat(ASK, stream=pieces.append)
    assert "".join(pieces) == reply.text == "one  two\nthree four "
    assert reply.usage["completion_tokens"] in (4, 5)
    short = ScriptedBackend(["one  two three"]).chat(ASK, max_tokens=2)
    assert (short.text, short.finish_reason) == ("one  two", "length")
    assert short.usage["completion_tokens"] == 2
