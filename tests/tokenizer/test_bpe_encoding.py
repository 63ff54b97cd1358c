"""Ids equal those of `tokenizers` and `tiktoken`; every string and byte string comes back."""

import base64
import random
import time
import unicodedata

import numpy as np
import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, models, pre_tokenizers
from tokenizers import Tokenizer as HFTokenizer

from llmlib.tokenizer import BPE, GPT2_PATTERN, GPT4_PATTERN, SPECIAL_TOKENS, WORLD_PATTERN
from llmlib.tokenizer.bpe_merge import merge_long, merge_short
from llmlib.tokenizer.pretokenize import compile_pieces, split_spec

# Regular-expression engines differ on characters younger than their Unicode tables, so strings
# that are compared between engines hold only characters that this Python knows.
KNOWN = st.characters(exclude_categories=["Cs", "Cn"])


@pytest.fixture(scope="module")
def gpt2(shared):
    return BPE.from_gpt2(shared("gpt2_vocab.json"), shared("gpt2_merges.txt"))


@pytest.fixture(scope="module")
def small(made_up):
    return BPE.train(made_up[:200_000], 600, special_tokens=SPECIAL_TOKENS, pattern=WORLD_PATTERN)


@pytest.fixture(scope="module")
def small_hf(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("bpe") / "tokenizer.json"
    small.save(path)
    return HFTokenizer.from_file(str(path))


def gpt2_hf(shared):
    model = models.BPE.from_file(str(shared("gpt2_vocab.json")), str(shared("gpt2_merges.txt")))
    hf = HFTokenizer(model)
    hf.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return hf


def as_tiktoken(tokenizer, pattern):
    ranks, special = tokenizer.vocab, tokenizer.special_tokens
    return tiktoken.Encoding("test", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)


@pytest.mark.parametrize("text_name", ["shakespeare", "torture", "python_source"])
def test_gpt2_ids_equal_both_oracles(text_name, gpt2, shared, request):
    text = request.getfixturevalue(text_name)
    text = text if text_name != "python_source" else text[:300_000]
    ids = gpt2.encode(text)
    assert ids == gpt2_hf(shared).encode(text).ids
    assert ids == as_tiktoken(gpt2, GPT2_PATTERN).encode_ordinary(text)
    assert gpt2.decode(ids) == text


def test_gpt2_known_values(gpt2, shakespeare):
    assert gpt2.vocab_size == 50257
    assert len(gpt2.merges) == 50000
    assert len(gpt2.encode(shakespeare)) == 338_025
    assert gpt2.encode("Hello world") == [15496, 995]
    assert gpt2.encode("<|endoftext|>", allowed_special="all") == [50256]
    assert 50256 not in gpt2.encode("<|endoftext|>")


def test_a_version_line_is_no_merge(gpt2, shared, tmp_path):
    merges = shared("gpt2_merges.txt").read_text("utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + merges, "utf-8")
    again = BPE.from_gpt2(shared("gpt2_vocab.json"), tmp_path / "merges.txt")
    assert again.merges == gpt2.merges
    assert again.vocab == gpt2.vocab


@pytest.mark.parametrize("pattern", [GPT2_PATTERN, GPT4_PATTERN, WORLD_PATTERN])
def test_tiktoken_rank_file(pattern, made_up, torture, tmp_path):
    trained = BPE.train(made_up[:300_000] + torture, 800, pattern=pattern)
    path = tmp_path / "ranks.tiktoken"
    lines = [base64.b64encode(t) + b" %d\n" % id for t, id in trained.vocab.items()]
    path.write_bytes(b"".join(lines))
    ours = BPE.from_tiktoken(path, pattern, ["<|endoftext|>"])
    assert ours.special_tokens == {"<|endoftext|>": 800}
    oracle = as_tiktoken(ours, pattern)
    for text in (made_up[:100_000], torture):
        assert ours.encode(text) == oracle.encode_ordinary(text)
        both = ours.encode(text, allowed_special="all")
        assert both == oracle.encode(text, allowed_special="all")
    ours.save(tmp_path / "saved.json")
    assert BPE.load(tmp_path / "saved.json").encode(torture) == ours.encode(torture)
    hf = HFTokenizer.from_file(str(tmp_path / "saved.json"))
    assert hf.encode(torture).ids == ours.encode(torture, allowed_special="all")


def test_tiktoken_ranks_that_no_training_would_give(tmp_path):
    """Ranks in random order: a merge may make a pair of lower rank than its own."""
    rng = random.Random(1)
    tokens = {bytes([byte]) for byte in range(256)}
    tokens |= {bytes(rng.choices(b"ab", k=rng.randint(2, 6))) for _ in range(80)}
    ranks = list(range(len(tokens)))
    rng.shuffle(ranks)
    path = tmp_path / "ranks.tiktoken"
    pairs = zip(sorted(tokens), ranks, strict=True)
    path.write_bytes(b"".join(base64.b64encode(t) + b" %d\n" % rank for t, rank in pairs))
    ours = BPE.from_tiktoken(path, GPT2_PATTERN)
    oracle = as_tiktoken(ours, GPT2_PATTERN)
    for _ in range(300):
        text = "".join(rng.choices("ab", k=rng.choice([5, 20, 90, 600])))
        assert ours.encode(text) == oracle.encode_ordinary(text)


@settings(max_examples=150, deadline=None)
@given(text=st.text())
def test_every_string_comes_back(small, text):
    assert small.decode(small.encode(text), errors="strict") == text
    assert small.decode(small.encode(text, allowed_special="all"), errors="strict") == text


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(st.text(KNOWN) | st.sampled_from([*SPECIAL_TOKENS, "  ", "\n", "12", "'s"])))
def test_fuzz_equals_tokenizers(small, small_hf, parts):
    text = "".join(parts)
    assert small.encode(text, allowed_special="all") == small_hf.encode(text).ids


@settings(max_examples=150, deadline=None)
@given(data=st.binary())
def test_every_byte_string_comes_back(small, data):
    ids = small.encode_bytes(data)
    assert small.decode_bytes(ids) == data
    assert small.decode(ids) == data.decode("utf-8", "replace")
    replaced = small.encode(data, errors="replace")
    assert small.decode(replaced) == data.decode("utf-8", "replace")


@settings(max_examples=100, deadline=None)
@given(ids=st.lists(st.integers(0, 599)))
def test_any_ids_decode(small, ids):
    joined = b"".join(small.token_bytes(id) for id in ids)
    assert small.decode_bytes(ids) == joined
    assert small.decode(ids) == joined.decode("utf-8", "replace")
    assert small.decode(np.array(ids, dtype=np.int64)) == small.decode(ids)


@settings(max_examples=150, deadline=None)
@given(text=st.text("abc", max_size=60), seed=st.integers(0, 5))
def test_both_ways_of_merging_agree(text, seed):
    """Ranks of arbitrary order, so that the long way is interrupted by lower ranks."""
    rng = random.Random(seed)
    ids = {"a": 0, "b": 1, "c": 2}
    spelling = list(ids)
    rank, new_id = {}, {}
    order = rng.sample(range(60), 60)
    while len(rank) < 60:
        left, right = rng.choice(spelling), rng.choice(spelling)
        if (ids[left], ids[right]) in rank:
            continue
        if left + right not in ids:
            ids[left + right] = len(ids)
            spelling.append(left + right)
        rank[ids[left], ids[right]] = order[len(rank)]
        new_id[order[len(rank) - 1]] = ids[left + right]
    start = [ids[letter] for letter in text]
    assert merge_long(start, rank, new_id) == merge_short(list(start), rank, new_id)


def test_patterns_cut_as_tokenizers_does_at_known_characters():
    """Around every known character up to U+3100, which holds all white space, and some above."""
    codes = [*range(0x3100), *range(0x3100, 0x20000, 23)]
    characters = [chr(c) for c in codes if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    text = "".join(f"a {c}b 1{c}! " for c in characters)
    for pattern in (GPT2_PATTERN, GPT4_PATTERN, WORLD_PATTERN):
        theirs = pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)
        assert compile_pieces(split_spec(pattern))(text, True) == [p for p, _ in theirs]


def test_a_pattern_that_leaves_gaps_loses_nothing():
    tokenizer = BPE.train("one two three", 260, pattern=r"(\w)+")
    assert tokenizer.decode(tokenizer.encode("one, two")) == "one, two"
    assert [piece for piece, _ in tokenizer.encode_pieces("one, two")] == ["one", ", ", "two"]


def test_ten_million_equal_letters_are_not_quadratic(small):
    """Forty times the length may take at most a hundred times as long (quadratic: 1,600)."""

    def seconds(n):
        start = time.perf_counter()
        ids = small.encode("z" * n)
        duration = time.perf_counter() - start
        assert small.decode(ids) == "z" * n
        return duration

    seconds(25_000)
    assert seconds(1_000_000) < 100 * seconds(25_000)


def test_letters_of_one_long_piece_equal_tokenizers(small, small_hf):
    text = "".join(random.Random(3).choices("bdfgklmnaeiou", k=30_000))
    assert small.encode(text) == small_hf.encode(text).ids
