"""Falcon in its three styles, and OPT."""

from llmlib.checkpoint.hf.family import (
    GROUPED,
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
from llmlib.checkpoint.hf.gpt import LAYERNORM, MASKS
from llmlib.model import ModelConfig


def read_falcon(raw: dict) -> ModelConfig:
    """7B: parallel, one key-value head, one norm. 40B: "new", groups, two norms. RW: ALiBi.

    `num_kv_heads` means something in the new architecture only: elsewhere files hold any number.
    """
    new, sizes = raw.get("new_decoder_architecture", False), read_sizes(raw)
    heads = sizes["n_heads"]
    kv_heads = 1 if raw.get("multi_query", True) else heads
    if new:
        kv_heads = raw.get("num_kv_heads") or heads
    parallel = new or raw.get("parallel_attn", True)
    bias = raw.get("bias", False)
    position = {"pos": "alibi", "alibi_scaled": True} if raw.get("alibi") else read_rope(raw)
    return ModelConfig(
        **sizes,
        n_kv_heads=kv_heads,
        d_ff=raw.get("ffn_hidden_size"),
        max_seq_len=raw.get("max_position_embeddings", 2048),
        norm_eps=raw.get("layer_norm_epsilon", 1e-5),
        activation=activation(raw.get("activation", "gelu")),
        **position,
        parallel=parallel,
        shared_norm=parallel and not (new and raw.get("num_ln_in_parallel_attn") in (None, 2)),
        bias_qkv=bias,
        bias_o=bias,
        bias_mlp=bias,
        tie_embeddings=raw.get("tie_word_embeddings", True),
        **LAYERNORM,
    )


def write_falcon(config: ModelConfig) -> dict:
    new = config.parallel and not (config.shared_norm and config.n_kv_heads == 1)
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_kv_heads": config.n_kv_heads,
        "multi_query": config.n_kv_heads == 1 and not new,
        "new_decoder_architecture": new,
        "parallel_attn": config.parallel,
        "num_ln_in_parallel_attn": (1 if config.shared_norm else 2) if new else None,
        "ffn_hidden_size": config.d_ff,
        "max_position_embeddings": config.max_seq_len,
        "layer_norm_epsilon": config.norm_eps,
        "activation": their_activation(config),
        "alibi": config.pos == "alibi",
        **write_rope(config),
        "bias": config.bias_mlp,
        "tie_word_embeddings": config.tie_embeddings,
    }


def names_falcon(config: ModelConfig) -> Names:
    if config.parallel and not config.shared_norm:
        norms = {"ln_attn": "attn_norm", "ln_mlp": "mlp_norm"}
    else:
        norms = {"input_layernorm": "attn_norm", "post_attention_layernorm": "mlp_norm"}
    return {
        "word_embeddings": "embed",
        **{f"h.N.{theirs}": f"blocks.N.{ours}" for theirs, ours in norms.items()},
        "h.N.self_attention.query_key_value": As(GROUPED, QKV),
        "h.N.self_attention.dense": "blocks.N.attn.o_proj",
        "h.N.mlp.dense_h_to_4h": "blocks.N.mlp.up_proj",
        "h.N.mlp.dense_4h_to_h": "blocks.N.mlp.down_proj",
        "ln_f": "norm",
        "lm_head": "head",
    }


def read_opt(raw: dict) -> ModelConfig:
    """The table of positions has two rows more than positions: fairseq kept them for padding."""
    unsupported(raw, do_layer_norm_before=True, layer_norm_elementwise_affine=True)
    unsupported(raw, word_embed_proj_dim=raw["hidden_size"])
    bias = raw.get("enable_bias", True)
    return ModelConfig(
        **read_sizes(raw),
        d_ff=raw["ffn_dim"],
        max_seq_len=raw["max_position_embeddings"],
        final_norm=not raw.get("_remove_final_layer_norm", False),
        activation=activation(raw.get("activation_function", "relu")),
        pos="learned",
        pos_offset=2,
        bias_qkv=bias,
        bias_o=bias,
        bias_mlp=bias,
        tie_embeddings=raw.get("tie_word_embeddings", True),
        **LAYERNORM,
    )


def write_opt(config: ModelConfig) -> dict:
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "word_embed_proj_dim": config.d_model,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "ffn_dim": config.d_ff,
        "max_position_embeddings": config.max_seq_len,
        "_remove_final_layer_norm": not config.final_norm,
        "activation_function": their_activation(config),
        "enable_bias": config.bias_mlp,
        "tie_word_embeddings": config.tie_embeddings,
    }


def names_opt(config: ModelConfig) -> Names:
    return {
        "embed_tokens": "embed",
        "embed_positions": "pos_embed",
        "layers.N.self_attn_layer_norm": "blocks.N.attn_norm",
        "layers.N.self_attn.q_proj": "blocks.N.attn.q_proj",
        "layers.N.self_attn.k_proj": "blocks.N.attn.k_proj",
        "layers.N.self_attn.v_proj": "blocks.N.attn.v_proj",
        "layers.N.self_attn.out_proj": "blocks.N.attn.o_proj",
        "layers.N.final_layer_norm": "blocks.N.mlp_norm",
        "layers.N.fc1": "blocks.N.mlp.up_proj",
        "layers.N.fc2": "blocks.N.mlp.down_proj",
        "final_layer_norm": "norm",
        "lm_head": "head",
    }


FALCON_FAMILIES = {
    "falcon": Family(
        "FalconForCausalLM", read_falcon, write_falcon, names_falcon, "transformer.", MASKS
    ),
    "opt": Family("OPTForCausalLM", read_opt, write_opt, names_opt, "model.decoder."),
}
