"""The recipes after pretraining as a user runs them: killed, resumed, on two processes."""

import json
import os
import subprocess
import sys

import pytest
import torch

from llmlib import checkpoint
from llmlib.align.pairs import PairData
from llmlib.align.reward import load_reward_model
from llmlib.recipes import dpo, ppo, reward
from llmlib.recipes.post import get_prompts, world_pairs

# Runs a recipe in a process that kills itself, kill -9, after SAVES checkpoints.
DOOMED = """
import importlib, os, signal, sys
from llmlib import checkpoint
recipe, saves, done = importlib.import_module("llmlib.recipes." + sys.argv[1]), int(sys.argv[2]), 0
save = checkpoint.save
def doomed_save(path, *rest, **options):
    global done
    save(path, *rest, **options)
    done += 1
    if done == saves:
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.save = doomed_save
recipe.main(sys.argv[3:])
"""


@pytest.fixture
def start(tmp_path, tok, tiny):
    """(folder of a tiny model to start from, a file of pairs)."""
    checkpoint.save(tmp_path / "start" / "model.safetensors", tiny(), tok, {})
    rows = [
        {
            "prompt": f"Where is house {i}?",
            "chosen": "In town" + ", there" * (i % 3),
            "rejected": f"No {i}",
        }
        for i in range(40)
    ]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "start", pairs


def arguments(recipe, start, out, *more) -> list[str]:
    model, pairs = start
    common = ["--model", str(model), "--data", str(pairs), "--out", str(out), "--batch-size", "8"]
    if recipe == "ppo":
        extra = "--steps 4 --save-every 1 --max-new-tokens 6 --lr 1e-3"
        return [*common, *extra.split(), "--reward", str(out.parent / "rm"), *more]
    return [*common, "--save-every", "2", "--precision", "float32", "--lr", "1e-3", *more]


def run(command, returns=0) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == returns, done.stderr
    return done.stdout


def same_weights(a, b) -> bool:
    one, two = (checkpoint.read(folder / "model.safetensors").weights for folder in (a, b))
    return all(torch.equal(one[name], two[name]) for name in one | two)


def test_a_reward_model_then_ppo_then_the_same_again(start, tmp_path):
    history = reward.main(arguments("reward", start, tmp_path / "rm"))
    assert history.step[-1] == 5 and history.loss[-1] < history.loss[0]
    _, tok, meta = load_reward_model(tmp_path / "rm")  # a folder will do
    assert meta["result"]["held_out_pairs"] == 4 and tok is not None
    assert "accuracy" in (tmp_path / "rm" / "README.md").read_text()
    steps = ppo.main(arguments("ppo", start, tmp_path / "ppo"))
    assert len(steps) == 4 and steps[-1]["kl"] > 0 == pytest.approx(steps[0]["kl"], abs=1e-5)
    written = json.loads((tmp_path / "ppo" / "history.json").read_text())["steps"]
    assert written == steps
    assert ppo.main(arguments("ppo", start, tmp_path / "ppo")) == steps  # nothing left to do


@pytest.mark.parametrize("method", ["dpo", "kto", "simpo"])
def test_preferences_are_learned(start, tmp_path, method):
    history = dpo.main(
        arguments("dpo", start, tmp_path / "out", "--method", method, "--epochs", "2")
    )
    result = history.evals[-1]
    assert result["chosen_gain"] > result["rejected_gain"]
    assert result["kl"] > 0 and 0 <= result["stopped"] <= 1
    _, _, meta = checkpoint.load(tmp_path / "out" / "model.safetensors")
    assert meta["options"]["beta"] == (2.0 if method == "simpo" else 0.1)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "llmlib.recipes.dpo" in card and "accuracy" in card


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["dpo", "ppo"])
def test_a_killed_run_ends_with_the_same_weights(start, tmp_path, recipe):
    reward.main(arguments("reward", start, tmp_path / "rm"))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    script = [sys.executable, "-m", f"llmlib.recipes.{recipe}"]
    run([*script, *arguments(recipe, start, whole)])
    run([sys.executable, "-c", DOOMED, recipe, "2", *arguments(recipe, start, killed)], returns=-9)
    assert not (killed / "model.safetensors").exists()
    run([*script, *arguments(recipe, start, killed)])
    assert same_weights(whole, killed)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["reward", "ppo"])
def test_two_processes(start, tmp_path, recipe):
    reward.main(arguments("reward", start, tmp_path / "rm"))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", "2", "-m", f"llmlib.recipes.{recipe}"]
    printed = run([*command, *arguments(recipe, start, tmp_path / "two")])
    assert printed.count("wrote") == 1, "one process speaks and writes"
    run([sys.executable, "-m", f"llmlib.recipes.{recipe}",
         *arguments(recipe, start, tmp_path / "one")])  # fmt: skip
    one, two = (json.loads((tmp_path / n / "history.json").read_text()) for n in ("one", "two"))
    if recipe == "ppo":  # each process writes answers of its own
        assert len(two["steps"]) == 4 and two["steps"][-1]["kl"] > 0
    else:
        assert two["loss"] == pytest.approx(one["loss"], rel=2e-5)


# -- mistakes ---------------------------------------------------------------------------------


def test_another_run_in_the_folder_is_refused(start, tmp_path):
    out = tmp_path / "out"
    reward.main(arguments("reward", start, out))
    with pytest.raises(SystemExit, match=r"seed: 0 → 1"):
        reward.main(arguments("reward", start, out, "--seed", "1"))


def test_what_is_wrong_is_said(start, tmp_path):
    model, pairs = start
    with pytest.raises(SystemExit, match="no such file or folder"):
        dpo.main(["--model", "nowhere", "--data", str(pairs), "--out", str(tmp_path / "a")])
    with pytest.raises(SystemExit, match="neither a .jsonl file nor one of clean, casual"):
        dpo.main(["--model", str(model), "--data", "nobody", "--out", str(tmp_path / "d")])
    pairs.write_text('{"prompt": "Who?", "chosen": "Me"}\n')
    with pytest.raises(ValueError, match="line 1: not an object with prompt, chosen, rejected"):
        dpo.main(["--model", str(model), "--data", str(pairs), "--out", str(tmp_path / "b")])
    same = {"prompt": "Who?", "chosen": "Me", "rejected": "Me"}
    pairs.write_text("\n".join([json.dumps(same)] * 3))
    with pytest.raises(ValueError, match="row 0: chosen and rejected are the same"):
        reward.main(["--model", str(model), "--data", str(pairs), "--out", str(tmp_path / "c")])


def test_the_worlds_annotators_give_pairs_and_prompts(tok):
    training, held_out = world_pairs("casual")
    assert len(training) == 6000 and len(held_out) == 1000
    data = PairData(training[:50], tok, max_tokens=512)
    args = ppo.arguments(["--reward", "rm", "--out", "out", "--data", "casual"])
    prompts = get_prompts(args, tok)
    assert data.prompts[0] in prompts and len(prompts) == len(set(map(tuple, prompts))) > 1000
