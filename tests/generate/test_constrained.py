"""Constrained decoding: which tokens are allowed, what is sampled, where it ends."""

import json
import re

import numpy as np
import pytest
import regex as partial_regex
import torch

from llmlib.generate import JsonSchema, Regex, complete, generate
from llmlib.model import ModelConfig, Transformer
from llmlib.tokenizer import BPE, WordPiece

PATTERNS = [
    r"weather\((Gull Bay|\"[^\"\\\n]{0,12}\")\)",
    r"-?(0|[1-9]\d{0,9})(\.\d+)?",
    "(日本|日曜|é+|😀){0,9}!",
    r"[A-Z]\w{0,9} (is|was) \w{1,9}(, \w{1,9}){0,3}\.",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_allowed_tokens_are_those_that_can_still_match(pattern, tokenizer, walk):
    """Against the `regex` package's partial matching, for every token and many prefixes."""
    constraint, rng = Regex(pattern, tokenizer), np.random.default_rng(0)
    compiled = partial_regex.compile(pattern, partial_regex.ASCII)
    special = set(tokenizer.special_tokens.values())
    checked = 0
    for _ in range(4):
        ids = walk(constraint, rng)
        for cut in range(min(len(ids), 8) + 1):
            state = constraint.start()
            for token in ids[:cut]:
                state = constraint.advance(state, token)
            before = tokenizer.decode_bytes(ids[:cut])
            allowed = constraint.allowed(state)
            for token in range(tokenizer.vocab_size):
                try:
                    text = (before + tokenizer.token_bytes(token)).decode()
                except UnicodeDecodeError:
                    continue  # half a character, which the oracle cannot judge
                fits = bool(compiled.fullmatch(text, partial=True)) and token not in special
                assert bool(allowed[token]) == fits, (text, token)
                checked += 1
            ended = re.fullmatch(pattern, before.decode(errors="replace"), re.ASCII)
            assert constraint.done(state) == bool(ended)
    assert checked > 5000


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_walk_ends_in_a_match(pattern, tokenizer, walk):
    constraint, rng = Regex(pattern, tokenizer), np.random.default_rng(1)
    for _ in range(100):
        text = tokenizer.decode(walk(constraint, rng), errors="strict")
        assert re.fullmatch(pattern, text, re.ASCII) and constraint.matches(text)


def test_a_character_may_be_cut_into_tokens(tokenizer):
    constraint = Regex("日", tokenizer)
    singles = {
        tokenizer.token_bytes(i): i for i in range(1024) if len(tokenizer.token_bytes(i)) == 1
    }
    state = constraint.start()
    for byte in "日".encode():
        assert not constraint.done(state)
        assert constraint.allowed(state).nonzero()[:, 0].tolist() == [singles[bytes([byte])]]
        state = constraint.advance(state, singles[bytes([byte])])
    assert constraint.done(state) and not constraint.allowed(state).any()


def test_special_tokens_are_never_text(tokenizer):
    constraint = Regex(r"(.|\n)*", tokenizer)
    allowed = constraint.allowed(constraint.start())
    assert not allowed[list(tokenizer.special_tokens.values())].any()
    with pytest.raises(ValueError, match="not allowed"):
        constraint.advance(constraint.start(), tokenizer.special_tokens["<|end|>"])
    with pytest.raises(ValueError, match="not allowed"):
        constraint.advance(constraint.start(), 99_999)


@pytest.mark.parametrize("cache", [True, False])
def test_generated_rows_keep_to_the_constraint(model, tokenizer, cache):
    prompts = [[40, 50, 60], [70], [80, 90]]
    pattern = r"\d{3}(-[a-f]{2}){1,2}"
    end = tokenizer.special_tokens["<|end|>"]
    options = {"max_new_tokens": 40, "seed": 3, "cache": cache, "stop": [end]}
    rows = generate(model, prompts, constraint=Regex(pattern, tokenizer), **options)
    for row in rows:
        assert row[-1] == end and end not in row[:-1]
        assert re.fullmatch(pattern, tokenizer.decode(row[:-1], errors="strict"))
    assert rows == generate(model, prompts, constraint=[Regex(pattern, tokenizer)] * 3, **options)


def test_rows_may_have_different_constraints_or_none(model, tokenizer):
    prompts = [[40, 50, 60], [70], [80, 90]]
    rules = [Regex("[ab]{5}", tokenizer), None, JsonSchema({"type": "boolean"}, tokenizer)]
    rows = generate(model, prompts, max_new_tokens=12, constraint=rules, seed=0)
    assert re.fullmatch("[ab]{5}", tokenizer.decode(rows[0]))
    assert len(rows[1]) == 12
    assert tokenizer.decode(rows[2]) in ("true", "false")
    # the greedy text of a free row is that of a batch without constraints
    rows = generate(model, prompts, max_new_tokens=12, constraint=rules, temperature=0)
    assert rows[1] == generate(model, prompts, max_new_tokens=12, temperature=0)[1]
    with pytest.raises(ValueError, match="2 constraints for 3 prompts"):
        generate(model, prompts, max_new_tokens=2, constraint=rules[:2])


def test_the_distribution_is_the_models_over_what_is_allowed(model, tokenizer):
    constraint, n = Regex("(yes|no|never)", tokenizer), 4000
    allowed = constraint.allowed(constraint.start())
    logits = model(torch.tensor([[40, 50]]))[0, -1]
    for temperature in (1.0, 0.5):
        expected = (logits / temperature).masked_fill(~allowed, -torch.inf).softmax(-1)
        rows = generate(
            model, [[40, 50]] * n, max_new_tokens=1, constraint=constraint, seed=0,
            temperature=temperature,
        )  # fmt: skip
        seen = torch.bincount(torch.tensor(rows)[:, 0], minlength=1024) / n
        assert ((seen - expected).abs() <= 5 * (expected * (1 - expected) / n).sqrt() + 1e-9).all()


@pytest.mark.parametrize(
    "options", [{"temperature": 0}, {"top_k": 1}, {"top_k": 5}, {"top_p": 0.3}]
)
def test_filters_work_among_the_allowed(model, tokenizer, options):
    constraint = Regex("x{4}|y{9}", tokenizer)
    for row in generate(model, [[3]] * 8, max_new_tokens=12, constraint=constraint, **options):
        assert tokenizer.decode(row) in ("xxxx", "y" * 9)


def test_a_row_ends_where_nothing_more_is_allowed(model, tokenizer):
    rows = generate(model, [[3]], max_new_tokens=30, constraint=Regex("ab", tokenizer))
    assert tokenizer.decode(rows[0]) == "ab"
    assert generate(model, [[3]], max_new_tokens=9, constraint=Regex("", tokenizer)) == [[]]
    end = tokenizer.special_tokens["<|end|>"]
    rows = generate(model, [[3]], max_new_tokens=9, constraint=Regex("", tokenizer), stop=[end])
    assert rows == [[end]]


def test_a_stop_token_that_the_text_needs_is_refused(model, tokenizer):
    line = tokenizer.encode("\n")
    with pytest.raises(ValueError, match="neither go on nor end"):
        generate(model, [[3]], max_new_tokens=9, constraint=Regex("\n", tokenizer), stop=line)
    rows = generate(model, [[3]], max_new_tokens=9, constraint=Regex("a+", tokenizer), stop=line)
    assert re.fullmatch("a+\n?", tokenizer.decode(rows[0]))


def test_complete_takes_a_constraint(model, tokenizer):
    small = {"type": "integer", "minimum": 1, "maximum": 9}
    schema = {"type": "object", "properties": {"n": small}, "required": ["n"]}
    text = complete(
        model, tokenizer, "Three is ", constraint=JsonSchema(schema, tokenizer), temperature=0
    )
    assert 1 <= json.loads(text)["n"] <= 9


def test_models_and_tokenizers_that_do_not_fit(model, tokenizer):
    plain = BPE.train("ab ab", vocab_size=258)
    rows = generate(model, [[3]], max_new_tokens=9, constraint=Regex("ab", plain))
    assert plain.decode(rows[0]) == "ab"  # a smaller vocabulary: the model's other rows are closed
    with pytest.raises(ValueError, match="does not fit a model"):
        small = Transformer(ModelConfig(vocab_size=99, d_model=8, n_layers=1, n_heads=1))
        generate(small, [[3]], max_new_tokens=9, constraint=Regex("ab", tokenizer))
    words = WordPiece.train("ab ab a b", vocab_size=40)
    with pytest.raises(ValueError, match="byte-level"):
        Regex("ab", words)


def test_masks_are_computed_once_a_state(tokenizer):
    constraint = Regex("a*", tokenizer)
    first = constraint.allowed(constraint.start())
    assert (
        constraint.allowed(constraint.advance(constraint.start(), tokenizer.encode("a")[0]))
        is not None
    )
    assert constraint.allowed(constraint.start()) is first
