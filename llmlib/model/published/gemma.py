"""Gemma 1, 2 and 3: text models."""

import math

from llmlib.model.config import ModelConfig
from llmlib.model.published.record import HUB, Published, config_file

_GEMMA = ModelConfig(
    vocab_size=256000,
    d_model=2048,
    n_layers=18,
    n_heads=8,
    n_kv_heads=1,
    d_head=256,
    d_ff=16384,
    max_seq_len=8192,
    norm_eps=1e-6,
    activation="gelu_tanh",
)


def _sized(
    base: ModelConfig, d_model, n_layers, n_heads, n_kv_heads, d_head, d_ff, **other
) -> ModelConfig:
    sizes = {"d_model": d_model, "n_layers": n_layers, "d_head": d_head, "d_ff": d_ff}
    scale = math.sqrt(d_model)
    heads = {"n_heads": n_heads, "n_kv_heads": n_kv_heads}
    return base.replace(**heads, **sizes, embed_scale=scale, **other)


GEMMA_1 = {
    f"gemma-{size}": Published(
        config=_sized(_GEMMA, *sizes),
        family="Gemma 1",
        title=f"Gemma {size.upper()}",
        organisation="Google",
        year=2024,
        paper="https://arxiv.org/abs/2403.08295",
        config_source=config_file(f"google/gemma-{size}"),
        total=total,
        stated=size.upper(),
        total_source=f"{HUB}google/gemma-{size}",
        note=note,
    )
    for size, sizes, total, note in (
        ("2b", (2048, 18, 8, 1, 256, 16384), 2_506_172_416, "The name leaves the embedding out."),
        ("7b", (3072, 28, 16, 16, 256, 24576), 8_537_680_896, "The name leaves the embedding out."),
    )
}


def _gemma_2(*sizes, query_scale: int | None) -> ModelConfig:
    """Every second layer, from the first on, sees 4,096 tokens. Scores are divided by the root of
    query_scale; None: of the head's width, as usual."""
    return _sized(
        _GEMMA,
        *sizes,
        norm_place="sandwich",
        window=4096,
        window_layers=tuple(layer % 2 == 0 for layer in range(sizes[1])),
        attn_scale=query_scale and query_scale**-0.5,
        attn_softcap=50.0,
        logit_softcap=30.0,
    )


GEMMA_2 = {
    f"gemma-2-{size}": Published(
        config=_gemma_2(*sizes, query_scale=query_scale),
        family="Gemma 2",
        title=f"Gemma 2 {size.upper()}",
        organisation="Google",
        year=2024,
        paper="https://arxiv.org/abs/2408.00118",
        config_source=config_file(f"google/gemma-2-{size}"),
        total=total,
        stated=size.upper(),
        total_source=f"{HUB}google/gemma-2-{size}",
        note="The name leaves part of the embedding out." if size == "2b" else "",
    )
    for size, sizes, query_scale, total in (
        ("2b", (2304, 26, 8, 4, 256, 9216), None, 2_614_341_888),
        ("9b", (3584, 42, 16, 8, 256, 14336), None, 9_241_705_984),
        ("27b", (4608, 46, 32, 16, 128, 36864), 144, 27_227_128_320),
    )
}


def _gemma_3(*sizes) -> ModelConfig:
    """Five layers that see 512 tokens, then one that sees all, with slower rotations."""
    return _sized(
        _GEMMA,
        *sizes,
        vocab_size=262144,
        max_seq_len=32768,
        norm_place="sandwich",
        qk_norm="head",
        rope_theta=1e6,
        rope_theta_local=1e4,
        window=512,
        window_layers=tuple(layer % 6 != 5 for layer in range(sizes[1])),
    )


GEMMA_3 = {
    f"gemma-3-{size}": Published(
        config=_gemma_3(*sizes),
        family="Gemma 3",
        title=f"Gemma 3 {size.upper()}",
        organisation="Google",
        year=2025,
        paper="https://arxiv.org/abs/2503.19786",
        config_source=config_file(f"google/gemma-3-{repository}"),
        total=total,
        stated=size.upper(),
        total_source=f"{HUB}google/gemma-3-{repository}",
        note="The sizes from 4B on also read pictures and are not built here.",
    )
    for size, repository, sizes, total in (
        ("270m", "270m", (640, 18, 4, 1, 256, 2048), 268_098_176),
        ("1b", "1b-pt", (1152, 26, 4, 1, 256, 6912), 999_885_952),
    )
}

MODELS = GEMMA_1 | GEMMA_2 | GEMMA_3
