"""The pattern language against Python's `re`, on random patterns and random texts."""

import random
import re
from itertools import product

import pytest

from llmlib.generate import regex
from llmlib.generate.automaton import EmptyLanguage, compile_tree, utf8_ranges

ATOMS = [
    *"ab-é日😀 {}",
    r"\.", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", ".", "[ab]", "[^ab]", "[a-cé-ï]",
    r"[^\d]", "[]x]", "[^]x]", r"[\w-]", r"[\]a]", r"\n", r"\x41", r"\u00e9", r"\U0001f600", r"\^",
]  # fmt: skip
LETTERS = "abcé日😀.1_ \n-{}x]Aï\x85^"


def random_pattern(rng: random.Random, depth: int) -> str:
    kind = rng.choice(("atom", "atom", "sequence", "sequence", "group", "either", "repeat"))
    if depth == 0 or kind == "atom":
        return rng.choice(ATOMS)
    parts = [random_pattern(rng, depth - 1) for _ in range(rng.randint(1, 3))]
    if kind == "sequence":
        return "".join(parts)
    if kind == "either":
        return f"({'|'.join(parts)})"
    if kind == "group":
        return f"(?P<n{rng.randrange(10**9)}>{parts[0]})"
    return f"(?:{parts[0]})" + rng.choice("* + ? {2} {1,3} {,2} {2,} *? +? ??".split())


def matching_text(dfa, rng: random.Random) -> str | None:
    """Follow live arrows at random; every path must be UTF-8."""
    state, data = 0, b""
    while len(data) < 30:
        live = [byte for byte in range(256) if dfa.table[state, dfa.kinds[byte]] >= 0]
        if dfa.accepting[state] and (not live or rng.random() < 0.4):
            return data.decode()
        data += bytes([rng.choice(live)])
        state = dfa.step(state, data[-1:])
    return None


@pytest.mark.parametrize("seed", range(4))
def test_random_patterns_match_what_re_matches(seed):
    rng = random.Random(seed)
    checked, matched = 0, 0
    for _ in range(60):
        pattern = random_pattern(rng, 3)
        expected = re.compile(pattern, re.ASCII)
        dfa = compile_tree(regex.parse(pattern))
        texts = ["".join(rng.choices(LETTERS, k=rng.randrange(6))) for _ in range(30)]
        texts += [text for _ in range(8) if (text := matching_text(dfa, rng)) is not None]
        for text in texts:
            assert dfa.matches(text) == bool(expected.fullmatch(text)), (pattern, text)
            checked, matched = checked + 1, matched + bool(expected.fullmatch(text))
    assert checked > 1800 and matched > 250


@pytest.mark.parametrize(
    "pattern",
    ["^ab?$", "^a|b$", "a|", "", "()", "(a|)*b", "(a*)*", "(a*b*)*c", "x{2}{", "a{,}", "a{1", "}{",
     "[a-]", "[-a]", r"\-\/\#", "a{0}", "a{0,0}b", "((a{1,2}){2}b?){,3}", r"\$\^", "[$^]", "a{x}"],
)  # fmt: skip
def test_corners_of_the_syntax(pattern):
    expected, dfa = re.compile(pattern, re.ASCII), compile_tree(regex.parse(pattern))
    for n in range(5):
        for letters in product("abc-{x$", repeat=n):
            text = "".join(letters)
            assert dfa.matches(text) == bool(expected.fullmatch(text)), text


@pytest.mark.parametrize("pattern", ["a", "^a", "a$", "^a$", "^a|b$", "ab|^c", "a*", "^(a|b)+$"])
def test_search_finds_the_pattern_anywhere(pattern):
    dfa = compile_tree(regex.parse(pattern, search=True))
    for n in range(5):
        for letters in product("abc", repeat=n):
            text = "".join(letters)
            assert dfa.matches(text) == bool(re.search(pattern, text)), text


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(a)\1", "backreferences"), ("(?P<x>a)(?P=x)", "backreferences"), ("(?=a)", "lookahead"),
        ("(?!a)", "lookahead"), ("(?<=a)b", "lookbehind"), ("(?<!a)b", "lookbehind"),
        ("(?i)a", "flags"), ("(?>a)", "groups are"), ("a*+", "possessive"), (r"\bx", r"\\b"),
        (r"\Ax", r"\\A"), ("a**", "multiple repeat"), ("*a", "nothing to repeat"),
        ("{2}", "nothing to repeat"), ("(a", "missing \\)"), ("a)", "unbalanced"),
        ("[a", "missing ]"),
        ("[b-a]", "range"), (r"[a-\d]", "range"), ("a{3,2}", "below"), ("a{5000}", "repeats"),
        ("a^b", "ends only"), ("a$b", "ends only"), ("(a$)", "ends only"), ("a\\", "backslash"),
        (r"\x4", "hexadecimal"), (r"\ud800", "hexadecimal"), (7, "a pattern is a string"),
    ],
)  # fmt: skip
def test_what_is_not_supported_says_so(pattern, why):
    with pytest.raises(ValueError, match=why):
        regex.parse(pattern)


@pytest.mark.parametrize("pattern", [r"\D", r"\W", r"\S", r"[^\d]", r"[^a\s]", r"[\W]"])
def test_a_portable_pattern_means_the_same_everywhere(pattern):
    assert compile_tree(regex.parse(pattern)).matches("é")
    with pytest.raises(ValueError, match="different languages"):
        regex.parse(pattern, portable=True)


def test_too_large_an_automaton_is_refused():
    with pytest.raises(ValueError, match="states"):
        compile_tree(regex.parse("(a|b)*a(a|b){15}"))
    with pytest.raises(ValueError, match="states"):
        compile_tree(regex.parse("((a{1000}){1000}){1000}"))


def test_a_pattern_without_texts():
    with pytest.raises(EmptyLanguage):
        compile_tree(regex.Either(()))
    only_b = regex.Both(regex.parse("a|b"), regex.parse("b|c"))
    assert [compile_tree(only_b).matches(text) for text in "abc"] == [False, True, False]
    with pytest.raises(EmptyLanguage):
        compile_tree(regex.Both(regex.parse("a+"), regex.parse("b+")))


def test_ranges_of_characters_as_ranges_of_bytes():
    """Each range of code points becomes exactly its characters, whatever borders it crosses."""
    rng = random.Random(0)
    borders = (0, 0x7F, 0x80, 0xBF, 0x7FF, 0x800, 0xFFF, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF)
    for _ in range(400):
        low = max(0, rng.choice(borders) + rng.randint(-2, 2))
        high = min(0x10FFFF, low + rng.choice([0, 1, 63, 64, 130, 5000]))
        if low > 0x10FFFF or (low <= 0xDFFF and high >= 0xD800):
            continue
        seen = [
            bytes(choice).decode()
            for sequence in utf8_ranges(low, high)
            for choice in product(*(range(first, last + 1) for first, last in sequence))
        ]
        assert sorted(map(ord, seen)) == list(range(low, high + 1))
