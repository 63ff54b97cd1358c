"""Talking to a model in a terminal: `python -m llmlib.chat --model M-instruct`."""

from .speaker import Speaker, load_speaker
from .talk import Conversation, Options, talk

__all__ = ["Conversation", "Options", "Speaker", "load_speaker", "talk"]
