"""How good a model is on given documents, beside the best that is possible."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib import runtime

LOGITS = 2**23  # numbers in the logits of one evaluation batch: 32 MB in float32


def evaluate(
    model: nn.Module,
    documents: Sequence,
    tokenizer,
    *,
    log_probs: Sequence[float] | None = None,
    precision: str = "float32",
) -> dict[str, float]:
    """The loss of `model` on `documents` (strings, or objects with a `.text`).

    Every document is read alone, from an end-of-text token on, and scored to the end-of-text token
    after it, which counts as one token. A document longer than the model's context is scored in
    windows that overlap by half, so that no token has less than half a context (but for the first).

    Returns nats_per_token, perplexity, bits_per_byte, and how many tokens, bytes and documents
    there were. With `log_probs`, the exact log p of each document in nats, also
    `floor_nats_per_token` (their own, on the same tokens: what a model that knows the source would
    score, end-of-text included), `excess` (model − floor, in nats per token) and `excess_se`, its
    standard error over documents.
    """
    texts = [d if isinstance(d, str) else d.text for d in documents]
    if not texts:
        raise ValueError("no documents to evaluate on")
    nats, tokens = document_nats(model, texts, tokenizer, precision=precision)
    n_bytes = sum(len(t.encode("utf-8", errors="surrogatepass")) for t in texts)
    result = {
        "nats_per_token": float(nats.sum() / tokens.sum()),
        "bits_per_byte": float(nats.sum() / math.log(2) / max(n_bytes, 1)),
        "tokens": int(tokens.sum()),
        "bytes": n_bytes,
        "documents": len(texts),
    }
    result["perplexity"] = math.exp(min(result["nats_per_token"], 700.0))
    if log_probs is not None:
        result |= _against_floor(nats, tokens, np.asarray(log_probs, dtype=np.float64))
    return result


def _against_floor(nats: np.ndarray, tokens: np.ndarray, log_probs: np.ndarray) -> dict:
    """Floor, excess and the excess's standard error (of a ratio of sums over documents)."""
    if log_probs.shape != nats.shape or not np.isfinite(log_probs).all():
        raise ValueError(
            f"log_probs must be one finite number for each of {len(nats)} documents; −inf means "
            "that the source can never say the text, so that there is no floor for it"
        )
    excess = nats + log_probs  # of each document, in nats
    rate = excess.sum() / tokens.sum()
    residual = excess - rate * tokens
    n = len(nats)
    return {
        "floor_nats_per_token": float(-log_probs.sum() / tokens.sum()),
        "excess": float(rate),
        "excess_se": float(np.sqrt((residual**2).sum() * n / max(n - 1, 1)) / tokens.sum()),
    }


@torch.no_grad()
def document_nats(
    model: nn.Module, texts: Sequence[str], tokenizer, *, precision: str = "float32"
) -> tuple[np.ndarray, np.ndarray]:
    """(−log p of each text in nats, its number of tokens with the end-of-text): two (n,) arrays."""
    end = tokenizer.special_tokens["<|endoftext|>"]
    context = model.config.max_seq_len
    pieces = []  # (document, tokens, how many of the last targets to score)
    n_tokens = np.zeros(len(texts), dtype=np.int64)
    for number, text in enumerate(texts):
        ids = [end, *tokenizer.encode(text, errors="replace"), end]
        n_tokens[number] = len(ids) - 1
        pieces += [(number, *piece) for piece in _windows(ids, context)]
    pieces.sort(key=lambda piece: len(piece[1]), reverse=True)  # rows of a batch: equally long
    nats = np.zeros(len(texts))
    was_training = model.training
    model.eval()
    try:
        while pieces:
            longest = len(pieces[0][1])
            size = max(1, LOGITS // (longest * tokenizer.vocab_size))
            chosen, pieces = pieces[:size], pieces[size:]
            losses = _losses(model, [ids for _, ids, _ in chosen], precision)
            for (number, ids, score), row in zip(chosen, losses, strict=True):
                nats[number] += row[len(ids) - 1 - score : len(ids) - 1].sum()
    finally:
        model.train(was_training)
    return nats, n_tokens


def _windows(ids: list[int], context: int) -> list[tuple[list[int], int]]:
    """(tokens, number of last targets to score) of windows of at most `context` inputs."""
    windows = [(ids[: context + 1], min(len(ids) - 1, context))]
    done = windows[0][1]
    step = max(1, context // 2)
    while done < len(ids) - 1:
        stop = min(done + step, len(ids) - 1)
        windows.append((ids[max(0, stop - context) : stop + 1], stop - done))
        done = stop
    return windows


def _losses(model: nn.Module, rows: list[list[int]], precision: str) -> np.ndarray:
    """−log p of every target of rows padded on the right: (B, T) float64, 0 at padding.

    Causal attention never looks right, so padding there needs no mask.
    """
    device = next(model.parameters()).device
    length = max(len(row) for row in rows) - 1
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    targets = torch.full((len(rows), length), -100)
    for b, row in enumerate(rows):
        tokens = torch.tensor(row)
        ids[b, : len(row) - 1], targets[b, : len(row) - 1] = tokens[:-1], tokens[1:]
    with runtime.autocast(device, precision):
        logits = model(ids.to(device))  # (B, T, V)
    losses: Tensor = F.cross_entropy(
        logits.float().flatten(0, 1), targets.to(device).flatten(), reduction="none"
    )
    return losses.view(targets.shape).double().cpu().numpy()
