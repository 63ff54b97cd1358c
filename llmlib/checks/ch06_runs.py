"""Checkers for chapter 06 about whole runs: batches in pieces, resuming, losses, alarms."""

import math

import torch
from torch import nn

from . import close, equal, exercise, expect, same_dtype


@exercise("06.6", "pieces of unequal length")
def ex_06_6(attempt):
    """Three pieces of 1, 3 and 8 targets, stale gradients, and a count of backward calls."""
    model = nn.Linear(3, 1)
    pieces = [(torch.randn(n, 3), torch.randn(n)) for n in (1, 3, 8)]
    calls = []

    def loss_sum(model, x, y):
        loss = ((model(x)[:, 0] - y) ** 2).sum()
        if loss.requires_grad:
            loss.register_hook(lambda grad: calls.append(len(calls)))
        return loss

    def gradient(total):
        return torch.autograd.grad(total, model.weight)[0]

    plain = [((model(x)[:, 0] - y) ** 2).sum() for x, y in pieces]
    want = gradient(sum(plain) / 12)
    losses = [((model(x)[:, 0] - y) ** 2).sum() for x, y in pieces]
    total = gradient(sum(losses))
    means = [((model(x)[:, 0] - y) ** 2).mean() for x, y in pieces]
    of_means = gradient(sum(means) / 3)
    last = gradient(((model(pieces[2][0])[:, 0] - pieces[2][1]) ** 2).sum() / 12)
    stale = torch.full_like(model.weight, 5.0)
    for p in model.parameters():
        p.grad = torch.full_like(p, 5.0)
    loss = attempt(model, pieces, loss_sum)
    expect(model.weight.grad is not None, "p.grad is None: was backward() called?")
    close(
        model.weight.grad,
        want,
        "the gradient",
        known={
            "this is the average of the pieces' averages: a target in a short piece counts for "
            "more": of_means,
            "this is the gradient of the *sum*: divide by the number of all targets": total,
            "you divide by the number of pieces: divide by the number of targets": total / 3,
            "gradients of an earlier step were still in p.grad and were added to yours": want
            + stale,
            "only the last piece is left: the gradients were cleared between the pieces": last,
        },
    )
    expect(
        len(calls) == 3,
        f"backward() should run once for each of the 3 pieces; it ran {len(calls)} times. Summing "
        "all losses first keeps every piece in memory.",
    )
    expect(isinstance(loss, float), "return the mean loss as a float (`.item()`).")
    close(loss, float(sum(plain).detach()) / 12, "the mean loss")


@exercise("06.7", "find the bugs in a resume", may_return_none=True)
def ex_06_7(make_run, snapshot, restore):
    """The original runs on after the snapshot; two fresh runs are restored from it."""
    original = make_run()
    for _ in range(5):
        original.advance()
    state = snapshot(original)
    expect(state is not None, "snapshot returned None: is a `return` missing?")
    at_five = {"w": original.w.clone(), "m": original.m.clone(), "step": original.step}
    expected = []
    for _ in range(5):
        original.advance()
        expected.append(original.w.clone())
    for attempt in (1, 2):
        fresh = make_run()
        restore(fresh, state)
        _compare_restored(fresh, at_five, attempt)
        draw = torch.randn(4, generator=_copy(fresh.rng))
        first = make_run()
        expect(
            not torch.equal(draw, torch.randn(4, generator=first.rng)),
            "the restored run draws the data of step 0 again: the generator's state is not saved.",
        )
        for want in expected:
            fresh.advance()
            equal(
                fresh.w,
                want,
                "the weight of the resumed run",
            )


def _compare_restored(run, want: dict, attempt: int) -> None:
    """Name the part of the state that is not what it was at the snapshot."""
    again = " the second time: did the first restored run change the saved state?"
    again = again if attempt == 2 else ""
    expect(run.step == want["step"], f"the step number is {run.step}, not {want['step']}{again}.")
    expect(
        bool(run.m.abs().sum() > 0),
        "the momentum starts again from zero: it is part of the state.",
    )
    for part, name in (("w", "weight"), ("m", "momentum")):
        if not torch.equal(getattr(run, part), want[part]):
            hint = again or (
                ". Does the snapshot hold a copy, or only another name for the tensor that the "
                "run goes on changing?"
            )
            expect(False, f"the restored {name} is not the one at the snapshot{hint}")


def _copy(generator: torch.Generator) -> torch.Generator:
    """A generator that will draw what `generator` will draw."""
    other = torch.Generator()
    other.set_state(generator.get_state())
    return other


