"""LoRA: nothing changes at first, only adapters are learnt, and merging changes nothing again."""

import copy

import pytest
import torch
from torch import nn

from llmlib import lora
from llmlib.train import TrainConfig, next_token_loss, train


@pytest.fixture
def ids():
    return torch.randint(0, 300, (2, 20), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def random_model(tiny):
    def build(**changes):
        model = tiny(**changes)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for p in model.parameters():
                p.normal_(std=0.2, generator=generator)
        return model

    return build


def disturb(model):
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for _, adapter in lora.adapters(model):
            adapter.b.normal_(std=0.1, generator=generator)


def test_the_adapters_weight_is_two_unless_alpha_says_otherwise(random_model):
    for rank in (2, 8):
        model = lora.add_lora(random_model(), rank=rank)
        assert {adapter.scale for _, adapter in lora.adapters(model)} == {2.0}


def test_fresh_adapters_change_nothing(random_model, ids):
    model = random_model()
    before = model(ids)
    lora.add_lora(model, rank=4)
    assert torch.equal(model(ids), before)
    assert len(list(lora.adapters(model))) == 2 * 7, "four of attention, three of the MLP"


def test_the_adapter_is_the_formula(random_model):
    layer = nn.Linear(6, 5)
    model = lora.add_lora(nn.ModuleDict({"x_proj": layer}), rank=2, alpha=3)["x_proj"]
    disturb(model)
    x = torch.randn(4, 6)
    expected = x @ (layer.weight + 3 / 2 * model.b @ model.a).T + layer.bias
    torch.testing.assert_close(model(x), expected, rtol=1e-5, atol=1e-6)
    wrong = x @ (layer.weight + 3 * model.b @ model.a).T + layer.bias  # alpha not divided by rank
    assert not torch.allclose(model(x), wrong, atol=1e-2)


def test_merging_gives_the_same_model_without_adapters(random_model, ids):
    model = lora.add_lora(random_model(), rank=4)
    disturb(model)
    adapted = model(ids)
    names = set(random_model().state_dict())
    lora.merge_lora(model)
    assert set(model.state_dict()) == names and not any(lora.adapters(model))
    assert all(p.requires_grad for p in model.parameters())
    assert (model(ids) - adapted).abs().max() < 1e-5 * adapted.abs().max()
    torch.testing.assert_close(
        torch.log_softmax(model(ids), -1), torch.log_softmax(adapted, -1), rtol=0, atol=1e-5
    )


def test_without_and_removed(random_model, ids):
    model = random_model()
    before = model(ids)
    lora.add_lora(model)
    disturb(model)
    with lora.without_lora(model):
        assert torch.equal(model(ids), before)
    assert not torch.allclose(model(ids), before)
    assert torch.equal(lora.remove_lora(model)(ids), before)


def test_training_changes_the_adapters_only(random_model, batches):
    model = random_model()
    original = copy.deepcopy(model.state_dict())
    lora.add_lora(model, rank=2, layers=r"attn\.(q|v)_proj$")
    trained, total = lora.count_trainable(model)
    assert trained == 2 * 2 * 2 * (32 + 32) and total > 10 * trained
    config = TrainConfig(steps=3, batch_size=6, optimizer="adamw", lr=1e-2, precision="float32")
    train(model, batches(), next_token_loss, config, show=False)
    assert all(float(adapter.b.abs().max()) > 0 for _, adapter in lora.adapters(model))
    for name, tensor in model.state_dict().items():
        if not name.endswith((".a", ".b")):
            assert torch.equal(tensor, original[name.replace(".base.", ".")]), name


def test_only_the_adapters_are_saved(random_model, ids, tmp_path):
    model = lora.add_lora(random_model(), rank=3, alpha=5)
    disturb(model)
    path = tmp_path / "adapter.safetensors"
    lora.save_lora(path, model)
    again = lora.load_lora(random_model(), path)
    assert torch.equal(again(ids), model(ids))
    assert lora.count_trainable(again) == lora.count_trainable(model)
    assert path.stat().st_size < 4 * lora.count_trainable(model)[0] + 4000


def test_what_does_not_fit_is_refused(random_model, tmp_path):
    with pytest.raises(ValueError, match="matches"):
        lora.add_lora(random_model(), layers="nothing")
    with pytest.raises(ValueError, match="rank"):
        lora.add_lora(random_model(), rank=0)
    model = lora.add_lora(random_model())
    with pytest.raises(ValueError, match="already"):
        lora.add_lora(model)
    path = tmp_path / "adapter.safetensors"
    lora.save_lora(path, model)
    with pytest.raises(ValueError, match="no layer for"):
        lora.load_lora(random_model(d_model=16), path)
    with pytest.raises(FileNotFoundError):
        lora.load_lora(random_model(), tmp_path / "none")
    with pytest.raises(ValueError, match="nothing to save"):
        lora.save_lora(path, random_model())
