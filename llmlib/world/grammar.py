"""A probabilistic grammar written once and read three ways: sample, parse, measure.

A *rule instance* is a name with arguments, ``Rule(expand, args)``. Its ``expand(*args)`` returns
the finite list of things it may become: ``(weight, part, part, ...)``, where a part is a literal
string, another rule instance, or a ``Note`` (an annotation that writes nothing). What a document
must remember (who holds the lantern, which facts were told, the running sum) travels in the
arguments, so the grammar stays context-free while the text does not look it. It is an attribute
grammar, expanded lazily: only instances that are met are ever built.

Three interpreters read the same rules:

* ``Grammar.sample`` draws a text and returns the log-probability of its derivation;
* ``Grammar.log_prob`` sums over every derivation of a given text (the inside algorithm), exactly;
* ``Grammar.measure`` computes the entropy and the expected length in bytes by memoised recursion.

The entropy of derivations equals the entropy of texts when no text has two derivations. The tests
check this on samples: the log-probability of the derivation is the one the parser finds.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Sequence
from typing import NamedTuple

from .rules import Draw, Note, Placed, Pool, Rule

_MAX_CACHED = 40_000
_PAST_THE_END = -1


class Options:
    """Normalised options of one rule instance, as the sampler and the parser look them up."""

    __slots__ = ("_bare", "_by_first", "cumulative", "log_probs", "parts")

    def __init__(self, options: Sequence[tuple]) -> None:
        total = math.fsum(option[0] for option in options)
        if not options or not total > 0:
            raise ValueError("a rule must expand to at least one option of positive weight")
        probs = [option[0] / total for option in options]
        self.cumulative = list(itertools.accumulate(probs))
        self.log_probs = [math.log(p) for p in probs]
        self.parts = [option[1:] for option in options]
        self._by_first: dict[str | None, list] | None = None
        self._bare: list = []

    def draw(self, rng: random.Random) -> tuple[float, tuple]:
        """``(log_prob, parts)`` of one option drawn at random."""
        i = bisect.bisect(self.cumulative, rng.random(), hi=len(self.parts) - 1)
        return self.log_probs[i], self.parts[i]

    def fitting(self, parser: Parser, start: int) -> list:
        """``(log_prob, parts)`` of the options that may start at ``start``, notes left out."""
        if self._by_first is None:
            self._index()
        if start >= len(parser.text):
            return self._all if parser.prefix else self._bare
        return self._by_first.get(parser.text[start], self._bare)

    @property
    def _all(self) -> list:
        return self._by_first[None]

    def _index(self) -> None:
        rows = []
        for log_p, parts in zip(self.log_probs, self.parts, strict=True):
            bare = tuple(p for p in parts if not isinstance(p, Note) and p != "")
            first = bare[0][0] if bare and isinstance(bare[0], str) else None
            rows.append((first, (log_p, bare)))
        firsts = {first for first, _ in rows if first is not None}
        self._by_first = {c: [row for f, row in rows if f in (c, None)] for c in firsts}
        self._by_first[None] = [row for _, row in rows]
        self._bare = [row for f, row in rows if f is None]


class Drawn:
    """The options of a ``Draw``, built one by one as they are needed."""

    __slots__ = ("built", "listed", "log_total")

    def __init__(self, listed: Draw) -> None:
        self.listed = listed
        self.built: dict = {}
        pool = listed.pool
        pairs = zip(pool.weights, pool.values, strict=True)
        self.log_total = math.log(math.fsum(w for w, v in pairs if v not in listed.used))

    def _option(self, weight: float, value) -> tuple[float, tuple]:
        if value not in self.built:
            self.built[value] = (math.log(weight) - self.log_total, self.listed.make(value))
        return self.built[value]

    def draw(self, rng: random.Random) -> tuple[float, tuple]:
        pool, used = self.listed.pool, self.listed.used
        while True:
            i = rng.choices(range(len(pool.values)), pool.weights)[0]
            if pool.values[i] not in used:
                return self._option(pool.weights[i], pool.values[i])

    def fitting(self, parser: Parser, start: int) -> list:
        """As in ``Options``; a value that the text never writes was not drawn."""
        pool, used = self.listed.pool, self.listed.used
        rows = []
        for i in parser.written(pool):
            value = pool.values[i]
            if value not in used:
                log_p, parts = self._option(pool.weights[i], value)
                rows.append((log_p, tuple(p for p in parts if not isinstance(p, Note) and p != "")))
        return rows


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
        self._expanded: dict[Rule, Options] = {}
        self._measured: dict[Rule, Measure] = {}

    # ---------------------------------------------------------------- expansion
    def _options(self, instance: Rule) -> Options:
        found = self._expanded.get(instance)
        if found is None:
            listed = instance.expand(*instance.args)
            found = Drawn(listed) if isinstance(listed, Draw) else Options(listed)
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
                log_p, parts = options.draw(rng)
                log_prob += log_p
                stack.extend(reversed(parts))
        return "".join(written), log_prob, notes

    # ---------------------------------------------------------------- parsing
    def log_prob(self, root: Rule, text: str) -> float:
        """Exact log-probability of ``text`` in nats, over all derivations; ``-inf`` without any."""
        return Parser(self, text, prefix=False).inside(root, 0).get(len(text), -math.inf)

    def log_prob_prefix(self, root: Rule, text: str) -> float:
        """Log-probability in nats that a text drawn from ``root`` starts with ``text``."""
        ends = Parser(self, text, prefix=True).inside(root, 0)
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
            if isinstance(listed, Draw) and listed.alike:
                nats, parts = listed.representative()
                listed = [(1.0, *parts)]
            elif isinstance(listed, Draw):
                listed = listed.options()
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
            size += math.fsum(
                Pool.mean_bytes[c] - len(c.encode()) for c in part if c in Pool.mean_bytes
            )
        return Measure(0.0, size)


class Parser:
    """The inside algorithm over one text: where may an instance end that starts here?

    ``inside(instance, start)`` maps each possible end to a log-probability. In ``prefix`` mode the
    text may stop anywhere: the mass of derivations that run past its end is kept under one key.
    """

    def __init__(self, grammar: Grammar, text: str, prefix: bool) -> None:
        self.grammar, self.text, self.prefix = grammar, text, prefix
        self.memo: dict[tuple[Rule, int], dict[int, float]] = {}
        self._written: dict[Pool, list[int]] = {}

    def written(self, pool: Pool) -> list[int]:
        """Which values of the pool may have been drawn: those that the text writes somewhere."""
        if self.prefix:
            return list(range(len(pool.values)))
        if pool not in self._written:
            self._written[pool] = [
                i for i, forms in enumerate(pool.forms) if any(f in self.text for f in forms)
            ]
        return self._written[pool]

    def inside(self, instance: Rule, start: int) -> dict[int, float]:
        key = (instance, start)
        found = self.memo.get(key)
        if found is None:
            options = self.grammar._options(instance)
            rows = options.fitting(self, start)
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
