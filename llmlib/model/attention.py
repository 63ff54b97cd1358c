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
from llmlib.model.layers import Routing, make_norm
from llmlib.model.positions import alibi_bias, alibi_slopes, apply_rope


def scaled_dot_product(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    softcap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """softmax(q kᵀ / sqrt(K)) v, spelled out: (output (..., T, K), pattern (..., T, S)).

    q (..., T, K), k and v (..., S, K). mask broadcasts to (..., T, S): bool (True: may look), or
    float, added to the scores. Every row needs a key it may look at, or its output is NaN.
    scale: instead of 1 / sqrt(K). softcap: scores become c tanh(score / c), before the mask.
    """
    scores = q @ k.transpose(-2, -1)  # (..., T, S)
    scores = scores / math.sqrt(q.shape[-1]) if scale is None else scores * scale
    if softcap is not None:
        scores = softcap * (scores / softcap).tanh()
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
    *,
    windowed: bool = True,
    bias: Tensor | None = None,
) -> Tensor | None:
    """What the config and the batch ask for, as one mask (B or 1, H or 1, T, S); None if no need.

    is_real (B, S) bool is False at padding; doc_ids (B, T) keeps packed documents apart. None means
    that plain causal attention does it (or, for a single query, that it may see every key). The
    mask is bool, or float with a `bias` (H, T, S) on the scores; see `score_bias`. A query always
    sees itself, so that a row of padding has something to look at and stays finite. windowed=False
    leaves config.window out: for the layers that do not have it.
    """
    windowed = windowed and config.window is not None and config.window < n_keys
    relevant = windowed or is_real is not None or doc_ids is not None or bias is not None
    if not relevant and (n_queries == n_keys or n_queries == 1):
        return None
    window = config.window if windowed else n_keys
    mask = window_mask(n_queries, window, n_keys, device)[None, None]  # (1, 1, T, S)
    if is_real is not None:
        itself = torch.eye(n_keys, dtype=torch.bool, device=device)[-n_queries:]
        mask = mask & (is_real[:, None, None, :] | itself)
    if doc_ids is not None:
        mask = mask & (doc_ids[:, None, :, None] == doc_ids[:, None, None, :])
    if bias is not None:
        mask = bias[None].masked_fill(~mask, -torch.inf)  # (B or 1, H, T, S)
    return mask


def score_bias(config: ModelConfig, n_queries: int, n_keys: int, device=None) -> Tensor | None:
    """ALiBi's bias on the scores, (H, T, S) float32; None if the config has another scheme."""
    if config.pos != "alibi":
        return None
    slopes = alibi_slopes(config.n_heads).to(device)
    if config.alibi_scaled:
        slopes = slopes / math.sqrt(config.d_head)
    return alibi_bias(slopes, n_queries, n_keys)


class Context(NamedTuple):
    """What all blocks of one forward pass share."""

    mask: Tensor | None  # (B or 1, H or 1, T, S), see attention_mask
    rotation: tuple[Tensor, Tensor] | None  # RoPE's cosines and sines
    cache: KVCache | None
    patterns: list[Tensor] | None  # takes each block's (B, H, T, S), through the eager path
    routing: list[Routing] | None = None  # takes each mixture of experts' choices
    local: tuple | None = None  # (mask, rotation) of windowed layers, where only some are
    causal: bool = True  # what mask=None stands for; False: everybody sees everything


