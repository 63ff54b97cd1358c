"""WordPiece training: merge the pair that raises the likelihood of the text the most."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from .bpe_trainer import Pair, count_pairs, merge_word


def learn_pieces(
    word_counts: Mapping[str, int],
    n_pieces: int,
    *,
    prefix: str = "##",
    min_frequency: int = 2,
    alphabet_size: int | None = None,
    forbidden: Iterable[str] = (),
) -> list[str]:
    """Return at most `n_pieces` pieces: the characters, sorted, then merges in their order.

    Under a unigram model of the pieces, merging a pair (a, b) that occurs c(ab) times raises the
    log-likelihood of the text by about c(ab) · log(N c(ab) / (c(a) c(b))), N being the number of
    tokens: frequency times mutual information (Schuster and Nakajima 2012). Merging stops early
    where nothing with at least `min_frequency` occurrences would raise it. Pieces in `forbidden`
    are never formed. Raises ValueError where `n_pieces` does not hold the characters.
    """
    words, counts = _spell(word_counts, prefix, alphabet_size)
    pieces = sorted({piece for word in words for piece in word})
    if len(pieces) > n_pieces:
        raise ValueError(
            f"vocab_size is too small: the texts have {len(pieces)} characters (first and later "
            f"ones counted apart), and {n_pieces} are left beside the special tokens; raise "
            "vocab_size or set alphabet_size"
        )
    id_of = {piece: id for id, piece in enumerate(pieces)}
    table = _PairTable([[id_of[piece] for piece in word] for word in words], counts)
    forbidden = set(forbidden)
    while len(pieces) < n_pieces:
        slot = table.best(min_frequency)
        if slot is None:
            break
        left, right = table.pairs[slot]
        piece = pieces[left] + pieces[right].removeprefix(prefix)
        if piece in forbidden:
            table.ban(slot)
            continue
        new_id = id_of.setdefault(piece, len(pieces))
        if new_id == len(pieces):
            pieces.append(piece)
        table.merge((left, right), new_id)
    return pieces


def _spell(
    word_counts: Mapping[str, int], prefix: str, alphabet_size: int | None
) -> tuple[list[list[str]], list[int]]:
    """Spell words as pieces of one character; leave out words with a character not kept."""
    characters: Counter[str] = Counter()
    for word, count in word_counts.items():
        for character in word:
            characters[character] += count
    ranked = sorted(characters, key=lambda character: (-characters[character], character))
    kept = set(ranked[:alphabet_size])
    usable = {word: count for word, count in word_counts.items() if kept.issuperset(word)}
    words = [[word[0], *(prefix + later for later in word[1:])] for word in usable]
    return words, list(usable.values())


class _PairTable:
    """Counts of pairs and of pieces in arrays, so that all scores are computed at once.

    A lazy heap, as in BPE, would not do: a pair's score also moves when only c(a) or N does.
    """

    def __init__(self, words: list[list[int]], counts: list[int]):
        self.words, self.word_counts = words, counts
        pair_counts, self.where = count_pairs(words, counts)
        self.pairs: list[Pair] = list(pair_counts)
        self.slot = {pair: slot for slot, pair in enumerate(self.pairs)}
        size = 2 * len(self.pairs) + 1
        self.count = np.zeros(size)
        self.parts = np.zeros((2, size), dtype=np.int64)
        self.count[: len(self.pairs)] = list(pair_counts.values())
        self.parts[:, : len(self.pairs)] = np.array(self.pairs, dtype=np.int64).reshape(-1, 2).T
        self.piece_count = np.zeros(1 + max((max(word) for word in words), default=0))
        for word, count in zip(words, counts, strict=True):
            for piece in word:
                self.piece_count[piece] += count

    def best(self, min_frequency: int) -> int | None:
        """Return the slot of the pair with the largest gain; None where none is positive."""
        slots = np.flatnonzero(self.count[: len(self.pairs)] >= max(min_frequency, 1))
        if not len(slots):
            return None
        count = self.count[slots]
        left, right = self.piece_count[self.parts[:, slots]]
        gain = count * np.log(count * self.piece_count.sum() / (left * right))
        best = int(np.argmax(gain))
        return int(slots[best]) if gain[best] > 0 else None

    def ban(self, slot: int) -> None:
        """Never offer this pair again."""
        self.count[slot] = -np.inf

    def merge(self, pair: Pair, new_id: int) -> None:
        """Merge `pair` wherever it occurs and bring all counts up to date."""
        if new_id == len(self.piece_count):
            self.piece_count = np.append(self.piece_count, 0.0)
        changes: dict[Pair, int] = defaultdict(int)
        merged = 0
        for index in self.where.pop(pair):
            merged += merge_word(
                self.words[index], pair, new_id, self.word_counts[index], changes, self.where, index
            )
        self.piece_count[pair[0]] -= merged
        self.piece_count[pair[1]] -= merged
        self.piece_count[new_id] += merged
        self.count[self.slot[pair]] = 0
        for changed, delta in changes.items():
            if changed != pair:
                slot = self._slot_of(changed)  # first: it may replace the arrays by larger ones
                self.count[slot] += delta

    def _slot_of(self, pair: Pair) -> int:
        """Return the pair's slot, a new one if it has none."""
        slot = self.slot.setdefault(pair, len(self.pairs))
        if slot == len(self.pairs):
            self.pairs.append(pair)
            if slot == len(self.count):
                self.count = np.concatenate([self.count, np.zeros(slot)])
                self.parts = np.concatenate([self.parts, np.zeros_like(self.parts)], axis=1)
            self.parts[:, slot] = pair
        return slot
