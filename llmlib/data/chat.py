"""Conversations as training data: the whole conversation is read, the assistant's words are learnt.

Each conversation is encoded by the chat template (`llmlib.tokenizer.encode_chat`). Its mask marks
the targets that the assistant writes: text, thoughts, calls, and the ``<|end|>`` that closes each
of its turns. What users, tools and the program write is context only.
"""

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np
import torch

from llmlib.data.batches import BLOCK, Batch, TokenBatches
from llmlib.data.packing import Segment, pack_documents
from llmlib.data.tokens import DataError, end_of_text_id, id_type
from llmlib.tokenizer import encode_chat
from llmlib.tokenizer.calls import to_template


class ChatData:
    """Conversations as token ids and masks, one after the other.

    rows  dictionaries as TRL has them: ``messages`` (OpenAI's form; ``tools`` beside them if there
          are any), or ``text`` for a document of the pretraining kind, all of which is learnt: with
          some of those among the conversations a model forgets less of what it knew.

    Raises `DataError` (a ValueError) for a row that cannot be used, with its number: without a
    user's or an assistant's turn, or malformed in any way the template refuses; and for a tokenizer
    that lacks the template's tokens, ``<|end|>`` among them.
    """

    def __init__(self, rows: Iterable[Mapping], tokenizer):
        self.end_of_text = end_of_text_id(tokenizer)
        self.pad = tokenizer.special_tokens.get("<|pad|>", self.end_of_text)
        ids: list[np.ndarray] = []
        masks: list[np.ndarray] = []
        for number, row in enumerate(rows):
            try:
                new, mask = _encoded(row, tokenizer, self.end_of_text)
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"row {number}: {error}") from error
            ids.append(np.array(new, dtype=id_type(tokenizer)))
            masks.append(np.array(mask))
        if not ids:
            raise DataError("no conversations: there is nothing to train on")
        self.tokens, self.mask = np.concatenate(ids), np.concatenate(masks)
        self.offsets = np.cumsum([0, *map(len, ids)])
        digest = hashlib.sha256(self.tokens.tobytes() + self.mask.tobytes())
        self.fingerprint = hashlib.sha256(digest.digest() + self.offsets.tobytes()).hexdigest()

    def __len__(self) -> int:
        """The number of conversations."""
        return len(self.offsets) - 1

    @property
    def n_tokens(self) -> int:
        """Targets in all conversations: their tokens but the first of each."""
        return int(self.lengths().sum())

    @property
    def n_learnt(self) -> int:
        """Targets that the loss counts."""
        return sum(int(self.conversation(i)[1][1:].sum()) for i in range(len(self)))

    def lengths(self) -> np.ndarray:
        """Targets in each conversation: (conversations,) int64."""
        return np.diff(self.offsets) - 1

    def conversation(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """(ids, mask) of conversation i; mask[t] says whether ids[t] is the assistant's."""
        inside = slice(self.offsets[i], self.offsets[i + 1])
        return self.tokens[inside], self.mask[inside]


def _encoded(row: Mapping, tokenizer, end_of_text: int) -> tuple[list[int], list[bool]]:
    """(ids, mask) of one row."""
    if "messages" in row:
        ids, mask = encode_chat(tokenizer, to_template(row["messages"], row.get("tools")))
        if not any(mask):
            raise ValueError("no assistant speaks in this conversation: there is nothing to learn")
        return ids, mask
    if "text" not in row:
        raise ValueError(f"neither messages nor text among its keys ({', '.join(row)})")
    ids = [end_of_text, *tokenizer.encode(row["text"], errors="replace"), end_of_text]
    return ids, [False] + [True] * (len(ids) - 1)


class ChatBatches(TokenBatches):
    """Batches of conversations, epoch after epoch, each in a new order drawn from `seed`.

    packing=True   several conversations share a row of `seq_len` targets, kept apart by `doc_ids`
                   (each sees only itself, and begins at position 0): no token is wasted on padding.
    packing=False  one conversation a row; rows are padded to the longest of the batch.

    A conversation of more than `seq_len` targets is cut at the end. If not one of the assistant's
    tokens is left, there would be nothing to learn from it: it is dropped. `n_cut` and `n_dropped`
    count both; where all would be dropped, `DataError` says so.

    `state_dict` and `load_state_dict` are those of `TokenBatches`: the order can be resumed.
    """

    def __init__(
        self,
        data: ChatData,
        batch_size: int,
        seq_len: int,
        *,
        seed: int = 0,
        packing: bool = True,
        epochs: int | None = None,
    ):
        if batch_size < 1 or seq_len < 1:
            raise ValueError(f"batch_size and seq_len must be ≥ 1, not {batch_size} and {seq_len}")
        self.data, self.batch_size, self.seq_len = data, batch_size, seq_len
        self.seed, self.packing, self.epochs = seed, packing, epochs
        self.epoch = self.block = self.row = 0  # of the next row
        self._rows: list = []
        self._rows_of: tuple[int, int] | None = None
        lengths = data.lengths()
        learnt = [data.conversation(i)[1][1 : seq_len + 1].any() for i in range(len(data))]
        self.kept = np.flatnonzero(learnt)
        self.n_dropped = len(data) - len(self.kept)
        self.n_cut = int((lengths[self.kept] > seq_len).sum())
        if not len(self.kept):
            raise DataError(
                f"no conversation has a word of the assistant's among its first {seq_len} tokens: "
                "use a larger seq_len"
            )

    def __next__(self) -> Batch:
        return self._padded(self._next_rows())

    def _n_blocks(self) -> int:
        return -(-len(self.kept) // BLOCK)

    def _make_rows(self) -> list[list[Segment]]:
        """Rows of conversations (their numbers, and how much of each), in the order served."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.kept)
        chosen = order[self.block * BLOCK : (self.block + 1) * BLOCK]
        lengths = np.minimum(self.data.lengths()[chosen], self.seq_len).tolist()
        if not self.packing:
            return [[Segment(int(c), 0, n)] for c, n in zip(chosen, lengths, strict=True)]
        packed = pack_documents(lengths, self.seq_len)
        np.random.default_rng([self.seed, self.epoch, self.block]).shuffle(packed)
        return [[s._replace(document=int(chosen[s.document])) for s in row] for row in packed]

    def _padded(self, rows: list[list[Segment]]) -> Batch:
        """The batch: (B, T) with T = `seq_len`, or without packing the longest row's length."""
        longest = max(sum(s.n_targets for s in row) for row in rows)
        shape = len(rows), self.seq_len if self.packing else longest
        ids = np.full(shape, self.data.pad, dtype=np.int64)
        targets, mask = ids.copy(), np.zeros(shape, dtype=bool)
        doc_ids = np.full(shape, -1, dtype=np.int32)
        for b, row in enumerate(rows):
            at = 0
            for number, segment in enumerate(row):
                tokens, learnt = self.data.conversation(segment.document)
                n = segment.n_targets
                place = slice(at, at + n)
                ids[b, place], targets[b, place] = tokens[:n], tokens[1 : n + 1]
                mask[b, place], doc_ids[b, place] = learnt[1 : n + 1], number
                at += n
        return Batch(*map(torch.from_numpy, (ids, targets, mask, doc_ids)))
