"""Rebuild what is shipped: the world's tokenizer, the base models S and M, and their fine-tuned
versions.

    python -m llmlib.recipes.ship --runs runs              # all of it, some three hours on 2 cores
    python -m llmlib.recipes.ship --runs runs --only S

The tokenizer is trained first, then each base model with `llmlib.recipes.pretrain`, and from what
is shipped of it the fine-tuned one with `llmlib.recipes.sft`; all go on where they were stopped.
Weights are shipped in float16, and only when a model is finished.
"""

import argparse
from pathlib import Path

import torch

from llmlib import checkpoint, tokenizer
from llmlib.checkpoint.shipped import SHIPPED
from llmlib.recipes import pretrain, sft
from llmlib.world import World

VOCAB_SIZE = 1024
TOKENIZER_DOCUMENTS = 20_000
COMMON = "--data world --batch-size 16 --seq-len 256 --eval-every 300 --held-out 4000"
RECIPES = {
    "S": f"--model world-s {COMMON} --muon-lr 0.04 --lr 6e-3",
    "M": f"--model world-m {COMMON} --muon-lr 0.03 --lr 5e-3 --tokens 26e6",
}
CHATS = "--rows 20000 --transcripts 4000 --replay 0.1 --batch-size 4 --held-out 240"
FINE_TUNED = {
    "S-instruct": f"--model S {CHATS} --muon-lr 0.02 --lr 4e-3 --epochs 2",
    "M-instruct": f"--model M {CHATS} --muon-lr 0.015 --lr 3e-3 --epochs 1",
}


def main(argv: list[str] | None = None) -> None:
    """Run the recipe; see the module's text."""
    parser = argparse.ArgumentParser(prog="llmlib.recipes.ship")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are kept")
    parser.add_argument("--only", choices=["tokenizer", *RECIPES, *FINE_TUNED], help="one of them")
    args = parser.parse_args(argv)
    if args.only in (None, "tokenizer"):
        ship_tokenizer()
    for name in RECIPES:
        if args.only in (None, name):
            ship_model(name, args.runs / f"world-{name.lower()}")
    for name in FINE_TUNED:
        if args.only in (None, name):
            ship_fine_tuned(name, args.runs / name.lower())


def ship_tokenizer() -> None:
    """Byte-level BPE, trained on documents of the course's world; digits are split one by one."""
    texts = (document.text for document in World().corpus(TOKENIZER_DOCUMENTS))
    trained = tokenizer.BPE.train(
        texts,
        VOCAB_SIZE,
        pattern=tokenizer.WORLD_PATTERN,
        special_tokens=tokenizer.SPECIAL_TOKENS,
    )
    SHIPPED.mkdir(exist_ok=True)
    trained.save(SHIPPED / "tokenizer.json")


def ship_model(name: str, run: Path) -> None:
    """Train one base model, and write it in float16 with its card."""
    history = pretrain.main([*RECIPES[name].split(), "--out", str(run)])
    if history.interrupted:
        raise SystemExit(f"{name} is not finished; the same command goes on")
    trained = checkpoint.read(run / "model.safetensors")
    write(name, run, checkpoint.model_card(f"World {name}", trained))


def ship_fine_tuned(name: str, run: Path) -> None:
    """Fine-tune one model, and write it in float16 with its card."""
    history = sft.main([*FINE_TUNED[name].split(), "--out", str(run)])
    if history.interrupted:
        raise SystemExit(f"{name} is not finished; the same command goes on")
    trained = checkpoint.read(run / "model.safetensors")
    write(name, run, checkpoint.instruct_card(f"World {name}", trained))


def write(name: str, run: Path, card: str) -> None:
    """Put a finished run's model among the shipped ones."""
    model, tok, meta = checkpoint.load(run / "model.safetensors")
    path = SHIPPED / f"{name.lower()}.safetensors"
    checkpoint.save(path, model, tok, meta, dtype=torch.float16, embed_tokenizer=False)
    (SHIPPED / f"{name.lower()}.md").write_text(card)


if __name__ == "__main__":
    main()
