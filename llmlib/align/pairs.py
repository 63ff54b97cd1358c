"""Preference pairs as tokens: one prompt, two completions, the first of them preferred.

Shapes: B pairs, 2 sides (chosen, rejected), N rows of text (2 B of them), T tokens, V vocabulary.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor, nn

from llmlib.data import DataError
from llmlib.logprobs import sequence_logprobs
from llmlib.tokenizer.chat import encode_chat

BLOCK = 16  # batches whose pairs are sorted by length together


class PairError(DataError):
    """A preference row that nothing can be learned from, with its number and what to do."""


@dataclass(frozen=True)
class PairBatch:
    """Pairs padded on the right. Losses are about the tokens that `response` marks."""

    tokens: Tensor  # (B, 2, T) int64: prompt and completion, chosen first
    response: Tensor  # (B, 2, T) bool: the completion's tokens, its <|end|> among them
    lengths: Tensor  # (B, 2) int64: tokens that are not padding
    ref: Tensor | None = None  # (B, 2): log p of the completions under the reference
    unmatched: Tensor | None = None  # (B, 2, T): the completions after another prompt, for KTO
    unmatched_response: Tensor | None = None  # (B, 2, T) bool
    unmatched_ref: Tensor | None = None  # (B, 2)

    def __len__(self) -> int:
        return len(self.tokens)

    def rows(self, start: int, stop: int) -> "PairBatch":
        """The pairs from `start` up to `stop`."""
        return self._each(lambda t: t[start:stop])

    def to(self, device) -> "PairBatch":
        """The batch on `device`."""
        return self._each(lambda t: t.to(device, non_blocking=True))

    def _each(self, change) -> "PairBatch":
        values = (getattr(self, f.name) for f in fields(self))
        return type(self)(*(None if v is None else change(v) for v in values))


def response_logprobs(
    model: nn.Module,
    tokens: Tensor,
    response: Tensor,
    *,
    average: bool = False,
    temperature: float = 1.0,
) -> Tensor:
    """log p of each row's response given what is before it: (N, T), (N, T) bool -> (N,) in nats.

    Only tokens that `response` marks are in the sum; the prompt, which both sides share, is not.
    """
    logits = model(tokens[:, :-1]) / temperature  # (N, T − 1, V)
    return sequence_logprobs(logits, tokens[:, 1:], response[:, 1:], average=average)


class PairData:
    """Preference rows, tokenized.

    rows        dicts in TRL's columns: `prompt`, `chosen`, `rejected`. Each is a list of messages
                (`role`, `content`); a plain string stands for one message, the user's in `prompt`
                and the assistant's in the other two.
    max_tokens  longer texts lose their end. That is a repair, not a wish: what is cut is what an
                answer ends with, and two answers that differ only there become one.

    Raises `PairError` for a pair whose sides are the same tokens (after cutting, too): it teaches
    nothing and counts as a lost coin toss, and for a completion of which nothing is left.
    """

    def __init__(self, rows: Sequence[Mapping], tokenizer, *, max_tokens: int | None = None):
        if not rows:
            raise PairError("no preference pairs: there is nothing to learn from")
        self.pad = tokenizer.special_tokens["<|pad|>"]
        self.prompts: list[list[int]] = []
        self.completions: list[tuple[list[int], list[int]]] = []  # (chosen, rejected)
        for number, row in enumerate(rows):
            prompt, sides = _encode(number, row, tokenizer)
            if max_tokens is not None:
                sides = tuple(side[: max(0, max_tokens - len(prompt))] for side in sides)
            _check(number, sides, max_tokens)
            self.prompts.append(prompt)
            self.completions.append(sides)
        self.ref: Tensor | None = None  # (pairs, 2), see `add_reference`
        self.unmatched_ref: Tensor | None = None
        contents = json.dumps([self.prompts, self.completions])
        self.fingerprint = hashlib.sha256(contents.encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.prompts)

    def length(self, i: int) -> int:
        """Tokens of a pair's longer text."""
        return len(self.prompts[i]) + max(map(len, self.completions[i]))

    def batch(self, indices: Sequence[int]) -> PairBatch:
        """The pairs of these numbers, with the reference's log p if it was added."""
        tokens, response, lengths = self._pad([(i, i) for i in indices])
        batch = {"tokens": tokens, "response": response, "lengths": lengths}
        if self.ref is not None:
            batch["ref"] = self.ref[list(indices)]
        if self.unmatched_ref is not None:
            tokens, response, _ = self._pad([(self._other_prompt(i), i) for i in indices])
            batch |= {"unmatched": tokens, "unmatched_response": response}
            batch["unmatched_ref"] = self.unmatched_ref[list(indices)]
        return PairBatch(**batch)

    def _other_prompt(self, i: int) -> int:
        """The next pair with another prompt; raises `PairError` if all prompts are the same."""
        for step in range(1, len(self)):
            other = (i + step) % len(self)
            if self.prompts[other] != self.prompts[i]:
                return other
        raise PairError("all pairs have one prompt: none can be matched with another's answer")

    def _pad(self, pairs: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor, Tensor]:
        """Texts of (prompt's number, completions' number), padded: tokens, response, lengths."""
        texts = [[(self.prompts[p], side) for side in self.completions[c]] for p, c in pairs]
        longest = max(len(prompt) + len(side) for row in texts for prompt, side in row)
        tokens = torch.full((len(texts), 2, longest), self.pad)
        response = torch.zeros_like(tokens, dtype=torch.bool)
        lengths = torch.zeros(len(texts), 2, dtype=torch.long)
        for b, row in enumerate(texts):
            for s, (prompt, side) in enumerate(row):
                end = len(prompt) + len(side)
                tokens[b, s, :end] = torch.tensor(prompt + side)
                response[b, s, len(prompt) : end] = True
                lengths[b, s] = end
        return tokens, response, lengths

    @torch.no_grad()
    def logprobs(self, model: nn.Module, *, average: bool = False, batch_size: int = 64) -> Tensor:
        """log p of every completion under `model`: (pairs, 2) float32, on the CPU."""
        return self._scored(model, [(i, i) for i in range(len(self))], average, batch_size)

    def add_reference(self, model: nn.Module, *, unmatched: bool = False) -> None:
        """Score all completions under the reference, once: it never changes during training.

        The numbers are those of the model as it is now: take them before the first step. (A policy
        that is trained in place and also called the reference never leaves it: KL 0 for ever.)
        `unmatched` adds, for KTO, the completions behind the next pair's prompt.
        """
        self.ref = self.logprobs(model)
        if unmatched:
            pairs = [(self._other_prompt(i), i) for i in range(len(self))]
            with torch.no_grad():
                self.unmatched_ref = self._scored(model, pairs, False, 64)

    def _scored(self, model: nn.Module, pairs: list, average: bool, batch_size: int) -> Tensor:
        """log p of completions behind prompts: (pairs, 2). Long ones are scored together."""
        device = next(model.parameters()).device
        sizes = [len(self.prompts[p]) + max(map(len, self.completions[c])) for p, c in pairs]
        order = sorted(range(len(pairs)), key=sizes.__getitem__)
        result = torch.zeros(len(pairs), 2)
        for at in range(0, len(order), batch_size):
            chosen = order[at : at + batch_size]
            tokens, response, _ = self._pad([pairs[i] for i in chosen])
            tokens, response = tokens.flatten(0, 1).to(device), response.flatten(0, 1).to(device)
            scores = response_logprobs(model, tokens, response, average=average)
            result[chosen] = scores.view(-1, 2).float().cpu()
        return result


