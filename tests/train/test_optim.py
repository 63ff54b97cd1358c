"""Schedules by their formulas; Muon against torch's, and against singular values."""

import math

import pytest
import torch
from torch import nn

from llmlib.train import Muon, TrainConfig, lr_at, make_optimizer, orthogonalize, split_parameters


@pytest.mark.parametrize("shape", [(24, 24), (16, 48), (48, 16), (3, 16, 48)])
def test_orthogonalize_keeps_singular_vectors_and_evens_out_values(shape):
    torch.manual_seed(0)
    matrices = torch.randn(shape, dtype=torch.float64)
    result = orthogonalize(matrices)
    assert result.shape == matrices.shape
    u, s, vh = torch.linalg.svd(matrices, full_matrices=False)
    inside = u.mT @ result @ vh.mT  # diagonal if the singular vectors are kept
    values = inside.diagonal(dim1=-2, dim2=-1)
    assert (inside - torch.diag_embed(values)).abs().max() < 1e-10
    scaled = s / matrices.norm(dim=(-2, -1), keepdim=True)[..., 0]
    well_conditioned = scaled > 0.02
    assert (values[well_conditioned] > 0.65).all() and (values < 1.25).all()


def test_orthogonalize_of_nothing_is_nothing():
    assert orthogonalize(torch.zeros(4, 6)).abs().max() == 0


@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_equals_torch(monkeypatch, nesterov):
    """torch computes in bfloat16; kept in float32, both agree to rounding."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())
    torch.manual_seed(0)
    shapes = [(12, 20), (20, 12), (16, 16), (12, 20)]
    ours = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    settings = {"lr": 0.03, "momentum": 0.9, "nesterov": nesterov, "weight_decay": 0.1}
    a, b = Muon(ours, **settings), torch.optim.Muon(theirs, **settings)
    for _ in range(5):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        a.step()
        b.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, atol=2e-5, rtol=1e-5)


def test_muon_in_bfloat16_stays_close_to_float32():
    torch.manual_seed(0)
    p = nn.Parameter(torch.randn(32, 64))
    q = nn.Parameter(p.detach().clone())
    start = p.detach().clone()
    p.grad = q.grad = torch.randn_like(p)
    Muon([p], lr=1.0).step()
    Muon([q], lr=1.0, dtype=torch.bfloat16).step()
    # 15 products, each rounded to 8 bits: 2⁻⁸ × √15 ≈ 1.5 %, a few times amplified
    assert (p - q).norm() / (p - start).norm() < 0.1


def test_muon_takes_matrices_only():
    with pytest.raises(ValueError, match="AdamW"):
        Muon([nn.Parameter(torch.zeros(3))])


def test_parameters_are_shared_out_by_kind(tiny):
    for tied in (True, False):
        model = tiny(tie_embeddings=tied, pos="learned")
        kinds = split_parameters(model)
        assert sum(map(len, kinds.values())) == len(list(model.parameters()))
        assert {id(p) for p in kinds["embedding"]} == {
            id(model.embed.weight),
            id(model.pos_embed.weight),
            id(model.head.weight),
        }
        assert all(p.ndim == 1 for p in kinds["vector"])
        assert len(kinds["hidden"]) == 2 * 7


def test_make_optimizer_decays_hidden_matrices_only(tiny):
    model = tiny()
    for name in ("adamw", "muon"):
        config = TrainConfig(steps=1, optimizer=name, weight_decay=0.1)
        groups = make_optimizer(model, config).groups()
        owned = [id(p) for g in groups for p in g["params"]]
        assert sorted(owned) == sorted(id(p) for p in model.parameters())
        decayed = {id(p) for g in groups if g["weight_decay"] for p in g["params"]}
        assert decayed == {id(p) for p in split_parameters(model)["hidden"]}


def test_frozen_parameters_are_left_out(tiny):
    model = tiny()
    model.embed.weight.requires_grad_(False)
    groups = make_optimizer(model, TrainConfig(steps=1)).groups()
    assert all(p is not model.embed.weight for g in groups for p in g["params"])
    with pytest.raises(ValueError, match="requires a gradient"):
        make_optimizer(model.requires_grad_(False), TrainConfig(steps=1))


# -- schedule ---------------------------------------------------------------------------------


def test_warm_up_rises_linearly_to_the_peak():
    config = TrainConfig(steps=100, warmup=4)
    assert [lr_at(s, config) for s in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


@pytest.mark.parametrize(
    ("decay", "half", "expected"),
    [
        ("linear", 60, 0.5),
        ("cosine", 60, 0.5),
        ("cosine", 40, (1 + math.cos(math.pi / 4)) / 2),
        ("wsd", 60, 1.0),
        ("wsd", 80, 0.5),
        ("none", 99, 1.0),
    ],
)
def test_decay_follows_its_formula(decay, half, expected):
    config = TrainConfig(steps=100, warmup=20, decay=decay, decay_fraction=0.5)
    assert lr_at(half, config) == pytest.approx(expected)
    assert lr_at(20, config) == 1.0


@pytest.mark.parametrize("decay", ["linear", "cosine", "wsd"])
def test_decay_never_rises_and_ends_at_final_lr(decay):
    config = TrainConfig(steps=50, warmup=5, decay=decay, final_lr=0.1)
    rates = [lr_at(s, config) for s in range(5, 50)]
    assert rates == sorted(rates, reverse=True) and rates[-1] > 0.1
    assert lr_at(50, config) == pytest.approx(0.1) == lr_at(500, config)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch_size": 0},
        {"optimizer": "sgd"},
        {"decay": "step"},
        {"warmup": 10},
        {"grad_clip": 0},
        {"grad_accum": 33},
        {"final_lr": 2},
    ],
)
def test_configurations_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrainConfig(**{"steps": 10} | wrong)
