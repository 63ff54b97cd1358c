"""What comes in: texts, ids and special tokens, checked before anything is done with them."""

from collections.abc import Iterable, Iterator, Sequence
from operator import index as as_int

import regex


def valid_text(text: str | bytes, errors: str = "strict") -> str:
    """Return `text` if it is valid Unicode; else raise ValueError that says where, or replace by
    U+FFFD.
    """
    if errors not in ("strict", "replace"):
        raise ValueError(f'errors is "strict" or "replace", not {errors!r}')
    if isinstance(text, bytes):
        try:
            return text.decode("utf-8", errors)
        except UnicodeDecodeError as error:
            raise ValueError(
                f"byte {text[error.start]:#04x} at position {error.start} is not UTF-8; "
                'pass errors="replace" to read U+FFFD in its place'
            ) from None
    if not isinstance(text, str):
        raise TypeError(f"a tokenizer encodes str or bytes, not {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        if errors == "replace":
            return regex.sub(r"[\ud800-\udfff]", "\ufffd", text)
        raise ValueError(
            f"lone surrogate U+{ord(text[error.start]):04X} at position {error.start}: it is not "
            'valid Unicode and has no bytes; pass errors="replace" to read U+FFFD in its place'
        ) from None
    return text


def as_ids(ids: Iterable[int]) -> list[int]:
    """Return plain ints from a list, an array or a one-dimensional tensor."""
    ids = ids.tolist() if hasattr(ids, "tolist") else ids
    return [as_int(id) for id in ids]


def as_texts(texts: str | Iterable[str]) -> Iterator[str]:
    """Yield valid texts from one text or many. Raises ValueError if together they are empty."""
    empty = True
    for text in [texts] if isinstance(texts, str) else texts:
        empty = empty and not text
        yield valid_text(text)
    if empty:
        raise ValueError("there is nothing to train on: the texts are empty")


def check_special_tokens(names: Sequence[str]) -> list[str]:
    """Return the names as a list. Raises ValueError for an empty or repeated one."""
    names = [names] if isinstance(names, str) else list(names)
    if not all(names):
        raise ValueError("a special token needs a name of at least one character")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"special tokens given twice: {', '.join(repeated)}")
    return names


def split_out(text: str, names: Sequence[str]) -> list[str]:
    """Return the parts of `text` between the special tokens it spells out."""
    if not any(name in text for name in names):
        return [text]
    longest_first = sorted(names, key=len, reverse=True)
    return list(filter(None, regex.split("|".join(map(regex.escape, longest_first)), text)))
