"""From text to batches: corpora, tokenized shards, packing, and an order that can be resumed."""

from llmlib.data.batches import Batch, TokenBatches
from llmlib.data.chat import ChatBatches, ChatData
from llmlib.data.corpus import load_corpus
from llmlib.data.packing import Segment, pack_documents
from llmlib.data.tokens import (
    DataError,
    TokenData,
    end_of_text_id,
    load_shards,
    tokenize_to_shards,
)

__all__ = [
    "Batch",
    "ChatBatches",
    "ChatData",
    "DataError",
    "Segment",
    "TokenBatches",
    "TokenData",
    "end_of_text_id",
    "load_corpus",
    "load_shards",
    "pack_documents",
    "tokenize_to_shards",
]
