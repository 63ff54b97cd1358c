r"""Regular expressions, read into a small tree: the first half of decoding within a pattern.

`parse(pattern)` gives a tree of five kinds of node, and `automaton.compile_tree` makes of it a
machine that reads bytes. The syntax is that of Python's `re`, matched against the whole text
(`re.fullmatch`), with ``\d \w \s`` as under `re.ASCII`:

    literals, .  [a-z]  [^a-z]  \d \w \s \D \W \S  \n \t \r \f \v \a  \xhh \uhhhh \Uhhhhhhhh
    (…) (?:…) (?P<name>…)  a|b  * + ? {m} {m,} {,n} {m,n}  ^ and $ around the whole pattern

Lazy quantifiers (``*?``) match the same texts as greedy ones. What no finite automaton can do
(backreferences), and what is left out here (lookaround, word boundaries, flags, possessive
quantifiers), raises ValueError.
"""

from __future__ import annotations

from typing import NamedTuple

MAX_REPEAT = 1000
LAST = 0x10FFFF
Ranges = tuple[tuple[int, int], ...]  # of code points, both ends included, sorted, apart


class Chars(NamedTuple):
    """One character out of a set."""

    ranges: Ranges


class Seq(NamedTuple):
    """One part after the other; none at all is the empty text."""

    parts: tuple[Node, ...]


class Either(NamedTuple):
    """Any one of the options; without options it matches nothing, not even the empty text."""

    options: tuple[Node, ...]


class Repeat(NamedTuple):
    """`part` from `low` to `high` times; no `high` is any number."""

    part: Node
    low: int
    high: int | None


class Both(NamedTuple):
    """What two nodes match alike: no syntax for it, JSON Schema needs it."""

    one: Node
    other: Node


Node = Chars | Seq | Either | Repeat | Both


