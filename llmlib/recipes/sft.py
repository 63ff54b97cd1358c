"""Fine-tune a base model on conversations, until it answers and stops.

    python -m llmlib.recipes.sft --model S --out runs/s-instruct
    python -m llmlib.recipes.sft --model runs/mine --data chats.jsonl --out runs/chat
    torchrun --nproc-per-node 2 -m llmlib.recipes.sft --model S --out runs/s-instruct

`--data world` is the course's own mixture: instructions of twelve families, an agent's transcripts,
and some pretraining text against forgetting. Any other `--data` is a file of JSON lines with
`messages` (and `tools`) as TRL has them; every twentieth conversation is held out.

The same command again goes on with a run that was stopped or killed. In `--out` it leaves
`model.safetensors`, its card `README.md`, `history.json`, and `last.safetensors`.
"""

import argparse
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from llmlib import checkpoint, lora, parallel, runtime
from llmlib.data import ChatBatches, ChatData
from llmlib.recipes import run, scores
from llmlib.recipes.post import MODEL_HELP, read_rows, start_model
from llmlib.train import History, next_token_loss, train
from llmlib.world import World, agent_tasks, tasks

EVERY = 20  # of own conversations, one in so many is held out
REPLAY_SEED = 1000  # of the pretraining text that is mixed in: none that the base model has read


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = run.parser("sft", __doc__)
    run.add_training_options(parser, lr=2e-3, muon_lr=0.01, save_every=100)
    add = parser.add_argument
    add("--model", default="S", help=MODEL_HELP)
    add("--data", default="world", help="world, or a file of conversations in JSON lines")
    add("--rows", type=int, default=20_000, help="world: instructions to draw")
    add("--transcripts", type=int, default=3_000, help="world: an agent's transcripts to draw")
    add("--replay", type=float, default=0.1, help="world: share of pretraining text in the tokens")
    add("--epochs", type=int, default=1, help="how often the data are gone through")
    add("--lora", type=int, default=0, help="rank of LoRA adapters; 0: train every weight")
    add("--seq-len", type=int, default=512, help="tokens in a row")
    add("--held-out", type=int, default=240, help="rows of each split to evaluate on, at most")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> History:
    """Run the recipe; see the module's text."""
    return run.start("sft", arguments, finetune, argv)


def finetune(args: argparse.Namespace, command: str) -> History:
    """Prepare the data, train, evaluate before and after, and write the result to `args.out`."""
    runtime.seed_all(args.seed)
    model, tok = start_model(args.model)
    data, held_out = get_data(args, tok)
    device = runtime.pick_device(args.device)
    parameters = sum(p.numel() for p in model.parameters())
    model = adapt(model, args.lora).to(device)
    batches, config = get_run(args, data, model.config.max_seq_len)
    meta = {
        "stage": "sft",
        "base": args.model,
        "command": command,
        "data": describe(args),
        "conversations": len(data),
        "data_tokens": data.n_tokens,
        "parameters": parameters,
        "seed": args.seed,
    }
    if args.data == "world":
        meta["world"] = checkpoint.world_fingerprint()
    state, save = run.resume(args.out, model, tok, meta)

    def score(_) -> dict:
        result = scores.quick(model, tok, held_out)
        run.say(", ".join(f"{name} {value:.3f}" for name, value in result.items()))
        return result

    run.say(
        f"{len(data):,} conversations, {data.n_tokens:,} tokens, {data.n_learnt:,} of them learnt"
    )
    run.say(f"{batches.n_cut} are cut to {args.seq_len} tokens, {batches.n_dropped} dropped")
    run.say(f"{config.steps} steps of {config.batch_size} × {config.seq_len} tokens on {device}")
    forward = parallel.data_parallel(model)
    history = train(
        forward, batches, next_token_loss, config, evaluate=score, save=save, state=state
    )
    if history.interrupted:
        run.say(f"stopped after step {history.step[-1]}; the same command goes on from there")
    elif runtime.is_main():
        lora.merge_lora(model)
        meta["trained_tokens"] = history.tokens[-1]
        base = start_model(args.model)[0].to(device)
        whole = scores.world if args.data == "world" else scores.conversations
        meta["result"] = whole(base, model, tok, held_out)
        card = partial(checkpoint.instruct_card, f"{Path(args.model).stem}-instruct")
        run.write_result(args.out, model, tok, meta, history.to_dict(), card)
    return history


# -- preparation ------------------------------------------------------------------------------


def adapt(model, rank: int):
    """The model as it is, or frozen with adapters of that rank."""
    return lora.add_lora(model, rank) if rank else model


def get_data(args: argparse.Namespace, tok) -> tuple[ChatData, list[dict]]:
    """(training data, rows that are held out)."""
    if args.data != "world":
        rows = read_rows(args.data, ("messages",))
        held_out = rows[EVERY - 1 :: EVERY][: args.held_out]
        del rows[EVERY - 1 :: EVERY]
        return ChatData(rows, tok), held_out
    world = World()
    rows = list(world_rows(world, args))
    if args.replay:
        rows += replay(world, tok, args.replay, ChatData(rows, tok).n_tokens, args.seed)
    return ChatData(rows, tok), list(tasks.rows(world, args.held_out, split="val"))


def world_rows(world: World, args: argparse.Namespace) -> Iterator[dict]:
    """The course's conversations: single instructions, and an agent at work."""
    instructions = tasks.rows(world, args.rows, args.seed)
    return chain(instructions, agent_tasks.transcripts(world, args.transcripts, args.seed))


def replay(world: World, tok, share: float, n_tokens: int, seed: int) -> Iterator[dict]:
    """Pretraining documents that make up `share` of all tokens, beside `n_tokens` of others."""
    if not 0 <= share < 1:
        raise SystemExit(f"--replay is a share of the tokens, at least 0 and below 1, not {share}")
    wanted = n_tokens * share / (1 - share)
    for document in world.documents(10**9, seed + REPLAY_SEED):
        if wanted <= 0:
            return
        wanted -= len(tok.encode(document.text)) + 1
        yield {"text": document.text}


def describe(args: argparse.Namespace) -> str:
    """The training data in words."""
    if args.data != "world":
        return args.data
    parts = [f"{args.rows:,} instructions of twelve families"]
    parts += [f"{args.transcripts:,} transcripts of an agent"] if args.transcripts else []
    parts += [f"{args.replay:.0%} pretraining text"] if args.replay else []
    return f"{', '.join(parts)}; {args.epochs} time{'s' * (args.epochs > 1)}"


def get_run(args: argparse.Namespace, data: ChatData, context: int):
    """(batches, training configuration)."""
    if args.seq_len > context:
        raise SystemExit(f"--seq-len {args.seq_len} exceeds the model's context of {context}")
    if args.epochs < 1:
        raise SystemExit(f"--epochs must be at least 1, not {args.epochs}")
    batches = ChatBatches(data, args.batch_size, args.seq_len, seed=args.seed)
    steps = args.epochs * batches.steps_in_first_epoch()
    return batches, run.train_config(args, steps)


if __name__ == "__main__":
    run.command_line(main)
