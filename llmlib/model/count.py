"""How many parameters a configuration has, and how much arithmetic a token costs."""

import torch

from llmlib.model.config import ModelConfig
from llmlib.model.encoder_decoder import EncoderDecoder, build
from llmlib.model.transformer import Transformer

PARTS = {  # pieces of a parameter's name, the first that fits -> what it is counted as
    ".attn.": "attention",
    ".cross.": "attention",
    ".mlp.": "mlp",
    "norm.": "norms",
    "pos_embed.": "positions",
    "rel_bias.": "positions",
    "embed.": "embedding",
    "head.": "head",
}


def count_parameters(config: ModelConfig) -> dict[str, int]:
    """Parameters by part, counted on a model built without memory (torch's meta device).

    Keys: embedding (the token table), positions (learned ones), attention, mlp (with experts: all,
    and the router), norms, head (0 when tied), total, non_embedding = attention + mlp + norms, the
    N of scaling laws, and active, those that one token uses: total but for the experts that it is
    not sent to. An encoder's are counted with the decoder's. All blocks of a stack are alike, so
    that one is built, and counted as often as there are.
    """
    with torch.device("meta"):
        model = _one_block_each(config)
    parts, idle = dict.fromkeys(PARTS.values(), 0), 0
    for name, parameter in model.named_parameters():
        blocks = config.n_encoder_layers if name.startswith("encoder.") else config.n_layers
        count = parameter.numel() * (blocks if "blocks." in name else 1)
        parts[next(part for piece, part in PARTS.items() if piece in name)] += count
        if ".experts." in name:
            idle += count * (config.n_experts - config.n_experts_per_token) // config.n_experts
    total = sum(parts.values())
    body = parts["attention"] + parts["mlp"] + parts["norms"]
    return parts | {"total": total, "non_embedding": body, "active": total - idle}


def _one_block_each(config: ModelConfig) -> Transformer | EncoderDecoder:
    """The model with one block in every stack."""
    stacks = {"n_layers": 1, "n_encoder_layers": min(config.n_encoder_layers, 1)}
    return build(config.replace(**stacks, window_layers=None, rope_theta_local=None))


def flops_per_token(config: ModelConfig, seq_len: int) -> dict[str, int]:
    """Floating-point operations of the matrix products, a token, in a sequence of seq_len tokens.

    A product of (1, m) with (m, n) costs 2 m n. With W = n_heads x d_head, G = n_kv_heads x d_head
    and S = seq_len (or the window, in layers that have one, if that is shorter), a token costs
        projections  n_layers x 2 D (2 W + 2 G)
        scores       n_layers x 4 S W            (q kᵀ, and the pattern times v)
        mlp          n_layers x 2 D d_ff x (3 if gated, else 2); with experts, those that a token
                     goes to, and the router: 2 D n_experts
        head         2 D V
    With an encoder it is one token read and one written, both texts of seq_len tokens, and blocks
    of the decoder attend twice. forward is their sum; training is 3 x forward, since the backward
    pass has two products for each one. Scores count the full square, as is usual in figures of
    hardware use (Chowdhery et al. 2022, appendix B); a kernel that skips the future does about half
    of them. Norms, activations and softmax are left out. The usual shorthand for training is 6 N a
    token, with N the non-embedding parameters (Kaplan et al. 2020); it leaves out scores and head.
    """
    if seq_len < 1:
        raise ValueError(f"seq_len must be at least 1, not {seq_len}")
    d, layers, encoder = config.d_model, config.n_layers, config.n_encoder_layers
    attentions = encoder + layers * (2 if encoder else 1)
    width, kv_width = config.n_heads * config.d_head, config.n_kv_heads * config.d_head
    seen = [min(seq_len, config.window) if config.windowed(i) else seq_len for i in range(layers)]
    seen += [seq_len] * (attentions - layers)
    hidden = config.d_ff
    if config.n_experts:
        hidden = config.n_experts_per_token * config.d_expert
    mlp = 2 * d * hidden * (3 if config.gated else 2) + 2 * d * config.n_experts
    parts = {
        "projections": attentions * 2 * d * (2 * width + 2 * kv_width),
        "scores": 4 * sum(seen) * width,
        "mlp": (encoder + layers) * mlp,
        "head": 2 * d * config.vocab_size,
    }
    forward = sum(parts.values())
    return parts | {"forward": forward, "training": 3 * forward}
