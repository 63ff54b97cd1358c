"""Checkpoints: exact, whole or absent, refused when in doubt."""

import json
import resource
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from llmlib import checkpoint
from llmlib import tokenizer as tokenizers
from llmlib.checkpoint import CheckpointError, shipped
from llmlib.checkpoint.tree import flatten, unflatten
from llmlib.model import PRESETS, Transformer


def test_a_round_trip_is_exact(tiny, tok, tmp_path):
    model = tiny()
    path = checkpoint.save(tmp_path / "a" / "m.safetensors", model, tok, {"seed": 3})
    loaded, loaded_tok, meta = checkpoint.load(path)
    assert loaded.config == model.config and meta == {"seed": 3}
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name])
    assert loaded_tok.fingerprint() == tok.fingerprint()
    assert loaded_tok.encode("the cat sat") == tok.encode("the cat sat")
    assert load_file(path).keys() == model.state_dict().keys()  # any safetensors reader can


def test_half_precision_on_disk_is_float32_in_memory(tiny, tok, tmp_path):
    model = tiny()
    path = checkpoint.save(tmp_path / "m.safetensors", model, tok, dtype=torch.float16)
    loaded, _, _ = checkpoint.load(path)
    for name, tensor in model.state_dict().items():
        assert loaded.state_dict()[name].dtype == torch.float32
        assert torch.equal(loaded.state_dict()[name], tensor.half().float())


def test_trainer_state_of_any_shape_comes_back():
    state = {
        "step": 3,
        "rate": 0.1,
        "nothing": None,
        "pair": (1, "two"),
        "list": [torch.arange(3), {"deep": torch.zeros(2, 2)}],
        "by_number": {0: {"moment": torch.ones(1)}, 7: True},
        "empty": {},
    }
    skeleton, tensors = flatten(state, "t")
    back = unflatten(json.loads(json.dumps(skeleton)), tensors)
    assert back.keys() == state.keys() and back["pair"] == (1, "two")
    assert torch.equal(back["list"][0], torch.arange(3)) and back["by_number"][7] is True
    assert torch.equal(back["by_number"][0]["moment"], torch.ones(1))
    with pytest.raises(TypeError, match=r"t\.f"):
        flatten({"f": print}, "t")


def test_weights_of_wrapped_models_keep_their_names(tiny, tok, tmp_path):
    wrapped = torch.nn.Sequential()
    wrapped.module = tiny()  # what DistributedDataParallel looks like
    path = checkpoint.save(tmp_path / "m.safetensors", wrapped, tok)
    assert checkpoint.read(path).weights.keys() == tiny().state_dict().keys()


# -- refused ----------------------------------------------------------------------------------


@pytest.fixture
def saved(tiny, tok, tmp_path):
    return tmp_path, checkpoint.save(tmp_path / "m.safetensors", tiny(), tok, {"seed": 3})


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(saved, keep):
    folder, path = saved
    raw = Path(path).read_bytes()
    (folder / "m.safetensors").write_bytes(raw[: int(len(raw) * keep)])
    with pytest.raises(CheckpointError, match="truncated or damaged.*remove it and train again"):
        checkpoint.load(path)


@pytest.mark.parametrize("where", ["metadata", "first weight", "middle", "last byte"])
def test_a_file_with_one_bit_changed_is_refused(saved, where):
    folder, path = saved
    raw = bytearray(Path(path).read_bytes())
    header = int.from_bytes(raw[:8], "little")
    at = {
        "metadata": raw.index(b"seed") + 8,
        "first weight": 8 + header,
        "middle": (8 + header + len(raw)) // 2,
        "last byte": len(raw) - 1,
    }[where]
    raw[at] ^= 1
    (folder / "m.safetensors").write_bytes(raw)
    with pytest.raises(CheckpointError, match="altered|damaged"):
        checkpoint.load(path)


def rewritten(path, **metadata):
    """The file with other metadata, as a careless tool might leave it."""
    with safe_open(path, framework="pt") as file:
        save_file(load_file(path), path, file.metadata() | metadata)


def test_a_file_without_its_hash_or_of_another_version_is_refused(saved, monkeypatch):
    _, path = saved
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    config = json.loads(metadata["config"]) | {"n_thoughts": 8}
    rewritten(path, config=json.dumps(config))
    with pytest.raises(CheckpointError, match="altered"):
        checkpoint.read(path)
    hash = metadata["sha256"]
    monkeypatch.setattr("llmlib.checkpoint.file._digest", lambda *_: hash)
    with pytest.raises(CheckpointError, match="another version of llmlib.*n_thoughts"):
        checkpoint.read(path)
    del metadata["sha256"]
    save_file(load_file(path), path, metadata)
    with pytest.raises(CheckpointError, match="altered"):
        checkpoint.read(path)


