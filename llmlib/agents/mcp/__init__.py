"""The Model Context Protocol: tools that live in another program, spoken to over JSON-RPC 2.0.

    with McpClient(Stdio([sys.executable, "desk_server.py"])) as client:
        registry = ToolRegistry(as_tools(client))

`client` and `transports` are a client written by hand, `server` a server, each of the standard
library only; `sdk` is the same client and server from the `mcp` package, which is imported there
and nowhere else. MCP carries tools (and prompts, resources …) between programs. It is not an agent:
which tool to call, and whether to believe its answer, is decided elsewhere. What a server says of
its tools, and what they return, is text from outside, as untrusted as a web page.
"""

from .client import McpClient, McpResult, McpTool, as_tools
from .server import McpServer
from .transports import Http, McpError, Memory, Stdio

__all__ = [
    "Http",
    "McpClient",
    "McpError",
    "McpResult",
    "McpServer",
    "McpTool",
    "Memory",
    "Stdio",
    "as_tools",
]
