"""The block: attention, then a feed-forward network, each adding to the residual stream.

What differs between families is where the norms sit. Shapes: B batch, T length, D model width.
"""

from torch import Tensor, nn

from llmlib.model.attention import Attention, Context
from llmlib.model.config import ModelConfig
from llmlib.model.layers import MLP, MoE, make_norm


class Block(nn.Module):
    """Attention, then MLP, each reading a normed copy of the residual stream and adding to it."""

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.attn_norm = make_norm(config)
        self.attn = Attention(config, layer)
        self.mlp_norm = None if config.shared_norm else make_norm(config)
        self.mlp = MoE(config) if config.n_experts else MLP(config)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        x = x + self.attn(self.attn_norm(x), context)
        x = x + self.feed_forward(self.mlp_norm(x), context)
        return x

    def feed_forward(self, x: Tensor, context: Context) -> Tensor:
        """The MLP, or the mixture of experts, whose choices may be watched: (B, T, D)."""
        if isinstance(self.mlp, MoE):
            return self.mlp(x, context.routing)
        return self.mlp(x)


class PostNormBlock(Block):
    """The original order: the norm sits on the residual stream itself (Vaswani et al. 2017)."""

    def forward(self, x: Tensor, context: Context) -> Tensor:
        x = self.attn_norm(x + self.attn(x, context))
        x = self.mlp_norm(x + self.feed_forward(x, context))
        return x


class BranchNormBlock(Block):
    """Each branch reads the stream as it is; what it has to say is normed (OLMo 2)."""

    def forward(self, x: Tensor, context: Context) -> Tensor:
        x = x + self.attn_norm(self.attn(x, context))
        x = x + self.mlp_norm(self.feed_forward(x, context))
        return x


class SandwichBlock(Block):
    """A norm before each branch and one after it (Gemma 2 and 3)."""

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__(config, layer)
        self.attn_out_norm = make_norm(config)
        self.mlp_out_norm = make_norm(config)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        x = x + self.attn_out_norm(self.attn(self.attn_norm(x), context))
        x = x + self.mlp_out_norm(self.feed_forward(self.mlp_norm(x), context))
        return x


class ParallelBlock(Block):
    """Attention and MLP read the same stream, side by side (GPT-J, Pythia, PaLM)."""

    def forward(self, x: Tensor, context: Context) -> Tensor:
        a = self.attn_norm(x)
        m = a if self.mlp_norm is None else self.mlp_norm(x)
        return x + self.attn(a, context) + self.feed_forward(m, context)


def make_block(config: ModelConfig, layer: int) -> Block:
    """The block that the config asks for."""
    if config.parallel:
        return ParallelBlock(config, layer)
    places = {"pre": Block, "post": PostNormBlock, "sandwich": SandwichBlock}
    return (places | {"branch": BranchNormBlock})[config.norm_place](config, layer)
