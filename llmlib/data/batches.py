"""Batches in an order that depends on a seed only, and that can be taken up again anywhere.

Shapes: B rows, T targets in a row.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from llmlib.data.packing import Segment, pack_documents
from llmlib.data.tokens import TokenData

BLOCK = 16_384  # documents that are packed together: bounds memory, and the wait for the first row


@dataclass(frozen=True)
class Batch:
    """Rows for next-token prediction: targets[b, t] follows ids[b, t]."""

    ids: Tensor  # (B, T) int64: what the model reads
    targets: Tensor  # (B, T) int64: what it predicts
    mask: Tensor  # (B, T) bool: False where there is nothing to predict
    doc_ids: Tensor | None = (
        None  # (B, T) int32: tokens of one document share a number; −1: padding
    )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_targets(self) -> int:
        """Targets that count."""
        return int(self.mask.sum())

    def rows(self, start: int, stop: int) -> "Batch":
        """The rows from `start` up to `stop`."""
        return self._each(lambda t: t[start:stop])

    def to(self, device) -> "Batch":
        """The batch on `device`."""
        return self._each(lambda t: t.to(device, non_blocking=True))

    def _each(self, change) -> "Batch":
        values = (getattr(self, f.name) for f in fields(self))
        return type(self)(*(None if v is None else change(v) for v in values))


class TokenBatches:
    """Batches over `data`, epoch after epoch, each epoch in a new order drawn from `seed`.

    packing  "documents": whole documents packed into rows (`pack_documents`), kept apart by
                 `doc_ids`; padding at the end of a row is masked. No target lacks its context,
                 except in documents longer than a row, which are cut.
             "stream": rows are windows of the one long stream of all documents. Nothing is masked,
                 and a row may begin in mid-document: the usual way where texts are long.

    epochs   how often the data are gone through; None: endlessly. Only the very last batch may
             have fewer than `batch_size` rows.

    The order is a function of data, seed and arguments only. `state_dict()` is where the next batch
    begins; after `load_state_dict` the same batches follow as would have.
    """

    def __init__(
        self,
        data: TokenData,
        batch_size: int,
        seq_len: int,
        *,
        seed: int = 0,
        packing: str = "documents",
        epochs: int | None = None,
    ):
        if batch_size < 1 or seq_len < 1:
            raise ValueError(f"batch_size and seq_len must be ≥ 1, not {batch_size} and {seq_len}")
        if packing not in ("documents", "stream"):
            raise ValueError(f"packing must be 'documents' or 'stream', not {packing!r}")
        longest = max(int(offsets[-1]) for offsets in data.offsets)  # a window lies in one shard
        if packing == "stream" and longest < seq_len:
            raise ValueError(
                f"the data have {longest} tokens in a piece, fewer than one row of {seq_len}: use "
                "a smaller seq_len or more text"
            )
        self.data, self.batch_size, self.seq_len = data, batch_size, seq_len
        self.seed, self.packing, self.epochs = seed, packing, epochs
        self.epoch = self.block = self.row = 0  # of the next row
        self._rows: list = []  # the rows of the current block, in order
        self._rows_of: tuple[int, int] | None = None  # the (epoch, block) they are for

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        chosen = self._next_rows()
        return self._packed(chosen) if self.packing == "documents" else self._windows(chosen)

    def _next_rows(self) -> list:
        """The next `batch_size` rows, or what is left of the last epoch; moves on past them."""
        chosen = []
        while len(chosen) < self.batch_size and self.epoch != self.epochs:
            rows = self._block_rows()
            if self.row < len(rows):
                chosen.append(rows[self.row])
                self.row += 1
            elif self._n_blocks() > self.block + 1:
                self.block, self.row = self.block + 1, 0
            else:
                self.epoch, self.block, self.row = self.epoch + 1, 0, 0
        if not chosen:
            raise StopIteration
        return chosen

    def steps_in_first_epoch(self) -> int:
        """How many batches the first epoch fills, the last of them perhaps in part."""
        first = type(self)(
            self.data, self.batch_size, self.seq_len, seed=self.seed, packing=self.packing
        )
        rows = 0
        for block in range(first._n_blocks()):
            first.block = block
            rows += len(first._block_rows())
        return -(-rows // self.batch_size)

    def state_dict(self) -> dict:
        """Where the next batch begins, and what that depends on."""
        return self._identity() | {"epoch": self.epoch, "block": self.block, "row": self.row}

    def load_state_dict(self, state: dict) -> None:
        """Go to where `state` was taken. Raises `ValueError` if data or arguments differ."""
        for name, mine in self._identity().items():
            if state[name] != mine:
                raise ValueError(
                    f"cannot resume: {name} was {state[name]!r} and is {mine!r} now. Use the same "
                    "data and settings, or start a new run"
                )
        self.epoch, self.block, self.row = state["epoch"], state["block"], state["row"]

    def _identity(self) -> dict:
        names = ("batch_size", "seq_len", "seed", "packing", "epochs")
        return {name: getattr(self, name) for name in names} | {"data": self.data.fingerprint}

    # -- order ----------------------------------------------------------------------------

    def _n_blocks(self) -> int:
        return -(-len(self.data) // BLOCK) if self.packing == "documents" else 1

    def _block_rows(self) -> list:
        """The rows of the current block in the order they are served."""
        if self._rows_of != (self.epoch, self.block):
            self._rows, self._rows_of = self._make_rows(), (self.epoch, self.block)
        return self._rows

    def _make_rows(self) -> list:
        return self._pack_block() if self.packing == "documents" else self._cut_stream()

    def _pack_block(self) -> list[list[Segment]]:
        documents = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.data))
        documents = documents[self.block * BLOCK : (self.block + 1) * BLOCK]
        packed = pack_documents(self.data.lengths()[documents].tolist(), self.seq_len)
        np.random.default_rng([self.seed, self.epoch, self.block]).shuffle(packed)
        return [[s._replace(document=int(documents[s.document])) for s in row] for row in packed]

    def _cut_stream(self) -> list[tuple[int, int]]:
        """(shard, first token) of each window, shuffled; every epoch cuts at other places."""
        rng = np.random.default_rng([self.seed, self.epoch])
        windows = []
        for shard, tokens in enumerate(self.data.tokens):
            spare = len(tokens) - 1 - self.seq_len  # where the last window may begin
            if spare >= 0:
                first = int(rng.integers(min(self.seq_len, spare + 1)))
                windows += [(shard, at) for at in range(first, spare + 1, self.seq_len)]
        order = rng.permutation(len(windows))
        return [windows[i] for i in order]

    # -- contents -------------------------------------------------------------------------

    def _packed(self, rows: list[list[Segment]]) -> Batch:
        B, T = len(rows), self.seq_len
        ids = np.full((B, T), self.data.end_of_text, dtype=np.int64)
        targets = ids.copy()
        doc_ids = np.full((B, T), -1, dtype=np.int32)
        for b, row in enumerate(rows):
            at = 0
            for number, segment in enumerate(row):
                tokens = self.data.document(segment.document, segment.start, segment.stop + 1)
                end = at + segment.n_targets
                ids[b, at:end], targets[b, at:end] = tokens[:-1], tokens[1:]
                doc_ids[b, at:end] = number
                at = end
        doc_ids = torch.from_numpy(doc_ids)
        return Batch(torch.from_numpy(ids), torch.from_numpy(targets), doc_ids >= 0, doc_ids)

    def _windows(self, windows: list[tuple[int, int]]) -> Batch:
        rows = [self.data.tokens[s][at : at + self.seq_len + 1] for s, at in windows]
        tokens = torch.from_numpy(np.stack(rows).astype(np.int64))  # (B, T + 1)
        ids, targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
        return Batch(ids, targets, torch.ones_like(ids, dtype=torch.bool))
