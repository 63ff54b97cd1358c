"""The folder of a checkpoint: found, fetched from the hub, read tensor by tensor, written.

Weights are read from safetensors only. A pickle (pytorch_model.bin and the like) is a program that
runs when it is read, so it is refused.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
INDEX = "model.safetensors.index.json"  # of shards: which tensor is in which file
WANTED = ["config.json", "model*.safetensors", INDEX]
WANTED += ["token*.json", "vocab.json", "merges.txt", "special_tokens_map.json"]
WANTED += ["generation_config.json", "*.jinja"]
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def local_folder(source: str | Path) -> Path:
    """The folder `source`, or the one that the hub's model of that name was downloaded to.

    Only a name that is no folder goes to the network; huggingface_hub keeps what it fetched and
    takes it from there the next time. Raises FileNotFoundError for a folder that is not there,
    ValueError for a file, and ConnectionError, with what to do by hand, when the hub does not help.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        refuse_pickles([path])
        raise ValueError(f"{path} is a file: give the folder that it lies in, with config.json")
    name = str(source)
    if not HUB_NAME.fullmatch(name):
        raise FileNotFoundError(
            f"there is no folder {name!r}, and a model on the hub is called owner/name"
        )
    return _download(name)


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download  # here: nothing else needs it

    try:
        folder = Path(snapshot_download(name, allow_patterns=WANTED))
    except Exception as error:  # of many kinds: offline, no such name, a licence to accept first
        reason = " ".join(str(error).split())[:200]
        raise ConnectionError(
            f"{name!r} is no folder here, and the hub did not give it ({type(error).__name__}: "
            f"{reason}). Check the name; if the model asks for a licence, accept it on its page "
            "and log in with `hf auth login`. Without a network: on a machine that has one, run "
            f"`hf download {name} --local-dir FOLDER`, copy the folder here, and give its path"
        ) from error
    if not any(folder.glob("model*.safetensors")):
        raise ValueError(
            f"{name!r} has no safetensors on the hub, but probably a pickle, which can run any "
            "program when it is read. If you trust it, convert it once with transformers and give "
            f"FOLDER: AutoModelForCausalLM.from_pretrained({name!r}).save_pretrained(FOLDER)"
        )
    return folder


def read_config(folder: Path) -> dict:
    """config.json of a folder. Raises FileNotFoundError or ValueError with the file's name."""
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: a checkpoint is a folder with config.json and model.safetensors"
        )
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}): fetch it again") from error
    if not isinstance(raw, dict):
        raise ValueError(f"{path} holds no fields, but {type(raw).__name__}: fetch it again")
    return raw


def read_tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of all tensors: from one safetensors file, or those that the index names."""
    for name in _weight_files(folder):
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is missing: the index of the shards names it. Fetch it again"
            )
        try:
            with safe_open(path, framework="pt") as file:
                for key in file.keys():  # noqa: SIM118
                    yield key, file.get_tensor(key)
        except SafetensorError as error:
            with open(path, "rb") as start:
                pointer = start.read(27) == b"version https://git-lfs.git"
            if pointer:
                raise ValueError(
                    f"{path} only says where Git LFS keeps the weights: run `git lfs pull` there"
                ) from error
            raise ValueError(f"{path} is damaged ({error}): fetch it again") from error


def _weight_files(folder: Path) -> list[str]:
    index = folder / INDEX
    if (folder / "model.safetensors").is_file():
        return ["model.safetensors"]
    if not index.is_file():
        refuse_pickles(folder.iterdir())
        raise FileNotFoundError(
            f"{folder} has no model.safetensors and no {index.name}: fetch the weights, too"
        )
    try:
        files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{index} is no index of shards ({error}): fetch it again") from error
    outside = [name for name in files if Path(name).name != name]
    if outside:
        raise ValueError(f"{index} names {outside[0]!r}, which lies outside the folder")
    return files


def refuse_pickles(paths) -> None:
    """Raise ValueError if weights are there as a pickle."""
    pickles = sorted(p.name for p in paths if p.suffix in PICKLES)
    if pickles:
        raise ValueError(
            f"{pickles[0]} is a pickle, which can run any program when it is read: only "
            "safetensors are. Take a revision of the model that has model.safetensors, or, if you "
            "trust the file, convert it once with transformers: "
            "AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
