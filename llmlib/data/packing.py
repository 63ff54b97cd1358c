"""Fitting whole documents into rows of one length."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple


class Segment(NamedTuple):
    """Targets `start` to `stop` of a document, in one row."""

    document: int
    start: int
    stop: int

    @property
    def n_targets(self) -> int:
        return self.stop - self.start


def pack_documents(lengths: Sequence[int], seq_len: int) -> list[list[Segment]]:
    """Rows of at most `seq_len` targets, each a list of segments, that hold every document once.

    Best fit, longest first: each document goes into the fullest row that still has room for all of
    it. Only documents longer than a row are cut: into full rows, and a rest that is placed like a
    document. `lengths[i]` counts document i's targets (its end-of-text token included).
    """
    if seq_len < 1:
        raise ValueError(f"seq_len must be at least 1, not {seq_len}")
    rows: list[list[Segment]] = []
    whole: list[Segment] = []
    for document, length in enumerate(lengths):
        if length < 1:
            raise ValueError(f"document {document} has length {length}")
        full = (length - 1) // seq_len * seq_len  # targets that go into rows of their own
        rows += [[Segment(document, at, at + seq_len)] for at in range(0, full, seq_len)]
        whole.append(Segment(document, full, length))
    whole.sort(
        key=lambda segment: segment.n_targets, reverse=True
    )  # stable: equal lengths keep their order
    open_rows: dict[int, list[list[Segment]]] = defaultdict(list)  # room left -> rows
    rooms: list[int] = []  # the keys of open_rows, sorted
    for segment in whole:
        at = bisect_left(rooms, segment.n_targets)
        if at == len(rooms):
            row, room = [], seq_len
            rows.append(row)
        else:
            room = rooms[at]
            row = open_rows[room].pop()
            if not open_rows[room]:
                del open_rows[room], rooms[at]
        row.append(segment)
        left = room - segment.n_targets
        if left:
            if left not in open_rows:
                insort(rooms, left)
            open_rows[left].append(row)
    return rows
