"""Log-probabilities against torch's cross-entropy, and where averages could go wrong."""

import math

import pytest
import torch
import torch.nn.functional as F

from llmlib.logprobs import (
    bits_per_byte,
    cross_entropy,
    masked_mean,
    perplexity,
    token_logprobs,
)


@pytest.fixture
def case():
    torch.manual_seed(0)
    return 5 * torch.randn(3, 7, 11), torch.randint(11, (3, 7)), torch.rand(3, 7) < 0.6


def test_token_logprobs_are_the_log_softmax(case):
    logits, ids, _ = case
    expected = logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0]
    assert torch.allclose(token_logprobs(logits, ids), expected, atol=1e-6)


def test_cross_entropy_equals_torchs_with_its_gradient(case):
    logits, ids, mask = case
    for m, targets in ((None, ids), (mask, ids.masked_fill(~mask, -100))):
        a, b = logits.clone().requires_grad_(), logits.clone().requires_grad_()
        with torch.enable_grad():
            ours = cross_entropy(a, ids, m)
            theirs = F.cross_entropy(b.flatten(0, 1), targets.flatten())
            ours.backward()
            theirs.backward()
        assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)
        assert torch.allclose(a.grad, b.grad, atol=1e-7)


def test_an_empty_mask_is_zero_and_moves_nothing(case):
    logits, ids, mask = case
    logits.requires_grad_()
    with torch.enable_grad():
        loss = cross_entropy(logits, ids, torch.zeros_like(mask))
        loss.backward()
    assert loss.item() == 0 and logits.grad.abs().max() == 0


def test_what_is_masked_has_no_influence_even_if_infinite():
    values = torch.tensor([[1.0, 3.0, math.inf], [math.nan, 5.0, 7.0]])
    mask = torch.tensor([[True, True, False], [False, False, True]])
    assert masked_mean(values, mask).item() == pytest.approx(11 / 3)
    assert masked_mean(values, mask, dim=1).tolist() == [2.0, 7.0]
    assert masked_mean(values, mask, dim=0).tolist() == [1.0, 3.0, 7.0]
    assert masked_mean(values[:, 1]).item() == 4.0


def test_huge_logits_do_not_overflow():
    logits = torch.tensor([[[3e38, 0.0, -3e38], [1e4, 1e4, -1e4]]])
    got = token_logprobs(logits, torch.tensor([[0, 1]]))
    assert got[0, 0].item() == 0 and got[0, 1].item() == pytest.approx(-math.log(2))
    half = torch.tensor([[[60000.0, 59990.0]]], dtype=torch.float16)
    got = token_logprobs(half, torch.tensor([[0]]))
    assert got.dtype == torch.float32 and torch.isfinite(got).all()


def test_units():
    assert perplexity(math.log(50)) == pytest.approx(50)
    assert perplexity(torch.tensor(0.0)) == 1
    assert perplexity(1e6) == math.inf
    assert bits_per_byte(math.log(2) * 30, 10) == pytest.approx(3)
    with pytest.raises(ValueError, match="one byte"):
        bits_per_byte(1.0, 0)


def test_shapes_that_do_not_fit_are_refused(case):
    logits, ids, mask = case
    with pytest.raises(ValueError, match="shape of ids"):
        token_logprobs(logits, ids[:, :-1])
    with pytest.raises(ValueError, match="shape of ids"):
        cross_entropy(logits[:0], ids[:0])
    with pytest.raises(ValueError, match="shaped like ids"):
        cross_entropy(logits, ids, mask[:, 1:])
