"""How a family of checkpoints is read and written: its fields, its names, its forms.

A Hugging Face checkpoint differs from ours in three ways. Its config.json has other fields, its
tensors have other names, and some tensors have another form: transposed, several in one, a norm's
weight less one. A `Family` says all of it, in both directions, so that the model stays plain.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from llmlib.model import ModelConfig, RopeScaling, Transformer


class Form(NamedTuple):
    """How tensors of ours lie in one of theirs."""

    split: Callable[[Tensor, ModelConfig], tuple[Tensor, ...]]  # theirs -> ours
    join: Callable[[tuple[Tensor, ...], ModelConfig], Tensor]  # ours -> theirs


class As(NamedTuple):
    """The place of a module whose tensors have another form: `ours`, in the form's order."""

    form: Form
    ours: tuple[str, ...]


Names = dict[
    str, str | As
]  # their module -> ours; N stands for a layer's number, E for an expert's


class Family(NamedTuple):
    """How one `model_type` is read and written."""

    architecture: str  # the class in transformers
    read: Callable[[dict], ModelConfig]  # config.json -> our configuration
    write: Callable[[ModelConfig], dict]  # and back; what it cannot say is found by reading it
    names: Callable[[ModelConfig], Names]
    prefix: str  # before every name but the head's; some files leave it out, or a part of it
    ignored: str = r"$^"  # tensors that are no parameters: masks and tables in older files
    build: Callable = Transformer


def transposed(form: Form | None = None) -> Form:
    """Matrices stored as (in, out); `form` says what else there is to do."""
    form = form or Form(lambda t, _: (t,), lambda ts, _: ts[0])

    def turn(t: Tensor) -> Tensor:
        return t.T if t.dim() == 2 else t

    return Form(lambda t, c: form.split(turn(t), c), lambda ts, c: turn(form.join(ts, c)))


def _split_qkv(t: Tensor, config: ModelConfig) -> tuple[Tensor, ...]:
    width, kv_width = config.n_heads * config.d_head, config.n_kv_heads * config.d_head
    return t.split((width, kv_width, kv_width))


def _split_grouped(t: Tensor, config: ModelConfig) -> tuple[Tensor, ...]:
    share, rest = config.n_heads // config.n_kv_heads, t.shape[1:]
    groups = t.view(config.n_kv_heads, share + 2, config.d_head, *rest)
    q, k, v = groups.split((share, 1, 1), dim=1)
    return tuple(part.reshape(-1, *rest) for part in (q, k, v))


def _join_grouped(parts: tuple[Tensor, ...], config: ModelConfig) -> Tensor:
    rest = parts[0].shape[1:]
    groups = [part.view(config.n_kv_heads, -1, config.d_head, *rest) for part in parts]
    return torch.cat(groups, dim=1).reshape(-1, *rest)


# queries, keys and values, one block after the other
CONCATENATED = Form(_split_qkv, lambda ts, _: torch.cat(ts))
# for each key-value head: its query heads, its key head, its value head (NeoX, BLOOM, Falcon)
GROUPED = Form(_split_grouped, _join_grouped)
HALVES = Form(lambda t, _: t.chunk(2), lambda ts, _: torch.cat(ts))
LESS_ONE = Form(lambda t, _: (t + 1,), lambda ts, _: ts[0] - 1)  # a norm's weight w, kept as w - 1

QKV = tuple(f"blocks.N.attn.{name}_proj" for name in "qkv")

ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu",
    "silu": "silu",
    "swish": "silu",
    "relu": "relu",
}


def activation(name: str) -> str:
    """Their name of an activation -> ours."""
    if name not in ACTIVATIONS:
        raise NotImplementedError(
            f"activation {name!r} is not supported, only {sorted(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]


def their_activation(config: ModelConfig) -> str:
    """Ours -> theirs. An activation that they do not have keeps its name, and is refused later."""
    names = {"gelu_tanh": "gelu_pytorch_tanh"}
    return names.get(config.activation, config.activation)


def either(raw: dict, *names: str):
    """The first of these fields that config.json has: files of several ages name it differently."""
    for name in names:
        if raw.get(name) is not None:
            return raw[name]
    raise KeyError(names[0])


def read_sizes(raw: dict) -> dict:
    """The four sizes that every decoder has, under any of the names that files give them."""
    return {
        "vocab_size": raw["vocab_size"],
        "d_model": either(raw, "hidden_size", "n_embd", "n_embed"),
        "n_layers": either(raw, "num_hidden_layers", "n_layer"),
        "n_heads": either(raw, "num_attention_heads", "n_head"),
    }


def unsupported(raw: dict, **only: object) -> None:
    """Refuse options that would change the result and that the model does not have."""
    for option, value in only.items():
        if raw.get(option, value) not in (value, None):
            raise NotImplementedError(f"{option}={raw[option]!r} is not supported, only {value!r}")


def read_rope(raw: dict, theta: float = 10_000.0) -> dict:
    """RoPE's fields, from `rope_parameters` (new) or `rope_theta` and `rope_scaling` (old)."""
    rope = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    scaling = None
    if kind in ("linear", "llama3"):
        original = raw.get("original_max_position_embeddings", raw.get("max_position_embeddings"))
        scaling = RopeScaling(
            kind,
            float(rope["factor"]),
            float(rope.get("low_freq_factor", 1.0)),
            float(rope.get("high_freq_factor", 4.0)),
            rope.get("original_max_position_embeddings", original) if kind == "llama3" else 8192,
        )
    elif kind != "default":
        raise NotImplementedError(
            f'RoPE scaled by {kind!r} is not supported, only "linear" and "llama3"'
        )
    theta = rope.get("rope_theta", raw.get("rope_theta", theta))
    return {"pos": "rope", "rope_theta": float(theta), "rope_scaling": scaling}


def write_rope(config: ModelConfig) -> dict:
    """In the older spelling, which all versions of transformers read."""
    fields: dict = {"rope_theta": config.rope_theta}
    scaling = config.rope_scaling
    if scaling is not None:
        fields["rope_scaling"] = {"rope_type": scaling.kind, "factor": scaling.factor}
        if scaling.kind == "llama3":
            fields["rope_scaling"] |= {
                "low_freq_factor": scaling.low_freq_factor,
                "high_freq_factor": scaling.high_freq_factor,
                "original_max_position_embeddings": scaling.original_max_seq_len,
            }
    return fields
