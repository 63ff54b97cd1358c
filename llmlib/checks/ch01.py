"""Checkers for chapter 01, language models."""

import math
from collections import Counter

import torch

from . import close, exercise, expect, is_type, same_shape

CHAPTER = "Language models"  # the name in the progress table


@exercise("01.1", "entropy")
def ex_01_1(attempt):
    """A lopsided distribution, a zero, certainty."""
    p = [0.5, 0.3, 0.2]
    nats = -sum(x * math.log(x) for x in p)
    close(
        attempt(p),
        nats,
        "the entropy of [0.5, 0.3, 0.2]",
        known={
            "this is in bits: nats use the natural logarithm": nats / math.log(2),
            "the sign is wrong: a surprise is -log p, and never negative": -nats,
            "the surprises are added up without their weights: each counts p times": -sum(
                math.log(x) for x in p
            ),
            "you average the surprises with equal weights; each has its own p": -sum(
                math.log(x) for x in p
            )
            / 3,
        },
    )
    close(attempt([0.25, 0.0, 0.75]), attempt([0.25, 0.75]), "the entropy with a zero added")
    close(attempt([1.0]), 0.0, "the entropy of a certainty")


@exercise("01.2", "units")
def ex_01_2(attempt):
    """Different numbers of tokens and bytes, so that no denominator can be mistaken."""
    nats, tokens, size = 300.0, 120, 480
    got = attempt(nats, tokens, size)
    is_type(got, tuple, "the result")
    expect(len(got) == 3, f"return three numbers; yours returns {len(got)}")
    perplexity, per_token, per_byte = got
    close(
        perplexity,
        math.exp(2.5),
        "the perplexity",
        known={
            "the perplexity is taken from bits: e belongs to nats (and 2 to bits)": math.exp(
                2.5 / math.log(2)
            ),
            "the perplexity is 2 to the nats: e belongs to nats": 2**2.5,
            "the perplexity is per byte; it was asked per token": math.exp(300 / 480),
            "this is the loss, not yet the perplexity: take the exponential": 2.5,
        },
    )
    close(
        per_token,
        2.5 / math.log(2),
        "the bits per token",
        known={
            "the bits per token are still nats: divide by log(2)": 2.5,
            "you multiply by log(2) where a division is due": 2.5 * math.log(2),
            "the bits per token are divided by the bytes": 300 / 480 / math.log(2),
        },
    )
    close(
        per_byte,
        300 / 480 / math.log(2),
        "the bits per byte",
        known={
            "the bits per byte are still nats: divide by log(2)": 300 / 480,
            "you multiply by log(2) where a division is due": 300 / 480 * math.log(2),
            "the bits per byte are divided by the tokens": 2.5 / math.log(2),
            "tokens and bytes are exchanged: there are fewer bits in a byte than in a token": (
                2.5 / math.log(2) * 480 / 120
            ),
        },
    )


@exercise("01.3", "the chain rule")
def ex_01_3(attempt):
    """A short document, an empty one, an impossible pair, a long one that underflows."""
    end = 2
    table = torch.rand(5, 5).softmax(dim=1)
    ids = [0, 3, 3, 1]
    seq = [end, *ids, end]
    logs = [table[a, b].log().item() for a, b in zip(seq, seq[1:], strict=False)]
    total = sum(logs)
    backwards = sum(table[b, a].log().item() for a, b in zip(seq, seq[1:], strict=False))
    got = attempt(table, ids, end)
    expect(
        not isinstance(got, torch.Tensor) or got.ndim == 0,
        "return one number for the document, not one for each pair",
    )
    close(
        got,
        total,
        "the log-probability",
        known={
            "stopping is not counted: the last word is followed by `end`": total - logs[-1],
            "the beginning is not counted: the first word follows `end`": total - logs[0],
            "neither the beginning nor the stopping is counted": total - logs[0] - logs[-1],
            "rows and columns are exchanged: the row is the previous word": backwards,
            "this is the probability; its logarithm was asked": math.exp(total),
            "the sign is wrong: log q is negative, -log q is the loss": -total,
            "this is the mean over the pairs; the document's log-probability is the sum": (
                total / len(logs)
            ),
        },
    )
    close(attempt(table, [], end), table[end, end].log(), "the log-probability of the empty text")
    table[3, 3] = 0.0
    close(attempt(table, ids, end), -math.inf, "with an impossible pair, the log-probability")
    uniform = torch.full((5, 5), 0.2)
    close(
        attempt(uniform, [1] * 999, end),
        1000 * math.log(0.2),
        "of 1,000 pairs, the log-probability",
        rtol=1e-4,
        known={
            "the product of so many probabilities is too small for a float and became 0: "
            "add logarithms instead": -math.inf
        },
    )


