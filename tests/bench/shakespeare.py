"""Time to a loss on real text: nanoGPT's small character-level Shakespeare run, and ours.

The reference is written from nanoGPT's published description of its run for a laptop: 4 layers,
4 heads, width 128, block 64, batch 12, 2,000 iterations, no dropout; AdamW with peak 1e-3, 100
steps of warm-up, a cosine to 1e-4, betas (0.9, 0.99), weight decay 0.1, clipping at 1. Ours has a
model of that size and the settings below. Both are scored alike: the mean loss over the last tenth
of the text, in windows of 64 characters.

    python -m tests.bench.shakespeare path/to/tinyshakespeare.txt

Prints the loss on the way, by steps and seconds of training (validation left out), and the ratio of
times. With a second argument, "ours" or "reference", only that run.
"""

import math
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from llmlib.data import TokenBatches, TokenData
from llmlib.model import ModelConfig, Transformer
from llmlib.train import TrainConfig, next_token_loss, train
from tests.bench.model import PlainGPT

BLOCK, BATCH, ITERATIONS = 64, 12, 2000
POINTS = 8  # at which the loss is looked at, evenly over the run

OURS = ModelConfig(
    vocab_size=65,
    d_model=128,
    n_layers=4,
    n_heads=2,
    max_seq_len=BLOCK,
    norm="layernorm",
    activation="relu2",
    gated=False,
)
SETTINGS = TrainConfig(
    steps=400, batch_size=16, seq_len=BLOCK, lr=1e-2, muon_lr=0.05, warmup=10, decay="linear"
)


def characters(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The text as ids of its characters: the first nine tenths, and the last."""
    text = path.read_text(encoding="utf-8")
    number = {c: i for i, c in enumerate(sorted(set(text)))}
    ids = np.array([number[c] for c in text])
    return ids[: len(ids) * 9 // 10], ids[len(ids) * 9 // 10 :]


@torch.no_grad()
def held_out_loss(model, ids: np.ndarray) -> float:
    """Nats a character, in windows of `BLOCK` that do not overlap."""
    n = (len(ids) - 1) // BLOCK
    x = torch.from_numpy(ids[: n * BLOCK]).view(n, BLOCK)
    y = torch.from_numpy(ids[1 : n * BLOCK + 1]).view(n, BLOCK)
    losses = [
        F.cross_entropy(model(a).flatten(0, 1), b.flatten(), reduction="sum")
        for a, b in zip(x.split(128), y.split(128), strict=True)
    ]
    return float(sum(losses)) / y.numel()


def reference(ids: np.ndarray, score) -> tuple[torch.nn.Module, float]:
    """(the trained plain model, seconds of training); score(model, steps, seconds) on the way."""
    torch.manual_seed(1337)
    model = PlainGPT(65, 128, 4, 4, BLOCK)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))
    text = torch.from_numpy(ids)
    started = time.perf_counter()
    for step in range(ITERATIONS):
        rise, fall = step / 100, (step - 100) / (ITERATIONS - 100)
        cosine = 1e-4 + 0.5 * (1 + math.cos(math.pi * max(fall, 0))) * 9e-4
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * rise if step < 100 else cosine
        at = torch.randint(len(text) - BLOCK, (BATCH,))
        x = torch.stack([text[i : i + BLOCK] for i in at])
        y = torch.stack([text[i + 1 : i + 1 + BLOCK] for i in at])
        F.cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % (ITERATIONS // POINTS) == 0:
            paused = time.perf_counter()
            score(model, step + 1, paused - started)
            started += time.perf_counter() - paused
    return model, time.perf_counter() - started


def ours(ids: np.ndarray, score, settings: TrainConfig = SETTINGS) -> tuple[torch.nn.Module, float]:
    """(our trained model, seconds of training); score(model, steps, seconds) on the way."""
    torch.manual_seed(0)
    model = Transformer(OURS)
    offsets = np.array([0, len(ids) - 1])
    data = TokenData([ids], [offsets], end_of_text=0, n_bytes=len(ids), fingerprint="text")
    batches = TokenBatches(data, settings.batch_size, BLOCK, packing="stream")
    started, paused, at = time.perf_counter(), 0.0, 0
    every = settings.steps // POINTS

    def evaluate(model) -> dict:
        nonlocal paused, at
        now, at = time.perf_counter(), at + every
        score(model, at, now - started - paused)
        paused += time.perf_counter() - now
        return {}

    train(model, batches, next_token_loss, replace(settings, eval_every=every), evaluate=evaluate)
    return model, time.perf_counter() - started - paused


def main() -> None:
    trained_on, held_out = characters(Path(sys.argv[1]))
    runs = {"ours": ours, "reference": reference}
    chosen = sys.argv[2:] or list(runs)
    found = {}
    for name in chosen:

        def score(model, steps: int, seconds: float, name: str = name) -> None:
            loss = held_out_loss(model, held_out)
            print(f"{name}: {steps:5} steps, {seconds:6.1f} s, loss {loss:.3f}", flush=True)

        model, found[name] = runs[name](trained_on, score)
        print(f"{name}: {sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    if len(found) == 2:
        print(f"ratio of times: {found['ours'] / found['reference']:.2f}")


if __name__ == "__main__":
    main()
