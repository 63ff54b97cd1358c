"""One new token a row, in as few calls as possible.

A small model's token costs a CPU more for calling its many little products than for the products
themselves. `Step` does the sums of `Transformer` in a third of the calls: matrices that read the
same vector are one matrix, transposed, which torch multiplies by a single row in half the time; the
partner of each number that RoPE rotates comes out of the same product; and the last product of a
branch adds itself to the stream.

Shapes: B batch, D model width, H heads, G key-value heads, K head width, S keys, V vocabulary.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.model.attention import Attention
from llmlib.model.blocks import Block, ParallelBlock
from llmlib.model.cache import KVCache
from llmlib.model.head import Head, TiedHead, finish
from llmlib.model.layers import MLP, LayerNorm, RMSNorm
from llmlib.model.positions import apply_rope, rope_angles
from llmlib.model.transformer import Transformer

MOST_PARAMETERS = 2**25  # beyond, the products take the time, and a copy of them too much memory
KNOWN = {Transformer, Block, ParallelBlock, Attention, MLP, LayerNorm, RMSNorm, Head, TiedHead}
KNOWN |= {nn.Linear, nn.Embedding, nn.ModuleList, nn.Identity}


def fast_step(model: Transformer, cache: KVCache) -> "Step | None":
    """A `Step` that goes on where `cache` is, or None for a model that it does not cover.

    Covered are plain decoders on the CPU: norms before branches or parallel blocks, RoPE or
    positions that are added to the embedding, any grouping of heads, windows, any MLP. Not covered:
    what has other norms, capped scores or a bias on them, experts, modules of another make (LoRA,
    quantized), hooks; and large models.
    """
    config, modules = model.config, list(model.modules())
    covered = (
        all(type(module) in KNOWN for module in modules)
        and not any(m._forward_hooks or m._forward_pre_hooks for m in modules)
        and config.pos in ("rope", "learned", "sinusoidal", "none")
        and config.qk_norm == "none"
        and config.attn_softcap is None
        and config.rope_theta_local is None
        and model.embed.weight.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and sum(p.numel() for p in model.parameters()) <= MOST_PARAMETERS
    )
    return Step(model, cache) if covered else None


class _Layer(NamedTuple):
    """A block's norms, and its matrices as (inputs, outputs), each with its bias or None."""

    attn_norm: Callable[[Tensor], Tensor]
    mlp_norm: Callable[[Tensor], Tensor] | None
    qkv: tuple[Tensor, Tensor | None]  # (D, heads K): of q, k, their partners if rotated, v
    out: tuple[Tensor, Tensor | None]  # (H K, D)
    up: tuple[Tensor, Tensor | None]  # (D, F), or (D, 2F): gate, up
    down: tuple[Tensor, Tensor | None]  # (F, D)


