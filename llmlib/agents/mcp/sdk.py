"""The same client and server from the `mcp` package (the protocol's own SDK for Python, 2.x).

The package is asynchronous; `SdkClient` runs it in a thread and looks like `McpClient`, so that the
two can be compared, and exchanged.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ..backends.base import ToolCall
from ..tools import ToolRegistry
from .client import McpResult, McpTool, read_result
from .transports import McpError

try:
    import mcp
    import mcp_types as types
    from anyio.from_thread import start_blocking_portal
    from mcp.server import Server
except ImportError as error:  # the rest of llmlib.agents.mcp works without it
    raise ImportError(
        'this needs the package mcp, version 2.3 or later: pip install "mcp>=2.3,<3"'
    ) from error


class SdkClient:
    """`mcp.Client` with the methods of `McpClient`, and McpError for what it raises.

    target: a server object (`mcp.server.MCPServer` or `Server`), a command to start one with, or
        the http address of one. timeout: seconds for an answer.
    """

    def __init__(self, target: Any, *, timeout: float = 30.0):
        if isinstance(target, Sequence) and not isinstance(target, str):
            target = mcp.StdioServerParameters(command=target[0], args=list(target[1:]))
        self.timeout, self._stack = timeout, contextlib.ExitStack()
        try:
            self._portal = self._stack.enter_context(start_blocking_portal())
            client = mcp.Client(target, read_timeout_seconds=timeout)
            self._client = self._stack.enter_context(
                self._portal.wrap_async_context_manager(client)
            )
        except Exception as error:
            self._stack.close()
            raise _as_mcp_error(error) from error
        info = self._client.server_info
        self.server = {"name": info.name, "version": info.version}
        self.version = self._client.protocol_version

    def list_tools(self) -> list[McpTool]:
        """All tools of the server, page after page."""
        tools, cursor = [], None
        while True:
            page = self._run(self._client.list_tools, cursor=cursor)
            tools += [McpTool(t.name, t.description or "", t.input_schema) for t in page.tools]
            cursor = page.next_cursor
            if not cursor:
                return tools

    def call_tool(self, name: str, arguments: dict[str, Any]) -> McpResult:
        """Call a tool. One that fails is a result with `is_error`, not an exception."""
        result = self._run(self._client.call_tool, name, arguments)
        return read_result(result.model_dump(by_alias=True, mode="json"))

    def _run(self, call, *args, **options):
        try:
            return self._portal.call(functools.partial(call, *args, **options))
        except Exception as error:
            raise _as_mcp_error(error) from error

    def close(self) -> None:
        """End the connection, and the server if this started it."""
        with contextlib.suppress(Exception):
            self._stack.close()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()


def sdk_server(registry: ToolRegistry, name: str = "llmlib") -> Server:
    """A server of the `mcp` package with a registry's tools, their schemas as they are.

    `mcp.server.MCPServer` would read schemas off functions itself, with its `@server.tool()`.
    """

    async def list_tools(context, params) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(name=t.name, description=t.description, input_schema=t.parameters)
                for t in registry
            ]
        )

    async def call_tool(context, params) -> types.CallToolResult:
        result = registry.run(ToolCall("call", params.name, params.arguments or {}))
        content = [types.TextContent(type="text", text=result.text)]
        return types.CallToolResult(content=content, is_error=result.is_error)

    return Server(name, on_list_tools=list_tools, on_call_tool=call_tool)


@contextlib.contextmanager
def serve_http(server, *, path: str = "/mcp") -> Iterator[str]:
    """Serve a server of the `mcp` package over streamable HTTP on this machine; gives its address.

    A free port of 127.0.0.1, for as long as the `with` block runs.
    """
    import uvicorn

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    app = server.streamable_http_app(streamable_http_path=path)
    runner = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not runner.started:
        if not thread.is_alive() or time.monotonic() > until:
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}{path}"
    finally:
        runner.should_exit = True
        thread.join(10)
        listening.close()


def _as_mcp_error(error: BaseException) -> McpError:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, mcp.MCPError):
        return McpError(str(error), error.error.code)
    return McpError(f"{type(error).__name__}: {error}")
