"""Time to a loss on the world: chapter 06's flagship run, and a plain AdamW GPT recipe.

The plain recipe is nanoGPT's small run, written from its published description: GPT-2's block
(learned positions, GELU, LayerNorm, tied head), rows cut from one stream, AdamW with peak 1e-3,
betas (0.9, 0.95), weight decay 0.1, 5 % of warm-up, a cosine to a tenth, clipping at 1. It gets the
same text in the same batches of 16 x 128 tokens, and computes in the same precision. Because a
cosine must know its length, it is run anew for each budget: 1, 2, 3, 4, 6 ... times our seconds.

    python -m tests.bench.pretrain                 # the plain recipe
    python -m tests.bench.pretrain --lr 6e-3       # with another learning rate
    python -m tests.bench.pretrain --budgets 3     # only what the course claims

For each budget it prints the held-out loss, its excess over the exact floor, and the ratio of the
two training times; it stops at the first budget that reaches our loss. Evaluations are not timed.
"""

import argparse
from dataclasses import replace
from itertools import islice

import torch

from llmlib import checkpoint, runtime
from llmlib.data import TokenBatches, TokenData
from llmlib.model import PRESETS, Transformer
from llmlib.train import TrainConfig, evaluate, next_token_loss, train
from llmlib.world import World
from tests.bench.model import PlainGPT

DOCUMENTS, ROWS, LENGTH = 8_600, 16, 128
BUDGETS = (1, 2, 3, 4, 6, 8, 12, 16)
OURS = PRESETS["world-s"].replace(n_layers=4, max_seq_len=LENGTH)
PLAN = TrainConfig(
    steps=300, batch_size=ROWS, seq_len=LENGTH, lr=6e-3, muon_lr=0.04, warmup=5, decay="linear"
)


class Plain(torch.nn.Module):
    """A `PlainGPT` that can be trained and evaluated by the library."""

    def __init__(self, n_heads: int = 4):
        super().__init__()
        self.gpt = PlainGPT(OURS.vocab_size, OURS.d_model, OURS.n_layers, n_heads, LENGTH)
        self.embed, self.config = self.gpt.tokens, OURS

    def forward(self, ids, doc_ids=None):
        return self.gpt(ids)


def ours(data: TokenData, seed: int) -> tuple[torch.nn.Module, float, int]:
    """(trained model, seconds, tokens) of the chapter's run."""
    torch.manual_seed(seed)
    model = Transformer(OURS)
    batches = TokenBatches(data, ROWS, LENGTH, seed=seed)
    plan = replace(PLAN, steps=batches.steps_in_first_epoch())
    history = train(model, batches, next_token_loss, plan)
    return model, history.seconds[-1], history.tokens[-1]


def plain(data: TokenData, steps: int, lr: float, seed: int) -> tuple[torch.nn.Module, float, int]:
    """(trained model, seconds, tokens) of the plain recipe."""
    torch.manual_seed(seed)
    model = Plain()
    batches = TokenBatches(data, ROWS, LENGTH, seed=seed, packing="stream")
    plan = replace(
        PLAN,
        steps=steps,
        optimizer="adamw",
        lr=lr,
        weight_decay=0.1,
        warmup=steps // 20,
        decay="cosine",
        final_lr=0.1,
    )
    history = train(model, batches, next_token_loss, plan)
    return model, history.seconds[-1], history.tokens[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lr", type=float, default=1e-3, help="of the plain recipe")
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS, help="times our seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="the chapter uses one")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    tokenizer = checkpoint.load_shipped_tokenizer()
    world = World().small()
    held_out = list(world.documents(600, seed=6, split="val"))
    floor = [document.log_prob for document in held_out]
    texts = [d.text for d in world.documents(DOCUMENTS * max(args.budgets), seed=6)]
    data = TokenData.from_texts(texts, tokenizer)  # the plain recipe meets new text, as ours does
    first = TokenData.from_texts(islice(texts, DOCUMENTS), tokenizer)
    print(f"{torch.get_num_threads()} threads, {runtime.pick_precision('cpu')}", flush=True)

    def tell(name, model, seconds, tokens):
        result = evaluate(model, held_out, tokenizer, log_probs=floor)
        print(
            f"{name}: loss {result['nats_per_token']:.4f}, {result['excess']:.4f} above the floor, "
            f"{tokens:,} tokens in {seconds:.0f} s",
            flush=True,
        )
        return result["nats_per_token"]

    model, seconds, tokens = ours(first, args.seed)
    goal = tell("ours", model, seconds, tokens)
    _, probe, _ = plain(first, 20, args.lr, args.seed)  # how fast is it here?
    for budget in args.budgets:
        steps = round(budget * seconds / (probe / 20))
        model, took, tokens = plain(data, steps, args.lr, args.seed)
        loss = tell(f"plain, budget {budget}", model, took, tokens)
        print(f"   ratio of times: {took / seconds:.2f}", flush=True)
        if loss <= goal:
            break


if __name__ == "__main__":
    main()
