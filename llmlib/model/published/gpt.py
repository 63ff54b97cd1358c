"""GPT-2, GPT-3 and OPT: the decoder as OpenAI built it, and Meta's open copy of it.

OPT 350M is left out: alone among them it norms after each branch, and its tables are narrower than
the model. OPT 175B is given on request only.
"""

from llmlib.model.config import ModelConfig
from llmlib.model.published.record import KERAS_HUB, Published, config_file

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


def _sized(base: ModelConfig, d_model: int, n_layers: int, n_heads: int) -> ModelConfig:
    return base.replace(d_model=d_model, n_layers=n_layers, n_heads=n_heads)


_MASKS = (
    "The files on the Hugging Face hub also hold each layer's causal mask, 1024 x 1024 numbers "
    "that nobody trains: the hub counts 12,582,912 more for the smallest."
)
GPT2 = {
    name: Published(
        config=_sized(_GPT2, *sizes),
        family="GPT-2",
        title=title,
        organisation="OpenAI",
        year=2019,
        paper="https://cdn.openai.com/better-language-models/"
        "language_models_are_unsupervised_multitask_learners.pdf",
        config_source=config_file(f"openai-community/{name}"),
        total=total,
        stated=stated,
        total_source=KERAS_HUB + "gpt2/gpt2_presets.py",
        note=_MASKS,
    )
    for name, title, sizes, total, stated in (
        ("gpt2", "GPT-2 small", (768, 12, 12), 124_439_808, "124M"),
        ("gpt2-medium", "GPT-2 medium", (1024, 24, 16), 354_823_168, "355M"),
        ("gpt2-large", "GPT-2 large", (1280, 36, 20), 774_030_080, "774M"),
        ("gpt2-xl", "GPT-2 XL", (1600, 48, 25), 1_557_611_200, "1.5B"),
    )
}

_BANDS = (
    "Only the rounded size is published (table 2.1). Every second layer attends in a banded sparse "
    "pattern that is not published in full and is not built here; it has no parameters."
)
_XL = (
    " The table prints 24 heads of width 128 at d_model 2048: the heads would be wider than the "
    "model. 16 heads of 128 fit, and give the 1.3 billion that it states."
)
_13B = (
    " The table prints a d_model of 5140, which 40 heads of 128 do not fill. 5120 is taken to be "
    "meant, and gives the 13 billion that it states."
)
GPT3 = {
    name: Published(
        config=_sized(_GPT2.replace(max_seq_len=2048), *sizes),
        family="GPT-3",
        title=f"GPT-3 {stated}",
        organisation="OpenAI",
        year=2020,
        paper="https://arxiv.org/abs/2005.14165",
        config_source="https://arxiv.org/abs/2005.14165",
        total=total,
        stated=stated,
        note=_BANDS + more,
    )
    for name, sizes, total, stated, more in (
        ("gpt3-125m", (768, 12, 12), 125_226_240, "125M", ""),
        ("gpt3-350m", (1024, 24, 16), 355_871_744, "350M", ""),
        ("gpt3-760m", (1536, 24, 16), 760_300_032, "760M", ""),
        ("gpt3-1.3b", (2048, 24, 16), 1_315_723_264, "1.3B", _XL),
        ("gpt3-2.7b", (2560, 32, 32), 2_651_553_280, "2.7B", ""),
        ("gpt3-6.7b", (4096, 32, 32), 6_658_404_352, "6.7B", ""),
        ("gpt3-13b", (5120, 40, 40), 12_853_386_240, "13.0B", _13B),
        ("gpt3-175b", (12288, 96, 96), 174_604_259_328, "175.0B", ""),
    )
}

_OPT = _GPT2.replace(vocab_size=50272, max_seq_len=2048, activation="relu", pos_offset=2)
_OFFSET = (
    "Positions are counted from 2, so the position table has 2,050 rows for 2,048 positions; "
    "KerasHub, whose number this is, leaves the two rows out that are never read."
)
OPT = {
    f"opt-{size}": Published(
        config=_sized(_OPT, *sizes),
        family="OPT",
        title=f"OPT {size.upper()}",
        organisation="Meta",
        year=2022,
        paper="https://arxiv.org/abs/2205.01068",
        config_source=config_file(f"facebook/opt-{size}"),
        total=total,
        stated=size.upper(),
        total_source=KERAS_HUB + "opt/opt_presets.py" if printed else "",
        printed=printed,
        note=_OFFSET if printed else "",
    )
    for size, sizes, total, printed in (
        ("125m", (768, 12, 12), 125_239_296, 125_237_760),
        ("1.3b", (2048, 24, 32), 1_315_758_080, 1_315_753_984),
        ("2.7b", (2560, 32, 32), 2_651_596_800, None),
        ("6.7b", (4096, 32, 32), 6_658_473_984, None),
        ("13b", (5120, 40, 40), 12_853_473_280, None),
        ("30b", (7168, 48, 56), 29_974_540_288, None),
        ("66b", (9216, 64, 72), 65_719_701_504, None),
    )
}

MODELS = GPT2 | GPT3 | OPT
