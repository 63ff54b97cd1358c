"""Checkers for chapter 04, attention."""

import math

import torch

from . import close, equal, exercise, expect, finite, is_type, raises, same_dtype, same_shape
from .ch04_references import (
    Largest,
    attend,
    before_copy,
    induction,
    lower,
    mean_of_blocks,
    split_and_attend,
    streaming,
)

CHAPTER = "Attention"  # the name in the progress table


@exercise("04.1", "who may look at whom")
def ex_04_1(attempt):
    """A square mask, a cached step with fewer queries than keys, a single query."""
    for n_queries, n_keys in [(4, 4), (2, 5), (1, 6), (1, 1)]:
        got = attempt(n_queries, n_keys)
        is_type(got, torch.Tensor, "the mask")
        case = f"the mask for {n_queries} queries and {n_keys} keys"
        same_shape(got, (n_queries, n_keys), case)
        same_dtype(got, torch.bool, case)
        shift = n_keys - n_queries
        equal(
            got,
            lower(n_queries, n_keys, shift),
            case,
            known={
                "a token may look at itself, but your diagonal is False": lower(
                    n_queries, n_keys, shift - 1
                ),
                "the last query should be the last key; you line up the first query with the "
                "first key": lower(n_queries, n_keys, 0),
                "your mask is upside down: True should mean that the query may look": ~lower(
                    n_queries, n_keys, shift
                ),
                "your tokens look ahead: True stands right of the diagonal and not left of it": (
                    torch.ones(n_queries, n_keys, dtype=torch.bool).triu(shift)
                ),
                "each token sees one token too many: the one after it": lower(
                    n_queries, n_keys, shift + 1
                ),
                "the diagonal is shifted the wrong way: more keys than queries means further to "
                "the right": lower(n_queries, n_keys, -shift),
            },
        )


@exercise("04.2", "attention that survives an empty row")
def ex_04_2(attempt):
    """Leading axes and T ≠ S; then a row that may look at nothing."""
    q, k, v = torch.randn(2, 4, 16), torch.randn(2, 6, 16), torch.randn(2, 6, 16)
    mask = lower(4, 6, 1)  # no row is empty, upside down neither
    close(
        attempt(q, k, v, mask),
        attend(q, k, v, mask),
        "the output",
        known={
            "the scores are not divided by √K": attend(q, k, v, mask, scale=1),
            "you divide by K, not by its square root": attend(q, k, v, mask, scale=16),
            "your mask is upside down: it is True where a query may look": attend(q, k, v, ~mask),
            "you divide by the square root of the number of queries; it is the width of a head, "
            "the last axis": attend(q, k, v, mask, scale=2),
            "a masked score is 0 in yours, and e⁰ is 1: it has to be −∞ before the softmax": (
                (q @ k.mT / 4 * mask).softmax(-1) @ v
            ),
            "the mask has no effect": attend(q, k, v, torch.ones_like(mask)),
            "you mask after the softmax only, so the masked keys still sit in the denominator": (
                attend(q, k, v, mask, late=True)
            ),
            "the softmax runs over the queries; each query's weights must sum to 1 over its keys": (
                attend(q, k, v, mask, dim=-2)
            ),
        },
    )
    mask = mask.clone()
    mask[1] = False
    got = attempt(q, k, v, mask)
    finite(got, "the output with an empty row")
    want = attend(q, k, v, mask)
    close(
        got[:, 1],
        want[:, 1],
        "the output of a query that may look at nothing",
        known={
            "the empty row averages all values, masked ones included: a large negative number "
            "in place of −∞ makes all masked keys equal": v.mean(dim=1),
        },
    )
    close(got, want, "the output with an empty row")


