"""Checkers for chapter 11, reinforcement learning from human feedback."""

import torch
import torch.nn.functional as F

from . import close, exercise, expect, finite, same_shape

CHAPTER = "Reinforcement learning from human feedback"


@exercise("11.1", "the loss of a ranking")
def ex_11_1(attempt):
    """Four answers, all verdicts among them; gaps of hundreds; only differences count."""
    rewards = torch.tensor([0.5, -1.0, 2.0, 0.0])
    verdicts = [(0, 1), (2, 0), (3, 0), (2, 1), (1, 3), (2, 3)]
    won, lost = map(list, zip(*verdicts, strict=True))
    gaps = rewards[won] - rewards[lost]
    known = {
        "winners and losers are exchanged: the loss falls when the rejected answer scores higher": (
            -F.logsigmoid(-gaps).mean()
        ),
        "that is the sum over the verdicts; a mean keeps the loss comparable between rankings": (
            -F.logsigmoid(gaps).sum()
        ),
        "the minus is missing: log-probabilities are negative, and a loss should fall": (
            F.logsigmoid(gaps).mean()
        ),
        "that is the mean probability, not the mean of −log p": torch.sigmoid(gaps).mean(),
        "a verdict has two sides: you normalise over all answers of the ranking": (
            -rewards.log_softmax(0)[won].mean()
        ),
    }
    close(attempt(rewards, verdicts), -F.logsigmoid(gaps).mean(), "the loss", known=known)
    far = torch.tensor([0.0, 300.0])
    finite(attempt(far, [(0, 1)]), "the loss of a gap of −300")
    close(attempt(far, [(0, 1)]), 300.0, "the loss of a gap of −300")
    close(attempt(rewards + 7, verdicts), -F.logsigmoid(gaps).mean(), "the loss after adding 7")
    learned = rewards.clone().requires_grad_()
    loss = attempt(learned, verdicts)
    expect(
        isinstance(loss, torch.Tensor) and loss.requires_grad,
        "the result has no gradient: a reward model is trained with it, so it must stay a tensor "
        "that knows its history (no float(…), .item(), .detach())",
    )


@exercise("11.2", "a reward on a common scale")
def ex_11_2(attempt):
    """An unequal reference; then a shifted and stretched reward, which must come out the same."""
    p = torch.tensor([0.6, 0.3, 0.1])
    r = torch.tensor([1.0, 2.0, 6.0])
    mean = (p * r).sum()
    variance = (p * (r - mean) ** 2).sum()
    known = {
        "you weigh all answers alike; the reference writes some of them far more often": (
            (r - r.mean()) / r.std(correction=0)
        ),
        "you weigh all answers alike (`std` of the list); the reference writes some of them far "
        "more often": (r - r.mean()) / r.std(),
        "the mean is weighted, the spread is not: weigh the squares by the reference, too": (
            (r - mean) / r.std()
        ),
        "you divide by the variance: the standard deviation is its root": (r - mean) / variance,
        "the mean is still there: shift first": r / variance.sqrt(),
        "only shifted: the spread should become 1": r - mean,
    }
    got = attempt(r, p)
    same_shape(got, r, "the normalised rewards")
    close(got, (r - mean) / variance.sqrt(), "the normalised rewards", known=known)
    close(attempt(5 * r - 11, p), (r - mean) / variance.sqrt(), "the same after 5 r − 11")


def _delta(rewards, values):
    return rewards + torch.cat([values[1:], torch.zeros(1)]) - values


def _gae(delta, lam):
    return torch.stack(
        [sum(lam ** (k - t) * delta[k] for k in range(t, len(delta))) for t in range(len(delta))]
    )


@exercise("11.3", "advantages and their limits")
def ex_11_3(attempt):
    """λ of 0.9, 0 and 1, and a critic that says 0 everywhere."""
    g = torch.Generator().manual_seed(3)
    rewards, values = torch.randn(2, 6, generator=g)
    delta = _delta(rewards, values)
    rest = rewards.flip(0).cumsum(0).flip(0)
    held = torch.cat([values[1:], values[-1:]])
    known = {
        "after the last token nothing comes: its successor's value is 0, not its own": _gae(
            rewards + held - values, 0.9
        ),
        "the critic's own guess V_t is not subtracted": _gae(
            rewards + torch.cat([values[1:], torch.zeros(1)]), 0.9
        ),
        "that sums the surprises *before* each token: go from the end": _gae(
            delta.flip(0), 0.9
        ).flip(0),
        "those are the surprises δ alone: λ has no effect": delta,
        "the later surprises are not discounted: multiply by λ": _gae(delta, 1.0),
        "λ discounts the later surprises, not the value of what follows inside δ": _gae(
            rewards + 0.9 * (delta - rewards + values) - values, 0.9
        ),
        "the right numbers in the wrong order: the last token's advantage came first": _gae(
            delta, 0.9
        ).flip(0),
        "those are returns: V_t was added to the advantages": _gae(delta, 0.9) + values,
    }
    close(attempt(rewards, values, 0.9), _gae(delta, 0.9), "the advantages", known=known)
    close(attempt(rewards, values, 0.0), delta, "the advantages at λ = 0")
    close(attempt(rewards, values, 1.0), rest - values, "the advantages at λ = 1", atol=1e-5)
    zero = torch.zeros(6)
    close(attempt(rewards, zero, 1.0), rest, "with a critic of 0 and λ = 1", atol=1e-5)


