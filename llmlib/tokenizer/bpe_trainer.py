"""Byte-pair encoding: which pairs to merge, in which order.

The algorithm (Gage 1994; Sennrich, Haddow and Birch 2016): start from bytes, and again and again
merge the pair of neighbours that is most frequent. Done as it is said, every merge re-counts the
whole text. Here it is incremental:

- equal pieces are counted once, as a *word* with a count;
- each pair knows the words that hold it, so a merge touches only those;
- a heap gives the most frequent pair. Its entries may be stale: counts only fall after an entry is
  pushed, so a popped entry whose count is out of date goes back with the right one.

Ties go to the pair with the smaller ids, where bytes are numbered by their printable stand-ins and
merged tokens follow in the order of their birth. The result is the one that Hugging Face
`tokenizers` gives.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from .alphabet import BYTE_ORDER

Pair = tuple[int, int]


class MergeStep(NamedTuple):
    """One merge: its rank (0 is the first), the two parts, how often they met, and the text's
    length after it.
    """

    rank: int
    left: bytes
    right: bytes
    count: int
    n_tokens: int

    @property
    def token(self) -> bytes:
        """The new token."""
        return self.left + self.right


def iter_merges(
    word_counts: Mapping[bytes, int], *, min_frequency: int = 1, forbidden: Iterable[bytes] = ()
) -> Iterator[MergeStep]:
    """Yield merges, the most frequent pair first, until no pair is left that occurs `min_frequency`
    times.

    `word_counts` maps a piece's bytes to how often the piece occurs. A token in `forbidden` is
    never formed; this keeps a special token's spelling out of the vocabulary of ordinary text.
    """
    words, counts = _as_id_lists(word_counts)
    pair_counts, where = count_pairs(words, counts)
    heap = [(-count, pair) for pair, count in pair_counts.items()]
    heapq.heapify(heap)
    tokens = [bytes([byte]) for byte in BYTE_ORDER]
    id_of = {token: index for index, token in enumerate(tokens)}
    forbidden, floor = set(forbidden), max(min_frequency, 1)
    n_tokens = sum(len(word) * count for word, count in zip(words, counts, strict=True))
    rank = 0
    while heap:
        negative, pair = heapq.heappop(heap)
        count = pair_counts[pair]
        if count != -negative:
            if count >= floor:
                heapq.heappush(heap, (-count, pair))
            continue
        if count < floor:
            return
        left, right = tokens[pair[0]], tokens[pair[1]]
        token = left + right
        if token in forbidden:
            continue
        new_id = id_of.setdefault(token, len(tokens))
        if new_id == len(tokens):
            tokens.append(token)
        changes: dict[Pair, int] = defaultdict(int)
        for index in where.pop(pair):
            n_tokens -= merge_word(words[index], pair, new_id, counts[index], changes, where, index)
        del pair_counts[pair]
        for changed, delta in changes.items():
            if changed == pair or not delta:
                continue
            pair_counts[changed] += delta
            if delta > 0:
                heapq.heappush(heap, (-pair_counts[changed], changed))
        yield MergeStep(rank, left, right, count, n_tokens)
        rank += 1


def _as_id_lists(word_counts: Mapping[bytes, int]) -> tuple[list[list[int]], list[int]]:
    """Spell every word of two bytes or more as a list of byte ids; return the words and their
    counts.
    """
    table = bytearray(256)
    for index, byte in enumerate(BYTE_ORDER):
        table[byte] = index
    words = [list(word.translate(table)) for word in word_counts]
    return words, list(word_counts.values())


def count_pairs(
    words: list[list[int]], counts: list[int]
) -> tuple[Counter[Pair], dict[Pair, set[int]]]:
    """Count neighbours over all words, and note for each pair which words hold it."""
    pair_counts: Counter[Pair] = Counter()
    where: dict[Pair, set[int]] = defaultdict(set)
    for index, (word, count) in enumerate(zip(words, counts, strict=True)):
        for pair in pairwise(word):
            pair_counts[pair] += count
            where[pair].add(index)
    return pair_counts, where


def merge_word(
    word: list[int],
    pair: Pair,
    new_id: int,
    count: int,
    changes: dict[Pair, int],
    where: dict[Pair, set[int]],
    index: int,
) -> int:
    """Merge `pair` in one word, in place and from the left; add to `changes` how the pair counts
    move.

    Returns by how many tokens the text became shorter, over all occurrences of the word.
    """
    first, second = pair
    merged: list[int] = []
    copied = position = 0  # word[:copied] is in `merged` already
    last = len(word) - 1
    while True:
        try:  # list.index and slices run at C speed, which keeps very long words affordable
            position = word.index(first, position, last)
        except ValueError:
            break
        if word[position + 1] != second:
            position += 1
            continue
        merged += word[copied:position]
        copied = position = position + 2
        if merged:
            previous = merged[-1]
            changes[previous, first] -= count
            changes[previous, new_id] += count
            where[previous, new_id].add(index)
        merged.append(new_id)
        if position <= last:
            following = word[position]
            changes[second, following] -= count
            changes[new_id, following] += count
            where[new_id, following].add(index)
    merged += word[copied:]
    shorter = len(word) - len(merged)
    word[:] = merged
    return shorter * count
