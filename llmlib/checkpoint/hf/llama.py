"""Llama and those built after it: Mistral, Mixtral, Qwen, OLMo-2, Phi-3, StarCoder2."""

from llmlib.checkpoint.hf.family import (
    CONCATENATED,
    HALVES,
    QKV,
    As,
    Family,
    Names,
    activation,
    read_rope,
    read_sizes,
    their_activation,
    unsupported,
    write_rope,
)
from llmlib.model import ModelConfig

TABLES = r"inv_freq$"


def read_llama(raw: dict, **more) -> ModelConfig:
    """What all of them share; `more` are the fields in which a family differs."""
    bias = bool(raw.get("attention_bias", False))
    rope = read_rope(raw, more.pop("default_theta", 10_000.0))
    fields = {
        **read_sizes(raw),
        "n_kv_heads": raw.get("num_key_value_heads"),
        "d_head": raw.get("head_dim"),
        "d_ff": raw["intermediate_size"],
        "max_seq_len": raw["max_position_embeddings"],
        "norm": "rmsnorm",
        "norm_eps": raw.get("rms_norm_eps", 1e-6),
        "activation": activation(raw.get("hidden_act", "silu")),
        "gated": True,
        "bias_qkv": bias,
        "bias_o": bias,
        "bias_mlp": bool(raw.get("mlp_bias", False)),
        "tie_embeddings": raw.get("tie_word_embeddings", False),
    }
    return ModelConfig(**(fields | rope | more))


def write_llama(config: ModelConfig) -> dict:
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.d_head,
        "intermediate_size": config.d_ff,
        "max_position_embeddings": config.max_seq_len,
        "rms_norm_eps": config.norm_eps,
        "hidden_act": their_activation(config),
        **write_rope(config),
        "attention_bias": config.bias_qkv,
        "mlp_bias": config.bias_mlp,
        "tie_word_embeddings": config.tie_embeddings,
    }


ATTENTION: Names = {
    f"layers.N.self_attn.{name}": f"blocks.N.attn.{name}"
    for name in ("q_proj", "k_proj", "v_proj", "o_proj")
}
MLP: Names = {
    f"layers.N.mlp.{name}": f"blocks.N.mlp.{name}" for name in ("gate_proj", "up_proj", "down_proj")
}
QK_NORMS: Names = {
    f"layers.N.self_attn.{name}": f"blocks.N.attn.{name}" for name in ("q_norm", "k_norm")
}
ENDS: Names = {"embed_tokens": "embed", "norm": "norm", "lm_head": "head"}
PRE_NORMS: Names = {
    "layers.N.input_layernorm": "blocks.N.attn_norm",
    "layers.N.post_attention_layernorm": "blocks.N.mlp_norm",
}


def names_llama(config: ModelConfig) -> Names:
    return {**ENDS, **PRE_NORMS, **ATTENTION, **MLP}


def read_mistral(raw: dict) -> ModelConfig:
    """A file that says nothing of the window has that of the first Mistral; null means none."""
    return read_llama(raw, window=raw.get("sliding_window", 4096))


def write_mistral(config: ModelConfig) -> dict:
    return write_llama(config) | {"sliding_window": config.window}


def read_mixtral(raw: dict) -> ModelConfig:
    return read_llama(
        raw,
        default_theta=1_000_000.0,
        norm_eps=raw.get("rms_norm_eps", 1e-5),
        window=raw.get("sliding_window"),
        n_experts=raw.get("num_local_experts", 8),
        n_experts_per_token=raw.get("num_experts_per_tok", 2),
    )


def write_mixtral(config: ModelConfig) -> dict:
    return write_mistral(config) | {
        "num_local_experts": config.n_experts,
        "num_experts_per_tok": config.n_experts_per_token,
    }


def names_mixtral(config: ModelConfig) -> Names:
    w = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}
    moe, ours = "layers.N.block_sparse_moe", "blocks.N.mlp"
    return {
        **ENDS,
        **PRE_NORMS,
        **ATTENTION,
        f"{moe}.gate": f"{ours}.router",
        **{f"{moe}.experts.E.{k}": f"{ours}.experts.E.{name}" for k, name in w.items()},
    }


def _qwen_windows(raw: dict) -> dict:
    """Qwen's window counts only if `use_sliding_window`, and from layer `max_window_layers` on."""
    window = raw.get("sliding_window") if raw.get("use_sliding_window") else None
    if window is None:
        return {}
    kinds = raw.get("layer_types")
    full, n = raw.get("max_window_layers", 28), raw["num_hidden_layers"]
    windowed = [k == "sliding_attention" for k in kinds] if kinds else [i >= full for i in range(n)]
    if not any(windowed):
        return {}
    return {"window": window, "window_layers": None if all(windowed) else tuple(windowed)}


def _write_qwen_windows(config: ModelConfig) -> dict:
    windowed = [config.windowed(layer) for layer in range(config.n_layers)]
    kinds = ["sliding_attention" if w else "full_attention" for w in windowed]
    return {
        "use_sliding_window": any(windowed),
        "sliding_window": config.window,
        "max_window_layers": windowed.index(True) if any(windowed) else config.n_layers,
        "layer_types": kinds,
    }


def read_qwen2(raw: dict) -> ModelConfig:
    return read_llama(raw, bias_qkv=True, bias_o=False, **_qwen_windows(raw))


def write_qwen2(config: ModelConfig) -> dict:
    return write_llama(config) | _write_qwen_windows(config)


def read_qwen3(raw: dict) -> ModelConfig:
    head = raw.get("head_dim") or 128
    return read_llama(raw, d_head=head, qk_norm="head", **_qwen_windows(raw))


def names_qwen3(config: ModelConfig) -> Names:
    return {**names_llama(config), **QK_NORMS}


