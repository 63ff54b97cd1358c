"""Advantages against their definition, whitening against TRL's formula, clipping by hand."""

import math

import pytest
import torch

from llmlib.align.advantages import (
    AdaptiveKL,
    gae,
    ppo_policy_loss,
    ppo_value_loss,
    token_rewards,
    whiten,
)


@pytest.fixture
def rows():
    """(rewards, values, mask): five responses of 1 to 7 tokens, garbage under the mask."""
    generator = torch.Generator().manual_seed(0)
    rewards, values = (torch.randn(5, 7, generator=generator) for _ in range(2))
    mask = torch.arange(7) < torch.tensor([7, 4, 1, 6, 3])[:, None]
    return rewards, values, mask


def by_definition(rewards, values, n, gamma, lam):
    """A_t = Σ_k (γλ)^k δ_{t+k}, in O(T²)."""
    v = [*values[:n].tolist(), 0.0]
    delta = [rewards[t].item() + gamma * v[t + 1] - v[t] for t in range(n)]
    return [sum((gamma * lam) ** (k - t) * delta[k] for k in range(t, n)) for t in range(n)]


@pytest.mark.parametrize("gamma, lam", [(1.0, 0.95), (0.9, 0.7), (1.0, 0.0), (1.0, 1.0)])
def test_gae_is_its_definition(rows, gamma, lam):
    rewards, values, mask = rows
    advantages, returns = gae(rewards, values, mask, gamma=gamma, lam=lam)
    for row, n in enumerate(mask.sum(1).tolist()):
        expected = by_definition(rewards[row], values[row], n, gamma, lam)
        assert advantages[row, :n].tolist() == pytest.approx(expected, rel=1e-4, abs=1e-5)
        assert advantages[row, n:].abs().sum() == 0 == returns[row, n:].abs().sum()
    assert torch.allclose(returns[mask], (advantages + values)[mask], atol=1e-6)


def test_the_limits_of_lambda(rows):
    rewards, values, mask = rows
    everything, _ = gae(rewards, values, mask, lam=1.0)
    rest = (rewards * mask).flip(1).cumsum(1).flip(1)  # all rewards still to come
    assert torch.allclose(everything[mask], (rest - values)[mask], atol=1e-5)
    zero = torch.zeros_like(values)
    advantages, returns = gae(rewards, zero, mask, lam=1.0)  # a critic that knows nothing yet
    assert torch.equal(advantages, returns)


def test_what_lies_behind_the_end_has_no_say(rows):
    rewards, values, mask = rows
    other = rewards.masked_fill(~mask, 1e3), values.masked_fill(~mask, -1e3)
    for got, expected in zip(gae(*other, mask), gae(rewards, values, mask), strict=True):
        assert torch.equal(got, expected)
    unmasked, _ = gae(rewards, values, torch.ones_like(mask))  # the mistake
    assert not torch.allclose(unmasked[mask], gae(rewards, values, mask)[0][mask], rtol=0.1)


def test_masks_with_gaps_are_refused(rows):
    rewards, values, mask = rows
    for wrong in (mask.flip(1), mask.float(), mask & (torch.arange(7) != 2)):
        with pytest.raises(ValueError, match="mask"):
            gae(rewards, values, wrong)


def test_rewards_are_the_score_minus_the_price(rows):
    logprobs, ref, mask = rows
    scores, beta = torch.tensor([1.0, 2.0, -1.0, 0.5, 0.0]), 0.3
    rewards = token_rewards(scores, logprobs, ref, mask, beta)
    kl = ((logprobs - ref) * mask).sum(1)
    assert torch.allclose(rewards.sum(1), scores - beta * kl, atol=1e-5)
    assert rewards[2, 0].item() == pytest.approx(
        -1 - 0.3 * (logprobs[2, 0] - ref[2, 0]).item(), rel=1e-5
    )  # one token: price and score together
    assert rewards[~mask].abs().sum() == 0
    free = token_rewards(scores, logprobs, ref, mask, 0.0)
    assert free.count_nonzero().item() == 4 and free[1, 3] == 2  # at the last token, and only there


