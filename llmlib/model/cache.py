"""Keys and values of the tokens seen so far, so that each new token costs one token's work."""

from collections.abc import Sequence

import torch
from torch import Tensor

from llmlib.model.config import ModelConfig


class KVCache:
    """Room for `max_len` tokens a row: keys `k` and values `v`, one (B, G, slots, K) a layer.

    B batch, G key-value heads, K head width. Hand it to `model(ids, cache=cache)` with the new
    tokens only; `length` counts the tokens so far. A row's padding is counted too, and `is_real`
    (B, max_len) says which are tokens.

    A layer that sees every token has max_len slots. One that sees a window has window + 2 slack at
    most, however long the text: when they are full, the last window - 1 + slack move to the front.
    So what is held is always in order, and moved once in more than `slack` steps.

    slack: how many of the last tokens may always be taken back by `truncate`.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch_size: int,
        max_len: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        slack: int = 16,
    ):
        max_len = config.max_seq_len if max_len is None else max_len
        if batch_size < 1 or max_len < 1 or slack < 1:
            raise ValueError(
                f"a cache needs room: batch_size {batch_size}, max_len {max_len}, slack {slack}"
            )
        layers = range(config.n_layers)
        self.windowed = [config.windowed(layer) for layer in layers]
        self.window, self.slack, self.max_len = config.window or max_len, slack, max_len
        self.slots = min(max_len, self.window + 2 * slack)  # of a windowed layer
        self._kept = self.window - 1 + slack  # when they are full
        shapes = [
            (batch_size, config.n_kv_heads, self.slots if near else max_len, config.d_head)
            for near in self.windowed
        ]
        self.k = [torch.zeros(shape, device=device, dtype=dtype) for shape in shapes]
        self.v = [torch.zeros(shape, device=device, dtype=dtype) for shape in shapes]
        self.is_real = torch.ones(batch_size, max_len, dtype=torch.bool, device=device)
        self.padded = False  # stays False until a padding mask comes: no mask is built without one
        self.length = 0
        self.first = 0  # the token in slot 0 of a windowed layer

    @property
    def batch_size(self) -> int:
        return self.is_real.shape[0]

    @property
    def n_bytes(self) -> int:
        """Memory of all keys and values."""
        return sum(t.numel() * t.element_size() for t in (*self.k, *self.v))

    def n_keys(self, n_queries: int, windowed: bool) -> int:
        """How many keys, the last ones, `update` gives a layer for `n_queries` new tokens."""
        total = self.length + n_queries
        return min(total, self.window - 1 + n_queries) if windowed else total

    def reserve(self, n_tokens: int, pad_mask: Tensor | None) -> None:
        """Make room for `n_tokens` more; pad_mask (B, T) bool says which of them are real."""
        end = self.length + n_tokens
        if end > self.max_len:
            raise ValueError(
                f"the cache has room for {self.max_len} tokens and holds {self.length}: "
                f"{n_tokens} more do not fit; make it with a larger max_len"
            )
        if pad_mask is not None or self.padded:
            self.padded = True
            self.is_real[:, self.length : end] = True if pad_mask is None else pad_mask
        if end - self.first > self.slots and n_tokens <= self.slots - self._kept:
            old = self.length - self.first - self._kept
            for layer in range(len(self.windowed)):
                if self.windowed[layer]:
                    for held in (self.k[layer], self.v[layer]):
                        held[:, :, : self._kept] = held[:, :, old : old + self._kept].clone()
            self.first += old

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write k and v (B, G, T, K) behind what is held; what the layer needs of it (B, G, S, K).

        S is `n_keys(T, windowed)`: the last key belongs to the last query.
        """
        windowed = self.windowed[layer]
        n = self.n_keys(k.shape[2], windowed)
        at = self.length - self.first if windowed else self.length
        return self._append(self.k[layer], k, at, n), self._append(self.v[layer], v, at, n)

    def _append(self, held: Tensor, new: Tensor, at: int, n: int) -> Tensor:
        """Write `new` from slot `at` on; the last `n` of all that is there then."""
        T = new.shape[2]
        if at + T <= held.shape[2]:
            held.narrow(2, at, T).copy_(new)
            return held.narrow(2, at + T - n, n)
        # a long piece does not go through a window's few slots: it is read here, its end is kept
        everything = torch.cat((held[:, :, :at], new), dim=2)
        held[:, :, : self._kept] = everything[:, :, -self._kept :]
        return everything[:, :, -n:]

    def advance(self, n_tokens: int) -> None:
        """Count `n_tokens` as held: once a forward pass, after its last layer."""
        self.length += n_tokens
        if self.length - self.first > self.slots:
            self.first = self.length - self._kept

    def truncate(self, length: int) -> None:
        """Take tokens back: keep the first `length`.

        Raises ValueError if fewer are held, or if a window has let go of what would be needed.
        """
        needed = max(0, length - self.window + 1)
        if not 0 <= length <= self.length or (needed < self.first and any(self.windowed)):
            raise ValueError(
                f"the cache has seen {self.length} tokens, with a window holds them from "
                f"{self.first} on, and cannot go back to {length}: make it with a larger slack"
            )
        self.length = length

    def select(self, rows: Sequence[int]) -> None:
        """Row i becomes what row rows[i] was; rows may be left out or repeated."""
        index = torch.tensor(rows, device=self.is_real.device)
        self.k, self.v = ([t.index_select(0, index) for t in held] for held in (self.k, self.v))
        self.is_real = self.is_real.index_select(0, index)
