"""Tokenizers written from scratch: byte-level BPE, WordPiece, Unigram, and the chat template."""

import os

from . import files
from .base import Tokenizer
from .bpe import BPE, count_pieces, merge_steps
from .bpe_trainer import MergeStep
from .chat import encode_chat, render
from .patterns import GPT2_PATTERN, GPT4_PATTERN, SPECIAL_TOKENS, WORLD_PATTERN
from .unigram import Unigram
from .wordpiece import WordPiece

__all__ = [
    "BPE",
    "GPT2_PATTERN",
    "GPT4_PATTERN",
    "SPECIAL_TOKENS",
    "WORLD_PATTERN",
    "MergeStep",
    "Tokenizer",
    "Unigram",
    "WordPiece",
    "count_pieces",
    "encode_chat",
    "load",
    "merge_steps",
    "render",
]


def load(path: str | os.PathLike) -> Tokenizer:
    """Read a Hugging Face `tokenizer.json` into the class that its model asks for."""
    kind = files.read_hf(path)["model"]["type"]
    for tokenizer in (BPE, WordPiece, Unigram):
        if tokenizer.kind == kind:
            return tokenizer.load(path)
    raise ValueError(f"{path} holds a {kind} model; covered are BPE, WordPiece and Unigram")
