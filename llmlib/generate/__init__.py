"""Writing text with a model: sampling, and sampling within a pattern or a JSON Schema."""

from .constrained import Constraint, JsonSchema, Regex
from .sampling import complete, generate, sample

__all__ = ["Constraint", "JsonSchema", "Regex", "complete", "generate", "sample"]
