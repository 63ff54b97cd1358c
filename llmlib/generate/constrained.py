"""Constraints: which tokens may come next, so that the whole text matches a pattern or a schema.

A constraint is a machine that `generate` asks before each token and tells after it:

    state = constraint.start()
    constraint.allowed(state)        # (V,) bool: tokens after which the text can still end well
    state = constraint.advance(state, token)
    constraint.done(state)           # may the text end here?

The machine reads bytes, and a token is a string of bytes: it is allowed if the machine survives
all of them. So it does not matter how the text is cut into tokens, nor where a token cuts a
character. Every allowed token leads to a state from which the text can end well, and every byte is
a token by itself: there is always a way on or a way out.

What is sampled is the model's distribution over the allowed tokens, renormalised at each step.
That is not the model's distribution over whole texts given that they match: a token is weighed
without a look at how unlikely the allowed ways on from it are (Park et al. 2024).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from llmlib.tokenizer import Tokenizer

from . import regex
from .automaton import DEAD, Dfa, EmptyLanguage, compile_tree
from .json_schema import schema_tree

MAX_CACHED = 2**28  # bytes of masks that a constraint keeps


class Constraint:
    """A constraint from an automaton over bytes. States are its states: plain integers, from 0.

    dfa: the automaton. tokenizer: one whose tokens are bytes that are put one after the other
        (`BPE`), with a token for each single byte that the texts use; else ValueError.

    Special tokens are never allowed: the text is ordinary text, also where it spells `<|end|>`.
    The object may serve many rows and many calls; masks are kept once they are computed.
    """

    def __init__(self, dfa: Dfa, tokenizer: Tokenizer):
        self.dfa, self.vocab_size = dfa, tokenizer.vocab_size
        self._tokens = _ordinary_tokens(tokenizer)
        singles = {data[0] for data in self._tokens if len(data) == 1}
        if missing := sorted(dfa.used_bytes() - singles):
            raise ValueError(
                f"the tokenizer has no token for the single byte {missing[0]:#04x}, which the text "
                "may need: constrained decoding wants a byte-level tokenizer (BPE)"
            )
        self._lengths = np.array([len(data) for data in self._tokens])  # (V,); 0: never allowed
        padded = b"".join(data.ljust(self._lengths.max(), b"\0") for data in self._tokens)
        self._bytes = np.frombuffer(padded, np.uint8).reshape(len(self._tokens), -1)  # (V, longest)
        self._masks: dict[int, Tensor] = {}

    def start(self) -> int:
        """The state before the first token."""
        return 0

    def allowed(self, state: int) -> Tensor:
        """(V,) bool on the CPU: the tokens that may come next. Not to be written to."""
        if state not in self._masks:
            if len(self._masks) * self.vocab_size > MAX_CACHED:
                self._masks.clear()
            self._masks[state] = torch.from_numpy(self._after_each_token(state) != DEAD)
        return self._masks[state]

    def advance(self, state: int, token: int) -> int:
        """The state after a token. Raises ValueError for one that is not allowed."""
        data = self._tokens[token] if 0 <= token < len(self._tokens) else b""
        after = self.dfa.step(state, data) if data else DEAD
        if after == DEAD:
            raise ValueError(f"token {token} {data!r} is not allowed here")
        return after

    def done(self, state: int) -> bool:
        """Whether the text so far matches, so that it may end here."""
        return bool(self.dfa.accepting[state])

    def matches(self, text: str | bytes) -> bool:
        """Whether a whole text keeps to the constraint."""
        return self.dfa.matches(text)

    def _after_each_token(self, state: int) -> np.ndarray:
        """(V,) the state after each token, DEAD for those not allowed: all tokens, byte by byte."""
        dfa = self.dfa
        after = np.where(self._lengths > 0, state, DEAD)
        alive = np.flatnonzero(self._lengths > 0)
        for place in range(self._bytes.shape[1]):
            alive = alive[self._lengths[alive] > place]
            if len(alive) == 0:
                break
            after[alive] = dfa.table[after[alive], dfa.kinds[self._bytes[alive, place]]]
            alive = alive[after[alive] != DEAD]
        return after


class Regex(Constraint):
    r"""The text matches a regular expression from beginning to end.

    pattern: see `llmlib.generate.regex`: the common part of Python's `re`, with ASCII \d \w \s.

    Raises ValueError where the pattern is malformed, uses what is not supported, matches no text,
    or needs too large an automaton; and for a tokenizer that is not byte-level.
    """

    def __init__(self, pattern: str, tokenizer: Tokenizer):
        self.pattern = pattern
        try:
            dfa = compile_tree(regex.parse(pattern))
        except EmptyLanguage:
            raise ValueError(f"pattern {pattern!r} matches no text at all") from None
        super().__init__(dfa, tokenizer)


class JsonSchema(Constraint):
    """The text is JSON that a JSON Schema (draft 2020-12) accepts.

    schema: see `llmlib.generate.json_schema` for the keywords; what it does not support, and a
        schema that no value fits, is a ValueError that names the keyword.
    separators: between items and after keys, as in `json.dumps`. Every value is written in one way,
        that of `json.dumps(value, ensure_ascii=False)`, with keys in the order of `properties`.
    """

    def __init__(
        self, schema: dict, tokenizer: Tokenizer, separators: tuple[str, str] = (", ", ": ")
    ):
        self.schema = schema
        super().__init__(compile_tree(schema_tree(schema, separators)), tokenizer)


class ConstrainedRows:
    """The constraints of a batch while it is written: one for all rows, or one (or None) a row.

    logits_size: the width of the model's logits, at least each constraint's vocabulary.
    stop: ids that end a row; they are allowed where the row's text may end.
    """

    def __init__(
        self,
        constraint: Constraint | Sequence[Constraint | None],
        n_rows: int,
        logits_size: int,
        stop: Sequence[int],
    ):
        several = isinstance(constraint, Sequence)
        self.rules = list(constraint) if several else [constraint] * n_rows
        if len(self.rules) != n_rows:
            raise ValueError(f"{len(self.rules)} constraints for {n_rows} prompts: one a prompt")
        self.states = [None if rule is None else rule.start() for rule in self.rules]
        for rule, state in zip(self.rules, self.states, strict=True):
            if rule is not None and len(rule.allowed(state)) > logits_size:
                raise ValueError(
                    f"a constraint over {len(rule.allowed(state))} tokens does not fit a model of "
                    f"{logits_size}: make it with the model's own tokenizer"
                )
        self.logits_size, self.stop = logits_size, list(stop)

    def ended(self, row: int) -> bool:
        """Whether the row's text is complete and nothing, not even a stop id, can follow."""
        rule, state = self.rules[row], self.states[row]
        may_end = rule is not None and not self.stop and rule.done(state)
        return may_end and not bool(rule.allowed(state).any())

    def restrict(self, logits: Tensor, rows: Collection[int]) -> Tensor:
        """Logits (B, V) with -inf at what `rows` may not write; the other rows stay as they are."""
        allowed = torch.ones(logits.shape, dtype=torch.bool)
        for row in rows:
            rule, state = self.rules[row], self.states[row]
            if rule is not None:
                mask = rule.allowed(state)
                allowed[row, : len(mask)], allowed[row, len(mask) :] = mask, False
                allowed[row, self.stop] = rule.done(state)
                if not allowed[row].any():
                    raise ValueError(
                        f"row {row} can neither go on nor end: its constraint needs a token that "
                        f"is among the stop ids {self.stop}, or it led to a dead end"
                    )
        return logits.masked_fill(~allowed.to(logits.device), -torch.inf)

    def advance(self, row: int, token: int) -> None:
        """Note that the row wrote `token`, which was no stop id."""
        if self.rules[row] is not None:
            self.states[row] = self.rules[row].advance(self.states[row], token)


def _ordinary_tokens(tokenizer: Tokenizer) -> list[bytes]:
    """The bytes of each id; none for special tokens and for ids that no token has."""
    special, tokens = set(tokenizer.special_tokens.values()), []
    for id in range(tokenizer.vocab_size):
        try:
            tokens.append(b"" if id in special else tokenizer.token_bytes(id))
        except ValueError:  # a hole in the vocabulary
            tokens.append(b"")
    pair = [id for id, data in enumerate(tokens) if data][:2]
    if tokenizer.decode_bytes(pair) != b"".join(tokens[id] for id in pair):
        raise ValueError(
            f"{type(tokenizer).__name__} writes more than its tokens' bytes when it decodes: "
            "constrained decoding wants a byte-level tokenizer (BPE)"
        )
    return tokens
