"""Checkers for chapter 06, pretraining: schedule, clipping, optimizers. The rest: `ch06_runs`."""

import math

import torch

from . import close, exercise, expect, finite, same_shape
from .ch06_runs import ex_06_6, ex_06_7, ex_06_8, ex_06_9

__all__ = ["ex_06_6", "ex_06_7", "ex_06_8", "ex_06_9"]

CHAPTER = "Pretraining"


@exercise("06.1", "warm-up and cosine")
def ex_06_1(attempt):
    """A run with warm-up, one without, and both ends of each part."""
    steps, warmup, final = 50, 10, 0.1

    def cosine(done, end=final):
        return end + (1 - end) * (1 + math.cos(math.pi * done)) / 2

    rise = [attempt(s, steps, warmup, final) for s in range(warmup)]
    close(
        rise,
        [(s + 1) / warmup for s in range(warmup)],
        "the warm-up",
        known={
            "your first step has a learning rate of 0: step 0 should already give 1/warmup": [
                s / warmup for s in range(warmup)
            ],
            "the warm-up ends below 1: step warmup − 1 should give exactly 1": [
                (s + 1) / (warmup + 1) for s in range(warmup)
            ],
        },
    )
    places = [10, 17, 30, 49, 50]
    done = [(s - warmup) / (steps - warmup) for s in places]
    close(
        [attempt(s, steps, warmup, final) for s in places],
        [cosine(d) for d in done],
        "the cosine",
        known={
            "the cosine begins before the warm-up is over: count its way from step `warmup` on": [
                cosine(s / steps) for s in places
            ],
            "your cosine ends at 0; the fall should stop at `final`": [
                cosine(d, 0.0) for d in done
            ],
            "that is a straight line from 1 to `final`, not a cosine": [
                1 - (1 - final) * d for d in done
            ],
            "never below `final` is not the same as a cosine that ends at `final`: stretch it": [
                max(final, cosine(d, 0.0)) for d in done
            ],
        },
    )
    close(attempt(0, 20, 0, 0.0), 1.0, "step 0 without warm-up")


@exercise("06.2", "clip the global norm")
def ex_06_2(attempt):
    """Tensors of unequal norms; then a small gradient, and an all-zero one."""
    grads = [torch.tensor([[3.0, 0.0]]), torch.tensor([4.0, 12.0, 0.0])]  # norm 13
    got = attempt(grads, 2.0)
    expect(
        isinstance(got, list | tuple) and len(got) == 2,
        "clip should return a list with one tensor for each gradient.",
    )
    for g, before in zip(got, grads, strict=True):
        same_shape(g, before, "each clipped gradient")

    def flat(tensors):
        return torch.cat([t.flatten() for t in tensors])

    norms = [g.norm() for g in grads]
    total = 13.0
    close(
        flat(got),
        flat(grads) * 2 / total,
        "the clipped gradients",
        known={
            "each tensor was clipped by its own norm: it goes over all of them together": flat(
                [g * min(1.0, 2.0 / float(n)) for g, n in zip(grads, norms, strict=True)]
            ),
            "every number was cut off at the limit, which bends the direction: scale all by one "
            "factor": flat([g.clamp(-2, 2) for g in grads]),
            "you divide by the squared norm: the square root is missing": flat(grads) * 2 / 169,
            "the norms of the tensors do not add up to the global norm; their squares do": flat(
                grads
            )
            * 2
            / float(sum(norms)),
            "the gradients were not changed although their norm 13 exceeds the limit 2": flat(
                grads
            ),
        },
    )
    close(
        flat(attempt(grads, 20.0)),
        flat(grads),
        "gradients below the limit",
        known={
            "a gradient smaller than the limit was scaled *up* to it: clipping only makes "
            "smaller": flat(grads) * 20 / total
        },
    )
    finite(flat(attempt([torch.zeros(3)], 1.0)), "an all-zero gradient after clipping")


