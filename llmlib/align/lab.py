"""A small laboratory for preference learning: 48 questions, and a policy that can be a table.

Chapters on preferences ask what a policy *is*, not how it looks in samples. So they work on
questions whose responses can all be listed (`llmlib.world.responses`) and on a language model small
enough to be trained in place: `train_reference` teaches it, from nothing, the answers of the crowd
of demonstrators. It then spreads over the whole grammar, and `llmlib.align.exact` turns it into an
exact table.

The shipped models would do as well, at ten times the price; they know most of these facts and
speak far better, but what is studied here needs neither.
"""

import random
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.align.exact import prompt_ids
from llmlib.data import Batch
from llmlib.model import ModelConfig, Transformer
from llmlib.train import History, TrainConfig, train
from llmlib.world import World
from llmlib.world.responses import FactPrompt, demonstrate, fact_prompts

RELATIONS = ("lives_in", "pet")


def lab_prompts(world: World, known: int = 6, dark: int = 2) -> list[FactPrompt]:
    """Where does one live, which pet does one keep, plainly and with a claim: 6 prompts a person.

    The people are the most written about, and some of whom no text says anything.
    """
    tiers = [[p.name for p in world.people if p.tier == tier] for tier in ("head", "dark")]
    return fact_prompts(world, [*tiers[0][:known], *tiers[1][:dark]], RELATIONS)


def lab_model(tokenizer, seed: int = 0) -> Transformer:
    """A fresh transformer of 2 layers and width 64."""
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        d_model=64,
        n_layers=2,
        n_heads=4,
        max_seq_len=128,
        norm="layernorm",
    )
    torch.manual_seed(seed)
    return Transformer(config)


def train_reference(
    prompts: Sequence[FactPrompt],
    tokenizer,
    *,
    demonstrations: int = 8_000,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> tuple[Transformer, History]:
    """Supervised fine-tuning on answers of the crowd: (the reference policy, how it went)."""
    rng = random.Random(f"demonstrations {seed}")
    start = {p.key: prompt_ids(tokenizer, p) for p in prompts}
    end = tokenizer.special_tokens["<|end|>"]
    rows = []
    for _ in range(demonstrations):
        prompt = rng.choice(prompts)
        answer = [*tokenizer.encode(demonstrate(prompt, rng).text), end]
        rows.append((start[prompt.key], answer))
    model = lab_model(tokenizer, seed).to(device)
    size = 16
    batches = list(_by_length(rows, size, rng, tokenizer.special_tokens["<|pad|>"]))
    config = TrainConfig(
        steps=len(batches),
        batch_size=size,
        muon_lr=0.03,
        lr=1e-2,
        precision="float32",
    )
    history = train(model, batches, response_loss, config, show=False)
    return model.eval(), history


def response_loss(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """(sum of −log p over the answers' tokens, their number); logits are made for these only."""
    features = model.features(batch.ids)[batch.mask]  # (tokens, D)
    loss = F.cross_entropy(model.head(features).float(), batch.targets[batch.mask], reduction="sum")
    return loss, batch.mask.sum()


def _by_length(rows: list, size: int, rng: random.Random, pad: int) -> Iterator[Batch]:
    """Batches of rows of like length, in random order: little padding."""
    groups = []
    for at in range(0, len(rows), 16 * size):
        near = sorted(rows[at : at + 16 * size], key=lambda row: len(row[0]) + len(row[1]))
        groups += [near[i : i + size] for i in range(0, len(near), size)]
    rng.shuffle(groups)
    for group in groups:
        texts = [torch.tensor(start + answer) for start, answer in group]
        tokens = nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=pad)
        place = torch.arange(1, tokens.shape[1])
        first = torch.tensor([len(start) for start, _ in group])[:, None]
        stop = torch.tensor([len(text) for text in texts])[:, None]
        mask = (place >= first) & (place < stop)
        yield Batch(tokens[:, :-1], tokens[:, 1:], mask)
