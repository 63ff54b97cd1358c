"""Configurations: what they refuse, and how many parameters and operations they stand for."""

import dataclasses
import json
import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from llmlib.model import (
    PRESETS,
    ModelConfig,
    RopeScaling,
    Transformer,
    count_parameters,
    flops_per_token,
)

SMALL = ModelConfig(vocab_size=50, d_model=48, n_layers=2, n_heads=4, max_seq_len=32)

PUBLISHED = {
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "gpt3-175b": 174_604_259_328,
    "pythia-160m": 162_322_944,
    "llama-2-7b": 6_738_415_616,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_to_the_parameter(name):
    assert count_parameters(PRESETS[name])["total"] == PUBLISHED[name]


@pytest.mark.parametrize(("name", "limit"), [("world-s", 1_100_000), ("world-m", 3_300_000)])
def test_world_presets_keep_to_their_size(name, limit):
    config = PRESETS[name]
    assert count_parameters(config)["total"] <= limit
    assert config.vocab_size == 1024 and config.max_seq_len >= 512


@pytest.mark.parametrize("name", ["gpt2", "pythia-160m", "llama-2-7b", "world-s"])
def test_parts_add_up(name):
    parts = count_parameters(PRESETS[name])
    named = ("embedding", "positions", "attention", "mlp", "norms", "head")
    assert sum(parts[part] for part in named) == parts["total"]
    body = parts["attention"] + parts["mlp"] + parts["norms"]
    assert parts["non_embedding"] == body
    assert parts["embedding"] == PRESETS[name].vocab_size * PRESETS[name].d_model
    assert parts["head"] == (0 if PRESETS[name].tie_embeddings else parts["embedding"])


def test_pythia_non_embedding_count_is_the_one_on_its_card():
    assert count_parameters(PRESETS["pythia-160m"])["non_embedding"] == 85_056_000


def test_gpt2_by_hand():
    d, layers, vocab, length = 768, 12, 50257, 1024
    parts = count_parameters(PRESETS["gpt2"])
    assert parts["attention"] == layers * (4 * d * d + 4 * d)
    assert parts["mlp"] == layers * (8 * d * d + 5 * d)
    assert parts["norms"] == (2 * layers + 1) * 2 * d
    assert parts["embedding"] + parts["positions"] == (vocab + length) * d


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"n_kv_heads": 2},
        {"gated": False, "activation": "gelu", "d_ff": 100},
        {"tie_embeddings": False, "d_head": 20},
        {"n_experts": 4, "n_experts_per_token": 2, "d_expert": 24},
    ],
)
def test_flops_equal_torchs_own_counter(changes):
    """Forward and training, on the spelled-out attention, whose products torch can see."""
    config, length = SMALL.replace(**changes), 24
    model = Transformer(config)
    ids = torch.zeros(2, length, dtype=torch.long)
    for part in ("forward", "training"):
        with FlopCounterMode(display=False) as counter, torch.enable_grad():
            logits = model(ids, patterns=[])
            if part == "training":
                logits.sum().backward()
        counted = counter.get_total_flops() / ids.numel()
        assert counted == flops_per_token(config, length)[part]


def test_flops_of_a_window_and_of_the_shorthand():
    config = SMALL.replace(window=8)
    assert flops_per_token(config, 32)["scores"] == flops_per_token(SMALL, 8)["scores"]
    half = config.replace(window_layers=(True, False))
    both = flops_per_token(SMALL, 8)["scores"] + flops_per_token(SMALL, 32)["scores"]
    assert flops_per_token(half, 32)["scores"] == both / 2
    gpt3 = PRESETS["gpt3-175b"]
    six_n = 6 * count_parameters(gpt3)["non_embedding"]
    assert 1.0 < flops_per_token(gpt3, 2048)["training"] / six_n < 1.04
    with pytest.raises(ValueError, match="seq_len"):
        flops_per_token(gpt3, 0)


