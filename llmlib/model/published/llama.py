"""Llama and what was built like it: Mistral, Mixtral, Phi-3, OLMo 2."""

from llmlib.model.config import ModelConfig, RopeScaling
from llmlib.model.published.record import HUB, Published, config_file

_LLAMA = ModelConfig(
    vocab_size=32000,
    d_model=4096,
    n_layers=32,
    n_heads=32,
    d_ff=11008,
    max_seq_len=2048,
    norm_eps=1e-6,
    tie_embeddings=False,
)


def _sized(base: ModelConfig, d_model, n_layers, n_heads, n_kv_heads, d_ff) -> ModelConfig:
    sizes = {"d_model": d_model, "n_layers": n_layers, "d_ff": d_ff}
    return base.replace(n_heads=n_heads, n_kv_heads=n_kv_heads, **sizes)


LLAMA_1 = {
    f"llama-{size}": Published(
        config=_sized(_LLAMA, *sizes),
        family="Llama 1",
        title=f"LLaMA {size.upper()}",
        organisation="Meta",
        year=2023,
        paper="https://arxiv.org/abs/2302.13971",
        config_source="https://arxiv.org/abs/2302.13971",
        total=total,
        stated=stated,
        note="Table 2 of the paper prints the size to three digits.",
    )
    for size, sizes, total, stated in (
        ("7b", (4096, 32, 32, 32, 11008), 6_738_415_616, "6.7B"),
        ("13b", (5120, 40, 40, 40, 13824), 13_015_864_320, "13.0B"),
        ("33b", (6656, 60, 52, 52, 17920), 32_528_943_616, "32.5B"),
        ("65b", (8192, 80, 64, 64, 22016), 65_285_660_672, "65.2B"),
    )
}

_FREQUENCIES = (
    "The files also hold each layer's rotation frequencies, half a head's width of numbers that "
    "follow from rope_theta; the hub counts them, 64 a layer."
)
LLAMA_2 = {
    f"llama-2-{size}": Published(
        config=_sized(_LLAMA.replace(max_seq_len=4096, norm_eps=1e-5), *sizes),
        family="Llama 2",
        title=f"Llama 2 {size.upper()}",
        organisation="Meta",
        year=2023,
        paper="https://arxiv.org/abs/2307.09288",
        config_source=config_file(f"meta-llama/Llama-2-{size}-hf"),
        total=total,
        stated=size.upper(),
        total_source=f"{HUB}meta-llama/Llama-2-{size}-hf",
        printed=printed,
        note=_FREQUENCIES,
    )
    for size, sizes, total, printed in (
        ("7b", (4096, 32, 32, 32, 11008), 6_738_415_616, 6_738_417_664),
        ("13b", (5120, 40, 40, 40, 13824), 13_015_864_320, 13_015_866_880),
        ("70b", (8192, 80, 64, 8, 28672), 68_976_648_192, 68_976_653_312),
    )
}

_LLAMA_3 = _LLAMA.replace(vocab_size=128256, max_seq_len=8192, norm_eps=1e-5, rope_theta=500_000.0)
_SCALED = RopeScaling("llama3", 8.0, 1.0, 4.0, 8192)
_LLAMA_3_1 = _LLAMA_3.replace(max_seq_len=131072, rope_scaling=_SCALED)
_LLAMA_3_2 = _LLAMA_3_1.replace(
    tie_embeddings=True, rope_scaling=RopeScaling("llama3", 32.0, 1.0, 4.0, 8192)
)
_8B, _70B = (4096, 32, 32, 8, 14336), (8192, 80, 64, 8, 28672)
LLAMA_3 = {
    name: Published(
        config=_sized(base, *sizes),
        family="Llama 3",
        title=name.replace("llama-", "Llama ").replace("b", "B").replace("-", " "),
        organisation="Meta",
        year=2024,
        paper="https://arxiv.org/abs/2407.21783",
        config_source=config_file(f"meta-llama/{repository}"),
        total=total,
        stated=stated or name.rpartition("-")[2].upper(),
        total_source=f"{HUB}meta-llama/{repository}",
    )
    for name, repository, base, sizes, total, stated in (
        ("llama-3-8b", "Meta-Llama-3-8B", _LLAMA_3, _8B, 8_030_261_248, ""),
        ("llama-3-70b", "Meta-Llama-3-70B", _LLAMA_3, _70B, 70_553_706_496, ""),
        ("llama-3.1-8b", "Llama-3.1-8B", _LLAMA_3_1, _8B, 8_030_261_248, ""),
        ("llama-3.1-70b", "Llama-3.1-70B", _LLAMA_3_1, _70B, 70_553_706_496, ""),
        (
            "llama-3.1-405b",
            "Llama-3.1-405B",
            _LLAMA_3_1,
            (16384, 126, 128, 8, 53248),
            405_853_388_800,
            "",
        ),
        (
            "llama-3.2-1b",
            "Llama-3.2-1B",
            _LLAMA_3_2,
            (2048, 16, 32, 8, 8192),
            1_235_814_400,
            "1.23B",
        ),
        (
            "llama-3.2-3b",
            "Llama-3.2-3B",
            _LLAMA_3_2,
            (3072, 28, 24, 8, 8192),
            3_212_749_824,
            "3.21B",
        ),
    )
}

