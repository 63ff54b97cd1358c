"""The one description of a decoder: every behaviour of the model follows from a field here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

CHOICES = {
    "norm": ("layernorm", "rmsnorm", "none"),
    "norm_place": ("pre", "post"),
    "activation": ("gelu", "gelu_tanh", "silu", "relu", "relu2"),
    "pos": ("learned", "sinusoidal", "rope", "alibi", "none"),
}


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and choices of a decoder-only transformer. Raises ValueError where they disagree.

    Four sizes may be left None and are filled in at once, so that a built config holds numbers:
    n_kv_heads = n_heads, d_head = d_model / n_heads, rope_dim = d_head, and d_ff = 4 d_model, or
    8/3 d_model rounded up to a multiple of 16 when gated (three matrices, then, instead of two of
    the same cost). Use `config.replace(...)` to vary a config: sizes that had their default follow.
    """

    # sizes
    vocab_size: int
    d_model: int
    n_layers: int
    n_heads: int
    n_kv_heads: int | None = None  # n_heads: multi-head; 1: multi-query; between: grouped-query
    d_head: int | None = None
    d_ff: int | None = None
    max_seq_len: int = 512

    # norms
    norm: str = "rmsnorm"
    norm_eps: float = 1e-5
    norm_bias: bool = False  # LayerNorm only
    norm_place: str = "pre"  # "pre": x + f(norm(x)), and a final norm; "post": norm(x + f(x))

    # feed-forward network
    activation: str = "silu"
    gated: bool = True  # down(act(gate(x)) * up(x)) instead of down(act(up(x)))

    # positions
    pos: str = "rope"
    rope_theta: float = 10_000.0
    rope_dim: int | None = None  # how many of the d_head numbers are rotated, from the first on

    # attention
    window: int | None = None  # a token sees the last `window` tokens, itself included
    parallel: bool = False  # attention and MLP read the same input, and are added together

    # biases and head
    bias_qkv: bool = False
    bias_o: bool = False
    bias_mlp: bool = False
    tie_embeddings: bool = True

    # initialisation: N(0, init_std); o_proj and down_proj divided by sqrt(2 n_layers) if asked
    init_std: float = 0.02
    init_scale_residual: bool = True

    def __post_init__(self):
        self._check_sizes()
        for name, value in self._defaults().items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        self._check()

    def _defaults(self) -> dict[str, int]:
        """What the sizes that may be None default to."""
        d_head = self.d_model // self.n_heads
        return {
            "n_kv_heads": self.n_heads,
            "d_head": d_head,
            "d_ff": -(-8 * self.d_model // 48) * 16 if self.gated else 4 * self.d_model,
            "rope_dim": self.d_head or d_head,
        }

    def replace(self, **changes) -> ModelConfig:
        """A copy with `changes`; sizes still at their default are worked out again."""
        kept = dataclasses.asdict(self)
        kept |= {name: None for name, value in self._defaults().items() if kept[name] == value}
        return ModelConfig(**(kept | changes))

    def _check_sizes(self):
        optional = ("n_kv_heads", "d_head", "d_ff", "rope_dim", "window")
        required = ("vocab_size", "d_model", "n_layers", "n_heads", "max_seq_len")
        for name in required + optional:
            value = getattr(self, name)
            if value is None and name in optional:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
        if self.d_head is None and self.d_model % self.n_heads:
            raise ValueError(
                f"d_model {self.d_model} does not divide into n_heads {self.n_heads}: "
                "change one of them, or give d_head"
            )

    def _check(self):
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, not {getattr(self, name)!r}")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(
                f"n_heads {self.n_heads} must be a multiple of n_kv_heads {self.n_kv_heads}: "
                "each key-value head serves the same number of query heads"
            )
        if self.pos == "rope" and (self.rope_dim % 2 or self.rope_dim > self.d_head):
            raise ValueError(
                f"rope_dim {self.rope_dim} must be even and at most d_head {self.d_head}: "
                "numbers are rotated in pairs"
            )
        if self.pos == "sinusoidal" and self.d_model % 2:
            raise ValueError(f"sinusoidal positions need an even d_model, not {self.d_model}")
        if self.parallel and self.norm_place != "pre":
            raise ValueError('parallel blocks are defined for norm_place="pre" only')
        if self.norm_bias and self.norm != "layernorm":
            raise ValueError('norm_bias needs norm="layernorm": the other norms have no bias')
        if not (self.norm_eps > 0 and self.init_std >= 0 and self.rope_theta > 0):
            raise ValueError("norm_eps and rope_theta must be above 0, init_std at least 0")
