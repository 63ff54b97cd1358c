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
from llmlib.recipes.pretrain import say
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
    config = TrainConfig(
        steps=batches.steps() * args.epochs,
        batch_size=args.batch_size,
        optimizer=args.optimizer,
        lr=args.lr,
        muon_lr=args.muon_lr,
        warmup=int(args.warmup * batches.steps() * args.epochs),
        grad_accum=args.grad_accum,
        precision=args.precision,
        eval_every=args.eval_every,
        save_every=args.save_every,
        seed=args.seed,
    )
    return batches, config


def add_pair_arguments(parser: argparse.ArgumentParser, *, lr: float, muon_lr: float) -> None:
    """The options that runs over preference pairs have in common."""
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder for everything that the run leaves")
    add("--model", default="S-instruct", help=MODEL_HELP)
    add("--data", default="casual", help="an annotator of the world, or a .jsonl file of pairs")
    add("--pairs", type=int, default=0, help="train on so many pairs at most; 0: all")
    add("--epochs", type=int, default=1)
    add("--batch-size", type=int, default=32, help="pairs in a step, over all processes")
    add("--optimizer", choices=("muon", "adamw"), default="adamw")
    add("--lr", type=float, default=lr, help="AdamW's peak learning rate")
    add("--muon-lr", type=float, default=muon_lr, help="Muon's peak learning rate")
    add("--warmup", type=float, default=0.05, help="share of the steps")
    add("--grad-accum", type=int, default=1, help="pieces a batch is cut into")
    add("--precision", choices=runtime.PRECISIONS, default="auto")
    add("--device", help="cpu, cuda, mps; default: the best there is")
    add("--eval-every", type=int, default=0, help="steps; 0: at the end only")
    add("--save-every", type=int, default=50, help="steps")
    add("--seed", type=int, default=0)


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
    last, state = args.out / "last.safetensors", None
    if last.exists():
        saved = checkpoint.read(last)
        checkpoint.load_weights(model, saved.weights, last)
        state = saved.trainer_state

    def save(state: dict) -> str:
        if runtime.is_main():
            checkpoint.save(last, model, tok, meta, state)
        return str(last)

    def evaluate(_) -> dict:
        result = score(model)
        say(", ".join(f"{name} {value:.4f}" for name, value in result.items()))
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
        say(f"stopped after step {history.step[-1]}; the same command goes on from there")
    elif runtime.is_main():
        meta = meta | {"result": {k: v for k, v in history.evals[-1].items() if k != "seconds"}}
        write_result(args.out, model, tok, meta, history.to_dict())
    return history


def write_result(out: Path, model: nn.Module, tok, meta: dict, history: dict) -> None:
    """The finished model, its card, and the curve."""
    path = checkpoint.save(out / "model.safetensors", model, tok, meta)
    (out / "README.md").write_text(card(meta))
    (out / "history.json").write_text(json.dumps(history))
    say(f"wrote {path}")


def card(meta: dict) -> str:
    """Markdown: what the model is and what was measured. No date and no machine."""
    lines = [f"# {meta['what']}", "", "| | |", "|---|---|"]
    for name in ("model", "data", "pairs", "parameters", "seed", "command"):
        if name in meta:
            value = meta[name]
            shown = f"`{value}`" if name == "command" else value
            lines.append(f"| {name} | {shown} |")
    for name, value in meta["result"].items():
        lines.append(f"| {name.replace('_', ' ')} | {value:.4g} |")
    return "\n".join(lines) + "\n"
