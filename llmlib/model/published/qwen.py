"""Qwen 2.5 and Qwen 3, with the mixture-of-experts sizes."""

from llmlib.model.config import ModelConfig
from llmlib.model.published.record import HUB, Published, config_file

_QWEN_2 = ModelConfig(
    vocab_size=151936,
    d_model=896,
    n_layers=24,
    n_heads=14,
    n_kv_heads=2,
    d_ff=4864,
    max_seq_len=32768,
    norm_eps=1e-6,
    rope_theta=1e6,
    bias_qkv=True,
)
_LARGE = {"vocab_size": 152064, "max_seq_len": 131072, "tie_embeddings": False}
_LARGER = _LARGE | {"norm_eps": 1e-5}


def _sized(base: ModelConfig, d_model, n_layers, n_heads, n_kv_heads, d_ff, **other) -> ModelConfig:
    sizes = {"d_model": d_model, "n_layers": n_layers, "d_ff": d_ff}
    return base.replace(n_heads=n_heads, n_kv_heads=n_kv_heads, **sizes, **other)


QWEN_2 = {
    f"qwen2.5-{size.lower()}": Published(
        config=_sized(_QWEN_2, *sizes, **other),
        family="Qwen 2.5",
        title=f"Qwen2.5 {size}",
        organisation="Alibaba",
        year=2024,
        paper="https://arxiv.org/abs/2412.15115",
        config_source=config_file(f"Qwen/Qwen2.5-{size}"),
        total=total,
        stated=size,
        total_source=f"{HUB}Qwen/Qwen2.5-{size}",
        note="The name is rounded up: 14.8 billion." if size == "14B" else "",
    )
    for size, sizes, other, total in (
        ("0.5B", (896, 24, 14, 2, 4864), {}, 494_032_768),
        ("1.5B", (1536, 28, 12, 2, 8960), {}, 1_543_714_304),
        ("3B", (2048, 36, 16, 2, 11008), {}, 3_085_938_688),
        ("7B", (3584, 28, 28, 4, 18944), _LARGE, 7_615_616_512),
        ("14B", (5120, 48, 40, 8, 13824), _LARGER, 14_770_033_664),
        ("32B", (5120, 64, 40, 8, 27648), _LARGER, 32_763_876_352),
        ("72B", (8192, 80, 64, 8, 29568), _LARGER, 72_706_203_648),
    )
}

_QWEN_3 = _QWEN_2.replace(d_head=128, bias_qkv=False, qk_norm="head", max_seq_len=40960)
_UNTIED = {"tie_embeddings": False}
_COPY = (
    "The files hold the embedding table a second time, as the head that is tied to it; the hub "
    "counts both."
)
QWEN_3 = {
    f"qwen3-{size.lower()}": Published(
        config=_sized(_QWEN_3, *sizes, **other),
        family="Qwen 3",
        title=f"Qwen3 {size}",
        organisation="Alibaba",
        year=2025,
        paper="https://arxiv.org/abs/2505.09388",
        config_source=config_file(f"Qwen/Qwen3-{size}"),
        total=total,
        stated=size,
        total_source=f"{HUB}Qwen/Qwen3-{size}",
        printed=printed,
        note=_COPY if printed else "",
    )
    for size, sizes, other, total, printed in (
        ("0.6B", (1024, 28, 16, 8, 3072), {}, 596_049_920, 751_632_384),
        ("1.7B", (2048, 28, 16, 8, 6144), {}, 1_720_574_976, 2_031_739_904),
        ("4B", (2560, 36, 32, 8, 9728), {}, 4_022_468_096, None),
        ("8B", (4096, 36, 32, 8, 12288), _UNTIED, 8_190_735_360, None),
        ("14B", (5120, 40, 40, 8, 17408), _UNTIED, 14_768_307_200, None),
        ("32B", (5120, 64, 64, 8, 25600), _UNTIED, 32_762_123_264, None),
    )
}

_MOE = {"tie_embeddings": False, "n_experts": 128, "n_experts_per_token": 8}
QWEN_3_MOE = {
    f"qwen3-{size.lower()}": Published(
        config=_sized(_QWEN_3, *sizes, **_MOE, d_expert=d_expert),
        family="Qwen 3",
        title=f"Qwen3 {size}",
        organisation="Alibaba",
        year=2025,
        paper="https://arxiv.org/abs/2505.09388",
        config_source=config_file(f"Qwen/Qwen3-{size}"),
        total=total,
        stated=size,
        total_source=f"{HUB}Qwen/Qwen3-{size}",
        active=active,
        note="128 experts a layer, of which a token uses 8; the name rounds total and active.",
    )
    for size, sizes, d_expert, total, active in (
        ("30B-A3B", (2048, 48, 32, 4, 6144), 768, 30_532_122_624, 3_353_032_704),
        ("235B-A22B", (4096, 94, 64, 4, 12288), 1536, 235_093_634_560, 22_190_763_520),
    )
}

MODELS = QWEN_2 | QWEN_3 | QWEN_3_MOE
