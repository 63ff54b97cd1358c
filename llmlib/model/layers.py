"""Norms, the feed-forward network, and a mixture of several.

Shapes: B batch, T length, D model width, F d_ff, E experts, C experts chosen a token.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.model.config import ModelConfig

ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "relu": F.relu,
    "relu2": lambda x: F.relu(x).square(),  # So et al. 2021 (Primer)
}


@torch.no_grad()
def fill_weights(model: nn.Module, config: ModelConfig, writes: Callable[[str], int]) -> None:
    """Matrices and tables from N(0, init_std), biases 0, norms 1 (Radford et al. 2019).

    o_proj and down_proj write to a residual stream: `writes(name)` times it is written to, and they
    are scaled by 1/sqrt of it if `init_scale_residual`, so that the stream's variance does not grow
    with depth.
    """
    for name, parameter in model.named_parameters():
        if name.endswith((".o_proj.weight", ".down_proj.weight")):
            times = writes(name) if config.init_scale_residual else 1
            parameter.normal_(std=config.init_std / math.sqrt(times))
        elif parameter.dim() == 2:
            parameter.normal_(std=config.init_std)
        elif name.endswith("bias"):
            parameter.zero_()
        else:
            parameter.fill_(1.0)


class LayerNorm(nn.Module):
    """Subtract the mean, divide by the standard deviation, scale, shift (Ba et al. 2016)."""

    def __init__(self, d: int, eps: float = 1e-5, bias: bool = True):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d))
        self.bias = nn.Parameter(torch.zeros(d)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class RMSNorm(nn.Module):
    """Divide by the root mean square, scale (Zhang and Sennrich 2019)."""

    def __init__(self, d: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def make_norm(config: ModelConfig, width: int | None = None) -> nn.Module:
    """The norm that the config asks for, over the last dimension: `width`, or d_model."""
    width = config.d_model if width is None else width
    if config.norm == "layernorm":
        return LayerNorm(width, config.norm_eps, config.norm_bias)
    if config.norm == "rmsnorm":
        return RMSNorm(width, config.norm_eps)
    return nn.Identity()


class MLP(nn.Module):
    """(B, T, D) -> (B, T, D): widen to F, bend, narrow; with a gate, SwiGLU and its kin.

    Gated: down(act(gate(x)) * up(x)) (Shazeer 2020); otherwise down(act(up(x))).
    """

    def __init__(self, config: ModelConfig, d_ff: int | None = None):
        super().__init__()
        d, f, bias = config.d_model, d_ff or config.d_ff, config.bias_mlp
        self.activation = ACTIVATIONS[config.activation]
        self.gate_proj = nn.Linear(d, f, bias=bias) if config.gated else None
        self.up_proj = nn.Linear(d, f, bias=bias)
        self.down_proj = nn.Linear(f, d, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.gate_proj is None:
            return self.down_proj(self.activation(self.up_proj(x)))
        return self.down_proj(self.activation(self.gate_proj(x)) * self.up_proj(x))


class Routing(NamedTuple):
    """Where one layer's router sent each token."""

    experts: Tensor  # (B, T, C) int64, the likeliest first
    weights: Tensor  # (B, T, C), what each one's answer is multiplied by
    probs: Tensor  # (B, T, E), the router's softmax over all experts


class MoE(nn.Module):
    """(B, T, D) -> (B, T, D): a router sends each token to C of E feed-forward networks.

    Their answers are added up, weighted by the router's probabilities, which are first made to sum
    to 1 over the chosen ones if `renormalize_experts` (Shazeer et al. 2017; Jiang et al. 2024).
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.n_chosen, self.renormalize = config.n_experts_per_token, config.renormalize_experts
        self.router = nn.Linear(config.d_model, config.n_experts, bias=False)
        self.experts = nn.ModuleList(MLP(config, config.d_expert) for _ in range(config.n_experts))

    def forward(self, x: Tensor, watched: list[Routing] | None = None) -> Tensor:
        routing = self.route(x)
        if watched is not None:
            watched.append(routing)
        tokens, chosen = x.flatten(0, 1), routing.experts.flatten(0, 1)  # (B T, D), (B T, C)
        weights = routing.weights.flatten(0, 1).type_as(x)  # (B T, C)
        y = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            token, place = (chosen == number).nonzero(as_tuple=True)  # who comes to this expert
            if len(token):
                y = y.index_add(0, token, weights[token, place, None] * expert(tokens[token]))
        return y.view_as(x)

    def route(self, x: Tensor) -> Routing:
        """The router's choice for each token of x (B, T, D)."""
        probs = self.router(x).float().softmax(dim=-1)  # (B, T, E)
        weights, experts = probs.topk(self.n_chosen, dim=-1)  # (B, T, C)
        if self.renormalize:
            weights = weights / weights.sum(dim=-1, keepdim=True)
        return Routing(experts, weights, probs)
