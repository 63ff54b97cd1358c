"""Sampling: filters against their definition, stops, seeds, the full context, strings."""

import numpy as np
import pytest
import torch

from llmlib.generate import complete, generate, sample
from llmlib.model import ModelConfig, Transformer

CONFIG = ModelConfig(vocab_size=40, d_model=32, n_layers=2, n_heads=4, max_seq_len=32, init_std=0.3)
PROMPTS = [[1, 2, 3], [4, 5, 6, 7, 8, 9], [10]]


@pytest.fixture(params=["rope", "learned", "alibi"])
def model(request):
    torch.manual_seed(0)
    return Transformer(CONFIG.replace(pos=request.param))


def test_greedy_is_the_argmax_with_and_without_cache(model):
    cached = generate(model, PROMPTS, max_new_tokens=12, temperature=0)
    assert cached == generate(model, PROMPTS, max_new_tokens=12, temperature=0, cache=False)
    for prompt, new in zip(PROMPTS, cached, strict=True):
        assert new == generate(model, prompt, max_new_tokens=12, temperature=0)[0]
        text = list(prompt)
        for token in new:
            assert model(torch.tensor([text]))[0, -1].argmax() == token
            text.append(token)


def test_sampled_text_is_the_same_with_and_without_cache(model):
    options = {"max_new_tokens": 12, "top_k": 20, "top_p": 0.95, "seed": 5}
    assert generate(model, PROMPTS, **options) == generate(model, PROMPTS, cache=False, **options)


def test_seed(model):
    a, b, c = (generate(model, PROMPTS, max_new_tokens=12, seed=s) for s in (1, 1, 2))
    assert a == b != c
    state = torch.get_rng_state()
    generate(model, PROMPTS, max_new_tokens=2, seed=1)
    assert torch.equal(state, torch.get_rng_state())


def test_stop_ids_end_their_row_only(model):
    free = generate(model, PROMPTS, max_new_tokens=12, temperature=0)
    stop = free[0][4]
    stopped = generate(model, PROMPTS, max_new_tokens=12, temperature=0, stop=[stop])
    for all_of_it, row in zip(free, stopped, strict=True):
        end = all_of_it.index(stop) + 1 if stop in all_of_it else 12
        assert row == all_of_it[:end]


def test_the_text_ends_when_the_context_is_full(model):
    for cache in (True, False):
        rows = generate(model, [[1] * 30, [2] * 5], max_new_tokens=50, cache=cache, seed=0)
        assert [len(row) for row in rows] == [2, 2]
        with pytest.raises(ValueError, match="no room"):
            generate(model, [[1] * 32], max_new_tokens=1, cache=cache)


def frequencies(logits, n=20_000, **options):
    generator = torch.Generator().manual_seed(0)
    drawn = sample(logits.expand(n, -1), generator=generator, **options)
    return torch.bincount(drawn, minlength=logits.shape[-1]) / n


def test_frequencies_follow_the_probabilities():
    logits = torch.tensor([[1.0, 3.0, 2.0, -1.0]])
    for temperature in (0.5, 1.0, 2.0):
        expected = (logits[0] / temperature).softmax(-1)
        seen = frequencies(logits, temperature=temperature)
        # five standard errors of a frequency from 20,000 draws
        assert ((seen - expected).abs() <= 5 * (expected * (1 - expected) / 20_000).sqrt()).all()


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"top_k": 2}, {1, 2}),
        ({"top_k": 9}, {0, 1, 2, 3}),
        ({"top_p": 0.5}, {1}),
        ({"top_p": 0.8}, {1, 2}),
        ({"top_p": 0.71}, {1, 2}),
        ({"top_p": 1.0}, {0, 1, 2, 3}),
        ({"top_p": 1e-9}, {1}),
        ({"top_k": 3, "top_p": 0.9}, {1, 2}),
        ({"top_k": 1}, {1}),
    ],
)
def test_filters_keep_the_fewest_likeliest(options, kept):
    """Probabilities .06, .6, .3, .04; of the first three, .6 and .3 make up .94."""
    logits = torch.tensor([[0.06, 0.6, 0.3, 0.04]]).log()
    seen = frequencies(logits, **options)
    assert set(seen.nonzero()[:, 0].tolist()) == kept
    among = torch.zeros(4)
    among[list(kept)] = logits.exp()[0, list(kept)]
    assert torch.allclose(seen, among / among.sum(), atol=0.02)


def test_shapes_of_prompts(model):
    tensor = torch.tensor([[1, 2, 3], [4, 5, 6]])
    rows = generate(model, tensor, max_new_tokens=5, temperature=0)
    assert rows == generate(model, tensor.tolist(), max_new_tokens=5, temperature=0)
    assert rows[0] == generate(model, tensor[0], max_new_tokens=5, temperature=0)[0]
    for arrays in (np.array([1, 2, 3]), list(np.array([1, 2, 3])), [np.array([1, 2, 3])]):
        assert generate(model, arrays, max_new_tokens=5, temperature=0) == rows[:1]


@pytest.mark.parametrize(
    ("prompt", "options"),
    [
        ([], {}),
        ([[]], {}),
        ([[1], []], {}),
        ([[1]], {"temperature": -1.0}),
        ([[1]], {"temperature": float("nan")}),
        ([[1]], {"top_k": 0}),
        ([[1]], {"top_p": 0.0}),
        ([[1]], {"top_p": 1.5}),
        ([[1]], {"max_new_tokens": 0}),
    ],
)
def test_bad_requests_are_refused(model, prompt, options):
    with pytest.raises(ValueError):
        generate(model, prompt, **({"max_new_tokens": 3} | options))


class Letters:
    """Just enough of a tokenizer: letters from id 1 on, <|endoftext|> as id 0."""

    def __init__(self):
        self.special_tokens = {"<|endoftext|>": 0}

    def encode(self, text, *, allowed_special=()):
        return [ord(c) - ord("a") + 1 for c in text]

    def decode(self, ids):
        return self.decode_bytes(ids).decode()

    def decode_bytes(self, ids):
        return bytes(ord("#") if i == 0 else ord("a") + i - 1 for i in ids)


def test_complete_gives_the_new_text_without_the_stop_token():
    torch.manual_seed(0)
    model = Transformer(CONFIG.replace(vocab_size=27))
    new = generate(model, [[1, 2]], max_new_tokens=30, stop=[0], seed=3)[0]
    text = complete(model, Letters(), "ab", max_new_tokens=30, seed=3)
    assert text == Letters().decode(new).removesuffix("#")
    assert complete(model, Letters(), "", max_new_tokens=4, seed=3) == Letters().decode(
        generate(model, [[0]], max_new_tokens=4, stop=[0], seed=3)[0]
    ).removesuffix("#")
