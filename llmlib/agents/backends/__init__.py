"""Models an agent can talk to, all with one method `chat`: see `base.ChatBackend`."""

from .base import BackendError, ChatBackend, Reply, ToolCall
from .scripted import Faults, ScriptedBackend

__all__ = ["BackendError", "ChatBackend", "Faults", "Reply", "ScriptedBackend", "ToolCall"]
