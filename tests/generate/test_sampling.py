"""Filters and penalty beside `transformers`' processors, ties and edges too; seeds; streams."""

import pytest
import torch
from transformers.generation import logits_process as hf

from llmlib.generate import adjust, generate, penalize, sample, stream
from llmlib.model import ModelConfig, Transformer

CONFIG = ModelConfig(vocab_size=40, d_model=32, n_layers=2, n_heads=4, max_seq_len=48, init_std=0.3)
PROMPTS = [[1, 2, 3], [4, 5, 6, 7, 8, 9], [10]]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Transformer(CONFIG)


def logits_of(kind: str) -> torch.Tensor:
    """(200, 30) logits: `plain` ones, `tied` ones (whole numbers), or `edges` (powers of ½)."""
    generator = torch.Generator().manual_seed(1)
    values = 3 * torch.randn(200, 30, generator=generator)
    if kind == "tied":
        return values.round()
    if kind == "edges":  # probabilities ½, ¼, … in some order: sums that p meets exactly
        order = torch.stack([torch.randperm(30, generator=generator) for _ in range(200)])
        return -(order.float().clamp(max=12)) * torch.tensor(2.0).log()
    return values


def reference(logits, temperature, top_k, top_p, min_p):
    warpers = [hf.TemperatureLogitsWarper(float(temperature))]
    warpers += [hf.TopKLogitsWarper(top_k)] if top_k else []
    warpers += [hf.TopPLogitsWarper(top_p)] if top_p else []
    warpers += [hf.MinPLogitsWarper(min_p)] if min_p is not None else []
    for warper in warpers:
        logits = warper(None, logits)
    return logits.softmax(-1)


def lowest_of_tied(logits, probs):
    """(200, 30) bool: as many of each value as `probs` keeps, those with the lowest ids."""
    kept = torch.zeros_like(probs, dtype=torch.bool)
    for row in range(len(logits)):
        for value in logits[row].unique():
            same = (logits[row] == value).nonzero()[:, 0]
            kept[row, same[: int((probs[row, same] > 0).sum())]] = True
    return kept


@pytest.mark.parametrize("kind", ["plain", "tied", "edges"])
@pytest.mark.parametrize(
    "options",
    [
        (0.7, None, None, None),
        (1.0, 5, None, None),
        (1.0, 1, None, None),
        (1.0, 99, None, None),
        (1.0, None, 0.9, None),
        (1.0, None, 0.75, None),
        (1.0, None, 1e-6, None),
        (1.0, None, 1.0, None),
        (1.0, None, None, 0.1),
        (1.0, None, None, 0.25),
        (1.0, None, None, 1.0),
        (1.0, None, None, 0.0),
        (1.7, 12, 0.8, 0.05),
        (0.5, 8, 0.75, 0.25),
        (2.0, 3, None, 0.5),
    ],
)
def test_adjust_equals_transformers(kind, options):
    logits = logits_of(kind)
    ours, theirs = adjust(logits, *options), reference(logits, *options)
    if kind == "tied" and options[2]:  # which of the tied go is not defined there, how many is
        assert torch.equal(ours > 0, lowest_of_tied(logits, theirs))
        ours, theirs = ours.sort().values, theirs.sort().values
    assert torch.equal(ours > 0, theirs > 0)
    assert (ours - theirs).abs().max() <= 1e-6
    assert (ours.sum(-1) - 1).abs().max() <= 1e-5


def test_the_order_of_the_filters_matters():
    """Each filter sees what the one before left: another order keeps other tokens."""
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    assert (adjust(logits, top_k=2, top_p=0.5) > 0).sum() == 1  # 0.4 of 0.7 is more than half
    assert (adjust(logits, temperature=3.0, top_p=0.6) > 0).sum() == 3
    assert (adjust(logits, temperature=3.0, min_p=0.6) > 0).sum() == 4


@pytest.mark.parametrize("penalty", [0.8, 1.0, 1.3, 5.0])
def test_penalty_equals_transformers(penalty):
    logits, ids = logits_of("plain"), torch.randint(0, 30, (200, 7))
    logits[:, 4], logits[:, 5] = 0.0, -torch.inf
    seen = torch.zeros(200, 30, dtype=torch.bool).scatter_(1, ids, True)
    theirs = hf.RepetitionPenaltyLogitsProcessor(penalty)(ids, logits.clone())
    assert torch.equal(penalize(logits, seen, penalty), theirs)


