"""Whatever comes over the wire, the answer is a Reply or the error that the docstring promises."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from llmlib.agents.backends import BackendError, Reply, ToolCall
from llmlib.agents.backends.openai_compat import read_completion, read_stream
from llmlib.agents.backends.transport import server_events
from llmlib.agents.completions import BadRequest, Request, read_request
from llmlib.agents.tools import ToolRegistry, ToolResult

from .scenarios import FORMAT, TOOLS

KEYS = (
    "error message choices delta content refusal tool_calls index id function name arguments "
    "finish_reason usage prompt_tokens completion_tokens token_ids code type text role model "
    "messages tools response_format temperature seed max_tokens stream stream_options n stop"
).split()
LEAVES = st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | st.sampled_from(
    ["", "a", "user", "system", "assistant", "tool", "function", "text", "json_schema", "stop",
     "length", "tool_calls", "{}", '{"a": 1}', '{"a"', "\ud800", "auto", "weather"]
)  # fmt: skip
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)
MESSAGE = st.fixed_dictionaries({"content": JSON}, optional={"tool_calls": JSON, "refusal": JSON})


@settings(max_examples=100, deadline=None)
@given(
    JSON
    | st.fixed_dictionaries(
        {"choices": st.lists(st.fixed_dictionaries({"message": MESSAGE | JSON}), max_size=2)},
        optional={"usage": JSON},
    )
)
def test_completions(answer):
    try:
        reply = read_completion(answer)
    except BackendError:
        return
    assert isinstance(reply, Reply)
    reply.text.encode()
    json.dumps(reply.as_message(), allow_nan=False).encode()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        JSON
        | st.fixed_dictionaries(
            {"choices": st.lists(st.fixed_dictionaries({"delta": MESSAGE | JSON}), max_size=2)},
            optional={"usage": JSON},
        ),
        max_size=4,
    ),
    st.integers(1, 9),
)
def test_streams(chunks, size):
    events = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks]
    data = b"".join(events) + b'data: {"choices": [{"finish_reason": "stop"}]}\n\n'
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    said: list[str] = []
    try:
        reply = read_stream(server_events(iter(pieces)), said.append)
    except BackendError:
        return
    assert isinstance(reply, Reply) and "".join(said) == reply.text
    reply.text.encode()


@settings(max_examples=100, deadline=None)
@given(
    JSON
    | st.fixed_dictionaries(
        {"messages": st.lists(st.fixed_dictionaries({"role": LEAVES, "content": JSON}))},
        optional={
            "tools": JSON | st.just(TOOLS),
            "response_format": JSON | st.just(FORMAT),
            "temperature": LEAVES,
            "seed": LEAVES,
            "max_tokens": LEAVES,
            "stream": LEAVES,
            "stop": JSON,
            "n": JSON,
        },
    )
)
def test_requests(body):
    try:
        assert isinstance(read_request(body), Request)
    except BadRequest as error:
        assert str(error)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20) | JSON.map(lambda value: json.dumps(value)), st.sampled_from("fg"))
def test_calls(arguments, name):
    def f(a: int = 0, text: str = ""):
        "x"
        return [a, text]

    call = ToolCall.from_json("c", name, arguments)
    result = ToolRegistry([f], timeout=None).run(call)
    assert isinstance(result, ToolResult)
    json.dumps([result.as_message(), call.as_message_part()], ensure_ascii=False)
    result.text.encode()
