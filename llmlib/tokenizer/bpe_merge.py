"""Applying merges to one piece: always the pair of lowest rank, and of equal ranks the leftmost."""

import heapq
from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise

Pair = tuple[int, int]
NO_MERGE = float("inf")


def merge_short(ids: list[int], rank: Mapping[Pair, int], new_id: Mapping[int, int]) -> list[int]:
    """Merge `ids` in place until no pair has a rank, and return it. Quadratic: for pieces of word
    length.

    `rank` gives a pair's rank, `new_id` the token that a rank makes.
    """
    ranks = [rank.get(pair, NO_MERGE) for pair in pairwise(ids)]
    while ranks and (best := min(ranks)) != NO_MERGE:
        place = ranks.index(best)
        merged = new_id[best]
        ids[place : place + 2] = [merged]
        del ranks[place]
        if place:
            ranks[place - 1] = rank.get((ids[place - 1], merged), NO_MERGE)
        if place < len(ranks):
            ranks[place] = rank.get((merged, ids[place + 1]), NO_MERGE)
    return ids


def merge_long(ids: list[int], rank: Mapping[Pair, int], new_id: Mapping[int, int]) -> list[int]:
    """The same result for a piece of any length, in time near to linear.

    The tokens form a linked list, and each rank has the list of places where it can be merged. A
    heap holds the ranks, not the places, so a run of ten million equal characters costs some twenty
    heap operations.
    """
    ids = list(ids)
    end = len(ids)
    after, before = list(range(1, end + 1)), list(range(-1, end - 1))
    places: dict[int, list[int]] = defaultdict(list)
    for place, pair in enumerate(pairwise(ids)):
        if (found := rank.get(pair)) is not None:
            places[found].append(place)
    heap = list(places)
    heapq.heapify(heap)

    def offer(place: int) -> int:
        """Note the pair that starts at `place`; return its rank."""
        found = rank.get((ids[place], ids[after[place]]), NO_MERGE)
        if found != NO_MERGE:
            if found not in places:
                heapq.heappush(heap, found)
            places[found].append(place)
        return found

    while heap:
        best = heap[0]
        todo = places[best]
        todo.sort(reverse=True)  # the leftmost is popped first
        interrupted = False
        while todo and not interrupted:
            place = todo.pop()
            right = after[place]
            if ids[place] < 0 or right >= end or rank.get((ids[place], ids[right])) != best:
                continue  # one of the two was merged with something else meanwhile
            ids[place], ids[right] = new_id[best], -1
            after[place] = follower = after[right]
            if follower < end:
                before[follower] = place
                interrupted = offer(place) < best
            if before[place] >= 0:
                interrupted = offer(before[place]) < best or interrupted
        if not interrupted:
            heapq.heappop(heap)
            del places[best]
    return [id for id in ids if id >= 0]
