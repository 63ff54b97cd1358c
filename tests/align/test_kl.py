"""Sequence log-probabilities, and KL estimators against the exact sum; wrong signs fail."""

import math

import pytest
import torch

from llmlib.logprobs import exact_kl, kl_estimate, masked_mean, sequence_logprobs, token_logprobs


@pytest.fixture
def pair():
    """Two categoricals over six tokens, as logits."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(6, generator=generator), torch.randn(6, generator=generator)


def expectation(p_logits, values):
    return (p_logits.softmax(-1) * values).sum().item()


def test_exact_kl_is_the_definition_and_torchs(pair):
    p, q = pair
    by_hand = sum(
        a * math.log(a / b)
        for a, b in zip(p.softmax(-1).tolist(), q.softmax(-1).tolist(), strict=True)
    )
    theirs = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=p), torch.distributions.Categorical(logits=q)
    )
    assert exact_kl(p, q).item() == pytest.approx(by_hand, rel=1e-5)
    assert exact_kl(p, q).item() == pytest.approx(theirs.item(), rel=1e-5)
    assert exact_kl(p, p).item() == pytest.approx(0, abs=1e-7)
    assert exact_kl(q, p).item() != pytest.approx(by_hand, rel=1e-2)  # it is not symmetric


def test_exact_kl_of_a_known_pair():
    p, q = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.9, 0.1]).log()
    # ½ ln(0.5/0.9) + ½ ln(0.5/0.1), by hand
    assert exact_kl(p, q).item() == pytest.approx(0.5108256, rel=1e-6)


def test_exact_kl_where_a_token_is_impossible():
    p = torch.tensor([0.0, 0.0, -math.inf])
    q = torch.tensor([0.0, 0.0, 0.0])
    assert exact_kl(p, q).item() == pytest.approx(math.log(3 / 2))
    assert exact_kl(q, p).item() == math.inf
    assert exact_kl(p, p).item() == 0


def test_estimators_have_the_right_mean_and_the_wrong_signs_have_not(pair):
    p, q = pair
    logp, logq = p.log_softmax(-1), q.log_softmax(-1)
    kl = exact_kl(p, q).item()
    assert expectation(p, kl_estimate(logp, logq, "k1")) == pytest.approx(kl, rel=1e-5)
    assert expectation(p, kl_estimate(logp, logq, "k3")) == pytest.approx(kl, rel=1e-5)
    assert kl_estimate(logp, logq, "k3").min() >= 0
    # the sign turned round: k1 becomes −KL, k3 becomes χ² − KL
    chi2 = ((p.softmax(-1) ** 2) / q.softmax(-1)).sum().item() - 1
    assert expectation(p, kl_estimate(logq, logp, "k1")) == pytest.approx(-kl, rel=1e-5)
    wrong = expectation(p, kl_estimate(logq, logp, "k3"))
    assert wrong == pytest.approx(chi2 - kl, rel=1e-4)
    assert abs(wrong - kl) > 0.05 * kl
    # and samples of the reference estimate the other divergence
    other = expectation(q, kl_estimate(logq, logp, "k1"))
    assert other == pytest.approx(exact_kl(q, p).item(), rel=1e-5)


def test_k2_is_close_only_where_the_two_are_close():
    p = torch.tensor([0.0, 0.1, -0.1, 0.2])
    near, far = p + torch.tensor([0.02, -0.02, 0.01, 0.0]), p + torch.tensor([3.0, -3.0, 0.0, 1.0])
    for q, close in ((near, True), (far, False)):
        k2 = expectation(p, kl_estimate(p.log_softmax(-1), q.log_softmax(-1), "k2"))
        assert (abs(k2 / exact_kl(p, q).item() - 1) < 0.05) == close


def test_gradients_of_the_estimators_are_not_what_they_estimate(pair):
    p, q = pair

    def mean_gradient(kind):
        logits = p.clone().requires_grad_()
        estimate = kl_estimate(logits.log_softmax(-1), q.log_softmax(-1), kind)
        with torch.no_grad():
            weight = p.softmax(-1)  # samples were drawn before: their frequencies are constants
        (weight * estimate).sum().backward()
        return logits.grad

    def gradient_of(divergence):
        logits = p.clone().requires_grad_()
        divergence(logits).backward()
        return logits.grad

    forward = gradient_of(lambda logits: exact_kl(logits, q))
    backward = gradient_of(lambda logits: exact_kl(q, logits))
    assert mean_gradient("k1").abs().max() < 1e-6
    assert torch.allclose(mean_gradient("k2"), forward, rtol=1e-4, atol=1e-6)
    assert torch.allclose(mean_gradient("k3"), backward, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(forward, backward, rtol=1e-2, atol=1e-3)


def test_unknown_estimator_and_unequal_shapes_are_refused(pair):
    with pytest.raises(ValueError, match="'k1', 'k2' or 'k3'"):
        kl_estimate(*pair, "k4")
    with pytest.raises(ValueError, match="differ"):
        exact_kl(pair[0], pair[1][:5])


def test_sequence_logprobs_sum_under_the_mask_only():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 7, 11, generator=generator)
    ids = torch.randint(11, (3, 7), generator=generator)
    mask = torch.zeros(3, 7, dtype=torch.bool)
    mask[0, 2:6], mask[1, 5:] = True, True  # the last row has nothing under its mask
    each = token_logprobs(logits, ids)
    total = sequence_logprobs(logits, ids, mask)
    assert total[0].item() == pytest.approx(each[0, 2:6].sum().item(), rel=1e-6)
    assert total[1].item() == pytest.approx(each[1, 5:].sum().item(), rel=1e-6)
    assert total[2].item() == 0
    mean = sequence_logprobs(logits, ids, mask, average=True)
    assert mean[0].item() == pytest.approx(total[0].item() / 4, rel=1e-6)
    assert torch.allclose(mean, masked_mean(each, mask, dim=1))
    # an off-by-one mask is another number, and not by a little
    shifted = sequence_logprobs(logits, ids, mask.roll(1, dims=1))
    assert abs(shifted[0] - total[0]) > 1e-3
    with pytest.raises(ValueError, match="shaped like ids"):
        sequence_logprobs(logits, ids, mask[:, 1:])


def test_sequence_logprobs_ignore_impossible_tokens_outside_the_mask():
    logits = torch.zeros(1, 2, 3)
    logits[0, 0, 1] = -math.inf
    ids, mask = torch.tensor([[1, 0]]), torch.tensor([[False, True]])
    assert sequence_logprobs(logits, ids, mask).item() == pytest.approx(-math.log(3))
