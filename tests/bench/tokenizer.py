"""Tokenizers compared: training and encoding times, as ratios within one run.

    TTA_DATA=folder python tests/bench/tokenizer.py [--megabytes 5] [--vocab 4096]

The folder holds tinyshakespeare.txt, gpt2_vocab.json and gpt2_merges.txt.

`tokenizers` is timed with one thread and with all; the text is given to it line by line, so that
it can use them. Each time is the best of three runs.
"""

import argparse
import json
import os
import sys
import sysconfig
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import tiktoken
from tokenizers import Tokenizer as HFTokenizer
from tokenizers import models, pre_tokenizers, trainers

from llmlib.tokenizer import BPE, GPT2_PATTERN, Unigram, WordPiece, count_pieces

DATA = Path(os.environ.get("TTA_DATA", Path(__file__).parents[3] / "shared" / "data"))


def python_source(n_bytes: int) -> str:
    parts = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" not in path.parts:
            parts.append(path.read_text("utf-8", errors="replace"))
            n_bytes -= len(parts[-1])
            if n_bytes < 0:
                break
    return "".join(parts)


def best(run, times: int = 3) -> float:
    """Seconds of the fastest of several runs."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def train_hf(lines: list[str], vocab_size: int) -> HFTokenizer:
    hf = HFTokenizer(models.BPE())
    hf.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False
    )
    hf.train_from_iterator(lines, trainer)
    return hf


def train_naive(text: str, n_merges: int) -> None:
    """The textbook trainer: all pieces of the text in a row, counted again for every merge."""
    words = count_pieces(text).elements()
    spelled = [[bytes([byte]) for byte in word] for word in words]
    for _ in range(n_merges):
        pairs = Counter(pair for word in spelled for pair in pairwise(word))
        best_pair = max(pairs, key=pairs.__getitem__)
        for word in spelled:
            place = 0
            while place < len(word) - 1:
                if word[place] == best_pair[0] and word[place + 1] == best_pair[1]:
                    word[place : place + 2] = [best_pair[0] + best_pair[1]]
                place += 1


def compare_training(name: str, text: str, vocab_size: int) -> None:
    lines = text.splitlines(keepends=True)
    ours = best(lambda: BPE.train(lines, vocab_size))
    threads = {}
    for label, parallel in (("1 thread", "false"), (f"{os.cpu_count()} threads", "true")):
        os.environ["TOKENIZERS_PARALLELISM"] = parallel
        threads[label] = best(lambda: train_hf(lines, vocab_size))
    ratios = ", ".join(
        f"{ours / t:.2f}x of tokenizers on {k} ({t:.2f} s)" for k, t in threads.items()
    )
    print(f"BPE training, {name}, {len(text) / 1e6:.1f} MB, V={vocab_size}: {ours:.2f} s, {ratios}")


def compare_naive(text: str, vocab_size: int) -> None:
    ours = best(lambda: BPE.train(text, vocab_size))
    naive = best(lambda: train_naive(text, vocab_size - 256), times=1)
    print(
        f"BPE training, {len(text) / 1e3:.0f} kB, V={vocab_size}: {ours:.3f} s, "
        f"naive {naive:.1f} s, {naive / ours:.0f}x faster"
    )


def compare_encoding(name: str, text: str, tokenizer: BPE) -> None:
    hf = HFTokenizer.from_str(json.dumps(tokenizer.to_hf()))
    oracle = tiktoken.Encoding(
        "bench", pat_str=GPT2_PATTERN, mergeable_ranks=tokenizer.vocab, special_tokens={}
    )

    def cold() -> None:
        tokenizer._cache.clear()
        tokenizer.encode(text)

    megabytes = len(text.encode()) / 1e6
    runs = {
        "ours, empty cache": cold,
        "ours, warm": lambda: tokenizer.encode(text),
        "tokenizers": lambda: hf.encode(text),
        "tiktoken": lambda: oracle.encode_ordinary(text),
    }
    rates = ", ".join(f"{label} {megabytes / best(run):.1f}" for label, run in runs.items())
    print(f"BPE encoding, {name}, {megabytes:.1f} MB, one thread, MB/s: {rates}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=5.0)
    parser.add_argument("--vocab", type=int, default=4096)
    options = parser.parse_args()
    size = int(options.megabytes * 1e6)
    texts = {"Python source": python_source(size)[:size]}
    if (DATA / "tinyshakespeare.txt").exists():
        shakespeare = (DATA / "tinyshakespeare.txt").read_text("utf-8")
        texts["tinyshakespeare repeated"] = (shakespeare * (size // len(shakespeare) + 1))[:size]
    else:
        print("tinyshakespeare is missing: Python source only", file=sys.stderr)
    for name, text in texts.items():
        compare_training(name, text, options.vocab)
    name, text = next(reversed(texts.items()))
    compare_naive(text[:200_000], 1024)
    for kind in (WordPiece, Unigram):
        seconds = best(lambda kind=kind: kind.train(text[:1_000_000], 2048), times=1)
        print(f"{kind.__name__} training, {name}, 1.0 MB, V=2048: {seconds:.1f} s")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer = BPE.train(text, options.vocab)
    compare_encoding(name, text[:1_000_000], tokenizer)
    files = DATA / "gpt2_vocab.json", DATA / "gpt2_merges.txt"
    if all(map(Path.exists, files)):
        gpt2 = BPE.from_gpt2(*files)
        compare_encoding(f"{name}, GPT-2", text[:1_000_000], gpt2)


if __name__ == "__main__":
    main()
