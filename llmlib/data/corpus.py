"""Text from wherever it is: a file, a folder, JSON lines, a dataset on the Hugging Face hub."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from llmlib.data.tokens import DataError

SUFFIXES = (".txt", ".md", ".jsonl", ".jsonl.gz", ".parquet")


def load_corpus(source: str | Path, *, field: str = "text", split: str = "train") -> Iterator[str]:
    """The documents of `source`, one string each, in a fixed order.

    source  a text file (one document), a `.jsonl` or `.jsonl.gz` file (a JSON string or an object
            a line; `field` names the object's text), a `.parquet` file (column `field`; needs
            pyarrow), a folder (all such files under it, sorted by path), or a dataset's name on the
            Hugging Face hub ("owner/name"), of which the files of `split` are downloaded.

    Empty documents are left out. Raises `FileNotFoundError` where there is nothing of that name,
    `DataError` (a ValueError) where a file is not what its name says, each naming the file.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return _documents([path], field)
    if path.is_dir():
        files = _text_files(path)
        if not files:
            raise FileNotFoundError(f"no text in folder {path}: it has no {', '.join(SUFFIXES)}")
        return _documents(files, field)
    if path.suffix in (".txt", ".md", ".jsonl", ".gz", ".parquet") or str(source).count("/") != 1:
        raise FileNotFoundError(
            f"no file or folder {path}; a dataset on the hub is written as 'owner/name'"
        )
    return _documents(_download(str(source), split), field)


def _documents(files: list[Path], field: str) -> Iterator[str]:
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


def _download(name: str, split: str) -> list[Path]:
    """The files of a hub dataset's `split`, downloaded into the hub's usual cache."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        listed = HfApi().list_repo_files(name, repo_type="dataset")
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(f"no file, folder or hub dataset called {name!r}") from error
    except OSError as error:
        raise OSError(
            f"{name!r} is no local file, and the hub cannot be reached: {error}"
        ) from error
    files = [f for f in listed if f.endswith(SUFFIXES) and not f.endswith(".md")]
    of_split = [f for f in files if split in f] or files
    if not of_split:
        raise DataError(f"dataset {name!r} has no text files ({', '.join(SUFFIXES)})")
    folder = Path(snapshot_download(name, repo_type="dataset", allow_patterns=of_split))
    return [folder / f for f in sorted(of_split)]
