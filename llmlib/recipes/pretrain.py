"""Pretrain a language model, from text to a finished checkpoint.

    python -m llmlib.recipes.pretrain --model world-s --data world --tokens 2e6 --out runs/s
    python -m llmlib.recipes.pretrain --data my_texts/ --tokens 5e6 --out runs/mine
    torchrun --nproc-per-node 2 -m llmlib.recipes.pretrain --model gpt2 --data owner/name …

The same command again goes on with a run that was stopped or killed, and ends with the very weights
that it would have had. In `--out` it leaves `model.safetensors`, its card `README.md`,
`history.json`, and `last.safetensors`, from which it resumes.
"""

import argparse
import json
import shlex
import sys
from dataclasses import fields
from pathlib import Path

from llmlib import checkpoint, parallel, runtime, tokenizer
from llmlib.checkpoint import CheckpointError
from llmlib.data import DataError, TokenBatches, TokenData, load_shards, tokenize_to_shards
from llmlib.model import PRESETS, Transformer
from llmlib.recipes.texts import OwnText, WorldText, at_most
from llmlib.train import (
    History,
    TrainConfig,
    TrainingDiverged,
    evaluate,
    next_token_loss,
    train,
)

TOKENIZER_CHARACTERS = 10_000_000  # of training text that a tokenizer is trained on
MAY_CHANGE = {"out", "save_every", "eval_every", "grad_accum", "compile"}  # when going on
DECIDE_THE_TEXT = {"data", "field", "tokenizer", "vocab_size", "tokens", "seed"}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="llmlib.recipes.pretrain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder for everything that the run leaves")
    add("--model", default="world-s", choices=sorted(PRESETS), help="a preset of llmlib.model")
    add(
        "--data",
        default="world",
        help="world, world-small, a text file, a folder, a .jsonl file or a hub dataset",
    )
    add("--field", default="text", help="the text's field in .jsonl and hub data")
    add("--tokenizer", type=Path, help="a tokenizer.json; without it one is trained on the data")
    add("--vocab-size", type=int, default=1024, help="of a tokenizer that is trained")
    add("--tokens", type=float, help="tokens to train on, such as 2e6; default: the data, once")
    add("--batch-size", type=int, default=16, help="rows in a step, over all processes")
    add("--seq-len", type=int, default=256, help="tokens in a row")
    add("--packing", choices=("auto", "documents", "stream"), default="auto")
    add("--optimizer", choices=("muon", "adamw"), default="muon")
    add("--lr", type=float, default=TrainConfig.lr, help="AdamW's peak learning rate")
    add("--muon-lr", type=float, default=TrainConfig.muon_lr, help="Muon's peak learning rate")
    add("--weight-decay", type=float, default=TrainConfig.weight_decay)
    add("--warmup", type=float, default=0.02, help="share of the steps")
    add("--decay", choices=("linear", "cosine", "wsd", "none"), default="linear")
    add("--grad-accum", type=int, default=1, help="pieces a batch is cut into")
    add("--precision", choices=runtime.PRECISIONS, default="auto")
    add("--compile", action="store_true", help="torch.compile: slow start, faster steps")
    add("--device", help="cpu, cuda, mps; default: the best there is")
    add("--eval-every", type=int, default=0, help="steps; 0: at the end only")
    add("--save-every", type=int, default=200, help="steps")
    add("--held-out", type=int, default=1000, help="documents to evaluate on, at most")
    add("--seed", type=int, default=0)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> History:
    """Run the recipe; see the module's text."""
    argv = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "-m", "llmlib.recipes.pretrain", *argv])
    with parallel.processes():
        return pretrain(arguments(argv), command)


def pretrain(args: argparse.Namespace, command: str) -> History:
    """Prepare the data, train, evaluate, and write the result to `args.out`."""
    runtime.seed_all(args.seed)
    source = WorldText(args) if args.data in ("world", "world-small") else OwnText(args)
    with parallel.main_first():
        check_same_run(args)
        tok = get_tokenizer(args, source)
        data = get_data(args, source, tok)
    held_out, log_probs = source.held_out()

    device = runtime.pick_device(args.device)
    model = Transformer(PRESETS[args.model].replace(vocab_size=tok.vocab_size)).to(device)
    batches, config = get_run(args, data, model.config.max_seq_len)
    meta = source.meta | {
        "model": args.model,
        "command": command,
        "data_tokens": data.n_tokens,
        "parameters": sum(p.numel() for p in model.parameters()),
        "seed": args.seed,
    }
    last, state = args.out / "last.safetensors", None
    if last.exists():
        saved = checkpoint.read(last)
        checkpoint.load_weights(model, saved.weights, last)
        state = saved.trainer_state

    def save(state: dict) -> str:
        if runtime.is_main():
            checkpoint.save(last, model, tok, meta, state)
        return str(last)

    def score(_, n: int = 200) -> dict:
        result = evaluate(model, held_out[:n], tok, log_probs=log_probs and log_probs[:n])
        excess = f", {result['excess']:.4f} above the floor" if log_probs else ""
        say(f"held-out loss {result['nats_per_token']:.4f} nats/token{excess}")
        return result

    say(f"{meta['parameters']:,} parameters, {data.n_tokens:,} tokens in the data")
    say(f"{config.steps} steps of {config.batch_size} × {config.seq_len} tokens on {device}")
    parallel_model = parallel.data_parallel(model)
    history = train(
        parallel_model, batches, next_token_loss, config, evaluate=score, save=save, state=state
    )
    if history.interrupted:
        say(f"stopped after step {history.step[-1]}; the same command goes on from there")
    elif runtime.is_main():
        meta["trained_tokens"] = history.tokens[-1]
        meta["result"] = score(model, len(held_out))
        meta["families"] = by_family(model, tok, held_out, log_probs)
        write_result(args.out, model, tok, meta, history)
    return history


