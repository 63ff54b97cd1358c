"""Writing text with a model: sampling, and sampling within a pattern or a JSON Schema."""

from .sampling import complete, generate, sample

__all__ = ["complete", "generate", "sample"]
