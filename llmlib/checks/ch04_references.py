"""The right answers of chapter 04, each with switches that turn on its well-known mistakes."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Largest(TorchDispatchMode):
    """While it is entered, `numbers` grows to the size of the largest tensor that is computed."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, torch.Tensor):
                self.numbers = max(self.numbers, value.numel())
        return result


def lower(n_queries, n_keys, shift):
    """Bool table, True up to `shift` places right of the main diagonal."""
    return torch.ones(n_queries, n_keys, dtype=torch.bool).tril(shift)


def attend(q, k, v, mask, scale=None, dim=-1, late=False):
    """4.2: attention (..., T, K); a row that may look at nothing gives zeros."""
    scale = q.shape[-1] ** 0.5 if scale is None else scale
    scores = q @ k.transpose(-2, -1) / scale
    if not late:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = scores.softmax(dim)
    return weights.masked_fill(~mask, 0.0) @ v if late else weights.nan_to_num() @ v


def split_and_attend(q, k, v, n_heads, split, merge, is_causal=True, scale=None):
    """4.3 with any way of splitting and merging."""
    split_q, split_k, split_v = split(q), split(k), split(v)
    y = torch.nn.functional.scaled_dot_product_attention(
        split_q, split_k, split_v, is_causal=is_causal, scale=scale
    )
    return merge(y)


def induction(
    pattern,
    ids,
    shift=1,
    first_only=False,
    last_only=False,
    all_queries=False,
    later=False,
    not_itself=False,
):
    """4.7 by plain loops: (H,) mean weight on the token `shift` places behind earlier copies."""
    B, H, T, _ = pattern.shape
    total, count = torch.zeros(H, dtype=pattern.dtype), 0
    for b in range(B):
        for t in range(T):
            earlier = [i for i in range(t) if ids[b, i] == ids[b, t]]
            if first_only:
                earlier = earlier[:1]
            if last_only:
                earlier = earlier[-1:]
            if not_itself:
                earlier = [i for i in earlier if i + shift < t]
            again = later and t + shift < T  # the token itself, taken for a copy
            if not earlier and not all_queries and not again:
                continue
            count += 1
            for i in earlier:
                if i + shift < T:
                    total += pattern[b, :, t, i + shift]
    return total / max(count, 1)


def before_copy(pattern, ids):
    """4.7 with the shift in the wrong direction."""
    target = torch.zeros(ids.shape[0], ids.shape[1], ids.shape[1], dtype=torch.bool)
    target[:, :, :-1] = (ids[:, :, None] == ids[:, None, :]).tril(-1)[:, :, 1:]
    return (pattern * target[:, None]).sum((0, 2, 3)) / target.any(-1).sum()


def streaming(q, k, v, block, mend=True, divide=True, scale=True):
    """4.8: attention (T, K) with running maximum and sums."""
    m = torch.full((len(q), 1), -torch.inf, dtype=q.dtype)
    total, y = torch.zeros_like(m), torch.zeros(len(q), v.shape[1], dtype=q.dtype)
    for start in range(0, len(k), block):
        s = q @ k[start : start + block].T / (q.shape[1] ** 0.5 if scale else 1)
        new_m = torch.maximum(m, s.amax(1, keepdim=True))
        factor = (m - new_m).exp() if mend else 1.0
        p = (s - new_m).exp()
        total = total * factor + p.sum(1, keepdim=True)
        y = y * factor + p @ v[start : start + block]
        m = new_m
    return y / total if divide else y


def mean_of_blocks(q, k, v, block):
    """4.8 with a softmax of its own in each block."""
    parts = [(k[i : i + block], v[i : i + block]) for i in range(0, len(k), block)]
    return torch.stack([(q @ a.T / q.shape[1] ** 0.5).softmax(-1) @ b for a, b in parts]).mean(0)
