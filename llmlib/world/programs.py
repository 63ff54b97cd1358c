"""Small programs in a tiny language, each followed by what it prints; and the interpreter.

The language has assignments ``name = expression``, ``print expression`` and ``repeat n: print
expression``; an expression is a number, a name, a quoted word, or two of these joined by ``+``,
``-`` or ``*``. A program of the corpus is followed by a line ``Output:`` and the printed lines.
"""

from __future__ import annotations

import re

from .rules import Note, rule

NAMES = ("a", "b", "c")
WORDS = ("tap", "moo", "ding", "hum")
LIMIT = 20
_TOKEN = re.compile(r'\s*("[a-z]*"|[a-z]+|\d+|[-+*])')


def run_program(source: str, most_steps: int = 100) -> list[str]:
    """Run a program and return the lines it prints.

    Raises ``ValueError`` with the line number for anything the language does not know, for a name
    without a value, and when more than ``most_steps`` lines would be printed.
    """
    values: dict[str, int | str] = {}
    printed: list[str] = []
    for number, line in enumerate(source.splitlines(), start=1):
        try:
            match = re.fullmatch(r"(?:repeat (\d+): )?print (.+)", line)
            if match:
                times = int(match[1] or 1)
                if len(printed) + times > most_steps:
                    raise ValueError(f"prints more than {most_steps} lines")
                printed += [str(_value(match[2], values))] * times
            elif match := re.fullmatch(r"([a-z]+) = (.+)", line):
                values[match[1]] = _value(match[2], values)
            else:
                raise ValueError("neither an assignment nor a print")
        except ValueError as error:
            raise ValueError(f"line {number}: {line!r}: {error}") from None
    return printed


def _value(expression: str, values: dict[str, int | str]) -> int | str:
    tokens = _TOKEN.findall(expression)
    if "".join(tokens) != expression.replace(" ", "") or len(tokens) not in (1, 3):
        raise ValueError("an expression is one value, or two values with +, - or * between")
    terms = [_term(token, values) for token in tokens[::2]]
    if len(terms) == 1:
        return terms[0]
    left, right = terms
    kinds, sign = {type(left), type(right)}, tokens[1]
    if sign == "+" and len(kinds) == 1:
        return left + right
    if sign in ("-", "*") and kinds == {int}:
        return left - right if sign == "-" else left * right
    raise ValueError(f"{sign!r} does not join these values")


def _term(token: str, values: dict[str, int | str]) -> int | str:
    if token.isdigit():
        return int(token)
    if token.startswith('"'):
        return token[1:-1]
    if token not in values:
        raise ValueError(f"{token!r} has no value")
    return values[token]


class Program:
    """Two or three assignments and one or two prints, with the output that follows from them."""

    @rule
    def document(self):
        return [
            (1.0, "Program:\n", self.assign((), n, prints))
            for n, prints in ((1, 1), (1, 2), (2, 1), (2, 2), (3, 1))
        ]

    @rule
    def assign(self, values: tuple, left: int, prints: int):
        """Give the next name a value; ``values`` are those of the names so far."""
        if left == 0:
            return [(1.0, self.show(values, (), prints))]
        name = NAMES[len(values)]
        options = [(w, expression, value) for w, expression, value in _expressions(values)]
        return [
            (w, f"{name} = {expression}\n", self.assign((*values, value), left - 1, prints))
            for w, expression, value in options
        ]

    @rule
    def show(self, values: tuple, printed: tuple, left: int):
        if left == 0:
            lines = "".join(f"\n{line}" for line in printed)
            return [(1.0, f"Output:{lines}", Note("answer", printed))]
        options = []
        for name, value in zip(NAMES, values, strict=False):
            options.append((2.0, f"print {name}\n", (value,)))
            options += [(0.5, f"print {name} + {n}\n", (value + n,)) for n in (1, 2, 5)]
        for times in (2, 3):
            for word in WORDS:
                options.append((0.2, f'repeat {times}: print "{word}"\n', (word,) * times))
        return [(w, text, self.show(values, printed + out, left - 1)) for w, text, out in options]


def _expressions(values: tuple) -> list[tuple[float, str, int]]:
    """Right-hand sides whose value stays within ``0..LIMIT``: ``(weight, text, value)``."""
    if not values:
        return [(1.0, str(n), n) for n in range(1, 10)]
    options = [(0.25, str(n), n) for n in range(1, 10)]
    for name, value in zip(NAMES, values, strict=False):
        options += [(0.5, f"{name} + {n}", value + n) for n in (1, 2, 3, 5)]
        options += [(0.5, f"{name} - {n}", value - n) for n in range(1, 4)]
        options += [(0.5, f"{name} * {n}", value * n) for n in (2, 3)]
        options += [
            (1.0, f"{name} + {other}", value + second)
            for other, second in zip(NAMES, values, strict=False)
        ]
    return [option for option in options if 0 <= option[2] <= LIMIT]
