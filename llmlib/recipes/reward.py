"""Train a reward model on preference pairs.

    python -m llmlib.recipes.reward --model S-instruct --data casual --out runs/reward
    python -m llmlib.recipes.reward --model runs/sft --data my_pairs.jsonl --out runs/mine
    torchrun --nproc-per-node 2 -m llmlib.recipes.reward …

A .jsonl file has TRL's columns `prompt`, `chosen` and `rejected` (lists of messages, or strings);
its last tenth is held out. The same command again goes on with a run that was stopped or killed. In
`--out` it leaves `model.safetensors` (`llmlib.align.reward.load_reward_model` reads it), its card
`README.md`, `history.json`, and `last.safetensors`, from which it resumes.
"""

import argparse

from llmlib import runtime
from llmlib.align.reward import RewardModel, accuracy, bt_loss, pair_rewards, reward_objective
from llmlib.recipes import run
from llmlib.recipes.post import add_pair_arguments, fit, get_pairs, pair_run, start_model
from llmlib.train import History


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = run.parser("reward", __doc__)
    add_pair_arguments(parser, lr=3e-4, muon_lr=3e-3)
    parser.add_argument("--center", type=float, default=0.01, help="pull of mean rewards to 0")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> History:
    """Run the recipe; see the module's text."""
    return run.start("reward", arguments, train_reward_model, argv)


def train_reward_model(args: argparse.Namespace, command: str) -> History:
    """Prepare the pairs, train, evaluate, and write the result to `args.out`."""
    trunk, tok = start_model(args.model)
    runtime.seed_all(args.seed)
    model = RewardModel(trunk).to(runtime.pick_device(args.device))
    data, held_out = get_pairs(args, tok, model.config.max_seq_len)
    batches, config = pair_run(args, data)
    meta = {
        "what": "A reward model",
        "model": args.model,
        "data": str(args.data),
        "pairs": len(data),
        "parameters": sum(p.numel() for p in model.parameters()),
        "seed": args.seed,
        "command": command,
    }

    def score(model: RewardModel) -> dict:
        rewards = pair_rewards(model, held_out)
        return {
            "accuracy": accuracy(rewards),
            "loss": float(bt_loss(rewards[:, 0], rewards[:, 1]).mean()),
            "mean": float(rewards.mean()),
            "std": float(rewards.std()),
            "held_out_pairs": float(len(held_out)),
        }

    run.say(f"{meta['parameters']:,} parameters, {len(data):,} pairs, {config.steps} steps")
    return fit(args, model, tok, batches, reward_objective(center=args.center), config, meta, score)


if __name__ == "__main__":
    run.command_line(main)
