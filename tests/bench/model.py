"""Training throughput of `Transformer` beside a plain GPT block of the same size.

The plain model is written here from nanoGPT's published description: one fused query-key-value
product, torch's fused attention, LayerNorm before each branch, exact GELU, learned positions, tied
head, no biases. Both take the same steps: forward, cross-entropy, backward, AdamW. Rounds
alternate, so that whatever else the machine does falls on both; the ratio is the median of rounds.

    python tests/bench/model.py
"""

import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

from llmlib.model import PRESETS, ModelConfig, Transformer

SHAKESPEARE = ModelConfig(
    vocab_size=65,
    d_model=128,
    n_layers=4,
    n_heads=4,
    max_seq_len=64,
    norm="layernorm",
    activation="gelu",
    gated=False,
    pos="learned",
)


class PlainAttention(nn.Module):
    """Multi-head causal attention with one product for queries, keys and values."""

    def __init__(self, d_model: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = (
            part.view(B, T, self.n_heads, D // self.n_heads).transpose(1, 2)
            for part in self.qkv(x).split(D, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).contiguous().view(B, T, D))


class PlainBlock(nn.Module):
    """Pre-norm attention and a four times wider MLP."""

    def __init__(self, d_model: int, n_heads: int):
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(d_model, bias=False) for _ in range(2))
        self.attn = PlainAttention(d_model, n_heads)
        self.up = nn.Linear(d_model, 4 * d_model, bias=False)
        self.down = nn.Linear(4 * d_model, d_model, bias=False)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class PlainGPT(nn.Module):
    """Token and position tables, blocks, a norm, and the token table again as head."""

    def __init__(self, vocab_size: int, d_model: int, n_layers: int, n_heads: int, block: int):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocab_size, d_model), nn.Embedding(block, d_model)
        self.blocks = nn.ModuleList(PlainBlock(d_model, n_heads) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_model, bias=False)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids):
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.tokens.weight)


def stepper(model: nn.Module, vocab_size: int, batch: int, length: int):
    """A function that takes one training step on fixed random tokens."""
    ids = torch.randint(vocab_size, (batch, length + 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step():
        logits = model(ids[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def seconds(step, n_steps: int) -> float:
    start = time.perf_counter()
    for _ in range(n_steps):
        step()
    return (time.perf_counter() - start) / n_steps


def compare(
    name: str, config: ModelConfig, batch: int, length: int, n_steps: int, rounds: int = 15
):
    """Print tokens/s of both and the median ratio (above 1: ours is faster)."""
    torch.manual_seed(0)
    plain = PlainGPT(config.vocab_size, config.d_model, config.n_layers, config.n_heads, length)
    models = Transformer(config), plain
    steps = [stepper(model, config.vocab_size, batch, length) for model in models]
    for step in steps:
        seconds(step, 3)
    times = [[seconds(step, n_steps) for step in steps] for _ in range(rounds)]
    ratio = statistics.median(plain / ours for ours, plain in times)
    best = [batch * length / min(column) for column in zip(*times, strict=True)]
    sizes = [sum(p.numel() for p in model.parameters()) for model in models]
    print(
        f"{name}: ours {best[0]:,.0f} tokens/s ({sizes[0]:,} parameters), "
        f"plain {best[1]:,.0f} ({sizes[1]:,}), ratio {ratio:.2f}",
        flush=True,
    )


def main():
    threads = torch.get_num_threads()
    print(f"torch {torch.__version__}, {threads} threads, float32: the same configuration twice")
    compare("shakespeare 4x128, block 64, batch 12", SHAKESPEARE, 12, 64, 5)
    for name in ("world-s", "world-m"):
        same = SHAKESPEARE.replace(
            **{k: getattr(PRESETS[name], k) for k in ("vocab_size", "d_model", "n_layers")},
            n_heads=PRESETS[name].n_heads,
            max_seq_len=256,
        )
        compare(f"{name}'s size, plain fields, 4 x 256", same, 4, 256, 1)
        compare(f"{name} as it is, 4 x 256", PRESETS[name], 4, 256, 1)


if __name__ == "__main__":
    main()
