"""Preference losses: by hand, against formulas as TRL documents them; wrong ones fail."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from llmlib.align.dpo import (
    METHODS,
    dpo_loss,
    implicit_reward,
    ipo_loss,
    kto_loss,
    orpo_loss,
    preference_objective,
    robust_dpo_loss,
    simpo_loss,
)
from llmlib.align.pairs import PairBatches, PairData
from llmlib.train import TrainConfig, train

# One pair by hand: h_chosen = −5 + 6 = 1 and h_rejected = −7 + 6.5 = −0.5, a margin of 1.5.
PAIR = tuple(torch.tensor([x]) for x in (-5.0, -7.0, -6.0, -6.5))


@pytest.fixture
def logprobs():
    """Four random log-probabilities of 64 pairs: chosen, rejected, and the reference's."""
    generator = torch.Generator().manual_seed(0)
    return tuple(-20 * torch.rand(64, generator=generator) - 0.1 for _ in range(4))


def close(got, expected):
    return torch.allclose(got, expected, rtol=1e-5, atol=1e-6)


# -- numbers by hand --------------------------------------------------------------------------


def test_dpo_by_hand():
    # −ln σ(0.1 · 1.5) = ln(1 + e^−0.15)
    assert dpo_loss(*PAIR, beta=0.1).item() == pytest.approx(0.6209566, rel=1e-5)
    # 0.9 ln(1 + e^−0.15) + 0.1 ln(1 + e^0.15)
    got = dpo_loss(*PAIR, beta=0.1, label_smoothing=0.1).item()
    assert got == pytest.approx(0.6359566, rel=1e-5)
    # (0.9 ln(1 + e^−0.15) − 0.1 ln(1 + e^0.15)) / 0.8
    got = robust_dpo_loss(*PAIR, beta=0.1, flip_rate=0.1).item()
    assert got == pytest.approx(0.6022066, rel=1e-5)
    # (1.5 − 1/0.2)²
    assert ipo_loss(*PAIR, beta=0.1).item() == pytest.approx(12.25, rel=1e-6)
    assert implicit_reward(PAIR[0], PAIR[2], 0.1).item() == pytest.approx(0.1)


def test_losses_without_a_reference_by_hand():
    chosen, rejected = torch.tensor([-0.5]), torch.tensor([-0.8])
    # −ln σ(2 · 0.3 − 0.5) = ln(1 + e^−0.1)
    assert simpo_loss(chosen, rejected).item() == pytest.approx(0.6443967, rel=1e-5)
    # p = e^−0.5 = 0.60653 and e^−0.8 = 0.44933: odds 1.54149 and 0.81597; ln of their ratio 0.63613
    expected = 0.5 + 0.1 * math.log(1 + math.exp(-0.6361345))
    assert orpo_loss(chosen, rejected).item() == pytest.approx(expected, rel=1e-5)


def test_kto_by_hand():
    # 1 − σ(0.1 (1 − 0.4)) for the liked, 1 − σ(0.1 (0.4 + 0.5)) for the other
    logprobs, ref = torch.tensor([-5.0, -7.0]), torch.tensor([-6.0, -6.5])
    liked = torch.tensor([True, False])
    got = kto_loss(logprobs, ref, liked, 0.4).tolist()
    assert got == pytest.approx([0.4850045, 0.4775152], rel=1e-5)
    weighted = kto_loss(logprobs, ref, liked, 0.4, desirable_weight=2.0, undesirable_weight=0.5)
    assert weighted.tolist() == pytest.approx([0.9700090, 0.2387576], rel=1e-5)
    assert close(kto_loss(logprobs, ref, liked, -3.0), kto_loss(logprobs, ref, liked, 0.0))


# -- formulas as TRL documents them -----------------------------------------------------------


def test_trl_sigmoid_with_label_smoothing(logprobs):
    c, r, rc, rr = logprobs
    logits = (c - r) - (rc - rr)
    for beta, e in ((0.1, 0.0), (0.5, 0.1)):
        theirs = -F.logsigmoid(beta * logits) * (1 - e) - F.logsigmoid(-beta * logits) * e
        assert close(dpo_loss(*logprobs, beta=beta, label_smoothing=e), theirs)


def test_trl_robust(logprobs):
    c, r, rc, rr = logprobs
    logits, e, beta = (c - r) - (rc - rr), 0.2, 0.3
    theirs = (
        -F.logsigmoid(beta * logits) * (1 - e) + F.logsigmoid(-beta * logits) * e
    ) / (1 - 2 * e)  # fmt: skip
    assert close(robust_dpo_loss(*logprobs, beta=beta, flip_rate=e), theirs)
    cdpo = dpo_loss(*logprobs, beta=beta, label_smoothing=e)
    assert not torch.allclose(cdpo, theirs, rtol=1e-2, atol=1e-2)  # not the same repair


