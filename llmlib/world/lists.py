"""In-context lists: nothing but the text above tells what comes next, and how surely.

Both families draw a hidden table (which colour goes with which name, which label with which kind
of thing) only when it is first needed, uniformly among what is still free. That is the same as
drawing the table first, but every choice leaves its trace in the text: the predictive
distribution of each line *is* the Bayes posterior, and the family's entropy is the loss of the
perfect in-context learner.
"""

from __future__ import annotations

from . import names
from .rules import Draw, Note, Pool, rule

SEPARATORS = (": ", " -> ", " = ")
KINDS = {
    "animal": ("cat", "dog", "goat", "rabbit", "goose", "pony", "owl", "donkey"),
    "food": ("soup", "bread", "cheese", "honey", "pie", "jam", "rice", "cake"),
    "tool": ("hammer", "saw", "rake", "needle", "ladder", "rope", "brush", "spade"),
}
LABELS = ("red", "blue", "green", "A", "B", "C", "north", "south", "east")


class KeyValue:
    """Names with colours: a name that comes again has the colour it had before."""

    LINES = (6, 16)

    def __init__(self) -> None:
        self.names = Pool(names.GIRLS + names.BOYS)
        self.colours = Pool(names.COLOURS)

    @rule
    def document(self):
        first, last = self.LINES
        return [
            (1.0, self.line(sep, n, ()))
            for sep in SEPARATORS
            for n in range(first, last + 1)
        ]  # fmt: skip

    @rule
    def line(self, sep: str, left: int, seen: tuple):
        if left == 0:
            return [(1.0, "")]
        return [
            (0.5 if seen else 1.0, self.new(sep, left, seen)),
            *(
                (0.5 / len(seen), f"{k}{sep}", Note("recall", v), v, self.end(sep, left, seen))
                for k, v in seen
            ),
        ]

    @rule
    def new(self, sep: str, left: int, seen: tuple):
        used = tuple(key for key, _ in seen)
        return Draw(self.names, lambda key: (f"{key}{sep}", self.value(sep, left, seen, key)), used)

    @rule
    def value(self, sep: str, left: int, seen: tuple, key: str):
        return Draw(self.colours, lambda value: (value, self.end(sep, left, (*seen, (key, value)))))

    @rule
    def end(self, sep: str, left: int, seen: tuple):
        return [(1.0, "\n" if left > 1 else "", self.line(sep, left - 1, seen))]


class Labels:
    """Words of three kinds with one label a kind; which label goes with which is new each time."""

    LINES = (8, 16)

    def __init__(self) -> None:
        self.words = {kind: Pool(words) for kind, words in KINDS.items()}
        self.sets = (LABELS[0:3], LABELS[3:6], LABELS[6:9])

    @rule
    def document(self):
        first, last = self.LINES
        return [
            (1.0, self.line(sep, n, labels, ()))
            for sep in SEPARATORS
            for n in range(first, last + 1)
            for labels in self.sets
        ]  # fmt: skip

    @rule
    def line(self, sep: str, left: int, labels: tuple, table: tuple):
        if left == 0:
            return [(1.0, "")]
        return [(1.0, self.word(sep, left, labels, table, kind)) for kind in KINDS]

    @rule
    def word(self, sep: str, left: int, labels: tuple, table: tuple, kind: str):
        follow = self.label(sep, left, labels, table, kind)
        return Draw(self.words[kind], lambda word: (f"{word}{sep}", follow))

    @rule
    def label(self, sep: str, left: int, labels: tuple, table: tuple, kind: str):
        known = dict(table)
        end = "\n" if left > 1 else ""
        if kind in known:
            after = self.line(sep, left - 1, labels, table)
            return [(1.0, Note("recall", known[kind]), f"{known[kind]}{end}", after)]
        free = [label for label in labels if label not in known.values()]
        return [
            (1.0, f"{x}{end}", self.line(sep, left - 1, labels, tuple(sorted((*table, (kind, x))))))
            for x in free
        ]
