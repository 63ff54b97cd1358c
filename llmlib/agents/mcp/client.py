"""An MCP client by hand: three requests, `server/discover`, `tools/list`, `tools/call`.

A request is one JSON object with an id, its answer another one with the same id, and either a
`result` or an `error`:

    {"jsonrpc": "2.0", "id": 3, "method": "tools/call",
     "params": {"name": "add", "arguments": {"a": 2, "b": 3}, "_meta": {…}}}
    {"jsonrpc": "2.0", "id": 3,
     "result": {"content": [{"type": "text", "text": "5"}], "isError": false}}

An `error` means that the request itself failed (no such method, wrong parameters). A tool that
failed is a result, with `isError`: that is for the model to read.

Since the revision of 2026-07-28 every request says in `_meta` which revision it speaks, and there
is no session. Servers of before that do not know `server/discover`; with them the client opens a
session with `initialize`, and leaves `_meta` out.
https://modelcontextprotocol.io/specification/2026-07-28
"""

import itertools
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ..tools import Tool
from .transports import McpError

VERSION, SESSION_VERSION = "2026-07-28", "2025-11-25"
CLIENT = {"name": "llmlib", "version": "1"}
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}
MAX_PAGES = 100


@dataclass(frozen=True)
class McpTool:
    """A tool as its server describes it; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class McpResult:
    """What a tool returned: its text, whether that is an error, and the value as JSON if given."""

    text: str
    is_error: bool = False
    structured: dict[str, Any] | None = None


class McpClient:
    """A client of one server, behind a transport (`Stdio`, `Http`, `Memory`). Closes with `with`.

    Everything may raise McpError, and within the transport's timeout does so rather than wait.
    `server` is what the server calls itself, `version` the protocol's revision that both speak.
    """

    def __init__(self, transport):
        self.transport, self._ids, self.version = transport, itertools.count(1), VERSION
        try:
            self.server = self._connect()
        except BaseException:
            transport.close()
            raise

    def _connect(self) -> dict[str, Any]:
        try:
            found = self.request("server/discover")
            if VERSION in found.get("supportedVersions", ()):
                return found.get("_meta", {}).get("io.modelcontextprotocol/serverInfo", {})
        except McpError as error:
            if error.code is None:  # not an answer: the server is gone
                raise
        self.version = SESSION_VERSION
        hello = {"protocolVersion": SESSION_VERSION, "capabilities": {}, "clientInfo": CLIENT}
        found = self.request("initialize", hello)
        self.version = found.get("protocolVersion", SESSION_VERSION)
        self.transport.notify(
            {"jsonrpc": "2.0", "method": "notifications/initialized"}, self.version
        )
        return found.get("serverInfo", {})

    def request(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request, wait for its answer, return the result."""
        meta = {"_meta": META} if self.version == VERSION else {}
        message = {"jsonrpc": "2.0", "id": next(self._ids), "method": method}
        answer = self.transport.request(message | {"params": (params or {}) | meta}, self.version)
        if isinstance(error := answer.get("error"), dict):
            raise McpError(f"{method}: {error.get('message')}", error.get("code"))
        if not isinstance(answer.get("result"), dict):
            raise McpError(f"{method}: the server's answer has no result: {str(answer)[:200]}")
        return answer["result"]

    def list_tools(self) -> list[McpTool]:
        """All tools of the server, page after page."""
        tools, cursor = [], None
        for _ in range(MAX_PAGES):
            page = self.request("tools/list", {"cursor": cursor} if cursor else {})
            try:
                tools += [
                    McpTool(one["name"], one.get("description") or "", one["inputSchema"])
                    for one in page["tools"]
                ]
            except (KeyError, TypeError) as error:
                raise McpError(f"tools/list: a tool without name or inputSchema: {error}") from None
            cursor = page.get("nextCursor")
            if not cursor:
                return tools
        raise McpError(f"tools/list has more than {MAX_PAGES} pages")

    def call_tool(self, name: str, arguments: dict[str, Any]) -> McpResult:
        """Call a tool. One that fails is a result with `is_error`, not an exception."""
        result = self.request("tools/call", {"name": name, "arguments": arguments})
        return read_result(result)

    def close(self) -> None:
        """End the connection, and the server if the transport started it."""
        self.transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()


def read_result(result: dict[str, Any]) -> McpResult:
    """A `tools/call` result as text: text blocks one a line, others by their kind."""
    if not isinstance(blocks := result.get("content", []), list):
        raise McpError(f"tools/call: content is no list: {str(result)[:200]}")
    texts = []
    for block in blocks:
        kind = block.get("type") if isinstance(block, dict) else None
        text = block.get("text") if kind == "text" else None
        texts.append(text if isinstance(text, str) else f"[{kind or 'unknown'} content]")
    return McpResult(
        "\n".join(texts), result.get("isError") is True, result.get("structuredContent")
    )


def as_tools(client, *, prefix: str = "", read_only: Collection[str] = ()) -> list[Tool]:
    """The server's tools for a `ToolRegistry`; a result with `is_error` raises McpError there.

    client: `McpClient` or `sdk.SdkClient`. prefix: put before each name, to keep servers apart.
    read_only: names of tools that you know to change nothing. All others count as tools that
        write: what the server itself says about that is no reason to trust it.

    Characters that a tool's name cannot have here become "_".
    """

    def calling(name: str):
        def call(**arguments) -> str:
            result = client.call_tool(name, arguments)
            if result.is_error:
                raise McpError(result.text)
            return result.text

        return call

    return [
        Tool(
            re.sub(r"[^A-Za-z0-9_-]", "_", prefix + one.name)[:64],
            one.description,
            {"type": "object"} | one.parameters,
            calling(one.name),
            one.name not in read_only,
        )
        for one in client.list_tools()
    ]
