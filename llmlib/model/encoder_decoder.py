"""Encoder and decoder: one stack reads a text both ways, the other writes and looks back at it.

Shapes: B batch, T decoder length, S encoder length, D model width, H heads, G key-value heads, K
head width, V vocabulary.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from llmlib.model.attention import Attention, Context, attention_mask
from llmlib.model.blocks import Block
from llmlib.model.cache import KVCache
from llmlib.model.config import ModelConfig
from llmlib.model.head import make_head
from llmlib.model.layers import fill_weights, make_norm
from llmlib.model.positions import relative_buckets, rope_angles
from llmlib.model.transformer import Transformer, check_ids

POSITIONS = ("relative", "rope", "none")  # what both stacks can be told


class Memory(NamedTuple):
    """What the decoder looks back at: made once a text, used for every token that is written."""

    keys_values: list[tuple[Tensor, Tensor]]  # a decoder block's keys and values (B, G, S, K)
    mask: Tensor | None  # (B, 1, 1, S) bool, False at padding


class DecoderCache(KVCache):
    """A `KVCache` of the decoder's own tokens that also keeps the memory of the encoder's text."""

    memory: Memory | None = None


class CrossBlock(Block):
    """Self-attention, attention to the encoder's result, MLP: each adds to the stream."""

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__(config, layer)
        self.cross_norm = make_norm(config)
        self.cross = Attention(config, layer)

    def forward(
        self, x: Tensor, context: Context, cross: Context, memory: tuple[Tensor, Tensor]
    ) -> Tensor:
        x = x + self.attn(self.attn_norm(x), context)
        x = x + self.cross(self.cross_norm(x), cross, memory)
        x = x + self.feed_forward(self.mlp_norm(x), context)
        return x


class Stack(nn.Module):
    """Blocks, the norm after the last, and the biases of distances that all blocks share."""

    def __init__(self, config: ModelConfig, block: type[Block], n_layers: int, causal: bool):
        super().__init__()
        self.config, self.causal = config, causal
        if config.pos == "relative":
            self.rel_bias = nn.Embedding(config.rel_buckets, config.n_heads)
        self.blocks = nn.ModuleList(block(config, layer) for layer in range(n_layers))
        self.norm = make_norm(config) if config.final_norm else nn.Identity()

    def context(self, x: Tensor, n_keys: int, is_real: Tensor | None, cache=None) -> Context:
        """What the blocks share for T new tokens x (B, T, D), which are the last of n_keys."""
        config, T = self.config, x.shape[1]
        bias, rotation = None, None
        if config.pos == "relative":
            sizes = config.rel_buckets, config.rel_max_distance
            buckets = relative_buckets(T, n_keys, *sizes, causal=self.causal, device=x.device)
            bias = self.rel_bias(buckets).permute(2, 0, 1)  # (H, T, S)
        elif config.pos == "rope":
            positions = torch.arange(n_keys - T, n_keys, device=x.device)
            theta, scaling = config.rope_theta, config.rope_scaling
            angles = rope_angles(positions, config.rope_dim, theta, scaling)
            rotation = angles.cos(), angles.sin()
        if self.causal:
            mask = attention_mask(config, T, n_keys, is_real, device=x.device, bias=bias)
        else:
            mask = None if is_real is None else is_real[:, None, None, :]  # (B, 1, 1, S)
            if bias is not None:
                mask = bias[None] if mask is None else bias[None].masked_fill(~mask, -torch.inf)
        if mask is not None and mask.is_floating_point():
            mask = mask.type_as(x)
        return Context(mask, rotation, cache, None, causal=self.causal)


