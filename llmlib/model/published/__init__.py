"""The models that the course names, as data: configuration, sizes as published, and sources.

`MODELS["llama-2-7b"]` is a `Published`. Exact totals marked with a page of the Hugging Face hub
are what the hub counts in the repository's files; some of them were read in copies of the hub's
answers, since the originals ask for an agreement. What differs from the parameters is explained in
the entry's note, and held to the number in tests.
"""

from llmlib.model.published import gemma, gpt, llama, open_models, qwen, t5
from llmlib.model.published.record import Published

MODELS: dict[str, Published] = (
    gpt.MODELS | t5.MODELS | open_models.MODELS | llama.MODELS | gemma.MODELS | qwen.MODELS
)

__all__ = ["MODELS", "Published"]
