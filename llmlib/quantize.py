"""Weights in 8 or 4 bits: a quarter or a seventh of float32's memory, for a little loss.

    small = quantize(model)          # int8, one scale an output row
    memory(model), memory(small)     # bytes
    layer_errors(model, small, ids)  # what the rounding did, layer by layer

Symmetric absmax quantization: a row w of a weight matrix becomes whole numbers c and one scale s,
with w ≈ s c, where s = max|w| / 127 (Dettmers et al. 2022 for language models). With 4 bits a whole
row is too much for one scale: every `group` neighbours have their own (as in GPTQ, Frantar et al.
2022, and in llama.cpp's Q4_0). Norms, biases and, unless asked, the embedding table and a head of
its own stay as they are: few numbers, or numbers that act on every token.

Shapes: O outputs, I inputs, G groups of a row.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.model import Transformer

LEVELS = {8: 127, 4: 7}  # the largest whole number of that many bits; symmetric: -128 is not used


def absmax(weight: Tensor, bits: int = 8, group: int | None = None) -> tuple[Tensor, Tensor]:
    """(codes int8 (O, I), scales (O, G)): round each group of a row to its own grid.

    group: neighbours that share a scale; None: the whole row, G = 1. A group of zeros gets scale 1.
    Raises ValueError for bits other than 8 or 4, and where I does not divide into groups.
    """
    if bits not in LEVELS:
        raise ValueError(f"bits must be 8 or 4, not {bits}")
    n_out, n_in = weight.shape
    group = group or n_in
    if n_in % group:
        raise ValueError(f"{n_in} inputs do not divide into groups of {group}: choose another")
    parts = weight.detach().float().view(n_out, n_in // group, group)  # (O, G, group)
    largest = parts.abs().amax(dim=-1)
    scale = torch.where(largest > 0, largest / LEVELS[bits], 1.0)  # (O, G)
    codes = (parts / scale[..., None]).round()
    return codes.view(n_out, n_in).to(torch.int8), scale


def dequantize(codes: Tensor, scale: Tensor) -> Tensor:
    """The weights (O, I) that codes (O, I) and scales (O, G) stand for."""
    parts = codes.to(scale.dtype).view(*scale.shape, -1) * scale[..., None]
    return parts.view(codes.shape)


class Int8Linear(nn.Module):
    """y = W x + b with W as int8 codes (O, I) and a scale a row, float32.

    By default the codes are turned to floats for each product: the memory of int8, the arithmetic
    of floats. With `activations` the inputs are rounded to int8 too, a scale a token, and the
    product is one of whole numbers (W8A8): faster for many tokens, with a second rounding. It uses
    `torch._int_mm`, on a CPU; on a GPU that takes more than 16 tokens at once.
    """

    bits = 8

    def __init__(self, linear: nn.Linear, *, activations: bool = False) -> None:
        super().__init__()
        codes, scale = absmax(linear.weight)
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale.type_as(linear.weight))  # (O, 1)
        self.bias, self.activations = linear.bias, activations

    @property
    def weight(self) -> Tensor:
        """The weights (O, I) that the codes stand for."""
        return dequantize(self.codes, self.scale)

    def forward(self, x: Tensor) -> Tensor:
        if not self.activations:
            y = F.linear(x, self.codes.type_as(x)) * self.scale[:, 0]
        else:
            codes, scale = absmax(x.reshape(-1, x.shape[-1]))  # (tokens, I), (tokens, 1)
            whole = torch._int_mm(codes, self.codes.T)  # (tokens, O) int32
            y = (whole * scale * self.scale[:, 0]).type_as(x).view(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        return f"{self.codes.shape[1]}, {self.codes.shape[0]}, bits={self.bits}"


class Int4Linear(nn.Module):
    """y = W x + b with W as 4-bit codes, two in a byte, and a float16 scale for each group."""

    bits = 4

    def __init__(self, linear: nn.Linear, *, group: int = 32) -> None:
        super().__init__()
        codes, scale = absmax(linear.weight, 4, group)
        low, high = (codes + 8).to(torch.uint8).view(len(codes), -1, 2).unbind(-1)  # 1 to 15
        self.register_buffer("packed", low | high << 4)  # (O, I / 2)
        self.register_buffer("scale", scale.half())  # (O, G)
        self.bias = linear.bias

    @property
    def weight(self) -> Tensor:
        """The weights (O, I), float32, that the codes stand for."""
        pairs = torch.stack((self.packed & 15, self.packed >> 4), dim=-1)  # (O, I / 2, 2)
        return dequantize(pairs.flatten(1).to(torch.int8) - 8, self.scale.float())

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.type_as(x), self.bias)

    def extra_repr(self) -> str:
        return f"{2 * self.packed.shape[1]}, {self.packed.shape[0]}, bits={self.bits}"


class Int8Embedding(nn.Module):
    """An embedding table as int8 codes (V, D), a scale a token; a tied head reads `weight`."""

    def __init__(self, embed: nn.Embedding) -> None:
        super().__init__()
        codes, scale = absmax(embed.weight)
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale.type_as(embed.weight))  # (V, 1)

    @property
    def weight(self) -> Tensor:
        """The table (V, D) that the codes stand for."""
        return dequantize(self.codes, self.scale)

    def forward(self, ids: Tensor) -> Tensor:
        return self.codes[ids] * self.scale[ids]


def quantize(
    model: Transformer,
    bits: int = 8,
    *,
    group: int = 32,
    activations: bool = False,
    embeddings: bool = False,
) -> Transformer:
    """A new model for inference with the blocks' matrices in `bits` bits; the old one stays.

    bits: 8 (`Int8Linear`) or 4 (`Int4Linear`, `group` inputs a scale). activations: with 8 bits,
        round the inputs too. embeddings: the table as int8 as well, which a tied head then reads.
    Not touched: norms, biases, learned positions, a head of its own, and routers, whose choice
    among experts a small error can turn. The new model cannot be trained.
    """
    if bits not in LEVELS:
        raise ValueError(f"bits must be 8 or 4, not {bits}")
    small = copy.deepcopy(model).requires_grad_(False)
    for name, linear in list(_linears(small)):
        try:
            if bits == 8:
                new = Int8Linear(linear, activations=activations)
            else:
                new = Int4Linear(linear, group=group)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        small.set_submodule(name, new)
    if embeddings:
        table = Int8Embedding(small.embed)
        small.embed = table
        if small.config.tie_embeddings:
            small.head._embed = (table,)
    return small.eval()


def memory(model: nn.Module) -> int:
    """Bytes of a model's parameters and buffers; tensors that share their memory count once."""
    seen = {}
    for tensor in (*model.parameters(), *model.buffers()):
        seen[tensor.untyped_storage().data_ptr()] = tensor.numel() * tensor.element_size()
    return sum(seen.values())


