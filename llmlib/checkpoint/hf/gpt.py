"""GPT-2 and its open successors: GPT-J, GPT-NeoX (Pythia), BLOOM, Falcon, OPT."""

from llmlib.checkpoint.hf.family import (
    CONCATENATED,
    GROUPED,
    QKV,
    As,
    Family,
    Names,
    activation,
    either,
    read_rope,
    read_sizes,
    their_activation,
    transposed,
    unsupported,
    write_rope,
)
from llmlib.model import ModelConfig

LAYERNORM = {"norm": "layernorm", "norm_bias": True, "gated": False}
ALL_BIASES = {"bias_qkv": True, "bias_o": True, "bias_mlp": True}
MASKS = r"\.(attn|attention)\.(bias|masked_bias)$|inv_freq$"


def read_gpt2(raw: dict) -> ModelConfig:
    unsupported(raw, scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False)
    unsupported(raw, add_cross_attention=False)
    return ModelConfig(
        **read_sizes(raw),
        d_ff=raw.get("n_inner"),
        max_seq_len=either(raw, "n_positions", "max_position_embeddings"),
        norm_eps=raw.get("layer_norm_epsilon", 1e-5),
        activation=activation(raw.get("activation_function", "gelu_new")),
        pos="learned",
        tie_embeddings=raw.get("tie_word_embeddings", True),
        **LAYERNORM,
        **ALL_BIASES,
    )


def write_gpt2(config: ModelConfig) -> dict:
    return {
        "vocab_size": config.vocab_size,
        "n_embd": config.d_model,
        "n_layer": config.n_layers,
        "n_head": config.n_heads,
        "n_inner": config.d_ff,
        "n_positions": config.max_seq_len,
        "layer_norm_epsilon": config.norm_eps,
        "activation_function": their_activation(config),
        "tie_word_embeddings": config.tie_embeddings,
    }


def names_gpt2(config: ModelConfig) -> Names:
    return {
        "wte": "embed",
        "wpe": "pos_embed",
        "h.N.ln_1": "blocks.N.attn_norm",
        "h.N.attn.c_attn": As(transposed(CONCATENATED), QKV),
        "h.N.attn.c_proj": As(transposed(), ("blocks.N.attn.o_proj",)),
        "h.N.ln_2": "blocks.N.mlp_norm",
        "h.N.mlp.c_fc": As(transposed(), ("blocks.N.mlp.up_proj",)),
        "h.N.mlp.c_proj": As(transposed(), ("blocks.N.mlp.down_proj",)),
        "ln_f": "norm",
        "lm_head": "head",
    }


def read_gptj(raw: dict) -> ModelConfig:
    return ModelConfig(
        **read_sizes(raw),
        d_ff=raw.get("n_inner"),
        max_seq_len=either(raw, "n_positions", "max_position_embeddings"),
        norm_eps=raw.get("layer_norm_epsilon", 1e-5),
        activation=activation(raw.get("activation_function", "gelu_new")),
        pos="rope",
        rope_dim=raw.get("rotary_dim", 64),
        rope_interleaved=True,
        parallel=True,
        shared_norm=True,
        bias_mlp=True,
        bias_head=True,
        tie_embeddings=raw.get("tie_word_embeddings", False),
        **LAYERNORM,
    )


def write_gptj(config: ModelConfig) -> dict:
    return write_gpt2(config) | {"rotary_dim": config.rope_dim}


def names_gptj(config: ModelConfig) -> Names:
    return {
        "wte": "embed",
        "h.N.ln_1": "blocks.N.attn_norm",
        "h.N.attn.q_proj": "blocks.N.attn.q_proj",
        "h.N.attn.k_proj": "blocks.N.attn.k_proj",
        "h.N.attn.v_proj": "blocks.N.attn.v_proj",
        "h.N.attn.out_proj": "blocks.N.attn.o_proj",
        "h.N.mlp.fc_in": "blocks.N.mlp.up_proj",
        "h.N.mlp.fc_out": "blocks.N.mlp.down_proj",
        "ln_f": "norm",
        "lm_head": "head",
    }


