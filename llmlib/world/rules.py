"""The parts a grammar is written with: rule instances, notes, pools of names, draws from them."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, NamedTuple


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
    """Turn a method that returns options into one that returns a ``Rule``, not yet expanded."""

    @functools.wraps(method)
    def instance(self, *args) -> Rule:
        return Rule(method.__get__(self), args)

    return instance


def zipf(n: int, exponent: float, offset: float = 2.0) -> list[float]:
    """Weights ``(rank + offset) ** -exponent`` for ranks 1 to ``n``, not normalised.

    Zipf's law as Mandelbrot wrote it: the offset keeps the very first from outshining all others.
    """
    return [(rank + offset) ** -exponent for rank in range(1, n + 1)]


class Pool:
    """Strings of one kind (or equally long tuples of strings) with weights, for ``Draw``.

    While measuring, private-use characters stand for "any member"; each counts as the mean length
    in bytes of the strings it stands for.
    """

    # Planes 15 and 16 are for private use: room for dozens of worlds in one process.
    _next = itertools.count(0xF0000)
    mean_bytes: ClassVar[dict[str, float]] = {}

    def __init__(self, values: Sequence, weights: Iterable[float] | None = None) -> None:
        self.values = tuple(values)
        raw = list(weights) if weights is not None else [1.0] * len(self.values)
        if len(raw) != len(self.values) or not self.values or min(raw) <= 0:
            raise ValueError("a Pool needs one positive weight for each of its values")
        total = math.fsum(raw)
        self.weights = tuple(w / total for w in raw)
        self.uniform = len(set(raw)) == 1
        self.forms = [_forms(value) for value in self.values]
        self._stand_ins: list = []

    def stand_in(self, number: int):
        """The representative of the ``number``-th member drawn; different draws, different ones."""
        while len(self._stand_ins) <= number:
            if isinstance(self.values[0], str):
                self._stand_ins.append(self._new(self.values))
            else:
                columns = zip(*self.values, strict=True)
                self._stand_ins.append(tuple(self._new(column) for column in columns))
        return self._stand_ins[number]

    def _new(self, column: Sequence[str]) -> str:
        char = chr(next(Pool._next))
        Pool.mean_bytes[char] = math.fsum(
            w * len(v.encode()) for w, v in zip(self.weights, column, strict=True)
        )
        return char


def _forms(value: str | tuple[str, ...]) -> set[str]:
    """How a value may stand in a text: as it is, or with a capital."""
    words = (value,) if isinstance(value, str) else value
    return {form for word in words for form in (word, word[:1].upper() + word[1:])}


class Draw:
    """Options that differ only in a name: ``make(value)`` gives the parts, for values of ``pool``.

    The grammar promises that what follows writes the value at least once (perhaps with a capital)
    and otherwise treats it as opaque (copies it, compares it, never looks inside), so one
    representative is enough to measure all of them. That keeps the exact entropy of a story with
    forty possible heroes cheap.

    With ``alike=False`` only the first promise is made (the parser profits: a value that the text
    never writes was not drawn) and every option is measured. ``used`` are earlier draws that may
    not come again; it needs a uniform pool, for then every draw without replacement is, seen
    alone, uniform over the whole pool.
    """

    def __init__(self, pool: Pool, make: Callable, used: tuple = (), *, alike: bool = True) -> None:
        if used and not pool.uniform:
            raise ValueError("drawing without replacement needs a pool of equal weights")
        self.pool, self.make, self.used, self.alike = pool, make, used, alike

    def options(self) -> list[tuple]:
        """Every option, as a rule would list them."""
        pairs = zip(self.pool.weights, self.pool.values, strict=True)
        return [(w, *self.make(v)) for w, v in pairs if v not in self.used]

    def representative(self) -> tuple[float, tuple]:
        """Entropy of the choice in nats, and the parts of a stand-in for all options."""
        if self.pool.uniform:
            nats = math.log(len(self.pool.values) - len(self.used))
        else:
            nats = -math.fsum(w * math.log(w) for w in self.pool.weights)
        return nats, self.make(self.pool.stand_in(len(self.used)))
