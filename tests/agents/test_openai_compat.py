"""The OpenAI-compatible backend against a loopback server that misbehaves."""

import email.utils
import json
import socket
import time

import pytest

from llmlib.agents.backends import BackendError, OpenAICompatBackend, ToolCall
from llmlib.agents.tools import ToolRegistry
from llmlib.world.toolbox import SCHEMAS

from .stub import DONE, Stub, chunk, drip, head, message, silence, status, stream

ASK = [{"role": "user", "content": "What is the weather in Arlo?"}]
KEY = "sk-secret-0123456789"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def backend(stub, **options):
    options = {"retries": 2, "first_wait": 0.01, "timeout": 5.0, "total": 10.0} | options
    return OpenAICompatBackend("m", stub.url, **options)


def test_what_is_sent_and_what_comes_back():
    with Stub(message("It is foggy.")) as stub:
        made = backend(stub, api_key=KEY, extra={"seed": None, "top_p": 0.9})
        reply = made.chat(ASK, tools=[SCHEMAS["weather"]], temperature=0.5, max_tokens=7)
    assert (reply.text, reply.finish_reason, reply.tool_calls) == ("It is foggy.", "stop", ())
    assert reply.usage == {"prompt_tokens": 3, "completion_tokens": 2}
    (request,) = stub.requests
    assert request["path"] == "/v1/chat/completions"
    assert request["headers"]["authorization"] == f"Bearer {KEY}"
    assert request["body"] == {
        "model": "m",
        "messages": ASK,
        "temperature": 0.5,
        "max_tokens": 7,
        "tools": [SCHEMAS["weather"]],
        "top_p": 0.9,
    }


def test_a_response_format_goes_to_the_server_as_it_is():
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    with Stub(message("{}")) as stub:
        assert backend(stub).chat(ASK, response_format=wanted).text == "{}"
    assert stub.requests[0]["body"]["response_format"] == wanted


def test_environment_names_the_server_and_the_key(monkeypatch):
    with pytest.raises(ValueError, match="no server: set OPENAI_BASE_URL"):
        OpenAICompatBackend("m")
    with Stub(message("a"), message("b")) as stub:
        monkeypatch.setenv("OPENAI_BASE_URL", stub.url + "/")
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        assert OpenAICompatBackend("m").chat(ASK).text == "a"
        assert OpenAICompatBackend("m", api_key="").chat(ASK).text == "b"
    assert stub.requests[0]["headers"]["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in stub.requests[1]["headers"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("127.0.0.1:80", "not the base URL"),
        ("ftp://a/v1", "not the base URL"),
        ("https://me:word@a/v1", "with a user or password"),
        ("http://example.org/v1", "unencrypted"),
        ("http://10.0.0.7:8000/v1", "unencrypted"),
    ],
)
def test_addresses_that_are_refused(url, message):
    with pytest.raises(ValueError, match=message) as caught:
        OpenAICompatBackend("m", url, KEY)
    assert KEY not in str(caught.value) and "word" not in str(caught.value).replace("password", "")


def test_without_a_key_plain_http_is_fine_and_with_one_on_this_machine():
    OpenAICompatBackend("m", "http://10.0.0.7:8000/v1", "")
    for host in ("localhost", "127.0.0.1", "[::1]"):
        OpenAICompatBackend("m", f"http://{host}:8000/v1", KEY)


