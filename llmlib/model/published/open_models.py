"""Models of 2022 and 2023 from open collaborations: GPT-NeoX, Pythia, BLOOM, Falcon, StarCoder2."""

from llmlib.model.config import ModelConfig
from llmlib.model.published.record import HUB, KERAS_HUB, Published, config_file

_NEOX = ModelConfig(
    vocab_size=50304,
    d_model=512,
    n_layers=6,
    n_heads=8,
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


def _neox(vocab_size: int, d_model: int, n_layers: int, n_heads: int) -> ModelConfig:
    """A quarter of each head is rotated."""
    sizes = {"d_model": d_model, "n_layers": n_layers, "n_heads": n_heads}
    return _NEOX.replace(vocab_size=vocab_size, rope_dim=d_model // n_heads // 4, **sizes)


_12B = (
    "The model's own card prints 11,846,072,320 in its table of names; 11,846,072,448 is also "
    "found, 128 more, which no part of the model explains."
)
PYTHIA = {
    f"pythia-{size}": Published(
        config=_neox(*sizes),
        family="Pythia",
        title=f"Pythia {size.upper()}",
        organisation="EleutherAI",
        year=2023,
        paper="https://arxiv.org/abs/2304.01373",
        config_source=config_file(f"EleutherAI/pythia-{size}"),
        total=total,
        stated=size.upper(),
        total_source=f"{HUB}EleutherAI/pythia-{size}",
        note=_12B if size == "12b" else "",
    )
    for size, sizes, total in (
        ("70m", (50304, 512, 6, 8), 70_426_624),
        ("160m", (50304, 768, 12, 12), 162_322_944),
        ("410m", (50304, 1024, 24, 16), 405_334_016),
        ("1b", (50304, 2048, 16, 8), 1_011_781_632),
        ("1.4b", (50304, 2048, 24, 16), 1_414_647_808),
        ("2.8b", (50304, 2560, 32, 32), 2_775_208_960),
        ("6.9b", (50432, 4096, 32, 32), 6_857_302_016),
        ("12b", (50688, 5120, 36, 40), 11_846_072_320),
    )
}
NEOX = {
    "gpt-neox-20b": Published(
        config=_neox(50432, 6144, 44, 64),
        family="GPT-NeoX",
        title="GPT-NeoX 20B",
        organisation="EleutherAI",
        year=2022,
        paper="https://arxiv.org/abs/2204.06745",
        config_source=config_file("EleutherAI/gpt-neox-20b"),
        total=20_554_567_680,
        stated="20B",
        total_source=f"{HUB}EleutherAI/gpt-neox-20b",
    )
}

_BLOOM = ModelConfig(
    vocab_size=250880,
    d_model=1024,
    n_layers=24,
    n_heads=16,
    max_seq_len=2048,
    norm="layernorm",
    norm_bias=True,
    embed_norm=True,
    activation="gelu_tanh",
    gated=False,
    pos="alibi",
    bias_qkv=True,
    bias_o=True,
    bias_mlp=True,
)
_KERAS_BLOOM = KERAS_HUB + "bloom/bloom_presets.py"
BLOOM = {
    f"bloom-{size}": Published(
        config=_BLOOM.replace(d_model=d_model, n_layers=n_layers, n_heads=n_heads),
        family="BLOOM",
        title=f"BLOOM {stated}",
        organisation="BigScience",
        year=2022,
        paper="https://arxiv.org/abs/2211.05100",
        config_source=config_file("bigscience/bloom" + ("" if size == "176b" else f"-{size}")),
        total=total,
        stated=stated,
        total_source=source,
        note="The vocabulary of 250,680 is padded to 250,880 rows.",
    )
    for size, stated, (d_model, n_layers, n_heads), total, source in (
        ("560m", "560M", (1024, 24, 16), 559_214_592, _KERAS_BLOOM),
        ("1b1", "1.1B", (1536, 24, 16), 1_065_314_304, _KERAS_BLOOM),
        ("1b7", "1.7B", (2048, 24, 16), 1_722_408_960, _KERAS_BLOOM),
        ("3b", "3B", (2560, 30, 32), 3_002_557_440, _KERAS_BLOOM),
        ("7b1", "7.1B", (4096, 30, 32), 7_069_016_064, ""),
        ("176b", "176B", (14336, 70, 112), 176_247_271_424, f"{HUB}bigscience/bloom"),
    )
}

_FALCON = ModelConfig(
    vocab_size=65024,
    d_model=4544,
    n_layers=32,
    n_heads=71,
    n_kv_heads=1,
    d_head=64,
    max_seq_len=2048,
    norm="layernorm",
    norm_bias=True,
    activation="gelu",
    gated=False,
    pos="rope",
    parallel=True,
    shared_norm=True,
)
_COPY = (
    "The files hold the embedding table a second time, as the head that is tied to it; the hub "
    "counts both, 65,024 x d_model numbers more."
)
FALCON = {
    f"falcon-{size.lower()}": Published(
        config=_FALCON.replace(**changes),
        family="Falcon",
        title=f"Falcon {size}",
        organisation="Technology Innovation Institute",
        year=2023,
        paper="https://arxiv.org/abs/2311.16867",
        config_source=config_file(f"tiiuae/falcon-{'180B' if size == '180B' else size.lower()}"),
        total=total,
        stated=size,
        total_source=f"{HUB}tiiuae/falcon-{'180B' if size == '180B' else size.lower()}",
        printed=printed,
        note=_COPY,
    )
    for size, changes, total, printed in (
        ("7B", {}, 6_921_720_704, 7_217_189_760),
        (
            "40B",
            {"d_model": 8192, "n_layers": 60, "n_heads": 128, "n_kv_heads": 8}
            | {"shared_norm": False},
            41_303_293_952,
            41_835_970_560,
        ),
        (
            "180B",
            {"d_model": 14848, "n_layers": 80, "n_heads": 232, "n_kv_heads": 8}
            | {"shared_norm": False},
            178_557_088_768,
            179_522_565_120,
        ),
    )
}

_STARCODER = ModelConfig(
    vocab_size=49152,
    d_model=3072,
    n_layers=30,
    n_heads=24,
    n_kv_heads=2,
    max_seq_len=16384,
    norm="layernorm",
    norm_bias=True,
    activation="gelu_tanh",
    gated=False,
    pos="rope",
    rope_theta=999_999.4420358813,
    window=4096,
    bias_qkv=True,
    bias_o=True,
    bias_mlp=True,
)
STARCODER = {
    f"starcoder2-{size}": Published(
        config=_STARCODER.replace(**changes),
        family="StarCoder2",
        title=f"StarCoder2 {size.upper()}",
        organisation="BigCode",
        year=2024,
        paper="https://arxiv.org/abs/2402.19173",
        config_source=config_file(f"bigcode/starcoder2-{size}"),
        total=total,
        stated=size.upper(),
        total_source=source,
        note=note,
    )
    for size, changes, total, source, note in (
        ("3b", {}, 3_030_371_328, "", ""),
        (
            "7b",
            {"d_model": 4608, "n_layers": 32, "n_heads": 36, "n_kv_heads": 4, "rope_theta": 1e6},
            7_173_923_840,
            "",
            "",
        ),
        (
            "15b",
            {"d_model": 6144, "n_layers": 40, "n_heads": 48, "n_kv_heads": 4, "rope_theta": 1e5}
            | {"tie_embeddings": False},
            15_957_889_024,
            f"{HUB}bigcode/starcoder2-15b",
            "Only this size has a head of its own; the smaller two reuse the embedding.",
        ),
    )
}

MODELS = PYTHIA | NEOX | BLOOM | FALCON | STARCODER
