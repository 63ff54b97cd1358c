"""Each way of telling positions, against its formula."""

import math

import pytest
import torch

from llmlib.model import ModelConfig, Transformer
from llmlib.model.config import RopeScaling
from llmlib.model.positions import (
    alibi_bias,
    alibi_slopes,
    apply_rope,
    relative_buckets,
    rope_angles,
    sinusoidal,
)

SMALL = ModelConfig(vocab_size=50, d_model=48, n_layers=2, n_heads=6, max_seq_len=64, init_std=0.3)


def test_sinusoidal_formula():
    table = sinusoidal(torch.tensor([0, 1, 7, 300]), 6)
    for row, position in enumerate((0, 1, 7, 300)):
        for i in range(3):
            angle = position / 10_000 ** (2 * i / 6)
            assert table[row, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-4)
            assert table[row, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-4)


def test_rope_is_the_rotation_of_pairs():
    x, angles = torch.randn(1, 1, 5, 10), rope_angles(torch.arange(5), 6, 100.0)
    turned = apply_rope(x, angles.cos(), angles.sin())
    for p in range(5):
        for i in range(3):
            z = complex(x[0, 0, p, i], x[0, 0, p, i + 3])
            z *= complex(math.cos(p / 100 ** (i / 3)), math.sin(p / 100 ** (i / 3)))
            assert turned[0, 0, p, i].item() == pytest.approx(z.real, abs=1e-5)
            assert turned[0, 0, p, i + 3].item() == pytest.approx(z.imag, abs=1e-5)
    assert torch.equal(turned[..., 6:], x[..., 6:])


def test_rope_depends_on_distance_only():
    q, k = torch.randn(2, 16, dtype=torch.float64)

    def score(at_q, at_k):
        angles = rope_angles(torch.tensor([at_q, at_k]), 16).double()
        pair = apply_rope(torch.stack((q, k))[None, None], angles.cos(), angles.sin())[0, 0]
        return (pair[0] @ pair[1]).item()

    assert score(3, 1) == pytest.approx(score(103, 101), abs=1e-4)
    assert abs(score(3, 1) - score(4, 1)) > 1e-2


def test_interleaved_rope_turns_neighbours():
    x, angles = torch.randn(1, 1, 5, 10), rope_angles(torch.arange(5), 6, 100.0)
    turned = apply_rope(x, angles.cos(), angles.sin(), interleaved=True)
    order = [0, 2, 4, 1, 3, 5, 6, 7, 8, 9]  # evens to the first half, odds to the second
    halves = apply_rope(x[..., order], angles.cos(), angles.sin())
    assert torch.allclose(turned[..., order], halves, atol=1e-6)


def test_scaled_rope():
    """Wavelengths of 6.3, 62.8 and 628 positions; 80 in training: 12.7, 1.3 and 0.13 turns."""
    linear = rope_angles(torch.arange(9), 6, 1000.0, RopeScaling("linear", 4.0))
    assert torch.allclose(linear, rope_angles(torch.arange(9) / 4, 6, 1000.0))
    plain = rope_angles(torch.tensor([1]), 6, 1000.0)[0].tolist()
    assert plain == pytest.approx([1, 0.1, 0.01])
    scaling = RopeScaling("llama3", 8.0, 1.0, 4.0, original_max_seq_len=80)
    scaled = rope_angles(torch.tensor([1]), 6, 1000.0, scaling)[0].tolist()
    share = (80 * 0.1 / (2 * math.pi) - 1) / 3
    assert scaled == pytest.approx([1, share * 0.1 + (1 - share) * 0.1 / 8, 0.01 / 8])


@pytest.mark.parametrize("causal", [True, False])
def test_relative_buckets_are_t5s(causal):
    attention = pytest.importorskip("transformers.models.t5.modeling_t5").T5Attention
    distance = torch.arange(300)[None, :] - torch.arange(300)[:, None]  # key - query
    theirs = attention._relative_position_bucket(distance, not causal, 32, 128)
    ours = relative_buckets(300, causal=causal)
    seen = distance <= 0 if causal else distance == distance
    assert torch.equal(ours[seen], theirs[seen])
    assert torch.equal(relative_buckets(2, 300, causal=causal), ours[-2:])
    assert ours.min() == 0 and ours.max() == 31


@pytest.mark.parametrize("pos", ["rope", "alibi", "relative", "none"])
def test_relative_schemes_ignore_a_shift(pos):
    model, ids = Transformer(SMALL.replace(pos=pos)), torch.arange(20)[None]
    shifted = model(ids, position_ids=torch.arange(20) + 31)
    assert torch.allclose(model(ids), shifted, atol=1e-4)


@pytest.mark.parametrize("pos", ["learned", "sinusoidal"])
def test_absolute_schemes_see_a_shift(pos):
    model, ids = Transformer(SMALL.replace(pos=pos)), torch.arange(20)[None]
    shifted = model(ids, position_ids=torch.arange(20) + 31)
    assert (model(ids) - shifted).abs().max() > 1e-2


@pytest.mark.parametrize("pos", ["learned", "sinusoidal", "rope", "alibi", "relative"])
def test_every_scheme_tells_order(pos):
    """Without positions the last token cannot tell the order of one layer's earlier ones."""
    a, b = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[2, 1, 3, 4]])
    for scheme, told in ((pos, True), ("none", False)):
        torch.manual_seed(0)
        model = Transformer(SMALL.replace(pos=scheme, n_layers=1))
        gap = (model(a)[:, -1] - model(b)[:, -1]).abs().max()
        assert (gap > 1e-3) == told


def test_alibi_slopes():
    assert alibi_slopes(8).tolist() == [2.0**-i for i in range(1, 9)]
    six = [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3]
    assert alibi_slopes(6).tolist() == six
    twelve = alibi_slopes(12).tolist()
    assert twelve[:8] == [2.0**-i for i in range(1, 9)]
    assert twelve[8:] == pytest.approx([2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5])


def test_alibi_bias_and_its_cached_step():
    slopes = alibi_slopes(4)
    bias = alibi_bias(slopes, 5)
    assert bias[1, 4].tolist() == [-4 * 2**-4, -3 * 2**-4, -2 * 2**-4, -1 * 2**-4, 0.0]
    assert torch.equal(alibi_bias(slopes, 1, 5), bias[:, -1:])
