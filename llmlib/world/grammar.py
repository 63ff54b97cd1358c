"""A probabilistic grammar written once and read three ways: sample, parse, measure.

A *rule instance* is a name with arguments, ``Rule(expand, args)``. Its ``expand(*args)`` returns the
finite list of things it may become: ``(weight, part, part, ...)``, where a part is a literal string,
another rule instance, or a ``Note`` (an annotation that writes nothing). What a document must
remember (who holds the lantern, which facts were told, the running sum) travels in the arguments,
so the grammar stays context-free while the text does not look it. It is an attribute grammar,
expanded lazily: only instances that are met are ever built.

Three interpreters read the same rules:

* ``Grammar.sample`` draws a text and returns the log-probability of its derivation;
* ``Grammar.log_prob`` sums over every derivation of a given text (the inside algorithm), exactly;
* ``Grammar.measure`` computes the entropy and the expected length in bytes by memoised recursion.

The entropy of derivations equals the entropy of texts when no text has two derivations. The tests
check this on samples: the log-probability of the derivation is the one the parser finds.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
import random
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

_MAX_CACHED = 40_000
_PAST_THE_END = -1


class Rule(NamedTuple):
    """A rule with its arguments: ``expand(*args)`` lists what it may become."""

    expand: Callable
    args: tuple


class Note(NamedTuple):
    """An annotation inside a text: it writes nothing and has no influence on any probability."""

    key: str
    value: object


class Placed(NamedTuple):
    """A note as found in a sampled text: ``offset`` is the character position where it stands."""

    offset: int
    key: str
    value: object


def rule(method: Callable) -> Callable:
    """Turn a method that returns options into one that returns a ``Rule`` (nothing is expanded yet)."""

    @functools.wraps(method)
    def instance(self, *args) -> Rule:
        return Rule(method.__get__(self), args)

    return instance


def zipf(n: int, exponent: float) -> list[float]:
    """Weights ``1, 2^-s, ..., n^-s`` of Zipf's law with exponent ``s`` (not normalised)."""
    return [rank**-exponent for rank in range(1, n + 1)]


class Pool:
    """Strings of one kind (or equally long tuples of strings) with weights, for ``Draw``.

    ``stand_in`` represents "any member" while measuring: private-use characters, each of which counts
    as the mean length in bytes of the strings it stands for.
    """

    _next = itertools.count(0xE000)
    mean_bytes: dict[str, float] = {}

    def __init__(self, values: Sequence, weights: Iterable[float] | None = None) -> None:
        self.values = tuple(values)
        raw = list(weights) if weights is not None else [1.0] * len(self.values)
        if len(raw) != len(self.values) or not self.values or min(raw) <= 0:
            raise ValueError("a Pool needs one positive weight for each of its values")
        total = math.fsum(raw)
        self.weights = tuple(w / total for w in raw)
        if isinstance(self.values[0], str):
            self.stand_in = self._stand_in(self.values)
        else:
            self.stand_in = tuple(
                self._stand_in(column) for column in zip(*self.values, strict=True)
            )

    def _stand_in(self, column: Sequence[str]) -> str:
        char = chr(next(Pool._next))
        Pool.mean_bytes[char] = math.fsum(
            w * len(v.encode()) for w, v in zip(self.weights, column, strict=True)
        )
        return char


class Draw(NamedTuple):
    """Options that differ only in a name: ``make(value)`` gives the parts, for the values of ``pool``.

    The grammar promises that what follows treats the value as opaque (copies it, never looks inside
    it), so one representative is enough to measure all of them. That is what keeps the exact entropy
    of a story with forty possible heroes and thirty possible objects cheap.
    """

    pool: Pool
    make: Callable


class _Options:
    """Normalised options of one rule instance, with what the sampler and the parser look up."""

    __slots__ = ("cumulative", "log_probs", "parts", "_by_first", "_bare")

    def __init__(self, options: Sequence[tuple]) -> None:
        total = math.fsum(option[0] for option in options)
        if not options or not total > 0:
            raise ValueError("a rule must expand to at least one option of positive weight")
        probs = [option[0] / total for option in options]
        self.cumulative = list(itertools.accumulate(probs))
        self.log_probs = [math.log(p) for p in probs]
        self.parts = [option[1:] for option in options]
        self._by_first: dict[str, list] | None = None
        self._bare: list = []

    def starting_with(self, char: str) -> list:
        """``(log_prob, parts)`` of the options that could start with ``char``, notes left out."""
        if self._by_first is None:
            self._index()
        return self._by_first.get(char, self._bare)

    def _index(self) -> None:
        rows = []
        for log_p, parts in zip(self.log_probs, self.parts, strict=True):
            bare = tuple(p for p in parts if not isinstance(p, Note) and p != "")
            first = bare[0][0] if bare and isinstance(bare[0], str) else None
            rows.append((first, (log_p, bare)))
        firsts = {first for first, _ in rows if first is not None}
        self._by_first = {c: [row for f, row in rows if f in (c, None)] for c in firsts}
        self._bare = [row for f, row in rows if f is None]

    def all(self) -> list:
        """``(log_prob, parts)`` of every option, notes left out."""
        return [
            (log_p, tuple(p for p in parts if not isinstance(p, Note) and p != ""))
            for log_p, parts in zip(self.log_probs, self.parts, strict=True)
        ]


class Measure(NamedTuple):
    """Exact expectations over the texts of a rule: entropy in nats, length in UTF-8 bytes."""

    nats: float
    bytes: float


def _log_add(a: float, b: float) -> float:
    high, low = (a, b) if a > b else (b, a)
    return high + math.log1p(math.exp(low - high))


