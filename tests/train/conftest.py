"""A model, a tokenizer and texts small enough that a training run takes a second."""

import random

import pytest
import torch

from llmlib import tokenizer as tokenizers
from llmlib.data import TokenBatches, TokenData
from llmlib.model import ModelConfig, Transformer

WORDS = "the a cat dog bird sat ran saw on in mat house garden and then it was red blue old".split()


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """300 documents of 3 to 40 words."""
    rng = random.Random(0)
    return [" ".join(rng.choices(WORDS, k=rng.randint(3, 40))) + "." for _ in range(300)]


@pytest.fixture(scope="session")
def tok(texts):
    return tokenizers.BPE.train(texts, 300, special_tokens=tokenizers.SPECIAL_TOKENS)


@pytest.fixture(scope="session")
def data(texts, tok) -> TokenData:
    return TokenData.from_texts(texts, tok)


@pytest.fixture
def tiny():
    """() -> a fresh two-layer model, always with the same weights."""

    def build(**changes) -> Transformer:
        torch.manual_seed(0)
        sizes = {"vocab_size": 300, "d_model": 32, "n_layers": 2, "n_heads": 2, "max_seq_len": 64}
        return Transformer(ModelConfig(**sizes | changes))

    return build


@pytest.fixture
def batches(data):
    """() -> fresh batches of 6 packed rows."""
    return lambda **options: TokenBatches(data, 6, 48, **options)
