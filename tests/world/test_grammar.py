"""The engine on toy grammars small enough to enumerate by hand."""

import math
import random
from collections import Counter

import pytest

from llmlib.world import Draw, Grammar, Note, Pool, Rule, rule, zipf


class Toy:
    """A word of the letter a with geometric length up to 4, ended by a stop or a bang."""

    @rule
    def word(self, left):
        if left == 0:
            return [(1, "", self.end())]
        return [(3, "a", self.word(left - 1)), (1, "", self.end())]

    @rule
    def end(self):
        return [(1, "."), (3, "!")]

    @rule
    def ambiguous(self):
        return [(1, "aa", self.end()), (2, "a", self.letter()), (1, "b.")]

    @rule
    def letter(self):
        return [(1, "a."), (1, "a!")]


@pytest.fixture
def toy():
    return Grammar(), Toy()


def every_text(root: Rule, p: float = 1.0):
    """All (text, probability) of derivations, by brute force."""
    stack = [((root,), "", p)]
    while stack:
        parts, text, p = stack.pop()
        if not parts:
            yield text, p
        elif isinstance(parts[0], str):
            stack.append((parts[1:], text + parts[0], p))
        elif isinstance(parts[0], Note):
            stack.append((parts[1:], text, p))
        else:
            listed = parts[0].expand(*parts[0].args)
            listed = listed.options() if isinstance(listed, Draw) else listed
            total = sum(option[0] for option in listed)
            for weight, *more in listed:
                stack.append(((*more, *parts[1:]), text, p * weight / total))


def test_log_prob_is_the_enumerated_probability(toy):
    grammar, toy = toy
    table = Counter()
    for text, p in every_text(toy.word(4)):
        table[text] += p
    assert math.isclose(sum(table.values()), 1)
    for text, p in table.items():
        assert math.isclose(grammar.log_prob(toy.word(4), text), math.log(p), rel_tol=1e-12)
    for text in ("", "a", "aaaaa.", "a.!", "A.", "ba."):
        assert grammar.log_prob(toy.word(4), text) == -math.inf


def test_ambiguous_derivations_are_summed(toy):
    grammar, toy = toy
    # "aa." = 1/4 · 1/4 + 2/4 · 1/2
    assert math.isclose(math.exp(grammar.log_prob(toy.ambiguous(), "aa.")), 1 / 16 + 1 / 4)
    assert math.isclose(math.exp(grammar.log_prob(toy.ambiguous(), "aa!")), 3 / 16 + 1 / 4)


def test_measure_is_the_enumerated_entropy_and_length(toy):
    grammar, toy = toy
    rows = list(every_text(toy.word(4)))
    measured = grammar.measure(toy.word(4))
    assert math.isclose(measured.nats, -sum(p * math.log(p) for _, p in rows))
    assert math.isclose(measured.bytes, sum(p * len(t) for t, p in rows))


def test_prefix_probability_sums_over_continuations(toy):
    grammar, toy = toy
    root = toy.word(4)
    rows = list(every_text(root))
    for prefix in ("", "a", "aa", "aaaa", "aa!", "!", "b", "aaaaa"):
        want = sum(p for t, p in rows if t.startswith(prefix))
        got = grammar.log_prob_prefix(root, prefix)
        assert got == -math.inf if want == 0 else math.isclose(math.exp(got), want)


class Named:
    """Three people of different lengths, drawn without replacement and copied."""

    def __init__(self):
        self.pool = Pool(("Io", "Mara", "Esmerelda"))
        self.pairs = Pool((("x", "long one"), ("yy", "z")), (1, 2))

    @rule
    def document(self):
        return Draw(self.pool, lambda a: (f"{a} and ", self.second(a)))

    @rule
    def second(self, a):
        return Draw(self.pool, lambda b: (f"{b}, {a}; ", self.pair()), (a,))

    @rule
    def pair(self):
        return Draw(self.pairs, lambda pair: (f"{pair[0]} {pair[1]} {pair[1]}",))


def test_a_draw_is_measured_by_one_representative_exactly():
    grammar, named = Grammar(), Named()
    rows = list(every_text(named.document()))
    assert len(rows) == 3 * 2 * 2
    measured = grammar.measure(named.document())
    assert math.isclose(measured.nats, -sum(p * math.log(p) for _, p in rows))
    assert math.isclose(measured.bytes, sum(p * len(t) for t, p in rows))
    for text, p in rows:
        assert math.isclose(grammar.log_prob(named.document(), text), math.log(p))
        for cut in range(0, len(text), 3):
            want = sum(q for t, q in rows if t.startswith(text[:cut]))
            got = grammar.log_prob_prefix(named.document(), text[:cut])
            assert math.isclose(math.exp(got), want)


def test_samples_follow_the_probabilities():
    grammar, toy, rng = Grammar(), Toy(), random.Random(0)
    n, seen = 20_000, Counter()
    for _ in range(n):
        text, log_p, _ = grammar.sample(toy.word(4), rng)
        assert math.isclose(log_p, grammar.log_prob(toy.word(4), text))
        seen[text] += 1
    for text, p in every_text(toy.word(4)):
        assert abs(seen[text] / n - p) < 5 * math.sqrt(p * (1 - p) / n)


def test_notes_stand_where_they_were_written():
    class Noted:
        @rule
        def document(self):
            return [(1, "ab", Note("here", 1), "c", Note("there", 2))]

    text, _, notes = Grammar().sample(Noted().document(), random.Random(0))
    assert text == "abc"
    assert [(n.offset, n.key, n.value) for n in notes] == [(2, "here", 1), (3, "there", 2)]


def test_bad_grammars_are_refused_with_a_reason():
    with pytest.raises(ValueError, match="one positive weight"):
        Pool(("a", "b"), (1,))
    with pytest.raises(ValueError, match="one positive weight"):
        Pool(("a", "b"), (1, 0))
    with pytest.raises(ValueError, match="equal weights"):
        Draw(Pool(("a", "b"), (1, 2)), str, used=("a",))

    class Empty:
        @rule
        def document(self):
            return []

    with pytest.raises(ValueError, match="at least one option"):
        Grammar().sample(Empty().document(), random.Random(0))


def test_zipf_is_zipf_mandelbrot():
    assert zipf(3, 0) == [1, 1, 1]
    assert zipf(2, 1, offset=0) == [1, 1 / 2]
    assert zipf(2, 2, offset=1) == [1 / 4, 1 / 9]
