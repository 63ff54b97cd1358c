"""Unigram training: begin with too many pieces, fit their probabilities, drop the least useful.

The likelihood of a word is the sum over all its segmentations of the product of the pieces'
probabilities. Expectation–maximization raises it: the forward–backward algorithm gives how often
each piece is expected to be used, and these counts are the next probabilities. Then the pieces
whose loss would cost the least likelihood are dropped, and so on until the size is right (Kudo
2018). SentencePiece adds a Bayesian correction to the counts; here they are the plain ones.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import numpy as np

EM_STEPS = 2
KEEP = 0.75  # the share of pieces that survives a round
SEEDS_PER_PIECE = 10
LONGEST_WORD = 128  # characters; longer words are cut for training, which bounds the work
UNUSED = 0.5  # pieces expected less often than this are dropped at once


def learn_log_probs(
    word_counts: Mapping[str, int],
    n_pieces: int,
    alphabet: Iterable[str],
    *,
    max_piece_length: int = 16,
    forbidden: Iterable[str] = (),
) -> dict[str, float]:
    """Return at most `n_pieces` pieces with their log-probabilities (nats).

    Every character of `alphabet` is kept. Other characters are left out of the training words, and
    pieces in `forbidden` are never used.
    """
    alphabet = sorted(alphabet)
    words = _usable_words(word_counts, set(alphabet))
    seeds = _seed_pieces(words, SEEDS_PER_PIECE * n_pieces, max_piece_length, set(forbidden))
    pieces = alphabet + list(seeds)
    id_of = {piece: id for id, piece in enumerate(pieces)}
    lattice = _Lattice(list(words), id_of, max_piece_length, list(words.values()))
    inner = _Lattice(pieces, id_of, max_piece_length, [1] * len(pieces), whole=False)
    count = np.array(_character_counts(words, alphabet) + list(seeds.values()), float)
    alive = np.ones(len(pieces), bool)
    required = np.arange(len(pieces)) < len(alphabet)
    while True:
        for _ in range(EM_STEPS):
            log_prob = _log_shares(count, alive, required)
            count = lattice.expected_counts(log_prob, len(pieces))
            used = required | (alive & (count >= UNUSED))
            alive = used if used.sum() >= n_pieces else alive
            lattice.restrict(alive)
        log_prob = _log_shares(count, alive, required)
        if alive.sum() <= n_pieces:
            break
        inner.restrict(alive)
        loss = np.full(len(pieces), -np.inf)
        without = inner.best_scores(log_prob)
        loss[alive] = count[alive] * (log_prob - without)[alive]
        loss[required] = np.inf
        alive = _keep_best(loss, max(n_pieces, int(KEEP * alive.sum())))
        lattice.restrict(alive)
    return {pieces[id]: float(log_prob[id]) for id in np.flatnonzero(alive)}


def _usable_words(word_counts: Mapping[str, int], alphabet: set[str]) -> Counter[str]:
    """Cut words at characters outside the alphabet, and into parts of bounded length."""
    words: Counter[str] = Counter()
    for word, count in word_counts.items():
        for usable, run in groupby(word, alphabet.__contains__):
            if usable:
                run = "".join(run)
                for start in range(0, len(run), LONGEST_WORD):
                    words[run[start : start + LONGEST_WORD]] += count
    return words


def _seed_pieces(
    words: Mapping[str, int], n_seeds: int, max_length: int, forbidden: set[str]
) -> dict[str, int]:
    """Return the substrings of two or more characters that cover most text, and their counts."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for start in range(len(word) - 1):
            for end in range(start + 2, min(len(word), start + max_length) + 1):
                counts[word[start:end]] += count
    usable = [piece for piece, count in counts.items() if count > 1 and piece not in forbidden]
    usable.sort(key=lambda piece: (-counts[piece] * len(piece), piece))
    return {piece: counts[piece] for piece in usable[:n_seeds]}


def _character_counts(words: Mapping[str, int], alphabet: Sequence[str]) -> list[int]:
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    return [counts[character] for character in alphabet]


def _log_shares(count: np.ndarray, alive: np.ndarray, required: np.ndarray) -> np.ndarray:
    """Turn counts into log-probabilities; a required piece that is never used keeps a small one."""
    count = np.where(required, np.maximum(count, UNUSED), count)
    share = np.where(alive, count, 0.0)
    return np.log(np.maximum(share / share.sum(), np.finfo(float).tiny))


