"""Writing text with a model: sampling, beam search, and sampling within a pattern or a schema."""

from .beam import Beam, beam_search
from .constrained import Constraint, JsonSchema, Regex
from .decode import generate, stream
from .pairs import generate_pairs
from .sampling import adjust, penalize, sample
from .speculative import SpeculativeStats, speculative
from .text import TextStream, complete, stream_text

__all__ = [
    "Beam",
    "Constraint",
    "JsonSchema",
    "Regex",
    "SpeculativeStats",
    "TextStream",
    "adjust",
    "beam_search",
    "complete",
    "generate",
    "generate_pairs",
    "penalize",
    "sample",
    "speculative",
    "stream",
    "stream_text",
]