_MISTRAL = _sized(_LLAMA.replace(norm_eps=1e-5, max_seq_len=32768), *_8B)
MISTRAL = {
    "mistral-7b": Published(
        config=_MISTRAL.replace(window=4096),
        family="Mistral",
        title="Mistral 7B v0.1",
        organisation="Mistral AI",
        year=2023,
        paper="https://arxiv.org/abs/2310.06825",
        config_source=config_file("mistralai/Mistral-7B-v0.1"),
        total=7_241_732_096,
        stated="7.24B",
        total_source=f"{HUB}mistralai/Mistral-7B-v0.1",
    ),
    "mixtral-8x7b": Published(
        config=_MISTRAL.replace(rope_theta=1e6, n_experts=8, n_experts_per_token=2, d_expert=14336),
        family="Mixtral",
        title="Mixtral 8x7B",
        organisation="Mistral AI",
        year=2023,
        paper="https://arxiv.org/abs/2401.04088",
        config_source=config_file("mistralai/Mixtral-8x7B-v0.1"),
        total=46_702_792_704,
        stated="46.7B",
        total_source=f"{HUB}mistralai/Mixtral-8x7B-v0.1",
        active=12_879_925_248,
        note="The announcement rounds what a token uses to 12.9B; not 8 x 7B in all, since only "
        "the experts come eightfold.",
    ),
    "mixtral-8x22b": Published(
        config=_sized(_MISTRAL, 6144, 56, 48, 8, 16384).replace(
            max_seq_len=65536,
            rope_theta=1e6,
            n_experts=8,
            n_experts_per_token=2,
            d_expert=16384,
        ),
        family="Mixtral",
        title="Mixtral 8x22B",
        organisation="Mistral AI",
        year=2024,
        paper="https://mistral.ai/news/mixtral-8x22b",
        config_source=config_file("mistralai/Mixtral-8x22B-v0.1"),
        total=140_620_634_112,
        stated="141B",
        total_source=f"{HUB}mistralai/Mixtral-8x22B-v0.1",
        active=39_152_031_744,
        note="The announcement rounds what a token uses to 39B.",
    ),
}

PHI = {
    "phi-3-mini": Published(
        config=_LLAMA.replace(
            vocab_size=32064,
            d_model=3072,
            d_ff=8192,
            max_seq_len=4096,
            norm_eps=1e-5,
            window=2047,
        ),
        family="Phi-3",
        title="Phi-3-mini 4k",
        organisation="Microsoft",
        year=2024,
        paper="https://arxiv.org/abs/2404.14219",
        config_source=config_file("microsoft/Phi-3-mini-4k-instruct"),
        total=3_821_079_552,
        stated="3.8B",
        total_source=f"{HUB}microsoft/Phi-3-mini-4k-instruct",
    )
}

_OLMO_2 = _LLAMA.replace(
    vocab_size=100352,
    max_seq_len=4096,
    norm_place="branch",
    qk_norm="full",
    rope_theta=500_000.0,
)
OLMO_2 = {
    f"olmo-2-{size}": Published(
        config=_sized(_OLMO_2, *sizes),
        family="OLMo 2",
        title=f"OLMo 2 {size.upper()}",
        organisation="Allen Institute for AI",
        year=2024,
        paper="https://arxiv.org/abs/2501.00656",
        config_source=config_file(f"allenai/{repository}"),
        total=total,
        stated=size.upper(),
        total_source=f"{HUB}allenai/{repository}" if size != "32b" else "",
        note="The name leaves both tables of the vocabulary out." if size == "1b" else "",
    )
    for size, repository, sizes, total in (
        ("1b", "OLMo-2-0425-1B", (2048, 16, 16, 16, 8192), 1_484_916_736),
        ("7b", "OLMo-2-1124-7B", (4096, 32, 32, 32, 11008), 7_298_617_344),
        ("13b", "OLMo-2-1124-13B", (5120, 40, 40, 40, 13824), 13_716_198_400),
        ("32b", "OLMo-2-0325-32B", (5120, 64, 40, 8, 27648), 32_234_279_936),
    )
}

MODELS = LLAMA_1 | LLAMA_2 | LLAMA_3 | MISTRAL | PHI | OLMO_2
