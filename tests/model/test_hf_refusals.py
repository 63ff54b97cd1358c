"""What from_hf cannot read it refuses, and says which thing is wrong and what to do about it."""

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

import llmlib
from llmlib.checkpoint import from_hf, to_hf
from llmlib.model import ModelConfig, Transformer
from tests.model.references import write

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


@pytest.fixture(scope="session")
def good(save_reference):
    """(config, tensors) of a Llama that can be read."""
    _, folder = save_reference("llama")
    return json.loads((folder / "config.json").read_text()), load_file(folder / WEIGHTS)


@pytest.fixture
def folder(good, tmp_path):
    """A folder that a test may spoil."""
    write(tmp_path, *good)
    from_hf(tmp_path)
    return tmp_path


def refused(source, error, *words):
    """from_hf raises that error, and its message has all the words."""
    with pytest.raises(error) as caught:
        from_hf(source)
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in: {caught.value}"


def change(folder, **fields):
    raw = json.loads((folder / "config.json").read_text()) | fields
    (folder / "config.json").write_text(json.dumps(raw))


def test_no_folder(tmp_path):
    refused(tmp_path / "no" / "where" / "at all", FileNotFoundError, "at all", "owner/name")
    refused("a/b/c/d", FileNotFoundError, "a/b/c/d", "owner/name")
    refused(tmp_path, FileNotFoundError, "config.json", "is missing", "a folder with")
    file = tmp_path / "model.safetensors"
    file.touch()
    refused(file, ValueError, "is a file", "give the folder")


def test_a_hub_name_without_a_network():
    for read in (from_hf, llmlib.from_hf):
        with pytest.raises(ConnectionError) as caught:
            read("nobody/no-such-model")
        for word in ("nobody/no-such-model", "hf download", "--local-dir", "Check the name"):
            assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "word"), [("{", "no JSON"), ("[1]", "no fields"), ("", "no JSON")]
)
def test_a_config_that_is_none(folder, text, word):
    (folder / "config.json").write_text(text)
    refused(folder, ValueError, "config.json", word, "fetch it again")


def test_an_unknown_family(folder):
    change(folder, model_type="mamba")
    refused(folder, NotImplementedError, "'mamba'", "llama", "gpt2", "t5")
    change(folder, model_type=None)
    refused(folder, NotImplementedError, "model_type", "llama")
    change(folder, model_type="gemma3", text_config={})
    refused(folder, NotImplementedError, "gemma3", "text part")


def test_quantized_weights(folder):
    change(folder, quantization_config={"quant_method": "gptq", "bits": 4})
    refused(folder, NotImplementedError, "gptq", "llmlib.quantize")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"num_attention_heads": 5, "head_dim": None}, ("48", "5")),
        ({"num_key_value_heads": 4}, ("n_kv_heads 4",)),
        ({"num_hidden_layers": 0}, ("n_layers",)),
        ({"vocab_size": -3}, ("vocab_size", "-3")),
        ({"hidden_size": "wide"}, ("wide",)),
        ({"intermediate_size": 81}, ("intermediate", "81")),
        ({"rms_norm_eps": 0.0}, ("norm_eps",)),
    ],
)
def test_absurd_fields(folder, fields, words):
    change(folder, **fields)
    if "intermediate_size" in fields:  # not absurd by itself: the file says otherwise
        refused(folder, ValueError, "81", "config.json", "belong together")
    else:
        refused(folder, ValueError, *words)


def test_a_missing_field(folder):
    raw = json.loads((folder / "config.json").read_text())
    del raw["hidden_size"]
    (folder / "config.json").write_text(json.dumps(raw))
    refused(folder, ValueError, "config.json", "lacks", "hidden_size")


@pytest.fixture
def shards(good, folder):
    """The same weights in two shards and an index."""
    names = sorted(good[1])
    places = {n: f"part-{i % 2}.safetensors" for i, n in enumerate(names)}
    for file in set(places.values()):
        save_file({n: good[1][n] for n in names if places[n] == file}, folder / file)
    (folder / INDEX).write_text(json.dumps({"weight_map": places}))
    (folder / WEIGHTS).unlink()
    from_hf(folder)
    return folder