@exercise("01.4", "count, with borders")
def ex_01_4(attempt):
    """Repeated pairs, an empty document, several documents."""
    end, size = 4, 5
    documents = [[0, 1, 0, 1, 2], [], [3], [2, 2, 2]]
    want = _counts(documents, size, end)
    inner = _inner(documents, size)
    glued = [end, *(i for ids in documents for i in ids), end]
    got = attempt(documents, size, end)
    same_shape(got, want, "the table")
    no_start, no_stop = want.clone(), want.clone()
    for ids in documents:
        seq = [end, *ids, end]
        no_start[seq[0], seq[1]] -= 1
        no_stop[seq[-2], seq[-1]] -= 1
    close(
        got,
        want,
        "the count",
        known={
            "rows and columns are exchanged: the row is the word that comes first": want.T,
            "pairs that come twice are counted once": (want > 0).float(),
            "the borders are missing: `end` stands before the first word and after the last": inner,
            "the beginnings are missing: `end` stands before the first word too": no_start,
            "the stops are missing: `end` follows the last word": no_stop,
            "documents run into each other: each has a border of its own": _inner([glued], size),
            "these are probabilities; counts were asked": want
            / want.sum(dim=1, keepdim=True).clamp(min=1),
        },
    )


def _inner(documents, size):
    """Counts of the pairs inside each list."""
    counts = torch.zeros(size, size)
    for ids in documents:
        for a, b in zip(ids, ids[1:], strict=False):
            counts[a, b] += 1
    return counts


def _counts(documents, size, end):
    return _inner([[end, *ids, end] for ids in documents], size)


@exercise("01.5", "the gradient, without autograd")
def ex_01_5(attempt):
    """Repeated previous words with different successors; a word that does not occur."""
    W = torch.randn(6, 6)
    prev, next_ = torch.tensor([1, 1, 1, 4, 0]), torch.tensor([2, 2, 5, 4, 3])
    said = W[prev].softmax(dim=1)
    happened = torch.zeros(5, 6)
    happened[torch.arange(5), next_] = 1.0

    def into_rows(rows):
        return torch.zeros(6, 6).index_add_(0, prev, rows)

    want = into_rows(said - happened) / 5
    forgotten = torch.zeros(6, 6)
    forgotten[prev] += (said - happened) / 5
    got = attempt(W, prev, next_)
    same_shape(got, (6, 6), "the gradient")
    close(
        got,
        want,
        "the gradient",
        known={
            "the sign is wrong: said minus happened": -want,
            "this is the gradient of the sum: divide by the number of pairs": want * 5,
            "repeated previous words overwrite each other: every pair has to be added": forgotten,
            "what happened is missing: subtract 1 at the next word": into_rows(said) / 5,
            "the softmax runs down the columns: each row is a distribution": into_rows(
                W.softmax(dim=0)[prev] - happened
            )
            / 5,
            "the logits have not been turned into probabilities: apply the softmax": into_rows(
                W[prev] - happened
            )
            / 5,
            "the gradient is transposed: row = previous word": want.T,
        },
        atol=1e-5,
    )


