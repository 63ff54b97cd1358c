"""Checkers for chapter 01, language models."""

import math

import torch

from . import close, exercise, expect, is_type, same_shape
from .ch01_references import (
    inner_pairs,
    ladder,
    ladder_counts,
    ladder_mistakes,
    limit,
    limit_mistakes,
    pair_counts,
)

CHAPTER = "Language models"  # the name in the progress table


@exercise("01.1", "entropy")
def ex_01_1(attempt):
    """A lopsided distribution, a zero, certainty."""
    p = [0.5, 0.3, 0.2]
    nats = -sum(x * math.log(x) for x in p)
    got = attempt(p)
    expect(
        not isinstance(got, list | tuple) and getattr(got, "ndim", 0) == 0,
        "return one number: the sum over the outcomes, not one term for each",
    )
    close(
        got,
        nats,
        "the entropy of [0.5, 0.3, 0.2]",
        known={
            "this is in bits: nats use the natural logarithm": nats / math.log(2),
            "this is the logarithm to the base 10: nats use the natural one": nats / math.log(10),
            "this is the perplexity: the entropy is its logarithm": math.exp(nats),
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
            "the exponential is taken of the total: first divide by the tokens": math.exp(nats),
            "the order is: perplexity, bits per token, bits per byte": 2.5 / math.log(2),
        },
    )
    close(
        per_token,
        2.5 / math.log(2),
        "the bits per token",
        known={
            "the bits per token are still nats: divide by log(2)": 2.5,
            "you multiply by log(2) where a division is due": 2.5 * math.log(2),
            "another unit is another factor: divide the nats by log(2), take no logarithm of "
            "them": math.log2(2.5),
            "the bits per token are divided by the bytes": 300 / 480 / math.log(2),
            "these are the bits of the whole text: divide by the tokens": nats / math.log(2),
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
    softer = table.log_softmax(dim=1)
    soft = sum(softer[a, b].item() for a, b in zip(seq, seq[1:], strict=False))
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
            "this is in bits: nats use the natural logarithm": total / math.log(2),
            "the table holds probabilities already: they need no softmax": soft,
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
    want = pair_counts(documents, size, end)
    inner = inner_pairs(documents, size)
    glued = [end, *(i for ids in documents for i in ids), end]
    got = attempt(documents, size, end)
    same_shape(got, want, "the table")
    no_start, no_stop = want.clone(), want.clone()
    no_empty = pair_counts([ids for ids in documents if ids], size, end)
    once = sum((pair_counts([ids], size, end) > 0).float() for ids in documents)
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
            "a pair that comes twice in a document is counted once: counts[a, b] += 1 with two "
            "tensors of ids adds one for all of its repeats": once,
            "all rows are one and the same list: [[0] * V] * V repeats the list, not its "
            "contents": want.sum(dim=0).expand(size, size),
            "the empty document is left out: `end` follows `end` there": no_empty,
            "the borders are missing: `end` stands before the first word and after the last": inner,
            "the beginnings are missing: `end` stands before the first word too": no_start,
            "the stops are missing: `end` follows the last word": no_stop,
            "documents run into each other: each has a border of its own": inner_pairs(
                [glued], size
            ),
            "these are probabilities; counts were asked": want
            / want.sum(dim=1, keepdim=True).clamp(min=1),
        },
    )


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
    by_row = into_rows(said - happened) / torch.bincount(prev, minlength=6).clamp(min=1)[:, None]
    repeats = into_rows(said)
    repeats[prev, next_] -= 1  # once for a pair that comes twice
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
            "only the rows of words that came before get a gradient; yours fills them all": (
                W.softmax(dim=1) - torch.zeros(6, 6).index_put((prev, next_), torch.tensor(1.0))
            )
            / 5,
            "the gradient is transposed: row = previous word": want.T,
            "each row is averaged by itself; the mean is over all N pairs": by_row,
            "a pair that comes twice has happened twice: grad[prev, next_] -= 1 subtracts once "
            "for all of its repeats": repeats / 5,
        },
        atol=1e-5,
    )


@exercise("01.6", "a smoothed ladder")
def ex_01_6(attempt):
    """A known context, an unknown one, an unseen word, and a ladder of one rung."""
    words = "a b c a b d a c c a b c b a a".split()
    counts = ladder_counts(words, 3)
    size, k = 6, 2.0
    cases = [(["a", "b"], "c"), (["c", "a"], "b"), (["d", "d"], "a"), (["a", "b"], "never")]
    for seen, word in cases:
        want = ladder(counts, seen, word, size, k)
        close(
            attempt(counts, seen, word, size, k),
            want,
            f"q({word} | {' '.join(seen)})",
            known=ladder_mistakes(counts, seen, word, size, k),
        )
    long = ["a"] * 5 + ["a", "b"]
    want = ladder(counts, long, "c", size, k)
    close(attempt(counts, long, "c", size, k), want, "q with a long `seen`")
    close(
        attempt(counts[:1], ["a", "b"], "c", size, k),
        ladder(counts[:1], ["a", "b"], "c", size, k),
        "q with one rung only",
    )


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
        for n in (2, 1, 3, 4):
            close(
                attempt(language, n),
                limit(language, n),
                f"the limit for {name}, n = {n},",
                known=limit_mistakes(language, n),
            )