def test_what_is_not_a_checkpoint_is_refused(saved):
    folder, _ = saved
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        checkpoint.load(folder / "none.safetensors")
    save_file({"w": torch.zeros(2)}, folder / "other.safetensors")
    with pytest.raises(CheckpointError, match="from_hf"):
        checkpoint.load(folder / "other.safetensors")
    (folder / "text.safetensors").write_text("hello, I am no safetensors file")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(folder / "text.safetensors")


def test_weights_for_another_model_are_refused(tiny, saved):
    _, path = saved
    weights = checkpoint.read(path).weights
    with pytest.raises(CheckpointError, match="of another shape"):
        checkpoint.load_weights(tiny(d_ff=16), weights, path)
    with pytest.raises(CheckpointError, match=r"missing \['blocks.2"):
        checkpoint.load_weights(tiny(n_layers=3), weights, path)


def test_the_tokenizer_beside_a_file_must_be_the_right_one(tiny, tok, texts, tmp_path):
    path = checkpoint.save(tmp_path / "m.safetensors", tiny(), tok, embed_tokenizer=False)
    with pytest.raises(CheckpointError, match="needs the tokenizer"):
        checkpoint.load(path)
    tok.save(tmp_path / "tokenizer.json")
    assert checkpoint.load(path)[1].fingerprint() == tok.fingerprint()
    other = tokenizers.BPE.train(texts, 290, special_tokens=tokenizers.SPECIAL_TOKENS)
    other.save(tmp_path / "tokenizer.json")
    with pytest.raises(CheckpointError, match="another tokenizer"):
        checkpoint.load(path)


# -- a disk that fails ------------------------------------------------------------------------


def test_a_full_disk_leaves_the_earlier_checkpoint(tiny, tok, saved):
    """The kernel refuses to let the new file grow beyond 20 kB, as a full disk would."""
    folder, path = saved
    before = Path(path).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match=r"could not write .*untouched.*Free some space"):
            checkpoint.save(path, tiny(d_ff=200), tok)
        with pytest.raises(OSError, match="could not write"):
            checkpoint.save(folder / "new.safetensors", tiny(), tok)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert Path(path).read_bytes() == before
    assert [p.name for p in folder.iterdir()] == ["m.safetensors"]


def test_a_process_that_dies_while_writing_leaves_the_earlier_checkpoint(
    tiny, tok, saved, monkeypatch
):
    folder, path = saved
    before = Path(path).read_bytes()

    def die(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("llmlib.checkpoint.file.os.replace", die)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, tiny(d_ff=200), tok)
    assert Path(path).read_bytes() == before
    assert [p.name for p in folder.iterdir()] == ["m.safetensors"]


# -- shipped ----------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder of shipped files, with an untrained S that passes the gate."""
    tok = checkpoint.load_shipped_tokenizer()
    tok.save(tmp_path / "tokenizer.json")
    model = Transformer(PRESETS["world-s"])
    meta = {"world": checkpoint.world_fingerprint()}

    def put(model=model, tok=tok, meta=meta):
        checkpoint.save(
            tmp_path / "s.safetensors", model, tok, meta, dtype=torch.float16, embed_tokenizer=False
        )

    put()
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path)
    return tmp_path, put


def test_the_gate_lets_the_right_model_in(shelf):
    model, tok = checkpoint.load_shipped("S")
    assert model.config == PRESETS["world-s"] and not model.training
    assert tok.vocab_size == model.config.vocab_size


def test_the_gate_refuses_another_world_config_or_tokenizer(shelf, texts):
    folder, put = shelf
    put(meta={"world": "0" * 64})
    with pytest.raises(CheckpointError, match="another world.*make checkpoints"):
        checkpoint.load_shipped("S")
    put(model=Transformer(PRESETS["world-s"].replace(n_layers=2)))
    with pytest.raises(CheckpointError, match="another configuration"):
        checkpoint.load_shipped("S")
    put()
    other = tokenizers.BPE.train(texts, 290, special_tokens=tokenizers.SPECIAL_TOKENS)
    other.save(folder / "tokenizer.json")
    with pytest.raises(CheckpointError, match="another tokenizer.*make checkpoints"):
        checkpoint.load_shipped("S")


def test_damaged_and_unknown_shipped_models_say_how_to_rebuild(shelf):
    folder, _ = shelf
    raw = (folder / "s.safetensors").read_bytes()
    (folder / "s.safetensors").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(CheckpointError, match="make checkpoints"):
        checkpoint.load_shipped("S")
    with pytest.raises(CheckpointError, match="make checkpoints"):
        checkpoint.load_shipped("M")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match="make checkpoints"):
        checkpoint.load_shipped_tokenizer()
    with pytest.raises(ValueError, match="shipped models S, M, S-instruct, M-instruct, not 'L'"):
        checkpoint.load_shipped("L")


def test_metadata_are_readable_by_others(saved):
    with safe_open(saved[1], framework="pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["config"])["d_model"] == 32