def test_a_missing_shard(shards):
    (shards / "part-1.safetensors").unlink()
    refused(shards, FileNotFoundError, "part-1.safetensors", "the index", "Fetch it again")


def test_an_index_that_is_none(shards):
    for text in ("{", "{}", "[]", '{"weight_map": 3}'):
        (shards / INDEX).write_text(text)
        refused(shards, ValueError, INDEX, "fetch it again")
    (shards / INDEX).write_text(json.dumps({"weight_map": {"x": "../x.safetensors"}}))
    refused(shards, ValueError, "../x.safetensors", "outside the folder")


def test_damaged_weights(folder):
    whole = (folder / WEIGHTS).read_bytes()
    for damaged in (whole[:-10], whole[:100], b"", b"not at all weights"):
        (folder / WEIGHTS).write_bytes(damaged)
        refused(folder, ValueError, WEIGHTS, "damaged", "fetch it again")
    (folder / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    refused(folder, ValueError, WEIGHTS, "git lfs pull")


def test_weights_that_do_not_fit(good, folder):
    raw, tensors = good
    name = "model.layers.1.mlp.up_proj.weight"
    write(folder, raw, {n: t for n, t in tensors.items() if n != name})
    refused(folder, ValueError, "missing 1", "blocks.1.mlp.up_proj.weight", "shard")
    write(folder, raw, tensors | {name: tensors[name][:-1]})
    refused(folder, ValueError, "blocks.1.mlp.up_proj.weight", "(79, 48)", "(80, 48)")
    write(folder, raw, tensors | {"vision_tower.patch.weight": torch.ones(2)})
    refused(folder, ValueError, "vision_tower.patch.weight", "has no place")
    layer = name.replace(".1.", ".7.")
    write(folder, raw, tensors | {layer: tensors[name].clone()})
    refused(folder, ValueError, "too many 1", "blocks.7.mlp.up_proj.weight")


def test_a_fused_matrix_of_the_wrong_size(save_reference, tmp_path):
    _, folder = save_reference("falcon-40b")
    raw = json.loads((folder / "config.json").read_text())
    tensors = load_file(folder / WEIGHTS)
    name = next(n for n in tensors if "query_key_value" in n)
    write(tmp_path, raw, tensors | {name: tensors[name][:-3]})
    refused(tmp_path, ValueError, name, "sizes in config.json", "belong together")


class Trap:
    """What a pickle can do to whoever reads it."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


@pytest.mark.parametrize("file", ["pytorch_model.bin", "model.pt", "weights.ckpt"])
def test_a_pickle_is_not_opened(folder, file):
    (folder / WEIGHTS).unlink()
    trap = folder / "sprung"
    (folder / file).write_bytes(pickle.dumps(Trap(trap)))
    refused(folder, ValueError, file, "pickle", "safetensors")
    refused(folder / file, ValueError, file, "pickle", "safetensors")
    assert not trap.exists()


def test_a_pickle_in_disguise_is_not_opened(folder):
    trap = folder / "sprung"
    (folder / WEIGHTS).write_bytes(pickle.dumps(Trap(trap)))
    refused(folder, ValueError, WEIGHTS, "damaged")
    assert not trap.exists()


def test_a_pickle_beside_safetensors_is_left_alone(folder):
    (folder / "pytorch_model.bin").write_bytes(b"never opened")
    from_hf(folder)


def test_a_model_that_no_family_can_express(tmp_path):
    config = ModelConfig(vocab_size=20, d_model=16, n_layers=1, n_heads=2, pos="sinusoidal")
    with pytest.raises(ValueError, match=r"pos='sinusoidal'.*checkpoint\.save"):
        to_hf(Transformer(config), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="no family 'mamba'"):
        to_hf(Transformer(config.replace(pos="rope")), tmp_path / "out", family="mamba")
