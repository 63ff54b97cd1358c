"""The fine-tuning recipe as a user runs it: killed, resumed, on two processes, on bad input."""

import json
import os
import random
import subprocess
import sys

import pytest
import torch

from llmlib import checkpoint
from llmlib.recipes import sft

# Runs the recipe in a process that kills itself after SAVES checkpoints.
DOOMED = """
import os, signal, sys
from llmlib import checkpoint
from llmlib.recipes import sft
save, left = checkpoint.save, [int(sys.argv[1])]
def doomed_save(*given, **options):
    save(*given, **options)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.save = doomed_save
sft.main(sys.argv[2:])
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory, texts, tok):
    """(a base checkpoint, a file of conversations)."""
    from llmlib.model import ModelConfig, Transformer

    folder = tmp_path_factory.mktemp("start")
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=300, d_model=32, n_layers=2, n_heads=2, max_seq_len=128)
    base = checkpoint.save(folder / "base.safetensors", Transformer(config), tok, {})
    rng = random.Random(0)
    rows = [
        {
            "messages": [
                {"role": "user", "content": " ".join(rng.choices(texts, k=1))[:40]},
                {"role": "assistant", "content": rng.choice(["the cat sat.", "it was red."])},
            ]
        }
        for _ in range(120)
    ]
    chats = folder / "chats.jsonl"
    chats.write_text("\n".join(map(json.dumps, rows)))
    return base, str(chats)


def arguments(start, out, *more):
    settings = "--batch-size 4 --seq-len 96 --save-every 2 --precision float32 --warmup 0.1"
    given = ["--model", start[0], "--data", start[1], "--out", str(out)]
    return [*settings.split(), *given, *more]


def run(command, returns=0):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == returns, done.stderr
    return done.stdout


def history_of(out):
    return json.loads((out / "history.json").read_text())


@pytest.fixture(scope="module")
def straight(start, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("straight")
    sft.main(arguments(start, out))
    return out


def test_own_conversations_become_a_model_with_a_card(straight, start):
    _, _, meta = checkpoint.load(straight / "model.safetensors")
    before, after = meta["result"]["before"], meta["result"]["after"]
    assert meta["result"]["n"] == 6 and meta["conversations"] == 114
    assert after["nats_per_token"] < before["nats_per_token"] - 0.3
    card = (straight / "README.md").read_text()
    for fact in (start[1], f"{meta['trained_tokens']:,}", "--batch-size 4", "stop rate"):
        assert fact in card


def test_a_killed_run_ends_with_the_same_weights(straight, start, tmp_path):
    out = tmp_path / "run"
    for saves in (1, 1):
        run([sys.executable, "-c", DOOMED, str(saves), *arguments(start, out)], returns=-9)
    assert not (out / "model.safetensors").exists()
    sft.main(arguments(start, out))
    ours = checkpoint.read(out / "model.safetensors").weights
    theirs = checkpoint.read(straight / "model.safetensors").weights
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one(straight, start, tmp_path):
    out = tmp_path / "run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", "2", "-m", "llmlib.recipes.sft"]
    assert run([*command, *arguments(start, out)]).count("wrote") == 1
    one, two = history_of(straight), history_of(out)
    assert two["tokens"] == one["tokens"]
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)


def test_adapters_are_merged_at_the_end(start, tmp_path):
    out = tmp_path / "run"
    sft.main(arguments(start, out, "--lora", "2", "--optimizer", "adamw"))
    weights = checkpoint.read(out / "model.safetensors").weights
    assert weights.keys() == checkpoint.read(start[0]).weights.keys()
    assert torch.equal(weights["embed.weight"], checkpoint.read(start[0]).weights["embed.weight"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 121: not JSON"),
        ('{"text": "hi"}', "line 121: not an object with messages"),
        ('{"messages": [{"role": "assistant", "content": "hi"}]}', "no user speaks"),
        ('{"messages": [{"role": "user", "content": "hi"}]}', "no assistant speaks"),
    ],
)
def test_bad_conversations_are_named(start, tmp_path, line, message):
    path = tmp_path / "chats.jsonl"
    with open(start[1]) as good:
        path.write_text(good.read() + "\n" + line)
    with pytest.raises(ValueError, match=message):
        sft.main(arguments((start[0], str(path)), tmp_path / "run"))


def test_what_cannot_be_done_is_refused_before_training(start, tmp_path):
    with pytest.raises(SystemExit, match="context of 128"):
        sft.main(arguments(start, tmp_path / "a", "--seq-len", "200"))
    with pytest.raises(SystemExit, match="epochs"):
        sft.main(arguments(start, tmp_path / "b", "--epochs", "0"))
    with pytest.raises(SystemExit, match="no such file"):
        sft.main(["--model", "nothing", "--out", str(tmp_path / "c")])
    with pytest.raises(FileNotFoundError):
        sft.main(arguments((start[0], str(tmp_path / "none.jsonl")), tmp_path / "d"))


def test_the_worlds_mixture(tok, tmp_path):
    world_tok = checkpoint.load_shipped_tokenizer()
    more = "--rows 60 --transcripts 10 --replay 0.2 --held-out 12".split()
    args = sft.arguments(["--out", str(tmp_path), *more])
    data, held_out = sft.get_data(args, world_tok)
    texts = sum(data.tokens[start] == data.end_of_text for start in data.offsets[:-1])
    lengths = data.lengths()
    replayed = lengths[[data.tokens[s] == data.end_of_text for s in data.offsets[:-1]]].sum()
    assert len(data) == 70 + texts and len(held_out) == 12
    assert 0.18 < replayed / data.n_tokens < 0.25
    with pytest.raises(SystemExit, match="share"):
        sft.get_data(sft.arguments(["--out", str(tmp_path), *more, "--replay", "1"]), world_tok)
