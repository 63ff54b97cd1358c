"""How much memory a training step takes, by arithmetic: before a run, and without a GPU.

Shapes: T tokens in a piece of a batch, D model width, W query width, G key-value width, F d_ff, V
vocabulary.
"""

import torch

from llmlib.model import ModelConfig, Transformer, count_parameters
from llmlib.train.optim import split_parameters


def training_memory(
    config: ModelConfig,
    tokens: int,
    *,
    optimizer: str = "adamw",
    precision: str = "bfloat16",
) -> dict[str, int]:
    """Bytes by part, for a piece of a batch of `tokens` tokens on one device.

    weights, gradients: float32, 4 bytes a parameter each.
    optimizer: two moments a parameter with AdamW; with Muon one for the hidden matrices.
    casts: with bfloat16 autocast, a copy of every matrix in 2 bytes, kept for the way back.
    activations: what the forward pass keeps for the backward pass; see `activation_bytes`.
    logits: of their largest moment. total: the sum.

    Left out: what the allocator wastes, temporary buffers of kernels, and the buckets of data
    parallelism (4 bytes a parameter). Covered are decoders without experts; ValueError otherwise.
    """
    if config.n_experts or config.n_encoder_layers:
        raise ValueError("training_memory covers decoders without experts")
    counts = count_parameters(config)
    n, matrices = counts["total"], counts["attention"] + counts["mlp"]
    half = precision == "bfloat16"
    parts = {
        "weights": 4 * n,
        "gradients": 4 * n,
        "optimizer": 8 * n - (4 * _hidden(config) if optimizer == "muon" else 0),
        "casts": 2 * (matrices + config.vocab_size * config.d_model) if half else 0,
        "activations": tokens * activation_bytes(config, precision),
        "logits": tokens * config.vocab_size * (10 if half else 8),
    }
    return parts | {"total": sum(parts.values())}


def activation_bytes(config: ModelConfig, precision: str = "bfloat16") -> int:
    """Bytes a token that all blocks and the final norm keep; attention fused, without a mask.

    A block keeps: the stream before each norm (float32), what goes into each product (bfloat16:
    a copy for each of q, k, v), q, k, v and the output of attention with its log-normaliser, and
    what goes into and out of the activation function.
    """
    d, f = config.d_model, config.d_ff
    width, kv_width = config.n_heads * config.d_head, config.n_kv_heads * config.d_head
    size, copies = (2, 3) if precision == "bfloat16" else (4, 1)
    gate = 2 if config.gated else 1
    norms = 0 if config.norm == "none" else 2 * 4 * d
    attention = size * (copies * d + 2 * width + 2 * kv_width) + 4 * config.n_heads
    mlp = size * ((gate if copies > 1 else 1) * d + 2 * gate * f)
    end = 4 * d + size * d
    return config.n_layers * (norms + attention + mlp) + end


def _hidden(config: ModelConfig) -> int:
    """Parameters that Muon takes."""
    with torch.device("meta"):
        model = Transformer(config.replace(n_layers=1, window_layers=None))
    return config.n_layers * sum(p.numel() for p in split_parameters(model)["hidden"])
