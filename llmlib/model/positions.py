"""Where a token stands, told to the model in one of three places.

Added to the embeddings (learned, sinusoidal), as a rotation of queries and keys (RoPE), or as a
bias on the attention scores (ALiBi).

Shapes: B batch, T query length, S key length, D model width, H heads, K head width.
"""

import math

import torch
from torch import Tensor


def sinusoidal(positions: Tensor, d_model: int) -> Tensor:
    """Fixed position vectors: (..., T) whole numbers -> (..., T, D) float32.

    Even columns 2i hold sin(p / 10000^(2i/D)), odd ones the cosine of the same angle
    (Vaswani et al. 2017, section 3.5).
    """
    angles = rope_angles(positions, d_model, 10_000.0)  # (..., T, D/2)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)


def rope_angles(positions: Tensor, rope_dim: int, theta: float = 10_000.0) -> Tensor:
    """The angle in radians that each pair is turned by: (..., T) -> (..., T, rope_dim/2) float32.

    Pair i at position p turns by p / theta^(2i/rope_dim) (Su et al. 2021, section 3.2).
    """
    pairs = torch.arange(0, rope_dim, 2, device=positions.device, dtype=torch.float32)
    return positions[..., None].float() * theta ** (-pairs / rope_dim)


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate queries or keys: x (B, H, T, K), cos and sin (T, R/2) or (B, 1, T, R/2) -> like x.

    Number i is paired with number i + R/2, as in Llama and GPT-NeoX; numbers from R on stay as they
    are. The rotation keeps lengths, and q·k then depends on the distance of the two positions only.
    """
    half = cos.shape[-1]
    a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    parts = (a * cos - b * sin, b * cos + a * sin)
    return torch.cat((*parts, rest) if rest.shape[-1] else parts, dim=-1).type_as(x)


def alibi_slopes(n_heads: int) -> Tensor:
    """One slope a head, (H,) float32: 2^(-8/n), 2^(-16/n), ... for n heads, n a power of two.

    Otherwise the series of the power of two below, then every other slope of the series of the
    power above (Press et al. 2021, and their published code for the second case).
    """
    below = 2 ** math.floor(math.log2(n_heads))
    slopes = [2 ** (-8 * (i + 1) / below) for i in range(below)]
    slopes += [2 ** (-4 * (2 * i + 1) / below) for i in range(n_heads - below)]
    return torch.tensor(slopes)


def alibi_bias(slopes: Tensor, n_queries: int, n_keys: int | None = None) -> Tensor:
    """What is added to the scores: (H,) slopes -> (H, T, S), -slope x how far back the key is.

    The last query stands at the last key, so that a cached step (T < S) lines up. Keys to the right
    of the query get a positive number: a causal mask must take them away.
    """
    n_keys = n_queries if n_keys is None else n_keys
    keys = torch.arange(n_keys, device=slopes.device)
    queries = torch.arange(n_keys - n_queries, n_keys, device=slopes.device)
    return -slopes[:, None, None] * (queries[:, None] - keys[None, :])
