"""From text to batches: corpora, tokenized shards, packing, and an order that can be resumed."""

from llmlib.data.batches import Batch, TokenBatches
from llmlib.data.chat import ChatBatches, ChatData
from llmlib.data.corpus import load_corpus
from llmlib.data.packing import Segment, pack_documents
from llmlib.data.pairs import PairBatch, collate_pairs, pair_batches
from llmlib.data.spans import corrupt_spans, merge_spans
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
    "PairBatch",
    "Segment",
    "TokenBatches",
    "TokenData",
    "collate_pairs",
    "corrupt_spans",
    "end_of_text_id",
    "load_corpus",
    "load_shards",
    "merge_spans",
    "pack_documents",
    "pair_batches",
    "tokenize_to_shards",
]
