"""What every tokenizer shares: special tokens, cutting text into pieces, a cache, decoding."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

import regex

from .normalize import compile_normalizer
from .patterns import GPT2_PATTERN
from .pretokenize import BERT_PATTERN, compile_pieces
from .texts import as_ids, valid_text

# Long pieces seldom come back, so they are not worth their memory; a full cache is emptied and
# filled anew.
MAX_CACHED_PIECE, MAX_CACHE_SIZE = 256, 1_000_000


class AddedToken(NamedTuple):
    """A token that is matched as a whole before anything else is cut.

    `special` ones are matched only where the caller allows it; the others always are. `lstrip` and
    `rstrip` let it swallow the white space beside it, `single_word` asks that it does not touch a
    letter.
    """

    id: int
    special: bool = True
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False


class _PieceCache(dict):
    """Ids of pieces, computed when first asked for."""

    def __init__(self, encode_piece: Callable[[str], list[int]]):
        super().__init__()
        self._encode_piece = encode_piece

    def __missing__(self, piece: str) -> list[int]:
        ids = self._encode_piece(piece)
        if len(piece) <= MAX_CACHED_PIECE:
            if len(self) >= MAX_CACHE_SIZE:
                self.clear()
            self[piece] = ids
        return ids


class Tokenizer(ABC):
    """The interface of `BPE`, `WordPiece` and `Unigram`.

    Text goes through four steps: added tokens are cut out, the rest is normalized (often: not at
    all), cut into pieces, and each piece becomes ids. Only the last step differs between the
    algorithms.
    """

    kind: str  # the model's type in tokenizer.json

    def __init__(
        self,
        *,
        pre_tokenizer: dict | None,
        added_tokens: Mapping[str, AddedToken],
        normalizer: dict | None = None,
        post_processor: dict | None = None,
        decoder: dict | None = None,
    ):
        self.pre_tokenizer, self.normalizer = pre_tokenizer, normalizer
        self.post_processor, self.decoder = post_processor, decoder  # kept for `save` only
        self.added_tokens = dict(added_tokens)
        self.special_tokens: dict[str, int] = {
            name: token.id for name, token in self.added_tokens.items() if token.special
        }
        self._added_names = {token.id: name for name, token in self.added_tokens.items()}
        self._always = frozenset(self.added_tokens.keys() - self.special_tokens.keys())
        self._finders: dict[frozenset[str], regex.Pattern | None] = {}
        self._normalize = compile_normalizer(normalizer)
        self._pieces = compile_pieces(pre_tokenizer)
        self._cache = _PieceCache(self._encode_piece)

    # What the algorithms provide.

    @abstractmethod
    def _encode_piece(self, piece: str) -> list[int]:
        """Return the ids of one piece."""

    @abstractmethod
    def token_bytes(self, id: int) -> bytes:
        """Return what a token stands for, as bytes. Raises ValueError for an id outside the
        vocabulary.
        """

    @abstractmethod
    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the bytes that `ids` stand for."""

    @abstractmethod
    def to_dict(self) -> dict:
        """Return a small JSON-ready structure with which the algorithm can run elsewhere."""

    @abstractmethod
    def _model_to_hf(self) -> dict:
        """Return the `model` part of a tokenizer.json."""

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """The largest id plus one: the number of rows an embedding table needs."""

    # What they share.

    @property
    def pattern(self) -> str | None:
        """The pre-tokenization pattern, where the pre-tokenizer is one pattern; else None."""
        return _pattern_of(self.pre_tokenizer)

    def encode(
        self,
        text: str | bytes,
        *,
        allowed_special: Literal["all"] | Collection[str] = (),
        errors: Literal["strict", "replace"] = "strict",
    ) -> list[int]:
        """Return the token ids of `text`.

        A special token's spelling in `text` is ordinary text unless `allowed_special` names it (a
        set of names, or ``"all"``). `errors` says what happens to a lone surrogate, and in `bytes`
        to what is not UTF-8: ValueError, or U+FFFD in its place.
        """
        text = valid_text(text, errors)
        finder = self._finder(allowed_special)
        if finder is None:
            return self._encode_ordinary(text, True)
        ids: list[int] = []
        end = 0
        for match in finder.finditer(text):
            if match.start() > end:
                ids += self._encode_ordinary(text[end : match.start()], end == 0)
            ids.append(self.added_tokens[match.group(match.lastgroup)].id)
            end = match.end()
        if end < len(text):
            ids += self._encode_ordinary(text[end:], end == 0)
        return ids

    def encode_pieces(self, text: str) -> list[tuple[str, list[int]]]:
        """Return the pieces that `text` is cut into, each with its ids; no special token is
        recognised.
        """
        pieces = self._pieces(self._normalize(valid_text(text)), True)
        return [(piece, list(self._cache[piece])) for piece in pieces]

    def decode(
        self, ids: Iterable[int], *, errors: str = "replace", skip_special: bool = False
    ) -> str:
        """Return the text of `ids`; bytes that are not UTF-8 become U+FFFD, or raise with
        ``errors="strict"``.

        `skip_special` leaves special tokens out.
        """
        if skip_special:
            special = set(self.special_tokens.values())
            ids = [id for id in as_ids(ids) if id not in special]
        return self.decode_bytes(ids).decode("utf-8", errors)

    def to_hf(self) -> dict:
        """Return the content of a Hugging Face `tokenizer.json`."""
        names = sorted(self.added_tokens, key=lambda name: self.added_tokens[name].id)
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [_added_to_hf(name, self.added_tokens[name]) for name in names],
            "normalizer": self.normalizer,
            "pre_tokenizer": self.pre_tokenizer,
            "post_processor": self.post_processor,
            "decoder": self.decoder,
            "model": self._model_to_hf(),
        }

    def save(self, path: str | os.PathLike) -> None:
        """Write a Hugging Face `tokenizer.json`, all of it or nothing.

        `tokenizers.Tokenizer.from_file` gives the same ids; it recognises every special token, as
        this class does with ``allowed_special="all"``. Raises OSError, naming the file, if it
        cannot be written; an earlier file of that name then stays as it was.
        """
        path = Path(path)
        partial = path.with_name(path.name + ".partial")
        try:
            partial.write_text(
                json.dumps(self.to_hf(), ensure_ascii=False, indent=1) + "\n", "utf-8"
            )
            os.replace(partial, path)
        except OSError as error:
            raise OSError(error.errno, f"could not write {path} ({error.strerror})") from error
        finally:
            partial.unlink(missing_ok=True)

    def fingerprint(self) -> str:
        """Return a SHA-256 (hex) of everything that decides the ids: vocabulary, merges, pattern,
        specials.
        """
        content = json.dumps(self.to_hf(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    def __len__(self) -> int:
        return self.vocab_size

    def __repr__(self) -> str:
        special = len(self.special_tokens)
        return f"{type(self).__name__}(vocab_size={self.vocab_size}, special={special})"

    def _encode_ordinary(self, text: str, at_start: bool) -> list[int]:
        pieces = self._pieces(self._normalize(text), at_start)
        return list(chain.from_iterable(map(self._cache.__getitem__, pieces)))

    def _finder(self, allowed: Literal["all"] | Collection[str]) -> regex.Pattern | None:
        """Return the pattern that finds the added tokens to recognise, or None where there are
        none.
        """
        if isinstance(allowed, str):
            if allowed != "all":
                raise ValueError(f'allowed_special is "all" or a set of names, not {allowed!r}')
            allowed = self.special_tokens
        names = self._always.union(allowed)
        if names not in self._finders:
            unknown = sorted(names - self.added_tokens.keys())
            if unknown:
                raise ValueError(f"not special tokens of this tokenizer: {', '.join(unknown)}")
            self._finders[names] = _compile_finder({n: self.added_tokens[n] for n in names})
        return self._finders[names]


def _compile_finder(tokens: Mapping[str, AddedToken]) -> regex.Pattern | None:
    """One alternative a token, the longest first: at one place the longest name wins."""
    if not tokens:
        return None
    parts = []
    for number, name in enumerate(sorted(tokens, key=lambda name: (-len(name), name))):
        token = tokens[name]
        core = f"(?P<t{number}>{regex.escape(name)})"
        core = rf"(?<!\w){core}(?!\w)" if token.single_word else core
        parts.append((r"\s*" if token.lstrip else "") + core + (r"\s*" if token.rstrip else ""))
    return regex.compile("|".join(parts))


def _added_to_hf(name: str, token: AddedToken) -> dict:
    return {
        "id": token.id,
        "content": name,
        "single_word": token.single_word,
        "lstrip": token.lstrip,
        "rstrip": token.rstrip,
        "normalized": False,
        "special": token.special,
    }


def _pattern_of(spec: dict | None) -> str | None:
    if spec is None:
        return None
    first = spec.get("pretokenizers", [spec])[0]
    if first["type"] == "Split":
        return first["pattern"].get("Regex")
    if first["type"] == "ByteLevel" and first.get("use_regex", True):
        return GPT2_PATTERN
    return BERT_PATTERN if first["type"] == "BertPreTokenizer" else None
