"""From the stream to logits: (B, T, D) -> (B, T, V), V the vocabulary."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.model.config import ModelConfig


def finish(logits: Tensor, scale: float, softcap: float | None) -> Tensor:
    """Scale logits, then bend them so that none goes beyond `softcap` (Gemma 2)."""
    logits = logits if scale == 1 else logits * scale
    return logits if softcap is None else softcap * (logits / softcap).tanh()


class Head(nn.Linear):
    """A matrix of its own; what config says of scale, cap and bias."""

    def __init__(self, config: ModelConfig):
        super().__init__(config.d_model, config.vocab_size, bias=config.bias_head)
        self.scale, self.softcap = config.logit_scale, config.logit_softcap

    def forward(self, x: Tensor) -> Tensor:
        return finish(super().forward(x), self.scale, self.softcap)


class TiedHead(nn.Module):
    """Through the embedding table, which stays one tensor in state_dict."""

    def __init__(self, embed: nn.Embedding, config: ModelConfig):
        super().__init__()
        self._embed = (embed,)  # in a tuple: registered here, the table would be listed twice
        self.bias = nn.Parameter(torch.zeros(config.vocab_size)) if config.bias_head else None
        self.scale, self.softcap = config.logit_scale, config.logit_softcap

    @property
    def weight(self) -> Tensor:
        return self._embed[0].weight

    def forward(self, x: Tensor) -> Tensor:
        return finish(F.linear(x, self.weight, self.bias), self.scale, self.softcap)


def make_head(config: ModelConfig, embed: nn.Embedding) -> nn.Module:
    """The head that the config asks for, tied to `embed` or with a matrix of its own."""
    return TiedHead(embed, config) if config.tie_embeddings else Head(config)
