"""Models an agent can talk to, all with one method `chat`: see `base.ChatBackend`."""

from .base import BackendError, ChatBackend, Reply, ToolCall
from .openai_compat import OpenAICompatBackend
from .scripted import Faults, ScriptedBackend

__all__ = [
    "BackendError",
    "ChatBackend",
    "Faults",
    "LocalBackend",
    "OpenAICompatBackend",
    "Reply",
    "ScriptedBackend",
    "ToolCall",
]


def __getattr__(name: str):
    """Import LocalBackend when it is asked for: an agent on another model needs no torch."""
    if name == "LocalBackend":
        from .local import LocalBackend

        return LocalBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
