"""Gemma 1, 2 and 3 (text): norms kept as w - 1, embeddings scaled, GELU by its tanh formula."""

from llmlib.checkpoint.hf.family import LESS_ONE, As, Family, Names, read_rope, unsupported
from llmlib.checkpoint.hf.llama import ATTENTION, MLP, TABLES, read_llama, write_llama
from llmlib.model import ModelConfig


def read_gemma(raw: dict, **more) -> ModelConfig:
    """Files of the first release say "gelu", and its code computes the tanh formula."""
    unsupported(raw, use_bidirectional_attention=False)
    name = raw.get("hidden_activation") or raw.get("hidden_act") or "gelu_pytorch_tanh"
    names = {"hidden_act": "gelu_pytorch_tanh" if name == "gelu" else name}
    ends = {
        "d_head": raw.get("head_dim", 256),
        "embed_scale": raw["hidden_size"] ** 0.5,
        "tie_embeddings": raw.get("tie_word_embeddings", True),
    }
    return read_llama(raw | names, **(ends | more))


def write_gemma(config: ModelConfig) -> dict:
    fields = write_llama(config)
    return fields | {"hidden_activation": fields["hidden_act"]}


def read_gemma2(raw: dict, **more) -> ModelConfig:
    scale, d_head = raw.get("query_pre_attn_scalar", 256), raw.get("head_dim", 256)
    kinds = raw.get("layer_types")
    if not kinds:
        kinds = ["full" if i % 2 else "sliding_attention" for i in range(raw["num_hidden_layers"])]
    window = raw.get("sliding_window", 4096)
    fields = {
        "norm_place": "sandwich",
        "window": window,
        "window_layers": tuple(kind == "sliding_attention" for kind in kinds) if window else None,
        "attn_scale": None if scale == d_head else float(scale) ** -0.5,
        "attn_softcap": raw.get("attn_logit_softcapping", 50.0),
        "logit_softcap": raw.get("final_logit_softcapping", 30.0),
    }
    return read_gemma(raw, **(fields | more))


def write_gemma2(config: ModelConfig) -> dict:
    windowed = [config.windowed(layer) for layer in range(config.n_layers)]
    scale = config.d_head if config.attn_scale is None else config.attn_scale**-2
    return write_gemma(config) | {
        "query_pre_attn_scalar": round(scale),
        "sliding_window": config.window,
        "layer_types": ["sliding_attention" if w else "full_attention" for w in windowed],
        "attn_logit_softcapping": config.attn_softcap,
        "final_logit_softcapping": config.logit_softcap,
    }


def read_gemma3(raw: dict) -> ModelConfig:
    """Five layers with a window and their own theta, then one that sees everything."""
    ropes = raw.get("rope_parameters") or {}
    wide = read_rope(raw | {"rope_parameters": ropes.get("full_attention")}, 1_000_000.0)
    near = ropes.get("sliding_attention") or {}
    local = near.get("rope_theta", raw.get("rope_local_base_freq", 10_000.0))
    period, n = raw.get("sliding_window_pattern", 6), raw["num_hidden_layers"]
    kinds = raw.get("layer_types")
    if not kinds:
        kinds = ["sliding_attention" if (i + 1) % period else "full" for i in range(n)]
    caps = {name: raw.get(name) for name in ("attn_logit_softcapping", "final_logit_softcapping")}
    plain = raw | {"layer_types": kinds, "rope_parameters": None, "rope_scaling": None} | caps
    return read_gemma2(plain, qk_norm="head", rope_theta_local=float(local), **wide)


def write_gemma3(config: ModelConfig) -> dict:
    return write_gemma2(config) | {"rope_local_base_freq": config.rope_theta_local}


def names_gemma(config: ModelConfig) -> Names:
    """Gemma 2 calls the norm of attention's output what others call the norm before the MLP."""
    before = {"input_layernorm": "attn_norm", "post_attention_layernorm": "mlp_norm"}
    around = {
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "attn_out_norm",
        "pre_feedforward_layernorm": "mlp_norm",
        "post_feedforward_layernorm": "mlp_out_norm",
    }
    norms = around if config.norm_place == "sandwich" else before
    if config.qk_norm == "head":
        norms = norms | {"self_attn.q_norm": "attn.q_norm", "self_attn.k_norm": "attn.k_norm"}
    return {
        "embed_tokens": "embed",
        **ATTENTION,
        **MLP,
        **{f"layers.N.{k}": As(LESS_ONE, (f"blocks.N.{name}",)) for k, name in norms.items()},
        "norm": As(LESS_ONE, ("norm",)),
        "lm_head": "head",
    }


GEMMA_FAMILIES = {
    name: Family(architecture, read, write, names_gemma, "model.", TABLES)
    for name, architecture, read, write in (
        ("gemma", "GemmaForCausalLM", read_gemma, write_gemma),
        ("gemma2", "Gemma2ForCausalLM", read_gemma2, write_gemma2),
        ("gemma3_text", "Gemma3ForCausalLM", read_gemma3, write_gemma3),
    )
}
