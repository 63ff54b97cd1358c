"""Log-probabilities of given tokens, the averages that losses are made of, and KL divergences.

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


def sequence_logprobs(
    logits: Tensor, ids: Tensor, mask: Tensor, *, average: bool = False
) -> Tensor:
    """log p of each row's tokens under the mask: (B, T, V), (B, T), (B, T) -> (B,) in nats.

    The sum over tokens is the log-probability of the text, which DPO and PPO are about; `average`
    divides it by the number of tokens, which SimPO and ORPO do. The two are not interchangeable:
    a sum of 20 tokens is 20 times as long a lever. Nothing under a row's mask gives 0.
    """
    if mask.shape != ids.shape:
        raise ValueError(f"mask {tuple(mask.shape)} must be shaped like ids {tuple(ids.shape)}")
    logprobs, mask = token_logprobs(logits, ids), mask.bool()
    if average:
        return masked_mean(logprobs, mask, dim=-1)
    return torch.where(mask, logprobs, torch.zeros_like(logprobs)).sum(-1)


def exact_kl(logits: Tensor, ref_logits: Tensor) -> Tensor:
    """KL(p ‖ q) = Σ p (log p − log q), p = softmax(logits): (…, V) twice -> (…) in nats, ≥ 0.

    The sum runs over the whole vocabulary: no sampling, no noise. Between two language models it
    is the divergence of the next token; the divergence of whole texts is the mean, over texts
    sampled from p, of these summed over a text's tokens. Differentiable in both. A token that p
    cannot say (−inf) adds nothing; one that q alone cannot say makes the divergence infinite.
    """
    if logits.shape != ref_logits.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and {tuple(ref_logits.shape)} differ")
    logp, logq = logits.float().log_softmax(-1), ref_logits.float().log_softmax(-1)
    never = logp == -torch.inf
    difference = logp.masked_fill(never, 0.0) - logq.masked_fill(never, 0.0)
    return (logp.exp() * difference).sum(-1)


def kl_estimate(logprobs: Tensor, ref_logprobs: Tensor, kind: str = "k1") -> Tensor:
    """Estimates of KL(p ‖ q) from log p and log q of samples *drawn from p*; elementwise, in nats.

    With d = log p(x) − log q(x), which is positive on average:

        "k1"  d                    unbiased; noisy, and often negative
        "k2"  d² / 2               biased, little noise; a good guess where p and q are close
        "k3"  exp(−d) − 1 + d      unbiased, never negative (Schulman 2020)

    The sign is all: with samples from p, −d is an estimate of −KL, and exp(d) − 1 − d of another
    quantity (χ² − KL). Samples of another source than p, such as a sharpened or cut-off p, give
    estimates of nothing.

    As a *loss* the three differ from what they estimate. The samples' own probabilities do not
    move with a gradient through d, so the mean gradient of k1 is 0, that of k2 is the gradient of
    KL(p ‖ q), and that of k3 is the gradient of KL(q ‖ p), the other direction.
    """
    d = logprobs - ref_logprobs
    if kind == "k1":
        return d
    if kind == "k2":
        return d.square() / 2
    if kind == "k3":
        return torch.expm1(-d) + d
    raise ValueError(f"kind must be 'k1', 'k2' or 'k3', not {kind!r}")


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
