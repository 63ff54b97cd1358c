"""Normalizers: changes to the text before it is cut, as a `tokenizer.json` may name them.

Tokenizers trained here have none: what is normalized away cannot be decoded. Files of other models do.
"""

import unicodedata
from collections.abc import Callable

import regex


def compile_normalizer(spec: dict | None) -> Callable[[str], str]:
    """Return the function that a normalizer's description stands for. Raises ValueError for a kind not covered."""
    if spec is None:
        return str
    kind = spec["type"]
    if kind == "Sequence":
        return _chain([compile_normalizer(inner) for inner in spec["normalizers"]])
    raise ValueError(kind)


def _chain(steps: list[Callable[[str], str]]) -> Callable[[str], str]:
    def normalize(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return normalize
