"""Memory by arithmetic against what autograd keeps, and the page that prints it."""

import runpy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from llmlib.model import PRESETS, Transformer
from llmlib.train import make_optimizer
from llmlib.train.config import TrainConfig
from llmlib.train.memory import activation_bytes, training_memory

ROOT = Path(__file__).parents[2]
SMALL = {"n_layers": 2, "vocab_size": 300}


def kept_by_autograd(config, rows, seq_len):
    """Bytes that a forward pass keeps for the backward pass, parameters left out."""
    model, kept = Transformer(config), {}
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    ids = torch.zeros(rows, seq_len, dtype=torch.long)

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes(), tensor  # held: its address stays taken
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        F.cross_entropy(model(ids).flatten(0, 1), ids.flatten())
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize(
    ("name", "within"),
    [("gpt2", 0.01), ("world-s", 0.06)],  # RoPE keeps a little that is not counted
)
def test_activations_are_what_autograd_keeps(name, within):
    config = PRESETS[name].replace(**SMALL)
    tokens = 2 * 128
    counted = tokens * (activation_bytes(config, "float32") + 4 * config.vocab_size)
    assert counted == pytest.approx(kept_by_autograd(config, 2, 128), rel=within)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_weights_and_moments_to_the_byte(optimizer):
    config = PRESETS["world-s"].replace(**SMALL)
    model = Transformer(config)
    adam = make_optimizer(model, TrainConfig(steps=1, optimizer=optimizer))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    adam.step()
    parts = training_memory(config, 1, optimizer=optimizer)
    assert parts["weights"] == sum(4 * p.numel() for p in model.parameters())
    moments = [
        t
        for part in adam.optimizers
        for state in part.state.values()
        for t in state.values()
        if torch.is_tensor(t) and t.dim() > 0
    ]
    assert parts["optimizer"] == sum(t.numel() * t.element_size() for t in moments)
    assert parts["total"] == sum(v for name, v in parts.items() if name != "total")


def test_what_is_not_covered_is_refused():
    with pytest.raises(ValueError, match="without experts"):
        training_memory(PRESETS["world-s"].replace(n_experts=4, n_experts_per_token=2), 1)


def test_the_page_prints_what_the_script_prints():
    script = runpy.run_path(str(ROOT / "book" / "scripts" / "plan_gpt2.py"))
    page = (ROOT / "book" / "gpu_track.md").read_text(encoding="utf-8")
    for table in (script["memory"](), script["hours"]()):
        assert table.count("|") > 30
        assert table in page, f"python book/scripts/plan_gpt2.py prints another table:\n{table}"