@exercise("11.4", "find the bugs in a KL")
def ex_11_4(attempt):
    """Means over *all* samples of a small policy, weighted by it, against the exact KL."""
    p = torch.tensor([0.5, 0.3, 0.1, 0.1])
    q = torch.tensor([0.2, 0.2, 0.3, 0.3])
    logp, ref = p.log(), q.log()
    d = logp - ref
    exact = (p * d).sum()
    for kind, right, wrong in (
        ("k1", d, {"the sign is wrong: that has the mean −KL": -d}),
        (
            "k3",
            torch.expm1(-d) + d,
            {
                "the ratio is upside down: samples come from the policy, so it is p_ref / p": (
                    torch.expm1(d) - d
                ),
                "the sign of the logarithm is wrong": torch.expm1(-d) - d,
                "k3 is not d²/2: that is k2, which is biased": d**2 / 2,
                "the −1 is missing: equal policies should give 0": torch.exp(-d) + d,
            },
        ),
    ):
        got = attempt(logp, ref, kind)
        same_shape(got, d, f"{kind} of each sample")
        weighed = "the samples come from the policy already: do not weigh them by it once more"
        close(got, right, f"{kind} of each sample", known=wrong | {weighed: p * right})
        close((p * got).sum(), exact, f"the mean of {kind}")
    close(attempt(logp, logp, "k3"), torch.zeros(4), "k3 of equal policies")


@exercise("11.5", "a loss whose gradient is KL's")
def ex_11_5(attempt):
    """The expected gradient, by summing over all actions with the policy's own weights."""
    torch.manual_seed(5)
    logits = torch.randn(6, dtype=torch.double, requires_grad=True)
    ref = torch.randn(6, dtype=torch.double).log_softmax(0)

    def mean_gradient(loss):
        logp = logits.log_softmax(0)
        per_sample = loss(logp, ref)
        same_shape(per_sample, logp, "the loss of each sample")
        expect(
            per_sample.requires_grad,
            "the loss has no gradient: you detached all of it.",
        )
        (g,) = torch.autograd.grad((logp.exp().detach() * per_sample).sum(), logits)
        return g

    def forward(logp):
        return (logp.exp() * (logp - ref)).sum()

    (want,) = torch.autograd.grad(forward(logits.log_softmax(0)), logits)
    known = {
        "the mean gradient is 0: moving log p of samples that were drawn already (k1) pushes in "
        "no direction on average": torch.zeros(6, dtype=torch.double),
        "that is the gradient of KL(ref ‖ p), the other direction: k3 is right as a value, and "
        "its gradient is not": mean_gradient(lambda a, b: torch.expm1(b - a) + a - b),
        "the sign is wrong: descending that loss drives the policy away": -want,
        "the weight log p − log p_ref must be detached: it is how good the sample was, not what "
        "should move": mean_gradient(lambda a, b: (a - b) * a),
        "that is twice the gradient": 2 * want,
        "the samples come from the policy already: do not weigh them by it once more": (
            mean_gradient(lambda a, b: a.exp() * (a - b))
        ),
    }
    close(mean_gradient(attempt), want, "the expected gradient", rtol=1e-6, known=known)


@exercise("11.6", "whitening with padding", may_return_nan=True)
def ex_11_6(attempt):
    """Rows of unequal length, with large numbers in the padding."""
    x = torch.tensor([[1.0, 4.0, -2.0, 900.0], [3.0, 700.0, 700.0, 700.0]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]], dtype=torch.bool)
    kept = x[mask]
    want = torch.zeros_like(x)
    want[mask] = (kept - kept.mean()) / kept.std()
    biased = torch.zeros_like(x)
    biased[mask] = (kept - kept.mean()) / kept.std(correction=0)
    loud = (x - kept.mean()) / kept.std()
    rows = torch.zeros_like(x)
    rows[0, :3] = (x[0, :3] - x[0, :3].mean()) / x[0, :3].std()
    zeros = torch.where(mask, x, 0.0)
    known = {
        "mean and variance were taken over the padding, too": (x - x.mean()) / x.std(),
        "mean and variance were taken over the padding, too: multiplying by the mask leaves "
        "zeros, and zeros count": torch.where(mask, (x - zeros.mean()) / zeros.std(), 0.0),
        "mean and variance were taken over the padding, too, and only the result was masked": (
            torch.where(mask, (x - x.mean()) / x.std(), 0.0)
        ),
        "the variance was divided by n; the convention of PPO codes is n − 1": biased,
        "the padding should come out as 0": loud,
        "the whole batch is whitened together, not each row by itself": rows,
    }
    got = attempt(x, mask)
    same_shape(got, x, "the whitened values")
    close(got, want, "the whitened values", rtol=1e-4, atol=1e-5, known=known)
    got = attempt(x.masked_fill(~mask, torch.nan), mask)
    expect(
        torch.isfinite(got).all(),
        "what stands in the padding came through: 0 · NaN is NaN, so choose with torch.where "
        "rather than multiply by the mask",
    )


