"""The local model behind OpenAI's interface: the same replies, clear errors for bad requests."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest

from llmlib.agents import serve
from llmlib.agents.backends import (
    BackendError,
    Faults,
    LocalBackend,
    OpenAICompatBackend,
    ScriptedBackend,
)
from llmlib.agents.serve import make_server

from .scenarios import FERRY, FORMAT, HELLO, RESULT, TOOLS, WEATHER


@pytest.fixture(scope="module")
def local(tiny):
    return LocalBackend(*tiny)


@pytest.fixture(scope="module")
def server(local):
    with make_server(local, "tiny", port=0) as server:
        yield server


def send(server, body=None, *, path="/v1/chat/completions", method="POST", **headers):
    """(status, answer) of one request; body: JSON, or bytes as they are."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, data, names)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, json.loads(text)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("messages", "options"),
    [
        (HELLO, {}),
        (WEATHER, {"tools": TOOLS}),
        (RESULT, {"tools": TOOLS}),
        (FERRY, {"response_format": FORMAT}),
        (HELLO, {"max_tokens": 3}),
        (WEATHER, {"tools": TOOLS, "max_tokens": 3}),
    ],
)
def test_served_is_the_same_as_direct(server, local, messages, options, streamed, temperature):
    away = OpenAICompatBackend("tiny", server.url, "")
    options = {"max_tokens": 40, "temperature": temperature, "seed": 3} | options
    pieces, pieces_away = [], []
    direct = local.chat(messages, stream=pieces.append if streamed else None, **options)
    served = away.chat(messages, stream=pieces_away.append if streamed else None, **options)
    assert [call.error for call in served.tool_calls if call.error] == [] or direct.tool_calls[
        -1
    ].error
    if not any(call.error for call in direct.tool_calls):
        assert served == direct
    assert (served.text, served.token_ids) == (direct.text, direct.token_ids)
    assert served.usage == direct.usage and served.finish_reason == direct.finish_reason
    assert pieces == pieces_away


def test_models(server):
    status, answer = send(server, method="GET", path="/v1/models")
    assert status == 200 and [model["id"] for model in answer["data"]] == ["tiny"]
    assert send(server, method="GET", path="/v1/models/tiny")[1]["id"] == "tiny"


def test_the_form_of_an_answer(server):
    status, answer = send(server, {"messages": HELLO, "temperature": 0})
    assert status == 200 and answer["object"] == "chat.completion" and answer["model"] == "tiny"
    assert answer["choices"][0]["message"]["content"] == "Hello, Zoë! 😀 How are you?"
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_what_other_clients_send_is_understood(server):
    parts = [{"type": "text", "text": "Say hello "}, {"type": "text", "text": "to Zoë."}]
    body = {
        "model": "tiny",
        "messages": [{"role": "user", "content": parts, "name": "Ada"}],
        "temperature": 0,
        "top_p": 1.0,
        "n": 1,
        "stop": None,
        "user": "me",
        "tool_choice": "none",
        "tools": TOOLS,
        "response_format": {"type": "text"},
        "max_completion_tokens": 100,
    }
    status, answer = send(server, body)
    assert status == 200
    assert answer["choices"][0]["message"]["content"] == "Hello, Zoë! 😀 How are you?"


USER = {"role": "user", "content": "a"}
BAD = {
    "not an object": ([1], None, "the body must be a JSON object"),
    "not JSON": (b'{"messages": ', None, "the body is no JSON"),
    "not UTF-8": (b'{"a": "\xff"}', None, "the body is no JSON"),
    "too deep": (b"[" * 200_000, None, "the body is no JSON"),
    "no messages": ({}, "messages", "messages is missing"),
    "messages": ({"messages": "hi"}, "messages", "messages must be array"),
    "empty": ({"messages": []}, None, "no user speaks"),
    "role": ({"messages": [{"role": "x", "content": "a"}]}, "messages", r"messages[0].role must"),
    "content": ({"messages": [{"role": "user", "content": 3}]}, "messages", "messages[0].content"),
    "picture": (
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        "messages",
        "messages[0].content",
    ),
    "late system": (
        {"messages": [USER, {"role": "system", "content": "b"}]},
        None,
        "message 1: a system message can only be the first",
    ),
    "temperature": ({"messages": [USER], "temperature": -1}, "temperature", "at least 0"),
    "hot": ({"messages": [USER], "temperature": "hot"}, "temperature", "must be number"),
    "max_tokens": ({"messages": [USER], "max_tokens": 0}, "max_tokens", "at least 1"),
    "seed": ({"messages": [USER], "seed": 1.5}, "seed", "must be integer"),
    "n": ({"messages": [USER], "n": 2}, "n", "only 1 is supported"),
    "top_p": ({"messages": [USER], "top_p": 0.5}, "top_p", "only 1 is supported"),
    "unknown": ({"messages": [USER], "colour": 1}, "colour", "there is no such field"),
    "tools": ({"messages": [USER], "tools": [{"type": "x"}]}, "tools", "tools[0]"),
    "tool name": (
        {"messages": [USER], "tools": [{"type": "function", "function": {"name": "a b"}}]},
        "tools",
        "tools[0].function.name must match",
    ),
    "tool choice": ({"messages": [USER], "tool_choice": "required"}, "tool_choice", "one of"),
    "format": (
        {"messages": [USER], "response_format": {"type": "json_object"}},
        "response_format",
        "response_format.type must be one of 'text', 'json_schema'",
    ),
    "schema": (
        {"messages": [USER], "response_format": {"type": "json_schema"}},
        None,
        "response_format must be",
    ),
    "unsupported schema": (
        {
            "messages": [USER],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"schema": {"not": {"type": "string"}}},
            },
        },
        None,
        "not",
    ),
    "too long": (
        {"messages": [{"role": "user", "content": "tea " * 2000}]},
        None,
        "the model reads 256",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_400_and_names_the_field(server, name):
    body, field, words = BAD[name]
    status, answer = send(server, body)
    error = answer["error"]
    assert (status, error["param"], error["type"]) == (400, field, "invalid_request_error")
    assert words in error["message"]


def test_other_statuses(server):
    assert send(server, method="GET", path="/")[0] == 404
    assert "POST /v1/chat/completions" in send(server, {}, path="/chat")[1]["error"]["message"]
    assert send(server, method="GET")[0] == 405
    status, answer = send(server, {"model": "gpt-9", "messages": HELLO})
    assert status == 404 and answer["error"]["code"] == "model_not_found"
    assert "there is 'tiny'" in answer["error"]["message"]


def test_a_body_that_is_too_large_or_of_unknown_size_is_not_read(server):
    for line, status in ((b"Content-Length: 99999999", 413), (b"Transfer-Encoding: chunked", 411)):
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as raw:
            raw.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n" + line + b"\r\n\r\n"
            )
            assert raw.recv(100).split()[1] == str(status).encode()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:8000"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_browser_cannot_be_sent_here_by_another_page(server, headers):
    assert send(server, {"messages": HELLO}, **headers)[0] == 403
    assert send(server, method="GET", path="/v1/models", **headers)[0] == 403
    assert send(server, {"messages": HELLO}, Origin="http://localhost:8888")[0] == 200