def _encode(number: int, row: Mapping, tokenizer) -> tuple[list[int], tuple]:
    """(prompt ids with the assistant's turn open, (chosen ids, rejected ids))."""
    for column in ("prompt", "chosen", "rejected"):
        if column not in row:
            raise PairError(f"row {number} has no column {column!r}; it has {sorted(row)}")
    prompt = _messages(row["prompt"], "user")
    try:
        opened, _ = encode_chat(tokenizer, prompt, add_generation_prompt=True)
        both = [
            encode_chat(tokenizer, [*prompt, *_messages(row[column], "assistant")])[0]
            for column in ("chosen", "rejected")
        ]
    except (ValueError, TypeError, AttributeError) as error:
        raise PairError(f"row {number}: {error}") from error
    sides = []
    for column, full in zip(("chosen", "rejected"), both, strict=True):
        if full[: len(opened)] != opened:
            raise PairError(f"row {number}: {column!r} must begin with the assistant's turn")
        sides.append(full[len(opened) :])
    return opened, tuple(sides)


def _messages(value, role: str) -> list:
    return [{"role": role, "content": value}] if isinstance(value, str) else list(value)


def _check(number: int, sides: tuple, max_tokens: int | None) -> None:
    cut = f" in {max_tokens} tokens" if max_tokens is not None else ""
    if not all(sides):
        raise PairError(f"row {number}: the prompt leaves no room for an answer{cut}")
    if sides[0] == sides[1]:
        raise PairError(
            f"row {number}: chosen and rejected are the same{cut}. Remove the pair, or allow "
            "longer texts"
        )


