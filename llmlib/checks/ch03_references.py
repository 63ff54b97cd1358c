"""What the exercises of chapter 03 should give, and what their well-known mistakes give."""

import torch


def sgns_step(W, C, w, c, n, rate, sign=1.0, late=False, once=False, labels=None, weights=None):
    """The reference of exercise 3.4, with the switches of well-known mistakes."""
    ids = torch.tensor([c, *n])
    label = torch.zeros(len(ids)) if labels is None else labels
    if labels is None:
        label[0] = 1.0
    error = torch.sigmoid(C[ids] @ W[w]) - label
    if weights is not None:
        error = error * weights
    new_W, new_C = W.clone(), C.clone()
    new_W[w] -= sign * rate * (error @ C[ids])
    word = new_W[w] if late else W[w]
    change = -sign * rate * error[:, None] * word
    if once:
        new_C[ids] += change
    else:
        new_C.index_add_(0, ids, change)
    return new_W, new_C


def one_by_one(W, C, w, c, n, rate):
    """The mistake of stepping after each context instead of once."""
    for i, id in enumerate((c, *n)):
        error = torch.sigmoid(C[id] @ W[w]) - float(i == 0)
        new_W, new_C = W.clone(), C.clone()
        new_W[w] -= rate * error * C[id]
        new_C[id] -= rate * error * W[w]
        W, C = new_W, new_C
    return W, C


def turn_halves(angle):
    """Turn pair i, numbers i and i + D/2, by angle[i]: (h,) -> (D, D)."""
    c, s = torch.diag(angle.cos()), torch.diag(angle.sin())
    return torch.cat([torch.cat([c, s], 1), torch.cat([-s, c], 1)])


def turn_neighbours(k, D):
    """The matrix of a shift for sines and cosines in turn."""
    R = torch.zeros(D, D)
    for i in range(D // 2):
        angle = torch.tensor(k * 10000 ** (-2 * i / D))
        s, c = angle.sin(), angle.cos()
        R[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = torch.tensor([[c, s], [-s, c]])
    return R


def rope(x, positions, theta, sign=1.0, width=None, layout="half", dtype=torch.float32):
    """The reference of exercise 3.6, with the switches of well-known mistakes."""
    half = x.shape[-1] // 2
    omega = theta ** (-torch.arange(half).float() / (width or half))
    angle = sign * (positions[:, None].to(dtype) * omega.to(dtype)).float()
    cos, sin = angle.cos(), angle.sin()
    a, b = x.float()[:, :half], x.float()[:, half:]
    if layout == "pairs":
        a, b = x.float()[:, ::2], x.float()[:, 1::2]
    parts = (a * cos - b * sin, a * sin + b * cos)
    y = torch.stack(parts, -1).flatten(-2) if layout == "pairs" else torch.cat(parts, -1)
    return y.to(x.dtype)
