"""Unigram language model tokenization: of all ways to cut a text, take the most probable."""

import math
import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Self

from . import files
from .base import AddedToken, Tokenizer
from .pretokenize import METASPACE, compile_pieces, split_spec
from .texts import as_ids, as_texts, check_special_tokens, split_out, valid_text
from .unigram_trainer import learn_log_probs

UNK_PENALTY = 10.0  # an unknown character is this much less likely (in nats) than the rarest piece
BYTE_NAMES = [f"<0x{byte:02X}>" for byte in range(256)]
# Always in the alphabet, so that a text that spells "<0x41>" is cut into characters, not into the
# token of byte 0x41.
SPELLS_BYTES = frozenset("<0123456789ABCDEFx>")


class Unigram(Tokenizer):
    """Unigram tokenization (Kudo 2018), as in SentencePiece.

    `vocab` lists (piece, log-probability), the index being the id. A space is spelled ``▁``. The
    Viterbi algorithm finds the best segmentation; a character in no piece is spelled as bytes
    where `byte_fallback` is on, and is unknown otherwise.

    A tokenizer trained here is lossless for every text without the character U+2581 itself, which
    decodes to a space. A file's normalizer, or a space put before the text, is not undone.
    """

    kind = "Unigram"

    def __init__(
        self,
        vocab: Sequence[tuple[str, float]],
        *,
        unk_id: int | None,
        pattern: str | None = None,
        special_tokens: Mapping[str, int] | None = None,
        byte_fallback: bool = True,
        **parts,
    ):
        added = {n: AddedToken(i) for n, i in (special_tokens or {}).items()}
        parts.setdefault("added_tokens", added)
        parts.setdefault("pre_tokenizer", metaspace_spec(pattern))
        parts.setdefault("decoder", _decoder())
        super().__init__(**parts)
        self.vocab, self.unk_id, self.byte_fallback = list(vocab), unk_id, byte_fallback
        self._ids = {piece: id for id, (piece, _) in enumerate(self.vocab)}
        self._names = {id: piece for id, (piece, _) in enumerate(self.vocab)} | self._added_names
        # Ordinary text must not spell out a special token.
        self._scores = {p: score for p, score in self.vocab if p not in self.special_tokens}
        self._unk_score = min((score for _, score in self.vocab), default=0.0) - UNK_PENALTY
        self._longest: dict[str, int] = {}
        for piece in filter(None, self._scores):
            self._longest[piece[0]] = max(len(piece), self._longest.get(piece[0], 1))
        names = BYTE_NAMES if byte_fallback else ()
        self._bytes = {self._ids[n]: bytes([b]) for b, n in enumerate(names) if n in self._ids}

    @classmethod
    def train(
        cls,
        texts: str | Iterable[str],
        vocab_size: int,
        *,
        pattern: str | None = None,
        special_tokens: Sequence[str] = (),
        unk_token: str = "<unk>",
        coverage: float = 0.9995,
        max_piece_length: int = 16,
    ) -> Self:
        """Learn a vocabulary: special tokens, `unk_token`, 256 bytes, and pieces by probability.

        With no `pattern` a piece is a word with the spaces before it. The most frequent characters
        that make up `coverage` of the text are pieces; the rest fall back to bytes. Raises
        ValueError for empty texts or where `vocab_size` does not hold the bytes and characters.
        """
        names = check_special_tokens(special_tokens)
        names += [] if unk_token in names else [unk_token]
        counts = _count_words(texts, pattern, names)
        alphabet = _alphabet(counts, coverage) | SPELLS_BYTES
        n_pieces = vocab_size - len(names) - 256
        if n_pieces < len(alphabet):
            raise ValueError(
                f"vocab_size={vocab_size} is too small: 256 bytes, {len(alphabet)} characters and "
                f"{len(names)} special tokens need {vocab_size - n_pieces + len(alphabet)}"
            )
        scores = learn_log_probs(
            counts,
            n_pieces,
            alphabet,
            max_piece_length=max_piece_length,
            forbidden=[*names, *BYTE_NAMES],
        )
        ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        # Below any spelling of "<0x41>" in six characters, so that no text is read as a byte.
        byte_score = len(BYTE_NAMES[0]) * ranked[-1][1] - 1.0
        head = [(name, 0.0) for name in names] + [(name, byte_score) for name in BYTE_NAMES]
        special = {name: id for id, name in enumerate(names)}
        unk_id = special[unk_token]
        return cls(head + ranked, unk_id=unk_id, pattern=pattern, special_tokens=special)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read a Unigram model from a Hugging Face `tokenizer.json`."""
        return cls(**files.unigram_parts(files.read_hf(path)))

    @property
    def vocab_size(self) -> int:
        return max(self._names) + 1

    def token_bytes(self, id: int) -> bytes:
        (id,) = as_ids([id])
        if id not in self._names:
            raise ValueError(f"id {id} is not in the vocabulary of {len(self._names)} tokens")
        if id in self._bytes:
            return self._bytes[id]
        name = self._names[id]
        return (name if id in self._added_names else name.replace(METASPACE, " ")).encode()

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        return b"".join(map(self.token_bytes, as_ids(ids)))

    def log_prob(self, ids: Iterable[int]) -> float:
        """Return the log-probability (nats) of a segmentation: the sum of its pieces' scores.

        Bytes have no learned probability; each counts a fixed, very low score.
        """
        return sum(self.vocab[id][1] for id in as_ids(ids))

    def sample(self, text: str, *, alpha: float = 1.0, rng: random.Random) -> list[int]:
        """Return a random segmentation, with probability proportional to P(segmentation)^alpha.

        Subword regularization (Kudo 2018): large `alpha` comes near to `encode`, 0 makes all
        segmentations equally likely. No special token is recognised.
        """
        pieces = self._pieces(self._normalize(valid_text(text)), True)
        cuts = (self._sample_cuts(piece, alpha, rng) for piece in pieces)
        parts = map(self._look_up, pieces, cuts)
        return list(chain.from_iterable(parts))

    def to_dict(self) -> dict:
        """Return `tokens` and `scores` by id, the unknown token's id, the pattern, the specials."""
        return {
            "type": "unigram",
            "pattern": self.pattern,
            "tokens": [self._names.get(id) for id in range(self.vocab_size)],
            "scores": [round(score, 6) for _, score in self.vocab],
            "unk_id": self.unk_id,
            "byte_fallback": self.byte_fallback,
            "special_tokens": dict(self.special_tokens),
        }

    def _model_to_hf(self) -> dict:
        return {
            "type": "Unigram",
            "unk_id": self.unk_id,
            "vocab": [list(entry) for entry in self.vocab],
            "byte_fallback": self.byte_fallback,
        }

    def _edges(self, piece: str) -> Iterator[tuple[int, int, float]]:
        """Yield (start, end, score) of every known part, by start; unknown characters fill in."""
        for start, first in enumerate(piece):
            single = False
            for end in range(start + 1, min(len(piece), start + self._longest.get(first, 0)) + 1):
                score = self._scores.get(piece[start:end])
                if score is not None:
                    single = single or end == start + 1
                    yield start, end, score
            if not single:
                yield start, start + 1, self._unk_score

    def _encode_piece(self, piece: str) -> list[int]:
        """The Viterbi algorithm: the best way to each place, then back from the end."""
        best = [0.0] + [-math.inf] * len(piece)
        back = [0] * (len(piece) + 1)
        for start, end, score in self._edges(piece):
            if best[start] + score > best[end]:
                best[end], back[end] = best[start] + score, start
        cuts = [len(piece)]
        while cuts[-1] > 0:
            cuts.append(back[cuts[-1]])
        return self._look_up(piece, cuts[::-1])

    def _sample_cuts(self, piece: str, alpha: float, rng: random.Random) -> list[int]:
        """Sum over all ways forwards, then draw the cuts backwards."""
        total = [0.0] + [-math.inf] * len(piece)
        arriving: list[list[tuple[int, float]]] = [[] for _ in range(len(piece) + 1)]
        for start, end, score in self._edges(piece):
            weight = total[start] + alpha * score
            arriving[end].append((start, weight))
            high, low = max(total[end], weight), min(total[end], weight)
            total[end] = high + math.log1p(math.exp(low - high))
        cuts = [len(piece)]
        while cuts[-1] > 0:
            starts, weights = zip(*arriving[cuts[-1]], strict=True)
            shares = [math.exp(weight - total[cuts[-1]]) for weight in weights]
            cuts += rng.choices(starts, shares)
        return cuts[::-1]

    def _look_up(self, piece: str, cuts: Sequence[int]) -> list[int]:
        """Return the ids of the parts between `cuts`; unknown neighbours are taken together."""
        ids: list[int] = []
        unknown = ""
        for start, end in pairwise(cuts):
            part = piece[start:end]
            if part in self._scores and self._ids[part] != self.unk_id:
                ids += self._fall_back(unknown)
                ids.append(self._ids[part])
                unknown = ""
            else:
                unknown += part
        return ids + self._fall_back(unknown)

    def _fall_back(self, unknown: str) -> list[int]:
        """Spell unknown characters as bytes, or as one unknown token."""
        if not unknown:
            return []
        if self.byte_fallback:
            ids = [self._ids.get(BYTE_NAMES[byte]) for byte in unknown.encode()]
            if None not in ids:
                return ids
        if self.unk_id is None:
            raise ValueError(f"{unknown!r} is in no piece, and this model has no unknown token")
        return [self.unk_id]


