"""The models that come with the library, and the gate before them."""

from functools import cache
from pathlib import Path

from llmlib import tokenizer as tokenizers
from llmlib.checkpoint.file import Checkpoint, CheckpointError, load_weights, read
from llmlib.model import PRESETS, Transformer
from llmlib.world import World

MODELS = ("S", "M", "S-instruct", "M-instruct")
SHIPPED = Path(__file__).parent.parent / "shipped"
REBUILD = "rebuild what is shipped with `make checkpoints` (python -m llmlib.recipes.ship)"


def load_shipped_tokenizer() -> tokenizers.BPE:
    """The world's tokenizer: byte-level BPE with 1,024 tokens, special ones included."""
    path = SHIPPED / "tokenizer.json"
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; {REBUILD}")
    return tokenizers.load(path)


def load_shipped(name: str) -> tuple[Transformer, tokenizers.BPE]:
    """(model in float32, tokenizer) of a shipped model.

    name  "S" or "M", the base models, which go on with a text; "S-instruct" or "M-instruct", the
          same after supervised fine-tuning, which answer.

    Raises `CheckpointError` if the file is damaged, or if world, tokenizer and configuration are
    not those that the model was trained with.
    """
    if name not in MODELS:
        raise ValueError(f"there are the shipped models {', '.join(MODELS)}, not {name!r}")
    path = SHIPPED / f"{name.lower()}.safetensors"
    try:
        checkpoint = read(path)
    except (FileNotFoundError, CheckpointError) as error:
        raise CheckpointError(f"{error}; {REBUILD}") from error
    check_gate(name, checkpoint, load_shipped_tokenizer())
    model = Transformer(checkpoint.config)
    load_weights(model, checkpoint.weights, path)
    return model.eval(), checkpoint.tokenizer


def check_gate(name: str, checkpoint: Checkpoint, tokenizer: tokenizers.Tokenizer) -> None:
    """Raise `CheckpointError` unless the model was trained in this library's world.

    Compared are what the world says, the tokenizer and the configuration, not source code:
    additions to the library leave the shipped models valid.
    """
    same = {
        "world": checkpoint.meta.get("world") == world_fingerprint(),
        "tokenizer": checkpoint.tokenizer_fingerprint == tokenizer.fingerprint(),
        "configuration": checkpoint.config == PRESETS[f"world-{name[0].lower()}"],
    }
    different = [part for part, matches in same.items() if not matches]
    if different:
        raise CheckpointError(
            f"the shipped model {name} was trained with another {' and '.join(different)} than "
            f"this library has: its answers would be measured against the wrong truth; {REBUILD}"
        )


@cache
def world_fingerprint() -> str:
    """The fingerprint of the course's world (a second's work, done once a process)."""
    return World().fingerprint()
