"""Pretrain a language model, from text to a finished checkpoint.

    python -m llmlib.recipes.pretrain --model world-s --data world --tokens 2e6 --out runs/s
    python -m llmlib.recipes.pretrain --data my_texts/ --tokens 5e6 --out runs/mine
    torchrun --nproc-per-node 2 -m llmlib.recipes.pretrain --model gpt2 --data owner/name …

The same command again goes on with a run that was stopped or killed, and ends with the very weights
that it would have had. In `--out` it leaves `model.safetensors`, its card `README.md`,
`history.json`, and `last.safetensors`, from which it resumes.
"""

import argparse
from functools import partial
from pathlib import Path

from llmlib import checkpoint, parallel, runtime, tokenizer
from llmlib.data import TokenBatches, TokenData, load_shards, tokenize_to_shards
from llmlib.model import PRESETS, Transformer
from llmlib.recipes import run
from llmlib.recipes.texts import OwnText, WorldText, at_most
from llmlib.train import (
    History,
    evaluate,
    next_token_loss,
    train,
)

TOKENIZER_CHARACTERS = 10_000_000  # of training text that a tokenizer is trained on


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = run.parser("pretrain", __doc__)
    run.add_training_options(parser)
    add = parser.add_argument
    decoders = sorted(name for name, config in PRESETS.items() if not config.n_encoder_layers)
    add(
        "--model",
        default="world-s",
        choices=decoders,
        metavar="NAME",
        help="a preset of llmlib.model, such as world-m or gpt2",
    )
    add(
        "--data",
        default="world",
        help="world, world-small, a text file, a folder, a .jsonl file or a hub dataset "
        "(owner/name, or owner/name:folder)",
    )
    add("--field", default="text", help="the text's field in .jsonl and hub data")
    add("--data-characters", type=float, help="of own text to use at most, such as 5e10")
    add("--prepare", action="store_true", help="write tokenizer and tokens, and stop")
    add("--tokenizer", type=Path, help="a tokenizer.json; without it one is trained on the data")
    add("--vocab-size", type=int, default=1024, help="of a tokenizer that is trained")
    add("--tokens", type=float, help="tokens to train on, such as 2e6; default: the data, once")
    add("--seq-len", type=int, default=256, help="tokens in a row")
    add("--packing", choices=("auto", "documents", "stream"), default="auto")
    add("--held-out", type=int, default=1000, help="documents to evaluate on, at most")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> History | None:
    """Run the recipe; see the module's text. None if it was asked to prepare the data only."""
    return run.start("pretrain", arguments, pretrain, argv)


def pretrain(args: argparse.Namespace, command: str) -> History | None:
    """Prepare the data, train, evaluate, and write the result to `args.out`."""
    runtime.seed_all(args.seed)
    source = WorldText(args) if args.data in ("world", "world-small") else OwnText(args)
    with parallel.main_first():
        tok = get_tokenizer(args, source)
        data = get_data(args, source, tok)
    if args.prepare:
        run.say(f"{data.n_tokens:,} tokens are ready in {args.out}: the same without --prepare")
        return None
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
    state, save = run.resume(args.out, model, tok, meta)

    def score(_, n: int = 200) -> dict:
        result = evaluate(model, held_out[:n], tok, log_probs=log_probs and log_probs[:n])
        excess = f", {result['excess']:.4f} above the floor" if log_probs else ""
        run.say(f"held-out loss {result['nats_per_token']:.4f} nats/token{excess}")
        return result

    run.say(f"{meta['parameters']:,} parameters, {data.n_tokens:,} tokens in the data")
    run.say(f"{config.steps} steps of {config.batch_size} × {config.seq_len} tokens on {device}")
    parallel_model = parallel.data_parallel(model)
    history = train(
        parallel_model, batches, next_token_loss, config, evaluate=score, save=save, state=state
    )
    if history.interrupted:
        run.say(f"stopped after step {history.step[-1]}; the same command goes on from there")
    elif runtime.is_main():
        meta["trained_tokens"] = history.tokens[-1]
        meta["result"] = score(model, len(held_out))
        meta["families"] = by_family(model, tok, held_out, log_probs)
        card = partial(checkpoint.model_card, meta["model"])
        run.write_result(args.out, model, tok, meta, history.to_dict(), card)
    return history


# -- preparation ------------------------------------------------------------------------------


def get_tokenizer(args: argparse.Namespace, source) -> tokenizer.Tokenizer:
    """The tokenizer given or shipped; or one trained on the data, once."""
    path = args.out / "tokenizer.json"
    if args.tokenizer:
        return tokenizer.load(args.tokenizer)
    if "world" in source.meta:
        return checkpoint.load_shipped_tokenizer()
    if not path.exists():
        run.say(f"training a tokenizer of {args.vocab_size} tokens")
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
        run.say("tokenizing the training text")
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
    return batches, run.train_config(args, steps)


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


if __name__ == "__main__":
    run.command_line(main)
