"""Servers to talk to, one a name: `python mcp_servers.py NAME`. All but the first two misbehave."""

import json
import os
import sys
import time
from typing import Literal

from llmlib.agents.mcp import McpServer
from llmlib.agents.tools import ToolRegistry


def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


def greet(name: str, language: Literal["en", "nb"] = "en", times: int = 1) -> str:
    """Greet somebody, in a language."""
    if name == "nobody":
        raise ValueError("there is nobody of that name")
    return " ".join([{"en": "Hello", "nb": "Hei"}[language], name, "日本 😀"] * times)


def mean(numbers: list[float]) -> float:
    """The mean of some numbers."""
    return sum(numbers) / len(numbers)


def remember(note: str) -> None:
    """Write a note down."""


TOOLS = [add, greet, mean, remember]


def mcpserver():
    """The tools as a server of the `mcp` package, with schemas that it makes itself."""
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    server = MCPServer("desk")
    for function in TOOLS:
        server.add_tool(function)

    @server.tool()
    def refuse(why: str) -> str:
        """Fails, and says why."""
        raise ToolError(why)

    return server


def answer(message: dict, **result) -> None:
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **result}), flush=True)


def session_only(message: dict) -> None:
    """A server from before `server/discover`: a session, and tools on two pages."""
    params = message.get("params", {})
    if message["method"] == "initialize":
        info = {"name": "old", "version": "0.1"}
        answer(message, result={"protocolVersion": "2025-06-18", "capabilities": {},
                                "serverInfo": info})  # fmt: skip
    elif message["method"] == "tools/list":
        assert "_meta" not in params
        number = int(params.get("cursor", 1))
        page = {"tools": [{"name": f"tool.{number}", "inputSchema": {"type": "object"}}]}
        answer(message, result=page | ({"nextCursor": "2"} if number == 1 else {}))
    elif message["method"] == "tools/call":
        # asks something itself, notifies, and answers somebody else's request before this one
        print(json.dumps({"jsonrpc": "2.0", "id": "s1", "method": "roots/list"}), flush=True)
        print(json.dumps({"jsonrpc": "2.0", "method": "notifications/progress"}), flush=True)
        print(json.dumps({"jsonrpc": "2.0", "id": 9999, "result": {"content": []}}), flush=True)
        told = json.loads(sys.stdin.readline())
        assert told == {"jsonrpc": "2.0", "id": "s1",
                        "error": {"code": -32601, "message": "Method not found"}}  # fmt: skip
        secret = os.environ.get("MY_SECRET", "no secret")
        blocks = [{"type": "text", "text": secret}, {"type": "image", "data": "", "mimeType": "x"}]
        answer(message, result={"content": blocks})
    elif "id" in message:
        answer(message, error={"code": -32601, "message": "Method not found"})


def misbehave(name: str, message: dict) -> None:
    """Answers the first request well, and the second in its own way."""
    if message["method"] == "server/discover":
        answer(message, result={"supportedVersions": ["2026-07-28"]})
    elif name == "dies":
        print("Traceback: the disk is full", file=sys.stderr, flush=True)
        os._exit(3)
    elif name == "dies_half_way":
        print('{"jsonrpc": "2.0", "id": 2, "result": {"con', end="", flush=True)
        os._exit(0)
    elif name == "hangs":
        time.sleep(60)
    elif name == "prints":
        print("starting the tool…", flush=True)
    elif name == "chatters":
        while True:
            print(json.dumps({"jsonrpc": "2.0", "method": "notifications/progress"}), flush=True)
    elif name == "floods":
        while True:
            print("x" * 100_000, end="", flush=True)
    elif name == "nests":
        print("[" * 200_000, flush=True)
    elif name == "no_result":
        answer(message)
    elif name == "no_schema":
        answer(message, result={"tools": [{"name": "x"}]})
    elif name == "endless_pages":
        answer(message, result={"tools": [], "nextCursor": "more"})
    elif name == "odd_content":
        answer(message, result={"content": ["text", {"type": "text", "text": 7}], "isError": "no"})
    elif name == "refuses":
        answer(message, error={"code": -32602, "message": "wrong parameters"})


if __name__ == "__main__":
    name = sys.argv[1]
    if name == "by_hand":
        McpServer(ToolRegistry(TOOLS), "desk").serve_stdio()
    elif name == "mcp_package":
        mcpserver().run("stdio")
    elif name == "deaf":
        time.sleep(60)
    for line in sys.stdin:
        message = json.loads(line)
        session_only(message) if name == "session_only" else misbehave(name, message)
