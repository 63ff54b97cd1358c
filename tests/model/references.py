"""Tiny Hugging Face models with every weight re-randomised, and inputs to compare on.

At the default initialisation (std 0.02, biases 0, norms 1) a wrong activation can pass a tolerance
of 2e-5; with weights of ordinary size hardly any mistake does.
"""

import math

import pytest
import torch

TOLERANCE = 2e-5
VOCAB = 97


def reference(family: str):
    """A small `transformers` model of the family, in float32 and eval mode."""
    transformers = pytest.importorskip("transformers")
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    if family == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=VOCAB, n_embd=48, n_layer=3, n_head=4, n_positions=96
        )
        model = transformers.GPT2LMHeadModel(config)
    else:
        config = transformers.LlamaConfig(
            vocab_size=VOCAB,
            hidden_size=48,
            num_hidden_layers=3,
            num_attention_heads=6,
            num_key_value_heads=2,
            intermediate_size=80,
            max_position_embeddings=96,
            rope_parameters={"rope_type": "default", "rope_theta": 500.0},
            tie_word_embeddings=False,
        )
        model = transformers.LlamaForCausalLM(config)
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
        elif parameter.dim() == 2:
            parameter.copy_(0.5 / math.sqrt(min(parameter.shape)) * noise)
        else:
            parameter.add_(0.2 * noise)


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
