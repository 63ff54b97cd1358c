"""A reward model: one number for a whole text, learned from which of two texts people preferred.

Bradley and Terry (1952) as in Christiano et al. (2017) and Ouyang et al. (2022):
P(a is preferred to b) = σ(r(a) − r(b)).

Shapes: B pairs, N texts, T tokens, D model width.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.align.pairs import PairBatch, PairData
from llmlib.checkpoint import load_weights, read
from llmlib.model import Transformer


class RewardModel(nn.Module):
    """A transformer with one number at its last real token in place of next-token logits.

    The trunk is taken over, not copied; its own head goes. The new head starts from
    N(0, 1/√(D + 1)) with bias 0, so that fresh rewards are of the order of one (Stiennon et al.
    2020). `normalize` turns rewards into mean 0 and standard deviation 1 on given texts.
    """

    def __init__(self, trunk: Transformer):
        super().__init__()
        self.config = trunk.config
        self.trunk = trunk
        self.trunk.head = nn.Identity()  # a parameter without a gradient would stop DDP
        self.head = nn.Linear(self.config.d_model, 1)
        nn.init.normal_(self.head.weight, std=(self.config.d_model + 1) ** -0.5)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Rewards (N,) of texts (N, T) padded on the right, of `lengths` (N,) real tokens each.

        The number is read where the whole text has been seen, at its last real token; at a padding
        token it would mean nothing.
        """
        if lengths.shape != tokens.shape[:1] or lengths.min() < 1:
            raise ValueError(f"lengths must be {len(tokens)} numbers of at least 1: {lengths}")
        features = self.trunk.features(tokens)  # (N, T, D)
        last = features[torch.arange(len(tokens), device=tokens.device), lengths - 1]  # (N, D)
        return (self.head(last)[:, 0].float() - self.mean) / self.std

    @torch.no_grad()
    def normalize(self, rewards: Tensor) -> None:
        """Shift and scale all rewards so that these, which the model gave, have mean 0 and std 1.

        The order of texts, and with it every comparison, stays; the size of a reward becomes one
        that a KL coefficient can be chosen for. `rewards` are usually those of the reference's own
        answers (Ziegler et al. 2019).
        """
        if rewards.numel() < 2 or not torch.isfinite(rewards).all() or rewards.std() == 0:
            raise ValueError("normalizing needs at least two finite rewards that differ")
        self.mean += self.std * rewards.mean().to(self.mean)
        self.std *= rewards.std().to(self.std)


def bt_loss(
    chosen: Tensor, rejected: Tensor, *, margin: Tensor | float = 0.0, center: float = 0.0
) -> Tensor:
    """−log σ(chosen − rejected − margin) + center · (chosen + rejected)²: (B,) twice -> (B,).

    margin  how much better the chosen one is said to be (Llama 2); 0 where nobody said.
    center  comparisons fix rewards up to a constant only; a small weight (0.01) pulls their mean
            to 0 (Eisenstein et al. 2023). TRL's `center_rewards_coefficient`.
    """
    loss = -F.logsigmoid(chosen - rejected - margin)
    return loss + center * (chosen + rejected).square()


def reward_objective(*, center: float = 0.0):
    """A loss for `llmlib.train.train` over `PairBatch`: (sum over pairs, number of pairs)."""

    def loss_fn(model: nn.Module, batch: PairBatch) -> tuple[Tensor, Tensor]:
        rewards = model(batch.tokens.flatten(0, 1), batch.lengths.flatten()).view(-1, 2)
        loss = bt_loss(rewards[:, 0], rewards[:, 1], center=center)
        return loss.sum(), torch.tensor(len(batch), device=loss.device)

    return loss_fn


@torch.no_grad()
def pair_rewards(model: RewardModel, data: PairData, *, batch_size: int = 64) -> Tensor:
    """The reward of every completion: (pairs, 2) float32, on the CPU."""
    device = next(model.parameters()).device
    order = sorted(range(len(data)), key=lambda i: len(data.prompts[i]))
    rewards = torch.zeros(len(data), 2)
    for at in range(0, len(order), batch_size):
        chosen = order[at : at + batch_size]
        batch = data.batch(chosen).to(device)
        scores = model(batch.tokens.flatten(0, 1), batch.lengths.flatten())
        rewards[chosen] = scores.view(-1, 2).cpu()
    return rewards


def accuracy(scores: Tensor) -> float:
    """The share of pairs whose chosen side scores higher: (pairs, 2) -> 0 … 1; ties count half."""
    chosen, rejected = scores[:, 0], scores[:, 1]
    return float(((chosen > rejected).float() + 0.5 * (chosen == rejected)).mean())


def load_reward_model(path: str | Path) -> tuple[RewardModel, object, dict]:
    """(reward model in float32, tokenizer, meta) of a checkpoint, or of the folder of a run."""
    path = Path(path)
    path = path / "model.safetensors" if path.is_dir() else path
    saved = read(path)
    model = RewardModel(Transformer(saved.config))
    load_weights(model, saved.weights, path)
    return model, saved.tokenizer, saved.meta
