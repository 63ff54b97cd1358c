"""Speculative decoding: a small model guesses ahead, the large one checks all guesses in one pass.

The text has exactly the distribution that the large model alone would give it, whatever the small
one guesses: a bad guesser costs time and never quality (Leviathan et al. 2023, Chen et al. 2023).

    ids, stats = speculative(model, draft, prompt, max_new_tokens=100, temperature=0.8, seed=0)
    stats.acceptance_rate, stats.tokens_per_call

Shapes: V vocabulary, N guesses of a round.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llmlib.model import KVCache, Transformer
from llmlib.model.step import fast_step

from .decode import cache_dtype, check_counts, one_prompt, room, stop_ids
from .sampling import Sampling, adjust


@dataclass
class SpeculativeStats:
    """What a run of `speculative` did."""

    proposed: int = 0  # tokens that the draft wrote
    accepted: int = 0  # of these, kept
    rejected: int = (
        0  # of these, looked at and replaced: at most one a round; the rest fell with it
    )
    target_calls: int = 0  # passes of the large model, each over several tokens
    draft_calls: int = 0
    new_tokens: int = 0

    @property
    def acceptance_rate(self) -> float:
        """Accepted among the proposals that were looked at: 1 - TV(p, q) is what to expect."""
        judged = self.accepted + self.rejected
        return self.accepted / judged if judged else float("nan")

    @property
    def tokens_per_call(self) -> float:
        """New tokens for each forward pass of the large model; plain decoding gives 1."""
        return self.new_tokens / self.target_calls if self.target_calls else float("nan")


def accept_probability(p: Tensor, q: Tensor) -> Tensor:
    """With which chance a token drawn from q is kept: min(1, p / q), elementwise (..., V).

    p: the large model's distribution, q: the draft's. Tokens that q never draws get 1.
    """
    return torch.where(q > 0, p / q, torch.ones_like(p)).clamp(max=1)


def residual(p: Tensor, q: Tensor) -> Tensor:
    """What is drawn from (..., V) when the token from q was not kept: max(p - q, 0), normalised.

    This is where p has more than q could give: kept and redrawn together make exactly p. Where p
    equals q nothing is ever redrawn, and p itself is returned.
    """
    missing = (p - q).clamp(min=0)
    total = missing.sum(dim=-1, keepdim=True)
    return torch.where(total > 0, missing / total, p)


@torch.no_grad()
def speculative(
    model: Transformer,
    draft: Transformer,
    ids: Tensor | Sequence[int],
    *,
    max_new_tokens: int,
    draft_tokens: int = 4,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    stop: Sequence[int] = (),
    seed: int | None = None,
) -> tuple[list[int], SpeculativeStats]:
    """Continue one prompt: (the new ids, with the stop id that ended them last; what was done).

    model: the large model, whose distribution the text has; draft: a cheaper one with the same
        vocabulary. ids: one prompt, at least one token. draft_tokens: guesses a round.
    temperature, top_k, top_p, min_p: as in `generate`, for both models; at temperature 0 the text
        is `generate`'s greedy text (but for ties within rounding: a pass over several tokens sums
        in another order than a pass over one). The same seed gives another sample than `generate`.

    Ends as `generate` does: at a stop id, after max_new_tokens, or when the model's context is
    full. Where only the draft's context is full, the model goes on alone. Raises ValueError for a
    prompt without a token or without room, more than one prompt, and vocabularies that differ.
    """
    sampling = Sampling(temperature, top_k, top_p, min_p)
    sampling.check()
    check_counts(max_new_tokens=max_new_tokens, draft_tokens=draft_tokens)
    _check_vocabularies(model, draft)
    device, ends = model.embed.weight.device, stop_ids(stop, model.config.vocab_size)
    text, new = one_prompt(ids, device)[0].tolist(), []
    limit = len(text) + min(max_new_tokens, room(model, len(text)))
    target, guesser = (_Reader(m, limit, draft_tokens, sampling) for m in (model, draft))
    generator = None if seed is None else torch.Generator(device).manual_seed(seed)
    stats = SpeculativeStats()

    while len(text) < limit:
        n = min(draft_tokens, limit - len(text) - 1, draft.config.max_seq_len + 1 - len(text))
        guesses, q = _guess(guesser, text, n, generator)  # N ids, (N, V)
        p = target.read(text + guesses, last=len(guesses) + 1)  # (N + 1, V)
        n_kept, token = judge(p, q, guesses, generator)
        written = [*guesses[:n_kept], token]
        if ended := [place for place, id in enumerate(written) if id in ends]:
            written = written[: ended[0] + 1]
        stats.proposed += len(guesses)
        stats.accepted += n_kept
        stats.rejected += n_kept < len(guesses)
        text, new = text + written, new + written
        target.forget_from(len(text) - 1)  # the last token has not been read: it was drawn
        guesser.forget_from(len(text) - 1)
        if ended:
            break
    stats.target_calls, stats.draft_calls, stats.new_tokens = target.calls, guesser.calls, len(new)
    return new, stats


def judge(
    p: Tensor, q: Tensor, guesses: Sequence[int], generator: torch.Generator | None = None
) -> tuple[int, int]:
    """(how many of the guesses are kept, the token after them).

    p (N + 1, V): the large model's distributions at each guess and after the last; q (N, V): the
    distributions that the guesses were drawn from. Guesses are judged in order; the first that
    falls takes the later ones with it, since they were made for a text that does not exist.
    """
    n = len(guesses)
    chances = accept_probability(p[:n], q)  # (N, V)
    luck = torch.rand(n, generator=generator, device=p.device, dtype=p.dtype)  # [0, 1)
    chosen = torch.tensor(guesses, dtype=torch.long, device=p.device)[:, None]
    kept = luck < chances.gather(1, chosen)[:, 0]
    n_kept = int(kept.long().cumprod(0).sum())
    last = p[n] if n_kept == n else residual(p[n_kept], q[n_kept])
    return n_kept, _draw(last, generator)


class _Reader:
    """A model and its cache; it reads only what it has not read yet, and can take back `slack`."""

    def __init__(self, model: Transformer, max_len: int, slack: int, sampling: Sampling) -> None:
        self.model, self.sampling, self.calls = model, sampling, 0
        device, length = model.embed.weight.device, min(max_len, model.config.max_seq_len)
        self.cache = KVCache(model.config, 1, length, device, cache_dtype(model), slack=slack)
        self.step = None  # what reads single tokens faster, where there is such a thing

    def read(self, text: Sequence[int], last: int = 1) -> Tensor:
        """Distributions (last, V) of the token after each of the text's last `last` tokens."""
        new = torch.tensor([text[self.cache.length :]], device=self.model.embed.weight.device)
        self.calls += 1
        if self.calls == 2:  # the prompt is read: from here on it is a few tokens at a time
            self.step = fast_step(self.model, self.cache)
        if self.step is not None and last == 1:
            for id in new.split(1, dim=1):
                logits = self.step(id)  # (1, V)
        else:
            logits = self.model.head(self.model.features(new, cache=self.cache)[0, -last:])
        temperature, top_k, top_p, min_p, _ = self.sampling
        return adjust(logits, temperature, top_k, top_p, min_p)

    def forget_from(self, length: int) -> None:
        """Keep the first `length` tokens at most."""
        self.cache.truncate(min(self.cache.length, length))


def _guess(
    guesser: _Reader, text: list[int], n: int, generator: torch.Generator | None
) -> tuple[list[int], Tensor]:
    """N tokens that the draft would go on with, and the distributions (N, V) they are from."""
    guesses: list[int] = []
    rows = []
    for _ in range(n):
        rows.append(guesser.read(text + guesses))  # (1, V)
        guesses.append(_draw(rows[-1][0], generator))
    V = guesser.model.config.vocab_size
    empty = torch.empty(0, V, device=guesser.model.embed.weight.device)
    return guesses, torch.cat(rows) if rows else empty


def _draw(probs: Tensor, generator: torch.Generator | None) -> int:
    """One id from probs (V,)."""
    return int(torch.multinomial(probs, 1, generator=generator))


def _check_vocabularies(model: Transformer, draft: Transformer) -> None:
    sizes = model.config.vocab_size, draft.config.vocab_size
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"the model's vocabulary has {sizes[0]} tokens and the draft's {sizes[1]}: a draft "
            "must have been trained with the model's own tokenizer"
        )
