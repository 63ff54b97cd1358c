"""Text from wherever it is: a file, a folder, JSON lines, a dataset on the Hugging Face hub."""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from llmlib.data.tokens import DataError

SUFFIXES = (".txt", ".md", ".jsonl", ".jsonl.gz", ".parquet")


def load_corpus(source: str | Path, *, field: str = "text", split: str = "train") -> Iterator[str]:
    """The documents of `source`, one string each, in a fixed order.

    source  a text file (one document), a `.jsonl` or `.jsonl.gz` file (a JSON string or an object
            a line; `field` names the object's text), a `.parquet` file (column `field`; needs
            pyarrow), a folder (all such files under it, sorted by path), or a dataset's name on the
            Hugging Face hub, "owner/name", or "owner/name:folder" for a part of it. Of `split`
            those files count that have its name in their path; where none has, "train" is all.

    Files are read one by one as the documents are asked for, JSON lines and parquet in pieces. A
    hub's file is downloaded when its turn comes, into the hub's usual cache: who takes the first
    thousand documents of a terabyte waits for one file.

    Empty documents are left out. Raises `FileNotFoundError` where there is nothing of that name,
    `ConnectionError` where the hub does not help, and `DataError` (a ValueError) where a file is
    not what its name says, each naming the file.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return _documents([path], field)
    if path.is_dir():
        files = _text_files(path)
        if not files:
            raise FileNotFoundError(f"no text in folder {path}: it has no {', '.join(SUFFIXES)}")
        return _documents(files, field)
    name, _, folder = str(source).partition(":")
    if path.suffix in (".txt", ".md", ".jsonl", ".gz", ".parquet") or name.count("/") != 1:
        raise FileNotFoundError(
            f"no file or folder {path}; a dataset on the hub is written as 'owner/name'"
        )
    return _documents(_downloads(name, _hub_files(name, folder, split)), field)


def _documents(files: Iterable[Path], field: str) -> Iterator[str]:
    """The non-empty documents of `files`."""
    for path in files:
        for text in _read(path, field):
            if text:
                yield text


def _text_files(folder: Path) -> list[Path]:
    """All files under `folder` with a suffix that can be read, hidden ones left out."""
    found = (p for p in folder.rglob("*") if p.is_file() and p.name.endswith(SUFFIXES))
    relative = ((p.relative_to(folder), p) for p in found)
    return [p for r, p in sorted(relative) if not any(part.startswith(".") for part in r.parts)]


def _read(path: Path, field: str) -> Iterator[str]:
    """The documents of one file."""
    try:
        if path.name.endswith((".jsonl", ".jsonl.gz")):
            yield from _read_jsonl(path, field)
        elif path.suffix == ".parquet":
            yield from _read_parquet(path, field)
        else:
            yield path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text (byte {error.start}); convert it first, for example with "
            "`iconv -f latin1 -t utf-8`"
        ) from error


def _read_jsonl(path: Path, field: str) -> Iterator[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"{path}, line {number}: not JSON ({error})") from error
            text = value.get(field) if isinstance(value, dict) else value
            if not isinstance(text, str):
                keys = f"; it has {sorted(value)}" if isinstance(value, dict) else ""
                raise DataError(f"{path}, line {number}: no text in field {field!r}{keys}")
            yield text


def _read_parquet(path: Path, field: str) -> Iterator[str]:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ImportError(f"{path} is a parquet file: `pip install pyarrow` to read it") from error
    table = parquet.ParquetFile(path)
    if field not in table.schema_arrow.names:
        raise DataError(f"{path}: no column {field!r}; it has {table.schema_arrow.names}")
    for batch in table.iter_batches(columns=[field]):
        yield from (text for text in batch.column(0).to_pylist() if text is not None)


def _hub_files(name: str, folder: str, split: str) -> list[str]:
    """The names of a hub dataset's files: those of `split`, under `folder` if it is not empty."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        listed = HfApi().list_repo_files(name, repo_type="dataset")
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(f"no file, folder or hub dataset called {name!r}") from error
    except Exception as error:  # of many kinds: offline, refused, timed out
        raise ConnectionError(_no_hub(name, error)) from error
    inside = folder.strip("/") + "/" if folder else ""
    texts = [f for f in listed if f.endswith(SUFFIXES) and not f.endswith(".md")]
    files = [f for f in texts if f.startswith(inside)]
    if not files:
        where = f" in {folder!r}" if folder else ""
        raise DataError(f"dataset {name!r} has no text files{where} ({', '.join(SUFFIXES)})")
    of_split = [f for f in files if split in f.removeprefix(inside)]
    if not of_split and split != "train":
        raise DataError(f"dataset {name!r} has no file of the split {split!r}, only {files[:3]} …")
    return sorted(of_split or files)


def _downloads(name: str, files: Iterable[str]) -> Iterator[Path]:
    """Where each file is on this machine, downloaded when it is asked for."""
    from huggingface_hub import hf_hub_download

    for file in files:
        try:
            path = hf_hub_download(name, file, repo_type="dataset")
        except Exception as error:
            raise ConnectionError(_no_hub(f"{name}, {file}", error)) from error
        yield Path(path)


def _no_hub(what: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
    return (
        f"{what!r} is no local file, and the hub did not give it ({type(error).__name__}: "
        f"{reason}). Without a network, give a file or a folder"
    )