@pytest.mark.parametrize("cache", [True, False])
def test_penalty_counts_prompt_and_new_tokens_but_no_padding(model, cache):
    options = {"max_new_tokens": 20, "temperature": 0, "repetition_penalty": 1.5, "cache": cache}
    rows = generate(model, PROMPTS, **options)
    for prompt, new in zip(PROMPTS, rows, strict=True):
        text = list(prompt)
        for token in new:
            seen = torch.zeros(1, 40, dtype=torch.bool)
            seen[0, text] = True
            with torch.no_grad():
                logits = penalize(model(torch.tensor([text]))[:, -1], seen, 1.5)
            assert logits.argmax() == token
            text.append(token)
    assert rows != generate(model, PROMPTS, max_new_tokens=20, temperature=0)


def test_sample_draws_from_adjust():
    logits, options = torch.tensor([[0.0, 2.0, 1.0, -3.0, 1.5]]), (0.8, 4, 0.95, 0.2)
    drawn = sample(logits.expand(20_000, -1), *options[:3], min_p=options[3])
    expected = adjust(logits, *options)[0]
    seen = torch.bincount(drawn, minlength=5) / 20_000
    assert ((seen - expected).abs() <= 5 * (expected * (1 - expected) / 20_000).sqrt()).all()


SAMPLED = {"max_new_tokens": 20, "temperature": 1.5, "min_p": 0.01, "repetition_penalty": 1.1}


@pytest.mark.parametrize("options", [SAMPLED, SAMPLED | {"top_k": 30, "cache": False}])
def test_a_seed_a_row_makes_rows_independent(model, options):
    rows = generate(model, PROMPTS, seed=[3, 4, 5], **options)
    assert rows == [
        generate(model, [prompt], seed=seed, **options)[0]
        for prompt, seed in zip(PROMPTS, (3, 4, 5), strict=True)
    ]
    assert rows[::-1] == generate(model, PROMPTS[::-1], seed=[5, 4, 3], **options)
    assert rows != generate(model, PROMPTS, seed=3, **options)  # one seed: one stream for all
    with pytest.raises(ValueError, match="2 seeds for 3 prompts"):
        generate(model, PROMPTS, seed=[1, 2], **options)


def test_unequal_prompts_equal_one_by_one(model):
    prompts = [list(range(n)) for n in (1, 17, 4, 28, 2)]
    rows = generate(model, prompts, max_new_tokens=20, temperature=0)
    for prompt, row in zip(prompts, rows, strict=True):
        assert row == generate(model, prompt, max_new_tokens=20, temperature=0)[0]


def test_stream_gives_what_generate_gives(model):
    options = SAMPLED | {"seed": 7, "stop": [5, 6, 7, 8]}
    whole = generate(model, [PROMPTS[0]], **options)[0]
    assert list(stream(model, PROMPTS[0], **options)) == whole
    ids = stream(model, PROMPTS[0], max_new_tokens=5, temperature=0)
    assert next(ids) == generate(model, PROMPTS[0], max_new_tokens=1, temperature=0)[0][0]
    assert not torch.is_inference_mode_enabled()  # between two ids the caller is on his own
    with pytest.raises(ValueError, match="one prompt"):
        stream(model, PROMPTS, max_new_tokens=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": "hot"}, "temperature must be a number"),
        ({"temperature": None}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"top_k": 2.5}, "top_k"),
        ({"top_k": True}, "top_k"),
        ({"top_p": float("nan")}, "top_p"),
        ({"min_p": -0.1}, "min_p"),
        ({"min_p": 1.1}, "min_p"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"repetition_penalty": float("nan")}, "repetition_penalty"),
        ({"max_new_tokens": 2.0}, "max_new_tokens"),
        ({"stop": [40]}, "stop holds ids from 0 to 39, not 40"),
        ({"stop": "end"}, "stop_strings"),
        ({"stop": [-1]}, "stop holds"),
        ({"seed": [1, 2]}, "seeds"),
    ],
)
def test_impossible_values_are_named(model, options, message):
    for start in (generate, stream):
        with pytest.raises(ValueError, match=message):
            start(model, [1, 2], **({"max_new_tokens": 3} | options))


@pytest.mark.parametrize("prompt", [[], [[]], [[1], []], torch.zeros(0, dtype=int)])
def test_a_prompt_without_tokens_is_named(model, prompt):
    with pytest.raises(ValueError, match="at least one token, and .*<|endoftext|>"):
        generate(model, prompt, max_new_tokens=3)
