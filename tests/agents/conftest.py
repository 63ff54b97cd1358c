"""A tiny model that has learnt a few conversations by heart, to stand for a trained one."""

import pytest
import torch
from torch.nn import functional as F

from llmlib.checkpoint.shipped import load_shipped_tokenizer
from llmlib.model import ModelConfig, Transformer
from llmlib.tokenizer import encode_chat
from llmlib.tokenizer.calls import to_template

from .scenarios import LESSONS


@pytest.fixture(scope="session")
def tiny():
    """(model, tokenizer): one layer, trained for a second or two on `scenarios.LESSONS`."""
    tokenizer = load_shipped_tokenizer()
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        d_model=64,
        n_layers=1,
        n_heads=2,
        d_ff=128,
        max_seq_len=256,
    )
    model = Transformer(config)
    rows = [encode_chat(tokenizer, to_template(*lesson)) for lesson in LESSONS]
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)  # (B, T)
    targets = torch.full((len(rows), longest), -100)
    for row, (row_ids, mask) in enumerate(rows):
        length = len(row_ids)
        ids[row, :length] = torch.tensor(row_ids)
        learnt = torch.tensor(mask[1:])
        targets[row, : length - 1][learnt] = torch.tensor(row_ids[1:])[learnt]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(400):
        loss = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
        if loss < 0.005:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    return model.eval(), tokenizer
