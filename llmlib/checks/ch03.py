"""Checkers for chapter 03, embeddings."""

import torch
import torch.nn.functional as F

from . import close, equal, exercise, expect, finite, is_type, same_dtype, same_shape
from .ch03_references import one_by_one, rope, sgns_step, turn_halves, turn_neighbours

CHAPTER = "Embeddings"  # the name in the progress table


@exercise("03.1", "the gradient of a lookup")
def ex_03_1(attempt):
    """Repeats within a row and across rows of the batch; a row of the table that is never used."""
    ids, g = torch.tensor([[3, 1, 3], [0, 3, 1]]), torch.randn(2, 3, 4)
    got = attempt(ids, g, 6)
    flat, rows = ids.flatten(), g.flatten(0, 1)
    want = F.one_hot(flat, 6).float().T @ rows
    last, mean = torch.zeros(6, 4), want / flat.bincount(minlength=6).clamp(min=1)[:, None]
    last[flat] = rows
    close(
        got,
        want,
        "the gradient of the table",
        known={
            "a token that occurs several times gets what arrived at one of its places only: "
            "indexed assignment writes, it does not add up": last,
            "a token that occurs several times gets the mean of what arrives; the rule is a sum": (
                mean
            ),
            "rows are added up over the whole batch and given to every token": want.sum(0).expand(
                6, 4
            ),
            "only the first text of the batch is counted": F.one_hot(ids[0], 6).float().T @ g[0],
            "the gradient is divided by the number of tokens; it should be the plain sum": want / 6,
        },
    )
    double = attempt(ids, g.double(), 6)
    same_dtype(double, torch.float64, "the gradient for a float64 input")


@exercise("03.2", "nearest neighbours")
def ex_03_2(attempt):
    """A long vector that wins by dot product, a near one that wins by distance, a twin."""
    E = torch.tensor(
        [[1.0, 0.0], [2.0, 0.1], [9.0, 9.0], [0.4, -0.5], [3.0, 0.0], [-1.0, 0.2], [0.9, 0.6]]
    )
    X = F.normalize(E, dim=1)

    def ranking(scores, start=0):
        order = scores.argsort(descending=True).tolist()
        return [j for j in order if j != start]

    cosine = X @ X[0]
    got = attempt(E, 0, 3)
    is_type(got, list, "the neighbours")
    expect(
        0 not in got,
        "the word itself is among its neighbours: leave row i out. (By dot products it need not "
        "even come first.)",
    )
    equal(
        got,
        ranking(cosine)[:3],
        "the neighbours of row 0",
        known={
            "long vectors win: you compare dot products, and have not divided by the lengths": (
                ranking(E @ E[0])[:3]
            ),
            "you return the farthest rows: the largest cosine comes first": ranking(-cosine)[:3],
            "you compare distances; two vectors of the same direction and different lengths have "
            "cosine 1": ranking(-torch.cdist(E, E[:1])[:, 0])[:3],
            "there should be k neighbours; one is missing, perhaps taken away together with the "
            "word itself": ranking(cosine)[:2],
        },
    )
    expect(
        5 not in attempt(E, 5, 5),
        "the word itself is among its neighbours when the others point away from it: a cosine can "
        "be as low as −1, so 0 is not low enough to leave row i out.",
    )
    twins = torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 2.0], [1.0, 1.0]])
    for i in (1, 3):
        got = attempt(twins, i, 2)
        expect(
            i not in got and len(got) == 2,
            "another row points in the same direction as row i, and you drop the wrong one of the "
            "two: leave out the row with index i, not the first of the list.",
        )


