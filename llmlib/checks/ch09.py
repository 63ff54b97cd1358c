"""Checkers for chapter 09: counting and rebuilding parts of real models. The rest: `ch09_verdicts`.

Shapes: D model width, E experts, N tokens.
"""

import math

from . import equal, exercise, expect, is_type
from .ch09_verdicts import ex_09_5, ex_09_6, ex_09_7, ex_09_8

__all__ = ["ex_09_5", "ex_09_6", "ex_09_7", "ex_09_8"]

CHAPTER = "Model families"


@exercise("09.1", "the cache of a family")
def ex_09_1(attempt):
    """Llama 2 7B, Falcon 7B, Mistral within and beyond its window, a Gemma 2 with half its layers
    windowed, and Falcon again with one byte a number.
    """
    cases = [  # layers, kv heads, head width, tokens, windowed layers, window, bytes a number
        (32, 32, 128, 4096, 0, None, 2),
        (32, 1, 64, 2048, 0, None, 2),
        (32, 8, 128, 3000, 32, 4096, 2),
        (32, 8, 128, 20_000, 32, 4096, 2),
        (26, 4, 256, 8192, 13, 4096, 2),
        (32, 1, 64, 2048, 0, None, 1),
    ]
    for layers, heads, width, tokens, windowed, window, size in cases:
        kept = min(tokens, window or tokens)
        full = (layers - windowed) * tokens
        slots = full + windowed * kept
        each = heads * width * size
        known = {
            "the windowed layers are counted twice: `n_layers` includes them": (
                (layers * tokens + windowed * kept) * 2 * each
            ),
            "`bytes_each` is an argument: a number need not have two bytes": (
                slots * 2 * heads * width * 2
            ),
            "that is half: keys *and* values are kept, each number in `bytes_each` bytes": (
                slots * each
            ),
            "the window is left out: a windowed layer keeps its last `window` tokens only": (
                layers * tokens * 2 * each
            ),
            "all layers are treated as windowed; only `n_windowed` of them are": (
                layers * kept * 2 * each
            ),
            "a windowed layer that has seen few tokens keeps no more than there are": (
                (full + windowed * (window or 0)) * 2 * each
            ),
            "a window of `window` tokens includes the token itself: no more are kept, no fewer": (
                (full + windowed * min(tokens, (window or 1) - 1)) * 2 * each
            ),
            "four bytes a number were counted, not two": slots * 2 * heads * width * 4,
        }
        want = slots * 2 * each
        more = {} if size == 2 else {"bytes_each": size}
        got = attempt(layers, heads, width, tokens, windowed, window, **more)
        for message, value in known.items():
            expect(int(got) != int(value) or value == want, message + ".")
        equal(int(got), want, f"the bytes for {tokens:,} tokens")
    return "correct: 2 GiB for 4,096 tokens of Llama 2 7B, 16 MiB for 2,048 of Falcon 7B."