def test_defaults_are_filled_in_and_follow_a_replace():
    assert (SMALL.n_kv_heads, SMALL.d_head, SMALL.d_ff, SMALL.rope_dim) == (4, 12, 128, 12)
    wider = SMALL.replace(d_model=96, n_heads=8)
    assert (wider.n_kv_heads, wider.d_head, wider.d_ff, wider.rope_dim) == (8, 12, 256, 12)
    fixed = SMALL.replace(d_ff=100, n_kv_heads=2).replace(n_layers=3, d_model=96)
    assert (fixed.d_ff, fixed.n_kv_heads, fixed.d_head) == (100, 2, 24)
    assert SMALL.replace(gated=False).d_ff == 192
    assert SMALL.replace(d_model=64).d_ff == 176, "8/3 · 64 = 170.7, up to a multiple of 16"
    assert SMALL.replace(d_head=32).replace(d_model=50).d_head == 32
    mixed = SMALL.replace(n_experts=4, n_experts_per_token=2)
    assert SMALL.d_expert is None and mixed.d_expert == 128
    assert mixed.replace(d_ff=96).d_expert == 96
    assert mixed.replace(d_expert=24).replace(d_ff=96).d_expert == 24


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d_model": 50}, "does not divide"),
        ({"n_kv_heads": 3}, "multiple of n_kv_heads"),
        ({"n_layers": 0}, "n_layers"),
        ({"vocab_size": 10.0}, "vocab_size"),
        ({"window": 0}, "window"),
        ({"rope_dim": 7}, "rope_dim"),
        ({"rope_dim": 14}, "rope_dim"),
        ({"pos": "rotary"}, "pos must be one of"),
        ({"norm": "batchnorm"}, "norm must be one of"),
        ({"activation": "swish"}, "activation must be one of"),
        ({"norm_place": "middle"}, "norm_place must be one of"),
        ({"norm_bias": True}, "norm_bias"),
        ({"parallel": True, "norm_place": "post"}, "parallel"),
        ({"pos": "sinusoidal", "d_model": 45, "d_head": 12}, "even d_model"),
        ({"norm_eps": 0.0}, "norm_eps"),
        ({"qk_norm": "row"}, "qk_norm must be one of"),
        ({"norm": "none", "qk_norm": "head"}, "need a norm"),
        ({"norm": "none", "embed_norm": True}, "need a norm"),
        ({"shared_norm": True}, "shared_norm needs parallel"),
        ({"parallel": True, "norm_place": "sandwich"}, "parallel"),
        ({"n_experts": 4}, "n_experts_per_token"),
        ({"n_experts": 4, "n_experts_per_token": 5}, "n_experts_per_token"),
        ({"n_experts_per_token": 1}, "n_experts_per_token"),
        ({"d_expert": 8}, "needs n_experts"),
        ({"n_experts": -1}, "n_experts"),
        ({"pos_offset": -1}, "pos_offset"),
        ({"window_layers": (True, False)}, "needs a window"),
        ({"window": 4, "window_layers": (True,)}, "each of n_layers 2"),
        ({"rope_theta_local": 10.0}, "needs window_layers"),
        ({"pos": "relative", "rel_max_distance": 16}, "rel_max_distance"),
        ({"attn_scale": 0.0}, "attn_scale"),
        ({"attn_softcap": -1.0}, "attn_softcap"),
        ({"logit_softcap": 0.0}, "logit_softcap"),
        ({"embed_scale": 0.0}, "embed_scale"),
    ],
)
def test_a_config_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        SMALL.replace(**changes)


def test_a_config_survives_json():
    """Checkpoints keep it so: tuples become lists, the scaling a dictionary."""
    scaling = RopeScaling("llama3", 8.0, 1.0, 4.0, 64)
    config = SMALL.replace(rope_scaling=scaling, window=4, window_layers=(True, False))
    again = ModelConfig(**json.loads(json.dumps(dataclasses.asdict(config))))
    assert again == config and again.rope_scaling == scaling
    assert hash(again) == hash(config)
    with pytest.raises(ValueError, match="linear"):
        RopeScaling("yarn", 8.0)
    with pytest.raises(ValueError, match="factor"):
        RopeScaling("linear", 0.5)
    with pytest.raises(ValueError, match="EncoderDecoder"):
        Transformer(SMALL.replace(n_encoder_layers=2))


def test_initial_spread():
    """N(0, init_std), and what writes to the stream divided by sqrt(2 n_layers)."""
    config = SMALL.replace(d_model=256, n_layers=8, init_std=0.05, bias_qkv=True)
    torch.manual_seed(0)
    for scaled in (True, False):
        model = Transformer(config.replace(init_scale_residual=scaled))
        block = model.blocks[3]
        shrink = math.sqrt(2 * 8) if scaled else 1.0
        for module in (block.attn.q_proj, block.mlp.up_proj, block.mlp.gate_proj):
            assert module.weight.std().item() == pytest.approx(0.05, rel=0.02)
        for module in (block.attn.o_proj, block.mlp.down_proj):
            assert module.weight.std().item() == pytest.approx(0.05 / shrink, rel=0.02)
        assert model.embed.weight.std().item() == pytest.approx(0.05, rel=0.03)
        assert block.attn.q_proj.bias.abs().max() == 0
        assert (block.mlp_norm.weight == 1).all() and (model.norm.weight == 1).all()
