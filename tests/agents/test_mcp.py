"""MCP: the client by hand equals the package's client, on both servers, over every transport."""

import http.server
import json
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from llmlib.agents.backends.base import ToolCall
from llmlib.agents.mcp import (
    Http,
    McpClient,
    McpError,
    McpResult,
    McpServer,
    Memory,
    Stdio,
    as_tools,
)
from llmlib.agents.tools import ToolRegistry

from . import mcp_servers

pytest.importorskip("mcp")
from llmlib.agents.mcp.sdk import SdkClient, sdk_server, serve_http

SCRIPT = str(Path(__file__).with_name("mcp_servers.py"))


def command(name: str) -> list[str]:
    return [sys.executable, SCRIPT, name]


@pytest.fixture(autouse=True)
def quiet():
    """The package logs each failing tool with its whole traceback."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


CALLS = [
    ("add", {"a": 2, "b": 3}),
    ("greet", {"name": 'Ada "日本" \\ \n'}),
    ("greet", {"name": "Ada", "language": "nb", "times": 2}),
    ("greet", {"name": "nobody"}),  # raises
    ("greet", {"name": "Ada", "language": "de"}),  # not in the schema
    ("mean", {"numbers": [1, 2.5]}),
    ("mean", {"numbers": []}),  # divides by zero
    ("mean", {"numbers": "7"}),
    ("remember", {"note": "x" * 100_000}),
    ("add", {"a": 2}),
    ("add", {"a": "two", "b": 3}),
    ("no_such_tool", {}),
    ("refuse", {"why": "not on Sundays"}),
]


def transcript(client) -> list:
    """Everything that a client sees of a server."""
    with client:
        seen = [client.server, client.version, client.list_tools()]
        return seen + [client.call_tool(name, arguments) for name, arguments in CALLS]


@pytest.fixture(scope="module")
def transcripts():
    """By hand and by package, of two servers, in memory, over a pipe and over HTTP."""
    logging.disable(logging.ERROR)
    package, registry = mcp_servers.mcpserver(), ToolRegistry(mcp_servers.TOOLS)
    found = {
        ("package", "stdio", "hand"): transcript(McpClient(Stdio(command("mcp_package")))),
        ("package", "stdio", "sdk"): transcript(SdkClient(command("mcp_package"))),
        ("package", "memory", "sdk"): transcript(SdkClient(package)),
        ("hand", "stdio", "hand"): transcript(McpClient(Stdio(command("by_hand")))),
        ("hand", "stdio", "sdk"): transcript(SdkClient(command("by_hand"))),
        ("hand", "memory", "hand"): transcript(McpClient(Memory(McpServer(registry, "desk")))),
        ("hand", "memory", "sdk"): transcript(SdkClient(sdk_server(registry, "desk"))),
    }
    with serve_http(package) as url:
        found["package", "http", "hand"] = transcript(McpClient(Http(url)))
        found["package", "http", "sdk"] = transcript(SdkClient(url))
    with serve_http(sdk_server(registry, "desk")) as url:
        found["hand", "http", "hand"] = transcript(McpClient(Http(url)))
        found["hand", "http", "sdk"] = transcript(SdkClient(url))
    logging.disable(logging.NOTSET)
    return found


@pytest.mark.parametrize("server", ["package", "hand"])
def test_both_clients_see_the_same_over_every_transport(transcripts, server):
    seen = {key: value for key, value in transcripts.items() if key[0] == server}
    assert len(seen) >= 5
    first = seen[server, "stdio", "hand"]
    for key, value in seen.items():
        assert value == first, key
    assert first[0]["name"] == "desk" and first[1] == "2026-07-28"


def test_what_is_seen_is_right(transcripts):
    for server in ("package", "hand"):
        results = transcripts[server, "stdio", "hand"][3:]
        texts = [result.text for result in results]
        assert texts[0] == "5" and texts[1] == 'Hello Ada "日本" \\ \n 日本 😀'
        assert texts[2].startswith("Hei Ada") and texts[5] == "1.75"
        assert [r.is_error for r in results] == [
            False, False, False, True, True, False, True, True, False, True, True, True, True,
        ]  # fmt: skip
    assert "not on Sundays" in transcripts["package", "stdio", "hand"][-1].text
    assert "nobody of that name" not in transcripts["package", "stdio", "hand"][6].text
    assert "nobody of that name" in transcripts["hand", "stdio", "hand"][6].text


def test_schemas_from_type_hints_are_those_of_the_package(transcripts):
    """But for titles, which the package adds, and closedness, which it leaves out."""

    def plain(schema):
        if isinstance(schema, dict):
            return {key: plain(value) for key, value in schema.items()
                    if key not in ("title", "additionalProperties")}  # fmt: skip
        return schema

    ours, theirs = (transcripts[server, "memory", "sdk"][2] for server in ("hand", "package"))
    for one, other in zip(ours, theirs[:4], strict=True):
        assert (one.name, one.description) == (other.name, other.description)
        assert plain(one.parameters) == plain(other.parameters)


@pytest.mark.parametrize("make", [lambda: McpClient(Stdio(command("mcp_package"))),
                                  lambda: SdkClient(mcp_servers.mcpserver())])  # fmt: skip
def test_tools_for_a_registry(make):
    with make() as client:
        registry = ToolRegistry(as_tools(client, prefix="desk.", read_only={"add"}))
        run = lambda name, **arguments: registry.run(ToolCall("c", name, arguments))  # noqa: E731
        assert run("desk_add", a=2, b=3).text == "5"
        assert run("desk_add", a=2).text.startswith("error: desk_add: b is missing")
        refused = run("desk_refuse", why="not on Sundays")
        assert refused.is_error and "not on Sundays" in refused.text
        assert [tool.writes for tool in registry] == [False, True, True, True, True]


def test_a_server_with_sessions_pages_and_questions():
    """Falls back to `initialize`; passes over what is not the answer; secrets stay at home."""
    with McpClient(Stdio(command("session_only"))) as client:
        assert (client.version, client.server["name"]) == ("2025-06-18", "old")
        assert [tool.name for tool in client.list_tools()] == ["tool.1", "tool.2"]
        assert client.call_tool("tool.1", {}) == McpResult("no secret\n[image content]")


def test_a_servers_environment_is_scrubbed(monkeypatch):
    monkeypatch.setenv("MY_SECRET", "sesame")
    with McpClient(Stdio(command("session_only"))) as client:
        assert client.call_tool("tool.1", {}).text.startswith("no secret")
    with McpClient(Stdio(command("session_only"), env={"MY_SECRET": "given"})) as client:
        assert client.call_tool("tool.1", {}).text.startswith("given")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("dies", "tools/call add: the server ended with exit code 3; it said: .*disk is full"),
        ("dies_half_way", "tools/call add: the server wrote what is no message"),
        ("hangs", "tools/call add: the server gave no answer within 2 s"),
        ("prints", "wrote what is no message: 'starting the tool…'"),
        ("chatters", "gave no answer within 2 s"),
        ("floods", "wrote what is no message|no answer within"),
        ("nests", "wrote what is no message"),
        ("no_result", "has no result"),
        ("refuses", "tools/call: wrong parameters"),
    ],
)
def test_a_server_that_fails_in_mid_call(name, why):
    start = time.monotonic()
    with McpClient(Stdio(command(name), timeout=30)) as client:
        client.transport.timeout = 2
        with pytest.raises(McpError, match=why) as caught:
            client.call_tool("add", {"a": 2, "b": 3})
        assert caught.value.code == (-32602 if name == "refuses" else None)
        if name.startswith("dies"):  # and it stays dead
            with pytest.raises(McpError, match="ended with exit code"):
                client.list_tools()
    assert time.monotonic() - start < 25
    assert client.transport.process.poll() is not None


@pytest.mark.parametrize(
    ("name", "why"), [("no_schema", "inputSchema"), ("endless_pages", "pages")]
)
def test_a_list_of_tools_that_makes_no_sense(name, why):
    with McpClient(Stdio(command(name))) as client, pytest.raises(McpError, match=why):
        client.list_tools()


def test_odd_content_becomes_text():
    with McpClient(Stdio(command("odd_content"))) as client:
        assert client.call_tool("add", {}).text == "[unknown content]\n[text content]"


def test_a_failing_server_is_a_failing_tool():
    with McpClient(Stdio(command("by_hand"))) as client:
        registry = ToolRegistry(as_tools(client))
        client.transport.process.kill()
        result = registry.run(ToolCall("c", "add", {"a": 2, "b": 3}))
        assert result.is_error and "ended with exit code -9" in result.text


def test_a_server_that_does_not_start():
    with pytest.raises(McpError, match="cannot start no-such-program"):
        Stdio(["no-such-program"])
    with pytest.raises(McpError, match="ended with exit code 1; it said: .*SystemExit|exit code 1"):
        McpClient(Stdio([sys.executable, "-c", "raise SystemExit('wrong key')"]))
    start = time.monotonic()
    with pytest.raises(McpError, match="server/discover: the server gave no answer within 0.5 s"):
        McpClient(Stdio(command("deaf"), timeout=0.5))
    assert time.monotonic() - start < 10


def test_a_server_that_does_not_read():
    """More than a pipe holds, to a server that is deaf: bounded, and it can be closed."""
    transport = Stdio([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.5)
    message = {"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"text": "x" * 1_000_000}}
    with pytest.raises(McpError, match="does not read"):
        transport.request(message, "2026-07-28")
    transport.close()
    assert transport.process.poll() is not None


class Trouble(http.server.BaseHTTPRequestHandler):
    """An HTTP server whose way to fail is its path."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/500":
            return self.reply(500, "text/plain", b"out of order")
        if self.path == "/cut":
            return self.reply(200, "application/json", b'{"jsonrpc": "2.0", "id"')
        if self.path == "/hang":
            time.sleep(3)
        if self.path == "/drip":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for _ in range(30):
                self.wfile.write(b": still working\n\n")
                self.wfile.flush()
                time.sleep(0.1)
        if self.path == "/session" and request["method"] == "server/discover":
            return self.reply(404, "text/html", b"not found")
        if self.path == "/session":
            assert request["method"] == "initialize" or self.headers["Mcp-Session-Id"] == "s7"
            result = {"protocolVersion": "2025-11-25", "serverInfo": {}, "tools": []}
            event = {"jsonrpc": "2.0", "id": request.get("id"), "result": result}
            data = f"event: message\ndata: {json.dumps(event)}\n\n".encode()
            return self.reply(200, "text/event-stream", data)

    def reply(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Mcp-Session-Id", "s7")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def trouble():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trouble) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "why"),
    [("/500", "HTTP 500"), ("/cut", "no message"), ("/hang", "within 1 s|did not answer|timed out"),
     ("/drip", "within 1 s")],
)  # fmt: skip
def test_http_that_fails(trouble, path, why):
    start = time.monotonic()
    with pytest.raises(McpError, match=why):
        McpClient(Http(trouble + path, timeout=1))
    assert time.monotonic() - start < 5