class Step:
    """ids (B, 1) of one new token a row -> next-token logits (B, V), which fill the cache.

    The weights are copied when it is made: it does not see later changes.
    """

    def __init__(self, model: Transformer, cache: KVCache):
        self.model, self.cache, self.config = model, cache, model.config
        config, self.activation = model.config, model.blocks[0].mlp.activation
        self.n_rotated = config.n_heads + config.n_kv_heads if config.pos == "rope" else 0
        self.positions = torch.arange(cache.max_len)
        if self.n_rotated:
            angles = rope_angles(
                self.positions, config.rope_dim, config.rope_theta, config.rope_scaling
            )
            self.cos = self._to_heads(angles.cos(), rest=1.0)  # (positions, K)
            self.sin = self._to_heads(angles.sin(), rest=0.0)
        n_pad = (~cache.is_real).sum(dim=1, keepdim=True)  # (B, 1)
        self.n_pad = n_pad if cache.padded else None
        self.layers = [self._layer(block) for block in model.blocks]
        self.norm, self.head = _norm(model.norm), model.head.weight.t().contiguous()  # (D, V)

    def __call__(self, ids: Tensor) -> Tensor:
        """Next-token logits (B, V)."""
        cache, model, length = self.cache, self.model, self.cache.length
        cache.reserve(1, None)
        at = self.positions[length : length + 1] if self.n_pad is None else length - self.n_pad
        x = model._embed(ids, at)[:, 0]  # (B, D)
        turn = (self.cos[at], self.sin[at]) if self.n_rotated else None  # (1, K) or (B, 1, K)
        for number, layer in enumerate(self.layers):
            x = self._block(x, number, layer, turn)
        cache.advance(1)
        logits = self.norm(x) @ self.head
        bias, scale = model.head.bias, model.head.scale
        return finish(logits if bias is None else logits + bias, scale, model.head.softcap)

    def _block(self, x: Tensor, number: int, layer: _Layer, turn) -> Tensor:
        """The stream (B, D) after a block: see `Block` and `ParallelBlock`."""
        a = layer.attn_norm(x)
        m = None
        if self.config.parallel:
            m = a if layer.mlp_norm is None else layer.mlp_norm(x)
        x = _add_product(x, self._attend(a, number, layer, turn), *layer.out)
        hidden = _product(layer.mlp_norm(x) if m is None else m, *layer.up)
        if self.config.gated:
            gate, hidden = hidden.chunk(2, dim=-1)
            hidden = self.activation(gate) * hidden
        else:
            hidden = self.activation(hidden)
        return _add_product(x, hidden, *layer.down)

    def _attend(self, a: Tensor, number: int, layer: _Layer, turn) -> Tensor:
        """What the heads have read, side by side: (B, H K)."""
        config, cache, B = self.config, self.cache, a.shape[0]
        H, G, K = config.n_heads, config.n_kv_heads, config.d_head
        heads = _product(a, *layer.qkv).view(B, -1, K)  # (B, H + G, K), perhaps partners, (B, G, K)
        qk = heads[:, : H + G]
        if turn is not None:
            qk = torch.addcmul(qk * turn[0], heads[:, H + G : 2 * (H + G)], turn[1])
        k, v = cache.update(number, qk[:, H:, None], heads[:, -G:, None])  # (B, G, S, K)
        mask = None
        if cache.padded:
            end = cache.length + 1
            mask = cache.is_real[:, None, None, end - k.shape[2] : end]  # (B, 1, 1, S)
        # the heads that share keys and values stand as several queries of one head
        q = qk[:, :H].view(B, G, H // G, K)
        y = F.scaled_dot_product_attention(q, k, v, mask, scale=config.attn_scale)
        return y.reshape(B, H * K)

    def _layer(self, block: Block) -> _Layer:
        attn, mlp = block.attn, block.mlp
        rotated = [attn.q_proj, attn.k_proj]
        qkv = [_weights(p) for p in rotated]
        qkv += [self._partners(*_weights(p)) for p in rotated] if self.n_rotated else []
        qkv += [_weights(attn.v_proj)]
        up = [_weights(p) for p in (mlp.gate_proj, mlp.up_proj) if p is not None]
        return _Layer(
            _norm(block.attn_norm),
            None if block.mlp_norm is None else _norm(block.mlp_norm),
            _side_by_side(qkv),
            _side_by_side([_weights(attn.o_proj)]),
            _side_by_side(up),
            _side_by_side([_weights(mlp.down_proj)]),
        )

    def _partners(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Of a projection to heads, the one that gives what RoPE multiplies by the sines."""
        config, K = self.config, self.config.d_head
        cos, sin = torch.zeros(config.rope_dim // 2), torch.ones(config.rope_dim // 2)

        def quarter_turn(t: Tensor) -> Tensor:  # (heads K, …) -> the same shape
            heads = t.view(-1, K, t[0].numel()).transpose(1, 2)  # (heads, …, K)
            turned = apply_rope(heads, cos, sin, config.rope_interleaved)
            return turned.transpose(1, 2).reshape(t.shape)

        return quarter_turn(weight), None if bias is None else quarter_turn(bias)

    def _to_heads(self, values: Tensor, rest: float) -> Tensor:
        """Values of RoPE's pairs (T, R/2) -> of each number of a head (T, K)."""
        if self.config.rope_interleaved:
            values = values.repeat_interleave(2, dim=-1)
        else:
            values = torch.cat((values, values), dim=-1)
        return F.pad(values, (0, self.config.d_head - values.shape[-1]), value=rest)


def _norm(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """What the module does, without the way through modules."""
    if isinstance(module, nn.Identity):
        return module
    kernel, options = torch.rms_norm, {"weight": module.weight, "eps": module.eps}
    if isinstance(module, LayerNorm):
        kernel, options = torch.layer_norm, options | {"bias": module.bias}
    return partial(kernel, normalized_shape=module.weight.shape, **options)


def _weights(linear: nn.Linear) -> tuple[Tensor, Tensor | None]:
    return linear.weight, linear.bias


def _side_by_side(parts: list[tuple[Tensor, Tensor | None]]) -> tuple[Tensor, Tensor | None]:
    """Projections (outputs, D) of one vector as one matrix (D, all outputs), and their biases."""
    weight = torch.cat([weight.t() for weight, _ in parts], dim=1)
    if all(bias is None for _, bias in parts):
        return weight, None
    return weight, torch.cat([w.new_zeros(len(w)) if bias is None else bias for w, bias in parts])


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x @ weight if bias is None else torch.addmm(bias, x, weight)


def _add_product(stream: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    stream = torch.addmm(stream, x, weight)
    return stream if bias is None else stream + bias
