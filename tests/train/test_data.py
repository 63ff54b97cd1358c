"""Shards, packing and batches: nothing lost, nothing doubled, every order repeatable."""

import gzip
import json
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmlib import tokenizer as tokenizers
from llmlib.data import (
    DataError,
    TokenBatches,
    TokenData,
    load_corpus,
    load_shards,
    pack_documents,
    tokenize_to_shards,
)

# -- packing ----------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 200), max_size=60), st.integers(1, 64))
@settings(max_examples=200, deadline=None)
def test_packing_holds_every_target_once_and_no_row_overflows(lengths, seq_len):
    rows = pack_documents(lengths, seq_len)
    seen = [np.zeros(n, dtype=int) for n in lengths]
    for row in rows:
        assert 0 < sum(s.n_targets for s in row) <= seq_len
        for segment in row:
            seen[segment.document][segment.start : segment.stop] += 1
    assert all((counts == 1).all() for counts in seen)


@given(st.lists(st.integers(1, 64), max_size=60))
@settings(max_examples=100, deadline=None)
def test_packing_never_cuts_a_document_that_fits(lengths):
    for row in pack_documents(lengths, 64):
        assert all((s.start, s.stop) == (0, lengths[s.document]) for s in row)


def test_packing_chooses_the_fullest_row_that_has_room():
    rows = pack_documents([6, 7, 4, 3], 10)
    assert sorted(sorted(s.document for s in row) for row in rows) == [[0, 2], [1, 3]]


def test_packing_wastes_little_on_documents_of_many_lengths():
    lengths = np.random.default_rng(0).integers(20, 110, 5000)
    rows = pack_documents(lengths.tolist(), 256)
    assert lengths.sum() / (len(rows) * 256) > 0.99


# -- batches ----------------------------------------------------------------------------------


def documents_of(batch) -> list[list[int]]:
    """The documents in a packed batch: first input, then targets, where the mask is on."""
    found = []
    for ids, targets, mask, doc_ids in zip(
        batch.ids, batch.targets, batch.mask, batch.doc_ids, strict=True
    ):
        for number in doc_ids[mask].unique():
            inside = mask & (doc_ids == number)
            assert (ids[inside][1:] == targets[inside][:-1]).all()
            found.append([int(ids[inside][0]), *targets[inside].tolist()])
    return found


def test_an_epoch_of_packed_batches_is_exactly_the_documents(data, texts, tok):
    batches = TokenBatches(data, 6, 96, seed=3, epochs=1)
    served = [document for batch in batches for document in documents_of(batch)]
    end = tok.special_tokens["<|endoftext|>"]
    expected = [[end, *tok.encode(text), end] for text in texts]
    assert max(map(len, expected)) <= 97, "no document may be longer than a row here"
    assert sorted(served) == sorted(expected)
    assert len(list(TokenBatches(data, 6, 96, seed=3, epochs=1))) == batches.steps_in_first_epoch()


def test_packed_rows_give_the_logits_of_documents_read_alone(data, tiny):
    model = tiny()
    batch = next(TokenBatches(data, 4, 64))
    packed = model(batch.ids, doc_ids=batch.doc_ids)
    for b in range(4):
        for number in batch.doc_ids[b][batch.mask[b]].unique():
            inside = batch.doc_ids[b] == number
            alone = model(batch.ids[b, inside][None])[0]
            torch.testing.assert_close(packed[b, inside], alone, atol=1e-5, rtol=1e-5)


def test_padding_is_masked_and_belongs_to_no_document(tok):
    data = TokenData.from_texts(["one short text"], tok)
    batch = next(TokenBatches(data, 1, 40))
    n = data.n_tokens
    assert batch.mask[0].tolist() == [True] * n + [False] * (40 - n)
    assert batch.doc_ids[0].tolist() == [0] * n + [-1] * (40 - n)
    assert batch.n_targets == n


def test_stream_windows_cover_the_stream_without_overlap(data):
    batches = TokenBatches(data, 1, 50, seed=1, packing="stream", epochs=1)
    stream = data.tokens[0].astype(np.int64)
    every = np.lib.stride_tricks.sliding_window_view(stream, 51)
    starts = []
    for batch in batches:
        window = np.concatenate([batch.ids[0].numpy(), batch.targets[0, -1:].numpy()])
        at = np.flatnonzero((every == window).all(axis=1)).tolist()
        assert len(at) == 1 and batch.mask.all() and batch.doc_ids is None
        starts += at
    assert (np.diff(sorted(starts)) == 50).all()
    assert len(starts) >= (len(stream) - 1) // 50 - 1
    assert starts != sorted(starts), "the windows come in a drawn order"


