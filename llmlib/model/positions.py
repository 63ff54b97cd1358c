"""Where a token stands, told to the model in one of three places.

Added to the embeddings (learned, sinusoidal), as a rotation of queries and keys (RoPE), or as a
bias on the attention scores (ALiBi, T5's learned buckets of distances).

Shapes: B batch, T query length, S key length, D model width, H heads, K head width.
"""

import math

import torch
from torch import Tensor

from llmlib.model.config import RopeScaling


def sinusoidal(positions: Tensor, d_model: int) -> Tensor:
    """Fixed position vectors: (..., T) whole numbers -> (..., T, D) float32.

    Even columns 2i hold sin(p / 10000^(2i/D)), odd ones the cosine of the same angle
    (Vaswani et al. 2017, section 3.5).
    """
    angles = rope_angles(positions, d_model, 10_000.0)  # (..., T, D/2)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)


def rope_angles(
    positions: Tensor,
    rope_dim: int,
    theta: float = 10_000.0,
    scaling: RopeScaling | None = None,
) -> Tensor:
    """The angle in radians that each pair is turned by: (..., T) -> (..., T, rope_dim/2) float32.

    Pair i at position p turns by p / theta^(2i/rope_dim) (Su et al. 2021, section 3.2), or slower
    with `scaling`.
    """
    pairs = torch.arange(0, rope_dim, 2, device=positions.device, dtype=torch.float32)
    frequencies = theta ** (-pairs / rope_dim)
    if scaling is not None:
        frequencies = scale_frequencies(frequencies, scaling)
    return positions[..., None].float() * frequencies


def scale_frequencies(frequencies: Tensor, scaling: RopeScaling) -> Tensor:
    """Slow the rotation down, so that a longer text turns no further than those of the training.

    "linear": all by `factor` (Chen et al. 2023). "llama3": a pair that turned fewer than
    low_freq_factor times within the original length by `factor`, one that turned more than
    high_freq_factor times not at all, and between them a blend (Dubey et al. 2024, and the released
    code).
    """
    slow = frequencies / scaling.factor
    if scaling.kind == "linear":
        return slow
    turns = scaling.original_max_seq_len * frequencies / (2 * math.pi)
    kept = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    return slow.lerp(frequencies, kept.clamp(0, 1))


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool = False) -> Tensor:
    """Rotate queries or keys: x (B, H, T, K), cos and sin (T, R/2) or (B, 1, T, R/2) -> like x.

    Number i is paired with number i + R/2, as in Llama and GPT-NeoX, or 2i with 2i + 1 when
    `interleaved`, as in GPT-J; numbers from R on stay as they are. The rotation keeps lengths, and
    q·k then depends on the distance of the two positions only.
    """
    half = cos.shape[-1]
    rest = x[..., 2 * half :]
    if interleaved:
        a, b = x[..., 0 : 2 * half : 2], x[..., 1 : 2 * half : 2]
    else:
        a, b = x[..., :half], x[..., half : 2 * half]
    parts = (a * cos - b * sin, b * cos + a * sin)
    if interleaved:
        parts = (torch.stack(parts, dim=-1).flatten(-2),)
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


def relative_buckets(
    n_queries: int,
    n_keys: int | None = None,
    n_buckets: int = 32,
    max_distance: int = 128,
    causal: bool = True,
    device=None,
) -> Tensor:
    """Which learned bias each (query, key) pair takes: (T, S) int64 in [0, n_buckets).

    The last query stands at the last key. Short distances have a bucket each, longer ones share
    buckets that widen logarithmically up to `max_distance`, and all beyond share the last. When not
    `causal`, keys to the right get the second half of the buckets (Raffel et al. 2020, section 2.1,
    and their code).
    """
    n_keys = n_queries if n_keys is None else n_keys
    keys = torch.arange(n_keys, device=device)
    back = torch.arange(n_keys - n_queries, n_keys, device=device)[:, None] - keys  # (T, S)
    first = torch.zeros_like(back)
    if not causal:
        n_buckets //= 2
        first = torch.where(back < 0, n_buckets, 0)
    distance = back.clamp(min=0) if causal else back.abs()
    exact = n_buckets // 2
    growth = (distance.clamp(min=1).float() / exact).log() / math.log(max_distance / exact)
    shared = exact + (growth * (n_buckets - exact)).long()
    return first + torch.where(distance < exact, distance, shared.clamp(max=n_buckets - 1))
