"""Reading Hugging Face checkpoints: a folder with config.json and safetensors becomes our model.

What is peculiar to a family is folded in here, so that the model stays one plain thing. Families:
GPT-2, Llama (1 and 2, and what shares their `model_type` without scaled RoPE).
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from llmlib.model import ModelConfig, Transformer


class Family(NamedTuple):
    """How one `model_type` is read. In names, N stands for a layer's number."""

    config: Callable[[dict], ModelConfig]
    prefix: str  # before every name but the head's; some files leave it out
    names: dict[str, str | tuple[str, ...]]  # their module -> ours; several: a fused one, to split
    transposed: tuple[str, ...] = ()  # modules that store weights as (in, out)
    ignored: str = r"$^"  # tensors that are no parameters: masks and tables in older files


def from_hf(folder: str | Path, dtype: torch.dtype | None = torch.float32) -> Transformer:
    """The model saved in `folder`, its weights in `dtype` (None: as they are in the file).

    Raises FileNotFoundError when a file is missing, NotImplementedError for a model type or an
    option that `Transformer` does not have, and ValueError when file and configuration disagree.
    """
    folder = Path(folder)
    raw = json.loads(_existing(folder / "config.json").read_text(encoding="utf-8"))
    family = FAMILIES.get(raw.get("model_type"))
    if family is None:
        raise NotImplementedError(
            f"model_type {raw.get('model_type')!r} cannot be read yet, only {sorted(FAMILIES)}"
        )
    config = family.config(raw)
    weights = convert_names(_read_tensors(folder), family, config.tie_embeddings)
    with torch.device("meta"):
        model = Transformer(config)
    expected = {name: parameter.shape for name, parameter in model.named_parameters()}
    _check_names_and_shapes(weights, expected)
    if dtype is not None:
        weights = {name: tensor.to(dtype) for name, tensor in weights.items()}
    model.load_state_dict(weights, assign=True)
    return model


def convert_names(tensors: dict[str, Tensor], family: Family, tied: bool) -> dict[str, Tensor]:
    """Their tensors under our names: fused ones split, transposed ones turned."""
    weights: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        bare = name.removeprefix(family.prefix)
        if re.search(family.ignored, bare):
            continue
        module, _, kind = bare.rpartition(".")
        layer = re.search(r"(?<=\.)\d+(?=\.)", module)
        general = module.replace(f".{layer[0]}.", ".N.", 1) if layer else module
        if general not in family.names:
            raise ValueError(f"tensor {name!r} has no place in this model: is it another variant?")
        if general in family.transposed and tensor.dim() == 2:
            tensor = tensor.T
        targets = family.names[general]
        targets = (targets,) if isinstance(targets, str) else targets
        for target, part in zip(targets, tensor.chunk(len(targets)), strict=True):
            ours = target.replace("N", layer[0]) if layer else target
            weights[f"{ours}.{kind}"] = part.contiguous()
    copy = weights.pop("head.weight", None) if tied else None  # some files carry one
    if copy is not None and not torch.equal(copy, weights["embed.weight"]):
        raise ValueError("config.json ties head and embedding, but the file has two different ones")
    return weights


def _gpt2_config(raw: dict) -> ModelConfig:
    _unsupported(raw, scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False)
    return ModelConfig(
        vocab_size=raw["vocab_size"],
        d_model=raw["n_embd"],
        n_layers=raw["n_layer"],
        n_heads=raw["n_head"],
        d_ff=raw.get("n_inner"),
        max_seq_len=raw["n_positions"],
        norm="layernorm",
        norm_eps=raw.get("layer_norm_epsilon", 1e-5),
        norm_bias=True,
        activation=_activation(raw.get("activation_function", "gelu_new")),
        gated=False,
        pos="learned",
        bias_qkv=True,
        bias_o=True,
        bias_mlp=True,
        tie_embeddings=raw.get("tie_word_embeddings", True),
    )