@exercise("06.8", "a loss that cannot be NaN", may_return_nan=True)
def ex_06_8(attempt):
    """Ordinary logits; then huge ones, float16, and a mask with nothing in it."""
    logits, targets = torch.randn(2, 3, 5), torch.randint(5, (2, 3))
    mask = torch.tensor([[True, True, False], [True, False, False]])
    nats = -logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0]
    close(
        attempt(logits, targets, mask),
        nats[mask].mean(),
        "the loss",
        known={
            "you divide by all places; divide by those under the mask": (nats * mask).mean(),
            "the mask is not used": nats.mean(),
            "this is the sum; divide by the number of targets": nats[mask].sum(),
            "the sign is wrong: log-probabilities are negative, the loss positive": -nats[
                mask
            ].mean(),
            "the mask is used the wrong way round": nats[~mask].mean(),
        },
    )
    _stays_finite(
        attempt,
        torch.tensor([[[0.0, 200.0, -50.0]]]),
        torch.tensor([[0]]),
        torch.tensor([[True]]),
        200.0,
        "with a logit of 200",
        "e²⁰⁰ is more than float32 holds, and the logarithm of a probability rounded to 0 is −∞: "
        "use log_softmax or logsumexp.",
    )
    half = torch.tensor([[[0.0, 20.0, 8.0]]], dtype=torch.float16)
    got = attempt(half, torch.tensor([[0]]), torch.tensor([[True]]))
    same_dtype(got, torch.float32, "the loss, even of float16 logits,")
    _stays_finite(
        attempt,
        half,
        torch.tensor([[0]]),
        torch.tensor([[True]]),
        20.0 + math.log1p(math.exp(-20) + math.exp(-12)),
        "with float16 logits",
        "float16 ends at 65,504: go to float32 first.",
    )
    _stays_finite(
        attempt,
        logits,
        targets,
        torch.zeros_like(mask),
        0.0,
        "with an empty mask",
        "0/0: divide by at least 1.",
    )


def _stays_finite(attempt, logits, targets, mask, want, when, why) -> None:
    """Value and gradient are finite and the value is right."""
    z = logits.clone().requires_grad_()
    loss = attempt(z, targets, mask)
    expect(torch.is_tensor(loss), "return the loss as a tensor: a float has no gradient.")
    expect(bool(torch.isfinite(loss)), f"{when} the loss is {loss.item()}: {why}")
    close(loss, want, f"the loss {when}", rtol=1e-4)
    if loss.requires_grad:
        loss.backward()
        expect(bool(torch.isfinite(z.grad).all()), f"{when} the gradient is not finite: {why}")


@exercise("06.9", "read the divergence", may_return_none=True)
def ex_06_9(attempt):
    """A calm run, an outburst, NaN, no look ahead, and a spike that must not hide another."""
    calm = [1.0, 1.2, 0.9, 1.1, 1.0, 1.3, 1.0]
    equal(attempt([*calm, 9.0, 1.0], 4, 4.0), 7, "the alarm for an outburst at step 7")
    expect(attempt(calm, 4, 4.0) is None, "a calm run raised an alarm.")
    expect(
        attempt([0.2, 1.0, 1.0, 1.0, 1.0], 4, 4.0) is None,
        "an alarm in the first steps: with fewer than `window` norms before it, a finite norm "
        "raises none.",
    )
    equal(
        attempt([1.0, math.nan, 1.0, 1.0], 3, 4.0),
        1,
        "the alarm for NaN at step 1",
        known={"NaN was missed: every comparison with NaN is False": None},
    )
    equal(attempt([1.0, 1.0, math.inf], 5, 4.0), 2, "the alarm for infinity at step 2")
    equal(
        attempt([1.0] * 4 + [5.0] + [100.0] * 20, 4, 4.0),
        4,
        "the alarm at step 4 of a run whose end is wild",
        known={"the first outburst was missed: does your median look into the future?": None},
    )
    equal(
        attempt([1.0, 2.0, 3.0, 4.0, 11.0], 4, 4.0),  # median before it: 2.5; with itself: 3.5
        4,
        "the alarm at step 4 of [1, 2, 3, 4, 11]",
        known={
            "your median is too high: the step itself is not among the norms before it, and of an "
            "even number of values the median is the mean of the middle two": None
        },
    )
    expect(
        attempt([1.0, 1.0, 3.0, 3.0, 6.0], 4, 4.0) is None,  # median 2: the middle two are 1 and 3
        "your median is too low: of an even number of values it is the mean of the middle two.",
    )
    expect(
        attempt([1.0, 1.0, 1.0, 1.0, 4.0], 4, 4.0) is None,
        "an alarm at exactly `factor` times the median: the norm must exceed it.",
    )
    equal(
        attempt([1.0, 1.0, 3.9, 1.0, 4.5], 4, 4.0),
        4,
        "the alarm at step 4 after a smaller spike",
        known={"the earlier spike pulled your threshold up: a median would not have moved": None},
    )
