"""LoRA: a large matrix stays as it is, and a product of two thin ones is learnt beside it.

    y = W x + (alpha / rank) · B A x        W (out, in) frozen, A (rank, in), B (out, rank)

B begins at zero, so that the model with fresh adapters is exactly the model without (Hu et al.
2021). `add_lora` puts adapters into any model's `nn.Linear` layers by name; after training they are
kept as a small file (`save_lora`), or added into W for good (`merge_lora`).
"""

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

FORMAT = "llmlib-lora-1"


class LoRA(nn.Module):
    """A frozen linear layer with an adapter beside it."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float):
        super().__init__()
        self.base, self.scale, self.active = base, alpha / rank, True
        weight = base.weight
        self.a = nn.Parameter(torch.empty(rank, base.in_features).to(weight))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank).to(weight))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))  # nn.Linear's own, as in Hu et al.

    def forward(self, x: Tensor) -> Tensor:
        y = self.base(x)
        return y + self.scale * (x @ self.a.T) @ self.b.T if self.active else y

    def delta(self) -> Tensor:
        """What the adapter adds to the weight: (out, in)."""
        return self.scale * self.b @ self.a


def add_lora(
    model: nn.Module, rank: int = 8, *, alpha: float | None = None, layers: str = r"_proj$"
) -> nn.Module:
    """Freeze `model` and put an adapter into every `nn.Linear` whose name `layers` matches.

    layers  a regular expression, searched in names such as "blocks.0.attn.q_proj". The default
            takes every matrix of attention and MLP.
    alpha   the adapter's weight is alpha / rank; default: 2 · rank.

    Changes and returns `model`; only the adapters require a gradient. Raises ValueError where no
    layer matches, and for a model that has adapters already.
    """
    if rank < 1:
        raise ValueError(f"rank must be at least 1, not {rank}")
    if any(adapters(model)):
        raise ValueError("this model has LoRA adapters already: merge them first")
    found = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and re.search(layers, name)
    ]
    if not found:
        raise ValueError(f"no nn.Linear of this model has a name that matches {layers!r}")
    model.requires_grad_(False)
    for name in found:
        _replace(model, name, LoRA(model.get_submodule(name), rank, alpha or 2 * rank))
    return model


def adapters(model: nn.Module) -> Iterator[tuple[str, LoRA]]:
    """(name, adapter) of each adapted layer."""
    return ((name, m) for name, m in model.named_modules() if isinstance(m, LoRA))


def merge_lora(model: nn.Module) -> nn.Module:
    """Add every adapter into its weight and take it out: a plain model again, as fast as before.

    Changes and returns `model`; all its parameters require a gradient again.
    """
    for name, adapter in list(adapters(model)):
        with torch.no_grad():
            adapter.base.weight += adapter.delta()
        _replace(model, name, adapter.base)
    return model.requires_grad_(True)


def remove_lora(model: nn.Module) -> nn.Module:
    """Take the adapters out and forget them: the model as it was before `add_lora`."""
    for name, adapter in list(adapters(model)):
        _replace(model, name, adapter.base)
    return model.requires_grad_(True)


@contextmanager
def without_lora(model: nn.Module) -> Iterator[nn.Module]:
    """Inside, the model computes as if it had no adapters: a reference model for free."""
    chosen = [adapter for _, adapter in adapters(model)]
    for adapter in chosen:
        adapter.active = False
    try:
        yield model
    finally:
        for adapter in chosen:
            adapter.active = True


def count_trainable(model: nn.Module) -> tuple[int, int]:
    """(numbers that training changes, numbers in all)."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(n for n, trained in sizes if trained), sum(n for n, _ in sizes)


def save_lora(path: str | Path, model: nn.Module) -> str:
    """Write the adapters alone, as safetensors; return the path."""
    tensors, settings = {}, {}
    for name, adapter in adapters(model):
        tensors |= {f"{name}.a": adapter.a.detach(), f"{name}.b": adapter.b.detach()}
        settings[name] = adapter.scale
    if not tensors:
        raise ValueError("this model has no LoRA adapters: there is nothing to save")
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, path, {"format": FORMAT, "scale": json.dumps(settings)})
    return str(path)


def load_lora(model: nn.Module, path: str | Path) -> nn.Module:
    """Put saved adapters into `model`, which must have none; freezes it as `add_lora` does.

    Raises FileNotFoundError, and ValueError where file and model do not belong together.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no adapter at {path}")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} holds no LoRA adapters ({FORMAT})")
    scales, layers = json.loads(metadata["scale"]), dict(model.named_modules())
    for name in scales:
        a, b = tensors[f"{name}.a"], tensors[f"{name}.b"]
        layer = layers.get(name)
        if not isinstance(layer, nn.Linear) or layer.weight.shape != (len(b), a.shape[1]):
            raise ValueError(f"{path} has an adapter for {name}, which this model has no layer for")
    model.requires_grad_(False)
    for name, scale in scales.items():
        adapter = LoRA(layers[name], rank := len(tensors[f"{name}.a"]), scale * rank)
        with torch.no_grad():
            adapter.a.copy_(tensors[f"{name}.a"])
            adapter.b.copy_(tensors[f"{name}.b"])
        _replace(model, name, adapter)
    return model


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, module)
