"""One file a checkpoint: weights, tokenizer, and what is needed to go on training.

A safetensors file. Its tensors are the model's, under the model's own names, and the trainer's,
under names that begin with "trainer."; its metadata hold the configuration, the tokenizer, free
`meta`, and a hash of all of it. Any program that reads safetensors can take the weights out.
"""

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from llmlib import tokenizer as tokenizers
from llmlib.checkpoint.tree import flatten, unflatten
from llmlib.model import ModelConfig, build

FORMAT = "llmlib-checkpoint-1"
TRAINER = "trainer"


class CheckpointError(ValueError):
    """A checkpoint that cannot be trusted or does not fit, with what to do about it."""


@dataclass
class Checkpoint:
    """What a file holds. `tokenizer` is None if it was saved without one."""

    config: ModelConfig
    weights: dict[str, Tensor]
    tokenizer: tokenizers.Tokenizer | None
    tokenizer_fingerprint: str | None
    meta: dict
    trainer_state: dict | None


def save(
    path: str | Path,
    model: nn.Module,
    tokenizer,
    meta: dict | None = None,
    trainer_state: dict | None = None,
    *,
    dtype: torch.dtype | None = None,
    embed_tokenizer: bool = True,
) -> str:
    """Write a checkpoint; return its path.

    The file appears under its name only when it is completely on the disk: whatever happens before
    (a kill, a full disk), an earlier checkpoint of that name stays as it was. `meta` is anything
    that JSON can hold. `dtype` stores the weights in another type, such as torch.float16.
    `embed_tokenizer=False` stores the tokenizer's fingerprint only: `tokenizer.json` is then
    expected beside the file. Raises `OSError` if the file cannot be written.
    """
    path = Path(path)
    model = unwrap(model)
    tensors = {name: t.detach().to("cpu", dtype) for name, t in model.state_dict().items()}
    skeleton, state = flatten(trainer_state, TRAINER)
    tensors |= {name: t.to("cpu") for name, t in state.items()}
    tensors = {name: t.contiguous().clone() for name, t in tensors.items()}
    metadata = {
        "format": FORMAT,
        "config": json.dumps(asdict(model.config)),
        "tokenizer": json.dumps(tokenizer.to_hf()) if tokenizer and embed_tokenizer else "",
        "tokenizer_fingerprint": tokenizer.fingerprint() if tokenizer else "",
        "meta": json.dumps(meta or {}),
        "trainer": json.dumps(skeleton),
    }
    metadata["sha256"] = _digest(tensors, metadata)
    _write_atomically(path, tensors, metadata)
    return str(path)


def read(path: str | Path) -> Checkpoint:
    """Everything in a checkpoint, checked against its hash.

    Raises `FileNotFoundError`, or `CheckpointError` for a file that is truncated, altered, or not
    one of ours.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}; train one with llmlib.recipes.pretrain")
    restore = "restore it from a copy, or remove it and train again with the command that made it"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is truncated or damaged ({error}); {restore}") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is no {FORMAT} file (its format: {metadata.get('format')!r}). For a model "
            "from the Hugging Face hub use checkpoint.from_hf(folder)"
        )
    if metadata.get("sha256") != _digest(tensors, metadata):
        raise CheckpointError(f"{path} was altered after it was saved; {restore}")
    state = unflatten(json.loads(metadata["trainer"]), tensors)
    return Checkpoint(
        config=_config(path, metadata),
        weights={k: t for k, t in tensors.items() if not k.startswith(TRAINER + ".")},
        tokenizer=_tokenizer(path, metadata),
        tokenizer_fingerprint=metadata["tokenizer_fingerprint"] or None,
        meta=json.loads(metadata["meta"]),
        trainer_state=state,
    )


def load(path: str | Path) -> tuple[nn.Module, tokenizers.Tokenizer | None, dict]:
    """(model in float32, tokenizer, meta) of a checkpoint; raises as `read` does."""
    checkpoint = read(path)
    model = build(checkpoint.config)
    load_weights(model, checkpoint.weights, path)
    return model, checkpoint.tokenizer, checkpoint.meta


def load_weights(model: nn.Module, weights: dict[str, Tensor], path: str | Path = "") -> None:
    """Copy `weights` into `model`, keeping the model's own types and device."""
    own = unwrap(model).state_dict()
    wrong = {n for n in own.keys() & weights.keys() if own[n].shape != weights[n].shape}
    missing, unknown = own.keys() - weights.keys(), weights.keys() - own.keys()
    if wrong or missing or unknown:
        raise CheckpointError(
            f"{path} does not fit this model: missing {sorted(missing)}, unknown "
            f"{sorted(unknown)}, of another shape {sorted(wrong)}. Build the model from the "
            "checkpoint's own config (checkpoint.load does)"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside what torch.compile and data parallelism put around it."""
    while True:
        inner = getattr(model, "_orig_mod", None) or getattr(model, "module", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def _digest(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """SHA-256 over the metadata (but for the hash itself) and every tensor's name and bytes."""
    digest = hashlib.sha256()
    for key in sorted(metadata.keys() - {"sha256"}):
        digest.update(f"{key}\0{metadata[key]}\0".encode())
    for name in sorted(tensors):
        t = tensors[name].contiguous()
        digest.update(f"{name}\0{t.dtype}\0{tuple(t.shape)}\0".encode())
        digest.update(t.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _config(path: Path, metadata: dict[str, str]) -> ModelConfig:
    """The model's configuration. Raises `CheckpointError` for fields that this library lacks."""
    try:
        return ModelConfig(**json.loads(metadata["config"]))
    except TypeError as error:
        raise CheckpointError(
            f"{path} was written by another version of llmlib ({error}): read it with that one, or "
            "train the model again"
        ) from error


def _tokenizer(path: Path, metadata: dict[str, str]):
    """The tokenizer in the file, or the one beside it; None if there was none."""
    expected = metadata["tokenizer_fingerprint"]
    beside = path.with_name("tokenizer.json")
    if not expected:
        return None
    if metadata["tokenizer"]:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "tokenizer.json"
            copy.write_text(metadata["tokenizer"], encoding="utf-8")
            tokenizer = tokenizers.load(copy)
    elif beside.is_file():
        tokenizer = tokenizers.load(beside)
    else:
        raise CheckpointError(f"{path} needs the tokenizer it was trained with, as {beside}")
    if tokenizer.fingerprint() != expected:
        raise CheckpointError(
            f"{path} was trained with another tokenizer than {beside}: put the right one there, or "
            "train the model again"
        )
    return tokenizer


def _write_atomically(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write beside `path`, wait for the disk, then take its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")  # a kill may leave one: written over
    try:
        save_file(tensors, partial, metadata)
        partial.chmod(0o644)  # the writer makes files that only their owner can read
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new name, too, must survive a power cut
        finally:
            os.close(folder)
    except (OSError, SafetensorError) as error:
        size = sum(t.numel() * t.element_size() for t in tensors.values()) / 1e6
        kept = "; the earlier checkpoint there is untouched" if path.exists() else ""
        raise OSError(
            f"could not write {path} ({size:.1f} MB): {error}{kept}. Free some space or choose "
            "another folder, and run the same command again"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
