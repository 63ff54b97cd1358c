"""Norms and the feed-forward network. Shapes: B batch, T length, D model width, F d_ff."""

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


def make_norm(config: ModelConfig) -> nn.Module:
    """The norm that the config asks for, over the last dimension of (B, T, D)."""
    if config.norm == "layernorm":
        return LayerNorm(config.d_model, config.norm_eps, config.norm_bias)
    if config.norm == "rmsnorm":
        return RMSNorm(config.d_model, config.norm_eps)
    return nn.Identity()


class MLP(nn.Module):
    """(B, T, D) -> (B, T, D): widen to F, bend, narrow; with a gate, SwiGLU and its kin.

    Gated: down(act(gate(x)) * up(x)) (Shazeer 2020); otherwise down(act(up(x))).
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        d, f, bias = config.d_model, config.d_ff, config.bias_mlp
        self.activation = ACTIVATIONS[config.activation]
        self.gate_proj = nn.Linear(d, f, bias=bias) if config.gated else None
        self.up_proj = nn.Linear(d, f, bias=bias)
        self.down_proj = nn.Linear(f, d, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.gate_proj is None:
            return self.down_proj(self.activation(self.up_proj(x)))
        return self.down_proj(self.activation(self.gate_proj(x)) * self.up_proj(x))