class PairBatches:
    """Batches of pairs, epoch after epoch, in an order that depends on `seed` only.

    epochs     None: endlessly. A batch never spans two epochs, so an epoch's last one may be small.
    by_length  batches hold pairs of like length, which saves most of the padding: of every
               `BLOCK` batches the pairs are sorted, and the batches shuffled.

    Resumable: `state_dict`, `load_state_dict`.
    """

    def __init__(
        self,
        data: PairData,
        batch_size: int,
        *,
        seed: int = 0,
        epochs: int | None = None,
        by_length: bool = True,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        self.data, self.batch_size, self.seed, self.epochs = data, batch_size, seed, epochs
        self.by_length = by_length
        self.epoch = self.at = 0  # of the next batch
        self._order: list[list[int]] | None = None  # the epoch's batches

    def __iter__(self) -> Iterator[PairBatch]:
        return self

    def __next__(self) -> PairBatch:
        if self.at >= self.steps():
            self.epoch, self.at, self._order = self.epoch + 1, 0, None
        if self.epoch == self.epochs:
            raise StopIteration
        if self._order is None:
            self._order = self._batches()
        self.at += 1
        return self.data.batch(self._order[self.at - 1])

    def _batches(self) -> list[list[int]]:
        """The numbers of the pairs in each batch of the current epoch."""
        rng, size = np.random.default_rng([self.seed, self.epoch]), self.batch_size
        order = rng.permutation(len(self.data)).tolist()
        if not self.by_length:
            return [order[at : at + size] for at in range(0, len(order), size)]
        batches = []
        for first in range(0, len(order), BLOCK * size):
            block = sorted(order[first : first + BLOCK * size], key=self.data.length)
            full = [block[at : at + size] for at in range(0, len(block), size)]
            batches += [full[i] for i in rng.permutation(len(full))]
        return batches

    def steps(self) -> int:
        """Batches in one epoch."""
        return -(-len(self.data) // self.batch_size)

    def state_dict(self) -> dict:
        """Where the next batch begins, and what that depends on."""
        return self._identity() | {"epoch": self.epoch, "at": self.at}

    def load_state_dict(self, state: dict) -> None:
        """Go to where `state` was taken. Raises `ValueError` if data or arguments differ."""
        for name, mine in self._identity().items():
            if state[name] != mine:
                raise ValueError(f"cannot resume: {name} was {state[name]!r} and is {mine!r} now")
        self.epoch, self.at, self._order = state["epoch"], state["at"], None

    def _identity(self) -> dict:
        names = ("batch_size", "seed", "epochs", "by_length")
        return {name: getattr(self, name) for name in names} | {"data": self.data.fingerprint}
