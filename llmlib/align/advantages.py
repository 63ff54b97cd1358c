"""What PPO's losses are made of: rewards a token, advantages, whitening, clipped losses.

Pure functions of numbers a token. Rows are responses padded on the right: `mask` (N, T) is true on
a response's tokens, without gaps, its stop token included.

Shapes: N responses, T tokens.
"""

import torch
from torch import Tensor

from llmlib import runtime
from llmlib.logprobs import masked_mean


def token_rewards(
    scores: Tensor, logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor, beta: float
) -> Tensor:
    """−β (log p − log p_ref) at every token, and the score at the last: (N,), (N, T) … -> (N, T).

    The sum of a row is its score minus β times an unbiased estimate (k1) of its KL from the
    reference. Where libraries subtract a mean over tokens once instead, β has another unit.
    """
    _check(mask)
    rewards = -beta * (logprobs - ref_logprobs) * mask
    rows = torch.arange(len(mask), device=mask.device)
    rewards[rows, mask.sum(1) - 1] += scores.to(rewards)
    return rewards


def gae(
    rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float = 1.0, lam: float = 0.95
) -> tuple[Tensor, Tensor]:
    """(advantages, returns), (N, T) each; 0 outside the mask. Schulman et al. 2016.

    values[n, t] is the critic's guess, before token t, of the rewards from t on. After the last
    token nothing comes: its successor's value is 0. A_t = Σ_k (γλ)^k δ_{t+k} with
    δ_t = r_t + γ V_{t+1} − V_t, and the return that V_t is trained towards is A_t + V_t.
    λ = 1 gives the whole rest of the rewards minus V_t, λ = 0 gives δ_t.
    """
    _check(mask)
    rewards, values = rewards * mask, values * mask
    after = torch.cat((values[:, 1:], torch.zeros_like(values[:, :1])), dim=1)
    delta = rewards + gamma * after - values
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    for t in range(rewards.shape[1] - 1, -1, -1):
        running = delta[:, t] + gamma * lam * running
        advantages[:, t] = running
    advantages = advantages * mask
    return advantages, (advantages + values) * mask


def whiten(values: Tensor, mask: Tensor, *, shift_mean: bool = True) -> Tensor:
    """`values` with variance 1 over the mask, and mean 0 if `shift_mean`: same shape.

    Advantages lose their mean; rewards keep theirs, whose sign says something. The variance is the
    unbiased one (divided by n − 1), with 1e-8 added, as in TRL. Over all processes together.
    """
    mask = mask.bool()
    kept = torch.where(mask, values, torch.zeros_like(values)).double()
    sums = runtime.all_sum(torch.stack((kept.sum(), mask.sum().double())))
    total, count = sums
    mean = total / count.clamp(min=1)
    squares = ((kept - mean) * mask).square().sum()
    variance = runtime.all_sum(squares) / (count - 1).clamp(min=1)
    scaled = (kept - mean) * torch.rsqrt(variance + 1e-8)
    return torch.where(mask, scaled if shift_mean else scaled + mean, 0.0).to(values.dtype)


def ppo_policy_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor, *, clip: float = 0.2
) -> Tensor:
    """Mean over tokens of max(−A ρ, −A clip(ρ, 1 − c, 1 + c)), ρ = p/p_old: a scalar.

    Schulman et al. 2017. A token that has already become so much likelier (A > 0) or less likely
    (A < 0) has no gradient any more; one that moved the wrong way keeps it.
    """
    ratio = torch.exp(logprobs - old_logprobs)
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - clip, 1 + clip)
    return masked_mean(torch.maximum(plain, clipped), mask)


def ppo_value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, *, clip: float = 0.2
) -> Tensor:
    """½ mean over tokens of the larger of two squared errors: a scalar. (TRL has the ½, too.)

    One of the values themselves, one of values kept within ±clip of what they were at roll-out.
    """
    near = old_values + (values - old_values).clamp(-clip, clip)
    errors = torch.maximum((values - returns).square(), (near - returns).square())
    return 0.5 * masked_mean(errors, mask)


class AdaptiveKL:
    """A KL coefficient that follows a target. Ziegler et al. 2019, section 2.2.

    After `n` responses whose KL from the reference was `kl`, β grows or shrinks by the factor
    1 + clip(kl/target − 1, ±0.2) · n/horizon. Without a target it stays.
    """

    def __init__(self, beta: float, target: float | None = None, horizon: int = 10_000):
        if beta < 0 or (target is not None and target <= 0) or horizon < 1:
            raise ValueError(f"β {beta}, target {target}, horizon {horizon}: all must be positive")
        self.beta, self.target, self.horizon = beta, target, horizon

    def update(self, kl: float, n: int) -> float:
        """Adapt to one batch; the new β."""
        if self.target is not None:
            error = min(max(kl / self.target - 1, -0.2), 0.2)
            self.beta *= 1 + error * n / self.horizon
        return self.beta


def _check(mask: Tensor) -> None:
    if mask.dim() != 2 or mask.dtype != torch.bool or not mask[:, 0].all():
        raise ValueError(
            "mask must be (N, T) bool, true from a response's first token on, in every row"
        )
    if (mask[:, 1:] & ~mask[:, :-1]).any():
        raise ValueError("a response has no gaps: its mask is true up to its last token")
