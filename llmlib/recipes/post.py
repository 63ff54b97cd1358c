"""What the recipes after pretraining share: the model that they start from, rows, runs, results."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from torch import nn

from llmlib import checkpoint, parallel, runtime
from llmlib.align.pairs import PairBatches, PairData
from llmlib.data import DataError
from llmlib.model import Transformer
from llmlib.recipes import run
from llmlib.tokenizer.chat import encode_chat
from llmlib.train import History, TrainConfig, train
from llmlib.world import World
from llmlib.world.annotators import ANNOTATORS
from llmlib.world.preferences import preferences

MODEL_HELP = "S, M or S-instruct (shipped), a .safetensors file, or the folder of a run"


def start_model(name: str) -> tuple[Transformer, object]:
    """(model, tokenizer) that a run starts from: shipped ones by name, others by file or folder."""
    path = Path(name)
    if path.is_dir():
        path = path / "model.safetensors"
    if path.suffix == ".safetensors":
        model, tok, _ = checkpoint.load(path)
        if tok is None:
            raise checkpoint.CheckpointError(f"{path} holds no tokenizer")
        return model, tok
    try:
        return checkpoint.load_shipped(name)
    except ValueError as error:
        raise SystemExit(f"--model {name}: no such file or folder, and {error}") from error


def read_rows(path: str | Path, columns: tuple[str, ...]) -> list[dict]:
    """The rows of a .jsonl file, each an object with at least these columns.

    Raises `FileNotFoundError`, or `DataError` that names the line.
    """
    rows = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"{path}, line {number}: not JSON ({error})") from error
            if not isinstance(row, dict) or not set(columns) <= row.keys():
                raise DataError(f"{path}, line {number}: not an object with {', '.join(columns)}")
            rows.append(row)
    if not rows:
        raise DataError(f"{path} has no rows")
    return rows


def get_pairs(args: argparse.Namespace, tok, context: int) -> tuple[PairData, PairData]:
    """(training pairs, held-out pairs) of a persona of the world, or of a file's last tenth."""
    if str(args.data).endswith(".jsonl"):
        rows = read_rows(args.data, ("prompt", "chosen", "rejected"))
        cut = len(rows) - max(1, len(rows) // 10)
        training, held_out = rows[:cut], rows[cut:]
    else:
        training, held_out = world_pairs(args.data)
    if args.pairs:
        training = training[: args.pairs]
    return tuple(PairData(rows, tok, max_tokens=context) for rows in (training, held_out))


def get_prompts(args: argparse.Namespace, tok) -> list[list[int]]:
    """Prompts as token ids, the assistant's turn opened, each once."""
    if str(args.data).endswith(".jsonl"):
        rows = read_rows(args.data, ("prompt",))
    else:
        rows = world_pairs(args.data)[0]
    prompts = [row["prompt"] for row in rows]
    messages = [[{"role": "user", "content": p}] if isinstance(p, str) else p for p in prompts]
    encoded = (tuple(encode_chat(tok, m, add_generation_prompt=True)[0]) for m in messages)
    return [list(ids) for ids in dict.fromkeys(encoded)]


def world_pairs(persona: str) -> tuple[list[dict], list[dict]]:
    """Training and held-out preferences of an annotator of the course's world."""
    if persona not in ANNOTATORS:
        raise SystemExit(
            f"--data {persona}: neither a .jsonl file nor one of {', '.join(ANNOTATORS)}"
        )
    return tuple(list(preferences(World(), persona, split)) for split in ("train", "val"))


def pair_run(args: argparse.Namespace, data: PairData) -> tuple[PairBatches, TrainConfig]:
    """Batches of pairs and the configuration of a run over them, `--epochs` times."""
    batches = PairBatches(data, args.batch_size, seed=args.seed, epochs=args.epochs)
    return batches, run.train_config(args, batches.steps() * args.epochs)


def add_pair_arguments(parser: argparse.ArgumentParser, *, lr: float, muon_lr: float) -> None:
    """The options that runs over preference pairs have in common."""
    run.add_training_options(
        parser,
        batch_size=32,
        rows="pairs",
        optimizer="adamw",
        lr=lr,
        muon_lr=muon_lr,
        warmup=0.05,
        save_every=50,
    )
    add = parser.add_argument
    add("--model", default="S-instruct", help=MODEL_HELP)
    add("--data", default="casual", help="an annotator of the world, or a .jsonl file of pairs")
    add("--pairs", type=int, default=0, help="train on so many pairs at most; 0: all")
    add("--epochs", type=int, default=1)


def fit(
    args: argparse.Namespace,
    model: nn.Module,
    tok,
    batches,
    loss_fn: Callable,
    config: TrainConfig,
    meta: dict,
    score: Callable[[nn.Module], dict],
) -> History:
    """Train `model` from `args.out`'s last checkpoint on, and write the result there."""
    state, save = run.resume(args.out, model, tok, meta)

    def evaluate(_) -> dict:
        result = score(model)
        run.say(", ".join(f"{name} {value:.4f}" for name, value in result.items()))
        return result

    history = train(
        parallel.data_parallel(model),
        batches,
        loss_fn,
        config,
        evaluate=evaluate,
        save=save,
        state=state,
    )
    if history.interrupted:
        run.say(f"stopped after step {history.step[-1]}; the same command goes on from there")
    elif runtime.is_main():
        meta = meta | {"result": {k: v for k, v in history.evals[-1].items() if k != "seconds"}}
        run.write_result(args.out, model, tok, meta, history.to_dict(), card)
    return history


def card(trained: checkpoint.Checkpoint) -> str:
    """Markdown: what the model is and what was measured. No date and no machine."""
    meta = trained.meta
    lines = [f"# {meta['what']}", "", "| | |", "|---|---|"]
    for name in ("model", "data", "pairs", "parameters", "seed", "command"):
        if name in meta:
            value = meta[name]
            shown = f"`{value}`" if name == "command" else value
            lines.append(f"| {name} | {shown} |")
    for name, value in meta["result"].items():
        lines.append(f"| {name.replace('_', ' ')} | {value:.4g} |")
    return "\n".join(lines) + "\n"
