"""From a pattern's tree to a machine that reads bytes: the second half of decoding in a pattern.

A tree becomes a nondeterministic automaton (Thompson 1968) whose arrows carry ranges of *bytes*: a
character set is cut into ranges of UTF-8 sequences, so that a token that ends in the middle of a
character is an ordinary token. States from which no end can be reached are dropped. The subset
construction then gives a deterministic automaton, in which therefore every state can still end
well: whoever follows its arrows never comes to a dead end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .regex import Both, Chars, Either, Node, Repeat, Seq

MAX_STATES = 20_000  # of the deterministic automaton; ten times as many of the other one
DEAD = -1


class Dfa(NamedTuple):
    """A deterministic automaton over bytes; state 0 is the start.

    kinds: (256,) the kind of each byte: bytes of one kind are never told apart.
    table: (states, kinds) the next state, or DEAD. accepting: (states,) bool.
    """

    kinds: np.ndarray
    table: np.ndarray
    accepting: np.ndarray

    def step(self, state: int, data: bytes) -> int:
        """The state after `data`, or DEAD."""
        for byte in data:
            if state == DEAD:
                break
            state = int(self.table[state, self.kinds[byte]])
        return state

    def matches(self, text: str | bytes) -> bool:
        """Whether the whole text matches."""
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        state = self.step(0, data)
        return state != DEAD and bool(self.accepting[state])

    def used_bytes(self) -> set[int]:
        """The bytes that occur in some text that matches."""
        live = (self.table != DEAD).any(axis=0)  # (kinds,)
        return set(np.flatnonzero(live[self.kinds]).tolist())


class EmptyLanguage(ValueError):
    """No text at all matches."""


def compile_tree(node: Node) -> Dfa:
    """The automaton of a tree. Raises EmptyLanguage if no text matches, and ValueError if it would
    need more than MAX_STATES states.
    """
    nfa = _Nfa()
    start, end = nfa.state(), nfa.state()
    nfa.add(node, start, end)
    return nfa.determinize(start, end)


class _Nfa:
    """Arrows with byte ranges and empty arrows, by state.

    `add` keeps a promise that makes composing safe: a part leads no arrow into its start and none
    out of its end. Only a loop's own state, made fresh, is start and end of the same part.
    """

    def __init__(self) -> None:
        self.arrows: list[list[tuple[int, int, int]]] = []  # (first byte, last byte, target)
        self.empty: list[list[int]] = []

    def state(self) -> int:
        if len(self.arrows) >= 10 * MAX_STATES:
            raise ValueError(_TOO_LARGE)
        self.arrows.append([])
        self.empty.append([])
        return len(self.arrows) - 1

    def add(self, node: Node, start: int, end: int) -> None:
        """Lay ways from `start` to `end` for everything that `node` matches."""
        match node:
            case Chars(ranges):
                for low, high in ranges:
                    for sequence in utf8_ranges(low, high):
                        self._path(sequence, start, end)
            case Seq(parts):
                for part in parts:
                    after = self.state()
                    self.add(part, start, after)
                    start = after
                self.empty[start].append(end)
            case Either(options):
                for option in options:
                    self.add(option, start, end)
            case Repeat(part, low, high):
                self._repeat(part, low, high, start, end)
            case Both(one, other):
                self._product(compile_tree(one), compile_tree(other), start, end)

    def _path(self, sequence: list[tuple[int, int]], start: int, end: int) -> None:
        for low, high in sequence[:-1]:
            after = self.state()
            self.arrows[start].append((low, high, after))
            start = after
        self.arrows[start].append((*sequence[-1], end))

    def _repeat(self, part: Node, low: int, high: int | None, start: int, end: int) -> None:
        for _ in range(low):
            after = self.state()
            self.add(part, start, after)
            start = after
        if high is None:
            loop = self.state()
            self.empty[start].append(loop)
            self.add(part, loop, loop)
            start = loop
        for _ in range((high or low) - low):
            self.empty[start].append(end)
            after = self.state()
            self.add(part, start, after)
            start = after
        self.empty[start].append(end)

    def _product(self, one: Dfa, other: Dfa, start: int, end: int) -> None:
        """Walk both automata at once; a pair of states is one state."""
        states = {(0, 0): self.state()}
        self.empty[start].append(states[0, 0])
        waiting = [(0, 0)]
        while waiting:
            pair = waiting.pop()
            if one.accepting[pair[0]] and other.accepting[pair[1]]:
                self.empty[states[pair]].append(end)
            after = np.stack((one.table[pair[0]][one.kinds], other.table[pair[1]][other.kinds]))
            for low, high, target in _runs(after):
                if target not in states:
                    states[target] = self.state()
                    waiting.append(target)
                self.arrows[states[pair]].append((low, high, states[target]))

    def determinize(self, start: int, end: int) -> Dfa:
        """The subset construction over the states from which `end` can be reached."""
        useful = self._can_reach(end)
        if start not in useful:
            raise EmptyLanguage("no text at all matches")
        cuts = {0, 256}
        for state in useful:
            for low, high, target in self.arrows[state]:
                if target in useful:
                    cuts |= {low, high + 1}
        edges = sorted(cuts)
        kinds = np.searchsorted(edges, np.arange(256), side="right") - 1  # (256,)
        moves = {
            state: [(int(kinds[a]), int(kinds[b]), t) for a, b, t in self.arrows[state]
                    if t in useful]
            for state in useful
        }  # fmt: skip
        closed = {}

        def closure(states: Iterable[int]) -> frozenset[int]:
            out: set[int] = set()
            for state in states:
                if state not in closed:
                    around = self._through_empty(state)
                    closed[state] = {s for s in around if moves.get(s) or s == end}
                out |= closed[state]
            return frozenset(out)

        first = closure([start])
        number, order, rows = {first: 0}, [first], []
        for subset in order:  # grows while it is walked
            targets: dict[int, set[int]] = {}
            for state in subset:
                for low, high, target in moves[state]:
                    for kind in range(low, high + 1):
                        targets.setdefault(kind, set()).add(target)
            row = np.full(len(edges) - 1, DEAD, dtype=np.int32)
            for kind, reached in targets.items():
                after = closure(reached)
                if after not in number:
                    if len(order) >= MAX_STATES:
                        raise ValueError(_TOO_LARGE)
                    number[after] = len(order)
                    order.append(after)
                row[kind] = number[after]
            rows.append(row)
        accepting = np.array([end in subset for subset in order])
        return Dfa(kinds.astype(np.uint8), np.stack(rows), accepting)

    def _can_reach(self, end: int) -> set[int]:
        before: dict[int, list[int]] = {}
        for state, (arrows, empty) in enumerate(zip(self.arrows, self.empty, strict=True)):
            for target in (*(arrow[2] for arrow in arrows), *empty):
                before.setdefault(target, []).append(state)
        return _walk(end, before)

    def _through_empty(self, state: int) -> set[int]:
        return _walk(state, self.empty)


def utf8_ranges(low: int, high: int) -> Iterator[list[tuple[int, int]]]:
    """Cut code points low..high into products of byte ranges: é..ȿ is (c3, a9..bf), (c4..c7, …), …

    Within each sequence of ranges, every choice of bytes is the UTF-8 of a character of the range.
    No surrogates may be inside.
    """
    for last in (0x7F, 0x7FF, 0xFFFF):  # the last character of one, two, three bytes
        if low <= last < high:
            yield from utf8_ranges(low, last)
            yield from utf8_ranges(last + 1, high)
            return
    for tail in (1, 2, 3) if high > 0x7F else ():
        rest = (1 << 6 * tail) - 1  # the bits that the last `tail` bytes hold
        if low & ~rest == high & ~rest:
            continue  # the bytes before them are the same: the range is within one block
        cut = (low | rest) if low & rest else (high & ~rest) - 1  # a first or last part of a block
        if cut < high and (low & rest or high & rest != rest):
            yield from utf8_ranges(low, cut)
            yield from utf8_ranges(cut + 1, high)
            return
    yield list(zip(chr(low).encode(), chr(high).encode(), strict=True))


def _runs(after: np.ndarray) -> Iterator[tuple[int, int, tuple[int, int]]]:
    """(first byte, last byte, pair) of neighbours in after (2, 256) that lead to one live pair."""
    cuts = [0, *(np.flatnonzero((after[:, 1:] != after[:, :-1]).any(axis=0)) + 1).tolist(), 256]
    for low, stop in pairwise(cuts):
        pair = (int(after[0, low]), int(after[1, low]))
        if DEAD not in pair:
            yield low, stop - 1, pair


def _walk(start: int, arrows) -> set[int]:
    """Everything that can be reached from `start`, itself included."""
    seen, waiting = {start}, [start]
    while waiting:
        state = waiting.pop()
        near = arrows.get(state, ()) if isinstance(arrows, dict) else arrows[state]
        for target in near:
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


_TOO_LARGE = (
    f"the automaton would need more than {MAX_STATES:,} states: "
    "lower the bounds of repeats, lengths and items"
)