class EncoderDecoder(nn.Module):
    """An encoder–decoder such as T5 (Raffel et al. 2020): config.n_encoder_layers reads,
    config.n_layers writes. `model(encoder_ids, decoder_ids)` gives the decoder's next-token logits.

    Embedding and, if tied, head are shared by both stacks. Positions are "relative" (T5), "rope"
    (rotating within each stack; the attention from one to the other has no positions) or "none",
    so that there is no longest text: config.max_seq_len is only the cache's default room.

    Raises ValueError for a config with n_encoder_layers 0, or with what this model does not have:
    other positions, other places of norms than "pre", parallel blocks, windows, embed_norm.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        _check_config(config)
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = Stack(config, Block, config.n_encoder_layers, causal=False)
        self.decoder = Stack(config, CrossBlock, config.n_layers, causal=True)
        self.head = make_head(config, self.embed)
        self.init_weights()

    def init_weights(self) -> None:
        """As `fill_weights` says: an encoder block writes twice, a decoder block three times."""
        config = self.config
        writes = {"encoder": 2 * config.n_encoder_layers, "decoder": 3 * config.n_layers}
        fill_weights(self, config, lambda name: writes[name.split(".")[0]])

    def forward(
        self,
        encoder_ids: Tensor | None,
        decoder_ids: Tensor,
        *,
        encoder_mask: Tensor | None = None,
        cache: DecoderCache | None = None,
    ) -> Tensor:
        """Logits (B, T, V) of what follows each of decoder_ids (B, T), given encoder_ids (B, S).

        encoder_mask (B, S) bool, False at padding, left or right. The decoder's padding goes to the
            right, where nobody looks, and needs no mask.
        cache: decoder_ids are then the new tokens only; the encoder's text is read once, with the
            first of them, and encoder_ids may be None afterwards.

        Raises ValueError for ids or masks of the wrong shape or type, a row without a single real
        token, and a full cache; IndexError for an id outside the vocabulary (on the CPU only).
        """
        if cache is not None and cache.memory is not None:
            return self.decode(decoder_ids, cache.memory, cache)
        if encoder_ids is None:
            raise ValueError("encoder_ids are needed: there is no cache that remembers a text")
        memory = self.remember(self.encode(encoder_ids, encoder_mask), encoder_mask)
        if cache is not None:
            cache.memory = memory
        return self.decode(decoder_ids, memory, cache)

    def encode(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """The encoder's result (B, S, D) for ids (B, S); mask (B, S) bool, False at padding."""
        check_ids("encoder_ids", ids, self.config.vocab_size)
        _check_mask(mask, ids)
        mask = None if mask is None or mask.all() else mask
        x = self._embed(ids)
        context = self.encoder.context(x, ids.shape[1], mask)
        for block in self.encoder.blocks:
            x = block(x, context)
        return self.encoder.norm(x)

    def remember(self, states: Tensor, mask: Tensor | None = None) -> Memory:
        """Keys and values for every decoder block from the encoder's result (B, S, D)."""
        pairs = [block.cross.keys_values(states) for block in self.decoder.blocks]
        return Memory(pairs, None if mask is None or mask.all() else mask[:, None, None, :])

    def decode(
        self,
        ids: Tensor,
        memory: Memory,
        cache: KVCache | None = None,
        patterns: list[Tensor] | None = None,
    ) -> Tensor:
        """Logits (B, T, V) for decoder ids (B, T); patterns takes each block's look-back."""
        return self.head(self.decoder_features(ids, memory, cache, patterns))

    def decoder_features(
        self,
        ids: Tensor,
        memory: Memory,
        cache: KVCache | None = None,
        patterns: list[Tensor] | None = None,
    ) -> Tensor:
        """What the head reads, (B, T, D); arguments as `decode` has them."""
        check_ids("decoder_ids", ids, self.config.vocab_size)
        B, T = ids.shape
        if memory.keys_values[0][0].shape[0] != B or (cache is not None and cache.batch_size != B):
            raise ValueError(f"decoder_ids have {B} rows, encoder text or cache another number")
        if cache is not None:
            cache.reserve(T, None)
        x = self._embed(ids)
        n_keys = T + (cache.length if cache is not None else 0)
        context = self.decoder.context(x, n_keys, None, cache)
        cross = Context(memory.mask, None, None, patterns, causal=False)
        for block, pair in zip(self.decoder.blocks, memory.keys_values, strict=True):
            x = block(x, context, cross, pair)
        if cache is not None:
            cache.advance(T)
        return self.decoder.norm(x)

    @torch.no_grad()
    def cross_patterns(
        self, encoder_ids: Tensor, decoder_ids: Tensor, encoder_mask: Tensor | None = None
    ) -> list[Tensor]:
        """How much each decoder token looks at each encoder token: (B, H, T, S) a block."""
        patterns: list[Tensor] = []
        memory = self.remember(self.encode(encoder_ids, encoder_mask), encoder_mask)
        self.decoder_features(decoder_ids, memory, patterns=patterns)
        return patterns

    def _embed(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        return x if self.config.embed_scale == 1 else x * self.config.embed_scale


def build(config: ModelConfig) -> Transformer | EncoderDecoder:
    """The model that a configuration describes: with an encoder, or a decoder alone."""
    return EncoderDecoder(config) if config.n_encoder_layers else Transformer(config)


def _check_config(config: ModelConfig) -> None:
    if config.n_encoder_layers < 1:
        raise ValueError("n_encoder_layers is 0: for a decoder alone build Transformer(config)")
    if config.pos not in POSITIONS:
        raise ValueError(f"EncoderDecoder takes pos {POSITIONS}, not {config.pos!r}")
    only = {"norm_place": "pre", "parallel": False, "window": None, "embed_norm": False}
    for name, value in only.items():
        if getattr(config, name) != value:
            raise ValueError(f"EncoderDecoder takes {name}={value!r} only")


def _check_mask(mask: Tensor | None, ids: Tensor) -> None:
    if mask is None:
        return
    if mask.shape != ids.shape or mask.dtype != torch.bool:
        raise ValueError(
            f"encoder_mask must be bool and shaped like encoder_ids {tuple(ids.shape)}; got "
            f"{mask.dtype} of shape {tuple(mask.shape)}"
        )
    if not mask.any(dim=1).all():
        raise ValueError("a row of encoder_mask is False everywhere: there is nothing to read")
