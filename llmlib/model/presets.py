"""Configurations by name: those of `llmlib.model.published`, and the course's own."""

from llmlib.model.config import ModelConfig
from llmlib.model.published import MODELS

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

PRESETS: dict[str, ModelConfig] = {name: model.config for name, model in MODELS.items()} | {
    "world-s": _WORLD_S,
    "world-m": _WORLD_S.replace(d_model=192, n_layers=7, n_heads=6, n_kv_heads=3, d_ff=576),
}
