"""Unigram: encoder against `tokenizers` and brute force, trainer against brute-force EM."""

import itertools
import math
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as HFTokenizer
from tokenizers import models, pre_tokenizers

from llmlib.tokenizer import SPECIAL_TOKENS, Unigram
from llmlib.tokenizer.unigram_trainer import _Lattice

VOCAB = [("<unk>", 0.0), ("a", -2.0), ("b", -2.5), ("ab", -3.0), ("ba", -3.1), ("aba", -5.0)]


def by_hand(**options):
    return Unigram(VOCAB, unk_id=0, special_tokens={"<unk>": 0}, **options)


def segmentations(text, pieces):
    """All ways to write `text` as pieces."""
    for cuts in itertools.product([False, True], repeat=len(text) - 1):
        edges = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), len(text)]
        parts = [text[i:j] for i, j in itertools.pairwise(edges)]
        if all(part in pieces for part in parts):
            yield parts


@pytest.mark.parametrize("text", ["a", "ab", "aba", "abab", "babba", "abaabab"])
def test_viterbi_is_the_best_of_all(text):
    scores = dict(VOCAB)
    best = max(sum(scores[p] for p in parts) for parts in segmentations(text, scores))
    tokenizer = by_hand()
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.log_prob(ids) == pytest.approx(best)


def test_unknown_neighbours_are_one_token_without_bytes():
    tokenizer = by_hand(byte_fallback=False)
    assert tokenizer.encode("axyzb") == [1, 0, 2]
    hf = HFTokenizer(models.Unigram(VOCAB, 0, False))
    hf.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    for text in ("axyzb", "xx ab yy", "abab  x", "aba\u2581", "日a本"):
        assert tokenizer.encode(text) == hf.encode(text).ids


def test_a_text_full_of_byte_names_teaches_no_piece_that_reads_as_a_byte():
    text = "<|end|><0x41> a cat.\n" * 30
    tokenizer = Unigram.train(text, 420, special_tokens=SPECIAL_TOKENS)
    assert tokenizer.decode(tokenizer.encode("<0x41>")) == "<0x41>"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    names = [piece for piece, _ in tokenizer.vocab]
    assert len(names) == len(set(names))


@pytest.fixture(scope="module")
def trained(made_up):
    return Unigram.train(made_up[:80_000], 600, special_tokens=SPECIAL_TOKENS)


@pytest.fixture(scope="module")
def trained_hf(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("unigram") / "tokenizer.json"
    trained.save(path)
    return HFTokenizer.from_file(str(path))


SPELLINGS = st.sampled_from(["<0x41>", "<unk>", "<|end|>", "  ", "\u2581", "ta", "né", " 27", "\n"])


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(st.text() | SPELLINGS))
def test_fuzz_equals_tokenizers_and_comes_back(trained, trained_hf, parts):
    text = "".join(parts)
    ids = trained.encode(text, allowed_special="all")
    assert ids == trained_hf.encode(text).ids
    assert trained.decode(ids, errors="strict") == text.replace("\u2581", " ")
    assert trained.decode(trained.encode(text), errors="strict") == text.replace("\u2581", " ")


def test_trained_vocabulary(trained, made_up):
    assert trained.vocab_size == 600
    assert trained.special_tokens == {
        name: id for id, name in enumerate([*SPECIAL_TOKENS, "<unk>"])
    }
    pieces = trained.vocab[14 + 256 :]
    assert sum(math.exp(score) for _, score in pieces) == pytest.approx(1.0)
    assert [score for _, score in pieces] == sorted((s for _, s in pieces), reverse=True)
    ids = trained.encode(made_up[:80_000])
    assert len(ids) < 0.6 * len(made_up[:80_000])


def test_more_pieces_fit_better(made_up):
    text = made_up[:40_000]
    tokenizers = [Unigram.train(text, size) for size in (400, 600, 1000)]
    scores = [tokenizer.log_prob(tokenizer.encode(text)) for tokenizer in tokenizers]
    assert scores == sorted(scores)


def test_expected_counts_equal_brute_force():
    words = {"abab": 3, "ba": 2, "aabba": 1, "b": 4}
    pieces = ["a", "b", "ab", "ba", "aba", "abab"]
    log_prob = np.log([0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
    scores = dict(zip(pieces, log_prob, strict=True))
    expected = Counter()
    for word, count in words.items():
        ways = list(segmentations(word, scores))
        weights = [math.exp(sum(scores[p] for p in parts)) for parts in ways]
        for parts, weight in zip(ways, weights, strict=True):
            for part in parts:
                expected[part] += count * weight / sum(weights)
    id_of = {piece: id for id, piece in enumerate(pieces)}
    lattice = _Lattice(list(words), id_of, 16, list(words.values()))
    got = lattice.expected_counts(log_prob, len(pieces))
    assert got == pytest.approx([expected[piece] for piece in pieces])
    without = _Lattice(["aba", "abab"], id_of, 16, [1, 1], whole=False).best_scores(log_prob)
    best = [
        max(
            sum(scores[p] for p in parts) for parts in segmentations(word, scores) if len(parts) > 1
        )
        for word in ("aba", "abab")
    ]
    assert without == pytest.approx(best)


def test_samples_follow_the_distribution():
    """4,000 draws against exact probabilities; 4.5 standard deviations allowed."""
    tokenizer, scores, draws = by_hand(), dict(VOCAB), 4000
    for alpha in (0.5, 1.0):
        weights = {
            tuple(parts): math.exp(alpha * sum(scores[p] for p in parts))
            for parts in segmentations("abab", scores)
        }
        rng = random.Random(0)
        seen = Counter(
            tuple(VOCAB[id][0] for id in tokenizer.sample("abab", alpha=alpha, rng=rng))
            for _ in range(draws)
        )
        assert seen.keys() <= weights.keys()
        for parts, weight in weights.items():
            p = weight / sum(weights.values())
            assert abs(seen[parts] / draws - p) < 4.5 * math.sqrt(p * (1 - p) / draws)


def test_a_long_run_is_not_quadratic(trained):
    ids = trained.encode("a" * 200_000)
    assert trained.decode(ids) == "a" * 200_000


def test_the_price_of_an_unknown_character_is_that_of_tokenizers():
    """ "ab" + "c" costs 40 nats; an unknown "a" and "bc" cost 20 + 10 + 10.5 and so must lose."""
    for bc, names in ((-10.5, ["ab", "c"]), (-9.5, ["<unk>", "bc"])):
        vocab = [("<unk>", 0.0), ("ab", -20.0), ("c", -20.0), ("bc", bc)]
        hf = HFTokenizer(models.Unigram(vocab, 0, False))
        ids = Unigram(vocab, unk_id=0, byte_fallback=False).encode("abc")
        assert ids == hf.encode("abc").ids
        assert [vocab[id][0] for id in ids] == names
