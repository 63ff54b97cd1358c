"""One model for all the course's families, built from a configuration's fields."""

from llmlib.model.cache import KVCache
from llmlib.model.config import ModelConfig, RopeScaling
from llmlib.model.count import count_parameters, flops_per_token
from llmlib.model.encoder_decoder import DecoderCache, EncoderDecoder, build
from llmlib.model.layers import Routing
from llmlib.model.presets import PRESETS
from llmlib.model.transformer import Transformer, document_positions

__all__ = [
    "PRESETS",
    "DecoderCache",
    "EncoderDecoder",
    "KVCache",
    "ModelConfig",
    "RopeScaling",
    "Routing",
    "Transformer",
    "build",
    "count_parameters",
    "document_positions",
    "flops_per_token",
]
