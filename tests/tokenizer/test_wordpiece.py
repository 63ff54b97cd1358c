"""WordPiece: the greedy encoder by hand and against `tokenizers`, the trainer by its definition."""

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as HFTokenizer

from llmlib.tokenizer import WordPiece
from llmlib.tokenizer.wordpiece_trainer import learn_pieces

VOCAB = ["[UNK]", "un", "##able", "##aff", "##a", "##b", "a", "unaff", "##ff", ",", "##le"]


def by_hand():
    return WordPiece({name: id for id, name in enumerate(VOCAB)}, special_tokens={"[UNK]": 0})


def test_longest_match_first_by_hand():
    tokenizer = by_hand()
    names = [VOCAB[id] for id in tokenizer.encode("unaffable, un ba")]
    assert names == ["unaff", "##able", ",", "un", "[UNK]"]
    assert tokenizer.decode(tokenizer.encode("unaffable, un")) == "unaffable , un"
    assert tokenizer.encode("[UNK]", allowed_special="all") == [0]
    assert tokenizer.token_bytes(2) == b"able"


def test_a_word_over_the_limit_is_unknown():
    tokenizer = by_hand()
    assert tokenizer.encode("a" * 100) == [VOCAB.index("a")] + [VOCAB.index("##a")] * 99
    assert tokenizer.encode("a" * 101) == [0]


@pytest.fixture(scope="module")
def trained(made_up, tmp_path_factory):
    tokenizer = WordPiece.train(made_up[:100_000], 500, special_tokens=["[PAD]"])
    path = tmp_path_factory.mktemp("wordpiece") / "tokenizer.json"
    tokenizer.save(path)
    return tokenizer, HFTokenizer.from_file(str(path))


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.characters(max_codepoint=0x5FF) | st.sampled_from("aeiou bdfg.,")))
def test_fuzz_equals_tokenizers(trained, text):
    ours, theirs = trained
    assert ours.encode(text, allowed_special="all") == theirs.encode(text).ids


def test_known_words_come_back(trained, made_up):
    tokenizer, _ = trained
    words = " ".join(made_up[:5000].replace(",", " , ").replace(".", " . ").split())
    assert tokenizer.decode(tokenizer.encode(words)) == words


def naive_pieces(words, n_pieces, min_frequency):
    """The definition: compute every pair's gain anew before every merge."""
    spelled = {word: [word[0], *("##" + c for c in word[1:])] for word in words}
    pieces = sorted({part for parts in spelled.values() for part in parts})
    while len(pieces) < n_pieces:
        parts_count, pairs = Counter(), Counter()
        for word, parts in spelled.items():
            for part in parts:
                parts_count[part] += words[word]
            for pair in pairwise(parts):
                pairs[pair] += words[word]
        total = parts_count.total()

        def gain(pair, pairs=pairs, parts_count=parts_count, total=total):
            expected = parts_count[pair[0]] * parts_count[pair[1]] / total
            return pairs[pair] * math.log(pairs[pair] / expected)

        frequent = [pair for pair in pairs if pairs[pair] >= min_frequency]
        if not frequent or gain(best := max(frequent, key=gain)) <= 0:
            break
        merged = best[0] + best[1].removeprefix("##")
        pieces += [] if merged in pieces else [merged]
        for parts in spelled.values():
            place = 0
            while place < len(parts) - 1:
                if (parts[place], parts[place + 1]) == best:
                    parts[place : place + 2] = [merged]
                place += 1
    return pieces


def test_training_equals_the_naive_definition():
    """Counts that are far apart, so that no two gains are equal."""
    names = [
        "low",
        "lower",
        "lowest",
        "newer",
        "newest",
        "wider",
        "wide",
        "new",
        "widen",
        "slow",
        "slower",
    ]
    words = {name: 3 + 7 * place * place for place, name in enumerate(names)}
    assert learn_pieces(words, 40, min_frequency=2) == naive_pieces(words, 40, 2)


def test_likelihood_rises_with_every_merge(made_up):
    """What the gain approximates: the log-likelihood per word of the training text."""
    words = Counter(made_up[:60_000].split())

    def nats(n_pieces):
        pieces = learn_pieces(words, n_pieces)
        names = {name: id for id, name in enumerate(["[UNK]", *pieces])}
        tokenizer = WordPiece(names, pattern=r"\S+")
        used = Counter()
        for word, count in words.items():
            for id in tokenizer.encode(word):
                used[id] += count
        assert 0 not in used
        return sum(n * math.log(used.total() / n) for n in used.values())

    losses = [nats(n) for n in (120, 200, 400, 800)]
    assert losses == sorted(losses, reverse=True)


def test_a_small_alphabet_makes_words_unknown():
    tokenizer = WordPiece.train("aaa bbb aab zzz", 20, alphabet_size=2)
    assert tokenizer.encode("zab") == [tokenizer.vocab["[UNK]"]]
    assert tokenizer.vocab["[UNK]"] not in tokenizer.encode("aab bbb")


def test_a_special_token_is_not_formed_or_spelled():
    tokenizer = WordPiece.train("pad pad pad " * 9, 30, special_tokens=["pad"])
    assert tokenizer.encode("pad", allowed_special={"pad"}) == [0]
    assert 0 not in tokenizer.encode("pad")