def metaspace_spec(pattern: str | None) -> dict:
    """The pre-tokenizer of a trained Unigram model, as tokenizer.json has it."""
    metaspace = {
        "type": "Metaspace",
        "replacement": METASPACE,
        "prepend_scheme": "never",
        "split": pattern is None,
    }
    if pattern is None:
        return metaspace
    return {"type": "Sequence", "pretokenizers": [split_spec(pattern), metaspace]}


def _decoder() -> dict:
    space = {"type": "Replace", "pattern": {"String": METASPACE}, "content": " "}
    return {"type": "Sequence", "decoders": [space, {"type": "ByteFallback"}, {"type": "Fuse"}]}


def _count_words(
    texts: str | Iterable[str], pattern: str | None, special_tokens: Sequence[str]
) -> Counter[str]:
    pieces = compile_pieces(metaspace_spec(pattern))
    counts: Counter[str] = Counter()
    for text in as_texts(texts):
        for part in split_out(text, special_tokens):
            counts.update(pieces(part, True))
    return counts


def _alphabet(word_counts: Mapping[str, int], coverage: float) -> set[str]:
    """Return the most frequent characters that together make up `coverage` of the text."""
    characters: Counter[str] = Counter()
    for word, count in word_counts.items():
        for character in word:
            characters[character] += count
    wanted = coverage * characters.total()
    kept: set[str] = set()
    for character in sorted(characters, key=lambda c: (-characters[c], c)):
        if wanted <= 0:
            break
        kept.add(character)
        wanted -= characters[character]
    return kept
