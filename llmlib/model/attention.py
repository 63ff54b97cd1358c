"""Attention: the two ways to compute it, who may look at whom, and the module.

Shapes: B batch, T query length, S key length, D model width, H heads, G key-value heads, K head
width. Masks are True where the query (row) may look at the key (column).
"""

import math
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.model.cache import KVCache
from llmlib.model.config import ModelConfig
from llmlib.model.positions import alibi_bias, alibi_slopes, apply_rope


def scaled_dot_product(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """softmax(q kᵀ / sqrt(K)) v, spelled out: (output (..., T, K), pattern (..., T, S)).

    q (..., T, K), k and v (..., S, K). mask broadcasts to (..., T, S): bool (True: may look), or
    float, added to the scores. Every row needs a key it may look at, or its output is NaN.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (..., T, S)
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, -torch.inf)
    elif mask is not None:
        scores = scores + mask
    pattern = scores.softmax(dim=-1)
    return pattern @ v, pattern


def causal_mask(n_queries: int, n_keys: int | None = None, device=None) -> Tensor:
    """(T, S) bool: a token sees itself and what came before. The last query is the last key."""
    n_keys = n_queries if n_keys is None else n_keys
    full = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)
    return full.tril(n_keys - n_queries)


def window_mask(n_queries: int, window: int, n_keys: int | None = None, device=None) -> Tensor:
    """(T, S) bool: causal, and no further back than the last `window` tokens, itself included."""
    n_keys = n_queries if n_keys is None else n_keys
    causal = causal_mask(n_queries, n_keys, device)
    return causal & causal.triu(n_keys - n_queries - window + 1)


def attention_mask(
    config: ModelConfig,
    n_queries: int,
    n_keys: int,
    is_real: Tensor | None = None,
    doc_ids: Tensor | None = None,
    device=None,
) -> Tensor | None:
    """What the config and the batch ask for, as one mask (B or 1, H or 1, T, S); None if no need.

    is_real (B, S) bool is False at padding; doc_ids (B, T) keeps packed documents apart. None means
    that plain causal attention does it (or, for a single query, that it may see every key). The
    mask is bool, or float with ALiBi. A query always sees itself, so that a row of padding has
    something to look at and stays finite.
    """
    windowed = config.window is not None and config.window < n_keys
    relevant = windowed or is_real is not None or doc_ids is not None or config.pos == "alibi"
    if not relevant and (n_queries == n_keys or n_queries == 1):
        return None
    window = config.window if windowed else n_keys
    mask = window_mask(n_queries, window, n_keys, device)[None, None]  # (1, 1, T, S)
    if is_real is not None:
        itself = torch.eye(n_keys, dtype=torch.bool, device=device)[-n_queries:]
        mask = mask & (is_real[:, None, None, :] | itself)
    if doc_ids is not None:
        mask = mask & (doc_ids[:, None, :, None] == doc_ids[:, None, None, :])
    if config.pos == "alibi":
        bias = alibi_bias(alibi_slopes(config.n_heads).to(device), n_queries, n_keys)
        mask = bias[None].masked_fill(~mask, -torch.inf)  # (B or 1, H, T, S)
    return mask


class Context(NamedTuple):
    """What all blocks of one forward pass share."""

    mask: Tensor | None  # (B or 1, H or 1, T, S), see attention_mask
    rotation: tuple[Tensor, Tensor] | None  # RoPE's cosines and sines
    cache: KVCache | None
    patterns: list[Tensor] | None  # takes each block's (B, H, T, S), through the eager path


class Attention(nn.Module):
    """Causal multi-head attention (B, T, D) -> (B, T, D); grouped when n_kv_heads < n_heads."""

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.layer, self.n_heads, self.n_kv_heads = layer, config.n_heads, config.n_kv_heads
        d = config.d_model
        width, kv_width = config.n_heads * config.d_head, config.n_kv_heads * config.d_head
        self.q_proj = nn.Linear(d, width, bias=config.bias_qkv)
        self.k_proj = nn.Linear(d, kv_width, bias=config.bias_qkv)
        self.v_proj = nn.Linear(d, kv_width, bias=config.bias_qkv)
        self.o_proj = nn.Linear(width, d, bias=config.bias_o)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        B, T, _ = x.shape
        q = self.q_proj(x).view(B, T, self.n_heads, -1).transpose(1, 2)  # (B, H, T, K)
        k = self.k_proj(x).view(B, T, self.n_kv_heads, -1).transpose(1, 2)  # (B, G, T, K)
        v = self.v_proj(x).view(B, T, self.n_kv_heads, -1).transpose(1, 2)  # (B, G, T, K)
        if context.rotation is not None:
            q, k = apply_rope(q, *context.rotation), apply_rope(k, *context.rotation)
        if context.cache is not None:
            k, v = context.cache.update(self.layer, k, v)  # (B, G, S, K)
        y = self.attend(q, k, v, context)  # (B, H, T, K)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, -1))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, context: Context) -> Tensor:
        """torch's fused attention, or the spelled-out one when somebody wants the patterns."""
        T, S, mask = q.shape[2], k.shape[2], context.mask
        grouped = self.n_kv_heads < self.n_heads
        if grouped and (mask is not None or context.patterns is not None):
            # (B, G, S, K) -> (B, H, S, K); without a mask the fused kernel shares heads by itself
            k, v = (t.repeat_interleave(self.n_heads // self.n_kv_heads, dim=1) for t in (k, v))
            grouped = False
        if context.patterns is None:
            causal = mask is None and T > 1
            fused = partial(F.scaled_dot_product_attention, is_causal=causal, enable_gqa=grouped)
            if q.device.type == "cpu" and q.dtype == torch.bfloat16 and q.requires_grad:
                # a CPU takes several times as long for the fused backward pass in bfloat16
                mask = mask.float() if mask is not None and mask.is_floating_point() else mask
                with torch.autocast("cpu", enabled=False):
                    return fused(q.float(), k.float(), v.float(), mask).type_as(q)
            return fused(q, k, v, mask)
        mask = causal_mask(T, S, q.device) if mask is None else mask
        y, pattern = scaled_dot_product(q, k, v, mask)
        context.patterns.append(pattern)
        return y