class LayerError(NamedTuple):
    """Relative errors of one matrix, in the Frobenius norm: |approximate - exact| / |exact|."""

    name: str
    weight: float  # of the matrix
    output: float  # of what it says to its own, exact inputs


@torch.no_grad()
def layer_errors(model: Transformer, quantized: Transformer, ids: Tensor) -> list[LayerError]:
    """What rounding did to each matrix, on the inputs that it has in `model` on ids (B, T).

    Errors of earlier layers are left out here: `stream_errors` shows how they add up.
    """
    inputs: dict[str, Tensor] = {}
    exact = dict(_linears(model))
    hooks = [
        linear.register_forward_pre_hook(lambda _, args, name=name: inputs.update({name: args[0]}))
        for name, linear in exact.items()
    ]
    try:
        model(ids)
    finally:
        for hook in hooks:
            hook.remove()
    found = []
    for name, x in inputs.items():
        ours, theirs = quantized.get_submodule(name), exact[name]
        weight = _relative(ours.weight, theirs.weight)
        found.append(LayerError(name, weight, _relative(ours(x), theirs(x))))
    return found


@torch.no_grad()
def stream_errors(model: Transformer, quantized: Transformer, ids: Tensor) -> list[float]:
    """Relative error of the residual stream after the embedding and after each block."""
    pairs = zip(quantized.hidden_states(ids), model.hidden_states(ids), strict=True)
    return [_relative(ours, exact) for ours, exact in pairs]


def _relative(ours: Tensor, exact: Tensor) -> float:
    return float((ours.float() - exact.float()).norm() / exact.float().norm())


def _linears(model: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """The matrices that are quantized, by name."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] not in ("head", "router"):
            yield name, module