def read_qwen3_moe(raw: dict) -> ModelConfig:
    unsupported(raw, decoder_sparse_step=1, mlp_only_layers=[])
    return read_llama(
        raw,
        qk_norm="head",
        window=raw.get("sliding_window") if raw.get("use_sliding_window") else None,
        n_experts=raw["num_experts"] if "num_experts" in raw else raw["num_local_experts"],
        n_experts_per_token=raw["num_experts_per_tok"],
        d_expert=raw["moe_intermediate_size"],
        renormalize_experts=raw.get("norm_topk_prob", False),
    )


def write_qwen3_moe(config: ModelConfig) -> dict:
    return write_llama(config) | {
        "use_sliding_window": config.window is not None,
        "sliding_window": config.window,
        "num_experts": config.n_experts,
        "num_experts_per_tok": config.n_experts_per_token,
        "moe_intermediate_size": config.d_expert,
        "norm_topk_prob": config.renormalize_experts,
    }


def names_qwen3_moe(config: ModelConfig) -> Names:
    experts = {
        f"layers.N.mlp.experts.E.{name}": f"blocks.N.mlp.experts.E.{name}"
        for name in ("gate_proj", "up_proj", "down_proj")
    }
    router = {"layers.N.mlp.gate": "blocks.N.mlp.router"}
    return {**ENDS, **PRE_NORMS, **ATTENTION, **QK_NORMS, **router, **experts}


def read_qwen2_moe(raw: dict) -> ModelConfig:
    raise NotImplementedError(
        "qwen2_moe has a shared expert beside the routed ones, which this model does not have; "
        "qwen3_moe and mixtral can be read"
    )


def read_olmo2(raw: dict) -> ModelConfig:
    eps = raw.get("rms_norm_eps", 1e-5)
    return read_llama(raw, norm_eps=eps, norm_place="branch", qk_norm="full")


def names_olmo2(config: ModelConfig) -> Names:
    return {
        **ENDS,
        **ATTENTION,
        **QK_NORMS,
        **MLP,
        "layers.N.post_attention_layernorm": "blocks.N.attn_norm",
        "layers.N.post_feedforward_layernorm": "blocks.N.mlp_norm",
    }


def read_phi3(raw: dict) -> ModelConfig:
    rope = raw.get("rope_parameters") or {}
    share = rope.get("partial_rotary_factor", raw.get("partial_rotary_factor", 1.0))
    d_head = raw.get("head_dim") or raw["hidden_size"] // raw["num_attention_heads"]
    return read_llama(
        raw,
        norm_eps=raw.get("rms_norm_eps", 1e-5),
        rope_dim=int(d_head * share),
        window=raw.get("sliding_window"),
    )


def write_phi3(config: ModelConfig) -> dict:
    share = {"partial_rotary_factor": config.rope_dim / config.d_head}
    return write_mistral(config) | share | {"attention_bias": config.bias_qkv}


def names_phi3(config: ModelConfig) -> Names:
    return {
        **ENDS,
        **PRE_NORMS,
        "layers.N.self_attn.qkv_proj": As(CONCATENATED, QKV),
        "layers.N.self_attn.o_proj": "blocks.N.attn.o_proj",
        "layers.N.mlp.gate_up_proj": As(HALVES, ("blocks.N.mlp.gate_proj", "blocks.N.mlp.up_proj")),
        "layers.N.mlp.down_proj": "blocks.N.mlp.down_proj",
    }


def read_starcoder2(raw: dict) -> ModelConfig:
    bias = raw.get("use_bias", True)
    return read_llama(
        raw,
        norm="layernorm",
        norm_bias=True,
        norm_eps=raw.get("norm_epsilon", 1e-5),
        activation=activation(raw.get("hidden_act", "gelu_pytorch_tanh")),
        gated=False,
        window=raw.get("sliding_window"),
        bias_qkv=bias,
        bias_o=bias,
        bias_mlp=bias,
        tie_embeddings=raw.get("tie_word_embeddings", True),
    )


def write_starcoder2(config: ModelConfig) -> dict:
    fields = write_mistral(config)
    return fields | {"norm_epsilon": config.norm_eps, "use_bias": config.bias_mlp}


def names_starcoder2(config: ModelConfig) -> Names:
    mlp = {
        "layers.N.mlp.c_fc": "blocks.N.mlp.up_proj",
        "layers.N.mlp.c_proj": "blocks.N.mlp.down_proj",
    }
    return {**ENDS, **PRE_NORMS, **ATTENTION, **mlp}


def _family(architecture: str, read, write, names) -> Family:
    return Family(f"{architecture}ForCausalLM", read, write, names, "model.", TABLES)


LLAMA_FAMILIES = {
    "llama": _family("Llama", read_llama, write_llama, names_llama),
    "mistral": _family("Mistral", read_mistral, write_mistral, names_llama),
    "mixtral": _family("Mixtral", read_mixtral, write_mixtral, names_mixtral),
    "qwen2": _family("Qwen2", read_qwen2, write_qwen2, names_llama),
    "qwen3": _family("Qwen3", read_qwen3, write_qwen2, names_qwen3),
    "qwen3_moe": _family("Qwen3Moe", read_qwen3_moe, write_qwen3_moe, names_qwen3_moe),
    "qwen2_moe": _family("Qwen2Moe", read_qwen2_moe, write_qwen3_moe, names_qwen3_moe),
    "olmo2": _family("Olmo2", read_olmo2, write_llama, names_olmo2),
    "phi3": _family("Phi3", read_phi3, write_phi3, names_phi3),
    "starcoder2": _family("Starcoder2", read_starcoder2, write_starcoder2, names_starcoder2),
}
