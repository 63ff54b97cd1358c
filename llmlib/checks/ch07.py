"""Checkers for chapter 07: cutting and punishing, and what fits. The rest: `ch07_writing`."""

import torch

from . import close, equal, exercise, expect, is_type, same_shape, sums_to_one
from .ch07_writing import ex_07_5, ex_07_6, ex_07_7, ex_07_8

__all__ = ["ex_07_5", "ex_07_6", "ex_07_7", "ex_07_8"]

CHAPTER = "Generation"


@exercise("07.1", "a bar that moves")
def ex_07_1(attempt):
    """Peaked, flat and hand-made distributions, out of order."""
    cases = [(torch.tensor([0.05, 0.4, 0.03, 0.5, 0.02]), 0.1), (torch.full((6,), 1 / 6), 0.9)]
    cases += [(torch.randn(40).mul(2).softmax(-1), m) for m in (0.02, 0.3, 1.0)]
    for probs, m in cases:
        kept = torch.where(probs >= m * probs.max(), probs, 0.0)
        bare = torch.where(probs >= m, probs, 0.0)
        got = attempt(probs, m)
        same_shape(got, probs, "the distribution")
        close(
            got,
            kept / kept.sum(),
            "the distribution",
            known={
                "what is kept does not sum to 1: divide by its sum": kept,
                "the bar is m times the largest probability, not m itself": bare / bare.sum(),
                "you took away the likely tokens and kept the others": (
                    (probs - kept) / (probs - kept).sum()
                ),
                "set the others' probabilities to 0 and divide; a second softmax changes the "
                "proportions": kept.softmax(-1),
            },
        )


@exercise("07.2", "a nucleus for a whole batch", may_return_nan=True)
def ex_07_2(attempt):
    """Rows of different sharpness; a p so small that one token is enough."""
    for p in (0.05, 0.5, 0.9):
        probs = (torch.randn(4, 30) * torch.tensor([[0.5], [1.0], [3.0], [6.0]])).softmax(-1)
        values, order = probs.sort(-1, descending=True)
        total = values.cumsum(-1)

        def home(kept, order=order):
            kept = kept / kept.sum(-1, keepdim=True)
            return torch.zeros_like(kept).scatter(-1, order, kept)

        kept = torch.where(total - values < p, values, 0.0)
        short = torch.where(total <= p, values, 0.0)
        first = torch.where(total <= p, values, 0.0)
        first[:, 0] = values[:, 0]
        bare = kept / kept.sum(-1, keepdim=True)
        up, up_order = probs.sort(-1)
        unlikely = torch.where(up.cumsum(-1) - up < p, up, 0.0)
        unlikely = unlikely / unlikely.sum(-1, keepdim=True)
        got = attempt(probs, p)
        same_shape(got, probs, "the distributions")
        expect(
            torch.isfinite(got).all(),
            "a row has NaN: every row keeps its likeliest token, also when that alone exceeds p "
            "(you seem to drop the token that reaches p).",
        )
        close(
            got,
            home(kept),
            "the distributions",
            known={
                "the token that reaches p is kept too: without it they do not add up to p": home(
                    short
                ),
                "the token that reaches p is kept too, and not only where it is the first": home(
                    first
                ),
                "the probabilities stand in sorted order: bring each home to its token": bare,
                "`order` says where each sorted value came from: `scatter` brings it back there, "
                "`gather` reads from there": bare.gather(-1, order),
                "you kept the unlikely tokens: sort in descending order": torch.zeros_like(
                    probs
                ).scatter(-1, up_order, unlikely),
                "what is kept does not sum to 1 in each row": torch.zeros_like(probs).scatter(
                    -1, order, kept
                ),
                "you divide by the sum of the whole batch: each row is a distribution of its own": (
                    torch.zeros_like(probs).scatter(-1, order, kept) / kept.sum()
                ),
            },
        )
        sums_to_one(got, what="the distributions")