@exercise("04.3", "heads without a loop")
def ex_04_3(attempt):
    """Sizes that are all different, so that a wrong reshape cannot pass by luck."""
    B, T, H, K = 2, 6, 3, 4
    q, k, v = (torch.randn(B, T, H * K) for _ in range(3))

    def right(z):
        return z.view(B, T, H, K).transpose(1, 2)

    def join(y):
        return y.transpose(1, 2).reshape(B, T, H * K)

    def variant(split=right, merge=join):
        return split_and_attend(q, k, v, H, split, merge)

    got = attempt(q, k, v, H)
    same_shape(got, (B, T, H * K), "the output")
    close(
        got,
        variant(),
        "the output",
        known={
            "(B, T, D) is viewed as (B, H, T, K) directly: that cuts the text into heads and not "
            "the vectors. The last axis must be split first, then the axes swapped": (
                variant(lambda z: z.reshape(B, H, T, K), lambda y: y.reshape(B, T, H * K))
            ),
            "the input is split well, but the heads are merged without swapping the axes back": (
                variant(merge=lambda y: y.reshape(B, T, H * K))
            ),
            "the heads are merged well, but the input is viewed as (B, H, T, K) directly": (
                variant(lambda z: z.reshape(B, H, T, K))
            ),
            "attention runs over the heads of each token, not over the tokens: the token axis "
            "must be next to last": variant(
                lambda z: z.view(B, T, H, K), lambda y: y.reshape(B, T, H * K)
            ),
            "nobody is kept from looking ahead: the heads must be causal": (
                split_and_attend(q, k, v, H, right, join, is_causal=False)
            ),
            "the scores are divided by √D; each head has a width of D/H of its own": (
                split_and_attend(q, k, v, H, right, join, scale=(H * K) ** -0.5)
            ),
            "there is only one head here: all D columns share their weights": (
                torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            ),
            "columns are dealt out to heads in turn; head 0 should get the first D/H columns": (
                variant(
                    lambda z: z.view(B, T, K, H).permute(0, 3, 1, 2),
                    lambda y: y.permute(0, 2, 3, 1).reshape(B, T, H * K),
                )
            ),
        },
    )


@exercise("04.4", "what a cache weighs")
def ex_04_4(attempt):
    """Published sizes; a batch; other number formats; windows longer and shorter than the text."""
    llama = (80, 8, 128, 4096)
    want = 2 * 80 * 8 * 128 * 4096 * 2
    equal(
        attempt(*llama),
        want,
        "the cache of Llama 2 70B at 4096 tokens",
        known={
            "half of it is missing: there are keys and there are values": want // 2,
            "numbers are counted, not bytes: each takes bytes_per_number": want // 2 // 2,
            "one layer is counted; every layer has its own keys and values": want // 80,
        },
    )
    equal(
        attempt(*llama, batch=3, bytes_per_number=4),
        want * 6,
        "the cache of three texts in 32-bit numbers",
        known={
            "the batch is not counted: every text has keys of its own": want * 2,
            "bytes_per_number is ignored": want * 3,
        },
    )
    mistral = (32, 8, 128)
    per_token = 2 * 32 * 8 * 128 * 2
    equal(
        attempt(*mistral, 32768, window=4096),
        per_token * 4096,
        "the cache of Mistral 7B after 32,768 tokens",
        known={"the window is ignored: each layer keeps the last 4096 tokens": per_token * 32768},
    )
    equal(
        attempt(*mistral, 100, window=4096),
        per_token * 100,
        "the cache of Mistral 7B after 100 tokens",
        known={
            "a text shorter than the window takes only what it needs, not the whole window": (
                per_token * 4096
            )
        },
    )


@exercise("04.5", "a window and its reach")
def ex_04_5(attempt):
    """Windows of 1, in between, and longer than the text; reach with and without the text's end."""
    for T, window, n_layers in [(7, 3, 2), (5, 1, 4), (4, 9, 2), (40, 4, 5)]:
        got = attempt(T, window, n_layers)
        expect(
            isinstance(got, tuple | list) and len(got) == 2,
            "return two things: the mask, and the reach as a whole number.",
        )
        mask, reach = got
        _check_window(mask, T, window)
        case = f"the reach of {n_layers} layers with window {window} in {T} tokens"
        equal(
            int(reach),
            min(T, n_layers * (window - 1) + 1),
            case,
            known={
                "the windows of two layers overlap in one token: a layer adds window − 1, "
                "not window": min(T, n_layers * window),
                "the last token itself is not counted": min(T, n_layers * (window - 1)),
                f"a text of {T} tokens has no more than {T} to offer": (
                    n_layers * (window - 1) + 1
                ),
                "reach adds up over layers; it does not multiply": min(T, window**n_layers),
            },
        )


def _check_window(mask, T, window):
    back = torch.arange(T)[:, None] - torch.arange(T)
    case = f"the mask for T = {T}, window = {window}"
    same_shape(mask, (T, T), case)
    same_dtype(mask, torch.bool, case)
    equal(
        mask,
        (back >= 0) & (back < window),
        case,
        known={
            f"each token sees {window + 1} tokens where the text is long enough: the window of "
            f"{window} includes the token itself": (back >= 0) & (back <= window),
            "a token must see itself": (back > 0) & (back <= window),
            "a token must see itself, and it is the first of its window": (
                (back > 0) & (back < window)
            ),
            "your mask is transposed: a row is a query, and looks back": (
                (-back >= 0) & (-back < window)
            ),
            "your window looks ahead as well: it must be causal": back.abs() < window,
            "there is no window: every earlier token can be seen": back >= 0,
        },
    )