# -- preparation ------------------------------------------------------------------------------


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
        if name in fixed and before.get(name) != value
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


def get_tokenizer(args: argparse.Namespace, source) -> tokenizer.Tokenizer:
    """The tokenizer given or shipped; or one trained on the data, once."""
    path = args.out / "tokenizer.json"
    if args.tokenizer:
        return tokenizer.load(args.tokenizer)
    if "world" in source.meta:
        return checkpoint.load_shipped_tokenizer()
    if not path.exists():
        say(f"training a tokenizer of {args.vocab_size} tokens")
        texts = at_most(source.texts(), TOKENIZER_CHARACTERS)
        special = tokenizer.SPECIAL_TOKENS
        if args.vocab_size < 256 + len(special):
            raise SystemExit(f"--vocab-size must be at least {256 + len(special)}")
        tokenizer.BPE.train(texts, args.vocab_size, special_tokens=special).save(path)
    return tokenizer.load(path)


def get_data(args: argparse.Namespace, source, tok) -> TokenData:
    """The tokenized training text, from the run's folder if it is there already."""
    folder = args.out / "tokens"
    if not folder.exists():
        say("tokenizing the training text")
        tokenize_to_shards(source.texts(tok), tok, folder)
    return load_shards(folder, tok)


def get_run(args: argparse.Namespace, data: TokenData, context: int):
    """(batches, training configuration): once through the data, or on and on up to `--tokens`."""
    if args.seq_len > context:
        raise SystemExit(f"--seq-len {args.seq_len} exceeds the model's context of {context}")
    packing = args.packing
    if packing == "auto":  # long documents do not fit into rows: take windows of the stream
        packing = "documents" if data.lengths().mean() <= args.seq_len else "stream"
    once = args.tokens is None or args.data in ("world", "world-small")
    batches = TokenBatches(
        data,
        args.batch_size,
        args.seq_len,
        seed=args.seed,
        packing=packing,
        epochs=1 if once else None,
    )
    per_step = args.batch_size * args.seq_len
    steps = batches.steps_in_first_epoch() if once else max(1, round(args.tokens / per_step))
    names = [f.name for f in fields(TrainConfig) if f.name in vars(args)]
    settings = {name: getattr(args, name) for name in names}
    return batches, TrainConfig(**settings | {"steps": steps, "warmup": int(args.warmup * steps)})


# -- results ----------------------------------------------------------------------------------


def by_family(model, tok, held_out: list, log_probs: list[float] | None) -> dict[str, dict]:
    """The evaluation of each family of the world's documents."""
    if log_probs is None:
        return {}
    results = {}
    for family in sorted({document.family for document in held_out}):
        chosen = [i for i, document in enumerate(held_out) if document.family == family]
        documents = [held_out[i] for i in chosen]
        results[family] = evaluate(model, documents, tok, log_probs=[log_probs[i] for i in chosen])
    return results


def write_result(out: Path, model, tok, meta: dict, history: History) -> None:
    """The finished model, its card, and the curve."""
    path = checkpoint.save(out / "model.safetensors", model, tok, meta)
    (out / "README.md").write_text(checkpoint.model_card(meta["model"], checkpoint.read(path)))
    (out / "history.json").write_text(json.dumps(history.to_dict()))
    say(f"wrote {path}")


def say(text: str) -> None:
    """Print on the first process only."""
    if runtime.is_main():
        print(text, flush=True)


def command_line(run=None) -> None:
    """`run` (or `main`) for a terminal: what the user can mend is said without a traceback."""
    try:
        (run or main)()
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on from there")
    except (OSError, DataError, CheckpointError, TrainingDiverged) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    command_line()
