"""The published models, to the parameter: what is built equals what is printed, or says why not."""

import pytest
import torch

from llmlib.checkpoint.hf.write import lost_fields
from llmlib.model import (
    PRESETS,
    EncoderDecoder,
    ModelConfig,
    Transformer,
    count_parameters,
    flops_per_token,
)
from llmlib.model.published import MODELS

# what a page counts beside the parameters, where it prints another number
BESIDE = {
    "OPT": lambda c: -c.pos_offset * c.d_model,  # rows of the position table that nobody reads
    "Llama 2": lambda c: c.n_layers * c.d_head // 2,  # frequencies of the rotation
    "Falcon": lambda c: c.vocab_size * c.d_model,  # the tied head, a second time
    "Qwen 3": lambda c: c.vocab_size * c.d_model,
    "T5": lambda c: c.rel_buckets * c.n_heads,  # distances across stacks, which nobody reads
}


@pytest.mark.parametrize("name", MODELS)
def test_total_and_active_to_the_parameter(name):
    model, parts = MODELS[name], count_parameters(MODELS[name].config)
    assert parts["total"] == model.total
    assert parts["active"] == (model.active or model.total)
    assert (model.active is not None) == (model.config.n_experts > 0)


def test_numbers_that_are_printed_otherwise_are_explained():
    differing = {name: model for name, model in MODELS.items() if model.printed is not None}
    assert len(differing) == 13
    for name, model in differing.items():
        assert model.printed - model.total == BESIDE[model.family](model.config), name
        assert model.note and model.total_source, name


def test_every_entry_says_where_it_is_from():
    for name, model in MODELS.items():
        for address in (model.paper, model.config_source):
            assert address.startswith("https://"), name
        assert model.total_source.startswith("https://") or model.total_source == ""
        assert 2018 < model.year < 2027 and model.title and model.organisation
        stated = float(model.stated.split("-")[0].rstrip("BM"))
        stated *= 1e9 if "B" in model.stated else 1e6
        near = abs(model.total / stated - 1) < 0.1
        assert near or model.note, f"{name}: a name of {model.stated} needs a word"


# the model_type of each family's checkpoints
KINDS = {
    "GPT-2": "gpt2",
    "GPT-3": "gpt2",
    "OPT": "opt",
    "T5": "t5",
    "T5 1.1 / FLAN-T5": "t5",
    "Pythia": "gpt_neox",
    "GPT-NeoX": "gpt_neox",
    "BLOOM": "bloom",
    "Falcon": "falcon",
    "StarCoder2": "starcoder2",
    "Llama 1": "llama",
    "Llama 2": "llama",
    "Llama 3": "llama",
    "Mistral": "mistral",
    "Mixtral": "mixtral",
    "Phi-3": "phi3",
    "OLMo 2": "olmo2",
    "Gemma 1": "gemma",
    "Gemma 2": "gemma2",
    "Gemma 3": "gemma3_text",
    "Qwen 2.5": "qwen2",
    "Qwen 3": "qwen3",
}


@pytest.mark.parametrize("name", MODELS)
def test_its_familys_checkpoints_say_the_same(name):
    """Written as that family's config.json and read again, every field comes back: the quirks that
    from_hf folds in, and that are held to `transformers`, are the ones written down here."""
    model = MODELS[name]
    kind = KINDS[model.family] + ("_moe" if model.family == "Qwen 3" and model.active else "")
    assert lost_fields(model.config, kind) == []


def test_presets_have_them_all():
    assert all(PRESETS[name] == model.config for name, model in MODELS.items())
    assert PRESETS.keys() - MODELS.keys() == {"world-s", "world-m"}


SMALL = ModelConfig(vocab_size=50, d_model=48, n_layers=3, n_heads=4, max_seq_len=32)
VARIANTS = {
    "gpt2": PRESETS["gpt2"],
    "gemma-3-1b": PRESETS["gemma-3-1b"],
    "bloom-560m": PRESETS["bloom-560m"],
    "experts": SMALL.replace(n_experts=4, n_experts_per_token=2, d_expert=40),
    "encoder": SMALL.replace(n_encoder_layers=2, pos="relative", tie_embeddings=False),
    "norms": SMALL.replace(norm_place="sandwich", qk_norm="full", bias_head=True, n_kv_heads=2),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_counting_one_block_counts_them_all(name):
    config = VARIANTS[name]
    with torch.device("meta"):
        model = (EncoderDecoder if config.n_encoder_layers else Transformer)(config)
    assert count_parameters(config)["total"] == sum(p.numel() for p in model.parameters())


def test_active_by_hand():
    config = VARIANTS["experts"]
    parts = count_parameters(config)
    assert parts["total"] - parts["active"] == 3 * 2 * (3 * 48 * 40)  # 3 layers, 2 idle experts


def test_flops_of_an_encoder_equal_torchs_own_counter():
    from torch.utils.flop_counter import FlopCounterMode

    config = VARIANTS["encoder"].replace(attn_softcap=50.0)  # the spelled-out attention
    model, ids = EncoderDecoder(config), torch.zeros(2, 24, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        model(ids, ids)
    assert counter.get_total_flops() / ids.numel() == flops_per_token(config, 24)["forward"]
