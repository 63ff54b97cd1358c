"""BM25 against its formula, written out word by word with nothing shared."""

import math
import random

import pytest

from llmlib.retrieval import BM25, words
from llmlib.world import World


def by_the_formula(texts, query, k1, b):
    split = [words(text) for text in texts]
    mean = sum(len(s) for s in split) / len(split)
    scores = []
    for document in split:
        score = 0.0
        for word in words(query):
            tf = document.count(word)
            n = sum(word in other for other in split)
            idf = math.log(1 + (len(split) - n + 0.5) / (n + 0.5))
            if tf:
                score += idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len(document) / mean))
        scores.append(score)
    return scores


@pytest.mark.parametrize("k1, b", [(1.5, 0.75), (0.9, 0.4), (2.0, 1.0), (1.2, 0.0)])
def test_scores_are_the_formula(k1, b):
    world = World()
    texts = [d.text for d in world.documents(60)] + ["", "one word"]
    rng = random.Random(0)
    for _ in range(20):
        query = " ".join(rng.sample(words(" ".join(texts[:60])), 5)) + " the the unheardof"
        got = BM25(texts, k1=k1, b=b).scores(query)
        assert got == pytest.approx(by_the_formula(texts, query, k1, b), rel=1e-12)


def test_search_ranks_and_leaves_out_what_shares_nothing():
    index = BM25(["the goose", "the grey goose", "bread", "the goose"])
    assert [place for place, _ in index.search("Goose!", k=9)] == [0, 3, 1]
    assert [place for place, _ in index.search("grey goose", k=1)] == [1]
    assert index.search("", 3) == index.search("plums", 3) == []


def test_few_or_empty_texts_are_no_trouble():
    assert BM25([]).search("goose") == []
    assert BM25(["", ""]).scores("goose") == [0.0, 0.0]
    with pytest.raises(ValueError, match="between 0 and 1"):
        BM25(["a"], b=2)