def test_whitening_is_trls(rows):
    values, _, mask = rows

    def masked_whiten(values, mask, shift_mean=True):  # as TRL documents it
        mean = (values * mask).sum() / mask.sum()
        variance = (((values - mean) ** 2) * mask).sum() / mask.sum()
        variance = variance * mask.sum() / (mask.sum() - 1)
        whitened = (values - mean) * torch.rsqrt(variance + 1e-8)
        return whitened if shift_mean else whitened + mean

    for shift in (True, False):
        ours, theirs = whiten(values, mask, shift_mean=shift), masked_whiten(values, mask, shift)
        assert torch.allclose(ours[mask], theirs[mask], rtol=1e-5, atol=1e-6)
        assert ours[~mask].abs().sum() == 0
    kept = whiten(values, mask)[mask]
    assert kept.mean().abs() < 1e-6 and kept.var().item() == pytest.approx(1, rel=1e-5)


def test_wrong_whitenings_are_other_numbers(rows):
    values, _, mask = rows
    right = whiten(values, mask)[mask]
    kept = values[mask]
    biased = (kept - kept.mean()) / kept.std(unbiased=False)
    across = ((values * mask - (values * mask).mean()) / (values * mask).std())[mask]
    for wrong in (biased, across):  # n for n − 1; padding counted in
        assert not torch.allclose(right, wrong, rtol=1e-3)


def test_whitening_what_does_not_vary_is_zero():
    mask = torch.tensor([[True, True, False]])
    assert whiten(torch.full((1, 3), 5.0), mask).abs().max() == 0
    one = whiten(torch.tensor([[5.0, 9.0, 9.0]]), torch.tensor([[True, False, False]]))
    assert one.tolist() == [[0.0, 0.0, 0.0]]


def test_policy_loss_by_hand():
    # ratios 1.5 and 0.5, each with a good and a bad advantage, clip 0.2:
    # A = +1: −min(1.5, 1.2) = −1.2,  −min(0.5, 0.8) = −0.5; A = −1: max(1.5, 1.2) = 1.5, 0.8
    logprobs = torch.tensor([[1.5, 0.5], [1.5, 0.5]]).log()
    advantages = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    mask = torch.ones(2, 2, dtype=torch.bool)
    loss = ppo_policy_loss(logprobs, torch.zeros(2, 2), advantages, mask)
    assert loss.item() == pytest.approx((-1.2 - 0.5 + 1.5 + 0.8) / 4, rel=1e-5)


def test_only_moves_too_far_in_the_right_direction_lose_their_gradient():
    logprobs = torch.tensor([[1.5, 0.5], [1.5, 0.5]]).log().requires_grad_()
    advantages = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    ppo_policy_loss(
        logprobs, torch.zeros(2, 2), advantages, torch.ones(2, 2, dtype=torch.bool)
    ).backward()
    assert (logprobs.grad != 0).tolist() == [[False, True], [True, False]]


def test_the_first_gradient_is_the_policy_gradient(rows):
    old, advantages, mask = rows
    logprobs = old.clone().requires_grad_()
    ppo_policy_loss(logprobs, old, advantages, mask).backward()
    assert torch.allclose(logprobs.grad, -advantages * mask / mask.sum(), atol=1e-6)


def test_value_loss_by_hand():
    values, old = torch.tensor([[1.0, 0.0, 9.0]]), torch.tensor([[0.5, 0.0, -9.0]])
    returns, mask = torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[True, True, False]])
    # kept within ±0.2 of 0.5: 0.7, so max(0, 0.09) = 0.09; and (0 − 2)² = 4; half the mean
    got = ppo_value_loss(values, old, returns, mask).item()
    assert got == pytest.approx((0.09 + 4) / 4, rel=1e-5)


def test_adaptive_kl_follows_its_target_slowly():
    controller = AdaptiveKL(0.1, target=6.0, horizon=10_000)
    assert controller.update(60.0, 1000) == pytest.approx(0.1 * 1.02)  # the error is cut at 0.2
    assert controller.update(0.0, 1000) == pytest.approx(0.1 * 1.02 * 0.98)
    assert controller.update(6.0, 1000) == pytest.approx(0.1 * 1.02 * 0.98)
    fixed = AdaptiveKL(0.1)
    assert fixed.update(1e9, 1000) == 0.1
    for wrong in ({"beta": -1.0}, {"beta": 0.1, "target": 0.0}):
        with pytest.raises(ValueError, match="positive"):
            AdaptiveKL(**wrong)
    assert math.isfinite(controller.beta)