def test_usage_is_streamed_only_where_it_is_wanted(server):
    body = {"messages": HELLO, "stream": True, "temperature": 0}
    for options, there in ({}, False), ({"stream_options": {"include_usage": True}}, True):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        connection.request("POST", "/v1/chat/completions", json.dumps(body | options))
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        assert response.getheader("Content-Type") == "text/event-stream"
        assert text.endswith("data: [DONE]\n\n") and ('"usage"' in text) == there


def test_one_connection_serves_many_requests(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    for stream in (False, True, False):
        body = {"messages": HELLO, "stream": stream, "max_tokens": 3}
        connection.request("POST", "/v1/chat/completions", json.dumps(body))
        assert connection.getresponse().read()
    connection.close()


def test_many_at_once(server, local):
    expected = local.chat(HELLO)
    replies: list = []

    def ask():
        replies.append(OpenAICompatBackend("tiny", server.url, "").chat(HELLO))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == [expected] * 6


def test_a_client_that_goes_in_mid_stream_leaves_the_server_well(server):
    body = json.dumps({"messages": HELLO, "stream": True, "temperature": 2, "max_tokens": 200})
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as raw:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
        )
        raw.sendall(f"{head}\r\n\r\n{body}".encode())
        raw.recv(10)
    assert send(server, {"messages": HELLO})[0] == 200


class Breaks:
    """A backend with a fault of its own, before or after the first piece."""

    def __init__(self, error, after=""):
        self.error, self.after = error, after

    def chat(self, messages, *, stream=None, **options):
        if self.after and stream:
            stream(self.after)
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (BackendError("busy", retryable=True), 503, "busy"),
        (BackendError("no"), 400, "no"),
        (ZeroDivisionError("secret"), 500, "the server has failed"),
    ],
)
def test_errors_of_the_backend(error, status, words, capfd):
    with make_server(Breaks(error), port=0) as server:
        got, answer = send(server, {"messages": HELLO})
        assert (got, words in answer["error"]["message"]) == (status, True)
        assert "secret" not in str(answer)
        assert send(server, {"messages": HELLO, "stream": True})[0] == status
    with make_server(Breaks(error, "It is"), port=0) as server:
        away = OpenAICompatBackend("local", server.url, "", retries=0)
        with pytest.raises(BackendError, match=words):
            away.chat(HELLO, stream=print)
    assert ("ZeroDivisionError: secret" in capfd.readouterr().err) == (status == 500)


def test_a_scripted_model_can_be_served_and_its_failures_are_tried_again():
    backend = ScriptedBackend(lambda messages, tools: "yes", faults=Faults(fail=0.5))
    with make_server(backend, port=0) as server:
        away = OpenAICompatBackend("local", server.url, "", first_wait=0.01, retries=20)
        assert [away.chat(HELLO).text for _ in range(5)] == ["yes"] * 5
    assert len(backend.requests) > 5


def test_a_model_that_is_not_there_and_a_port_that_is_taken(capsys, server, monkeypatch, local):
    assert serve.main(["--model", "XL"]) == 2
    assert "error: there are the shipped models" in capsys.readouterr().err
    monkeypatch.setattr(serve, "load_model", lambda name: (local.model, local.tokenizer))
    assert serve.main(["--port", str(server.server_port)]) == 2
    assert "in use" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_serves_until_it_is_interrupted():
    command = [sys.executable, "-m", "llmlib.agents.serve", "--model", "S", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        line = run.stdout.readline()
        url = line.split(" at ")[1].split()[0]
        assert urlsplit(url).hostname == "127.0.0.1"
        assert OpenAICompatBackend("S", url, "").chat(HELLO, max_tokens=3).token_ids
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=20)
    assert (run.returncode, out.strip(), err) == (0, "stopped", "")
