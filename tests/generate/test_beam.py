"""Beam search beside `transformers`, and beside all texts there are."""

import itertools

import pytest
import torch
import transformers

from llmlib.checkpoint import from_hf
from llmlib.generate import beam_search, generate
from llmlib.model import ModelConfig, Transformer

SMALL = ModelConfig(vocab_size=6, d_model=16, n_layers=1, n_heads=2, max_seq_len=12, init_std=0.5)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A tiny Llama whose next tokens are far from certain, theirs and ours."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=24,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        eos_token_id=None,
        bos_token_id=None,
        pad_token_id=0,
    )
    theirs = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(std=0.35)
    folder = tmp_path_factory.mktemp("beam")
    theirs.save_pretrained(folder)
    return theirs, from_hf(folder)


@pytest.mark.parametrize("beams", [1, 2, 5])
@pytest.mark.parametrize("n", [1, 6, 15])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0, -0.5, 2.0])
def test_equals_transformers(pair, beams, n, length_penalty):
    theirs, ours = pair
    for prompt, stop in (([3, 1, 4, 1, 5], [7]), ([9], [7, 11, 2]), ([9, 2], [])):
        expected = theirs.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            num_beams=beams,
            num_return_sequences=beams,
            max_new_tokens=n,
            length_penalty=length_penalty,
            early_stopping="never" if beams > 1 else None,
            eos_token_id=stop or None,
            do_sample=False,
            return_dict_in_generate=True,
            output_scores=True,
        )
        found = beam_search(
            ours, prompt, beams=beams, max_new_tokens=n, length_penalty=length_penalty, stop=stop
        )
        rows = [_cut(row[len(prompt) :].tolist(), stop) for row in expected.sequences]
        assert [beam.ids for beam in found] == rows
        if beams > 1:
            scores = torch.tensor([beam.score for beam in found])
            assert torch.allclose(scores, expected.sequences_scores, rtol=1e-6, atol=1e-5)


def _cut(row, stop):
    ends = [place + 1 for place, id in enumerate(row) if id in stop]
    return row[: ends[0]] if ends else row


def test_with_all_beams_it_finds_the_likeliest_of_all_texts():
    torch.manual_seed(1)
    model = Transformer(SMALL)
    texts = torch.tensor(list(itertools.product(range(6), repeat=3)))
    whole = torch.cat((torch.tensor([[2, 4]]).expand(len(texts), -1), texts), dim=1)
    with torch.no_grad():
        log_probs = model(whole[:, :-1]).log_softmax(-1)[:, 1:]
    totals = log_probs.gather(-1, texts[..., None])[..., 0].sum(-1)
    found = beam_search(model, [2, 4], beams=36, max_new_tokens=3)
    best = totals.argsort(descending=True)[:36]
    assert [beam.ids for beam in found] == texts[best].tolist()
    assert torch.allclose(torch.tensor([b.log_prob for b in found]), totals[best], atol=1e-5)


def test_one_beam_is_greedy_and_more_find_no_less_likely():
    for seed in range(5):
        torch.manual_seed(seed)
        model = Transformer(SMALL)
        greedy = generate(model, [1], max_new_tokens=9, temperature=0)[0]
        one, many = (beam_search(model, [1], beams=n, max_new_tokens=9)[0] for n in (1, 36))
        assert one.ids == greedy
        assert many.log_prob >= one.log_prob - 1e-5


def test_the_context_bounds_it():
    model = Transformer(SMALL)
    assert {len(b.ids) for b in beam_search(model, [1] * 9, beams=3, max_new_tokens=50)} == {3}
    with pytest.raises(ValueError, match="no room"):
        beam_search(model, [1] * 12, beams=3, max_new_tokens=1)


@pytest.mark.parametrize(
    ("ids", "options", "message"),
    [
        ([[1], [2]], {}, "not 2"),
        ([], {}, "at least one"),
        ([1], {"beams": 0}, "beams"),
        ([1], {"beams": 2.5}, "beams"),
        ([1], {"max_new_tokens": 0}, "max_new_tokens"),
        ([1], {"length_penalty": float("nan")}, "length_penalty"),
        ([1], {"stop": [6]}, "stop holds"),
    ],
)
def test_impossible_requests_are_named(ids, options, message):
    with pytest.raises(ValueError, match=message):
        beam_search(Transformer(SMALL), ids, **({"beams": 2, "max_new_tokens": 3} | options))
