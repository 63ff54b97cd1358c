"""The fast step beside the model: the same logits over many kinds of decoder, and who gets it."""

import pytest
import torch

from llmlib.generate import generate
from llmlib.lora import add_lora
from llmlib.model import KVCache, ModelConfig, Transformer
from llmlib.model.step import fast_step

BASE = ModelConfig(vocab_size=40, d_model=32, n_layers=2, n_heads=4, max_seq_len=64, init_std=0.2)
BIASES = {"bias_qkv": True, "bias_o": True, "bias_mlp": True}
GPT2 = {"norm": "layernorm", "norm_bias": True, "gated": False, "activation": "gelu_tanh"}
COVERED = {
    "llama": {"n_kv_heads": 2},
    "llama3": {"n_kv_heads": 1, "rope_theta": 500.0, "tie_embeddings": False},
    "gpt2": GPT2 | BIASES | {"pos": "learned"},
    "opt": GPT2 | BIASES | {"pos": "learned", "pos_offset": 2, "activation": "relu"},
    "pythia": GPT2 | BIASES | {"rope_dim": 4, "parallel": True, "tie_embeddings": False},
    "gpt-j": GPT2 | {"rope_dim": 4, "rope_interleaved": True, "parallel": True, "bias_mlp": True},
    "falcon": GPT2 | {"n_kv_heads": 1, "parallel": True, "shared_norm": True},
    "mistral": {"n_kv_heads": 2, "window": 5},
    "alternating": {"window": 5, "window_layers": (True, False)},
    "gemma": {"d_head": 16, "embed_scale": 32**0.5, "activation": "gelu_tanh"},
    "scaled": {"attn_scale": 0.4, "logit_scale": 0.5, "logit_softcap": 3.0, "bias_head": True},
    "qwen2": {"n_kv_heads": 2, "bias_qkv": True},
    "sinusoidal": {"pos": "sinusoidal", "embed_norm": True},
    "no positions": {"pos": "none", "norm": "none"},
}


def build(**fields) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(BASE.replace(**fields))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # biases and norms, too
    return model


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", COVERED)
@torch.inference_mode()
def test_logits_equal_the_models(name, padded):
    model = build(**COVERED[name])
    ids = torch.randint(0, 40, (3, 44))
    is_real = torch.ones(3, 44, dtype=torch.bool)
    if padded:
        is_real[1, :6], is_real[2, :11] = False, False
    mask = is_real if padded else None
    expected = model(ids, pad_mask=mask)
    cache = KVCache(model.config, 3, 44, slack=3)
    model(ids[:, :12], cache=cache, pad_mask=is_real[:, :12] if padded else None)
    step = fast_step(model, cache)
    for t in range(12, 44):
        logits = step(ids[:, t : t + 1])
        assert (logits - expected[:, t]).abs().max() <= 2e-5


@pytest.mark.parametrize(
    "fields",
    [
        {"pos": "alibi"},
        {"pos": "relative"},
        {"norm_place": "post"},
        {"norm_place": "sandwich"},
        {"qk_norm": "head"},
        {"attn_softcap": 5.0},
        {"n_experts": 2, "n_experts_per_token": 1},
        {"window": 4, "window_layers": (True, False), "rope_theta_local": 100.0},
    ],
)
def test_other_models_take_their_own_step(fields):
    model = build(**fields)
    assert fast_step(model, KVCache(model.config, 1)) is None
    assert generate(model, [[1, 2]], max_new_tokens=9, temperature=0) == generate(
        model, [[1, 2]], max_new_tokens=9, temperature=0, cache=False
    )


def test_changed_models_take_their_own_step():
    """What a hook, an adapter or a subclass does must not be lost."""
    model = build()
    cache = KVCache(model.config, 1)
    assert fast_step(model, cache) is not None
    handle = model.blocks[1].mlp.register_forward_hook(lambda module, args, out: out * 2)
    assert fast_step(model, cache) is None
    handle.remove()
    assert fast_step(model, cache) is not None
    with torch.autocast("cpu", torch.bfloat16):
        assert fast_step(model, cache) is None
    add_lora(model, rank=2)
    assert fast_step(model, cache) is None
    assert fast_step(type("Other", (Transformer,), {})(BASE), cache) is None


def test_the_text_follows_the_weights():
    """Nothing of the weights is remembered from one call to the next."""
    model, options = build(), {"max_new_tokens": 20, "temperature": 0}
    before = generate(model, [[1, 2, 3]], **options)
    with torch.no_grad():
        model.blocks[0].mlp.up_proj.weight.data.neg_()
    after = generate(model, [[1, 2, 3]], **options)
    assert after != before
    assert after == generate(model, [[1, 2, 3]], cache=False, **options)
