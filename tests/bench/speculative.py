"""Speculative decoding with the shipped models: M writes, S guesses.

    python tests/bench/speculative.py [--prompts 8] [--new-tokens 100] [--cpu-time]

For each temperature and number of guesses: acceptance, tokens for each pass of the large model, and
the ratio of times to `generate` on the same prompts, measured alternately. --cpu-time counts the
processor's seconds, for a busy machine and one thread.
"""

import argparse
import time

from llmlib.checkpoint import load_shipped
from llmlib.generate import SpeculativeStats, generate, speculative
from llmlib.world import World


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--new-tokens", type=int, default=100)
    parser.add_argument("--cpu-time", action="store_true")
    args = parser.parse_args()
    clock = time.process_time if args.cpu_time else time.perf_counter
    (model, tok), (draft, _) = load_shipped("M"), load_shipped("S")
    start = tok.special_tokens["<|endoftext|>"]
    texts = [document.text for document in World().documents(args.prompts, 0, "val")]
    prompts = [[start, *tok.encode(text)[:16]] for text in texts]
    n = args.new_tokens
    generate(model, prompts[0], max_new_tokens=8, seed=0)  # warm
    for temperature in (0, 1.0):
        for guesses in (1, 2, 4, 8):
            total, plain, ours = SpeculativeStats(), 0.0, 0.0
            for seed, prompt in enumerate(prompts):
                options = {"max_new_tokens": n, "temperature": temperature, "seed": seed}
                started = clock()
                generate(model, prompt, **options)
                middle = clock()
                _, stats = speculative(model, draft, prompt, draft_tokens=guesses, **options)
                plain += middle - started
                ours += clock() - middle
                for name, value in vars(stats).items():
                    setattr(total, name, getattr(total, name) + value)
            print(
                f"temperature {temperature}, {guesses} guesses: acceptance "
                f"{total.acceptance_rate:.3f}, {total.tokens_per_call:.2f} tokens a pass, "
                f"{plain / ours:.2f} × the speed of generate ({len(prompts) * n / plain:.0f} "
                "tokens/s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
