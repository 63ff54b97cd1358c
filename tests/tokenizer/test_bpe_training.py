"""The trainer gives the merges of `tokenizers`, and of the definition."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from tokenizers import Tokenizer as HFTokenizer
from tokenizers import models, pre_tokenizers, trainers

from llmlib.tokenizer import (
    BPE,
    GPT2_PATTERN,
    SPECIAL_TOKENS,
    WORLD_PATTERN,
    count_pieces,
    merge_steps,
)
from llmlib.tokenizer.alphabet import BYTE_ORDER


def train_hf(text, vocab_size, special_tokens=()):
    hf = HFTokenizer(models.BPE())
    hf.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=alphabet,
        special_tokens=list(special_tokens),
        show_progress=False,
    )
    hf.train_from_iterator(text.splitlines(keepends=True), trainer)
    return hf


@pytest.mark.parametrize("name", ["shakespeare", "python_source", "made_up"])
def test_merges_are_those_of_tokenizers(name, request, tmp_path):
    text = request.getfixturevalue(name)
    assert len(text.encode()) >= 1_000_000
    texts = text.splitlines(keepends=True)
    ours = BPE.train(texts, 4096, special_tokens=SPECIAL_TOKENS)
    theirs = train_hf(text, 4096, SPECIAL_TOKENS)
    theirs.save(str(tmp_path / "theirs.json"))
    loaded = BPE.load(tmp_path / "theirs.json")
    assert len(ours.merges) == 4096 - 256 - len(SPECIAL_TOKENS)
    assert ours.merges == loaded.merges
    assert ours.vocab == loaded.vocab
    assert ours.special_tokens == loaded.special_tokens


@pytest.mark.parametrize("seed", range(40))
def test_ties_and_overlaps_on_tiny_alphabets(seed, tmp_path):
    """Two to four letters: ties at every step, runs of one letter, one token made in two ways."""
    rng = random.Random(seed)
    letters = "abcd"[: rng.choice([2, 3, 4])] + " "
    text = "".join(rng.choices(letters, k=rng.choice([50, 300, 2000])))
    theirs = train_hf(text, 330)
    theirs.save(str(tmp_path / "theirs.json"))
    ours = BPE.train(text.splitlines(keepends=True), 330)
    assert ours.merges == BPE.load(tmp_path / "theirs.json").merges
    assert ours.encode(text) == theirs.encode(text).ids


def naive_merges(words, n_merges):
    """The definition: count all pairs again before every merge."""
    order = {bytes([byte]): index for index, byte in enumerate(BYTE_ORDER)}
    spelled = {word: [bytes([byte]) for byte in word] for word in words}
    merges = []
    for _ in range(n_merges):
        pairs = Counter()
        for word, parts in spelled.items():
            for pair in pairwise(parts):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], order[pair[0]], order[pair[1]]))
        merges.append((*best, pairs[best]))
        order.setdefault(best[0] + best[1], len(order))
        for parts in spelled.values():
            place = 0
            while place < len(parts) - 1:
                if (parts[place], parts[place + 1]) == best:
                    parts[place : place + 2] = [best[0] + best[1]]
                place += 1
        merges[-1] += (sum(words[word] * len(parts) for word, parts in spelled.items()),)
    return merges


def test_steps_equal_the_naive_definition(made_up):
    text = made_up[:20_000]
    steps = [tuple(step)[1:] for step in merge_steps(text, 150)]
    assert steps == naive_merges(count_pieces(text), 150)


def test_a_word_of_one_letter_by_hand():
    """Eight a's: (a, a) seven times, then (aa, aa) three times, then (aaaa, aaaa) once."""
    steps = [(step.token, step.count, step.n_tokens) for step in merge_steps("aaaaaaaa")]
    assert steps == [(b"aa", 7, 4), (b"aaaa", 3, 2), (b"aaaaaaaa", 1, 1)]


def test_training_does_not_depend_on_how_the_text_is_divided(made_up):
    lines = made_up[:100_000].splitlines(keepends=True)
    assert BPE.train(lines, 400).merges == BPE.train(iter(lines), 400).merges
    assert BPE.train("".join(lines[:1]), 300).merges == BPE.train(lines[:1], 300).merges


def test_vocabulary_stays_smaller_when_pairs_run_out():
    tokenizer = BPE.train("ab ab", 1000)
    assert tokenizer.merges == [(b"a", b"b"), (b" ", b"ab")]
    assert tokenizer.vocab_size == 258
    assert BPE.train("ab ab", 1000, min_frequency=2).merges == [(b"a", b"b")]


def test_special_tokens_come_first_and_are_never_learned():
    text = "<|pad|>" * 50 + "pad pad pad " * 50
    tokenizer = BPE.train(text, 300, special_tokens=["<|pad|>", "pad"])
    assert tokenizer.special_tokens == {"<|pad|>": 0, "pad": 1}
    assert tokenizer.vocab[b"!"] == 2
    assert b"pad" not in tokenizer.vocab
    assert b"<|" not in tokenizer.vocab


def test_world_pattern_splits_digits():
    tokenizer = BPE.train("in 1999 2024 1999 2024 " * 100, 300, pattern=WORLD_PATTERN)
    assert tokenizer.decode_bytes(tokenizer.encode("1999")) == b"1999"
    assert len(tokenizer.encode("1999")) == 4
    assert tokenizer.encode(" 1999")[1:] == tokenizer.encode("1999")
    merged = BPE.train("in 1999 2024 1999 2024 " * 100, 300, pattern=GPT2_PATTERN)
    assert len(merged.encode(" 1999")) == 1


def test_time_is_near_linear_in_one_long_word():
    """A million equal letters are one word; 21 merges are found, and they take seconds."""
    tokenizer = BPE.train("a" * 1_000_000, 400)
    assert len(tokenizer.merges) >= 19
    assert len(tokenizer.encode("a" * 1_000_000)) <= 2
