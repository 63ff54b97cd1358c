"""Worked sums: one to four steps, each step on its own line, and the same sums told as stories."""

from __future__ import annotations

from . import names
from .rules import Draw, Note, Pool, rule, zipf

FIRST = range(2, 21)
OPERANDS = range(2, 10)
LOWEST, HIGHEST = 0, 40
TRAINED_STEPS = (1, 2, 3)
MOST_STEPS = 4
GOODS = ("coins", "apples", "buttons", "shells", "plums", "candles", "nails", "marbles")
GAINS = ("finds {n} more", "buys {n} more", "is given {n} more")
LOSSES = ("loses {n}", "sells {n}", "gives away {n}")


def held_out(a: int, sign: str, b: int) -> bool:
    """Whether this step is kept out of the pretraining text (split S4): one in seven."""
    return (a + 3 * b + (sign == "-")) % 7 == 0


def steps_from(a: int) -> list[tuple[str, int, int]]:
    """All steps ``(sign, b, result)`` that may follow the running total ``a``."""
    return [
        (sign, b, result)
        for sign, result_of in (("+", a.__add__), ("-", a.__sub__))
        for b in OPERANDS
        if LOWEST <= (result := result_of(b)) <= HIGHEST
    ]


class Sum:
    """``7 + 5 - 3`` worked step by step; the first line decides all that follows."""

    def __init__(self, lengths: tuple[int, ...] = TRAINED_STEPS) -> None:
        self.lengths = lengths

    @rule
    def document(self):
        return [(1.0, "Sum: ", self.first(n)) for n in self.lengths]

    @rule
    def first(self, n: int):
        return [(1.0, str(a), self.more(a, (a,), n)) for a in FIRST]

    @rule
    def more(self, total: int, terms: tuple, left: int):
        """Write the next operand. ``terms`` holds the first number and the steps so far."""
        if left == 0:
            return [(1.0, self.worked(terms))]
        return [
            (1.0, f" {sign} {b}", self.more(result, (*terms, (sign, b, result)), left - 1))
            for sign, b, result in steps_from(total)
            if not held_out(total, sign, b)
        ]

    @rule
    def worked(self, terms: tuple):
        lines, total = [], terms[0]
        parts: list = []
        for i, (sign, b, result) in enumerate(terms[1:], start=1):
            lines.append(f"\nStep {i}: {total} {sign} {b} = {result}")
            parts += [lines[-1], Note("step", result)]
            total = result
        return [(1.0, *parts, f"\nAnswer: {total}", Note("answer", str(total)))]


class WordSum:
    """A sum as a little story: somebody has seven coins, finds five more, loses three."""

    def __init__(self, exponent: float, lengths: tuple[int, ...] = (1, 2)) -> None:
        self.people = (Pool(names.GIRLS), Pool(names.BOYS))
        self.goods = Pool(GOODS)
        self.lengths, self.exponent = lengths, exponent

    @rule
    def document(self):
        return [(1.0, self.who(i, n)) for i in (0, 1) for n in self.lengths]

    @rule
    def who(self, gender: int, n: int):
        return Draw(self.people[gender], lambda who: (f"{who} has ", self.start(gender, who, n)))

    @rule
    def start(self, gender: int, who: str, n: int):
        return [(1.0, f"{a} ", self.what(gender, who, n, a)) for a in FIRST]

    @rule
    def what(self, gender: int, who: str, n: int, a: int):
        return Draw(
            self.goods, lambda goods: (f"{goods}.", self.then((who, gender, goods), a, (a,), n))
        )

    @rule
    def then(self, cast: tuple, total: int, terms: tuple, left: int):
        who, gender, goods = cast
        if left == 0:
            lines, value = [], terms[0]
            for sign, b, result in terms[1:]:
                lines.append(f"{value} {sign} {b} = {result}. ")
                value = result
            ask = f" How many {goods} does {who} have now?\n"
            answer = f"{'She' if gender == 0 else 'He'} has {total} {goods}."
            return [(1.0, ask + "".join(lines) + answer, Note("answer", str(total)))]
        pronoun = "She" if gender == 0 else "He"
        return [
            (w, f" {pronoun} {phrase.format(n=b)}.",
             self.then(cast, result, (*terms, (sign, b, result)), left - 1))
            for sign, b, result in steps_from(total)
            if not held_out(total, sign, b)
            for w, phrase in self._phrases(sign)
        ]  # fmt: skip

    def _phrases(self, sign: str):
        return zip(zipf(3, self.exponent), GAINS if sign == "+" else LOSSES, strict=True)