@pytest.mark.parametrize("n_words", range(8, 26))
def test_windows_of_any_length_of_text_are_whole(tok, n_words):
    """Also where the last window ends with the text, at whichever token an epoch begins to cut."""
    text = TokenData.from_texts(["cat " * n_words], tok)
    source = TokenBatches(text, 1, 7, packing="stream", epochs=30)
    for batch in source:
        assert batch.ids.shape == batch.targets.shape == (1, 7)


def test_shards_shorter_than_a_row_are_refused_instead_of_searched_for_ever(tmp_path, texts, tok):
    shards = tokenize_to_shards(texts[:20], tok, tmp_path / "s", shard_tokens=1)
    assert len(shards.tokens) == 20 and shards.n_tokens > 200
    with pytest.raises(ValueError, match="fewer than one row of 200"):
        TokenBatches(shards, 1, 200, packing="stream")


@pytest.mark.parametrize("packing", ["documents", "stream"])
@pytest.mark.parametrize("done", [0, 1, 7, 40])  # 40 batches are more than an epoch
def test_batches_resume_where_they_were(data, packing, done, monkeypatch):
    monkeypatch.setattr("llmlib.data.batches.BLOCK", 100)  # several blocks in an epoch
    first = TokenBatches(data, 6, 48, seed=5, packing=packing)
    for _ in range(done):
        next(first)
    state = json.loads(json.dumps(first.state_dict()))
    second = TokenBatches(data, 6, 48, seed=5, packing=packing)
    second.load_state_dict(state)
    for _ in range(25):
        assert torch.equal(next(first).ids, next(second).ids)


def test_every_epoch_packs_other_documents_together(data):
    source, rows = TokenBatches(data, 1, 96, epochs=2), {0: set(), 1: set()}
    for batch in source:
        rows[source.epoch if source.row else source.epoch - 1].add(batch.ids.numpy().tobytes())
    assert len(rows[0] & rows[1]) < len(rows[0]) / 2


def test_epochs_and_seeds_differ_in_order(data):
    batches = TokenBatches(data, 300, 64)
    first, again = next(batches), next(TokenBatches(data, 300, 64))
    assert torch.equal(first.ids, again.ids)
    assert not torch.equal(first.ids[:20], next(TokenBatches(data, 300, 64, seed=1)).ids[:20])


@pytest.mark.parametrize("change", [{"batch_size": 5}, {"seq_len": 47}, {"seed": 1}])
def test_batches_refuse_to_resume_with_other_settings(data, change):
    state = TokenBatches(data, 6, 48).state_dict()
    other = {"batch_size": 6, "seq_len": 48, "seed": 0} | change
    with pytest.raises(ValueError, match=next(iter(change))):
        TokenBatches(data, **other).load_state_dict(state)


def test_batches_refuse_to_resume_on_other_data(data, texts, tok):
    other = TokenData.from_texts([*texts[:-1], "changed"], tok)
    with pytest.raises(ValueError, match="data was"):
        TokenBatches(other, 6, 48).load_state_dict(TokenBatches(data, 6, 48).state_dict())


def test_bad_arguments_are_named(data, tok):
    with pytest.raises(ValueError, match="batch_size"):
        TokenBatches(data, 0, 48)
    with pytest.raises(ValueError, match="packing"):
        TokenBatches(data, 1, 48, packing="tight")
    with pytest.raises(ValueError, match="smaller seq_len"):
        TokenBatches(TokenData.from_texts(["tiny"], tok), 1, 48, packing="stream")
    with pytest.raises(DataError, match="no documents"):
        TokenData.from_texts([], tok)


# -- shards -----------------------------------------------------------------------------------