class Attention(nn.Module):
    """Multi-head attention (B, T, D) -> (B, T, D); grouped when n_kv_heads < n_heads.

    Self-attention, or with `memory` cross-attention: keys and values of another stream. Who sees
    whom is the context's to say.
    """

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.layer, self.n_heads, self.n_kv_heads = layer, config.n_heads, config.n_kv_heads
        self.scale, self.softcap = config.attn_scale, config.attn_softcap
        self.interleaved = config.rope_interleaved
        self.local = config.window_layers is not None and config.windowed(layer)
        d = config.d_model
        width, kv_width = config.n_heads * config.d_head, config.n_kv_heads * config.d_head
        self.q_proj = nn.Linear(d, width, bias=config.bias_qkv)
        self.k_proj = nn.Linear(d, kv_width, bias=config.bias_qkv)
        self.v_proj = nn.Linear(d, kv_width, bias=config.bias_qkv)
        self.o_proj = nn.Linear(width, d, bias=config.bias_o)
        self.qk_norm = config.qk_norm
        if config.qk_norm != "none":
            per_head = config.qk_norm == "head"
            self.q_norm = make_norm(config, config.d_head if per_head else width)
            self.k_norm = make_norm(config, config.d_head if per_head else kv_width)

    def forward(
        self, x: Tensor, context: Context, memory: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """x (B, T, D); memory: keys and values (B, G, S, K) of `keys_values` of another stream."""
        mask, rotation = context.local if self.local else (context.mask, context.rotation)
        q = self._heads(self.q_proj(x), self.n_heads, "q_norm")  # (B, H, T, K)
        if memory is None:
            k, v = self.keys_values(x)  # (B, G, T, K)
            if rotation is not None:
                q = apply_rope(q, *rotation, self.interleaved)
                k = apply_rope(k, *rotation, self.interleaved)
            if context.cache is not None:
                k, v = context.cache.update(self.layer, k, v)  # (B, G, S, K)
        else:
            k, v = memory  # (B, G, S, K)
        y = self.attend(q, k, v, context, mask)  # (B, H, T, K)
        return self.o_proj(y.transpose(1, 2).flatten(2))

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, G, S, K) of a stream (B, S, D), before any rotation."""
        k = self._heads(self.k_proj(x), self.n_kv_heads, "k_norm")
        return k, self._heads(self.v_proj(x), self.n_kv_heads)

    def _heads(self, x: Tensor, n: int, norm: str | None = None) -> Tensor:
        """(B, T, n K) -> (B, n, T, K), normed if the config asks for it."""
        B, T, _ = x.shape
        if norm is None or self.qk_norm == "none":
            return x.view(B, T, n, -1).transpose(1, 2)
        if self.qk_norm == "full":
            x = getattr(self, norm)(x)
        x = x.view(B, T, n, -1).transpose(1, 2)
        return getattr(self, norm)(x) if self.qk_norm == "head" else x

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, context: Context, mask: Tensor | None
    ) -> Tensor:
        """torch's fused attention, or the spelled-out one for patterns and capped scores."""
        T, S = q.shape[2], k.shape[2]
        if mask is not None and mask.shape[-1] > S:
            mask = mask[..., -S:]  # the cache holds the last S keys only
        causal = context.causal and mask is None and T > 1
        eager = context.patterns is not None or self.softcap is not None
        grouped = self.n_kv_heads < self.n_heads
        if grouped and (mask is not None or eager):
            # (B, G, S, K) -> (B, H, S, K); without a mask the fused kernel shares heads by itself
            k, v = (t.repeat_interleave(self.n_heads // self.n_kv_heads, dim=1) for t in (k, v))
            grouped = False
        if eager:
            mask = causal_mask(T, S, q.device) if causal else mask
            y, pattern = scaled_dot_product(q, k, v, mask, self.scale, self.softcap)
            if context.patterns is not None:
                context.patterns.append(pattern)
            return y
        fused = partial(
            F.scaled_dot_product_attention,
            is_causal=causal,
            scale=self.scale,
            enable_gqa=grouped,
        )
        if q.device.type == "cpu" and q.dtype == torch.bfloat16 and q.requires_grad:
            # a CPU takes several times as long for the fused backward pass in bfloat16
            mask = mask.float() if mask is not None and mask.is_floating_point() else mask
            with torch.autocast("cpu", enabled=False):
                return fused(q.float(), k.float(), v.float(), mask).type_as(q)
        return fused(q, k, v, mask)
