"""The one description of a model: every behaviour follows from a field here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

CHOICES = {
    "norm": ("layernorm", "rmsnorm", "none"),
    "norm_place": ("pre", "post", "sandwich", "branch"),
    "qk_norm": ("none", "head", "full"),
    "activation": ("gelu", "gelu_tanh", "silu", "relu", "relu2"),
    "pos": ("learned", "sinusoidal", "rope", "alibi", "relative", "none"),
}
FILLED = ("n_kv_heads", "d_head", "d_ff", "rope_dim")  # sizes that a built config always holds


@dataclass(frozen=True)
class RopeScaling:
    """RoPE slowed down for texts longer than those of the training; see `scale_frequencies`."""

    kind: str  # "linear" or "llama3"
    factor: float
    low_freq_factor: float = 1.0  # llama3: turns within the original length
    high_freq_factor: float = 4.0
    original_max_seq_len: int = 8192

    def __post_init__(self):
        if self.kind not in ("linear", "llama3"):
            raise ValueError(f'RopeScaling.kind must be "linear" or "llama3", not {self.kind!r}')
        if not (self.factor >= 1 and 0 < self.low_freq_factor < self.high_freq_factor):
            raise ValueError(
                "RopeScaling needs factor at least 1 and 0 < low_freq_factor < high_freq_factor, "
                f"not {self}"
            )


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and choices of a transformer. Raises ValueError where they disagree.

    Some sizes may be left None and are filled in at once, so that a built config holds numbers:
    n_kv_heads = n_heads, d_head = d_model / n_heads, rope_dim = d_head, and d_ff = 4 d_model, or
    8/3 d_model rounded up to a multiple of 16 when gated (three matrices, then, instead of two of
    the same cost); with experts, d_expert = d_ff. Use `config.replace(...)` to vary a config: sizes
    that had their default follow.
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
    norm_place: str = "pre"  # x + f(norm(x)); "post": norm(x + f(x)); "branch": x + norm(f(x));
    # "sandwich": x + norm(f(norm(x))), with a norm each
    final_norm: bool = True  # before the head; never with "post", whose stream is normed already
    embed_norm: bool = False  # after the embeddings (BLOOM)
    qk_norm: str = "none"  # queries and keys normed a "head" at a time, or over their "full" width

    # feed-forward network
    activation: str = "silu"
    gated: bool = True  # down(act(gate(x)) * up(x)) instead of down(act(up(x)))

    # mixture of experts: a router gives each token to some of n_experts networks; 0: one network
    n_experts: int = 0
    n_experts_per_token: int = 0
    d_expert: int | None = None  # an expert's width; d_ff
    renormalize_experts: bool = True  # the chosen experts' weights are made to add up to 1

    # positions
    pos: str = "rope"
    pos_offset: int = 0  # learned: rows of the table before position 0 (OPT has 2)
    alibi_scaled: bool = False  # the bias is divided by sqrt(d_head), as the scores are (Falcon-RW)
    rope_theta: float = 10_000.0
    rope_dim: int | None = None  # how many of the d_head numbers are rotated, from the first on
    rope_interleaved: bool = False  # neighbours are pairs, instead of the two halves
    rope_scaling: RopeScaling | None = None
    rope_theta_local: float | None = None  # windowed layers' own theta, never scaled (Gemma 3)
    rel_buckets: int = 32  # relative: learned biases a head (T5)
    rel_max_distance: int = 128  # from here on all distances share one

    # attention
    window: int | None = None  # a token sees the last `window` tokens, itself included
    window_layers: tuple[bool, ...] | None = None  # which layers have the window; None: all
    attn_scale: float | None = None  # multiplies the scores; None: 1/sqrt(d_head)
    attn_softcap: float | None = None  # scores become c tanh(score / c) (Gemma 2)
    parallel: bool = False  # attention and MLP read the same input, and are added together
    shared_norm: bool = False  # parallel: one norm for both (Falcon 7B) instead of one each

    # biases, embeddings and head
    bias_qkv: bool = False
    bias_o: bool = False
    bias_mlp: bool = False
    bias_head: bool = False
    tie_embeddings: bool = True
    embed_scale: float = 1.0  # multiplies the token embeddings
    logit_scale: float = 1.0
    logit_softcap: float | None = None  # after the scale: c tanh(logit / c)

    # an encoder before the decoder, which looks at its result: see EncoderDecoder; 0: none
    n_encoder_layers: int = 0

    # initialisation: N(0, init_std); o_proj and down_proj divided by sqrt(2 n_layers) if asked
    init_std: float = 0.02
    init_scale_residual: bool = True

    def __post_init__(self):
        if isinstance(self.rope_scaling, dict):  # from JSON
            object.__setattr__(self, "rope_scaling", RopeScaling(**self.rope_scaling))
        if isinstance(self.window_layers, list):
            object.__setattr__(self, "window_layers", tuple(self.window_layers))
        self._check_sizes()
        for name, value in self._defaults().items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        self._check_choices()
        self._check_attention()
        self._check_blocks()

    def _defaults(self) -> dict[str, int | None]:
        """What the sizes that may be None default to."""
        d_head = self.d_model // self.n_heads
        d_ff = -(-8 * self.d_model // 48) * 16 if self.gated else 4 * self.d_model
        return {
            "n_kv_heads": self.n_heads,
            "d_head": d_head,
            "d_ff": d_ff,
            "rope_dim": self.d_head or d_head,
            "d_expert": (self.d_ff or d_ff) if self.n_experts else None,
        }

    def replace(self, **changes) -> ModelConfig:
        """A copy with `changes`; sizes still at their default are worked out again."""
        kept = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        kept |= {name: None for name, value in self._defaults().items() if kept[name] == value}
        return ModelConfig(**(kept | changes))

    def windowed(self, layer: int) -> bool:
        """Whether the tokens of layer number `layer` (from 0) see a window only."""
        return self.window is not None and (self.window_layers is None or self.window_layers[layer])

    def _check_sizes(self):
        at_least = dict.fromkeys(("vocab_size", "d_model", "n_layers", "n_heads", "max_seq_len"), 1)
        at_least |= dict.fromkeys((*FILLED, "window", "d_expert"), 1)
        at_least |= {"rel_buckets": 4, "rel_max_distance": 1, "pos_offset": 0}
        at_least |= {"n_experts": 0, "n_experts_per_token": 0, "n_encoder_layers": 0}
        for name, least in at_least.items():
            value = getattr(self, name)
            if value is None and name in (*FILLED, "window", "d_expert"):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(
                    f"{name} must be a whole number of at least {least}, not {value!r}"
                )
        if self.d_head is None and self.d_model % self.n_heads:
            raise ValueError(
                f"d_model {self.d_model} does not divide into n_heads {self.n_heads}: "
                "change one of them, or give d_head"
            )

    def _check_choices(self):
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, not {getattr(self, name)!r}")
        if not (self.norm_eps > 0 and self.init_std >= 0 and self.rope_theta > 0):
            raise ValueError("norm_eps and rope_theta must be above 0, init_std at least 0")
        for name in ("rope_theta_local", "attn_scale", "attn_softcap", "logit_softcap"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, or None, not {value!r}")
        for name in ("embed_scale", "logit_scale"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0 (1 changes nothing)")

    def _check_attention(self):
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
        if self.pos == "relative" and self.rel_max_distance <= self.rel_buckets // 2:
            raise ValueError(
                f"rel_max_distance {self.rel_max_distance} must be above half of rel_buckets "
                f"{self.rel_buckets}: the nearest distances have a bucket each"
            )
        layers = self.window_layers
        if layers is not None and (self.window is None or len(layers) != self.n_layers):
            raise ValueError(
                f"window_layers needs a window (it is {self.window}) and one True or False for "
                f"each of n_layers {self.n_layers}, not {len(layers)}"
            )
        if self.rope_theta_local is not None and layers is None:
            raise ValueError("rope_theta_local is for windowed layers: it needs window_layers")

    def _check_blocks(self):
        if self.parallel and self.norm_place != "pre":
            raise ValueError('parallel blocks are defined for norm_place="pre" only')
        if self.shared_norm and not self.parallel:
            raise ValueError(
                "shared_norm needs parallel=True: else each branch reads another input"
            )
        if self.norm_bias and self.norm != "layernorm":
            raise ValueError('norm_bias needs norm="layernorm": the other norms have no bias')
        if self.norm == "none" and (self.qk_norm != "none" or self.embed_norm):
            raise ValueError('qk_norm and embed_norm need a norm other than "none"')
        if self.n_experts_per_token > self.n_experts or (
            self.n_experts > 0 and self.n_experts_per_token == 0
        ):
            raise ValueError(
                f"n_experts_per_token {self.n_experts_per_token} must be from 1 to n_experts "
                f"{self.n_experts} (both 0: no experts)"
            )
        if self.d_expert is not None and not self.n_experts:
            raise ValueError("d_expert is the width of an expert: it needs n_experts")
