"""The decoder: embed, add what each block has to say, read the next token off the result.

Shapes: B batch, T query length, S key length, D model width, H heads, V vocabulary.
"""

import torch
from torch import Tensor, nn

from llmlib.model.attention import Context, attention_mask, score_bias
from llmlib.model.blocks import make_block
from llmlib.model.cache import KVCache
from llmlib.model.config import ModelConfig, RopeScaling
from llmlib.model.head import make_head
from llmlib.model.layers import Routing, fill_weights, make_norm
from llmlib.model.positions import relative_buckets, rope_angles, sinusoidal


class Transformer(nn.Module):
    """A decoder-only language model; see ModelConfig. `model(ids)` gives next-token logits."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        if config.n_encoder_layers:
            raise ValueError("n_encoder_layers asks for an encoder: build EncoderDecoder(config)")
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.d_model)
        if config.pos == "learned":
            self.pos_embed = nn.Embedding(config.max_seq_len + config.pos_offset, config.d_model)
        if config.pos == "relative":
            self.rel_bias = nn.Embedding(config.rel_buckets, config.n_heads)
        self.embed_norm = make_norm(config) if config.embed_norm else None
        self.blocks = nn.ModuleList(make_block(config, layer) for layer in range(config.n_layers))
        # post-norm blocks leave a normed stream: a final norm would do it twice
        final = config.final_norm and config.norm_place != "post"
        self.norm = make_norm(config) if final else nn.Identity()
        self.head = make_head(config, self.embed)
        self.init_weights()

    def init_weights(self) -> None:
        """As `fill_weights` says; attention and MLP write to the stream 2 n_layers times."""
        fill_weights(self, self.config, lambda name: 2 * self.config.n_layers)

    def forward(
        self,
        ids: Tensor,
        *,
        cache: KVCache | None = None,
        pad_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        doc_ids: Tensor | None = None,
        patterns: list[Tensor] | None = None,
        routing: list[Routing] | None = None,
    ) -> Tensor:
        """Next-token logits (B, T, V) for token ids (B, T) int64 or int32.

        cache: keys and values of what came before; `ids` are then the new tokens only.
        pad_mask (B, T) bool, False at padding, left or right: real tokens do not look at padding,
            and the first real token of a row has position 0. Logits at padding mean nothing.
            Padding on the right needs no mask at all: nobody looks to the right.
        position_ids (T,) or (B, T): instead of 0, 1, 2 … (ALiBi counts slots, whatever is given).
        doc_ids (B, T), a number for each document of a row: tokens see only their own document,
            whose positions start at 0.
        patterns: a list that takes each block's attention pattern; uses the eager path.
        routing: a list that takes each mixture of experts' choices, a Routing a block.

        Raises ValueError for what does not fit: empty or wrongly shaped ids, more than max_seq_len
        tokens, a full cache; IndexError for an id outside the vocabulary (checked on the CPU only).
        """
        x = self.features(
            ids,
            cache=cache,
            pad_mask=pad_mask,
            position_ids=position_ids,
            doc_ids=doc_ids,
            patterns=patterns,
            routing=routing,
        )
        return self.head(x)

    def features(self, ids: Tensor, **batch) -> Tensor:
        """What the head reads: the final residual stream after its norm, (B, T, D)."""
        return self.norm(self._run(ids, **batch)[-1])

    @torch.no_grad()
    def hidden_states(self, ids: Tensor, **batch) -> list[Tensor]:
        """The residual stream (B, T, D) after the embedding and after each block: n_layers + 1."""
        return self._run(ids, keep=True, **batch)

    @torch.no_grad()
    def attention_patterns(self, ids: Tensor, **batch) -> list[Tensor]:
        """How much each token looks at each other one: (B, H, T, S) a block, rows sum to 1."""
        patterns: list[Tensor] = []
        self.features(ids, patterns=patterns, **batch)
        return patterns

    def _run(self, ids: Tensor, *, keep: bool = False, cache=None, **batch) -> list[Tensor]:
        """The stream after the last block, or with `keep` after the embedding and every block."""
        x, context = self._begin(ids, cache=cache, **batch)
        states = [x]
        for block in self.blocks:
            x = block(x, context)
            states = [*states, x] if keep else [x]
        if cache is not None:
            cache.advance(ids.shape[1])
        return states

    def _begin(
        self,
        ids,
        *,
        cache=None,
        pad_mask=None,
        position_ids=None,
        doc_ids=None,
        patterns=None,
        routing=None,
    ) -> tuple[Tensor, Context]:
        """Embed the tokens and work out, once, what all blocks need to know."""
        config, T = self.config, self._check(ids, cache, pad_mask, doc_ids)
        S = T + (cache.length if cache is not None else 0)
        is_real = pad_mask
        if cache is not None:
            cache.reserve(T, pad_mask)
            is_real = cache.is_real[:, :S] if cache.padded else None
        if position_ids is None:
            position_ids = self._positions(T, S, is_real, doc_ids, ids.device)
        x = self._embed(ids, position_ids)
        bias = self._score_bias(T, S, ids.device)

        def mask(windowed: bool) -> Tensor | None:
            n = S if cache is None else cache.n_keys(T, windowed and config.window is not None)
            real, near = (t if t is None else t[..., -n:] for t in (is_real, bias))
            made = attention_mask(
                config, T, n, real, doc_ids, ids.device, windowed=windowed, bias=near
            )
            return made.type_as(x) if made is not None and bias is not None else made

        rotation = self._rotation(position_ids, config.rope_theta, config.rope_scaling)
        if config.window_layers is None:
            return x, Context(mask(True), rotation, cache, patterns, routing)
        near = rotation
        if config.rope_theta_local is not None:
            near = self._rotation(position_ids, config.rope_theta_local, None)
        local = mask(True), near
        return x, Context(mask(False), rotation, cache, patterns, routing, local)

    def _embed(self, ids: Tensor, position_ids: Tensor) -> Tensor:
        """The stream before the first block: tokens, and positions if they are added; (B, T, D)."""
        config, x = self.config, self.embed(ids)
        if config.embed_scale != 1:
            x = x * config.embed_scale
        if config.pos == "learned":
            x = x + self.pos_embed(position_ids + config.pos_offset)
        elif config.pos == "sinusoidal":
            x = x + sinusoidal(position_ids, config.d_model).type_as(x)
        return x if self.embed_norm is None else self.embed_norm(x)

    def _rotation(
        self, position_ids: Tensor, theta: float, scaling: RopeScaling | None
    ) -> tuple[Tensor, Tensor] | None:
        """RoPE's cosines and sines, (T, R/2) or (B, 1, T, R/2); None with another scheme."""
        if self.config.pos != "rope":
            return None
        angles = rope_angles(position_ids, self.config.rope_dim, theta, scaling)
        angles = angles if angles.dim() == 2 else angles[:, None]
        return angles.cos(), angles.sin()

    def _score_bias(self, T: int, S: int, device) -> Tensor | None:
        """What positions add to the scores, (H, T, S); None with another scheme."""
        config = self.config
        if config.pos != "relative":
            return score_bias(config, T, S, device)
        sizes = config.rel_buckets, config.rel_max_distance
        return self.rel_bias(relative_buckets(T, S, *sizes, device=device)).permute(2, 0, 1)

    def _positions(self, T: int, S: int, is_real, doc_ids, device) -> Tensor:
        """Positions (T,) of the last T of S slots; (B, T) where padding or documents shift them."""
        if doc_ids is not None:
            return document_positions(doc_ids)
        if is_real is not None:
            return (is_real.long().cumsum(1) - 1).clamp(min=0)[:, -T:]
        return torch.arange(S - T, S, device=device)

    def _check(self, ids: Tensor, cache, pad_mask, doc_ids) -> int:
        """Raise on input that cannot be right; the length T otherwise."""
        check_ids("ids", ids, self.config.vocab_size)
        B, T = ids.shape
        total = T + (cache.length if cache is not None else 0)
        if total > self.config.max_seq_len:
            raise ValueError(
                f"{total} tokens are more than the model's max_seq_len {self.config.max_seq_len}: "
                "cut the text, or build the model with a larger max_seq_len"
            )
        if cache is not None and (cache.batch_size != B or doc_ids is not None):
            raise ValueError(
                f"the cache holds {cache.batch_size} rows, ids {B}; doc_ids go without a cache"
            )
        for name, given in (("pad_mask", pad_mask), ("doc_ids", doc_ids)):
            if given is not None and given.shape != ids.shape:
                raise ValueError(f"{name} {tuple(given.shape)} must be shaped like ids {(B, T)}")
        if pad_mask is not None and pad_mask.dtype != torch.bool:
            raise ValueError(f"pad_mask must be bool, True at real tokens, not {pad_mask.dtype}")
        return T