@exercise("11.7", "best of n, exactly")
def ex_11_7(attempt):
    """A policy with a tie between its second and third answer."""
    p = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.double)
    reward = torch.tensor([1.0, 2.0, 2.0, 5.0], dtype=torch.double)
    for n in (3, 1):
        top = torch.tensor([0.4**n, 0.9**n - 0.4**n, 0.9**n - 0.4**n, 1 - 0.9**n])
        share = torch.tensor([1.0, 0.6, 0.4, 1.0])
        want = (top * share).double()
        known = {
            "Fⁿ is the probability that the best is *at most* this good: subtract what is below": (
                torch.tensor([0.4**n, 0.9**n, 0.9**n, 1.0]) * share
            ),
            "Fⁿ is the probability that the best is at most this good: take off what is below, and "
            "share what is left": torch.tensor([0.4**n, 0.9**n, 0.9**n, 1.0]),
            "n p Fⁿ⁻¹ is a density, for rewards that no two answers share and answers that are "
            "never written twice": n * p * torch.tensor([0.4, 0.9, 0.9, 1.0]) ** (n - 1),
            "equal rewards were counted several times: the probabilities sum to more than 1": top,
            "a tie goes to the answers in proportion to how often each is written, not in halves": (
                top * torch.tensor([1.0, 0.5, 0.5, 1.0])
            ),
            "a tie is not decided by the order of the list: answers of equal reward share what "
            "falls to them": torch.tensor([0.4**n, 0.7**n - 0.4**n, 0.9**n - 0.7**n, 1 - 0.9**n]),
            "pⁿ is the probability that all n are this answer": p**n,
            "that is the probability that it is written at all; it is kept only if nothing better "
            "was": 1 - (1 - p) ** n,
        }
        if n == 1:
            known = {}
        close(attempt(p, reward, n), want, f"the best of {n}", rtol=1e-5, known=known)
    order = torch.tensor([2, 0, 3, 1])
    close(
        attempt(p[order], reward[order], 3),
        attempt(p, reward, 3)[order],
        "the same answers in another order",
    )


@exercise("11.8", "see the turn coming")
def ex_11_8(attempt):
    """An exact law, and one with noise; the KLs are given, not their roots."""
    for a, b in ((2.0, 0.5), (1.0, 0.2)):
        kl = torch.linspace(0.05, 3.0, 30, dtype=torch.double)
        d = kl.sqrt()
        noise = 0.01 * torch.sin(40 * d)
        for gain, tol in ((d * (a - b * d), 1e-4), (d * (a - b * d) + noise, 0.06)):
            top = a / (2 * b)

            def fit(x, y=gain):
                X = torch.stack([x, -(x**2)], 1)
                return torch.linalg.lstsq(X, y[:, None]).solution[:, 0]

            wrong_a, wrong_b = fit(kl)
            known = {
                "the distance d is the *root* of the KL": float((wrong_a / (2 * wrong_b)) ** 2),
                "the distance d is the root of the KL, and the peak is asked for as a KL": float(
                    wrong_a / (2 * wrong_b)
                ),
                "that is where the gain is back at 0: the peak is half as far": (a / b) ** 2,
                "that is √KL at the peak; asked for is the KL": top,
                "that is the best of the points given: the turn may lie beyond them": float(
                    kl[gain.argmax()]
                ),
                "half of a/b is the distance; square the half as well": (a / b) ** 2 / 2,
            }
            close(attempt(kl, gain), top**2, "the KL at the peak", rtol=tol, atol=1e-6, known=known)
        shifted = d * (a - b * d) + 0.1  # judges who are a little too kind
        X = torch.stack([d, -(d**2)], 1)
        a, b = torch.linalg.lstsq(X / d[:, None], (shifted / d)[:, None]).solution[:, 0]
        fit_a, fit_b = torch.linalg.lstsq(X, shifted[:, None]).solution[:, 0]
        known = {
            "you fitted a constant, too: at the reference the gain is 0 by definition": top**2,
            "least squares is asked for on the gain; you fitted the gain divided by d": float(
                (a / (2 * b)) ** 2
            ),
        }
        got = attempt(kl, shifted)
        close(got, float((fit_a / (2 * fit_b)) ** 2), "the KL at the peak", rtol=1e-4, known=known)
