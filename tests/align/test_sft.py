"""The fine-tuning loss against torch's, both normalisations by hand, and wrong variants of it."""

import pytest
import torch
import torch.nn.functional as F

from llmlib.align.sft import sft_loss
from llmlib.logprobs import token_logprobs


def example(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 12, 9, generator=generator, requires_grad=True)
    ids = torch.randint(0, 9, (4, 12), generator=generator)
    mask = torch.rand(4, 12, generator=generator) < torch.tensor([0.1, 0.3, 0.6, 0.9])[:, None]
    mask[:, 3] = True
    return logits, ids, mask


def test_per_token_is_torchs_cross_entropy_with_its_gradient():
    for seed in range(5):
        logits, ids, mask = example(seed)
        ours = sft_loss(token_logprobs(logits, ids), mask)
        theirs = F.cross_entropy(
            logits.flatten(0, 1), ids.masked_fill(~mask, -100).flatten(), ignore_index=-100
        )
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
        gradients = [torch.autograd.grad(x, logits, retain_graph=True)[0] for x in (ours, theirs)]
        torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-7)


def test_numbers_by_hand():
    logprobs = torch.tensor([[-1.0, -2.0, -9.0], [-4.0, -9.0, -9.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert sft_loss(logprobs, mask).item() == pytest.approx(7 / 3)
    assert sft_loss(logprobs, mask, per="sequence").item() == pytest.approx((1.5 + 4) / 2)


def test_wrong_variants_are_told_apart():
    logits, ids, mask = example()
    logprobs = token_logprobs(logits, ids)
    right, by_sequence = sft_loss(logprobs, mask), sft_loss(logprobs, mask, per="sequence")
    wrong = {
        "the sequence normaliser": by_sequence,
        "a mean over all tokens": -(logprobs * mask).mean(),
        "a sum": -(logprobs * mask).sum(),
        "prompt tokens in it": -logprobs.mean(),
        "a mask one off": sft_loss(logprobs, mask.roll(1, dims=1)),
    }
    for name, value in wrong.items():
        assert abs(float(value / right) - 1) > 1e-3, name


def test_packed_sequences_weigh_the_same_as_rows():
    logits, ids, mask = example(1)
    logprobs = token_logprobs(logits, ids)
    rows = sft_loss(logprobs, mask, per="sequence")
    doc_ids = torch.tensor([0, 1]).repeat_interleave(12).repeat(2, 1)
    packed = sft_loss(logprobs.reshape(2, 24), mask.reshape(2, 24), doc_ids, per="sequence")
    torch.testing.assert_close(packed, rows)
    assert not torch.isclose(
        sft_loss(logprobs.reshape(2, 24), mask.reshape(2, 24), per="sequence"), rows
    )


def test_nothing_counts_and_padding():
    logits, ids, mask = example()
    logprobs = token_logprobs(logits, ids)
    for per in ("token", "sequence"):
        loss = sft_loss(logprobs, torch.zeros_like(mask), per=per)
        loss.backward(retain_graph=True)
        assert float(loss) == 0 and not logits.grad.any()
    doc_ids = torch.zeros_like(ids)
    doc_ids[:, 8:] = -1
    padded = torch.where(doc_ids < 0, -torch.inf, logprobs)
    inside = mask & (doc_ids >= 0)
    for per in ("token", "sequence"):
        assert torch.isfinite(sft_loss(padded, inside, doc_ids, per=per))
    with pytest.raises(ValueError, match="shaped like"):
        sft_loss(logprobs, mask[:2])
    with pytest.raises(ValueError, match="per must be"):
        sft_loss(logprobs, mask, per="batch")