def _keep_best(value: np.ndarray, n: int) -> np.ndarray:
    """Return the mask of the `n` largest values, the earlier of equal ones first."""
    mask = np.zeros(len(value), bool)
    mask[np.argsort(-value, kind="stable")[:n]] = True
    return mask


class _Lattice:
    """All segmentations of all words as one graph, worked through by position, words in parallel.

    A word of n characters has n + 1 nodes, the gaps between them; a piece is an edge between two
    gaps. With `whole=False` the edge over a whole word is left out, if the word is not one
    character: what remains is how else the word can be cut.
    """

    def __init__(
        self,
        words: Sequence[str],
        id_of: Mapping[str, int],
        max_length: int,
        counts: Sequence[int],
        *,
        whole: bool = True,
    ):
        edges: list[tuple[int, int, int, int]] = []  # start node, end node, piece, position of end
        first = 0
        firsts = []
        for word in words:
            firsts.append(first)
            length = len(word)
            for start in range(length):
                for end in range(start + 1, min(length, start + max_length) + 1):
                    piece = id_of.get(word[start:end])
                    if piece is not None and (whole or length == 1 or end - start < length):
                        edges.append((first + start, first + end, piece, end))
            first += length + 1
        self.first = np.array(firsts, np.int64)
        self.last = self.first + [len(word) for word in words]
        self.weight = np.array(counts, float)
        self.n_nodes = first
        self.start, self.end, self.piece, position = np.array(edges, np.int64).reshape(-1, 4).T
        self.depth = position, position - (self.end - self.start)
        self.word = np.searchsorted(self.first, self.start, side="right") - 1
        self._arrange()

    def restrict(self, alive: np.ndarray) -> None:
        """Drop the edges of pieces that are not alive."""
        kept = alive[self.piece]
        if not kept.all():
            self.start, self.end = self.start[kept], self.end[kept]
            self.piece, self.word = self.piece[kept], self.word[kept]
            self.depth = self.depth[0][kept], self.depth[1][kept]
            self._arrange()

    def expected_counts(self, log_prob: np.ndarray, n_pieces: int) -> np.ndarray:
        """Forward–backward: how often each piece is used, over all words and segmentations."""
        score = log_prob[self.piece]
        forward = np.full(self.n_nodes, -np.inf)
        forward[self.first] = 0.0
        for edges, bounds, nodes in self.forwards:
            forward[nodes] = _log_sum(forward[self.start[edges]] + score[edges], bounds)
        backward = np.full(self.n_nodes, -np.inf)
        backward[self.last] = 0.0
        for edges, bounds, nodes in self.backwards:
            backward[nodes] = _log_sum(backward[self.end[edges]] + score[edges], bounds)
        total = forward[self.last][self.word]
        used = np.exp(forward[self.start] + score + backward[self.end] - total)
        return np.bincount(self.piece, used * self.weight[self.word], n_pieces)

    def best_scores(self, log_prob: np.ndarray) -> np.ndarray:
        """Viterbi: the log-probability of each word's best segmentation."""
        score = log_prob[self.piece]
        best = np.full(self.n_nodes, -np.inf)
        best[self.first] = 0.0
        for edges, bounds, nodes in self.forwards:
            best[nodes] = np.maximum.reduceat(best[self.start[edges]] + score[edges], bounds)
        return best[self.last]

    def _arrange(self) -> None:
        """Group edges by the position they end at (or, for the way back, start from)."""
        self.forwards = _groups(self.depth[0], self.end)
        self.backwards = _groups(-self.depth[1], self.start)


def _groups(depth: np.ndarray, node: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each depth, in order: its edges sorted by node, where each node's begin, the nodes."""
    order = np.lexsort((node, depth))
    cuts = np.flatnonzero(np.diff(depth[order])) + 1
    groups = []
    for edges in np.split(order, cuts):
        nodes, bounds = np.unique(node[edges], return_index=True)
        groups.append((edges, bounds, nodes))
    return groups


def _log_sum(value: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """log(sum(exp(value))) over consecutive runs that begin at `bounds`."""
    high = np.maximum.reduceat(value, bounds)
    lengths = np.diff(np.append(bounds, len(value)))
    return high + np.log(np.add.reduceat(np.exp(value - np.repeat(high, lengths)), bounds))
