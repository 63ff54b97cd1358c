"""Tokenized documents: in memory, or memory-mapped from shards on disk.

Documents lie one after the other, an end-of-text token before the first and after each:

    <eot> t t t <eot> t t <eot> t t t t <eot>
    0           4         7                12      offsets

so that document i with both its end-of-text tokens is `tokens[offsets[i] : offsets[i + 1] + 1]`:
the first is what a model reads before it, the second is what it must predict at its end.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

END_OF_TEXT = "<|endoftext|>"
INDEX = "index.json"
FORMAT = "llmlib-shards-1"


class DataError(ValueError):
    """Text that cannot be read, or tokens that cannot be trusted, with what to do about it."""


class TokenData:
    """Documents as token ids, in one or several pieces ("shards"); a document is in one shard.

    `tokens` and `offsets` hold one array a shard, laid out as above. `n_bytes` is the length of the
    text in UTF-8 bytes, `fingerprint` identifies the contents.
    """

    def __init__(
        self,
        tokens: Sequence[np.ndarray],
        offsets: Sequence[np.ndarray],
        *,
        end_of_text: int,
        n_bytes: int,
        fingerprint: str,
    ):
        self.tokens, self.offsets = list(tokens), list(offsets)
        self.end_of_text, self.n_bytes, self.fingerprint = end_of_text, n_bytes, fingerprint
        self.first = np.cumsum([0, *(len(o) - 1 for o in self.offsets)])  # first document of each
        if len(self) == 0:
            raise DataError("no documents: there is nothing to train on")

    @classmethod
    def from_texts(cls, texts: Iterable[str], tokenizer) -> "TokenData":
        """Tokenize `texts` into memory (`tokenize_to_shards` for what does not fit)."""
        pieces, offsets, n_bytes = [], [0], 0
        end = end_of_text_id(tokenizer)
        for ids, size in _encoded(texts, tokenizer):
            pieces.append(np.array([*ids, end], dtype=id_type(tokenizer)))
            offsets.append(offsets[-1] + len(ids) + 1)
            n_bytes += size
        tokens = np.concatenate([np.array([end], dtype=id_type(tokenizer)), *pieces])
        digest = hashlib.sha256(tokens.tobytes()).hexdigest()
        return cls(
            [tokens],
            [np.array(offsets, dtype=np.int64)],
            end_of_text=end,
            n_bytes=n_bytes,
            fingerprint=digest,
        )

    def __len__(self) -> int:
        """The number of documents."""
        return int(self.first[-1])

    @property
    def n_tokens(self) -> int:
        """Targets in all documents: their tokens, and the end-of-text token after each."""
        return sum(int(o[-1]) for o in self.offsets)

    def lengths(self) -> np.ndarray:
        """Targets in each document, its end-of-text token included: (documents,) int64."""
        return np.concatenate([np.diff(o) for o in self.offsets])

    def document(self, i: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Tokens `start` to `stop` of document i, counted from the end-of-text token before it."""
        shard = int(np.searchsorted(self.first, i, side="right")) - 1
        low, high = self.offsets[shard][i - self.first[shard] :][:2]
        high = high + 1 if stop is None else min(high + 1, low + stop)
        return self.tokens[shard][low + start : high]


def end_of_text_id(tokenizer) -> int:
    """The id that separates documents. Raises `ValueError` if the tokenizer has none."""
    if END_OF_TEXT not in tokenizer.special_tokens:
        raise ValueError(
            f"the tokenizer has no {END_OF_TEXT} token to separate documents with; train it with "
            f"special_tokens=(..., {END_OF_TEXT!r})"
        )
    return tokenizer.special_tokens[END_OF_TEXT]


def id_type(tokenizer) -> np.dtype:
    """The smallest unsigned type that holds every id of `tokenizer`."""
    return np.dtype(np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32)


def _encoded(texts: Iterable[str], tokenizer) -> Iterator[tuple[list[int], int]]:
    """(ids, bytes) of each text. A lone surrogate, which no UTF-8 file can hold, becomes U+FFFD."""
    for text in texts:
        yield (
            tokenizer.encode(text, errors="replace"),
            len(text.encode("utf-8", errors="surrogatepass")),
        )


# -- shards -----------------------------------------------------------------------------------


