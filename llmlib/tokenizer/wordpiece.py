"""WordPiece: BERT's tokenizer. Words are cut greedily into the longest known pieces."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from . import files
from .base import AddedToken, Tokenizer
from .pretokenize import BERT_PATTERN, compile_pieces, keep_spec
from .texts import as_ids, as_texts, check_special_tokens, split_out
from .wordpiece_trainer import learn_pieces

CONTINUES = "##"


class WordPiece(Tokenizer):
    """WordPiece (Schuster and Nakajima 2012; Devlin et al. 2019).

    A word's first piece is spelled as it is, the others begin with ``##``. A word that cannot be
    spelled, or is longer than `max_input_chars`, becomes one `unk_token`.

    It is not lossless, by definition: white space is dropped and `decode` puts one space between
    words ("don't" comes back as "don ' t"), and what was unknown stays unknown.
    """

    kind = "WordPiece"

    def __init__(
        self,
        vocab: Mapping[str, int],
        *,
        pattern: str = BERT_PATTERN,
        special_tokens: Mapping[str, int] | None = None,
        unk_token: str = "[UNK]",
        prefix: str = CONTINUES,
        max_input_chars: int = 100,
        **parts,
    ):
        if unk_token not in vocab:
            raise ValueError(f"the vocabulary has no {unk_token!r}; name its unknown token")
        added = {n: AddedToken(i) for n, i in (special_tokens or {}).items()}
        parts.setdefault("added_tokens", added)
        parts.setdefault("pre_tokenizer", keep_spec(pattern))
        parts.setdefault("decoder", {"type": "WordPiece", "prefix": prefix, "cleanup": False})
        super().__init__(**parts)
        self.vocab, self.unk_token, self.prefix = dict(vocab), unk_token, prefix
        self.max_input_chars = max_input_chars
        self._names = {id: name for name, id in self.vocab.items()} | self._added_names
        # Ordinary text must not spell out a special token.
        self._known = {n: i for n, i in self.vocab.items() if n not in self.special_tokens}
        self._longest = max(map(len, self._known), default=0)

    @classmethod
    def train(
        cls,
        texts: str | Iterable[str],
        vocab_size: int,
        *,
        pattern: str = BERT_PATTERN,
        special_tokens: Sequence[str] = (),
        unk_token: str = "[UNK]",
        min_frequency: int = 2,
        alphabet_size: int | None = None,
    ) -> Self:
        """Learn a vocabulary: special tokens, `unk_token`, the characters, and merged pieces.

        Every character seen enters the vocabulary, once as a word's first and once as a later one
        where it occurs so; `alphabet_size` keeps only that many of the most frequent, and words
        with others become unknown. Merges are chosen by how much they raise the likelihood of the
        text (see `learn_pieces`), not by frequency as in BPE and in the trainer of `tokenizers`.
        Raises ValueError for empty texts or where `vocab_size` does not hold the characters.
        """
        names = check_special_tokens(special_tokens)
        names += [] if unk_token in names else [unk_token]
        counts = _count_words(texts, pattern, names)
        pieces = learn_pieces(
            counts,
            vocab_size - len(names),
            prefix=CONTINUES,
            min_frequency=min_frequency,
            alphabet_size=alphabet_size,
            forbidden=names,
        )
        vocab = {name: id for id, name in enumerate([*names, *pieces])}
        special = {name: id for id, name in enumerate(names)}
        return cls(vocab, pattern=pattern, special_tokens=special, unk_token=unk_token)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read a WordPiece model from a Hugging Face `tokenizer.json`."""
        return cls(**files.wordpiece_parts(files.read_hf(path)))

    @property
    def vocab_size(self) -> int:
        return max(self._names) + 1

    def token_bytes(self, id: int) -> bytes:
        name = self._name(as_ids([id])[0])
        return (name.removeprefix(self.prefix) if id in self._known_ids else name).encode()

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        parts: list[str] = []
        for name in map(self._name, as_ids(ids)):
            if parts and name.startswith(self.prefix):
                parts.append(name.removeprefix(self.prefix))
            else:
                parts += [" ", name] if parts else [name]
        return "".join(parts).encode()

    def to_dict(self) -> dict:
        """Return `tokens` by id, the prefix, the unknown token's id, and the length limit."""
        return {
            "type": "wordpiece",
            "pattern": self.pattern,
            "tokens": [self._names.get(id) for id in range(self.vocab_size)],
            "prefix": self.prefix,
            "unk_id": self.vocab[self.unk_token],
            "max_input_chars": self.max_input_chars,
            "special_tokens": dict(self.special_tokens),
        }

    @property
    def _known_ids(self) -> set[int]:
        return set(self._known.values())

    def _name(self, id: int) -> str:
        if id not in self._names:
            raise ValueError(f"id {id} is not in the vocabulary of {len(self._names)} tokens")
        return self._names[id]

    def _model_to_hf(self) -> dict:
        return {
            "type": "WordPiece",
            "unk_token": self.unk_token,
            "continuing_subword_prefix": self.prefix,
            "max_input_chars_per_word": self.max_input_chars,
            "vocab": dict(sorted(self.vocab.items(), key=lambda item: item[1])),
        }

    def _encode_piece(self, piece: str) -> list[int]:
        """Cut a word from the left into the longest pieces that are known."""
        unknown = [self.vocab[self.unk_token]]
        if len(piece) > self.max_input_chars:
            return unknown
        ids: list[int] = []
        start = 0
        while start < len(piece):
            prefix = self.prefix if start else ""
            end = min(len(piece), start + self._longest)
            while end > start and (prefix + piece[start:end]) not in self._known:
                end -= 1
            if end == start:
                return unknown
            ids.append(self._known[prefix + piece[start:end]])
            start = end
        return ids


def _count_words(
    texts: str | Iterable[str], pattern: str, special_tokens: Sequence[str]
) -> Counter[str]:
    pieces = compile_pieces(keep_spec(pattern))
    counts: Counter[str] = Counter()
    for text in as_texts(texts):
        for part in split_out(text, special_tokens):
            counts.update(pieces(part, True))
    return counts
