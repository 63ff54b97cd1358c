"""Tiny Hugging Face models with every weight re-randomised, and inputs to compare on.

At the default initialisation (std 0.02, biases 0, norms 1) a wrong activation can pass a tolerance
of 2e-5; with weights of ordinary size hardly any mistake does.
"""

import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

TOLERANCE = 2e-5
VOCAB = 97


WINDOW = 8  # shorter than every sequence that is compared
LLAMA = {
    "vocab_size": VOCAB,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "intermediate_size": 80,
    "max_position_embeddings": 96,
}
NEOX = {k: v for k, v in LLAMA.items() if k != "num_key_value_heads"} | {"hidden_act": "gelu"}
GPT = {"vocab_size": VOCAB, "n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": 96}
BLOOM = {"vocab_size": VOCAB, "hidden_size": 48, "n_layer": 2}
FALCON = {
    "vocab_size": VOCAB,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "max_position_embeddings": 96,
}
GEMMA = LLAMA | {"head_dim": 10, "query_pre_attn_scalar": 7, "sliding_window": WINDOW}
MOE = {"num_experts_per_tok": 2}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
ROPE = {"rope_type": "default", "rope_theta": 500.0}
HEAD = {"tie_word_embeddings": False}

# a family's style -> (the class in transformers without "Config" or "ForCausalLM", its fields)
REFERENCES: dict[str, tuple[str, dict]] = {
    "gpt2": ("GPT2", GPT | {"n_layer": 3}),
    "gptj": ("GPTJ", GPT | {"rotary_dim": 6}),
    "pythia": ("GPTNeoX", NEOX | {"num_attention_heads": 3}),  # two pairs rotated
    "neox-sequential": ("GPTNeoX", NEOX | {"use_parallel_residual": False, "rotary_pct": 0.5}),
    "bloom": ("Bloom", BLOOM | {"n_head": 8}),
    "bloom-6-heads": ("Bloom", BLOOM | {"n_head": 6}),
    "falcon-7b": ("Falcon", FALCON),
    "falcon-40b": ("Falcon", FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon-rw": (
        "Falcon",
        FALCON | {"alibi": True, "multi_query": False, "parallel_attn": False, "bias": True},
    ),
    "opt": ("OPT", {k: v for k, v in NEOX.items() if k != "hidden_act"} | {"ffn_dim": 80}),
    "llama": ("Llama", LLAMA | HEAD | {"rope_parameters": ROPE, "num_hidden_layers": 3}),
    "llama3": ("Llama", LLAMA | {"rope_parameters": LLAMA3, "tie_word_embeddings": True}),
    "llama-linear": (
        "Llama",
        LLAMA | HEAD | {"rope_parameters": {**ROPE, "rope_type": "linear", "factor": 4.0}},
    ),
    "mistral": ("Mistral", LLAMA | {"sliding_window": WINDOW, "head_dim": 12}),
    "mixtral": ("Mixtral", LLAMA | MOE | {"num_local_experts": 4, "sliding_window": None}),
    "qwen2": ("Qwen2", LLAMA | {"tie_word_embeddings": True}),
    "qwen2-window": (
        "Qwen2",
        LLAMA | {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3", LLAMA | HEAD | {"head_dim": 10}),
    "qwen3-moe": (
        "Qwen3Moe",
        LLAMA
        | MOE
        | {"head_dim": 10, "num_experts": 6, "moe_intermediate_size": 24, "norm_topk_prob": True},
    ),
    "gemma": ("Gemma", LLAMA | {"head_dim": 10}),
    "gemma2": (
        "Gemma2",
        GEMMA | {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
    ),
    "gemma3": (
        "Gemma3",
        GEMMA
        | {
            "num_hidden_layers": 3,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "rope_theta": 5000.0, "factor": 4.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
            },
        },
    ),
    "olmo2": ("Olmo2", LLAMA | HEAD),
    "phi3": ("Phi3", LLAMA | {"sliding_window": WINDOW, "pad_token_id": 0}),
    "starcoder2": ("Starcoder2", LLAMA | {"sliding_window": WINDOW}),
}


T5 = {
    "vocab_size": VOCAB,
    "d_model": 32,
    "d_kv": 12,
    "d_ff": 48,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 3,
    "dropout_rate": 0.0,
    "decoder_start_token_id": 0,
}


def reference(name: str):
    """A small `transformers` model of that style, in float32 and eval mode."""
    transformers = pytest.importorskip("transformers")
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    kind, fields = REFERENCES[name]
    config_class = "Gemma3TextConfig" if kind == "Gemma3" else f"{kind}Config"
    head = "GPT2LMHeadModel" if kind == "GPT2" else f"{kind}ForCausalLM"
    config = getattr(transformers, config_class)(**fields)
    model = getattr(transformers, head)(config)
    rerandomise(model)
    return model.eval()


@torch.no_grad()
def rerandomise(model: torch.nn.Module, seed: int = 0) -> None:
    """Matrices from N(0, 0.25 / fan-in), tables from N(0, 0.25), vectors moved by N(0, 0.04)."""
    generator = torch.Generator().manual_seed(seed)
    tables = [m.weight for m in model.modules() if isinstance(m, torch.nn.Embedding)]
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if any(parameter is table for table in tables):
            parameter.copy_(0.5 * noise)
        elif parameter.dim() >= 2:  # of three dimensions: all experts' matrices
            parameter.copy_(0.5 / math.sqrt(min(parameter.shape[-2:])) * noise)
        else:
            parameter.add_(0.2 * noise)


def save_t5(revision: str, folder):
    """A tiny T5 "1.0" or "1.1", saved in `folder`.

    A 1.1 made from a configuration would be tied to its embedding: its head is added to the file,
    and the field set that says so.
    """
    transformers = pytest.importorskip("transformers")
    kind = "gated-gelu" if revision == "1.1" else "relu"
    model = transformers.T5ForConditionalGeneration(
        transformers.T5Config(**T5, feed_forward_proj=kind)
    )
    rerandomise(model)
    model.save_pretrained(folder)
    if revision == "1.1":
        raw = json.loads((folder / "config.json").read_text()) | {"tie_word_embeddings": False}
        raw.pop("scale_decoder_outputs", None)
        head = torch.randn(VOCAB, 32, generator=torch.Generator().manual_seed(9)) / 10
        write(folder, raw, load_file(folder / "model.safetensors") | {"lm_head.weight": head})
        model = transformers.T5ForConditionalGeneration.from_pretrained(folder)
        assert not torch.equal(model.lm_head.weight, model.shared.weight)
    return model.eval()


def write(folder, config: dict, tensors: dict[str, torch.Tensor]) -> None:
    """A checkpoint's two files."""
    (folder / "config.json").write_text(json.dumps(config))
    save_file({n: t.contiguous() for n, t in tensors.items()}, folder / "model.safetensors")


def batch(rows: int = 3, length: int = 40, seed: int = 1) -> torch.Tensor:
    return torch.randint(VOCAB, (rows, length), generator=torch.Generator().manual_seed(seed))


def padding(side: str, lengths=(40, 29, 17), longest: int = 40) -> torch.Tensor:
    """Which slots hold tokens: (B, T) bool."""
    index, lengths = torch.arange(longest), torch.tensor(lengths)[:, None]
    return index >= longest - lengths if side == "left" else index < lengths


def reference_logits(model, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Hugging Face logits; positions are given: their forward does not read them off the mask."""
    if mask is None:
        return model(ids).logits
    positions = (mask.long().cumsum(1) - 1).clamp(min=0)
    return model(ids, attention_mask=mask.long(), position_ids=positions).logits


def difference(a: torch.Tensor, b: torch.Tensor, mask: torch.Tensor | None = None) -> float:
    """max |a - b| over real tokens."""
    gap = (a - b).abs()
    return (gap if mask is None else gap[mask]).max().item()