def tokenize_to_shards(
    texts: Iterable[str], tokenizer, folder: str | Path, *, shard_tokens: int = 2**26
) -> TokenData:
    """Write `texts` as memory-mapped shards of about `shard_tokens` tokens, and open them.

    The folder appears under its name only when it is complete. It must not exist yet. Memory holds
    one shard at a time.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} exists: open it with load_shards, or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # what a killed process left
    partial.mkdir()
    try:
        shards = [
            _write_shard(partial, number, documents, tokenizer)
            for number, documents in enumerate(_portions(texts, tokenizer, shard_tokens))
        ]
        if not shards:
            raise DataError("no documents to tokenize: the source is empty")
        index = {
            "format": FORMAT,
            "tokenizer": tokenizer.fingerprint(),
            "end_of_text": end_of_text_id(tokenizer),
            "dtype": id_type(tokenizer).name,
            "shards": shards,
        }
        _write(partial / INDEX, json.dumps(index, indent=1).encode())
        os.rename(partial, folder)
    except OSError as error:
        raise OSError(
            error.errno, f"could not write the shards ({error.strerror}); nothing was kept", folder
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return load_shards(folder, tokenizer)


def _portions(texts, tokenizer, shard_tokens: int) -> Iterator[list[tuple[list[int], int]]]:
    """Encoded documents in lists of about `shard_tokens` tokens."""
    portion, size = [], 0
    for ids, n_bytes in _encoded(texts, tokenizer):
        portion.append((ids, n_bytes))
        size += len(ids) + 1
        if size >= shard_tokens:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _write_shard(folder: Path, number: int, documents: list, tokenizer) -> dict:
    """Write one shard's two files; return its entry in the index."""
    end = end_of_text_id(tokenizer)
    flat = [end]
    for ids, _ in documents:
        flat += ids
        flat.append(end)
    tokens = np.array(flat, dtype=id_type(tokenizer))
    offsets = np.cumsum([0, *(len(ids) + 1 for ids, _ in documents)], dtype=np.int64)
    entry = {"n_bytes": sum(n for _, n in documents)}
    for kind, array in (("tokens", tokens), ("offsets", offsets)):
        name = f"{kind}-{number:05d}.bin"
        data = array.tobytes()
        _write(folder / name, data)
        entry[kind] = {"file": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return entry


def _write(path: Path, data: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def load_shards(folder: str | Path, tokenizer, *, verify: bool = True) -> TokenData:
    """Open shards that `tokenize_to_shards` wrote, memory-mapped.

    Raises `DataError` if the folder is incomplete, was made with another tokenizer, or if a file is
    truncated or altered (`verify=False` checks sizes only, and saves reading everything once).
    """
    folder = Path(folder)
    again = f"remove {folder} and tokenize again"
    try:
        index = json.loads((folder / INDEX).read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} holds no readable {INDEX} ({error}); {again}") from error
    if index.get("format") != FORMAT:
        raise DataError(f"{folder} has format {index.get('format')!r}, not {FORMAT!r}; {again}")
    if index["tokenizer"] != tokenizer.fingerprint():
        raise DataError(f"{folder} was made with another tokenizer; use that one, or {again}")
    for shard in index["shards"]:
        for entry in (shard["tokens"], shard["offsets"]):
            _check_file(folder / entry["file"], entry, verify, again)
    tokens = [
        np.memmap(folder / s["tokens"]["file"], dtype=index["dtype"], mode="r")
        for s in index["shards"]
    ]
    offsets = [np.fromfile(folder / s["offsets"]["file"], np.int64) for s in index["shards"]]
    contents = json.dumps([s["tokens"]["sha256"] for s in index["shards"]])
    return TokenData(
        tokens,
        offsets,
        end_of_text=index["end_of_text"],
        n_bytes=sum(s["n_bytes"] for s in index["shards"]),
        fingerprint=hashlib.sha256(contents.encode()).hexdigest(),
    )


def _check_file(path: Path, entry: dict, verify: bool, again: str) -> None:
    """Raise `DataError` unless the file is what the index says."""
    size = path.stat().st_size if path.is_file() else None
    if size != entry["size"]:
        found = "is missing" if size is None else f"has {size:,} bytes instead of {entry['size']:,}"
        raise DataError(f"{path} {found}; {again}")
    if verify:
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                raise DataError(f"{path} was altered after it was written; {again}")
