"""An MCP server by hand: a `ToolRegistry` that answers JSON-RPC messages.

    McpServer(registry, "desk").serve_stdio()

It serves tools and nothing else. For more, and over HTTP, use the `mcp` package (`sdk`).
"""

import json
import sys
from typing import Any, BinaryIO

from ..backends.base import ToolCall
from ..tools import ToolRegistry
from .client import SESSION_VERSION, VERSION

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, BAD_PARAMS = -32700, -32600, -32601, -32602


class McpServer:
    """Answers for the tools of a registry. Keeps no state between messages."""

    def __init__(self, registry: ToolRegistry, name: str = "llmlib"):
        self.registry, self.info = registry, {"name": name, "version": ""}

    def answer(self, message: Any) -> dict[str, Any] | None:
        """The answer to a message; None to a notification, and to an answer."""
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            if isinstance(message, dict) and message.keys() & {"result", "error"}:
                return None
            return _refuse(None, INVALID_REQUEST, "Invalid Request")
        if "id" not in message:
            return None
        id, method, params = message["id"], message["method"], message.get("params") or {}
        known = {
            "server/discover": self._discover,
            "initialize": self._initialize,
            "ping": lambda params: {},
            "tools/list": self._list,
            "tools/call": self._call,
        }
        if method not in known:
            return _refuse(id, NO_METHOD, "Method not found")
        if not isinstance(params, dict):
            return _refuse(id, BAD_PARAMS, "params is no object")
        try:
            return {"jsonrpc": "2.0", "id": id, "result": known[method](params)}
        except (KeyError, TypeError) as error:
            return _refuse(id, BAD_PARAMS, f"{method}: {error} is missing or wrong in params")

    def _discover(self, params: dict) -> dict[str, Any]:
        return self._complete({"supportedVersions": [VERSION], "capabilities": {"tools": {}}})

    def _initialize(self, params: dict) -> dict[str, Any]:
        return {
            "protocolVersion": SESSION_VERSION,
            "capabilities": {"tools": {}},
            "serverInfo": self.info,
        }

    def _list(self, params: dict) -> dict[str, Any]:
        tools = [
            {"name": one.name, "description": one.description, "inputSchema": one.parameters}
            for one in self.registry
        ]
        return self._complete({"tools": tools})

    def _call(self, params: dict) -> dict[str, Any]:
        arguments = params.get("arguments") or {}
        if not isinstance(params["name"], str) or not isinstance(arguments, dict):
            raise TypeError("name or arguments")
        result = self.registry.run(ToolCall("call", params["name"], arguments))
        content = [{"type": "text", "text": result.text}]
        return self._complete({"content": content, "isError": result.is_error})

    def _complete(self, result: dict[str, Any]) -> dict[str, Any]:
        """With what the revision of 2026-07-28 asks of every result; earlier clients ignore it."""
        meta = {"io.modelcontextprotocol/serverInfo": self.info}
        cache = {} if "content" in result else {"ttlMs": 0, "cacheScope": "private"}
        return {"resultType": "complete", "_meta": meta} | cache | result

    def serve_stdio(
        self, source: BinaryIO | None = None, sink: BinaryIO | None = None
    ) -> None:  # fmt: skip
        """Answer one message a line until the input ends. What tools print goes to stderr."""
        source, sink = source or sys.stdin.buffer, sink or sys.stdout.buffer
        sys.stdout = sys.stderr
        for line in source:
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                answer = _refuse(None, PARSE_ERROR, "Parse error")
            else:
                answer = self.answer(message)
            if answer is not None:
                sink.write(json.dumps(answer).encode() + b"\n")
                sink.flush()


def _refuse(id: Any, code: int, why: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": why}}