def read_neox(raw: dict) -> ModelConfig:
    rope = raw.get("rope_parameters") or {}
    share = rope.get("partial_rotary_factor", raw.get("rotary_pct", 0.25))
    bias = raw.get("attention_bias", True)
    sizes = read_sizes(raw)
    d_head = sizes["d_model"] // sizes["n_heads"]
    return ModelConfig(
        **sizes,
        d_ff=raw["intermediate_size"],
        max_seq_len=raw["max_position_embeddings"],
        norm_eps=raw.get("layer_norm_eps", 1e-5),
        activation=activation(raw.get("hidden_act", "gelu")),
        **read_rope(raw, raw.get("rotary_emb_base", 10_000.0)),
        rope_dim=int(d_head * share),
        parallel=raw.get("use_parallel_residual", True),
        bias_qkv=bias,
        bias_o=bias,
        bias_mlp=True,
        tie_embeddings=raw.get("tie_word_embeddings", False),
        **LAYERNORM,
    )


def write_neox(config: ModelConfig) -> dict:
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "intermediate_size": config.d_ff,
        "max_position_embeddings": config.max_seq_len,
        "layer_norm_eps": config.norm_eps,
        "hidden_act": their_activation(config),
        **write_rope(config),
        "rotary_emb_base": config.rope_theta,
        "rotary_pct": config.rope_dim / config.d_head,
        "use_parallel_residual": config.parallel,
        "attention_bias": config.bias_qkv,
        "tie_word_embeddings": config.tie_embeddings,
    }


def names_neox(config: ModelConfig) -> Names:
    return {
        "embed_in": "embed",
        "layers.N.input_layernorm": "blocks.N.attn_norm",
        "layers.N.attention.query_key_value": As(GROUPED, QKV),
        "layers.N.attention.dense": "blocks.N.attn.o_proj",
        "layers.N.post_attention_layernorm": "blocks.N.mlp_norm",
        "layers.N.mlp.dense_h_to_4h": "blocks.N.mlp.up_proj",
        "layers.N.mlp.dense_4h_to_h": "blocks.N.mlp.down_proj",
        "final_layer_norm": "norm",
        "embed_out": "head",
    }


def read_bloom(raw: dict) -> ModelConfig:
    unsupported(raw, apply_residual_connection_post_layernorm=False)
    return ModelConfig(
        **read_sizes(raw),
        max_seq_len=raw.get("seq_length", 2048),
        norm_eps=raw.get("layer_norm_epsilon", 1e-5),
        embed_norm=True,
        activation="gelu_tanh",
        pos="alibi",
        tie_embeddings=raw.get("tie_word_embeddings", True),
        **LAYERNORM,
        **ALL_BIASES,
    )


def write_bloom(config: ModelConfig) -> dict:
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "n_layer": config.n_layers,
        "n_head": config.n_heads,
        "seq_length": config.max_seq_len,
        "layer_norm_epsilon": config.norm_eps,
        "tie_word_embeddings": config.tie_embeddings,
    }


def names_bloom(config: ModelConfig) -> Names:
    return {
        "word_embeddings": "embed",
        "word_embeddings_layernorm": "embed_norm",
        "h.N.input_layernorm": "blocks.N.attn_norm",
        "h.N.self_attention.query_key_value": As(GROUPED, QKV),
        "h.N.self_attention.dense": "blocks.N.attn.o_proj",
        "h.N.post_attention_layernorm": "blocks.N.mlp_norm",
        "h.N.mlp.dense_h_to_4h": "blocks.N.mlp.up_proj",
        "h.N.mlp.dense_4h_to_h": "blocks.N.mlp.down_proj",
        "ln_f": "norm",
        "lm_head": "head",
    }


GPT_FAMILIES = {
    "gpt2": Family("GPT2LMHeadModel", read_gpt2, write_gpt2, names_gpt2, "transformer.", MASKS),
    "gptj": Family("GPTJForCausalLM", read_gptj, write_gptj, names_gptj, "transformer.", MASKS),
    "gpt_neox": Family("GPTNeoXForCausalLM", read_neox, write_neox, names_neox, "gpt_neox.", MASKS),
    "bloom": Family("BloomForCausalLM", read_bloom, write_bloom, names_bloom, "transformer."),
}
