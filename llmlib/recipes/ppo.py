"""Train a policy by PPO against a reward model.

    python -m llmlib.recipes.ppo --model S-instruct --reward runs/reward --out runs/ppo
    python -m llmlib.recipes.ppo --model runs/sft --reward runs/rm --data my.jsonl --out runs/mine
    torchrun --nproc-per-node 2 -m llmlib.recipes.ppo …

Prompts come from the world's preference pairs, or from the column `prompt` of a .jsonl file (a list
of messages, or a string). The reference is the model that the run starts from. Rewards are shifted
and scaled to mean 0 and standard deviation 1 on the reference's own answers. Under torchrun every
process answers its share of the prompts. The same command again goes on with a run that was stopped
or killed. In `--out` it leaves `model.safetensors`, its card `README.md`, `history.json` with
every step's numbers, and `last.safetensors`, from which it resumes.
"""

import argparse
import copy
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from llmlib import checkpoint, runtime
from llmlib.align.ppo import PPO, PPOConfig
from llmlib.align.reward import load_reward_model
from llmlib.align.rollout import reward_scorer, write
from llmlib.recipes import run
from llmlib.recipes.post import MODEL_HELP, card, get_prompts, start_model
from llmlib.train.history import StopRequest

TO_NORMALIZE = 256  # of the reference's answers


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = run.parser("ppo", __doc__)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder for everything that the run leaves")
    add("--model", default="S-instruct", help=MODEL_HELP)
    add("--reward", required=True, help="a reward model: file, or folder of its run")
    add("--data", default="casual", help="an annotator of the world, or a .jsonl file")
    add("--steps", type=int, default=60)
    add("--batch-size", type=int, default=64, help="answers in a step, over all processes")
    for name, default in (("beta", 0.05), ("lr", 1e-4), ("temperature", 1.0), ("clip", 0.2)):
        add(f"--{name}", type=float, default=default)
    add("--target-kl", type=float, help="nats an answer: beta adapts to it")
    add("--epochs", type=int, default=2, help="passes over a step's answers")
    add("--minibatches", type=int, default=2, help="updates a pass")
    add("--max-new-tokens", type=int, default=64)
    add("--missing-end", type=float, default=-1.0, help="the score of what does not stop")
    add("--device", help="cpu, cuda, mps; default: the best there is")
    add("--save-every", type=int, default=10, help="steps")
    add("--seed", type=int, default=0)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> list[dict]:
    """Run the recipe; see the module's text."""
    return run.start("ppo", arguments, optimize, argv)


def optimize(args: argparse.Namespace, command: str) -> list[dict]:
    """Prepare policy and rewards, take the steps, and write the result to `args.out`."""
    if args.batch_size % runtime.world_size():
        raise SystemExit("--batch-size must be a multiple of the number of processes")
    policy, tok = start_model(args.model)
    device = runtime.pick_device(args.device)
    policy = policy.to(device)
    reference = copy.deepcopy(policy).requires_grad_(False)
    prompts = get_prompts(args, tok)
    stop, pad = tok.special_tokens["<|end|>"], tok.special_tokens["<|pad|>"]
    names = {f.name for f in fields(PPOConfig)} & vars(args).keys()
    config = PPOConfig(**{name: getattr(args, name) for name in names})
    score = get_scorer(args, tok, device, pad)
    ppo = PPO(policy, reference, score, config, stop=stop, pad=pad)
    normalize(score.model, ppo, prompts)
    meta = {
        "what": "A policy trained by PPO",
        "model": args.model,
        "data": str(args.data),
        "parameters": sum(p.numel() for p in policy.parameters()),
        "seed": args.seed,
        "command": command,
    }
    last, history = args.out / "last.safetensors", []
    if last.exists():
        saved = checkpoint.read(last)
        checkpoint.load_weights(policy, saved.weights, last)
        ppo.load_state_dict(saved.trainer_state["ppo"])
        history = saved.trainer_state["history"]
    run.say(f"{meta['parameters']:,} parameters, {len(prompts):,} prompts, {args.steps} steps")
    with StopRequest() as stop_request:
        for step in range(len(history), args.steps):
            chosen = [prompts[i] for i in share(len(prompts), args, step)]
            history.append(ppo.step(chosen, lr=1 - step / args.steps))
            run.say(f"step {step + 1}: " + describe(history[-1]))
            done = step + 1 == args.steps
            requested = torch.tensor(float(stop_request.requested), device=device)
            stopped = bool(runtime.all_sum(requested).item())
            if (done or stopped or (step + 1) % args.save_every == 0) and runtime.is_main():
                state = {"ppo": ppo.state_dict(), "history": history}
                checkpoint.save(last, policy, tok, meta, state)
            if stopped and not done:
                run.say(f"stopped after step {step + 1}; the same command goes on from there")
                return history
    if runtime.is_main():
        meta |= {"result": history[-1]}
        run.write_result(args.out, policy, tok, meta, {"steps": history}, card)
    return history


def get_scorer(args: argparse.Namespace, tok, device: torch.device, pad: int):
    """A scorer with the reward model as its attribute `model`."""
    model, own, _ = load_reward_model(args.reward)
    if own is not None and own.fingerprint() != tok.fingerprint():
        raise SystemExit(f"{args.reward} reads other tokens than {args.model} writes")
    model = model.to(device).requires_grad_(False)
    score = reward_scorer(model, pad=pad)
    score.model = model
    return score


def normalize(model, ppo: PPO, prompts: list[list[int]]) -> None:
    """Rewards of mean 0 and standard deviation 1 on the reference's own answers."""
    n = min(TO_NORMALIZE, len(prompts))
    chosen = [prompts[i * len(prompts) // n] for i in range(n)]
    written = write(
        ppo.actor,  # it is the reference still
        ppo.reference,
        chosen,
        stop=ppo.stop,
        pad=ppo.pad,
        temperature=ppo.config.temperature,
        max_new_tokens=ppo.config.max_new_tokens,
        seed=ppo.config.seed,
    )
    model.normalize(ppo.score(chosen, written.responses))


def share(n: int, args: argparse.Namespace, step: int) -> list[int]:
    """The numbers of the prompts that this process answers in `step`: every prompt in turn."""
    first = step * args.batch_size
    wanted = range(first + runtime.rank(), first + args.batch_size, runtime.world_size())
    orders = {
        epoch: np.random.default_rng([args.seed, epoch]).permutation(n)
        for epoch in range(first // n, (first + args.batch_size - 1) // n + 1)
    }
    return [int(orders[at // n][at % n]) for at in wanted]


def describe(stats: dict[str, float]) -> str:
    """The step's main numbers, in a line."""
    shown = ("score", "kl", "tokens", "stopped", "clipped")
    return ", ".join(f"{name} {stats[name]:.3f}" for name in shown)


if __name__ == "__main__":
    run.command_line(main)