@exercise("03.3", "positive PMI")
def ex_03_3(attempt):
    """Not square, with an empty cell; then with a word that has no pair at all."""
    N = torch.tensor([[6.0, 1.0, 0.0, 2.0], [1.0, 5.0, 4.0, 0.0], [2.0, 0.0, 3.0, 9.0]])
    P = N / N.sum()
    pw, pc = P.sum(1, keepdim=True), P.sum(0, keepdim=True)
    pmi = (P / (pw * pc)).log()
    close(
        attempt(N),
        pmi.clamp(min=0),
        "the table",
        known={
            "negative values are left in: set everything below 0 to 0": torch.where(
                N > 0, pmi, torch.zeros(())
            ),
            "cells that never occur are −∞: they should be 0": pmi,
            "everything comes out as 0, since what you take the logarithm of is never above 1: "
            "compare shares with shares, P(w, c) with the product P(w)·P(c)": torch.zeros(3, 4),
            "this is PMI in bits; use the natural logarithm": (pmi / torch.tensor(2.0).log()).clamp(
                min=0
            ),
            "the logarithm is missing: this is the ratio itself": (P / (pw * pc)).clamp(min=0),
        },
    )
    lonely = torch.cat([N, torch.zeros(1, 4)])
    got = attempt(lonely)
    finite(got, "the table with a word that has no pair")
    close(got[3], torch.zeros(4), "the row of a word without pairs")
    close(got[:3], pmi.clamp(min=0), "the other rows")


@exercise("03.4", "one step of word2vec")
def ex_03_4(attempt):
    """A plain case, then a negative that is drawn twice and one that is the real context."""
    W, C = torch.randn(6, 4), torch.randn(6, 4)
    plain, repeats = (2, 4, [0, 5, 1], 0.5), (2, 4, [1, 1, 4], 0.5)
    for case, args in (("", plain), (" with repeated ids", repeats)):
        got = attempt(W, C, *args)
        expect(
            isinstance(got, tuple | list) and len(got) == 2,
            "return two tables, (W, C).",
        )
        known = {
            "the step goes uphill: walk against the gradient": sgns_step(W, C, *args, sign=-1.0),
            "C is changed with the new vector of the word: all gradients are taken at the old "
            "values": sgns_step(W, C, *args, late=True),
            "an id that occurs twice is changed once: assignment does not add up": sgns_step(
                W, C, *args, once=True
            ),
            "every context is pulled to the word: for negatives the right answer is 0": sgns_step(
                W, C, *args, labels=torch.ones(4)
            ),
            "what happened is missing: for the real pair the error is σ − 1": sgns_step(
                W, C, *args, labels=torch.zeros(4)
            ),
            "the negatives are averaged; the loss is their sum": sgns_step(
                W, C, *args, weights=torch.tensor([1.0, 1 / 3, 1 / 3, 1 / 3])
            ),
            "a negative that is c itself is left out: here it counts like any other": sgns_step(
                W, C, *args, weights=torch.tensor([1.0, *(float(n != 4) for n in args[2])])
            ),
            "a negative that is drawn twice is used once: it counts twice": sgns_step(
                W, C, args[0], args[1], sorted(set(args[2])), args[3]
            ),
            "you step after each context, and take the next gradient at the new values: all "
            "gradients are taken at the old ones": one_by_one(W, C, *args),
        }
        want = sgns_step(W, C, *args)
        for i, name in enumerate(("W", "C")):
            same_shape(got[i], (6, 4), f"the new {name}")
            mistakes = {m: v[i] for m, v in known.items()}
            close(got[i], want[i], f"the new {name}{case}", known=mistakes)


@exercise("03.5", "the matrix of a shift")
def ex_03_5(attempt):
    """Shifts forward and back, two widths, checked on vectors of many positions."""
    for k, D in ((3, 8), (-5, 12)):
        half = D // 2
        omega = 10000 ** (-torch.arange(half) / half)

        def at(t, omega=omega):
            angle = t[:, None] * omega
            return torch.cat([angle.sin(), angle.cos()], dim=1)  # (T, D)

        got = attempt(k, D)
        same_shape(got, (D, D), "the matrix")
        t = torch.arange(20.0, 60.0)
        moved = at(t) @ torch.as_tensor(got).float().T
        close(
            moved,
            at(t + k),
            f"R p for a shift of {k}",
            rtol=1e-4,
            atol=2e-4,
            known={
                "your matrix turns the other way: this is a shift by −k": at(t - k),
                "nothing moves: this is the identity": at(t),
                "the matrix mixes neighbours; here all sines come first and then all cosines": (
                    at(t) @ turn_neighbours(k, D).T
                ),
                "all pairs are turned by the same angle; each has its own speed": (
                    at(t) @ turn_halves(torch.full((half,), float(k))).T
                ),
                "the speeds are 10000^(−2i/h); with h = D/2 pairs they should be 10000^(−i/h)": (
                    at(t) @ turn_halves(k * 10000 ** (-2 * torch.arange(half) / half)).T
                ),
                "the speeds are 10000^(−i/D); with h = D/2 pairs they should be 10000^(−i/h)": (
                    at(t) @ turn_halves(k * 10000 ** (-torch.arange(half) / D)).T
                ),
            },
        )