@exercise("09.2", "eight times seven is not 56")
def ex_09_2(attempt):
    """Mixtral 8x7B, to the integer, and a small odd one."""
    cases = [
        (32_000, 4096, 32, 32, 8, 128, 14_336, 8, 2),
        (100, 24, 3, 4, 2, 10, 40, 5, 3),
    ]
    for V, D, L, H, G, K, F, E, k in cases:
        attention = 2 * D * H * K + 2 * D * G * K
        expert, router, norms = 3 * D * F, D * E, 2 * D
        outside = 2 * V * D + D

        def total(n, attention=attention, expert=expert, router=router, norms=norms,
                  outside=outside, L=L):  # fmt: skip
            return outside + L * (attention + n * expert + router + norms)

        want = total(E), total(k)
        got = attempt(V, D, L, H, G, K, F, E, k)
        is_type(got, (tuple, list), "the result")
        expect(len(got) == 2, "return two numbers: all parameters, and those a token uses.")
        got = tuple(int(n) for n in got)
        narrow, ungrouped = 2 * D * (D - H * K), 2 * D * K * (H - G)
        copied = tuple(outside + L * n * (attention + expert + norms) + L * router for n in (E, k))
        known = {
            "attention is counted once an expert: only the MLP is there several times": copied,
            "the router is missing: one matrix from d_model to n_experts in each layer": tuple(
                n - L * router for n in want
            ),
            "a token is routed before it is shown to its experts: the whole router is used by "
            "every token": (want[0], want[1] - L * (router - D * k)),
            "the router is missing from what a token uses": (want[0], want[1] - L * router),
            "the head has a table of its own: two tables": tuple(n - V * D for n in want),
            "the two are exchanged": want[::-1],
            "an expert is gated: three matrices, not two": tuple(
                n - L * m * D * F for n, m in zip(want, (E, k), strict=True)
            ),
            "the final norm is missing": tuple(n - D for n in want),
            "a layer has two norms, before attention and before the experts": tuple(
                n - L * D for n in want
            ),
            "the norms of the layers are missing, two in each": tuple(n - L * norms for n in want),
            "keys and values have n_kv_heads heads, fewer than the queries": tuple(
                n + L * ungrouped for n in want
            ),
            "the heads together need not be d_model wide: a head has d_head numbers": tuple(
                n + L * narrow for n in want
            ),
            "a head of keys or values has d_head numbers; d_model / n_heads may be another": (
                tuple(n + L * 2 * G * (D * D // H - D * K) for n in want)
            ),
            "n_heads * d_head need not be d_model, for queries or for keys and values": tuple(
                n + L * (narrow + 2 * G * (D * D // H - D * K)) for n in want
            ),
            "only the experts are idle: a token uses all of the attention, norms and tables": (
                want[0],
                want[0] * k // E,
            ),
            "that is the same number twice: a token uses n_per_token of the experts only": (
                want[0],
                want[0],
            ),
            "a token uses n_per_token experts, not one": (want[0], total(1)),
        }
        equal(got, want, "(all, used by a token)", known=known)
    return "correct: 46,702,792,704 parameters, of which a token uses 12,879,925,248."


def _bucket(distance: int, both: bool, n: int = 32, far: int = 128, **wrong) -> int:
    """T5's bucket of key minus query; `wrong` names a deviation."""
    offset = 0
    if both:
        n = n if "whole" in wrong else n // 2
        offset = n * (distance < 0 if "reversed" in wrong else distance > 0)
    if both or "absolute" in wrong:
        d = abs(distance)
    else:
        d = max(distance if "forward" in wrong else -distance, 0)
    half = n // 2
    if d < half:
        return offset + d
    place = math.log(d / half) / math.log(far / half) * (n - half)
    place = round(place) if "round" in wrong else int(place)
    if "unclipped" in wrong:
        return offset + half + place
    return offset + min(half + place, n - 1)


def _plain_distances():
    """Distances whose bucket does not hang on the last digit of a logarithm."""
    for both, half, rest in ((True, 8, 8), (False, 16, 16)):
        for distance in [*range(-300, 301, 7), *range(-20, 21)]:
            d = abs(distance)
            place = math.log(max(d, half) / half) / math.log(128 / half) * rest
            if d < half or abs(place - round(place)) > 1e-4:
                yield distance, both


@exercise("09.3", "T5's buckets")
def ex_09_3(attempt):
    """Near, far and very far, on both sides, for the encoder and for the decoder."""
    cases = list(_plain_distances())
    want = [_bucket(d, both) for d, both in cases]
    got = [attempt(d, both) for d, both in cases]
    expect(all(g == int(g) for g in got), "a bucket is a whole number: it picks a row of a table.")
    got = [int(g) for g in got]
    known = {
        "before and after are exchanged: in the encoder, keys *after* the query have the upper "
        "half": [_bucket(d, b, reversed=True) for d, b in cases],
        "in the decoder a key after the query counts as distance 0; it is masked anyhow": [
            _bucket(d, b, absolute=True) for d, b in cases
        ],
        "in the decoder the keys to tell apart lie *before* the query: key − query is negative": [
            _bucket(d, b, forward=True) for d, b in cases
        ],
        "the encoder has half of the buckets for each side": [
            _bucket(d, b, whole=True) for d, b in cases
        ],
        "round down, not to the nearest": [_bucket(d, b, round=True) for d, b in cases],
        "beyond 128 all distances share the last bucket: cut it off": [
            _bucket(d, b, unclipped=True) for d, b in cases
        ],
    }
    for message, value in known.items():
        expect(got != value, message + ".")
    for (d, both), mine, right in zip(cases, got, want, strict=True):
        side = "encoder" if both else "decoder"
        expect(
            mine == right,
            f"in the {side}, key − query = {d} belongs to bucket {right}; yours says {mine}.",
        )


@exercise("09.4", "span corruption")
def ex_09_4(attempt):
    """Two spans, a span at either end, and one token only."""
    marks = [900, 901, 902, 903]
    cases = [
        (list(range(10, 22)), [(2, 4), (7, 10)]),
        (list(range(30, 38)), [(0, 3), (6, 8)]),
        ([50, 51, 52], [(1, 2)]),
    ]
    for ids, spans in cases:
        want = _corrupted(ids, spans, marks)
        got = attempt(list(ids), list(spans), list(marks))
        is_type(got, (tuple, list), "the result")
        expect(len(got) == 2, "return two lists: what the encoder reads, and the target.")
        got = tuple([int(i) for i in part] for part in got)
        inputs, target = want
        hidden = [ids[i] for a, b in spans for i in range(a, b)]
        known = {
            "the two lists are exchanged: first what the encoder reads, then the target": target,
            "what follows the last span is left out": inputs[
                : len(inputs) - len(ids) + spans[-1][1]
            ],
            "one mark stands for a whole span, not for each of its tokens": [
                marks[_span_of(i, spans)] if _span_of(i, spans) is not None else id
                for i, id in enumerate(ids)
            ],
            "every span has a mark of its own, in the order of the spans": [
                marks[0] if i in marks else i for i in inputs
            ],
            "the hidden tokens are dropped without a mark: where were they?": [
                id for id in ids if id not in hidden
            ],
            "a span (a, b) ends before b: its last token is b − 1": _corrupted(
                ids, [(a, b + 1) for a, b in spans], marks
            )[0],
            "that is the text itself: the encoder would see the answers": ids,
        }
        equal(got[0], inputs, "what the encoder reads", known=known)
        known = {
            "the target ends with one more mark, which says that no span follows": target[:-1],
            "the target names each span by its mark before it says its tokens": (
                [*hidden, target[-1]] if got[1][-1:] == target[-1:] else hidden
            ),
            "the mark comes before the tokens of its span, not after them": _marks_after(
                ids, spans, marks
            ),
            "the mark at the end is the next one that is free, sentinels[len(spans)], not the last "
            "of the list": [*target[:-1], marks[-1]],
            "the mark at the end is a new one; that of the last span stands for this span": [
                *target[:-1],
                marks[len(spans) - 1],
            ],
            "the target holds the hidden tokens only; the rest is to be seen in the input": ids,
        }
        equal(got[1], target, "the target", known=known)


def _span_of(i, spans):
    return next((n for n, (a, b) in enumerate(spans) if a <= i < b), None)


def _marks_after(ids, spans, marks):
    return [i for mark, (a, b) in zip(marks, spans, strict=False) for i in [*ids[a:b], mark]]


def _corrupted(ids, spans, marks):
    inputs, target, at = [], [], 0
    for mark, (a, b) in zip(marks, spans, strict=False):
        inputs += [*ids[at:a], mark]
        target += [mark, *ids[a:b]]
        at = b
    return inputs + ids[at:], [*target, marks[len(spans)]]
