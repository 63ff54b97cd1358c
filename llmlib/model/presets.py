"""Configurations by name: published ones with their source, and the course's own."""

from llmlib.model.config import ModelConfig

# Radford et al. 2019, table 2, and the released code's hyper-parameters (github.com/openai/gpt-2).
_GPT2 = ModelConfig(
    vocab_size=50257,
    d_model=768,
    n_layers=12,
    n_heads=12,
    max_seq_len=1024,
    norm="layernorm",
    norm_bias=True,
    activation="gelu_tanh",
    gated=False,
    pos="learned",
    bias_qkv=True,
    bias_o=True,
    bias_mlp=True,
)

# Touvron et al. 2023, "Llama 2", section 2.2 and the released 7B configuration.
_LLAMA_2_7B = ModelConfig(
    vocab_size=32000,
    d_model=4096,
    n_layers=32,
    n_heads=32,
    d_ff=11008,
    max_seq_len=4096,
    tie_embeddings=False,
)

# Biderman et al. 2023, "Pythia", table 1 and appendix; the GPT-NeoX code's rotary share of 25 %.
_PYTHIA_160M = ModelConfig(
    vocab_size=50304,
    d_model=768,
    n_layers=12,
    n_heads=12,
    max_seq_len=2048,
    norm="layernorm",
    norm_bias=True,
    activation="gelu",
    gated=False,
    pos="rope",
    rope_dim=16,
    parallel=True,
    bias_qkv=True,
    bias_o=True,
    bias_mlp=True,
    tie_embeddings=False,
)

# The course's own. Of a million parameters every one counts: the head reuses the embedding table,
# there are no biases, RoPE's positions cost none, and two query heads share a key-value head, which
# pays for a sixth layer. 1024 tokens of vocabulary keep the table at an eighth of the model. On a
# CPU SwiGLU takes less time than GELU at equal parameters, and LayerNorm a third of RMSNorm: torch
# has one fused kernel for the former. 512 tokens of context hold an agent's transcript.
_WORLD_S = ModelConfig(
    vocab_size=1024,
    d_model=128,
    n_layers=6,
    n_heads=4,
    n_kv_heads=2,
    d_ff=288,
    max_seq_len=512,
    norm="layernorm",
)

PRESETS: dict[str, ModelConfig] = {
    "gpt2": _GPT2,
    "gpt2-medium": _GPT2.replace(d_model=1024, n_layers=24, n_heads=16),
    "gpt2-large": _GPT2.replace(d_model=1280, n_layers=36, n_heads=20),
    "gpt2-xl": _GPT2.replace(d_model=1600, n_layers=48, n_heads=25),
    # Brown et al. 2020, table 2.1. GPT-3 alternates dense and banded-sparse layers; the bands are
    # not published in full and not built here. They do not change the parameter count.
    "gpt3-175b": _GPT2.replace(d_model=12288, n_layers=96, n_heads=96, max_seq_len=2048),
    "pythia-160m": _PYTHIA_160M,
    "llama-2-7b": _LLAMA_2_7B,
    "world-s": _WORLD_S,
    "world-m": _WORLD_S.replace(d_model=192, n_layers=7, n_heads=6, n_kv_heads=3, d_ff=576),
}