@exercise("03.6", "RoPE")
def ex_03_6(attempt):
    """Positions out of order, two bases, bfloat16 far out, where coarse positions show."""
    x, positions = torch.randn(5, 8), torch.tensor([7, 0, 31, 2, 500])
    for theta in (10000.0, 50.0):
        got = attempt(x, positions, theta)
        same_shape(got, x, "the turned vectors")
        order = torch.arange(5)
        known = {
            "you turn the other way: the first half is a·cos − b·sin": rope(
                x, positions, theta, sign=-1.0
            ),
            "you pair neighbours, 0 with 1; here number i belongs to number i + K/2": rope(
                x, positions, theta, layout="pairs"
            ),
            "rows are turned by their place in the table; use `positions`": rope(x, order, theta),
            "the speeds are θ^(−i/K); pair i should turn with θ^(−2i/K)": rope(
                x, positions, theta, width=8
            ),
            "a minus is missing, and lengths change: the first half is a·cos − b·sin": (
                torch.cat(
                    [
                        rope(x, positions, theta, sign=-1.0)[:, :4],
                        rope(x, positions, theta)[:, 4:],
                    ],
                    dim=1,
                )
            ),
            "theta is ignored": rope(x, positions, 10000.0),
        }
        if theta == 10000.0:
            known.pop("theta is ignored")
        close(
            got,
            rope(x, positions, theta),
            "the turned vectors",
            rtol=1e-4,
            atol=1e-4,
            known=known,
        )
    low, far = torch.randn(3, 8).bfloat16(), torch.tensor([257, 1001, 3003])
    got = attempt(low, far, 10000.0)
    same_dtype(got, torch.bfloat16, "the result for a bfloat16 input")
    want = rope(low, far, 10000.0)
    expect(
        (got.float() - want.float()).abs().max() < 0.1,
        "with bfloat16 vectors the angles are wrong at positions above 256: compute positions and "
        "angles in float32, and go back to the dtype of x at the end.",
    )


@exercise("03.7", "two layouts of one rotation")
def ex_03_7(attempt):
    """The scores of both models; sizes all different, so that no wrong reshape passes by luck."""
    H, K, D, T = 3, 8, 5, 6
    weight = torch.arange(float(H * K * D)).view(H * K, D)  # every row recognisable
    got = attempt(weight, H)
    same_shape(got, (H * K, D), "the weight")
    pairs = weight.view(H, K // 2, 2, D)
    close(
        got,
        pairs.transpose(1, 2).reshape(H * K, D),
        "the order of the rows",
        known={
            "nothing is reordered": weight,
            "this is the way back, from halves to neighbours": weight.view(H, 2, K // 2, D)
            .transpose(1, 2)
            .reshape(H * K, D),
            "rows are sorted across the heads; every head must be reordered by itself": (
                weight.view(H * K // 2, 2, D).transpose(0, 1).reshape(H * K, D)
            ),
            "columns are reordered; the numbers of a query are rows of the weight": (
                weight[:, [0, 2, 4, 1, 3]]
            ),
        },
    )
    Wq, Wk, x = torch.randn(H * K, D), torch.randn(H * K, D), torch.randn(T, D)
    t = torch.arange(T)

    def scores(a, b, layout):
        heads = [(x @ z.T).view(T, H, K).transpose(0, 1) for z in (a, b)]
        q, k = (torch.stack([rope(h, t, 1e4, layout=layout) for h in z]) for z in heads)
        return q @ k.transpose(1, 2)

    close(
        scores(attempt(Wq, H), attempt(Wk, H), "half"),
        scores(Wq, Wk, "pairs"),
        "the scores of the second model",
        rtol=1e-4,
        atol=1e-4,
    )