@exercise("04.6", "one key for several heads")
def ex_04_6(attempt):
    """Several groups, one group (multi-query), as many groups as heads, and a number that fails."""
    for groups, n_heads in [(2, 6), (1, 4), (3, 3)]:
        k = torch.randn(2, groups, 5, 4)
        case = f"the keys of {n_heads} heads from {groups}"
        got = attempt(k, n_heads)
        same_shape(got, (2, n_heads, 5, 4), case)
        close(
            got,
            k.repeat_interleave(n_heads // groups, dim=1),
            case,
            known={
                "the copies come in the order 0 1 0 1; neighbouring heads should share a key, "
                "0 0 1 1": k.repeat(1, n_heads // groups, 1, 1),
                "all heads got the first key": k[:, :1].expand(-1, n_heads, -1, -1),
            },
        )
    raises(ValueError, attempt, torch.randn(2, 4, 5, 4), 6, what="6 heads for 4 keys")


@exercise("04.7", "find the induction heads")
def ex_04_7(attempt):
    """Random causal weights on tokens that repeat often, rarely, and twice in a row."""
    pattern = torch.randn(3, 2, 9, 9).masked_fill(~lower(9, 9, 0), -math.inf).softmax(-1)
    ids = torch.tensor(
        [[1, 2, 3, 1, 2, 2, 1, 4, 3], [5, 5, 5, 1, 2, 3, 4, 6, 7], [0, 1, 2, 3, 0, 1, 2, 3, 8]]
    )
    got = attempt(pattern, ids)
    same_shape(got, (2,), "the scores")
    per_text = (induction(pattern[b : b + 1], ids[b : b + 1]) for b in range(3))
    close(
        got,
        induction(pattern, ids),
        "the scores",
        known={
            "you measure the weight on the earlier copy itself; the induction head looks at the "
            "token behind it": induction(pattern, ids, shift=0),
            "you look at the token before the earlier copy, not the one behind it": (
                before_copy(pattern, ids)
            ),
            "queries without an earlier occurrence are counted too; leave them out of the mean": (
                induction(pattern, ids, all_queries=True)
            ),
            "only the first earlier occurrence is used; add up the weight behind all of them": (
                induction(pattern, ids, first_only=True)
            ),
            "only the latest earlier occurrence is used; add up the weight behind all of them": (
                induction(pattern, ids, last_only=True)
            ),
            "a query whose token comes again only later has no earlier occurrence, and you count "
            "it: every token equals itself": induction(pattern, ids, later=True),
            "when the token just before is the earlier copy, the place behind it is the query "
            "itself, and counts": induction(pattern, ids, not_itself=True),
            "you take the mean of each text and then the mean of the texts; the mean should run "
            "over all counted queries of the batch": torch.stack(list(per_text)).mean(0),
        },
        rtol=1e-4,
        atol=1e-5,
    )


@exercise("04.8", "attention in one pass")
def ex_04_8(attempt):
    """Blocks that divide the length and that do not, one block, and scores in the thousands."""
    q, k, v = (torch.randn(n, 8, dtype=torch.float64) for n in (3, 10, 10))
    for block in (5, 4, 1, 10, 64):
        want, last = streaming(q, k, v, block), (len(k) - 1) // block * block
        close(
            attempt(q, k, v, block),
            want,
            f"the output with blocks of {block}",
            known={
                "the sums are not rescaled when a new maximum arrives": (
                    streaming(q, k, v, block, mend=False)
                ),
                "the output is not divided by the sum of the exponentials": (
                    streaming(q, k, v, block, divide=False)
                ),
                "the scores are not divided by √K": streaming(q, k, v, block, scale=False),
                "each block has a softmax of its own and the results are averaged; blocks with "
                "larger scores must count more": mean_of_blocks(q, k, v, block),
                "only the last block is used: carry the running maximum and sums over": (
                    streaming(q, k[last:], v[last:], block)
                ),
            },
        )
    large = attempt(1000 * q, k, v, 4)
    finite(large, "the output for scores in the thousands")
    close(large, streaming(1000 * q, k, v, 4), "the output for scores in the thousands")
    low = -1000 * q.abs(), k.abs(), v  # a running maximum that starts at 0 would never move
    close(attempt(*low, 4), streaming(*low, 4), "the output when all scores are below −1000")
    _check_memory(attempt)


def _check_memory(attempt):
    """No tensor along the way may be as large as the table of all scores."""
    q, k = torch.randn(64, 2), torch.randn(256, 2)
    with Largest() as seen:
        attempt(q, k, k.clone(), 16)
    expect(
        seen.numbers < len(q) * len(k),
        f"with {len(q)} queries, {len(k)} keys and blocks of 16 you form a tensor of "
        f"{seen.numbers:,} numbers at once: that is the whole table of scores. Never hold more "
        "than the scores of one block.",
    )
