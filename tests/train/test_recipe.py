"""The recipe as a user runs it: from text to a model, killed, resumed, and on two processes."""

import json
import os
import random
import subprocess
import sys

import pytest
import torch

from llmlib import checkpoint
from llmlib.recipes import pretrain
from llmlib.recipes import run as recipe

SETTINGS = (
    "--model world-s --vocab-size 300 --tokens 2300 --batch-size 4 --seq-len 32 --save-every 3 "
    "--precision float32 --warmup 0.1"
).split()  # 18 steps

# Runs the recipe in a process that ends itself: kill -9 or Ctrl-C in the middle of step STEP, or
# kill -9 while checkpoint number SAVE is complete on disk but has not its name yet.
DOOMED = """
import os, signal, sys
from llmlib.checkpoint import file
from llmlib.recipes import pretrain
how, at = sys.argv[1], int(sys.argv[2])
loss, replace, calls = pretrain.next_token_loss, os.replace, [0, 0]
def doomed_loss(model, batch):
    calls[0] += 1
    if calls[0] == at and how in ("kill", "interrupt"):
        os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGINT)
    return loss(model, batch)
def doomed_replace(source, target):
    calls[1] += str(target).endswith("last.safetensors")
    if calls[1] == at and how == "kill while saving":
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(source, target)
pretrain.next_token_loss, file.os.replace = doomed_loss, doomed_replace
pretrain.main(sys.argv[3:])
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("corpus") / "texts.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    return path


@pytest.fixture(scope="module")
def straight(tmp_path_factory, corpus):
    """The folder of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("straight")
    run([sys.executable, "-m", "llmlib.recipes.pretrain", *arguments(corpus, out)])
    return out


def arguments(corpus, out, *more):
    return [*SETTINGS, "--data", str(corpus), "--out", str(out), *more]


