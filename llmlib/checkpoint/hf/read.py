"""From a Hugging Face checkpoint to our model."""

import re
from pathlib import Path

import torch
from torch import Tensor, nn

from llmlib.checkpoint.hf.falcon import FALCON_FAMILIES
from llmlib.checkpoint.hf.family import Family, Names
from llmlib.checkpoint.hf.folder import local_folder, read_config, read_tensors
from llmlib.checkpoint.hf.gemma import GEMMA_FAMILIES
from llmlib.checkpoint.hf.gpt import GPT_FAMILIES
from llmlib.checkpoint.hf.llama import LLAMA_FAMILIES
from llmlib.checkpoint.hf.t5 import T5_FAMILIES
from llmlib.model import ModelConfig

PLACES = {"N": r"^[^\d]*\.(\d+)\.", "E": r"\.experts\.(\d+)\."}  # of numbers within names
FAMILIES: dict[str, Family] = (
    GPT_FAMILIES | FALCON_FAMILIES | LLAMA_FAMILIES | GEMMA_FAMILIES | T5_FAMILIES
)


def from_hf(source: str | Path, dtype: torch.dtype | None = torch.float32) -> nn.Module:
    """The model of a checkpoint, its weights in `dtype` (None: as they are in the file).

    source: a folder with config.json and safetensors (one file, or shards and their index), or a
        model's name on the Hugging Face hub, such as "openai-community/gpt2".

    Raises FileNotFoundError when a file is missing, NotImplementedError for a model type or an
    option that our model does not have, ValueError when file and configuration disagree or the
    weights are a pickle, and ConnectionError when the hub does not give a model of that name.
    """
    folder = local_folder(source)
    raw = read_config(folder)
    family = family_of(raw)
    config = read_fields(family, raw, folder)
    names = family.names(config)
    weights: dict[str, Tensor] = {}
    for name, tensor in read_tensors(folder):
        weights |= convert(name, tensor.to(dtype or tensor.dtype), family, names, config)
    if config.tie_embeddings:
        drop_copy(weights, "head.weight", "embed.weight")
    with torch.device("meta"):
        model = family.build(config)
    check_names_and_shapes(weights, {n: p.shape for n, p in model.named_parameters()})
    model.load_state_dict(weights, assign=True)
    return model.eval()


def family_of(raw: dict) -> Family:
    """The family of a config.json. Raises NotImplementedError for one that cannot be read."""
    kind = raw.get("model_type")
    if kind not in FAMILIES:
        hint = "" if "text_config" not in raw else " (its text part alone can be, if saved alone)"
        raise NotImplementedError(
            f"model_type {kind!r} cannot be read{hint}, only {sorted(FAMILIES)}"
        )
    return FAMILIES[kind]


def read_fields(family: Family, raw: dict, folder: str | Path = "") -> ModelConfig:
    """config.json as our configuration. Raises ValueError for a field that is missing or absurd."""
    if raw.get("quantization_config"):
        method = raw["quantization_config"].get("quant_method", "an unnamed method")
        raise NotImplementedError(
            f"the weights in {folder} are quantized ({method}), which cannot be read: take the "
            "model they were made from, and llmlib.quantize if memory is short"
        )
    try:
        return family.read(raw)
    except KeyError as error:
        raise ValueError(f"config.json in {folder} lacks the field {error}") from error
    except TypeError as error:
        raise ValueError(
            f"config.json in {folder} holds a value of a wrong kind: {error}"
        ) from error


def convert(
    name: str, tensor: Tensor, family: Family, names: Names, config: ModelConfig
) -> dict[str, Tensor]:
    """One of their tensors under our names, in our form; empty for one that is no parameter."""
    bare = name
    for part in family.prefix.split(".")[:-1]:  # files leave it out, or a part of it
        bare = bare.removeprefix(f"{part}.")
    if re.search(family.ignored, bare):
        return {}
    module, _, kind = bare.rpartition(".")
    general, numbers = general_name(module)
    place = names.get(general)
    if place is None:
        raise ValueError(
            f"tensor {name!r} has no place in this model: is it another variant of "
            f"{family.architecture}, or has the file something beside the language model?"
        )
    if isinstance(place, str):
        return {f"{numbered(place, numbers)}.{kind}": tensor}
    try:
        parts = place.form.split(tensor, config)
    except RuntimeError as error:
        raise ValueError(
            f"{name} is {tuple(tensor.shape)} in the file, which does not fit the sizes in "
            f"config.json: do the two belong together?"
        ) from error
    ours = [f"{numbered(target, numbers)}.{kind}" for target in place.ours]
    return dict(zip(ours, (part.contiguous() for part in parts), strict=True))


def general_name(module: str) -> tuple[str, dict[str, str]]:
    """ "layers.3.mlp.experts.5.w1" -> ("layers.N.mlp.experts.E.w1", {"N": "3", "E": "5"})."""
    numbers = {}
    for letter, pattern in PLACES.items():
        if match := re.search(pattern, module):
            numbers[letter] = match[1]
            module = module[: match.start(1)] + letter + module[match.end(1) :]
    return module, numbers


def numbered(name: str, numbers: dict[str, str]) -> str:
    """A general name with the numbers of its layer (N) and expert (E) in it."""
    for letter, number in numbers.items():
        name = name.replace(f".{letter}.", f".{number}.", 1)
    return name


def drop_copy(weights: dict[str, Tensor], copy: str, original: str) -> None:
    """Take out a tied tensor that the file has twice. Raises ValueError if the two differ."""
    twin = weights.pop(copy, None)
    if twin is not None and not torch.equal(twin, weights.get(original, twin)):
        raise ValueError(
            f"config.json ties {copy} to {original}, but the file has two different ones: is "
            '"tie_word_embeddings" right?'
        )


def check_names_and_shapes(weights: dict[str, Tensor], expected: dict[str, torch.Size]) -> None:
    """Raise ValueError unless the weights are exactly those that the model has."""
    missing, extra = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected)
    if missing or extra:
        raise ValueError(
            f"the file does not fit its config.json: missing {len(missing)} {missing[:5]}, too "
            f"many {len(extra)} {extra[:5]}. Is a shard absent, or the configuration another one's?"
        )
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise ValueError(
                f"{name} is {tuple(weights[name].shape)} in the file, but config.json says "
                f"{tuple(shape)}: do the two belong together?"
            )
