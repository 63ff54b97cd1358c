"""PPO on a language model: write, score, learn, and do not go far from where you began.

Ziegler et al. 2019 and Ouyang et al. 2022, with the details that Huang et al. (2024, "The N+
implementation details of RLHF with PPO") found to matter. A response is a sequence of actions, one
a token, its stop token the last; the score comes at the end, a price for leaving the reference at
every token.

Shapes: N responses, T tokens of prompt and response, D model width, V vocabulary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from llmlib import runtime
from llmlib.align.advantages import (
    AdaptiveKL,
    gae,
    ppo_policy_loss,
    ppo_value_loss,
    token_rewards,
    whiten,
)
from llmlib.align.rollout import ActorCritic, Rollout, Scorer, write
from llmlib.logprobs import masked_mean, token_logprobs
from llmlib.model import Transformer
from llmlib.train import TrainingDiverged


@dataclass(frozen=True)
class PPOConfig:
    """What a PPO run is told. One step writes and learns from one batch of responses."""

    max_new_tokens: int = 32
    temperature: float = 1.0  # of writing *and* of every log-probability
    epochs: int = 2  # times that a batch of responses is gone through
    minibatches: int = 2  # pieces of the batch, one update each
    clip: float = 0.2  # of the probability ratio
    value_clip: float = 0.2
    value_weight: float = 0.1
    gamma: float = 1.0
    lam: float = 0.95
    beta: float = 0.05  # price of a nat of KL, in units of the score
    target_kl: float | None = None  # nats a response; beta then adapts
    horizon: int = 10_000  # responses in which beta adapts
    missing_end: float | None = -1.0  # the score of what did not stop; None: as it is scored
    whiten_rewards: bool = False
    lr: float = 1e-4
    grad_clip: float = 1.0
    seed: int = 0

    def __post_init__(self):
        if self.temperature <= 0:
            raise ValueError("temperature must be above 0: a policy that never varies cannot learn")
        for name in ("max_new_tokens", "epochs", "minibatches"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


class PPO:
    """Trains `policy` in place for a higher `score`, at a price for KL from `reference`.

    policy, reference  two models that share no weights; the reference is never changed.
    score              (prompts, responses) -> (N,) numbers; for example `reward_scorer`.
    stop               the id that ends a response. It is an action like any other, and is trained.
    """

    def __init__(
        self,
        policy: Transformer,
        reference: Transformer,
        score: Scorer,
        config: PPOConfig,
        *,
        stop: int,
        pad: int = 0,
    ):
        own = {p.data_ptr() for p in policy.parameters()}
        if any(p.data_ptr() in own for p in reference.parameters()):
            raise ValueError(
                "policy and reference share weights: the KL between them would be 0 for ever. "
                "Copy one with copy.deepcopy"
            )
        self.device = policy.embed.weight.device
        self.actor = ActorCritic(policy).to(self.device)
        self.reference, self.score, self.config = reference, score, config
        self.stop, self.pad, self.steps = stop, pad, 0
        self.kl = AdaptiveKL(config.beta, config.target_kl, config.horizon)
        # Adam divides by √v + ε; early in a run v is tiny, and a larger ε tames the first steps
        self.optimizer = torch.optim.AdamW(
            self.actor.parameters(), lr=config.lr, eps=1e-5, weight_decay=0.0
        )

    def step(self, prompts: Sequence[Sequence[int]], *, lr: float = 1.0) -> dict[str, float]:
        """Write a response to each prompt (token ids), score it, learn from it; the step's numbers.

        `lr` is the learning rate as a share of the configured one. Under `torchrun` every process
        brings its own prompts and writes its own responses; gradients are averaged. The numbers:
        score (as given, before any price), kl (exact, nats a response), beta, entropy (nats a
        token), tokens and stopped (of a response), policy_loss, value_loss, clipped (share of
        tokens whose ratio was outside), grad_norm.
        """
        config = self.config
        rollout = write(
            self.actor,
            self.reference,
            prompts,
            stop=self.stop,
            pad=self.pad,
            temperature=config.temperature,
            max_new_tokens=config.max_new_tokens,
            seed=_seed(config.seed, self.steps),
        )
        scores = self.score([list(p) for p in prompts], rollout.responses).to(self.device).float()
        if scores.shape != rollout.stopped.shape or not torch.isfinite(scores).all():
            raise ValueError(f"score must give {len(prompts)} finite numbers, one a response")
        paid = scores
        if config.missing_end is not None:  # a text that was cut off cannot be judged
            paid = torch.where(rollout.stopped, scores, config.missing_end)
        rewards = token_rewards(
            paid, rollout.logprobs, rollout.ref_logprobs, rollout.mask, self.kl.beta
        )
        if config.whiten_rewards:
            rewards = whiten(rewards, rollout.mask, shift_mean=False)
        advantages, returns = gae(
            rewards, rollout.values, rollout.mask, gamma=config.gamma, lam=config.lam
        )
        advantages = whiten(advantages, rollout.mask)
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr * lr
        stats = self._stats(rollout, scores) | self._learn(rollout, advantages, returns)
        self.kl.update(stats["kl"], len(prompts) * runtime.world_size())
        self.steps += 1
        return stats

    def _learn(self, rollout: Rollout, advantages: Tensor, returns: Tensor) -> dict[str, float]:
        """Several passes of updates over one batch of responses; means of what they showed."""
        config, seen = self.config, []
        random = torch.Generator().manual_seed(_seed(config.seed, self.steps) + 1)
        for _ in range(config.epochs):
            order = torch.randperm(len(rollout.tokens), generator=random).to(self.device)
            for index in order.chunk(config.minibatches):
                seen.append(self._update(rollout.rows(index), advantages[index], returns[index]))
        return {name: sum(s[name] for s in seen) / len(seen) for name in seen[0]}

    def _update(self, part: Rollout, advantages: Tensor, returns: Tensor) -> dict[str, float]:
        """One update on some of the responses."""
        config = self.config
        logits, values = self.actor(part.tokens, part.positions)
        logprobs = token_logprobs(logits / config.temperature, part.actions)
        policy_loss = ppo_policy_loss(
            logprobs, part.logprobs, advantages, part.mask, clip=config.clip
        )
        value_loss = ppo_value_loss(values, part.values, returns, part.mask, clip=config.value_clip)
        loss = policy_loss + config.value_weight * value_loss
        self.optimizer.zero_grad()
        loss.backward()
        parameters = [p for p in self.actor.parameters() if p.grad is not None]
        for parameter in parameters:
            runtime.all_sum(parameter.grad).div_(runtime.world_size())
        norm = float(nn.utils.clip_grad_norm_(parameters, config.grad_clip))
        if not (math.isfinite(norm) and math.isfinite(loss.item())):
            raise TrainingDiverged(self.steps + 1, loss.item(), norm, None)
        self.optimizer.step()
        outside = ((logprobs - part.logprobs).exp() - 1).abs() > config.clip
        return {
            "policy_loss": policy_loss.item(),
            "value_loss": value_loss.item(),
            "clipped": masked_mean(outside.float(), part.mask).item(),
            "grad_norm": norm,
        }

    def _stats(self, rollout: Rollout, scores: Tensor) -> dict[str, float]:
        """Means over the responses of all processes."""
        values = {
            "score": scores,
            "kl": rollout.kl,
            "entropy": masked_mean(rollout.entropy, rollout.mask, dim=1),
            "tokens": rollout.mask.sum(1).float(),
            "stopped": rollout.stopped.float(),
        }
        means = torch.stack([v.double().mean() for v in values.values()])
        means = runtime.all_sum(means) / runtime.world_size()
        return dict(zip(values, means.tolist(), strict=True)) | {"beta": self.kl.beta}

    def state_dict(self) -> dict:
        """Everything beside the policy's weights that the next step depends on."""
        return {
            "value": self.actor.value.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "beta": self.kl.beta,
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on from `state`; the policy must hold the weights saved with it."""
        self.actor.value.load_state_dict(state["value"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.kl.beta, self.steps = state["beta"], state["steps"]


def _seed(seed: int, step: int) -> int:
    """Another seed for every step and process."""
    return (seed * 1_000_003 + step) * 4096 + 2 * runtime.rank()