def check_ids(name: str, ids: Tensor, vocab_size: int) -> None:
    """ValueError for what are no token ids (B, T); IndexError, on the CPU, outside a vocabulary."""
    if ids.dim() != 2 or ids.numel() == 0 or ids.dtype not in (torch.int64, torch.int32):
        raise ValueError(
            f"{name} must be whole numbers (int64 or int32) of shape (batch, length), at least one "
            f"token; got {ids.dtype} of shape {tuple(ids.shape)}"
        )
    if ids.device.type == "cpu" and not torch.compiler.is_compiling():
        low, high = ids.aminmax()
        if low < 0 or high >= vocab_size:
            raise IndexError(
                f"{name} run from {low} to {high}, the vocabulary from 0 to {vocab_size - 1}: is "
                "this the model's own tokenizer?"
            )


def document_positions(doc_ids: Tensor) -> Tensor:
    """Positions that start again at 0 with every document: doc_ids (B, T) -> (B, T) int64."""
    index = torch.arange(doc_ids.shape[1], device=doc_ids.device).expand_as(doc_ids)
    starts = torch.ones_like(doc_ids, dtype=torch.bool)
    starts[:, 1:] = doc_ids[:, 1:] != doc_ids[:, :-1]
    return index - torch.where(starts, index, 0).cummax(dim=1).values
