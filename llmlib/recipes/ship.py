"""Rebuild what is shipped: the world's tokenizer and the base models S and M.

    python -m llmlib.recipes.ship --runs runs              # all of it, about an hour on 2 cores
    python -m llmlib.recipes.ship --runs runs --only S

The tokenizer is trained first; each model then with `llmlib.recipes.pretrain`, which goes on where
it was stopped. Weights are shipped in float16, and only when a model is finished.
"""

import argparse
from pathlib import Path

import torch

from llmlib import checkpoint, tokenizer
from llmlib.checkpoint.shipped import SHIPPED
from llmlib.recipes import pretrain
from llmlib.world import World

VOCAB_SIZE = 1024
TOKENIZER_DOCUMENTS = 20_000
COMMON = "--data world --batch-size 16 --seq-len 256 --eval-every 300 --held-out 4000"
RECIPES = {
    "S": f"--model world-s {COMMON} --muon-lr 0.04 --lr 6e-3",
    "M": f"--model world-m {COMMON} --muon-lr 0.03 --lr 5e-3",
}


def main(argv: list[str] | None = None) -> None:
    """Run the recipe; see the module's text."""
    parser = argparse.ArgumentParser(prog="llmlib.recipes.ship")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are kept")
    parser.add_argument("--only", choices=["tokenizer", *RECIPES], help="one of them")
    args = parser.parse_args(argv)
    if args.only in (None, "tokenizer"):
        ship_tokenizer()
    for name in RECIPES:
        if args.only in (None, name):
            ship_model(name, args.runs / f"world-{name.lower()}")


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
    """Train one model, and write it in float16 with its card."""
    history = pretrain.main([*RECIPES[name].split(), "--out", str(run)])
    if history.interrupted:
        raise SystemExit(f"{name} is not finished; the same command goes on")
    trained = checkpoint.read(run / "model.safetensors")
    model, tok, meta = checkpoint.load(run / "model.safetensors")
    path = SHIPPED / f"{name.lower()}.safetensors"
    checkpoint.save(path, model, tok, meta, dtype=torch.float16, embed_tokenizer=False)
    (SHIPPED / f"{name.lower()}.md").write_text(checkpoint.model_card(f"World {name}", trained))


if __name__ == "__main__":
    main()
