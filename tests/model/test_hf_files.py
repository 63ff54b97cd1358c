"""Checkpoints as they are found: older spellings, shards, buffers, copies; and what is refused."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from llmlib.checkpoint.hf import FAMILIES, from_hf
from tests.model.references import TOLERANCE, batch, difference, reference_logits, write


@pytest.fixture(params=["gpt2", "llama"])
def saved(request, save_reference):
    return save_reference(request.param)


@pytest.fixture
def copy(saved, tmp_path):
    """A folder that a test may change: (folder, its config, its tensors)."""
    _, folder = saved
    config = json.loads((folder / "config.json").read_text())
    return tmp_path, config, load_file(folder / "model.safetensors")


def test_files_as_found_on_the_hub(saved, copy):
    """No prefix, buffers among the weights, the fields of older configs, a copy of a tied head."""
    theirs, _ = saved
    folder, config, tensors = copy
    if config["model_type"] == "gpt2":
        tensors = {name.removeprefix("transformer."): t for name, t in tensors.items()}
        tensors["h.0.attn.bias"] = torch.ones(1, 1, 96, 96).tril()
        tensors["h.0.attn.masked_bias"] = torch.tensor(-1e4)
        tensors["lm_head.weight"] = tensors["wte.weight"].clone()
        del config["tie_word_embeddings"]
    else:
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
        config |= {"rope_theta": config.pop("rope_parameters")["rope_theta"], "rope_scaling": None}
        del config["head_dim"]
    write(folder, config, tensors)
    ids = batch()
    assert difference(from_hf(folder)(ids), reference_logits(theirs, ids)) <= TOLERANCE


def test_shards_are_read_through_the_index(saved, copy):
    theirs, _ = saved
    folder, config, tensors = copy
    names = sorted(tensors)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, folder / file)
    weight_map = {name: file for file, part in parts.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (folder / "config.json").write_text(json.dumps(config))
    ids = batch()
    assert difference(from_hf(folder)(ids), reference_logits(theirs, ids)) <= TOLERANCE


def test_precision_of_the_weights(saved):
    _, folder = saved
    model = from_hf(folder, dtype=torch.bfloat16)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert model(batch()).dtype == torch.bfloat16


def test_what_does_not_fit_is_refused(copy):
    folder, config, tensors = copy
    name = max(tensors)
    write(folder, config, {k: t for k, t in tensors.items() if k != name})
    with pytest.raises(ValueError, match="missing"):
        from_hf(folder)
    write(folder, config, tensors | {"surprise.weight": torch.ones(2)})
    with pytest.raises(ValueError, match="surprise"):
        from_hf(folder)
    write(folder, config, tensors | {name: tensors[name][:-1]})
    with pytest.raises(ValueError, match=r"config\.json"):
        from_hf(folder)
    write(folder, config | {"model_type": "mystery"}, tensors)
    with pytest.raises(NotImplementedError, match="mystery"):
        from_hf(folder)
    write(folder, config, tensors)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged"):
        from_hf(folder)
    file.unlink()
    with pytest.raises(FileNotFoundError, match="safetensors"):
        from_hf(folder)


def test_options_we_do_not_have_are_refused(copy):
    folder, config, tensors = copy
    if config["model_type"] == "gpt2":
        changes = [{"scale_attn_by_inverse_layer_idx": True}, {"activation_function": "tanh"}]
    else:
        scaled = {"rope_type": "yarn", "rope_theta": 500.0, "factor": 8.0}
        changes = [{"rope_parameters": scaled}, {"hidden_act": "tanh"}]
    for change in changes:
        write(folder, config | change, tensors)
        with pytest.raises(NotImplementedError, match="not supported"):
            from_hf(folder)


def test_what_a_config_leaves_out_is_what_transformers_takes_for_it():
    """Files of older models leave fields at their default out."""
    theirs = transformers.LlamaConfig().to_dict()
    needed = "vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size"
    raw = {name: theirs[name] for name in [*needed.split(), "max_position_embeddings"]}
    ours = FAMILIES["llama"].read(raw)
    assert ours.norm_eps == theirs["rms_norm_eps"] and ours.rope_theta == 10_000
    assert (ours.n_kv_heads, ours.activation, ours.tie_embeddings) == (32, "silu", False)
    theirs = transformers.GPT2Config().to_dict()
    raw = {n: theirs[n] for n in "vocab_size n_embd n_layer n_head n_positions".split()}
    ours = FAMILIES["gpt2"].read(raw)
    assert ours.norm_eps == theirs["layer_norm_epsilon"] and ours.d_ff == 4 * theirs["n_embd"]
    assert ours.activation == "gelu_tanh" and ours.tie_embeddings