def run(command, returns=0):
    """Run a command as a user would, on one thread; return what it printed."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == returns, done.stderr
    return done.stdout


def history_of(out):
    return json.loads((out / "history.json").read_text())


def test_own_text_becomes_a_model_with_a_card(straight, corpus, texts):
    model, tok, meta = checkpoint.load(straight / "model.safetensors")
    assert tok.vocab_size == 300 and model.config.vocab_size == 300
    assert meta["result"]["documents"] == len(texts) // 20
    history = history_of(straight)
    assert len(history["step"]) == 18 and history["loss"][-1] < history["loss"][0] - 0.5
    card = (straight / "README.md").read_text()
    for fact in (str(corpus), f"{meta['trained_tokens']:,}", "--tokens 2300", "bits/byte"):
        assert fact in card
    assert "floor" not in card, "nobody knows the floor of the reader's own text"


def test_killed_and_interrupted_runs_end_with_the_same_weights(straight, corpus, tmp_path):
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    out = tmp_path / "run"
    doomed = [sys.executable, "-c", DOOMED]
    again = arguments(corpus, out)
    run([*doomed, "kill", str(rng.randint(1, 6)), *again], returns=-9)
    run([*doomed, "kill while saving", str(rng.randint(1, 2)), *again], returns=-9)
    printed = run([*doomed, "interrupt", str(rng.randint(1, 3)), *again])
    assert "the same command goes on" in printed
    assert not (out / "model.safetensors").exists()
    run([*doomed, "nothing", "0", *again])
    ours = checkpoint.read(out / "model.safetensors").weights
    theirs = checkpoint.read(straight / "model.safetensors").weights
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs), f"seed {seed}"
    assert history_of(out)["loss"] == history_of(straight)["loss"], f"seed {seed}"
    assert not list(out.glob(".*partial")), "a killed run's leavings are cleared"


def test_two_processes_have_the_loss_curve_of_one(straight, corpus, tmp_path):
    out = tmp_path / "run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", "2", "-m", "llmlib.recipes.pretrain"]
    printed = run([*command, *arguments(corpus, out)])
    assert printed.count("wrote") == 1, "one process speaks and writes"
    one, two = history_of(straight), history_of(out)
    assert two["tokens"] == one["tokens"]
    assert two["loss"] == pytest.approx(one["loss"], rel=2e-5)
    assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-3)
    assert two["loss"] != one["loss"], "sums in another order: a test of two runs, not of a copy"


# -- in this process --------------------------------------------------------------------------


def test_repeating_a_finished_run_changes_nothing(straight, corpus, capsys):
    before = checkpoint.read(straight / "model.safetensors")
    history = pretrain.main(arguments(corpus, straight))
    assert history.step[-1] == 18
    after = checkpoint.read(straight / "model.safetensors")
    assert all(torch.equal(before.weights[n], after.weights[n]) for n in before.weights)


def test_another_run_in_the_same_folder_is_refused(straight, corpus):
    with pytest.raises(SystemExit, match=r"lr: 0.003 → 0.1.*another --out"):
        pretrain.main(arguments(corpus, straight, "--lr", "0.1"))


def test_damaged_files_of_a_run_are_refused(straight, corpus, tmp_path):
    import shutil

    out = tmp_path / "copy"
    shutil.copytree(straight, out)
    raw = bytearray((out / "last.safetensors").read_bytes())
    raw[-5] ^= 1
    (out / "last.safetensors").write_bytes(raw)
    with pytest.raises(checkpoint.CheckpointError, match="altered"):
        pretrain.main(arguments(corpus, out))


def test_a_single_file_holds_out_its_last_tenth(tmp_path, texts):
    path = tmp_path / "book.txt"
    path.write_text("\n".join(texts))
    args = pretrain.arguments(["--data", str(path), "--out", str(tmp_path)])
    source = pretrain.OwnText(args)
    (train_text,), (held_out,) = list(source.texts()), source.held_out()[0]
    assert train_text + held_out == path.read_text()
    assert 0.85 < len(train_text) / len(train_text + held_out) <= 0.9


def test_a_heading_before_one_long_line_is_not_all_that_is_trained_on(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("A heading\n" + "word " * 2000)
    source = pretrain.OwnText(pretrain.arguments(["--data", str(path), "--out", str(tmp_path)]))
    (text,) = source.texts()
    assert len(text) == len(path.read_text()) * 9 // 10


def test_a_folder_of_a_few_files_holds_out_the_last_tenth_of_each(tmp_path, texts):
    """Three files have no twentieth: the run must not end with nothing to evaluate on."""
    folder = tmp_path / "books"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.txt").write_text("\n".join(texts[50 * i : 50 * i + 50]))
    history = pretrain.main(arguments(folder, tmp_path / "run", "--tokens", "300"))
    assert history.evals[-1]["documents"] == 3
    source = pretrain.OwnText(pretrain.arguments(["--data", str(folder), "--out", str(tmp_path)]))
    whole = [a + b for a, b in zip(source.texts(), source.held_out()[0], strict=True)]
    assert whole == [(folder / f"{i}.txt").read_text() for i in range(3)]


def test_nothing_is_both_trained_on_and_held_out(corpus, texts, tmp_path):
    args = pretrain.arguments(["--data", str(corpus), "--out", str(tmp_path)])
    source = pretrain.OwnText(args)
    assert list(source.texts()) == [t for i, t in enumerate(texts) if i % 20 != 19]
    assert source.held_out()[0] == texts[19::20]


def test_bad_input_is_named(tmp_path, corpus):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "short.txt").write_text("hello")
    for name in ("empty", "short"):
        with pytest.raises(SystemExit, match="too little"):
            pretrain.main(["--data", str(tmp_path / f"{name}.txt"), "--out", str(tmp_path / name)])
    with pytest.raises(SystemExit, match="context of 512"):
        pretrain.main(arguments(corpus, tmp_path / "long", "--seq-len", "600"))
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        pretrain.main(["--data", "none/such/text.txt", "--out", str(tmp_path / "none")])
    with pytest.raises(SystemExit, match="at least 269"):
        pretrain.main(arguments(corpus, tmp_path / "few", "--vocab-size", "200"))


def test_a_refused_command_can_be_corrected_in_the_same_folder(corpus, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(SystemExit, match="at least 269"):
        pretrain.main(arguments(corpus, out, "--vocab-size", "200"))
    with pytest.raises(SystemExit, match="context of 512"):
        pretrain.main(arguments(corpus, out, "--seq-len", "600"))
    with pytest.raises(SystemExit, match=r"vocab_size: 300 → 310"):  # the tokens are there
        pretrain.main(arguments(corpus, out, "--vocab-size", "310"))
    assert pretrain.main(arguments(corpus, out, "--tokens", "2300")).step[-1] == 18


def test_data_can_be_prepared_first_and_limited(corpus, texts, tmp_path, capsys):
    out = tmp_path / "run"
    some = arguments(corpus, out, "--tokens", "300", "--data-characters", "4e3")
    assert pretrain.main([*some, "--prepare"]) is None
    assert "tokens are ready" in capsys.readouterr().out
    assert (out / "tokens").exists() and not (out / "model.safetensors").exists()
    source = pretrain.OwnText(pretrain.arguments(some))
    assert sum(map(len, source.texts())) + sum(map(len, source.held_out()[0])) == 4000
    pretrain.main(some)
    assert "tokenizing" not in capsys.readouterr().out and (out / "model.safetensors").exists()
    with pytest.raises(SystemExit, match=r"data_characters: 4000.0 → 5000.0"):
        pretrain.main([*some, "--data-characters", "5e3"])


@pytest.mark.parametrize("what", ["nothing", "not text", "stopped"])
def test_the_command_line_answers_in_a_line(tmp_path, monkeypatch, what):
    """Mistakes of the user, and Ctrl-C before the first step, end without a traceback."""
    path = tmp_path / "text.txt"
    if what == "not text":
        path.write_bytes(b"\xe9" * 2000)
    if what == "stopped":
        path.write_text("word " * 1000)

        def interrupt(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(pretrain, "get_tokenizer", interrupt)
    monkeypatch.setattr(sys, "argv", ["pretrain", *arguments(path, tmp_path / "run")])
    message = {"nothing": "no file or folder", "not text": "not UTF-8", "stopped": "goes on"}[what]
    with pytest.raises(SystemExit, match=message):
        recipe.command_line(pretrain.main)


@pytest.mark.parametrize("data", ["world", "world-small"])
def test_world_text_comes_with_its_exact_probability(tmp_path, data):
    args = pretrain.arguments(["--data", data, "--out", str(tmp_path), "--held-out", "20"])
    source = pretrain.WorldText(args)
    documents, log_probs = source.held_out()
    for document, log_prob in list(zip(documents, log_probs, strict=True))[:5]:
        assert source.world.log_prob(document.text) == pytest.approx(log_prob, abs=1e-9)