@exercise("07.3", "find the bugs in a penalty")
def ex_07_3(attempt):
    """Positive and negative logits, a token that was written three times."""
    logits, ids, r = torch.tensor([2.0, -6.0, 1.0, 0.5, -1.0, 3.0]), [0, 1, 0, 5, 0], 2.0

    def penalized(times, negative):
        z = logits.clone()
        for i in ids if times else set(ids):
            z[i] = z[i] * r if negative and z[i] < 0 else z[i] / r
        return z

    got = attempt(logits, list(ids), r)
    same_shape(got, logits, "the logits")
    close(
        got,
        penalized(False, True),
        "the logits",
        known={
            "a token that was written three times is punished three times; once is meant": (
                penalized(True, True)
            ),
            "a negative logit that is divided comes closer to 0: the token becomes more likely": (
                penalized(False, False)
            ),
            "two bugs are left: the negative logits, and tokens written more than once": penalized(
                True, False
            ),
            "a negative logit is punished too: multiplied by r it goes further down": torch.where(
                logits > 0, penalized(False, False), logits
            ),
            "above 0 a logit is divided, below 0 multiplied; yours is the other way round": (
                logits * logits / penalized(False, True)
            ),
            "all tokens are punished: only those in `ids` were written": torch.where(
                logits > 0, logits / r, logits * r
            ),
            "the penalty is not subtracted: it divides logits above 0 and multiplies those below": (
                logits - r * torch.tensor([1.0, 1, 0, 0, 0, 1])
            ),
        },
    )


@exercise("07.4", "how many texts fit")
def ex_07_4(attempt):
    """Llama 2 7B on 24 and 80 GB, grouped heads, four bits, and a model far too large."""
    seven = (6_738_415_616, 32, 32, 128)
    cases = [
        (24 * 10**9, *seven, 4096, 16),
        (80 * 10**9, *seven, 4096, 16),
        (24 * 10**9, *seven, 4096, 4),
        (24 * 10**9, 8_030_261_248, 32, 8, 128, 8192, 8),
        (2 * 10**9, *seven, 4096, 16),
    ]
    for memory, n, layers, heads, d, tokens, bits in cases:
        left = memory - n * bits // 8
        one = 4 * layers * heads * d * tokens
        got = attempt(memory, n, layers, heads, d, tokens, bits)
        is_type(got, (int, float), "the number of texts")
        expect(got == int(got), "half a text does not count: round down to a whole number.")
        want = max(0, left // one)
        equal(
            got,
            want,
            f"the number of texts in {memory / 1e9:.0f} GB, weights of {bits} bits",
            known={
                "weights of few bits leave the cache as it is: keys and values take 2 bytes a "
                "number": max(0, left // (one * bits // 16)),
                "the weights take `weight_bits` bits each, not always 16": max(
                    0, (memory - 2 * n) // one
                ),
                "each layer, and in it each key–value head, keeps its own keys and values": max(
                    0, left // (one // layers)
                ),
                "a key has d_head numbers, and so has a value": max(0, left // (one // d)),
                "that many tokens fit; a text has `n_tokens` of them": max(
                    0, left // (one // tokens)
                ),
                "a text takes twice as much: a key and a value, of two bytes a number": (
                    max(0, 2 * left // one)
                ),
                "a text takes four times as much: a key and a value, of two bytes a number": (
                    max(0, 4 * left // one)
                ),
                "the weights take memory too": memory // one,
                "a weight of 16 bits takes two bytes, not sixteen": max(
                    0, (memory - n * bits) // one
                ),
                "half a text does not count: round down": -(-left // one) if left > 0 else None,
                "if the weights do not fit there is no room: 0, not a negative number": left // one,
                "if the weights do not fit there is no room, whatever is missing": abs(left) // one,
            },
        )
    got = attempt(24 * 10**9, *seven, 4096)
    equal(int(got), 4, "without weight_bits, so with 16, the number of texts")