def test_nobody_listens():
    with pytest.raises(McpError, match="did not answer at http://127.0.0.1:1/mcp"):
        McpClient(Http("http://127.0.0.1:1/mcp", timeout=5))
    with pytest.raises(McpError):
        SdkClient("http://127.0.0.1:1/mcp", timeout=5)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("text", -32600), ([], -32600), ({"id": 1}, -32600), ({"id": 1, "method": 7}, -32600),
        ({"id": 1, "method": "resources/list"}, -32601),
        ({"id": 1, "method": "tools/call", "params": {}}, -32602),
        ({"id": 1, "method": "tools/call", "params": {"name": 7}}, -32602),
        ({"id": 1, "method": "tools/call", "params": {"name": "add", "arguments": [1]}}, -32602),
        ({"id": 1, "method": "tools/call", "params": [1]}, -32602),
    ],
)  # fmt: skip
def test_requests_that_make_no_sense(message, code):
    answer = McpServer(ToolRegistry(mcp_servers.TOOLS)).answer(message)
    assert answer["error"]["code"] == code and answer["jsonrpc"] == "2.0"


def test_notifications_and_answers_get_no_answer():
    server = McpServer(ToolRegistry(mcp_servers.TOOLS))
    assert server.answer({"jsonrpc": "2.0", "method": "notifications/initialized"}) is None
    assert server.answer({"jsonrpc": "2.0", "id": 1, "result": {}}) is None


def test_a_line_that_is_no_json_is_refused_and_the_server_goes_on():
    transport = Stdio(command("by_hand"))
    transport.process.stdin.write(b"{nonsense\n")
    answer = transport.request({"jsonrpc": "2.0", "id": 5, "method": "ping"}, "2026-07-28")
    assert answer["result"] == {}
    transport.close()


def test_without_the_package_there_is_a_clear_message():
    code = "import sys; sys.modules['mcp'] = None; import llmlib.agents.mcp, llmlib.agents.mcp.sdk"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'pip install "mcp>=2.3,<3"' in done.stderr and done.returncode == 1