def test_shards_hold_what_memory_holds(tmp_path, texts, tok, data):
    shards = tokenize_to_shards(texts, tok, tmp_path / "s", shard_tokens=1000)
    assert len(shards.tokens) > 3 and len(shards) == len(data)
    assert shards.tokens[0].dtype == np.uint16 and isinstance(shards.tokens[0], np.memmap)
    assert (shards.n_tokens, shards.n_bytes) == (data.n_tokens, data.n_bytes)
    assert (shards.lengths() == data.lengths()).all()
    for i in range(len(data)):
        assert (shards.document(i) == data.document(i)).all()
        assert (shards.document(i, 1, 3) == data.document(i)[1:3]).all()
    ids = [b.ids for b in TokenBatches(shards, 6, 64, epochs=1)]
    same = [b.ids for b in TokenBatches(data, 6, 64, epochs=1)]
    assert all(torch.equal(a, b) for a, b in zip(ids, same, strict=True))


def test_large_vocabularies_take_32_bits(tmp_path, texts):
    big = tokenizers.BPE.train(texts, 300, special_tokens=tokenizers.SPECIAL_TOKENS)

    class Wide(type(big)):
        vocab_size = 70_000

    big.__class__ = Wide
    shards = tokenize_to_shards(texts[:3], big, tmp_path / "s")
    assert shards.tokens[0].dtype == np.uint32


def truncate(path):
    path.write_bytes(path.read_bytes()[:-4])


def alter(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))


@pytest.mark.parametrize("kind", ["tokens", "offsets"])
@pytest.mark.parametrize(
    ("damage", "says"),
    [(truncate, "instead of"), (alter, "altered"), (lambda p: p.unlink(), "missing")],
)
def test_damaged_shards_are_refused(tmp_path, texts, tok, kind, damage, says):
    tokenize_to_shards(texts, tok, tmp_path / "s")
    damage(tmp_path / "s" / f"{kind}-00000.bin")
    with pytest.raises(DataError, match=says) as error:
        load_shards(tmp_path / "s", tok)
    assert "tokenize again" in str(error.value)


def test_shards_of_another_tokenizer_are_refused(tmp_path, texts, tok):
    tokenize_to_shards(texts, tok, tmp_path / "s")
    other = tokenizers.BPE.train(texts, 290, special_tokens=tokenizers.SPECIAL_TOKENS)
    with pytest.raises(DataError, match="another tokenizer"):
        load_shards(tmp_path / "s", other)


