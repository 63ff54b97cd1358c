"""From logits to the next token: what is penalised, what is kept, and the draw.

Shapes: B batch, V vocabulary.
"""

import math
from collections.abc import Sequence
from numbers import Real
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Generators = torch.Generator | Sequence[torch.Generator] | None


def penalize(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Make tokens that occurred less likely: logits (B, V), seen (B, V) bool -> logits (B, V).

    CTRL's repetition penalty (Keskar et al. 2019, section 4.1), as `transformers` has it: a logit
    above 0 is divided by `penalty`, one below is multiplied by it. Above 1 discourages; 1 is off.
    """
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def adjust(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
) -> Tensor:
    """The distribution that is drawn from: logits (B, V) -> probabilities (B, V), float32.

    In this order, each on what the one before left, renormalised; as in `transformers`:
    temperature: logits are divided by it; 0 puts everything on the likeliest (a tie: lowest id).
    top_k: only the k likeliest tokens, and those exactly as likely as the k-th (Fan et al. 2018).
    top_p: only the fewest likeliest that add up to at least p, at least one (nucleus sampling,
        Holtzman et al. 2020); of equally likely ones at the edge the lowest ids (`transformers`
        sorts unstably there: it keeps as many, but which ones is chance).
    min_p: only tokens at least min_p times as likely as the likeliest (Nguyen et al. 2024).
    """
    probs, order = _ranked(logits, temperature, top_k, top_p, min_p)
    return probs if order is None else torch.empty_like(probs).scatter_(-1, order, probs)


def sample(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: Generators = None,
    min_p: float | None = None,
) -> Tensor:
    """Draw one id a row from `adjust(logits, …)`: logits (B, V) -> (B,).

    generator: one for the whole batch, or a sequence of one a row.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    probs, order = _ranked(logits, temperature, top_k, top_p, min_p)
    if isinstance(generator, Sequence):
        rows = zip(probs, generator, strict=True)
        choice = torch.stack([torch.multinomial(row, 1, generator=own) for row, own in rows])
    else:
        choice = torch.multinomial(probs, 1, generator=generator)  # (B, 1)
    return (choice if order is None else order.gather(-1, choice))[:, 0]


def _ranked(logits, temperature, top_k, top_p, min_p) -> tuple[Tensor, Tensor | None]:
    """Probabilities (B, V), the likeliest first with their ids (B, V); or by id, and None."""
    if temperature == 0:
        return F.one_hot(logits.argmax(dim=-1), logits.shape[-1]).float(), None
    logits, order = logits.float() / temperature, None
    if top_k is not None or top_p is not None:
        logits, order = logits.sort(dim=-1, descending=True, stable=True)
    if top_k is not None and top_k < logits.shape[-1]:
        logits = logits.masked_fill(logits < logits[:, top_k - 1 : top_k], -torch.inf)
    probs = logits.softmax(dim=-1)
    if top_p is not None:
        up_to_here = probs.flip(-1).cumsum(dim=-1).flip(-1)  # it, and all that are less likely
        spare = up_to_here <= 1 - top_p
        spare[:, 0] = False
        logits = logits.masked_fill(spare, -torch.inf)
        probs = logits.softmax(dim=-1)
    if min_p is not None:
        least = min_p * probs.amax(dim=-1, keepdim=True)
        probs = logits.masked_fill(probs < least, -torch.inf).softmax(dim=-1)
    return probs, order


class Sampling(NamedTuple):
    """How the next token is chosen; see `adjust` and `penalize`."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0

    def check(self) -> None:
        """Raise ValueError, with the name, for a value that cannot be."""
        for name, value in self._asdict().items():
            may_be_none = name in ("top_k", "top_p", "min_p")
            if not (value is None and may_be_none) and (
                isinstance(value, bool) or not isinstance(value, Real)
            ):
                raise ValueError(f"{name} must be a number, not {value!r}")
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature must be 0 (greedy) or above, not {self.temperature}")
        if self.top_k is not None and (self.top_k < 1 or self.top_k != int(self.top_k)):
            raise ValueError(f"top_k must be a whole number of at least 1, not {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if self.min_p is not None and not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p must be between 0 and 1, not {self.min_p}")
        if not 0 < self.repetition_penalty < math.inf:
            raise ValueError(
                f"repetition_penalty must be above 0 (1: none), not {self.repetition_penalty}"
            )
