"""The encoder–decoder by itself: who sees whom, the cache, padding, refusals, and that it learns.

That it is T5, to the last digit, is held in test_parity_t5.
"""

import numpy as np
import pytest
import torch

from llmlib import checkpoint
from llmlib.data import pair_batches
from llmlib.model import ModelConfig
from llmlib.model.encoder_decoder import DecoderCache, EncoderDecoder
from llmlib.train import TrainConfig, pair_loss, train

BASE = ModelConfig(
    vocab_size=40,
    d_model=32,
    n_layers=2,
    n_encoder_layers=2,
    n_heads=4,
    n_kv_heads=2,
    pos="relative",
    init_std=0.2,
)


@pytest.fixture(params=["relative", "rope", "none"])
def model(request):
    torch.manual_seed(0)
    return EncoderDecoder(BASE.replace(pos=request.param))


def ids_of(length, seed=0, rows=2):
    return torch.randint(40, (rows, length), generator=torch.Generator().manual_seed(seed))


def test_the_encoder_sees_both_ways_and_the_decoder_only_back(model):
    source, target = ids_of(9), ids_of(7, seed=1)
    logits = model(source, target)
    assert logits.shape == (2, 7, 40)
    late = target.clone()
    late[:, 5:] = (late[:, 5:] + 1) % 40
    assert torch.allclose(model(source, late)[:, :5], logits[:, :5], atol=1e-5)
    other = source.clone()
    other[:, -1] = (other[:, -1] + 1) % 40
    assert (model.encode(other)[:, 0] - model.encode(source)[:, 0]).abs().max() > 1e-3
    assert (model(other, target)[:, 0] - logits[:, 0]).abs().max() > 1e-3


def test_cached_equals_uncached_and_reads_the_text_once(model):
    source, target = ids_of(9), ids_of(12, seed=1)
    mask = torch.arange(9) < torch.tensor([[9], [5]])
    whole = model(source, target, encoder_mask=mask)
    cache = DecoderCache(model.config, 2, 12)
    parts = [model(source, target[:, :5], encoder_mask=mask, cache=cache)]
    parts += [model(None, target[:, t : t + 1], cache=cache) for t in range(5, 12)]
    assert (torch.cat(parts, dim=1) - whole).abs().max() <= 2e-5
    with pytest.raises(ValueError, match="room"):
        model(None, target[:, :1], cache=cache)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_of_the_encoder_changes_nothing(model, side):
    source, target = ids_of(6, rows=1), ids_of(5, seed=1, rows=1)
    junk = ids_of(3, seed=2, rows=1)
    pieces = (junk, source) if side == "left" else (source, junk)
    mask = torch.cat([torch.full_like(p, p is source, dtype=torch.bool) for p in pieces], dim=1)
    padded = model(torch.cat(pieces, dim=1), target, encoder_mask=mask)
    assert torch.allclose(padded, model(source, target), atol=2e-5)
    everything = torch.ones_like(source, dtype=torch.bool)
    assert torch.equal(model(source, target, encoder_mask=everything), model(source, target))


def test_patterns_of_the_look_back(model):
    mask = torch.arange(9) < torch.tensor([[9], [5]])
    patterns = model.cross_patterns(ids_of(9), ids_of(7, seed=1), mask)
    assert [p.shape for p in patterns] == [(2, 4, 7, 9)] * 2
    for pattern in patterns:
        assert torch.allclose(pattern.sum(-1), torch.ones(2, 4, 7), atol=1e-5)
        assert pattern[1, :, :, 5:].max() == 0


def test_gradients_reach_every_parameter(model):
    with torch.enable_grad():
        model(ids_of(9), ids_of(7, seed=1)).logsumexp(-1).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_it_learns_to_copy_backwards():
    """It writes in reverse what it reads; without reading, 3/4 ln 6 = 1.34 is the best."""
    torch.manual_seed(0)
    config = BASE.replace(vocab_size=8, n_layers=1, n_encoder_layers=1, init_std=0.1)
    model = EncoderDecoder(config)
    texts = np.random.default_rng(0).integers(2, 8, (256, 3)).tolist()
    batches = pair_batches([(text, [*text[::-1], 1]) for text in texts], 32, start=0)
    settings = TrainConfig(steps=80, precision="float32", optimizer="adamw", lr=1e-2)
    with torch.enable_grad():
        history = train(model, batches, pair_loss, settings, show=False)
    assert history.loss[0] > 1.9
    assert np.mean(history.loss[-10:]) < 0.9  # four seeds: at most 0.4


def test_a_checkpoint_keeps_it(model, tmp_path):
    checkpoint.save(tmp_path / "m.safetensors", model, None)
    loaded, _, _ = checkpoint.load(tmp_path / "m.safetensors")
    source, target = ids_of(9), ids_of(7, seed=1)
    assert loaded.config == model.config
    assert torch.equal(loaded(source, target), model(source, target))


def test_what_does_not_fit_is_refused():
    model = EncoderDecoder(BASE)
    source, target = ids_of(9), ids_of(7)
    cases = [
        ((torch.zeros(2, 0, dtype=torch.long), target), {}, "encoder_ids must be"),
        ((source, target.float()), {}, "decoder_ids must be"),
        ((None, target), {}, "encoder_ids are needed"),
        ((source, target[:1]), {}, "rows"),
        ((source, target), {"encoder_mask": torch.ones(2, 9)}, "bool"),
        (
            (source, target),
            {"encoder_mask": torch.zeros(2, 9, dtype=torch.bool)},
            "nothing to read",
        ),
    ]
    for ids, options, message in cases:
        with pytest.raises(ValueError, match=message):
            model(*ids, **options)
    with pytest.raises(IndexError, match="vocabulary"):
        model(source + 40, target)
    for changes in (
        {"n_encoder_layers": 0},
        {"pos": "alibi"},
        {"norm_place": "post"},
        {"parallel": True},
        {"window": 4},
    ):
        with pytest.raises(ValueError, match="EncoderDecoder|Transformer"):
            EncoderDecoder(BASE.replace(**changes))
