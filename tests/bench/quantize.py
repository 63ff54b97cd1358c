"""What rounded weights cost on the world: bytes, nats a token, and tokens a second.

    python tests/bench/quantize.py [--model M] [--documents 400]

The cost is the difference of mean nats a token on the same held-out documents, with its standard
error over documents. Speed: one prompt, greedy, 100 tokens, the best of three.
"""

import argparse
import time

import numpy as np

from llmlib.checkpoint import load_shipped
from llmlib.generate import generate
from llmlib.quantize import memory, quantize
from llmlib.train import document_nats
from llmlib.world import World

VARIANTS = {
    "float32": None,
    "int8": {},
    "int8, table too": {"embeddings": True},
    "int8, inputs too (W8A8)": {"activations": True},
    "int4, groups of 32": {"bits": 4},
    "int4, groups of 16": {"bits": 4, "group": 16},
}


def tokens_per_second(model, n=100) -> float:
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        generate(model, [[0]], max_new_tokens=n, temperature=0)
        seconds.append(time.perf_counter() - started)
    return n / min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="S")
    parser.add_argument("--documents", type=int, default=400)
    args = parser.parse_args()
    model, tok = load_shipped(args.model)
    texts = [document.text for document in World().documents(args.documents, 0, "val")]
    exact, tokens = document_nats(model, texts, tok)
    print(f"{args.model}: {exact.sum() / tokens.sum():.4f} nats/token on {tokens.sum():,} tokens")
    for name, options in VARIANTS.items():
        small = model if options is None else quantize(model, **options)
        nats = exact if options is None else document_nats(small, texts, tok)[0]
        cost = (nats - exact).sum() / tokens.sum()
        spread = (nats - exact) - cost * tokens
        error = np.sqrt((spread**2).sum()) / tokens.sum()
        megabytes = memory(small) / 1e6
        print(
            f"{name:24} {megabytes:6.2f} MB  {cost:+.5f} ± {error:.5f} nats/token  "
            f"{tokens_per_second(small):5.0f} tokens/s",
            flush=True,
        )


if __name__ == "__main__":
    main()
