"""Checkpoints: saved whole or not at all, refused when in doubt; and shipped models."""

from llmlib.checkpoint.card import instruct_card, model_card
from llmlib.checkpoint.file import (
    Checkpoint,
    CheckpointError,
    load,
    load_weights,
    read,
    save,
    unwrap,
)
from llmlib.checkpoint.hf import from_hf, local_folder, to_hf
from llmlib.checkpoint.shipped import load_shipped, load_shipped_tokenizer, world_fingerprint

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "from_hf",
    "instruct_card",
    "load",
    "load_shipped",
    "load_shipped_tokenizer",
    "load_weights",
    "local_folder",
    "model_card",
    "read",
    "save",
    "to_hf",
    "unwrap",
    "world_fingerprint",
]
