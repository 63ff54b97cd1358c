"""The right answers of chapter 01, with switches that turn on their well-known mistakes."""

import math
from collections import Counter

import torch


def inner_pairs(documents, size):
    """Counts of the pairs inside each list."""
    counts = torch.zeros(size, size)
    for ids in documents:
        for a, b in zip(ids, ids[1:], strict=False):
            counts[a, b] += 1
    return counts


def pair_counts(documents, size, end):
    """1.4: (size, size) counts of neighbours, with `end` around every document."""
    return inner_pairs([[end, *ids, end] for ids in documents], size)


def ladder_counts(words, n):
    """For 0 to n - 1 words of context: {context: Counter of next words}."""
    counts = [{} for _ in range(n)]
    for m in range(n):
        for t in range(m, len(words)):
            counts[m].setdefault(tuple(words[t - m : t]), Counter())[words[t]] += 1
    return counts


def ladder(
    counts, seen, word, size, k, *, add=None, below=True, first=0, end=True, reset=False, total=None
):
    """1.6: q(word | seen), a number."""
    total = total or (lambda row: sum(row.values()))
    q = 1 / size
    for m, rows in list(enumerate(counts))[first:]:
        context = tuple(seen[len(seen) - m :] if end else seen[:m])
        row = rows.get(context)
        if row:
            prior = k * q if add is None else k * add
            q = (row[word] + prior) / (total(row) + (k if below else 0))
        elif reset:
            q = 1 / size
    return q


def ladder_mistakes(counts, seen, word, size, k):
    """1.6: {message: q that the mistake gives}."""
    top = counts[-1].get(tuple(seen[len(seen) - len(counts) + 1 :]))
    want = ladder(counts, seen, word, size, k)
    raw = top[word] / sum(top.values()) if top else want
    uniform_prior = (top[word] + k / size) / (sum(top.values()) + k) if top else want
    unweighted = ladder(counts, seen, word, size, k, add=1.0)
    return {
        "the context is turned round: its words stand in the order of `seen`": ladder(
            counts, seen[::-1], word, size, k, end=False
        ),
        "these are the raw counts of the longest context: the k imaginary words are missing": raw,
        "the imaginary words come from 1 / vocab_size; they should come from the rung "
        "below": uniform_prior,
        "the imaginary words are not spread by q: add k * q to the count": unweighted,
        "k is added above and not below: divide by total + k": ladder(
            counts, seen, word, size, k, below=False
        ),
        "the ladder stops one rung too early: the longest context is missing": ladder(
            counts[:-1], seen, word, size, k
        ),
        "the first rung, the empty context, is left out (seen[-0:] is the whole list)": ladder(
            counts, seen, word, size, k, first=1
        ),
        "the contexts are the first words of `seen`; take the last": ladder(
            counts, seen, word, size, k, end=False
        ),
        "a context that never occurred must change nothing; yours resets q": ladder(
            counts, seen, word, size, k, reset=True
        ),
        "a context that never occurred must change nothing; yours gives 0": 0.0,
        "the total is the sum of the counts, not the number of different words": ladder(
            counts, seen, word, size, k, total=len
        ),
    }


def limit(language, n, *, stop=True, start=True, normalise=True, weigh=True):
    """1.7: nats per document of the best n-gram for {text: probability}."""
    rows = {}
    for text, p in language.items():
        seq = ["<end>"] * (n - 1) * start + text.split() + ["<end>"] * stop
        for t in range(n - 1, len(seq)):
            rows.setdefault(tuple(seq[t - n + 1 : t]), Counter())[seq[t]] += p
    nats = 0.0
    for row in rows.values():
        whole = sum(row.values())
        for c in row.values():
            nats -= c / (1 if weigh else whole) * math.log(c / (whole if normalise else 1))
    return nats


def limit_mistakes(language, n):
    """1.7: {message: nats per document that the mistake gives}."""
    want = limit(language, n)
    entropy = -sum(p * math.log(p) for p in language.values())
    whole = "the context has n - 1 words, so none with n = 1; a slice [-0:] is the whole list"
    n_words = sum(p * (len(x.split()) + 1) for x, p in language.items())
    return {
        "this is in bits; nats were asked": want / math.log(2),
        "the documents count equally; each should count by its probability": limit(
            dict.fromkeys(language, 1 / len(language)), n
        ),
        "the context has n words; an n-gram looks back n - 1": limit(language, n + 1),
        "stopping is not predicted: add `<end>` after the last word": limit(
            language, n, stop=False
        ),
        "the beginning is not predicted: put n - 1 end marks in front": limit(
            language, n, start=False
        ),
        "this is per word; nats per document were asked": want / n_words,
        whole if n == 1 else "this is the entropy; an n-gram forgets": entropy,
        "the rows are not normalised: divide each count by the sum of its row": limit(
            language, n, normalise=False
        ),
        "the rows count equally; each should count as often as its context comes": (
            limit(language, n, weigh=False)
        ),
    }
