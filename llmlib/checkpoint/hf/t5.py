"""T5, its revision 1.1 and FLAN-T5: encoder and decoder."""

from llmlib.checkpoint.hf.family import Family, Names, activation, their_activation, unsupported
from llmlib.model import EncoderDecoder, ModelConfig

# copies of the shared table, and a table of distances across stacks that nobody reads
UNUSED = r"^(en|de)coder\.embed_tokens\.weight$|EncDecAttention\.relative_attention_bias\.weight$"


def read_t5(raw: dict) -> ModelConfig:
    """1.0 ties its head and multiplies by 1/sqrt(d_model) before it; 1.1 does neither.

    Version 5 of transformers writes "tie_word_embeddings": true in any case, and
    "scale_decoder_outputs": false for 1.1. "gated-gelu" has always meant the tanh form.
    """
    unsupported(raw, is_encoder_decoder=True)
    kind = raw.get("feed_forward_proj", "relu").removeprefix("gated-")
    gated = raw.get("feed_forward_proj", "relu").startswith("gated-")
    tied = raw.get("tie_word_embeddings", True) and raw.get("scale_decoder_outputs", True)
    return ModelConfig(
        vocab_size=raw["vocab_size"],
        d_model=raw["d_model"],
        n_layers=raw.get("num_decoder_layers") or raw["num_layers"],
        n_encoder_layers=raw["num_layers"],
        n_heads=raw["num_heads"],
        d_head=raw["d_kv"],
        d_ff=raw["d_ff"],
        max_seq_len=raw.get("n_positions", 512),
        norm_eps=raw.get("layer_norm_epsilon", 1e-6),
        activation="gelu_tanh" if gated and kind == "gelu" else activation(kind),
        gated=gated,
        pos="relative",
        rel_buckets=raw.get("relative_attention_num_buckets", 32),
        rel_max_distance=raw.get("relative_attention_max_distance", 128),
        attn_scale=1.0,
        logit_scale=raw["d_model"] ** -0.5 if tied else 1.0,
        tie_embeddings=tied,
    )


def write_t5(config: ModelConfig) -> dict:
    if not config.n_encoder_layers:
        raise ValueError("T5 is an encoder-decoder")
    kind = their_activation(config)
    if config.gated:
        kind = "gated-gelu" if config.activation == "gelu_tanh" else f"gated-{kind}"
    return {
        "is_encoder_decoder": True,
        "vocab_size": config.vocab_size,
        "d_model": config.d_model,
        "num_layers": config.n_encoder_layers,
        "num_decoder_layers": config.n_layers,
        "num_heads": config.n_heads,
        "d_kv": config.d_head,
        "d_ff": config.d_ff,
        "n_positions": config.max_seq_len,
        "layer_norm_epsilon": config.norm_eps,
        "feed_forward_proj": kind,
        "relative_attention_num_buckets": config.rel_buckets,
        "relative_attention_max_distance": config.rel_max_distance,
        "tie_word_embeddings": config.tie_embeddings,
        "dropout_rate": 0.0,
        "decoder_start_token_id": 0,
    }


def names_t5(config: ModelConfig) -> Names:
    names: Names = {"shared": "embed", "lm_head": "head"}
    for stack, places in (("encoder", "attn mlp"), ("decoder", "attn cross mlp")):
        theirs, ours = f"{stack}.block.N.layer", f"{stack}.blocks.N"
        for number, place in enumerate(places.split()):
            names[f"{theirs}.{number}.layer_norm"] = f"{ours}.{place}_norm"
            if place != "mlp":
                module = "SelfAttention" if place == "attn" else "EncDecAttention"
                for letter in "qkvo":
                    to = f"{ours}.{place}.{letter}_proj"
                    names[f"{theirs}.{number}.{module}.{letter}"] = to
                continue
            inner = {"wi_0": "gate_proj", "wi_1": "up_proj"} if config.gated else {"wi": "up_proj"}
            for piece, to in (inner | {"wo": "down_proj"}).items():
                names[f"{theirs}.{number}.DenseReluDense.{piece}"] = f"{ours}.mlp.{to}"
        names[f"{theirs}.0.SelfAttention.relative_attention_bias"] = f"{stack}.rel_bias"
        names[f"{stack}.final_layer_norm"] = f"{stack}.norm"
    return names


T5_FAMILIES = {
    "t5": Family(
        "T5ForConditionalGeneration", read_t5, write_t5, names_t5, "", UNUSED, EncoderDecoder
    )
}