def char_set(*ranges: tuple[int, int]) -> Chars:
    """The characters in any of the ranges; surrogates, which no UTF-8 holds, are left out."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    parts = []
    for low, high in merged:
        parts += [(low, min(high, 0xD7FF)), (max(low, 0xE000), high)]
    return Chars(tuple((low, high) for low, high in parts if low <= high))


def complement(chars: Chars) -> Chars:
    """Every character that is not in the set."""
    edges = [-1, *(edge for pair in chars.ranges for edge in pair), LAST + 1]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return char_set(*((low + 1, high - 1) for low, high in gaps if low + 1 <= high - 1))


def literal(text: str) -> Node:
    """Exactly this text."""
    return Seq(tuple(char_set((ord(char), ord(char))) for char in text))


def _pick(*spans: str) -> Chars:
    return char_set(*((ord(span[0]), ord(span[-1])) for span in spans))


ANY = char_set((0, LAST))
_CLASSES = {"d": _pick("09"), "w": _pick("09", "AZ", "_", "az"), "s": _pick("\t\r", " ")}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_HEX = {"x": 2, "u": 4, "U": 8}


def parse(pattern: str, *, search: bool = False, portable: bool = False) -> Node:
    r"""The tree of a pattern that the whole text must match.

    search: the pattern may match anywhere in the text, except where ^ and $ tie it (`re.search`).
    portable: refuse what dialects read differently (\D, \W, \S, and [^…] around a \d, \w or \s:
        JavaScript counts ASCII only, Python all of Unicode), and let . match no line break of any.

    Raises ValueError with the place in the pattern for what is malformed or not supported.
    """
    if not isinstance(pattern, str):
        raise ValueError(f"a pattern is a string, not {type(pattern).__name__}")
    return _Parser(pattern, search, portable).whole()


class _Parser:
    """Recursive descent, one method a level: alternatives, sequence, quantifier, atom, class."""

    def __init__(self, pattern: str, search: bool, portable: bool):
        self.pattern, self.at, self.portable, self.search = pattern, 0, portable, search
        line_breaks = "\n\r\u2028\u2029" if portable else "\n"
        self.dot = complement(_pick(*line_breaks))

    def whole(self) -> Node:
        """Alternatives, each of which may be tied to the ends by ^ and $."""
        options = []
        while True:
            tied_left = self.take("^")
            node = self.sequence()
            tied_right = self.take("$")
            if self.search:
                anything = (Repeat(ANY, 0, None),)
                left, right = () if tied_left else anything, () if tied_right else anything
                node = Seq((*left, node, *right))
            options.append(node)
            if not self.take("|"):
                break
        if self.at < len(self.pattern):
            self.fail("unbalanced )" if self.peek() == ")" else "^ and $ stand at the ends only")
        return options[0] if len(options) == 1 else Either(tuple(options))

    def alternatives(self) -> Node:
        options = [self.sequence()]
        while self.take("|"):
            options.append(self.sequence())
        return options[0] if len(options) == 1 else Either(tuple(options))

    def sequence(self) -> Node:
        parts = []
        while self.peek() and self.peek() not in "|)$":
            parts.append(self.quantified())
        return parts[0] if len(parts) == 1 else Seq(tuple(parts))

    def quantified(self) -> Node:
        atom = self.atom()
        bounds = self.quantifier()
        if bounds is None:
            return atom
        low, high = bounds
        if self.take("+"):
            self.fail("possessive quantifiers are not supported")
        self.take("?")  # lazy: another order of trying, the same texts
        again = self.at
        if self.quantifier() is not None:
            self.at = again
            self.fail("multiple repeat")
        return Repeat(atom, low, high)

    def quantifier(self) -> tuple[int, int | None] | None:
        for mark, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.take(mark):
                return bounds
        end = self.pattern.find("}", self.at)
        if self.peek() != "{" or end < 0:
            return None
        first, comma, second = self.pattern[self.at + 1 : end].partition(",")
        if not _is_count(first) or not _is_count(second) or not (first or comma):
            return None  # an ordinary brace, as in `re`
        low = int(first or 0)
        high = (int(second) if second else None) if comma else low
        if max(low, high or 0) > MAX_REPEAT:
            self.fail(f"more than {MAX_REPEAT} repeats")
        if high is not None and high < low:
            self.fail(f"the most, {high}, is below the least, {low}")
        self.at = end + 1
        return low, high

    def atom(self) -> Node:
        char = self.next()
        if char == "(":
            return self.group()
        if char == "[":
            return self.char_class()
        if char == ".":
            return self.dot
        if char == "\\":
            return self.escape(in_class=False)
        if char in "*+?":
            self.fail("nothing to repeat", back=1)
        if char == "^":
            self.fail("^ and $ stand at the ends only", back=1)
        if char == "{":
            self.at -= 1
            if self.quantifier() is not None:
                self.fail("nothing to repeat")
            self.at += 1
        return char_set((ord(char), ord(char)))

    def group(self) -> Node:
        if self.take("?") and not self.take(":"):
            if self.pattern.startswith("P<", self.at) and ">" in self.pattern[self.at :]:
                self.at = self.pattern.index(">", self.at) + 1
            elif any(self.pattern.startswith(s, self.at) for s in ("=", "!", "<=", "<!")):
                self.fail("lookahead and lookbehind are not supported")
            elif self.pattern.startswith("P=", self.at):
                self.fail("backreferences are not supported: no finite automaton can follow them")
            else:
                self.fail("groups are (…), (?:…) or (?P<name>…); flags are not supported")
        node = self.alternatives()
        if not self.take(")"):
            self.fail("^ and $ stand at the ends only" if self.peek() == "$" else "missing )")
        return node

    def escape(self, in_class: bool) -> Chars:
        if not self.peek():
            self.fail("a pattern cannot end in a lone backslash")
        char = self.next()
        if char.lower() in _CLASSES:
            chars = _CLASSES[char.lower()]
            if char.islower():
                return chars
            if self.portable:
                self.fail(f"\\{char} means different things in different languages", back=2)
            return complement(chars)
        if char in _HEX:
            digits = self.pattern[self.at : self.at + _HEX[char]]
            self.at += len(digits)
            try:
                code = int(digits, 16) if len(digits) == _HEX[char] and digits.isalnum() else -1
            except ValueError:
                code = -1
            if not 0 <= code <= LAST or 0xD800 <= code <= 0xDFFF:
                self.fail(f"\\{char} needs {_HEX[char]} hexadecimal digits of a character")
            return char_set((code, code))
        if char in _CONTROLS or (char == "b" and in_class):
            code = ord(_CONTROLS.get(char, "\b"))
            return char_set((code, code))
        if char.isascii() and char.isalnum():
            if char in "123456789" and not in_class:
                self.fail("backreferences are not supported: no finite automaton can follow them")
            self.fail(f"\\{char} is not supported", back=2)
        return char_set((ord(char), ord(char)))

    def char_class(self) -> Chars:
        negated, ranges, has_class = self.take("^"), [], False
        start = self.at
        while self.peek() != "]" or self.at == start:
            low, one = self.class_member()
            has_class |= not one
            if self.peek() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high, other = self.class_member()
                if not (one and other) or high.ranges[0][0] < low.ranges[0][0]:
                    self.fail("a range goes from one character to a later one")
                ranges.append((low.ranges[0][0], high.ranges[0][0]))
            else:
                ranges += low.ranges
        self.at += 1
        if negated and has_class and self.portable:
            self.fail("[^…] with a class in it means different things in different languages")
        chars = char_set(*ranges)
        return complement(chars) if negated else chars

    def class_member(self) -> tuple[Chars, bool]:
        """A character or class, and whether it is a single character."""
        if not self.peek():
            self.fail("missing ]")
        char = self.next()
        if char != "\\":
            return char_set((ord(char), ord(char))), True
        one = self.peek().lower() not in _CLASSES or not self.peek()
        return self.escape(in_class=True), one

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def next(self) -> str:
        self.at += 1
        return self.pattern[self.at - 1]

    def take(self, text: str) -> bool:
        found = self.pattern.startswith(text, self.at)
        self.at += len(text) if found else 0
        return found

    def fail(self, why: str, back: int = 0) -> None:
        raise ValueError(f"pattern {self.pattern!r}, at {self.at - back}: {why}")


def _is_count(text: str) -> bool:
    return text == "" or (text.isascii() and text.isdigit())
