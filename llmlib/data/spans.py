"""Span corruption: what T5 is pretrained on (Raffel et al. 2020, section 3.1.4).

Some spans of a text are cut out, each replaced by one sentinel. The target is what was cut, each
span after its sentinel, and one more sentinel at the end:

    thank you for inviting me to your party last week
    source  thank you <0> me to your party <1> week
    target  <0> for inviting <1> last <2>
"""

from collections.abc import Sequence

import numpy as np


def corrupt_spans(
    ids: Sequence[int],
    sentinels: Sequence[int],
    rng: np.random.Generator,
    *,
    density: float = 0.15,
    mean_length: float = 3.0,
) -> tuple[list[int], list[int]]:
    """(source, target) of a text of at least two tokens; `merge_spans` puts them together again.

    density: the share of tokens that is cut, rounded to whole tokens, at least one, never all.
    mean_length: of the spans, in tokens; how long each is, and where, is drawn evenly from all ways
        to divide the text into as many kept and cut pieces, beginning with a kept one.
    sentinels: ids that occur in no text, one more than there are spans.

    Raises ValueError for a text too short, too few sentinels, or a sentinel in the text.
    """
    ids = [int(i) for i in ids]
    if len(ids) < 2:
        raise ValueError(f"a text of {len(ids)} tokens cannot be corrupted: it needs two or more")
    if not (0 < density < 1 and mean_length >= 1):
        raise ValueError("density must lie between 0 and 1, mean_length be at least 1")
    n_cut = min(max(round(len(ids) * density), 1), len(ids) - 1)
    n_spans = min(max(round(n_cut / mean_length), 1), n_cut, len(ids) - n_cut)
    if n_spans + 1 > len(sentinels):
        raise ValueError(
            f"a text of {len(ids)} tokens has {n_spans} spans and needs {n_spans + 1} sentinels, "
            f"not {len(sentinels)}: cut the text into shorter ones, or give more"
        )
    if not set(sentinels).isdisjoint(ids):
        raise ValueError("a sentinel occurs in the text: sentinels must be ids that no text has")
    kept = _divide(len(ids) - n_cut, n_spans, rng)
    cut = _divide(n_cut, n_spans, rng)
    source, target, at = [], [], 0
    for sentinel, keep, drop in zip(sentinels, kept, cut, strict=False):
        source += [*ids[at : at + keep], sentinel]
        target += [sentinel, *ids[at + keep : at + keep + drop]]
        at += keep + drop
    return source, [*target, sentinels[n_spans]]


def merge_spans(
    source: Sequence[int], target: Sequence[int], sentinels: Sequence[int]
) -> list[int]:
    """The text that `corrupt_spans` took apart: each sentinel of the source becomes its span.

    A span that the target lacks is left out; what a model writes after the last sentinel, or
    before the first, has no place and is dropped.
    """
    known, spans, current = set(sentinels), {}, None
    for token in target:
        if token in known:
            current = spans.setdefault(token, [])
        elif current is not None:
            current.append(token)
    text: list[int] = []
    for token in source:
        text += spans.get(token, []) if token in known else [token]
    return text


def _divide(total: int, parts: int, rng: np.random.Generator) -> list[int]:
    """`total` as a sum of `parts` positive whole numbers, all such sums being equally likely."""
    cuts = np.sort(rng.choice(total - 1, parts - 1, replace=False) + 1)
    return np.diff([0, *cuts, total]).tolist()
