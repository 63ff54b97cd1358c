"""Log-probabilities of given tokens, and the averages that losses and scores are made of.

Nothing here shifts: logits[:, t] and ids[:, t] belong together. Of a model's own text that is
`token_logprobs(model(ids)[:, :-1], ids[:, 1:])`. Logarithms are natural, in nats.

Shapes: B batch, T length, V vocabulary; any leading dimensions will do.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def token_logprobs(logits: Tensor, ids: Tensor) -> Tensor:
    """log softmax(logits)[ids]: (B, T, V) and (B, T) -> (B, T) float32, never above 0.

    Computed in float32 with the row's maximum taken out, so that logits of any finite size are
    safe. An id of -100 (torch's "ignore") gives 0.
    """
    _check(logits, ids)
    flat = F.cross_entropy(logits.float().flatten(0, -2), ids.flatten().long(), reduction="none")
    return -flat.view(ids.shape)


def masked_mean(values: Tensor, mask: Tensor | None = None, dim: int | None = None) -> Tensor:
    """The mean of `values` where `mask` is true (or not 0), over `dim` or over everything.

    Nothing to average gives 0, and no gradient: a batch without a single target is a step that
    changes nothing. Values under a false mask have no influence, not even infinite ones.
    """
    if mask is None:
        return values.mean() if dim is None else values.mean(dim)
    mask = mask.bool()
    kept = torch.where(mask, values, torch.zeros_like(values))
    total, count = (kept.sum(), mask.sum()) if dim is None else (kept.sum(dim), mask.sum(dim))
    return total / count.clamp(min=1)


def cross_entropy(logits: Tensor, ids: Tensor, mask: Tensor | None = None) -> Tensor:
    """The mean of -log p over the tokens under the mask, in nats a token: a scalar.

    logits (B, T, V), ids (B, T), mask (B, T) bool or None for all. Differentiable; 0 when the mask
    is empty.
    """
    if mask is None:
        _check(logits, ids)
        return F.cross_entropy(logits.float().flatten(0, -2), ids.flatten().long())
    if mask.shape != ids.shape:
        raise ValueError(f"mask {tuple(mask.shape)} must be shaped like ids {tuple(ids.shape)}")
    return masked_mean(-token_logprobs(logits, ids), mask)


def perplexity(nats: float | Tensor) -> float:
    """exp of the mean nats a token: how many equally likely tokens would be as hard to guess."""
    nats = float(nats)
    return math.exp(nats) if nats < 709 else math.inf  # exp(710) is more than a float holds


def bits_per_byte(nats_total: float | Tensor, n_bytes: int) -> float:
    """Total -log p of a text in nats -> bits a byte of its UTF-8: comparable across tokenizers."""
    if n_bytes < 1:
        raise ValueError(f"bits per byte need a text of at least one byte, not {n_bytes}")
    return float(nats_total) / (math.log(2) * n_bytes)


def _check(logits: Tensor, ids: Tensor) -> None:
    if logits.shape[:-1] != ids.shape or ids.numel() == 0:
        raise ValueError(
            f"logits {tuple(logits.shape)} need the shape of ids {tuple(ids.shape)} and one more "
            "dimension, the vocabulary; and there must be at least one token"
        )
