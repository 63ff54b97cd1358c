"""Normalizers: changes to the text before it is cut, as a `tokenizer.json` may name them.

Tokenizers trained here have none: what is normalized away cannot be decoded. Files of other
models do. Characters younger than the Unicode tables inside `tokenizers` (for BERT's steps about
version 8) may be treated differently from there.
"""

import unicodedata
from collections.abc import Callable

import regex

Normalizer = Callable[[str], str]

# What BERT takes for Chinese characters: the CJK ideograph blocks.
_CJK = (
    "[\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002b73f"
    "\U0002b740-\U0002b81f\U0002b920-\U0002ceaf\uf900-\ufaff\U0002f800-\U0002fa1f]"
)
_NMT_DROP = r"[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"
_NMT_SPACE = r"[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"


def compile_normalizer(spec: dict | None) -> Normalizer:
    """Return the function that a normalizer's description stands for.

    Raises ValueError for a kind that is not covered.
    """
    if spec is None:
        return str
    kind = spec["type"]
    if kind == "Sequence":
        return _chain([compile_normalizer(inner) for inner in spec["normalizers"]])
    if kind in _WITHOUT_OPTIONS:
        return _WITHOUT_OPTIONS[kind]
    if kind in _WITH_OPTIONS:
        return _WITH_OPTIONS[kind](spec)
    raise ValueError(
        f"normalizer {kind!r} is not covered; covered are Sequence, "
        f"{', '.join(sorted(_WITHOUT_OPTIONS.keys() | _WITH_OPTIONS.keys()))}"
    )


def _chain(steps: list[Normalizer]) -> Normalizer:
    def normalize(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return normalize


def _lower(text: str) -> str:
    """Lowercase each character by itself: a final sigma becomes σ, as in `tokenizers`, not ς."""
    return "".join(map(str.lower, text))


def _nmt(text: str) -> str:
    """SentencePiece's clean-up: drop control characters, make every separator a space."""
    return regex.sub(_NMT_SPACE, " ", regex.sub(_NMT_DROP, "", text))


def _drop(pattern: str) -> Normalizer:
    compiled = regex.compile(pattern)
    return lambda text: compiled.sub("", text)


def _form(name: str) -> Normalizer:
    return lambda text: unicodedata.normalize(name, text)


def _bert(spec: dict) -> Normalizer:
    """BERT's: clean, put spaces around Chinese characters, strip accents, lowercase."""
    steps: list[Normalizer] = []
    if spec.get("clean_text", True):
        steps.append(_drop(r"[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}]"))
        steps.append(lambda text: regex.sub(r"\s", " ", text))
    if spec.get("handle_chinese_chars", True):
        steps.append(lambda text: regex.sub(_CJK, r" \g<0> ", text))
    lowercase = spec.get("lowercase", True)
    strip = spec.get("strip_accents")
    if lowercase if strip is None else strip:
        steps += [_form("NFD"), _drop(r"\p{Mn}")]
    if lowercase:
        steps.append(_lower)
    return _chain(steps)


def _replace(spec: dict) -> Normalizer:
    (kind, pattern), *_ = spec["pattern"].items()
    content = spec["content"]
    if kind == "String":
        return lambda text: text.replace(pattern, content)
    compiled = regex.compile(pattern)
    return lambda text: compiled.sub(lambda _: content, text)


def _prepend(spec: dict) -> Normalizer:
    return lambda text: spec["prepend"] + text if text else text


def _strip(spec: dict) -> Normalizer:
    left, right = spec.get("strip_left", True), spec.get("strip_right", True)
    return _chain([_drop(r"^\s+")] * left + [_drop(r"\s+$")] * right)


_WITHOUT_OPTIONS: dict[str, Normalizer] = {
    "NFC": _form("NFC"),
    "NFD": _form("NFD"),
    "NFKC": _form("NFKC"),
    "NFKD": _form("NFKD"),
    "Lowercase": _lower,
    "Nmt": _nmt,
    "StripAccents": _drop(r"\p{M}"),
}
_WITH_OPTIONS: dict[str, Callable[[dict], Normalizer]] = {
    "BertNormalizer": _bert,
    "Prepend": _prepend,
    "Replace": _replace,
    "Strip": _strip,
}
