"""T5, its revision 1.1, and FLAN-T5, which is 1.1 fine-tuned: encoder and decoder."""

from llmlib.model.config import ModelConfig
from llmlib.model.published.record import HUB, Published, config_file

_T5 = ModelConfig(
    vocab_size=32128,
    d_model=512,
    n_layers=6,
    n_encoder_layers=6,
    n_heads=8,
    d_head=64,
    d_ff=2048,
    max_seq_len=512,
    norm_eps=1e-6,
    activation="relu",
    gated=False,
    pos="relative",
    attn_scale=1.0,
    logit_scale=512**-0.5,
)


def _sized(base: ModelConfig, d_model, n_layers, n_heads, d_head, d_ff, **other) -> ModelConfig:
    """As many layers in the encoder as in the decoder."""
    sizes = {"d_model": d_model, "n_heads": n_heads, "d_head": d_head, "d_ff": d_ff}
    return base.replace(n_layers=n_layers, n_encoder_layers=n_layers, **sizes, **other)


_UNUSED = (
    "The files also hold a table of distances for the attention from decoder to encoder, "
    "32 x n_heads numbers, which the model never reads; the hub counts them."
)
T5 = {
    f"t5-{size.lower()}": Published(
        config=_sized(_T5, *sizes, logit_scale=sizes[0] ** -0.5),
        family="T5",
        title=f"T5 {size}",
        organisation="Google",
        year=2019,
        paper="https://arxiv.org/abs/1910.10683",
        config_source=config_file(f"google-t5/t5-{size.lower()}"),
        total=total,
        stated=stated,
        total_source=f"{HUB}google-t5/t5-{size.lower()}" if printed else "",
        printed=printed,
        note=_UNUSED if printed else "",
    )
    for size, sizes, total, stated, printed in (
        ("small", (512, 6, 8, 64, 2048), 60_506_624, "60M", 60_506_880),
        ("base", (768, 12, 12, 64, 3072), 222_903_552, "220M", 222_903_936),
        ("large", (1024, 24, 16, 64, 4096), 737_668_096, "770M", 737_668_608),
        ("3B", (1024, 24, 32, 128, 16384), 2_851_598_336, "3B", None),
        ("11B", (1024, 24, 128, 128, 65536), 11_307_321_344, "11B", None),
    )
}

_V1_1 = _T5.replace(activation="gelu_tanh", gated=True, tie_embeddings=False, logit_scale=1.0)
_FLAN = "T5 1.1 and FLAN-T5 have the same configuration; FLAN-T5 went on from its weights."
FLAN_T5 = {
    f"flan-t5-{size}": Published(
        config=_sized(_V1_1, *sizes),
        family="T5 1.1 / FLAN-T5",
        title=f"FLAN-T5 {size}",
        organisation="Google",
        year=2022,
        paper="https://arxiv.org/abs/2210.11416",
        config_source=config_file(f"google/flan-t5-{size}"),
        total=total,
        stated=stated,
        total_source="https://en.wikipedia.org/wiki/T5_(language_model)",
        note=_FLAN,
    )
    for size, sizes, total, stated in (
        ("small", (512, 8, 6, 64, 1024), 76_961_152, "80M"),
        ("base", (768, 12, 12, 64, 2048), 247_577_856, "250M"),
        ("large", (1024, 24, 16, 64, 2816), 783_150_080, "780M"),
        ("xl", (2048, 24, 32, 64, 5120), 2_849_757_184, "3B"),
        ("xxl", (4096, 24, 64, 64, 10240), 11_135_332_352, "11B"),
    )
}

MODELS = T5 | FLAN_T5