def test_trl_ipo_differs_by_the_normaliser(logprobs):
    c, r, rc, rr = logprobs
    n_c, n_r = torch.full((64,), 7.0), torch.full((64,), 12.0)  # tokens of the two answers
    theirs = (((c - rc) / n_c - (r - rr) / n_r) - 1 / (2 * 0.1)) ** 2  # a mean a token
    assert close(ipo_loss(c / n_c, r / n_r, rc / n_c, rr / n_r, beta=0.1), theirs)
    assert not torch.allclose(ipo_loss(*logprobs, beta=0.1), theirs, rtol=0.1)


def test_simpo_in_three_libraries(logprobs):
    c, r = logprobs[0] / 20, logprobs[1] / 20
    beta, gamma = 2.5, 1.4
    ours = simpo_loss(c, r, beta=beta, gamma=gamma)
    trl = -F.logsigmoid(beta * ((c - r) - gamma / beta))
    ratio = gamma / beta  # the authors' gamma_beta_ratio
    authors = -F.logsigmoid(beta * ((c - r) - ratio))
    assert close(ours, trl) and close(ours, authors)
    mistaken = -F.logsigmoid(beta * ((c - r) - gamma))  # γ taken for the ratio
    assert not torch.allclose(ours, mistaken, rtol=0.1)


def test_trl_orpo(logprobs):
    c, r = logprobs[0] / 20, logprobs[1] / 20
    log_odds = (c - r) - (torch.log1p(-torch.exp(c)) - torch.log1p(-torch.exp(r)))
    assert close(orpo_loss(c, r, weight=0.2), -c - 0.2 * F.logsigmoid(log_odds))


def test_trl_kto(logprobs):
    c, r, rc, rr = logprobs
    kl, beta = torch.tensor(0.7), 0.2
    chosen = 1 - torch.sigmoid(beta * ((c - rc) - kl))
    rejected = 1 - torch.sigmoid(beta * (kl - (r - rr)))
    ours = kto_loss(
        torch.cat((c, r)), torch.cat((rc, rr)), torch.arange(128) < 64, kl, beta=beta
    )  # fmt: skip
    assert close(ours, torch.cat((chosen, rejected)))


# -- what the losses do -----------------------------------------------------------------------


def test_the_gradient_is_weighted_by_how_wrong_the_implicit_reward_is(logprobs):
    c, r, rc, rr = (x.clone() for x in logprobs)
    c.requires_grad_(), r.requires_grad_()
    beta = 0.3
    dpo_loss(c, r, rc, rr, beta=beta).sum().backward()
    margin = beta * ((c - rc) - (r - rr)).detach()
    assert close(c.grad, -beta * torch.sigmoid(-margin))
    assert close(r.grad, beta * torch.sigmoid(-margin))
    assert not torch.allclose(c.grad, -beta * torch.sigmoid(margin), rtol=0.1)  # wrong sign


def test_dpo_sees_differences_only(logprobs):
    c, r, rc, rr = logprobs
    assert torch.allclose(dpo_loss(c + 3, r + 3, rc, rr), dpo_loss(*logprobs), rtol=1e-4, atol=1e-5)
    per_token = dpo_loss(c / 7, r / 12, rc / 7, rr / 12)  # means in place of sums
    assert not torch.allclose(per_token, dpo_loss(*logprobs), rtol=0.05)


def test_smoothing_has_its_minimum_at_a_finite_margin_and_ipo_at_its_target():
    margins = torch.linspace(-10, 30, 4001)
    zero = torch.zeros_like(margins)
    best = {
        "dpo": margins[dpo_loss(margins, zero, zero, zero, beta=1.0).argmin()],
        "cdpo": margins[
            dpo_loss(margins, zero, zero, zero, beta=1.0, label_smoothing=0.2).argmin()
        ],
        "ipo": margins[ipo_loss(margins, zero, zero, zero, beta=0.1).argmin()],
    }
    assert best["dpo"].item() == 30  # as far as it goes
    assert best["cdpo"].item() == pytest.approx(math.log(0.8 / 0.2), abs=0.01)
    assert best["ipo"].item() == pytest.approx(5, abs=0.01)


def test_robust_is_unbiased_under_flips_and_conservative_is_not(logprobs):
    c, r, rc, rr = logprobs
    e = 0.2
    clean = dpo_loss(c, r, rc, rr, beta=0.3)

    def mean_over_flips(loss, **options):
        kept = loss(c, r, rc, rr, beta=0.3, **options)
        flipped = loss(r, c, rr, rc, beta=0.3, **options)
        return (1 - e) * kept + e * flipped

    assert torch.allclose(
        mean_over_flips(robust_dpo_loss, flip_rate=e), clean, rtol=1e-4, atol=1e-5
    )
    assert not torch.allclose(mean_over_flips(dpo_loss, label_smoothing=e), clean, rtol=0.05)
    # the two logarithms of a smoothed label do not cancel: their sum is not log 1
    assert (F.logsigmoid(c) + F.logsigmoid(-c) < -1.38).all()