def test_failed_tokenization_leaves_nothing(tmp_path, tok):
    def broken():
        yield "fine"
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        tokenize_to_shards(broken(), tok, tmp_path / "s")
    with pytest.raises(DataError, match="empty"):
        tokenize_to_shards([], tok, tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_odd_texts_are_tokenized(tok):
    data = TokenData.from_texts(["", "\ud800", "<|endoftext|>", "x" * 100_000], tok)
    end = tok.special_tokens["<|endoftext|>"]
    assert data.document(0).tolist() == [end, end]  # an empty document: nothing but its end
    assert tok.decode(data.document(1)[1:-1].tolist()) == "\ufffd"
    assert end not in data.document(2)[1:-1], "ordinary text must not end a document"
    assert data.n_bytes == 0 + 3 + 13 + 100_000


def test_a_tokenizer_without_an_end_is_refused(texts):
    bare = tokenizers.BPE.train(texts, 280)
    with pytest.raises(ValueError, match="endoftext"):
        TokenData.from_texts(texts, bare)


# -- corpora ----------------------------------------------------------------------------------


def test_corpora_from_files_and_folders(tmp_path):
    (tmp_path / "b.txt").write_text("héllo", encoding="utf-8")
    (tmp_path / "a").mkdir()
    rows = [json.dumps({"text": "one"}), "", json.dumps("two"), json.dumps({"text": ""})]
    (tmp_path / "a" / "rows.jsonl").write_text("\n".join(rows))
    with gzip.open(tmp_path / "c.jsonl.gz", "wt") as file:
        file.write(json.dumps({"text": "three"}))
    (tmp_path / ".hidden.txt").write_text("no")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert list(load_corpus(tmp_path)) == ["one", "two", "héllo", "three"]
    assert list(load_corpus(tmp_path / "b.txt")) == ["héllo"]


def test_corpora_that_are_not_what_they_say(tmp_path):
    (tmp_path / "latin.txt").write_bytes("h\xe9".encode("latin1"))
    (tmp_path / "bad.jsonl").write_text('{"text": "fine"}\n{"text": ')
    (tmp_path / "other.jsonl").write_text('{"body": "fine"}')
    (tmp_path / "empty").mkdir()
    for name, says in [
        ("latin.txt", "not UTF-8"),
        ("bad.jsonl", "line 2"),
        ("other.jsonl", "it has .*body"),
    ]:
        with pytest.raises(ValueError, match=says):
            list(load_corpus(tmp_path / name))
    assert list(load_corpus(tmp_path / "other.jsonl", field="body")) == ["fine"]
    for missing in (tmp_path / "empty", tmp_path / "none.txt", "one_word"):
        with pytest.raises(FileNotFoundError):
            load_corpus(missing)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub on this disk, with one dataset; the list that it gives notes each download."""
    files = ["README.md", "data/train-0.jsonl", "data/train-1.jsonl", "data/test-0.jsonl"]
    files += ["sample/a/0.txt", "sample/b/1.txt"]
    for i, name in enumerate(files):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        text = f"document {i}"
        (tmp_path / name).write_text(text if name.endswith("txt") else json.dumps({"text": text}))
    asked = []

    def listed(api, name, repo_type):
        assert repo_type == "dataset"
        if name != "owner/name":
            raise OSError("no route to the hub")
        return files

    def download(name, file, repo_type):
        assert (name, repo_type) == ("owner/name", "dataset")
        asked.append(file)
        if not (tmp_path / file).exists():
            raise RuntimeError("404: gone")
        return str(tmp_path / file)

    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", listed)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    return asked


def test_a_hub_dataset_is_streamed_file_by_file(hub):
    documents = load_corpus("owner/name")
    assert hub == [], "nothing is downloaded before a document is asked for"
    assert next(documents) == "document 1" and hub == ["data/train-0.jsonl"]
    assert list(documents) == ["document 2"]
    assert hub == ["data/train-0.jsonl", "data/train-1.jsonl"]


def test_parts_and_splits_of_a_hub_dataset(hub, tmp_path):
    assert list(load_corpus("owner/name", split="test")) == ["document 3"]
    assert list(load_corpus("owner/name:sample")) == ["document 4", "document 5"]
    assert list(load_corpus("owner/name:sample/b")) == ["document 5"]
    with pytest.raises(DataError, match="no text files in 'other'"):
        load_corpus("owner/name:other")
    with pytest.raises(DataError, match="no file of the split 'validation'"):
        load_corpus("owner/name", split="validation")
    with pytest.raises(ConnectionError, match=r"owner/elsewhere.*no route.*file or a folder"):
        load_corpus("owner/elsewhere")
    (tmp_path / "data" / "train-1.jsonl").unlink()
    with pytest.raises(ConnectionError, match=r"train-1.*404: gone"):
        list(load_corpus("owner/name"))


def test_lines_are_read_one_by_one(tmp_path):
    """A broken line is met when its turn comes, and not before."""
    path = tmp_path / "rows.jsonl"
    path.write_text('"one"\n"two"\nbroken')
    documents = load_corpus(path)
    assert [next(documents), next(documents)] == ["one", "two"]
    with pytest.raises(DataError, match="line 3"):
        next(documents)


def test_parquet_is_read_in_pieces(tmp_path, monkeypatch):
    """With a stand-in for pyarrow, which the course does not install."""
    from types import ModuleType, SimpleNamespace

    class ParquetFile:
        def __init__(self, path):
            self.schema_arrow = SimpleNamespace(names=["text", "url"])
            self.rows = json.loads(path.read_text())

        def iter_batches(self, columns):
            assert columns == ["text"]
            for i in range(0, len(self.rows), 2):
                part = self.rows[i : i + 2]
                yield SimpleNamespace(column=lambda n, p=part: SimpleNamespace(to_pylist=lambda: p))

    path = tmp_path / "rows.parquet"
    path.write_text(json.dumps(["one", None, "", "two"]))
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        next(load_corpus(path))
    stand_in = ModuleType("pyarrow.parquet")
    stand_in.ParquetFile = ParquetFile
    package = ModuleType("pyarrow")
    package.parquet = stand_in
    monkeypatch.setitem(sys.modules, "pyarrow", package)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", stand_in)
    assert list(load_corpus(path)) == ["one", "two"]
    with pytest.raises(DataError, match=r"no column 'body'; it has \['text', 'url'\]"):
        next(load_corpus(path, field="body"))
