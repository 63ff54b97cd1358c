"""From our model to a folder that transformers loads, with the same logits."""

import dataclasses
import json
import os
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from llmlib.checkpoint.hf.family import Family
from llmlib.checkpoint.hf.folder import INDEX
from llmlib.checkpoint.hf.read import FAMILIES, numbered
from llmlib.model import ModelConfig

TRAINING_ONLY = ("init_std", "init_scale_residual")


def to_hf(
    model: nn.Module,
    folder: str | Path,
    *,
    family: str | None = None,
    dtype: torch.dtype | None = None,
    shard_bytes: int = 5_000_000_000,
    **fields,
) -> str:
    """Write `model` as a Hugging Face checkpoint; return the model_type that it got.

    family: a `model_type` such as "llama"; None takes the first that can express the model.
    dtype: another precision for the file. Weights of more than shard_bytes are written in shards.
    fields: what config.json is to say besides, such as eos_token_id=2.

    Raises ValueError, and writes nothing, if the family cannot express the model's configuration:
    transformers would load it and compute something else.
    """
    kind = choose_family(model.config, family)
    raw = FAMILIES[kind].write(model.config)
    weights = {name: t.detach().cpu() for name, t in model.state_dict().items()}
    theirs = their_tensors(weights, FAMILIES[kind], model.config)
    theirs = {name: t.to(dtype or t.dtype) for name, t in theirs.items()}
    raw |= dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id")) | {
        "architectures": [FAMILIES[kind].architecture],
        "model_type": kind,
        "torch_dtype": str(next(iter(theirs.values())).dtype).removeprefix("torch."),
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write_tensors(folder, theirs, shard_bytes)
    text = json.dumps(raw | fields, indent=2, sort_keys=True)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    return kind


def choose_family(config: ModelConfig, family: str | None = None) -> str:
    """The given family, or the first, whose config.json says all that our configuration says."""
    if family is not None and family not in FAMILIES:
        raise ValueError(f"there is no family {family!r}, only {sorted(FAMILIES)}")
    lost = {kind: lost_fields(config, kind) for kind in ([family] if family else FAMILIES)}
    for kind, fields in lost.items():
        if not fields:
            return kind
    nearest = min(lost, key=lambda kind: len(lost[kind]))
    cannot = ", ".join(f"{name}={getattr(config, name)!r}" for name in lost[nearest])
    raise ValueError(
        f"{'' if family else 'no family can express this model; the nearest, '}{nearest!r} has no "
        f"way to say {cannot}: transformers would compute something else. Keep the model with "
        "checkpoint.save"
    )


def lost_fields(config: ModelConfig, kind: str) -> list[str]:
    """The fields that come back different when `config` is written as that family and read."""
    try:
        again = FAMILIES[kind].read(FAMILIES[kind].write(config))
    except (NotImplementedError, ValueError, TypeError):
        return [field.name for field in dataclasses.fields(config)]
    names = (field.name for field in dataclasses.fields(config) if field.name not in TRAINING_ONLY)
    return [name for name in names if getattr(config, name) != getattr(again, name)]


def their_tensors(
    weights: dict[str, Tensor], family: Family, config: ModelConfig
) -> dict[str, Tensor]:
    """Our tensors under their names, in their form. Raises ValueError if one has no place."""
    left, theirs = dict(weights), {}
    for module, place in family.names(config).items():
        targets = (place,) if isinstance(place, str) else place.ours
        prefix = "" if targets == ("head",) else family.prefix
        for numbers in _numbers(module, config):
            for kind in ("weight", "bias"):
                ours = [f"{numbered(target, numbers)}.{kind}" for target in targets]
                parts = tuple(left.pop(name) for name in ours if name in left)
                if len(parts) == len(ours):
                    joined = parts[0] if isinstance(place, str) else place.form.join(parts, config)
                    theirs[f"{prefix}{numbered(module, numbers)}.{kind}"] = joined.contiguous()
    if left:
        raise ValueError(f"{family.architecture} has no place for {sorted(left)[:5]}")
    return theirs


def _numbers(module: str, config: ModelConfig) -> list[dict[str, str]]:
    """All layers and experts that a general name may stand for."""
    layers = range(max(config.n_layers, config.n_encoder_layers) if ".N." in module else 1)
    experts = range(config.n_experts if ".E." in module else 1)
    return [{"N": str(layer), "E": str(expert)} for layer in layers for expert in experts]


def _write_tensors(folder: Path, tensors: dict[str, Tensor], shard_bytes: int) -> None:
    """One file, or shards of at most `shard_bytes` each (or one tensor) with their index.

    Each takes its name when it is complete; then what an earlier checkpoint left there goes.
    """
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if shards[-1] and size + tensor.nbytes > shard_bytes:
            shards.append({})
            size = 0
        shards[-1][name], size = tensor, size + tensor.nbytes
    files = ["model.safetensors"]
    if len(shards) > 1:
        n = len(shards)
        files = [f"model-{i + 1:05d}-of-{n:05d}.safetensors" for i in range(n)]
        places = {name: f for f, shard in zip(files, shards, strict=True) for name in shard}
        index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}}
        text = json.dumps(index | {"weight_map": places}, indent=2)
        (folder / INDEX).write_text(text + "\n", encoding="utf-8")
    for file, shard in zip(files, shards, strict=True):
        partial = folder / f".{file}.partial"
        save_file(shard, partial, {"format": "pt"})
        os.replace(partial, folder / file)  # the tensors may be read from the file of that name
    for left in folder.glob("model*.safetensors"):
        if left.name not in files:
            left.unlink()
    if len(files) == 1:
        (folder / INDEX).unlink(missing_ok=True)
