"""Byte-level byte-pair encoding: the tokenizer of GPT-2 and of most models since."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self

from . import files
from .alphabet import BYTE_ORDER, CHAR_TO_BYTE, to_stand_in
from .base import AddedToken, Tokenizer
from .bpe_merge import merge_long, merge_short
from .bpe_trainer import MergeStep, iter_merges
from .patterns import GPT2_PATTERN
from .pretokenize import compile_pieces, split_spec
from .texts import as_ids, as_texts, check_special_tokens, split_out

LONG_PIECE = 256  # bytes; above it the merging that is linear in memory moves pays off


class BPE(Tokenizer):
    """Byte-level BPE. Every string is encoded, and ``decode(encode(text)) == text``.

    `vocab` maps a token's bytes to its id; `merges` are pairs of tokens, the first learned first.
    `ranks` may give several merges one rank (tiktoken's files do); of equal ranks the leftmost
    place is merged first. With `ignore_merges` a piece that is in the vocabulary as a whole becomes
    that token without looking at merges.
    """

    kind = "BPE"

    def __init__(
        self,
        vocab: Mapping[bytes, int],
        merges: Sequence[tuple[bytes, bytes]],
        *,
        pattern: str = GPT2_PATTERN,
        special_tokens: Mapping[str, int] | None = None,
        ranks: Sequence[int] | None = None,
        ignore_merges: bool = False,
        **parts,
    ):
        parts.setdefault("pre_tokenizer", byte_level_spec(pattern))
        parts.setdefault("decoder", _byte_level(use_regex=True))
        parts.setdefault(
            "added_tokens", {n: AddedToken(i) for n, i in (special_tokens or {}).items()}
        )
        super().__init__(**parts)
        self.vocab, self.merges, self.ignore_merges = dict(vocab), list(merges), ignore_merges
        ranks = range(len(self.merges)) if ranks is None else ranks
        self._rank: dict[tuple[int, int], int] = {}
        self._new_id: dict[int, int] = {}
        for (left, right), rank in zip(self.merges, ranks, strict=True):
            try:
                pair, new_id = (self.vocab[left], self.vocab[right]), self.vocab[left + right]
            except KeyError as error:
                raise ValueError(
                    f"merge {left!r} + {right!r}: {error.args[0]!r} is not in the vocabulary"
                ) from None
            self._rank[pair] = rank
            self._new_id[rank] = new_id
        self._bytes = {id: token for token, id in self.vocab.items()}
        self._bytes |= {id: name.encode() for id, name in self._added_names.items()}
        self._byte_ids = [self.vocab.get(bytes([byte]), -1) for byte in range(256)]

    @classmethod
    def train(
        cls,
        texts: str | Iterable[str],
        vocab_size: int,
        *,
        pattern: str = GPT2_PATTERN,
        special_tokens: Sequence[str] = (),
        min_frequency: int = 1,
    ) -> Self:
        """Learn a vocabulary of `vocab_size` tokens: the special tokens, 256 bytes, and merges.

        Ids are in that order. A special token that the texts spell out is left out of the counts,
        and no merge forms one. The vocabulary stays smaller where the texts run out of pairs that
        occur `min_frequency` times. Raises ValueError for empty texts, a lone surrogate, or a
        `vocab_size` below 256 plus the special tokens.
        """
        names = check_special_tokens(special_tokens)
        if clash := [name for name in names if name in CHAR_TO_BYTE]:
            raise ValueError(
                f"special tokens {clash} are the names of single bytes; choose longer ones"
            )
        first = len(names) + 256
        if vocab_size < first:
            raise ValueError(
                f"vocab_size={vocab_size} is too small: 256 bytes and {len(names)} special "
                f"tokens need {first}"
            )
        vocab = {bytes([byte]): len(names) + order for order, byte in enumerate(BYTE_ORDER)}
        merges: list[tuple[bytes, bytes]] = []
        forbidden = [name.encode() for name in names]
        counts = count_pieces(texts, pattern, names)
        steps = iter_merges(counts, min_frequency=min_frequency, forbidden=forbidden)
        while len(vocab) + len(names) < vocab_size and (step := next(steps, None)):
            merges.append((step.left, step.right))
            vocab.setdefault(step.token, len(vocab) + len(names))
        special = {name: id for id, name in enumerate(names)}
        return cls(vocab, merges, pattern=pattern, special_tokens=special)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read a byte-level BPE from a Hugging Face `tokenizer.json`."""
        return cls(**files.bpe_parts(files.read_hf(path)))

    @classmethod
    def from_gpt2(cls, vocab_path: str | os.PathLike, merges_path: str | os.PathLike) -> Self:
        """Read GPT-2's `vocab.json` and `merges.txt` (with or without its `#version` line)."""
        return cls(**files.gpt2_parts(vocab_path, merges_path))

    @classmethod
    def from_tiktoken(
        cls,
        path: str | os.PathLike,
        pattern: str,
        special_tokens: Mapping[str, int] | Sequence[str] = (),
    ) -> Self:
        """Read a `.tiktoken` rank file, which holds neither pattern nor special tokens."""
        return cls(**files.tiktoken_parts(path, special_tokens), pattern=pattern)

    @property
    def vocab_size(self) -> int:
        return max(self._bytes, default=-1) + 1

    def token_bytes(self, id: int) -> bytes:
        return self.decode_bytes([id])

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        try:
            return b"".join(map(self._bytes.__getitem__, as_ids(ids)))
        except KeyError as error:
            raise ValueError(
                f"id {error.args[0]} is not in the vocabulary of {len(self._bytes)} tokens"
            ) from None

    def encode_bytes(self, data: bytes) -> list[int]:
        """Return ids that decode to exactly `data`, be it UTF-8 or not; special tokens are not
        recognised.

        Bytes that are not UTF-8 are cut into pieces as if each were an unknown character.
        """
        text = data.decode("utf-8", "surrogateescape")
        pieces = self._pieces(text, True)
        return [
            id for piece in pieces for id in self._merge(piece.encode("utf-8", "surrogateescape"))
        ]

    def to_dict(self) -> dict:
        """Return `tokens` (printable stand-ins by id), `merges` as [left id, right id, new id],
        pattern, specials.
        """
        by_rank = sorted(self._rank.items(), key=lambda item: item[1])
        return {
            "type": "bpe",
            "pattern": self.pattern,
            "tokens": [self._name(id) for id in range(self.vocab_size)],
            "merges": [[left, right, self._new_id[rank]] for (left, right), rank in by_rank],
            "special_tokens": dict(self.special_tokens),
        }

    def _name(self, id: int) -> str | None:
        token = self._bytes.get(id)
        return self._added_names.get(id) or (None if token is None else to_stand_in(token))

    def _model_to_hf(self) -> dict:
        vocab = {to_stand_in(token): id for token, id in self.vocab.items()}
        vocab |= {name: token.id for name, token in self.added_tokens.items()}
        return {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": self.ignore_merges,
            "vocab": dict(sorted(vocab.items(), key=lambda item: item[1])),
            "merges": [[to_stand_in(left), to_stand_in(right)] for left, right in self.merges],
        }

    def _encode_piece(self, piece: str) -> list[int]:
        return self._merge(piece.encode())

    def _merge(self, data: bytes) -> list[int]:
        """Return the ids of one piece's bytes."""
        if self.ignore_merges and data in self.vocab:
            return [self.vocab[data]]
        ids = list(map(self._byte_ids.__getitem__, data))
        if -1 in ids:
            byte = data[ids.index(-1)]
            raise ValueError(f"byte {byte:#04x} is not in this vocabulary, which lacks some bytes")
        merge = merge_short if len(ids) <= LONG_PIECE else merge_long
        return merge(ids, self._rank, self._new_id)


def count_pieces(
    texts: str | Iterable[str], pattern: str = GPT2_PATTERN, special_tokens: Sequence[str] = ()
) -> Counter[bytes]:
    """Return how often each piece occurs in `texts`; spelled-out special tokens are not counted."""
    pieces = compile_pieces(split_spec(pattern))
    counts: Counter[str] = Counter()
    for text in as_texts(texts):
        for part in split_out(text, special_tokens):
            counts.update(pieces(part, True))
    return Counter({piece.encode(): count for piece, count in counts.items()})


def merge_steps(
    texts: str | Iterable[str], n_merges: int | None = None, *, pattern: str = GPT2_PATTERN
) -> Iterator[MergeStep]:
    """Yield the first `n_merges` merges (all that there are, by default) one by one, to watch them
    happen.
    """
    steps = iter_merges(count_pieces(texts, pattern))
    for step in steps:
        if n_merges is not None and step.rank >= n_merges:
            return
        yield step


def byte_level_spec(pattern: str) -> dict:
    """The pre-tokenizer of a byte-level tokenizer with this pattern, as tokenizer.json has it."""
    if pattern == GPT2_PATTERN:
        return _byte_level(use_regex=True)
    return {
        "type": "Sequence",
        "pretokenizers": [split_spec(pattern), _byte_level(use_regex=False)],
    }


def _byte_level(*, use_regex: bool) -> dict:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": use_regex,
    }