@exercise("01.6", "a smoothed ladder")
def ex_01_6(attempt):
    """A known context, an unknown one, an unseen word, and a ladder of one rung."""
    words = "a b c a b d a c c a b c".split()
    counts = _ladder_counts(words, 3)
    size, k = 6, 2.0
    cases = [(["a", "b"], "c"), (["c", "a"], "b"), (["d", "d"], "a"), (["a", "b"], "never")]
    for seen, word in cases:
        want = _ladder(counts, seen, word, size, k)
        rows = [c.get(tuple(seen[len(seen) - m :])) for m, c in enumerate(counts)]
        top = rows[-1]
        raw = top[word] / sum(top.values()) if top else want
        uniform_prior = (top[word] + k / size) / (sum(top.values()) + k) if top else want
        unweighted = _ladder(counts, seen, word, size, k, add=1.0)
        close(
            attempt(counts, seen, word, size, k),
            want,
            f"q({word} | {' '.join(seen)})",
            known={
                "these are the raw counts of the longest context: the k imaginary words are "
                "missing": raw,
                "the imaginary words come from 1 / vocab_size; they should come from the rung "
                "below": uniform_prior,
                "the imaginary words are not spread by q: add k * q to the count": unweighted,
                "k is added above and not below: divide by total + k": _ladder(
                    counts, seen, word, size, k, below=False
                ),
                "the ladder stops one rung too early: the longest context is missing": _ladder(
                    counts[:-1], seen, word, size, k
                ),
                "the first rung, the empty context, is left out": _ladder(
                    counts, seen, word, size, k, first=1
                ),
                "the contexts are the first words of `seen`; take the last": _ladder(
                    counts, seen, word, size, k, end=False
                ),
                "a context that never occurred must change nothing; yours resets q": _ladder(
                    counts, seen, word, size, k, reset=True
                ),
            },
        )
    long = ["a"] * 5 + ["a", "b"]
    want = _ladder(counts, long, "c", size, k)
    close(attempt(counts, long, "c", size, k), want, "q with a long `seen`")
    close(
        attempt(counts[:1], ["a", "b"], "c", size, k),
        _ladder(counts[:1], ["a", "b"], "c", size, k),
        "q with one rung only",
    )


def _ladder_counts(words, n):
    counts = [{} for _ in range(n)]
    for m in range(n):
        for t in range(m, len(words)):
            counts[m].setdefault(tuple(words[t - m : t]), Counter())[words[t]] += 1
    return counts


def _ladder(counts, seen, word, size, k, *, add=None, below=True, first=0, end=True, reset=False):
    """The ladder, with the well-known mistakes as switches."""
    q = 1 / size
    for m, rows in list(enumerate(counts))[first:]:
        context = tuple(seen[len(seen) - m :] if end else seen[:m])
        row = rows.get(context)
        if row:
            prior = k * q if add is None else k * add
            q = (row[word] + prior) / (sum(row.values()) + (k if below else 0))
        elif reset:
            q = 1 / size
    return q


@exercise("01.7", "the limit of an n-gram")
def ex_01_7(attempt):
    """The chapter's four documents for all n, then a language with documents of unequal length."""
    toy = {
        "Ada feeds the cat": 1 / 2,
        "Ada sees the dog": 1 / 4,
        "Tom feeds the dog": 1 / 8,
        "Tom sees the cat": 1 / 8,
    }
    uneven = {"a": 0.1, "a a": 0.2, "a b a a": 0.3, "b": 0.4}
    for language, name in ((toy, "the four documents"), (uneven, "a language of uneven texts")):
        entropy = -sum(p * math.log(p) for p in language.values())
        for n in (2, 1, 3, 4):
            want = _limit(language, n)
            n_words = sum(p * (len(x.split()) + 1) for x, p in language.items())
            close(
                attempt(language, n),
                want,
                f"the limit for {name}, n = {n},",
                known={
                    "this is in bits; nats were asked": want / math.log(2),
                    "the documents count equally; each should count by its probability": _limit(
                        dict.fromkeys(language, 1 / len(language)), n
                    ),
                    "the context has n words; an n-gram looks back n - 1": _limit(language, n + 1),
                    "stopping is not predicted: add `<end>` after the last word": _limit(
                        language, n, stop=False
                    ),
                    "the beginning is not predicted: put n - 1 end marks in front": _limit(
                        language, n, start=False
                    ),
                    "this is per word; nats per document were asked": want / n_words,
                    "this is the entropy of the language; an n-gram forgets": entropy,
                },
            )


def _limit(language, n, *, stop=True, start=True):
    rows = {}
    for text, p in language.items():
        seq = ["<end>"] * (n - 1) * start + text.split() + ["<end>"] * stop
        for t in range(n - 1, len(seq)):
            rows.setdefault(tuple(seq[t - n + 1 : t]), Counter())[seq[t]] += p
    return -sum(c * math.log(c / sum(row.values())) for row in rows.values() for c in row.values())
