"""Search by words: BM25 over a handful or a few thousand texts, held in memory."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence


def words(text: str) -> list[str]:
    """Lower-case words and numbers of a text, punctuation left out."""
    return re.findall(r"\w+", text.lower())


class BM25:
    """Rank texts by the words they share with a query (Robertson and Zaragoza 2009).

    A word counts the more, the rarer it is among the texts (idf), and the more often it stands in
    a text, with returns that diminish (k1) and a discount for long texts (b):

        score(q, d) = Σ_w idf(w) · tf (k1 + 1) / (tf + k1 (1 − b + b · |d| / mean |d|))
        idf(w) = ln(1 + (N − n_w + ½) / (n_w + ½))          n_w: texts with the word

    This idf is Lucene's: it is never negative, unlike that of the first papers. A word that stands
    twice in the query counts twice.
    """

    def __init__(
        self,
        texts: Sequence[str],
        *,
        k1: float = 1.5,
        b: float = 0.75,
        words: Callable[[str], list[str]] = words,
    ) -> None:
        if k1 < 0 or not 0 <= b <= 1:
            raise ValueError(f"k1 must be at least 0 and b between 0 and 1, not {k1} and {b}")
        self.texts, self.k1, self.b, self._words = list(texts), k1, b, words
        counts = [Counter(words(text)) for text in self.texts]
        lengths = [count.total() for count in counts]
        mean = sum(lengths) / len(lengths) if sum(lengths) else 1.0
        self._norm = [k1 * (1 - b + b * length / mean) for length in lengths]
        self._postings: dict[str, list[tuple[int, int]]] = {}
        for place, count in enumerate(counts):
            for word, times in count.items():
                self._postings.setdefault(word, []).append((place, times))

    def scores(self, query: str) -> list[float]:
        """The score of every text; 0 for those that share no word with the query."""
        scores = [0.0] * len(self.texts)
        for word, asked in Counter(self._words(query)).items():
            found = self._postings.get(word, ())
            idf = math.log(1 + (len(self.texts) - len(found) + 0.5) / (len(found) + 0.5))
            for place, tf in found:
                gain = tf * (self.k1 + 1) / (tf + self._norm[place])
                scores[place] += asked * idf * gain
        return scores

    def search(self, query: str, k: int = 3) -> list[tuple[int, float]]:
        """The `k` best texts that share a word with the query: (place, score), best first.

        Of equal scores, the text that was given first comes first.
        """
        scores = self.scores(query)
        best = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
        return [(place, scores[place]) for place in best[:k] if scores[place] > 0]