def test_the_key_is_in_no_message():
    echo = {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid"}}
    with Stub(status(401, echo), status(200, echo), stream(chunk(error=echo["error"]))) as stub:
        made = backend(stub, api_key=KEY)
        assert KEY not in repr(made)
        for options in ({}, {}, {"stream": print}):
            with pytest.raises(BackendError) as caught:
                made.chat(ASK, **options)
            assert KEY not in str(caught.value) and not caught.value.retryable
            assert caught.value.__suppress_context__


# -- tool calls -----------------------------------------------------------------------------------


def test_parallel_calls():
    calls = [("weather", '{"town": "Arlo"}'), ("add", '{"a": 2, "b": 3}')]
    with Stub(message("", calls, "tool_calls")) as stub:
        reply = backend(stub).chat(ASK)
    assert reply.finish_reason == "tool_calls"
    assert reply.tool_calls == (
        ToolCall("id_0", "weather", {"town": "Arlo"}),
        ToolCall("id_1", "add", {"a": 2, "b": 3}),
    )


def test_calls_with_reason_stop_and_arguments_as_an_object_are_calls():
    part = {"function": {"name": "weather", "arguments": {"town": "Arlo"}}}
    with Stub(message("", reason="stop", tool_calls=[part], content=None)) as stub:
        reply = backend(stub).chat(ASK)
    assert reply.tool_calls == (ToolCall("call_0", "weather", {"town": "Arlo"}),)
    assert (reply.text, reply.finish_reason) == ("", "tool_calls")


def test_malformed_arguments_and_unknown_tools_reach_the_registry_as_errors():
    calls = [("weather", '{"town": "Ar'), ("telephone", "{}")]
    with Stub(message("", calls, "tool_calls")) as stub:
        bad, unknown = backend(stub).chat(ASK).tool_calls
    assert bad.raw == '{"town": "Ar' and "not valid JSON" in bad.error
    registry = ToolRegistry()
    for call in (bad, unknown):
        assert registry.run(call).is_error


def test_a_truncated_answer_says_so():
    with Stub(message("It is", [("weather", '{"to')], "length")) as stub:
        reply = backend(stub).chat(ASK)
    assert (reply.text, reply.finish_reason) == ("It is", "length")
    assert reply.tool_calls[0].error


@pytest.mark.parametrize("usage", [None, (None, 3), ("3", 2)])
def test_missing_usage_is_none(usage):
    with Stub(message("a", usage=usage)) as stub:
        assert backend(stub).chat(ASK).usage is None


# -- streams --------------------------------------------------------------------------------------


def test_a_stream_cut_within_characters_and_lines():
    body = chunk({"role": "assistant", "content": ""})
    body += chunk({"content": "Zoë "}) + b": still alive\r\n\r\n" + b"data:\n\n"
    body += chunk({"content": "sees 😀"}).replace(b"\n", b"\r\n") + chunk({}, "stop")
    body += chunk(usage={"prompt_tokens": 3, "completion_tokens": 2}, choices=[]) + DONE
    for size in (1, 2, 3, 7, 1000):
        cut = [body[i : i + size] for i in range(0, len(body), size)]
        pieces: list[str] = []
        with Stub(stream(*cut)) as stub:
            reply = backend(stub).chat(ASK, stream=pieces.append)
        assert pieces == ["Zoë ", "sees 😀"] and reply.text == "Zoë sees 😀"
        assert reply.usage == {"prompt_tokens": 3, "completion_tokens": 2}
        assert stub.requests[0]["body"]["stream"] is True


def test_calls_arrive_in_parts():
    def part(index, **more):
        return chunk({"tool_calls": [{"index": index, **more}]})

    events = [
        part(0, id="a", function={"name": "weather", "arguments": ""}),
        part(0, function={"arguments": '{"town": '}),
        part(1, id="b", function={"name": "add", "arguments": '{"a": 1,'}),
        part(0, function={"arguments": '"Zoë"}'}),
        part(1, function={"arguments": ' "b": 2}'}),
        chunk({}, "tool_calls"),
    ]
    with Stub(stream(*events, DONE)) as stub:
        reply = backend(stub).chat(ASK, stream=print)
    assert reply.tool_calls == (
        ToolCall("a", "weather", {"town": "Zoë"}),
        ToolCall("b", "add", {"a": 1, "b": 2}),
    )
    assert reply.usage is None


def test_calls_without_index_are_told_by_their_ids():
    events = [
        chunk({"tool_calls": [{"id": i, "function": {"name": "add", "arguments": "{}"}}]})
        for i in ("a", "b")
    ]
    with Stub(stream(*events, chunk({}, "tool_calls"))) as stub:
        reply = backend(stub).chat(ASK, stream=print)
    assert [call.id for call in reply.tool_calls] == ["a", "b"]


def test_a_server_that_does_not_stream_is_read_all_the_same():
    pieces: list[str] = []
    with Stub(message("It is foggy.")) as stub:
        reply = backend(stub).chat(ASK, stream=pieces.append)
    assert "".join(pieces) == reply.text == "It is foggy."


@pytest.mark.parametrize("cut", [True, False])
def test_a_connection_closed_before_the_first_piece_is_tried_again(cut):
    pieces: list[str] = []
    good = stream(chunk({"content": "yes"}), chunk({}, "stop"))
    with Stub(stream(chunk({"role": "assistant"}), cut=cut), good) as stub:
        assert backend(stub).chat(ASK, stream=pieces.append).text == "yes"
    assert pieces == ["yes"] and len(stub.requests) == 2


@pytest.mark.parametrize("cut", [True, False])
def test_a_connection_closed_in_mid_answer_is_an_error_and_no_piece_comes_twice(cut):
    pieces: list[str] = []
    answers = stream(chunk({"content": "It is"}), cut=cut), message("x")
    with Stub(*answers) as stub, pytest.raises(BackendError, match="in the middle of its answer"):
        backend(stub).chat(ASK, stream=pieces.append)
    assert pieces == ["It is"] and len(stub.requests) == 1


def test_an_error_in_the_stream_is_reported():
    broken = chunk(error={"message": "out of memory"}, choices=[])
    answer = stream(chunk({"content": "a"}), broken)
    with Stub(answer) as stub, pytest.raises(BackendError, match="out of memory"):
        backend(stub).chat(ASK, stream=print)


def test_an_error_of_the_callers_own_is_not_taken_for_the_servers():
    def broken(piece):
        raise ConnectionResetError("my own")

    answer = stream(chunk({"content": "a"}), chunk({}, "stop"))
    with Stub(answer) as stub, pytest.raises(ConnectionResetError, match="my own"):
        backend(stub).chat(ASK, stream=broken)
    assert len(stub.requests) == 1


# -- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_what_may_get_better_is_tried_again(code):
    with Stub(status(code), status(code), message("yes")) as stub:
        assert backend(stub).chat(ASK).text == "yes"
    assert len(stub.requests) == 3


def test_tries_are_counted_and_the_last_error_is_raised():
    words = "HTTP 500: the server has failed: on fire"
    answers = [status(500, {"error": {"message": "on fire"}})] * 9
    with Stub(*answers) as stub, pytest.raises(BackendError, match=words) as caught:
        backend(stub).chat(ASK)
    assert caught.value.retryable and len(stub.requests) == 3


@pytest.mark.parametrize(
    ("code", "body", "words"),
    [
        (400, {"error": {"message": "too many tokens", "code": "context"}}, r"tokens \(context\)"),
        (400, {"detail": "no"}, "no"),
        (400, {"error": "plain words"}, "plain words"),
        (400, b"<html>", "HTTP 400: the request was refused$"),
        (401, {}, "the key is missing or wrong"),
        (404, {}, "no such model .'m'. or no such address"),
        (413, {}, "too large"),
        (429, {"error": {"message": "m", "code": "insufficient_quota"}}, "quota"),
        (501, {}, "failed"),
    ],
)
def test_what_cannot_get_better_is_not_tried_again(code, body, words):
    with Stub(status(code, body)) as stub, pytest.raises(BackendError, match=words) as caught:
        backend(stub).chat(ASK)
    assert not caught.value.retryable and len(stub.requests) == 1


def test_a_redirect_is_not_followed():
    with Stub() as other, Stub(status(307, Location=other.url)) as stub:
        made = backend(stub, api_key=KEY)
        with pytest.raises(BackendError, match="has moved to"):
            made.chat(ASK)
    assert other.requests == []


def test_retry_after_is_heeded():
    with Stub(status(429, Retry_After="0.4"), message("yes")) as stub:
        begin = time.monotonic()
        assert backend(stub).chat(ASK).text == "yes"
    assert time.monotonic() - begin >= 0.4


@pytest.mark.parametrize("value", ["60", "date"])
def test_a_wait_beyond_the_total_is_not_begun(value):
    if value == "date":
        value = email.utils.formatdate(time.time() + 60, usegmt=True)
    with Stub(status(429, Retry_After=value)) as stub:
        begin = time.monotonic()
        with pytest.raises(BackendError, match="busy") as caught:
            backend(stub).chat(ASK)
    assert time.monotonic() - begin < 5
    assert caught.value.retryable and 50 < caught.value.retry_after <= 60


@pytest.mark.parametrize("value", ["soon", "nan", "inf", "-5", ""])
def test_a_senseless_retry_after_does_no_harm(value):
    with Stub(status(503, Retry_After=value), message("yes")) as stub:
        assert backend(stub).chat(ASK).text == "yes"


def test_silence_is_bounded_and_tried_again():
    with Stub(silence(3), message("yes")) as stub:
        assert backend(stub, timeout=0.2).chat(ASK).text == "yes"
    with Stub(*[silence(3)] * 3) as stub:
        begin = time.monotonic()
        with pytest.raises(BackendError, match="was silent for 0.2 s") as caught:
            backend(stub, timeout=0.2).chat(ASK)
    assert caught.value.retryable and time.monotonic() - begin < 3


@pytest.mark.parametrize("part", ["head", "body", "stream"])
def test_a_server_that_drips_cannot_hold_us(part):
    """It is never silent for long: only the limit on the whole ends it."""
    if part == "head":
        answer = drip(head() + b" " * 10_000, 0.05)
    elif part == "body":
        answer = drip(head(Content_Length=10_000) + b" " * 10_000, 0.02)
    else:
        answer = stream(*[b": alive\n\n"] * 10_000, gap=0.05)
    with Stub(answer) as stub:
        begin = time.monotonic()
        with pytest.raises(BackendError, match="not done in the time given"):
            backend(stub, timeout=0.5, total=1.0).chat(ASK, stream=print)
    assert time.monotonic() - begin < 4


def test_nobody_listens():
    # The port is held, and nothing listens on it: a port let go may be somebody else's by now.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        with pytest.raises(BackendError, match="nothing listens at 127.0.0.1:.*is it running"):
            OpenAICompatBackend("m", url, retries=1, first_wait=0.01).chat(ASK)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (status(200, b"<html>hello"), "does not answer in JSON: '<html>hello'"),
        (status(200, b"[" * 300_000), "does not answer in JSON"),
        (status(200, {"choices": []}), "no chat completion"),
        (status(200, [1]), "no chat completion"),
        (status(200, {"choices": [{"message": {"content": 3}}]}), "no chat completion"),
        (message("", tool_calls=[{"id": "x"}]), "no chat completion"),
        (message("", tool_calls=[{"function": {"name": None}}]), "no chat completion"),
        (message("x", reason="content_filter"), "filter"),
        (lambda c, r: c.sendall(b"hello there\r\n\r\n"), "does not speak HTTP"),
        (stream(b"data: {nonsense\n\n"), "does not answer in JSON"),
        (stream(b"data: [1]\n\n"), "no chunk"),
        (stream(chunk({"tool_calls": [{"index": "a"}]})), "no chunk"),
        (stream(*[b"data: " + b"x" * 2**20] * 34), "larger than 32 MB"),
    ],
)
def test_answers_that_are_none(answer, words):
    with Stub(answer) as stub, pytest.raises(BackendError, match=words) as caught:
        backend(stub).chat(ASK)
    assert not caught.value.retryable and len(stub.requests) == 1


def test_a_body_that_ends_early_is_tried_again():
    def short(connection, request):
        connection.sendall(head(Content_Length=500) + b'{"choices": ')

    with Stub(short, message("yes")) as stub:
        assert backend(stub).chat(ASK).text == "yes"


def test_half_a_character_does_not_come_through():
    body = {"choices": [{"message": {"content": "X"}, "finish_reason": "stop"}]}
    text = json.dumps(body).replace("X", r"a\ud83d").encode()
    with Stub(status(200, text)) as stub:
        assert backend(stub).chat(ASK).text == "a\ufffd"
    assert "half of a surrogate" in ToolCall.from_json("", "f", r'{"a": "\ud83d"}').error
    assert ToolCall.from_json("", "f", r'{"a": "\ud83d\ude00"}').arguments == {"a": "😀"}


def test_no_test_can_reach_beyond_this_machine():
    with pytest.raises(AssertionError, match="must not need the network"):
        OpenAICompatBackend("m", "http://192.0.2.1:9/v1", "").chat(ASK)