class Grammar:
    """The three interpreters, with their caches. Stateless apart from those."""

    def __init__(self) -> None:
        self._expanded: dict[Rule, _Options] = {}
        self._measured: dict[Rule, Measure] = {}

    # ---------------------------------------------------------------- expansion
    def _options(self, instance: Rule) -> _Options:
        found = self._expanded.get(instance)
        if found is None:
            listed = instance.expand(*instance.args)
            if isinstance(listed, Draw):
                pool = listed.pool
                listed = [
                    (w, *listed.make(v)) for w, v in zip(pool.weights, pool.values, strict=True)
                ]
            found = _Options(listed)
            if len(self._expanded) >= _MAX_CACHED:
                self._expanded.clear()
            self._expanded[instance] = found
        return found

    # ---------------------------------------------------------------- sampling
    def sample(self, root: Rule, rng: random.Random) -> tuple[str, float, list[Placed]]:
        """Draw one text. Returns the text, the log-probability of its derivation, and its notes."""
        stack: list = [root]
        written: list[str] = []
        notes: list[Placed] = []
        offset, log_prob = 0, 0.0
        while stack:
            part = stack.pop()
            if isinstance(part, str):
                written.append(part)
                offset += len(part)
            elif isinstance(part, Note):
                notes.append(Placed(offset, part.key, part.value))
            else:
                options = self._options(part)
                i = bisect.bisect(options.cumulative, rng.random(), hi=len(options.parts) - 1)
                log_prob += options.log_probs[i]
                stack.extend(reversed(options.parts[i]))
        return "".join(written), log_prob, notes

    # ---------------------------------------------------------------- parsing
    def log_prob(self, root: Rule, text: str) -> float:
        """Exact log-probability of ``text`` in nats, over all its derivations; ``-inf`` if it has none."""
        return _Parser(self, text, prefix=False).inside(root, 0).get(len(text), -math.inf)

    def log_prob_prefix(self, root: Rule, text: str) -> float:
        """Log-probability in nats that a text drawn from ``root`` starts with ``text``."""
        ends = _Parser(self, text, prefix=True).inside(root, 0)
        whole, beyond = (ends.get(e, -math.inf) for e in (len(text), _PAST_THE_END))
        return max(whole, beyond) if -math.inf in (whole, beyond) else _log_add(whole, beyond)

    # ---------------------------------------------------------------- measuring
    def measure(self, instance: Rule) -> Measure:
        """Exact entropy (nats) and expected length (bytes) of the texts of ``instance``.

        With options of probability ``p_i``: ``H = sum_i p_i (-log p_i + sum of H over the parts)``.
        """
        found = self._measured.get(instance)
        if found is None:
            listed = instance.expand(*instance.args)
            nats = size = 0.0
            if isinstance(listed, Draw):
                nats = -math.fsum(w * math.log(w) for w in listed.pool.weights)
                listed = [(1.0, *listed.make(listed.pool.stand_in))]
            total = math.fsum(option[0] for option in listed)
            for weight, *parts in listed:
                p = weight / total
                inner = [self._measure_part(part) for part in parts]
                nats += p * (math.fsum(m.nats for m in inner) - math.log(p))
                size += p * math.fsum(m.bytes for m in inner)
            found = self._measured[instance] = Measure(nats, size)
        return found

    def _measure_part(self, part: str | Rule | Note) -> Measure:
        if isinstance(part, Note):
            return Measure(0.0, 0.0)
        if not isinstance(part, str):
            return self.measure(part)
        size = 0.0 + len(part.encode())
        if not part.isascii():
            size += math.fsum(Pool.mean_bytes[c] - 3 for c in part if c in Pool.mean_bytes)
        return Measure(0.0, size)


class _Parser:
    """The inside algorithm over one text: where may an instance end if it starts here, and how likely?

    ``inside(instance, start)`` maps each possible end to a log-probability. In ``prefix`` mode the
    text may stop anywhere: the mass of derivations that run past its end is kept under one key.
    """

    def __init__(self, grammar: Grammar, text: str, prefix: bool) -> None:
        self.grammar, self.text, self.prefix = grammar, text, prefix
        self.memo: dict[tuple[Rule, int], dict[int, float]] = {}

    def inside(self, instance: Rule, start: int) -> dict[int, float]:
        key = (instance, start)
        found = self.memo.get(key)
        if found is None:
            options = self.grammar._options(instance)
            at_end = start >= len(self.text)
            rows = options.all() if at_end else options.starting_with(self.text[start])
            found = {}
            for log_p, parts in rows:
                ends = self._sequence(parts, start, log_p)
                for end, value in ends.items():
                    found[end] = _log_add(found[end], value) if end in found else value
            self.memo[key] = found
        return found

    def _sequence(self, parts: tuple, start: int, log_p: float) -> dict[int, float]:
        ends = {start: log_p}
        beyond: dict[int, float] = {}
        size = len(self.text)
        for part in parts:
            after: dict[int, float] = {}
            for end, value in ends.items():
                if self.prefix and end == size:
                    _put(beyond, _PAST_THE_END, value)
                elif isinstance(part, str):
                    if self.text.startswith(part, end):
                        after[end + len(part)] = value
                    elif self.prefix and part.startswith(self.text[end:]):
                        _put(beyond, _PAST_THE_END, value)
                else:
                    for stop, more in self.inside(part, end).items():
                        target = beyond if stop == _PAST_THE_END else after
                        _put(target, stop, value + more)
            ends = after
            if not ends:
                break
        return ends | beyond


def _put(table: dict[int, float], key: int, value: float) -> None:
    table[key] = _log_add(table[key], value) if key in table else value