def _llama_config(raw: dict) -> ModelConfig:
    rope = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise NotImplementedError(f"RoPE scaled by {kind!r} is not supported, only the plain one")
    bias = raw.get("attention_bias", False)
    return ModelConfig(
        vocab_size=raw["vocab_size"],
        d_model=raw["hidden_size"],
        n_layers=raw["num_hidden_layers"],
        n_heads=raw["num_attention_heads"],
        n_kv_heads=raw.get("num_key_value_heads"),
        d_head=raw.get("head_dim"),
        d_ff=raw["intermediate_size"],
        max_seq_len=raw["max_position_embeddings"],
        norm="rmsnorm",
        norm_eps=raw.get("rms_norm_eps", 1e-6),
        activation=_activation(raw.get("hidden_act", "silu")),
        gated=True,
        pos="rope",
        rope_theta=float(rope.get("rope_theta", raw.get("rope_theta", 10_000.0))),
        bias_qkv=bias,
        bias_o=bias,
        bias_mlp=raw.get("mlp_bias", False),
        tie_embeddings=raw.get("tie_word_embeddings", False),
    )


def _activation(name: str) -> str:
    """Their name of an activation -> ours."""
    names = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu"}
    names |= {"silu": "silu", "swish": "silu", "relu": "relu"}
    if name not in names:
        raise NotImplementedError(f"activation {name!r} is not supported, only {sorted(names)}")
    return names[name]


def _unsupported(raw: dict, **only: object) -> None:
    """Refuse options that would change the result and that the model does not have."""
    for option, value in only.items():
        if raw.get(option, value) != value:
            raise NotImplementedError(f"{option}={raw[option]!r} is not supported, only {value!r}")


def _check_names_and_shapes(weights: dict[str, Tensor], expected: dict[str, torch.Size]) -> None:
    missing, extra = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected)
    if missing or extra:
        raise ValueError(
            f"the file does not fit its config.json: missing {missing[:5]}, too many {extra[:5]}"
        )
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise ValueError(
                f"{name} is {tuple(weights[name].shape)} in the file, but config.json says "
                f"{tuple(shape)}"
            )


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint, from one safetensors file or from the index of several."""
    index = folder / "model.safetensors.index.json"
    files = ["model.safetensors"]
    if index.exists():
        files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    tensors: dict[str, Tensor] = {}
    for name in files:
        try:
            tensors |= load_file(_existing(folder / name))
        except SafetensorError as error:
            raise ValueError(f"{folder / name} is damaged ({error}): fetch it again") from error
    return tensors


def _existing(path: Path) -> Path:
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: from_hf reads a folder with config.json and model.safetensors "
            "(older .bin files must be saved again as safetensors)"
        )
    return path


_QKV = ("blocks.N.attn.q_proj", "blocks.N.attn.k_proj", "blocks.N.attn.v_proj")
FAMILIES: dict[str, Family] = {
    "gpt2": Family(
        config=_gpt2_config,
        prefix="transformer.",
        names={
            "wte": "embed",
            "wpe": "pos_embed",
            "h.N.ln_1": "blocks.N.attn_norm",
            "h.N.attn.c_attn": _QKV,
            "h.N.attn.c_proj": "blocks.N.attn.o_proj",
            "h.N.ln_2": "blocks.N.mlp_norm",
            "h.N.mlp.c_fc": "blocks.N.mlp.up_proj",
            "h.N.mlp.c_proj": "blocks.N.mlp.down_proj",
            "ln_f": "norm",
            "lm_head": "head",
        },
        transposed=("h.N.attn.c_attn", "h.N.attn.c_proj", "h.N.mlp.c_fc", "h.N.mlp.c_proj"),
        ignored=r"\.attn\.(bias|masked_bias)$",
    ),
    "llama": Family(
        config=_llama_config,
        prefix="model.",
        names={
            "embed_tokens": "embed",
            "layers.N.input_layernorm": "blocks.N.attn_norm",
            "layers.N.self_attn.q_proj": "blocks.N.attn.q_proj",
            "layers.N.self_attn.k_proj": "blocks.N.attn.k_proj",
            "layers.N.self_attn.v_proj": "blocks.N.attn.v_proj",
            "layers.N.self_attn.o_proj": "blocks.N.attn.o_proj",
            "layers.N.post_attention_layernorm": "blocks.N.mlp_norm",
            "layers.N.mlp.gate_proj": "blocks.N.mlp.gate_proj",
            "layers.N.mlp.up_proj": "blocks.N.mlp.up_proj",
            "layers.N.mlp.down_proj": "blocks.N.mlp.down_proj",
            "norm": "norm",
            "lm_head": "head",
        },
        ignored=r"rotary_emb\.inv_freq$",
    ),
}