def test_kto_gives_its_reference_point_no_gradient():
    kl = torch.tensor(0.5, requires_grad=True)
    logprobs = torch.tensor([-1.0, -2.0], requires_grad=True)
    kto_loss(logprobs, torch.zeros(2), torch.tensor([True, False]), kl).sum().backward()
    assert kl.grad is None and logprobs.grad.abs().min() > 0


def test_extreme_log_probabilities_stay_finite():
    for x in (-1e-7, -1e-3, -0.7, -50.0, -1000.0):
        a = torch.tensor([x], requires_grad=True)
        loss = orpo_loss(a, torch.tensor([-1.0]))
        loss.backward()
        assert torch.isfinite(loss) and torch.isfinite(a.grad), x
    huge = torch.tensor([1e4])
    assert dpo_loss(huge, -huge, huge * 0, huge * 0, beta=1.0).item() == 0


def test_what_cannot_be_is_refused(logprobs):
    for rate in (0.5, -0.1):
        with pytest.raises(ValueError, match="below ½"):
            dpo_loss(*logprobs, label_smoothing=rate)
        with pytest.raises(ValueError, match="below ½"):
            robust_dpo_loss(*logprobs, flip_rate=rate)
    with pytest.raises(ValueError, match="below 0"):
        orpo_loss(torch.tensor([0.0]), torch.tensor([-1.0]))
    with pytest.raises(ValueError, match="one of"):
        preference_objective("ppo")


# -- over batches -----------------------------------------------------------------------------


@pytest.fixture
def prepared(tok, pair_rows, tiny):
    model, data = tiny(), PairData(pair_rows, tok)
    data.add_reference(tiny(seed=1), unmatched=True)
    return model, data


def test_objectives_are_the_losses_on_the_models_log_probabilities(prepared):
    model, data = prepared
    batch = data.batch(range(5))
    sums, means = data.logprobs(model)[:5], data.logprobs(model, average=True)[:5]
    four = (sums[:, 0], sums[:, 1], batch.ref[:, 0], batch.ref[:, 1])
    other = data._scored(model, [(i + 1, i) for i in range(5)], False, 64)
    z0 = (other - batch.unmatched_ref).mean()
    liked = torch.tensor([True, False]).expand(5, 2)
    expected = {
        "dpo": dpo_loss(*four, beta=0.1),
        "robust": robust_dpo_loss(*four, beta=0.1, flip_rate=0.2),
        "ipo": ipo_loss(*four, beta=0.1),
        "simpo": simpo_loss(means[:, 0], means[:, 1]),
        "orpo": orpo_loss(means[:, 0], means[:, 1]),
        "kto": kto_loss(sums, batch.ref, liked, z0, beta=0.1).mean(-1),
    }
    assert expected.keys() == set(METHODS)
    for method, losses in expected.items():
        options = {"flip_rate": 0.2} if method == "robust" else {}
        total, count = preference_objective(method, **options)(model, batch)
        assert total.item() == pytest.approx(losses.sum().item(), rel=1e-4), method
        assert count.item() == 5
    # with equal weights z₀ all but cancels between the two sides: it shows where they differ
    uneven = {"beta": 0.1, "desirable_weight": 3.0}
    total, _ = preference_objective("kto", **uneven)(model, batch)
    for point, same in ((z0, True), (torch.zeros(()), False), (2 * z0, False)):
        losses = kto_loss(sums, batch.ref, liked, point, **uneven).mean(-1)
        assert (total.item() == pytest.approx(losses.sum().item(), rel=1e-4)) == same
    total, _ = preference_objective("dpo", nll=0.2)(model, batch)
    assert total.item() == pytest.approx(
        (expected["dpo"] - 0.2 * means[:, 0]).sum().item(), rel=1e-4
    )


def test_objectives_need_what_they_need(tok, pair_rows, tiny):
    data = PairData(pair_rows, tok)
    with pytest.raises(ValueError, match="add_reference"):
        preference_objective("dpo")(tiny(), data.batch([0]))
    data.add_reference(tiny())
    with pytest.raises(ValueError, match="unmatched=True"):
        preference_objective("kto")(tiny(), data.batch([0]))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_the_preference(prepared, method):
    _, data = prepared
    model = copy.deepcopy(prepared[0])
    options = {"flip_rate": 0.1} if method == "robust" else {}
    before = data.logprobs(model)
    config = TrainConfig(steps=12, batch_size=12, seq_len=96, optimizer="adamw", lr=2e-3)
    train(model, PairBatches(data, 12), preference_objective(method, **options), config)
    after = data.logprobs(model)
    gain = (after - before)[:, 0] - (after - before)[:, 1]
    assert (gain > 0).float().mean() > 0.9, gain
