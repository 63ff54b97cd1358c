"""Beam search: the few likeliest beginnings are kept and continued side by side.

Shapes: R running beams, V vocabulary.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from llmlib.model import KVCache, Transformer

from .decode import cache_dtype, check_counts, one_prompt, room, stop_ids


class Beam(NamedTuple):
    """A continuation: its ids (a stop id, if one ended it, last) and how likely it is."""

    ids: list[int]
    log_prob: float  # nats, of all ids together
    score: float  # log_prob / number of ids ** length_penalty


@torch.no_grad()
def beam_search(
    model: Transformer,
    ids: Tensor | Sequence[int],
    *,
    beams: int,
    max_new_tokens: int,
    length_penalty: float = 0.0,
    stop: Sequence[int] = (),
) -> list[Beam]:
    """The likeliest continuations of one prompt that were found, best score first, at most `beams`.

    At each step all one-token continuations of the running beams are ranked by log-probability and
    the best `beams` that go on are kept. One that ends in a stop id is finished, if it is among the
    best `beams` of all. The search ends after max_new_tokens, when the context is full, or when no
    running beam can still beat the `beams` best that are finished.

    length_penalty: finished beams are compared by log_prob / n_ids ** length_penalty: 0 compares
        probabilities, 1 the mean a token; above 0 favours long texts, whatever the name says.

    The result is that of `transformers` with `early_stopping="never"` (its default, False, gives up
    as soon as the running beams are worse at their present length). One beam is greedy decoding.
    What is found need not be the likeliest text there is: that would take all V^n of them.
    """
    check_counts(beams=beams, max_new_tokens=max_new_tokens)
    if not math.isfinite(length_penalty):
        raise ValueError(f"length_penalty must be a finite number, not {length_penalty}")
    device = model.embed.weight.device
    tokens = one_prompt(ids, device)  # (1, T)
    ends, V = stop_ids(stop, model.config.vocab_size), model.config.vocab_size
    n_new = min(max_new_tokens, room(model, tokens.shape[1]))
    cache = KVCache(model.config, 1, tokens.shape[1] + n_new, device, cache_dtype(model))
    running, finished, totals = [[]], [], torch.zeros(1, 1, device=device)
    for n in range(1, n_new + 1):
        logits = model.head(model.features(tokens, cache=cache)[:, -1])  # (R, V)
        totals = totals + logits.float().log_softmax(dim=-1)
        # every running beam may end in each of the stop ids, and `beams` must be left that do not
        n_best = min(max(2, 1 + len(ends)) * beams, totals.numel())
        best, places = totals.flatten().topk(n_best)
        found = [
            ([*running[place // V], place % V], log_prob, place // V)
            for log_prob, place in zip(best.tolist(), places.tolist(), strict=True)
            if log_prob > -torch.inf
        ]
        for text, log_prob, _ in found[:beams]:
            if text[-1] in ends or n == n_new:
                finished.append(Beam(text, log_prob, log_prob / n**length_penalty))
        finished = sorted(finished, key=lambda beam: -beam.score)[:beams]
        going = [i for i, (text, _, _) in enumerate(found) if text[-1] not in ends][:beams]
        at_best = n_new if length_penalty > 0 else n
        hopeless = (
            len(finished) == beams
            and going
            and (found[going[0]][1] / at_best**length_penalty <= finished[-1].score)
        )
        if not going or hopeless:
            break
        running = [found[i][0] for i in going]
        totals = best[going][:, None]
        cache.select([found[i][2] for i in going])
        tokens = places[going][:, None] % V
    return finished
