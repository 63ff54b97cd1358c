"""What all recipes share: options, one run a folder that is taken up where it stopped, its results.

A recipe is a flat script: `arguments`, `main`, one function that reads from top to bottom, and what
that function needs. `start` calls it; `resume` gives it the state to go on from.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from torch import nn

from llmlib import checkpoint, parallel, runtime
from llmlib.checkpoint import Checkpoint, CheckpointError
from llmlib.data import DataError
from llmlib.train import TrainConfig, TrainingDiverged

MAY_CHANGE = {
    "out",
    "save_every",
    "eval_every",
    "grad_accum",
    "compile",
    "prepare",
}  # when going on
DECIDE_THE_TEXT = {"data", "field", "data_characters", "tokenizer", "vocab_size", "tokens", "seed"}


# -- the command line -------------------------------------------------------------------------


def parser(recipe: str, text: str) -> argparse.ArgumentParser:
    """The parser of `python -m llmlib.recipes.<recipe>`, which prints the module's text as help."""
    return argparse.ArgumentParser(
        prog=f"llmlib.recipes.{recipe}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_training_options(
    parser: argparse.ArgumentParser,
    *,
    batch_size: int = 16,
    rows: str = "rows",
    optimizer: str = "muon",
    lr: float = TrainConfig.lr,
    muon_lr: float = TrainConfig.muon_lr,
    warmup: float = 0.02,
    save_every: int = 200,
) -> None:
    """The options of a run of `llmlib.train.train`, with a recipe's own defaults."""
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder for everything that the run leaves")
    each = f"{rows} in a step, over all processes"
    add("--batch-size", type=int, default=batch_size, help=each)
    add("--optimizer", choices=("muon", "adamw"), default=optimizer)
    add("--lr", type=float, default=lr, help="AdamW's peak learning rate")
    add("--muon-lr", type=float, default=muon_lr, help="Muon's peak learning rate")
    add("--weight-decay", type=float, default=TrainConfig.weight_decay)
    add("--warmup", type=float, default=warmup, help="share of the steps")
    add("--decay", choices=("linear", "cosine", "wsd", "none"), default="linear")
    add("--grad-accum", type=int, default=1, help="pieces a batch is cut into")
    add("--precision", choices=runtime.PRECISIONS, default="auto")
    add("--compile", action="store_true", help="torch.compile: slow start, faster steps")
    add("--device", help="cpu, cuda, mps; default: the best there is")
    add("--eval-every", type=int, default=0, help="steps; 0: at the end only")
    add("--save-every", type=int, default=save_every, help="steps")
    add("--seed", type=int, default=0)


def train_config(args: argparse.Namespace, steps: int) -> TrainConfig:
    """The configuration that the options ask for, of a run of `steps` steps."""
    names = [f.name for f in fields(TrainConfig) if f.name in vars(args)]
    settings = {name: getattr(args, name) for name in names}
    return TrainConfig(**settings | {"steps": steps, "warmup": int(args.warmup * steps)})


def start(
    recipe: str,
    arguments: Callable[[list[str]], argparse.Namespace],
    run: Callable[[argparse.Namespace, str], object],
    argv: list[str] | None,
):
    """What `run` returns, given the parsed options and the command that repeats it."""
    argv = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "-m", f"llmlib.recipes.{recipe}", *argv])
    with parallel.processes():
        args = arguments(argv)
        with parallel.main_first():
            check_same_run(args)
        return run(args, command)


def command_line(main: Callable[[], object]) -> None:
    """`main` for a terminal: what the user can mend is said in a line, without a traceback."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on from there")
    except (OSError, DataError, CheckpointError, TrainingDiverged) as error:
        sys.exit(f"error: {error}")


# -- one run a folder -------------------------------------------------------------------------


def check_same_run(args: argparse.Namespace) -> None:
    """Remember what this folder's run is, and refuse to go on with another in the same folder.

    Once there is a checkpoint, every setting is fixed; before that only what the tokens in the
    folder depend on is, so that a command that was refused can be corrected and repeated.
    """
    if not runtime.is_main():
        return
    settings = {name: str(value) for name, value in vars(args).items() if name not in MAY_CHANGE}
    path = args.out / "run.json"
    before = json.loads(path.read_text()) if path.exists() else settings
    fixed = set()
    if (args.out / "last.safetensors").exists():
        fixed = settings.keys()
    elif (args.out / "tokenizer.json").exists() or (args.out / "tokens").exists():
        fixed = DECIDE_THE_TEXT
    changed = [
        f"{name}: {before.get(name)} → {value}"
        for name, value in settings.items()
        if name in fixed and before.get(name, value) != value  # a newer option has no value before
    ]
    if changed:
        raise SystemExit(
            f"{args.out} holds a run with other settings ({'; '.join(changed)}). Repeat its "
            "command to go on with it, or choose another --out"
        )
    args.out.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(settings, indent=1))
    partial.replace(path)


def resume(out: Path, model: nn.Module, tok, meta: dict) -> tuple[dict | None, Callable]:
    """(state to go on from, or None; how to save one): `state` and `save` of `train`.

    Where the folder has a checkpoint, the model gets its weights.
    """
    last, state = out / "last.safetensors", None
    if last.exists():
        saved = checkpoint.read(last)
        checkpoint.load_weights(model, saved.weights, last)
        state = saved.trainer_state

    def save(state: dict) -> str:
        if runtime.is_main():
            checkpoint.save(last, model, tok, meta, state)
        return str(last)

    return state, save


def write_result(
    out: Path, model: nn.Module, tok, meta: dict, history: dict, card: Callable[[Checkpoint], str]
) -> None:
    """The finished model, its card, and the curve."""
    path = checkpoint.save(out / "model.safetensors", model, tok, meta)
    (out / "README.md").write_text(card(checkpoint.read(path)))
    (out / "history.json").write_text(json.dumps(history))
    say(f"wrote {path}")


def say(text: str) -> None:
    """Print on the first process only."""
    if runtime.is_main():
        print(text, flush=True)
