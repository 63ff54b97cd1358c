"""Batches of pairs, a text to read and a text to write: what an encoder–decoder learns from.

Shapes: B rows, S tokens to read, T tokens to write.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from llmlib.data.batches import Batch

Pair = tuple[Sequence[int], Sequence[int]]  # ids to read, ids to write


@dataclass(frozen=True)
class PairBatch(Batch):
    """`ids` are the decoder's, one behind `targets`; the encoder reads `encoder_ids`."""

    encoder_ids: Tensor | None = None  # (B, S) int64
    encoder_mask: Tensor | None = None  # (B, S) bool, False at padding


def collate_pairs(pairs: Iterable[Pair], *, start: int, pad: int = 0) -> PairBatch:
    """Pairs of unequal lengths as one batch, padded on the right.

    start: the id that the decoder begins with (T5 uses its padding token). Ends such as
    <|endoftext|> belong to the pairs. Raises ValueError for an empty text.
    """
    sources, targets = zip(*pairs, strict=True)
    if not all(map(len, sources)) or not all(map(len, targets)):
        raise ValueError("a pair has an empty text: there is nothing to read, or to write")
    encoder_ids, encoder_mask = _padded(sources, pad)
    targets, mask = _padded(targets, pad)
    ids = torch.cat((torch.full_like(targets[:, :1], start), targets[:, :-1]), dim=1)
    return PairBatch(ids, targets, mask, None, encoder_ids, encoder_mask)


def pair_batches(
    items: Sequence,
    batch_size: int,
    *,
    start: int,
    pad: int = 0,
    make: Callable[[object, np.random.Generator], Pair] | None = None,
    seed: int = 0,
    epochs: int | None = None,
) -> Iterator[PairBatch]:
    """Batches over `items`, epoch after epoch (None: endlessly), in an order drawn from `seed`.

    items are pairs; or anything of which `make(item, rng)` makes a pair, anew in every epoch:

        make=lambda ids, rng: corrupt_spans(ids, sentinels, rng)

    The last batch of an epoch may have fewer rows.
    """
    if batch_size < 1 or not len(items):
        raise ValueError(f"there must be items ({len(items)}) and a batch_size ({batch_size})")
    epoch = 0
    while epoch != epochs:
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(items))
        for at in range(0, len(items), batch_size):
            chosen = [items[i] for i in order[at : at + batch_size]]
            pairs = chosen if make is None else [make(item, rng) for item in chosen]
            yield collate_pairs(pairs, start=start, pad=pad)
        epoch += 1


def _padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """(ids (B, longest) int64, which of them are real)."""
    lengths = torch.tensor([len(row) for row in rows])
    ids = torch.full((len(rows), int(lengths.max())), pad)
    for row, tokens in zip(ids, rows, strict=True):
        row[: len(tokens)] = torch.as_tensor(np.asarray(tokens, dtype=np.int64))
    return ids, torch.arange(ids.shape[1]) < lengths[:, None]
