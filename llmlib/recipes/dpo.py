"""Train a policy on preference pairs directly: DPO and its relatives.

    python -m llmlib.recipes.dpo --model S-instruct --data casual --method dpo --out runs/dpo
    python -m llmlib.recipes.dpo --model runs/sft --data my_pairs.jsonl --method ipo --out runs/ipo
    torchrun --nproc-per-node 2 -m llmlib.recipes.dpo …

The reference is the model that the run starts from; its log-probabilities are computed once. A
.jsonl file has TRL's columns `prompt`, `chosen` and `rejected` (lists of messages, or strings); its
last tenth is held out. The same command again goes on with a run that was stopped or killed. In
`--out` it leaves `model.safetensors`, its card `README.md`, `history.json`, and
`last.safetensors`, from which it resumes.
"""

import argparse
import copy

from llmlib import runtime
from llmlib.align.dpo import METHODS, preference_objective
from llmlib.align.reward import accuracy
from llmlib.align.rollout import ActorCritic, write
from llmlib.recipes import run
from llmlib.recipes.post import add_pair_arguments, fit, get_pairs, pair_run, start_model
from llmlib.train import History

OPTIONS = {  # which of the command line's numbers each loss takes
    "dpo": ("beta", "label_smoothing"),
    "robust": ("beta", "flip_rate"),
    "ipo": ("beta",),
    "simpo": ("beta", "gamma", "label_smoothing"),
    "orpo": ("weight",),
    "kto": ("beta",),
}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = run.parser("dpo", __doc__)
    add_pair_arguments(parser, lr=1e-4, muon_lr=1e-3)
    add = parser.add_argument
    add("--method", choices=METHODS, default="dpo")
    add("--beta", type=float, help="default: 0.1, and 2.0 for simpo")
    add("--label-smoothing", type=float, default=0.0, help="dpo and simpo: conservative")
    add("--flip-rate", type=float, default=0.1, help="robust: share of wrong labels")
    add("--gamma", type=float, default=0.5, help="simpo: margin of rewards")
    add("--weight", type=float, default=0.1, help="orpo: of the odds ratio")
    add("--nll", type=float, default=0.0, help="weight of the chosen answer's own likelihood")
    add("--samples", type=int, default=64, help="answers to held-out prompts, for KL and length")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> History:
    """Run the recipe; see the module's text."""
    return run.start("dpo", arguments, train_on_preferences, argv)


def train_on_preferences(args: argparse.Namespace, command: str) -> History:
    """Score the pairs under the reference, train, evaluate, and write the result to `args.out`."""
    model, tok = start_model(args.model)
    model = model.to(runtime.pick_device(args.device))
    reference = copy.deepcopy(model).requires_grad_(False)
    data, held_out = get_pairs(args, tok, model.config.max_seq_len)
    data.add_reference(reference, unmatched=args.method == "kto")
    held_out.add_reference(reference)
    batches, config = pair_run(args, data)
    if args.beta is None:
        args.beta = 2.0 if args.method == "simpo" else 0.1
    options = {name: getattr(args, name) for name in OPTIONS[args.method]}
    meta = {
        "what": f"A policy trained on preferences with {args.method}",
        "model": args.model,
        "data": str(args.data),
        "pairs": len(data),
        "parameters": sum(p.numel() for p in model.parameters()),
        "seed": args.seed,
        "command": command,
        "options": options,
    }
    prompts = [held_out.prompts[i % len(held_out)] for i in range(args.samples)]

    def score(model) -> dict:
        gained = held_out.logprobs(model) - held_out.ref
        written = write(
            ActorCritic(model).to(model.embed.weight.device),
            reference,
            prompts,
            stop=tok.special_tokens["<|end|>"],
            pad=held_out.pad,
            max_new_tokens=96,
            seed=args.seed,
        )
        return {
            "accuracy": accuracy(gained),  # of the implicit reward
            "chosen_gain": float(gained[:, 0].mean()),  # nats
            "rejected_gain": float(gained[:, 1].mean()),
            "kl": float(written.kl.mean()),  # nats an answer
            "tokens": float(written.mask.sum(1).float().mean()),
            "stopped": float(written.stopped.float().mean()),
        }

    run.say(f"{meta['parameters']:,} parameters, {len(data):,} pairs, {config.steps} steps")
    loss_fn = preference_objective(args.method, nll=args.nll, **options)
    return fit(args, model, tok, batches, loss_fn, config, meta, score)


if __name__ == "__main__":
    run.command_line(main)
