"""Checkers for chapter 09, second half: checkpoints, verdicts, ranking, routing."""

import torch

from . import close, equal, exercise, expect, is_type, same_shape


@exercise("09.5", "split a fused matrix")
def ex_09_5(attempt):
    """As many key-value heads as heads (NeoX, BLOOM), one (Falcon-7B), and groups (Falcon-40B)."""
    for H, G, K, D in ((4, 4, 3, 5), (6, 1, 2, 4), (8, 2, 3, 4)):
        rows = (H + 2 * G) * K
        weight = torch.arange(rows * D).float().view(rows, D)
        parts = weight.view(G, H // G + 2, K, D)
        want = [parts[:, :-2].reshape(H * K, D), parts[:, -2].reshape(G * K, D),
                parts[:, -1].reshape(G * K, D)]  # fmt: skip
        got = attempt(weight, H, G, K)
        is_type(got, (tuple, list), "the result")
        expect(len(got) == 3, "return three matrices: for queries, keys and values.")
        same_shape(got[0], want[0], "the queries' matrix")
        same_shape(got[1], want[1], "the keys' matrix")
        same_shape(got[2], want[2], "the values' matrix")
        plain = list(weight.split([H * K, G * K, G * K]))
        mistakes = {
            "that is GPT-2's order: all queries, then all keys, then all values. Here each group "
            "has its own": plain,
            "keys and values are exchanged: in a group the keys come first": [
                want[0], want[2], want[1]],
            "in a group the queries come first, then its key and its value": [
                parts[:, 2:].reshape(H * K, D), parts[:, 0].reshape(G * K, D),
                parts[:, 1].reshape(G * K, D)],
            "the rows of a head stay together: the last split is the head's width": _inside(
                weight, H, G, K),
            "the heads came out in another order: group by group, as they stand": [
                parts[:, :-2].transpose(0, 1).reshape(H * K, D), want[1], want[2]],
        }  # fmt: skip
        for message, value in mistakes.items():
            wrong = all(torch.equal(a, b) for a, b in zip(got, value, strict=True))
            right = all(torch.equal(a, b) for a, b in zip(value, want, strict=True))
            expect(right or not wrong, message + ".")
        names = ("queries", "keys", "values")
        for name, mine, right in zip(names, got, want, strict=True):
            equal(mine, right, f"the {name}' matrix, {H} heads in {G} groups,")


def _inside(weight, H, G, K):
    """Splitting as if the head's width came before the kind (K, H/G + 2)."""
    D = weight.shape[1]
    parts = weight.view(G, K, H // G + 2, D).transpose(1, 2)
    return [parts[:, :-2].reshape(H * K, D), parts[:, -2].reshape(G * K, D),
            parts[:, -1].reshape(G * K, D)]  # fmt: skip


@exercise("09.6", "better, worse or undecided")
def ex_09_6(attempt):
    """A clear case, an unclear one, a worse one, and pairs that only agree in their differences."""
    cases = [
        ([1.60, 1.71, 1.55, 1.64], [1.80, 1.93, 1.76, 1.83], 3.182),
        ([1.60, 1.90, 1.55, 1.84], [1.70, 1.80, 1.60, 1.83], 3.182),
        ([2.10, 2.22, 2.15], [2.00, 2.11, 2.06], 4.303),
        ([1.10, 2.12, 3.08, 4.11, 5.09], [1.20, 2.20, 3.19, 4.20, 5.20], 2.776),
    ]
    for ours, theirs, t in cases:
        a, b = torch.tensor(ours).double(), torch.tensor(theirs).double()
        d, n = a - b, len(ours)
        mean, half = float(d.mean()), float(t * d.std() / n**0.5)
        got = attempt(list(ours), list(theirs), t)
        is_type(got, (tuple, list), "the result")
        expect(len(got) == 3, "return three things: the mean difference, the half-width, a word.")
        close(
            got[0],
            mean,
            "the mean difference",
            atol=1e-9,
            known={"the difference is ours − theirs, so that less loss is negative": -mean},
        )
        unpaired = t * float(a.var() + b.var()) ** 0.5 / n**0.5
        known = {
            "the runs are paired: take each seed's difference first, then its spread": unpaired,
            "that divides by n; a spread that was measured around its own mean divides by n − 1": (
                t * float(d.std(correction=0)) / n**0.5
            ),
            "a mean of n runs is √n times steadier than one run": t * float(d.std()),
            "divide by √n, not by n": t * float(d.std()) / n,
            "that is the variance: the standard deviation is its root": (
                t * float(d.var()) / n**0.5
            ),
            "the factor t is missing": float(d.std()) / n**0.5,
            "with so few seeds 1.96 is too small; use the t that is given": (
                1.96 * float(d.std()) / n**0.5
            ),
            "that is the whole width of the interval": 2 * half,
        }
        close(got[1], half, "the half-width", atol=1e-9, known=known)
        want = "undecided" if abs(mean) <= half else "better" if mean < 0 else "worse"
        opposite = {"better": "worse", "worse": "better"}.get(want)
        expect(got[2] != opposite, "less loss is better: the words are exchanged.")
        expect(
            got[2] == want,
            f"{mean:+.3f} ± {half:.3f} is {want!r}, as its interval "
            f"{'holds' if want == 'undecided' else 'does not hold'} 0. Yours says {got[2]!r}.",
        )


def _best(rows, score):
    return max(rows, key=score)["text"] if rows else None


@exercise("09.7", "sample and rank", may_return_none=True)
def ex_09_7(attempt):
    """Seven candidates, one of them unsafe; then none that is safe; then one on the threshold."""
    names = ("text", "safe", "sensible", "specific", "interesting")
    table = [
        ("f", 0.85, 0.50, 0.10, 0.10),
        ("a", 0.95, 0.90, 0.20, 0.30),
        ("b", 0.90, 0.45, 0.95, 0.90),
        ("c", 0.30, 0.99, 0.95, 0.95),
        ("d", 0.82, 0.85, 0.70, 0.20),
        ("e", 0.99, 0.80, 0.50, 0.45),
        ("g", 0.995, 0.60, 0.30, 0.40),
    ]
    rows = {row[0]: dict(zip(names, row, strict=True)) for row in table}
    safe = [r for r in rows.values() if r["safe"] >= 0.8]

    def score(r, weight=3):
        return weight * r["sensible"] + r["specific"] + r["interesting"]

    def choice(candidates):
        got = attempt([dict(r) for r in candidates], 0.8)
        return got["text"] if isinstance(got, dict) else got

    got = choice(rows.values())
    expect(
        got is not None,
        "nothing was chosen, and six of the seven are safe: filter first, then rank the rest.",
    )
    known = {
        "the threshold is left out: an unsafe candidate was chosen": _best(rows.values(), score),
        "sensibleness weighs three times, the other two once": _best(safe, lambda r: score(r, 1)),
        "the safest was chosen: safety is a filter, and says nothing about quality": _best(
            safe, lambda r: r["safe"]
        ),
        "safety has no part in the ranking: it only decides who may take part": _best(
            safe, lambda r: score(r) + r["safe"]
        ),
        "only sensibleness was looked at": _best(safe, lambda r: r["sensible"]),
        "that is the worst of the safe ones": min(safe, key=score)["text"],
    }
    equal(got, _best(safe, score), "the chosen text", known=known)
    expect(
        choice([rows["c"]]) is None,
        "when no candidate is safe enough, nothing may be said: return None, not the least bad.",
    )
    edge = [dict(rows["a"], safe=0.8), dict(rows["e"], safe=0.7999)]
    expect(choice(edge) == "a", "a candidate exactly on the threshold passes: safe ≥ threshold.")


@exercise("09.8", "a loss that keeps experts busy")
def ex_09_8(attempt):
    """A uniform router (exactly 1), a collapsed one, a random one, and the gradient."""
    g = torch.Generator().manual_seed(8)
    for N, E, k in ((50, 6, 2), (64, 4, 1)):
        logits = 2 * torch.randn(N, E, generator=g)
        p = logits.softmax(-1)
        chosen = torch.zeros(N, E).scatter(1, logits.topk(k, -1).indices, 1.0)
        f, mean = chosen.sum(0) / (N * k), p.mean(0)
        want = E * (f * mean).sum()
        kept = (p * chosen) / (p * chosen).sum(-1, keepdim=True)
        known = {
            "the factor n_experts is missing: a perfect balance should give 1, whatever their "
            "number": want / E,
            "the shares f should add up to 1: each token makes k choices": want * k,
            "P is the mean of all probabilities, not of those of the chosen experts": (
                E * (f * kept.mean(0)).sum()
            ),
            "P is the mean over all tokens, also over those that did not choose the expert": (
                E * (f * (p * chosen).mean(0)).sum()
            ),
            "the softmax runs over the experts (dim=-1): each token's probabilities sum to 1": (
                E * (f * logits.softmax(0).mean(0)).sum()
            ),
            "P is a mean of probabilities: the softmax is missing": E * (f * logits.mean(0)).sum(),
            "all k choices of a token are counted, not only its first": (
                E * (logits.argmax(1).bincount(minlength=E) / N * mean).sum()
            ),
            "f are shares, not counts: divide by the number of choices, n_tokens * k": want * N * k,
            "that is Σ f²: it counts choices, and choices have no gradient": E * (f * f).sum(),
            "that is Σ P²; the shares f of what was really chosen are missing": (
                E * (mean * mean).sum()
            ),
            "the sum over tokens was not divided by their number": want * N,
        }
        close(attempt(logits.clone(), k), want, "the loss", known=known)
    flat = torch.zeros(8, 4)
    flat[torch.arange(8), torch.arange(8) % 4] = 1e-4
    close(attempt(flat, 1), 1.0, "the loss of a perfectly balanced router", atol=1e-3)
    asked = torch.randn(10, 4, generator=g).requires_grad_()
    loss = attempt(asked, 2)
    expect(
        isinstance(loss, torch.Tensor) and loss.requires_grad,
        "the loss has no gradient: P must stay a function of the logits (no detach, no .item()).",
    )
