"""How numbers between two bounds are written, as trees: [3, 17] is ``[3-9]|1[0-7]``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from .regex import Both, Either, Node, Repeat, Seq, char_set, literal

DIGITS_BEFORE, DIGITS_BEHIND = 11, 4  # fifteen in all: a float holds them, and repr writes them out
_UNIT = 10**DIGITS_BEHIND
_PRECISION = f" (numbers are written with at most {DIGITS_BEHIND} digits behind the point)"


def _digit(low: str = "0", high: str = "9") -> Node:
    return char_set((ord(low), ord(high)))


def whole_bounds(schema: Mapping, digits: int) -> tuple[int | None, int | None]:
    """The least and the greatest value in units of 10^-digits, None where there is no bound.

    Raises ValueError, naming the keywords, for a bound that is no number and for an empty range.
    """
    unit, lows, highs = 10**digits, [], []
    for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if key not in schema:
            continue
        value = schema[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not _finite(value):
            raise ValueError(f"{key} is a number, not {value!r}")
        exact = Fraction(repr(value)) * unit
        if key.endswith("inimum"):
            lows.append(math.floor(exact) + 1 if key.startswith("ex") else math.ceil(exact))
        else:
            highs.append(math.ceil(exact) - 1 if key.startswith("ex") else math.floor(exact))
    low, high = max(lows, default=None), min(highs, default=None)
    if low is not None and high is not None and low > high:
        keys = " and ".join(key for key in schema if key.lower().endswith(("minimum", "maximum")))
        raise ValueError(f"{keys}: no value fits" + (_PRECISION if digits else ""))
    return low, high


def integer_tree(low: int | None, high: int | None) -> Node:
    """Whole numbers from `low` to `high`, without leading zeros; None is no bound."""
    options = []
    if high is None or high >= 0:
        options.append(_from_zero(max(low or 0, 0), high))
    if low is None or low < 0:
        least = 1 if high is None else max(1, -high)
        options.append(Seq((literal("-"), _from_zero(least, None if low is None else -low))))
    return Either(tuple(options))


def number_tree(low: int | None, high: int | None) -> Node:
    """Numbers from `low` to `high`, both in units of 10^-4: at most four digits behind the point.

    At most eleven are before it, and a last zero stands only in ".0": so `repr` writes floats.
    """
    largest = 10**DIGITS_BEFORE * _UNIT - 1
    low, high = (-largest if low is None else low), (largest if high is None else high)
    if low > largest or high < -largest:
        raise ValueError(
            f"minimum, maximum: numbers of over {DIGITS_BEFORE} digits are not written"
        )
    low, high = max(low, -largest), min(high, largest)
    options = []
    if high >= 0:
        options.append(_with_fraction(max(low, 0), high))
    if low < 0:
        options.append(Seq((literal("-"), _with_fraction(max(1, -high), -low))))
    return Either(tuple(options))


def _with_fraction(low: int, high: int) -> Node:
    """Numbers of at least 0, in units of 10^-4: by the part before the point."""
    (first, low_rest), (last, high_rest) = divmod(low, _UNIT), divmod(high, _UNIT)
    if first == last:
        return Seq((_from_zero(first, first), _fraction(low_rest, high_rest)))
    options = [
        Seq((_from_zero(first, first), _fraction(low_rest, _UNIT - 1))),
        Seq((_from_zero(last, last), _fraction(0, high_rest))),
    ]
    if last - first > 1:
        options.append(Seq((_from_zero(first + 1, last - 1), _fraction(0, _UNIT - 1))))
    return Either(tuple(options))


def _fraction(low: int, high: int) -> Node:
    """The point and what follows, worth `low` to `high` in units of 10^-4; nothing is worth 0."""
    options: list[Node] = [Seq(())] if low == 0 else []
    for n in range(1, DIGITS_BEHIND + 1):
        unit = 10 ** (DIGITS_BEHIND - n)
        least, most = -(-low // unit), high // unit
        if least <= most:
            digits = _between(f"{least:0{n}}", f"{most:0{n}}")
            if n > 1:
                digits = Both(digits, Seq((Repeat(_digit(), n - 1, n - 1), _digit("1"))))
            options.append(Seq((literal("."), digits)))
    return Either(tuple(options))


def _from_zero(low: int, high: int | None) -> Node:
    """Whole numbers from `low` >= 0 to `high`, by their number of digits."""
    options, shortest = [], len(str(low))
    longest = shortest if high is None else len(str(high))
    for n in range(shortest, longest + 1):
        least = max(low, 10 ** (n - 1) if n > 1 else 0)
        most = 10**n - 1 if high is None else min(high, 10**n - 1)
        options.append(_between(str(least), str(most)))
    if high is None:
        options.append(Seq((_digit("1"), Repeat(_digit(), longest, None))))
    return Either(tuple(options))


def _between(low: str, high: str) -> Node:
    """Digit strings of one length, from `low` to `high` in the order of the alphabet."""
    n = len(low)
    if low == "0" * n and high == "9" * n:
        return Repeat(_digit(), n, n)
    if low[0] == high[0]:
        return Seq((literal(low[0]), _between(low[1:], high[1:])))
    options = [
        Seq((literal(low[0]), _between(low[1:], "9" * (n - 1)))),
        Seq((literal(high[0]), _between("0" * (n - 1), high[1:]))),
    ]
    if int(high[0]) - int(low[0]) > 1:
        middle = _digit(chr(ord(low[0]) + 1), chr(ord(high[0]) - 1))
        options.append(Seq((middle, Repeat(_digit(), n - 1, n - 1))))
    return Either(tuple(options))


def _finite(value: int | float) -> bool:
    return isinstance(value, int) or math.isfinite(value)
