"""Checkpoints as the hub spells them: fields of older versions, buffers, copies, no prefix."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import llmlib
from llmlib.checkpoint.hf import FAMILIES, from_hf, local_folder, to_hf
from llmlib.checkpoint.hf.read import read_fields
from llmlib.model import ModelConfig, Transformer
from tests.model.references import REFERENCES, TOLERANCE, batch, difference, reference_logits


def old_rope(config: dict) -> None:
    """`rope_parameters`, which version 5 writes, spelled as version 4 did."""
    rope = config.pop("rope_parameters", None) or {}
    if "full_attention" in rope:  # Gemma 3
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    kind, theta = rope.get("rope_type", "default"), rope.get("rope_theta")
    share = rope.get("partial_rotary_factor")
    if config["model_type"] == "gpt_neox":
        config |= {"rotary_emb_base": theta, "rotary_pct": share}
    elif theta is not None:
        config |= {"rope_theta": theta, "rope_scaling": None}
        if share is not None:
            config["partial_rotary_factor"] = share
    if kind != "default":
        kept = {k: v for k, v in rope.items() if k not in ("rope_type", "rope_theta")}
        config["rope_scaling"] = {"type" if kind == "linear" else "rope_type": kind, **kept}


def old_fields(config: dict) -> None:
    """What files from before version 5 lack or call otherwise."""
    old_rope(config)
    kind = config["model_type"]
    tied = kind in ("gpt2", "bloom", "falcon", "opt", "starcoder2") or kind.startswith("gemma")
    if config.get("tie_word_embeddings", tied) == tied:
        config.pop("tie_word_embeddings", None)
    if kind in ("qwen2", "gemma2"):
        config.pop("layer_types", None)
    if kind == "bloom":
        config["n_embed"] = config.pop("hidden_size")
        config["num_attention_heads"] = config.pop("n_head")
    if kind == "falcon":
        config.pop("ffn_hidden_size")
        if not config["new_decoder_architecture"]:
            config["num_kv_heads"] = 71  # means nothing
    if kind == "gemma":
        config |= {"hidden_act": "gelu", "hidden_activation": None}
    config["torch_dtype"] = config.pop("dtype", "float32")


def old_tensors(kind: str, tensors: dict) -> dict:
    """No prefix, masks and tables among the weights, a copy of a tied head."""
    prefix = FAMILIES[kind].prefix
    bare = {name.removeprefix(prefix): t.contiguous() for name, t in tensors.items()}
    extra = {
        "gpt2": {"h.0.attn.bias": torch.ones(1, 1, 96, 96).tril(), "h.1.attn.masked_bias": -1e4},
        "gptj": {"h.0.attn.bias": torch.ones(1, 1, 96, 96).tril(), "h.1.attn.masked_bias": -1e9},
        "gpt_neox": {
            "layers.0.attention.bias": torch.ones(1, 1, 96, 96).tril(),
            "layers.0.attention.masked_bias": -1e9,
            "layers.1.attention.rotary_emb.inv_freq": torch.ones(3),
        },
        "falcon": {"h.0.self_attention.rotary_emb.inv_freq": torch.ones(4)},
        "llama": {"layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)},
    }.get(kind, {})
    tables = ("wte.weight", "word_embeddings.weight", "embed_tokens.weight")
    table = next((bare[name] for name in tables if name in bare), None)
    if table is not None and "lm_head.weight" not in bare:
        extra["lm_head.weight"] = table.clone()
    return bare | {name: torch.as_tensor(value) for name, value in extra.items()}


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_hub_spelling_gives_the_same_model(save_reference, tmp_path, name):
    theirs, folder = save_reference(name)
    config = json.loads((folder / "config.json").read_text())
    tensors = old_tensors(config["model_type"], load_file(folder / "model.safetensors"))
    old_fields(config)
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(tensors, tmp_path / "model.safetensors")
    ids = batch(rows=2)
    model = from_hf(tmp_path)
    assert model.config == from_hf(folder).config
    assert difference(model(ids), reference_logits(theirs, ids)) <= TOLERANCE


SIZES = {
    "vocab_size": 64,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 7,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


def test_gemma_2_and_3_without_layer_types():
    """Gemma 2 windows every other layer from the first, Gemma 3 five of six."""
    two = FAMILIES["gemma2"].read(SIZES)
    three = FAMILIES["gemma3_text"].read(SIZES | {"sliding_window_pattern": 3})
    assert two.window_layers == (True, False, True, False, True, False, True)
    assert (two.window, two.attn_softcap, two.logit_softcap) == (4096, 50.0, 30.0)
    assert three.window_layers == (True, True, False, True, True, False, True)
    assert (three.rope_theta, three.rope_theta_local) == (1_000_000.0, 10_000.0)
    assert three.attn_softcap is None and three.logit_softcap is None
    assert FAMILIES["gemma3_text"].read(SIZES).window_layers == (True,) * 5 + (False, True)


def test_qwens_window_counts_only_where_it_is_asked_for():
    raw = SIZES | {"num_hidden_layers": 4, "sliding_window": 8}
    read = FAMILIES["qwen2"].read
    assert read(raw).window is None and read(raw | {"use_sliding_window": False}).window is None
    asked = raw | {"use_sliding_window": True}
    assert read(asked | {"max_window_layers": 4}).window is None
    assert read(asked | {"max_window_layers": 0}).window_layers is None
    assert read(asked | {"max_window_layers": 3}).window_layers == (False,) * 3 + (True,)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("llama", {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "yarn"),
        ("phi3", {"rope_scaling": {"type": "longrope", "long_factor": [1.0]}}, "longrope"),
        ("llama", {"hidden_act": "mish"}, "mish"),
        ("bloom", {"apply_residual_connection_post_layernorm": True}, "post_layernorm"),
        ("opt", {"do_layer_norm_before": False}, "do_layer_norm_before"),
        ("opt", {"word_embed_proj_dim": 512}, "word_embed_proj_dim"),
        ("qwen3_moe", {"mlp_only_layers": [0]}, "mlp_only_layers"),
        ("qwen2_moe", {}, "shared expert"),
        ("gemma2", {"use_bidirectional_attention": True}, "bidirectional"),
        ("llama", {"quantization_config": {"quant_method": "awq", "bits": 4}}, "awq"),
    ],
)
def test_variants_that_we_do_not_have_are_refused(kind, change, message):
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    raw = SIZES | experts | {"ffn_dim": 64}
    if kind != "qwen2_moe":
        read_fields(FAMILIES[kind], raw)
    with pytest.raises(NotImplementedError, match=message):
        read_fields(FAMILIES[kind], raw | change)


def test_shards_are_written_and_read(tmp_path, save_reference):
    import transformers

    theirs, folder = save_reference("mixtral")
    model, ids = from_hf(folder), batch(rows=2)
    to_hf(model, tmp_path, shard_bytes=40_000, eos_token_id=3)
    assert len(list(tmp_path.glob("model-*-of-*.safetensors"))) > 3
    assert torch.equal(from_hf(tmp_path)(ids), model(ids))
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert loaded.config.eos_token_id == 3
    assert difference(loaded(ids).logits, reference_logits(theirs, ids)) <= TOLERANCE


def test_a_folder_may_be_written_over(tmp_path, save_reference):
    """Also by the model whose weights are read from it; nothing of the old checkpoint stays."""
    _, folder = save_reference("llama")
    to_hf(from_hf(folder), tmp_path, shard_bytes=30_000)
    ids, model = batch(rows=1), from_hf(tmp_path)
    before = model(ids)
    model.embed.weight[:] *= 2
    changed = model(ids)
    to_hf(model, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"config.json", "model.safetensors"}
    assert torch.equal(model(ids), changed) and torch.equal(from_hf(tmp_path)(ids), changed)
    to_hf(from_hf(folder), tmp_path, shard_bytes=30_000)
    assert torch.equal(from_hf(tmp_path)(ids), before)


def test_a_hub_name_is_downloaded(monkeypatch, tmp_path, save_reference):
    """Weights, configuration and tokenizer files only, once; and no pickle instead of weights."""
    import huggingface_hub

    _, folder = save_reference("llama")
    asked = []

    def snapshot_download(name, allow_patterns):
        asked.append((name, allow_patterns))
        return str(folder if name == "owner/model" else tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert local_folder("owner/model") == folder
    ids = batch(rows=1)
    assert torch.equal(llmlib.from_hf("owner/model")(ids), from_hf(folder)(ids))
    assert len(asked) == 2 and not any(".bin" in pattern for pattern in asked[0][1])
    with pytest.raises(ValueError, match="no safetensors on the hub"):
        from_hf("owner/pickle")


def test_a_model_that_no_family_expresses_is_not_written(tmp_path):
    """LayerNorm without a bias, and a gate: the course's own; and a field that a family lacks."""
    config = ModelConfig(vocab_size=50, d_model=32, n_layers=2, n_heads=4, norm="layernorm")
    with pytest.raises(ValueError, match=r"checkpoint\.save"):
        to_hf(Transformer(config), tmp_path / "own")
    capped = config.replace(norm="rmsnorm", logit_softcap=5.0)
    with pytest.raises(ValueError, match=r"llama.*logit_softcap=5\.0"):
        to_hf(Transformer(capped), tmp_path / "own", family="llama")
    with pytest.raises(ValueError, match="no family 'lama'"):
        to_hf(Transformer(capped), tmp_path / "own", family="lama")
    assert not (tmp_path / "own").exists()


def test_a_model_made_here_becomes_a_checkpoint(tmp_path):
    """Trained with the library, read by everybody: the first family that can express it."""
    import transformers

    torch.manual_seed(0)
    config = ModelConfig(vocab_size=97, d_model=32, n_layers=2, n_heads=4, init_std=0.2)
    model, ids = Transformer(config), batch(rows=1)
    assert to_hf(model, tmp_path, dtype=torch.float16) == "llama"
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.dtype == torch.float16
    assert difference(loaded.float()(ids).logits, model(ids)) <= 2e-2  # half precision
    assert from_hf(tmp_path, dtype=None).embed.weight.dtype == torch.float16


def test_from_hf_stands_at_the_top():
    assert llmlib.from_hf is from_hf
    with pytest.raises(AttributeError, match="from_fh"):
        _ = llmlib.from_fh
