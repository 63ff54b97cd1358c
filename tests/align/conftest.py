"""A tiny model, the world's tokenizer and preference rows, for tests that take a moment."""

import pytest
import torch

from llmlib.checkpoint import load_shipped_tokenizer
from llmlib.model import ModelConfig, Transformer


@pytest.fixture(scope="session")
def tok():
    return load_shipped_tokenizer()


@pytest.fixture
def tiny(tok):
    """() -> a fresh model of two layers, every weight random: always the same one."""

    def build(seed: int = 0, **changes) -> Transformer:
        torch.manual_seed(seed)
        sizes = {"d_model": 32, "n_layers": 2, "n_heads": 2, "max_seq_len": 96}
        model = Transformer(ModelConfig(vocab_size=tok.vocab_size, **sizes | changes))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
        return model

    return build


@pytest.fixture(scope="session")
def pair_rows() -> list[dict]:
    """Twelve pairs: polite answers of unequal length are preferred to short ones."""
    return [
        {
            "prompt": [{"role": "user", "content": f"Where is house {i}?"}],
            "chosen": [{"role": "assistant", "content": "It is in the town" + ", there" * (i % 4)}],
            "rejected": [{"role": "assistant", "content": f"No {i}"}],
        }
        for i in range(12)
    ]