@exercise("06.3", "one step of AdamW")
def ex_06_3(attempt):
    """The first step and a later one, with an ε large enough to be seen."""
    lr, b1, b2, eps, decay = 0.1, 0.9, 0.95, 0.01, 0.5
    w, g = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([0.3, -0.02, 0.0])
    for m, v, t in (
        (torch.zeros(3), torch.zeros(3), 1),
        (torch.tensor([0.1, 0.2, -0.3]), torch.tensor([0.02, 0.05, 0.01]), 7),
    ):
        m2, v2 = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        mh, vh = m2 / (1 - b1**t), v2 / (1 - b2**t)

        def step(mh=mh, vh=vh, w=w):
            return w * (1 - lr * decay) - lr * mh / (vh.sqrt() + eps)

        gl = g + decay * w
        ml, vl = b1 * m + (1 - b1) * gl, b2 * v + (1 - b2) * gl**2
        coupled = w - lr * (ml / (1 - b1**t)) / ((vl / (1 - b2**t)).sqrt() + eps)
        got = attempt(w, g, m, v, t, lr, b1, b2, eps, decay)
        expect(
            isinstance(got, tuple | list) and len(got) == 3,
            "adamw_step should return three things: the new w, m and v.",
        )
        known = {
            "the bias correction is missing: m and v start at zero and are too small at first": (
                step(m2, v2)
            ),
            "the decay went into the gradient, and is divided by √v̂ there: that is Adam with an "
            "L2 penalty": coupled,
            "the ε stands inside the square root": w * (1 - lr * decay)
            - lr * mh / (vh + eps).sqrt(),
            "the decay is not multiplied by the learning rate": w * (1 - decay)
            - lr * mh / (vh.sqrt() + eps),
            "the weight decay is missing": w - lr * mh / (vh.sqrt() + eps),
            "the step goes uphill: subtract it": w * (1 - lr * decay) + lr * mh / (vh.sqrt() + eps),
            "the square root of v̂ is missing": step(mh, vh**2),
        }
        if t > 1:
            late = m2 / (1 - b1 ** (t + 1)), v2 / (1 - b2 ** (t + 1))
            known["you correct with t + 1: the first step is already t = 1"] = step(*late)
        close(got[0], step(), f"the new w at step {t}", known=known)
        swapped = {
            "the corrected averages were returned: the next step needs them uncorrected": mh,
            "β₁ and 1 − β₁ are swapped": (1 - b1) * m + b1 * g,
        }
        close(got[1], m2, f"the new m at step {t}", known=swapped)
        close(got[2], v2, f"the new v at step {t}")


@exercise("06.4", "what decay really does")
def ex_06_4(attempt):
    """Formulas for two sizes of gradient; then Adam itself, run until its averages settle."""
    w, lr, decay = 0.2, 0.01, 0.1
    for s in (5.0, 500.0):
        close(
            attempt(w, s, lr, decay, True),
            lr * decay * w,
            "AdamW's shrinking",
            rtol=1e-4,
            atol=0,
            known={
                "that is the new weight, not by how much it shrinks": w - lr * decay * w,
                "the learning rate is missing: AdamW takes lr · decay of the weight": decay * w,
                "AdamW's decay is not divided by the size of the gradients: that is what "
                "decoupled means": lr * decay * w / s,
            },
        )
        close(
            attempt(w, s, lr, decay, False),
            lr * decay * w / s,
            "the shrinking with an L2 penalty",
            rtol=1e-4,
            atol=0,
            known={
                "with the penalty inside the gradient, Adam divides it by √v̂ too": lr * decay * w,
                "you divide by v̂ = s²; Adam divides by its square root": lr * decay * w / s**2,
                "√v̂ divides; you multiply by it": lr * decay * w * s,
                "that is the new weight, not by how much it shrinks": w - lr * decay * w / s,
            },
        )
    simulated = _settled_shrink(w, 50.0, lr, decay)
    close(attempt(w, 50.0, lr, decay, False), simulated, "against Adam itself", rtol=0.05, atol=0)
    return "correct, and Adam itself, run for 2,000 steps, agrees within 5 %."


def _settled_shrink(w: float, s: float, lr: float, decay: float) -> float:
    """Mean shrinking a step of Adam with an L2 penalty, held at w while its averages settle."""
    b1, b2, m, v, steps = 0.9, 0.999, 0.0, s * s, []
    for t in range(2000):
        g = (s if t % 2 else -s) + decay * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        steps.append(lr * m / math.sqrt(v))
    return sum(steps[-1000:]) / 1000


@exercise("06.5", "a patient Newton–Schulz", may_return_nan=True)
def ex_06_5(attempt):
    """Wide, tall, tiny and large matrices against the exact decomposition."""
    for shape, scale in (((4, 6), 1e3), ((4, 7), 1.0), ((9, 3), 1.0), ((5, 5), 1e-3)):
        q, _, r = torch.linalg.svd(torch.randn(*shape).double(), full_matrices=False)
        sigma = torch.linspace(1.0, 0.2, min(shape)).double()
        g = q @ (sigma[:, None] * r) * scale
        got = attempt(g, 30)
        same_shape(got, shape, "the result")
        expect(
            bool(torch.isfinite(got).all()),
            "the iteration ran away to infinity: singular values must start below √3, so scale "
            "the matrix first.",
        )
        entries = g / g.norm()
        for _ in range(30):
            entries = 1.5 * entries - 0.5 * entries**3
        values = torch.linalg.svdvals(got)
        expect(
            not torch.allclose(got, entries, atol=1e-8),
            "you cube each entry: the cube of a matrix here is X Xᵀ X.",
        )
        expect(
            float((values - 1).abs().max()) < 1e-4,
            f"the singular values should all be 1 after 30 rounds; yours lie between "
            f"{values.min():.3f} and {values.max():.3f}. Are these the cubic's coefficients?",
        )
        close(got, q @ r, "U Vᵀ", atol=1e-5)
    few = attempt(torch.diag(torch.tensor([3.0, 4.0])), 1)
    x = torch.tensor([0.6, 0.8])
    close(few, torch.diag(1.5 * x - 0.5 * x**3), "diag(3, 4) after one round")
