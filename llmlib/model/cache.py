"""Keys and values of the tokens seen so far, so that each new token costs one token's work."""

from collections.abc import Sequence

import torch
from torch import Tensor

from llmlib.model.config import ModelConfig


class KVCache:
    """Room for `max_len` tokens a row, allocated once: keys and values (L, B, G, max_len, K).

    L layers, B batch, G key-value heads, K head width. `length` slots are filled; a row's padding
    takes slots too, and `is_real` (B, max_len) says which slots hold tokens. Hand it to `model(ids,
    cache=cache)` with the new tokens only. A sliding window masks old slots and does not free them.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch_size: int,
        max_len: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        max_len = config.max_seq_len if max_len is None else max_len
        if batch_size < 1 or max_len < 1:
            raise ValueError(f"a cache needs room: batch_size {batch_size}, max_len {max_len}")
        shape = (config.n_layers, batch_size, config.n_kv_heads, max_len, config.d_head)
        self.k = torch.zeros(shape, device=device, dtype=dtype)
        self.v = torch.zeros(shape, device=device, dtype=dtype)
        self.is_real = torch.ones(batch_size, max_len, dtype=torch.bool, device=device)
        self.padded = False  # stays False until a padding mask comes: no mask is built without one
        self.length = 0

    @property
    def batch_size(self) -> int:
        return self.k.shape[1]

    @property
    def max_len(self) -> int:
        return self.k.shape[3]

    def reserve(self, n_tokens: int, pad_mask: Tensor | None) -> None:
        """Check that `n_tokens` more fit, and note which of them are real: pad_mask (B, T) bool."""
        if self.length + n_tokens > self.max_len:
            raise ValueError(
                f"the cache has room for {self.max_len} tokens and holds {self.length}: "
                f"{n_tokens} more do not fit; make it with a larger max_len"
            )
        if pad_mask is not None:
            self.padded = True
            self.is_real[:, self.length : self.length + n_tokens] = pad_mask

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write k and v (B, G, T, K) behind what is held; views of all of it, (B, G, S, K)."""
        end = self.length + k.shape[2]
        self.k[layer, :, :, self.length : end] = k
        self.v[layer, :, :, self.length : end] = v
        return self.k[layer, :, :, :end], self.v[layer, :, :, :end]

    def advance(self, n_tokens: int) -> None:
        """Count `n_tokens` as held: once a forward pass, after its last layer."""
        self.length += n_tokens

    def truncate(self, length: int) -> None:
        """Take tokens back: keep the first `length`. Raises ValueError if fewer are held."""
        if not 0 <= length <= self.length:
            raise ValueError(f"the cache holds {self.length} tokens: it cannot keep {length}")
        self.length = length

    def select(self, rows: Sequence[int]) -> None:
        """Row i becomes what row rows[i] was; rows may be left out or repeated."""
        index = torch.tensor(rows, device=self.k.device)
        self.k, self.v = self.k.index_select(1, index), self.v.index_select(1, index)
        self.is_real = self.is_real.index_select(0, index)
