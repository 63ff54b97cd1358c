"""Tokens per second of `generate` beside `transformers.generate`, on the very same model.

The shipped model S is rebuilt as transformers' OLMo, which has its parts (LayerNorm, SwiGLU, RoPE,
grouped heads): OLMo's norms have no weights, so S's are multiplied into the matrices that read
them. Both write the same greedy text, which is checked. A GPT-2 of S's size, with random weights
and read through `from_hf`, is the second pair. Rounds alternate, so that whatever else the machine
does falls on both; a ratio is the median of rounds, with the middle half of them.

    python tests/bench/generate.py [--threads 1 2] [--rounds 9] [--cpu-time]
"""

import argparse
import statistics
import tempfile
import time

import torch
import transformers

from llmlib.checkpoint import from_hf, load_shipped
from llmlib.generate import generate
from llmlib.model import Transformer

N_PROMPT, N_NEW = 32, 128


def olmo(model: Transformer) -> transformers.OlmoForCausalLM:
    """S in transformers' words, weight by weight."""
    c, ours, theirs = model.config, model.state_dict(), {}
    theirs["model.embed_tokens.weight"] = ours["embed.weight"]
    theirs["lm_head.weight"] = ours["embed.weight"] * ours["norm.weight"]
    for i in range(c.n_layers):
        b, t = f"blocks.{i}", f"model.layers.{i}"
        for name in ("q_proj", "k_proj", "v_proj"):
            weight = ours[f"{b}.attn.{name}.weight"] * ours[f"{b}.attn_norm.weight"]
            theirs[f"{t}.self_attn.{name}.weight"] = weight
        theirs[f"{t}.self_attn.o_proj.weight"] = ours[f"{b}.attn.o_proj.weight"]
        for name in ("gate_proj", "up_proj"):
            weight = ours[f"{b}.mlp.{name}.weight"] * ours[f"{b}.mlp_norm.weight"]
            theirs[f"{t}.mlp.{name}.weight"] = weight
        theirs[f"{t}.mlp.down_proj.weight"] = ours[f"{b}.mlp.down_proj.weight"]
    config = transformers.OlmoConfig(
        vocab_size=c.vocab_size,
        hidden_size=c.d_model,
        intermediate_size=c.d_ff,
        num_hidden_layers=c.n_layers,
        num_attention_heads=c.n_heads,
        num_key_value_heads=c.n_kv_heads,
        max_position_embeddings=c.max_seq_len,
        rope_theta=c.rope_theta,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = transformers.OlmoForCausalLM(config)
    model.load_state_dict(theirs)
    return model.eval()


def gpt2() -> tuple[Transformer, transformers.GPT2LMHeadModel]:
    """A GPT-2 about as large as S, random."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=1024,
        n_positions=512,
        n_embd=128,
        n_layer=5,
        n_head=4,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
        initializer_range=0.1,
    )
    theirs = transformers.GPT2LMHeadModel(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        return from_hf(folder), theirs


def compare(name: str, ours: Transformer, theirs, batch: int, rounds: int, clock) -> None:
    """Print tokens/s of both and their ratio (above 1: ours is faster); time to the first token."""
    torch.manual_seed(1)
    ids = torch.randint(1, ours.config.vocab_size, (batch, N_PROMPT))
    mask = torch.ones_like(ids)

    def run_ours(n: int) -> list[list[int]]:
        return generate(ours, ids, max_new_tokens=n, temperature=0)

    def run_theirs(n: int) -> list[list[int]]:
        options = {"max_new_tokens": n, "min_new_tokens": n, "do_sample": False}
        return theirs.generate(ids, attention_mask=mask, **options)[:, N_PROMPT:].tolist()

    same = sum(map(list.__eq__, run_ours(N_NEW), run_theirs(N_NEW)))
    for n, what in ((N_NEW, f"{N_NEW} tokens"), (1, "first token")):
        times = [[seconds(run, n, clock) for run in (run_ours, run_theirs)] for _ in range(rounds)]
        mine, other = (statistics.median(column) for column in zip(*times, strict=True))
        low, ratio, high = statistics.quantiles((b / a for a, b in times), n=4)
        unit, scale = ("tokens/s", batch * n) if n > 1 else ("ms", None)
        shown = [scale / t if scale else 1e3 * t for t in (mine, other)]
        print(
            f"{name}, batch {batch}, {what}: ours {shown[0]:,.1f} {unit}, transformers "
            f"{shown[1]:,.1f}, ratio {ratio:.2f} ({low:.2f} to {high:.2f})",
            flush=True,
        )
    print(f"    {same} of {batch} greedy texts are the same", flush=True)


def seconds(run, n: int, clock) -> float:
    start = clock()
    run(n)
    return clock() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cpu-time", action="store_true", help="of one thread, on a busy machine")
    options = parser.parse_args()
    clock = time.thread_time if options.cpu_time else time.perf_counter
    transformers.logging.set_verbosity_error()
    s = load_shipped("S")[0].eval()
    pairs = {"S": (s, olmo(s)), "GPT-2 of S's size": gpt2()}
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, float32, greedy")
    for threads in options.threads:
        torch.set_num_threads(threads)
        print(f"{threads} thread{'s' * (threads > 1)}")
        for name, pair in pairs.items():
            for batch in (1, 16):
                compare(name, *pair, batch, options.rounds, clock)


if __name__ == "__main__":
    main()
