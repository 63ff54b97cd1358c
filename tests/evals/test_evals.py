"""Measures against brute force, and against answers whose score is known beforehand."""

import itertools
import math

import numpy as np
import pytest
import torch

from llmlib import checkpoint, evals
from llmlib.evals.answers import Answered, respond
from llmlib.evals.facts import fact_scores
from llmlib.model import ModelConfig, Transformer
from llmlib.world import World, tasks

WORLD = World()


# -- k tries ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_k_tries_against_all_subsets(n):
    for c in range(n + 1):
        tries = [1] * c + [0] * (n - c)
        for k in range(1, n + 1):
            subsets = list(itertools.combinations(tries, k))
            some = sum(any(s) for s in subsets) / len(subsets)
            every = sum(all(s) for s in subsets) / len(subsets)
            assert evals.pass_at_k(n, c, k) == pytest.approx(some, abs=1e-12)
            assert evals.pass_hat_k(n, c, k) == pytest.approx(every, abs=1e-12)


def test_k_tries_are_unbiased_and_the_plug_ins_are_not():
    p, n, k = 0.3, 8, 4
    chance = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    at = sum(w * evals.pass_at_k(n, c, k) for c, w in enumerate(chance))
    hat = sum(w * evals.pass_hat_k(n, c, k) for c, w in enumerate(chance))
    assert at == pytest.approx(1 - (1 - p) ** k) and hat == pytest.approx(p**k)
    plug_at = sum(w * (1 - (1 - c / n) ** k) for c, w in enumerate(chance))
    plug_hat = sum(w * (c / n) ** k for c, w in enumerate(chance))
    assert abs(plug_at - at) > 0.02 and abs(plug_hat - hat) > 0.01


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 0), (4, 2, 5)])
def test_impossible_tries(n, c, k):
    for estimate in (evals.pass_at_k, evals.pass_hat_k):
        with pytest.raises(ValueError, match="need"):
            estimate(n, c, k)


# -- intervals --------------------------------------------------------------------------------


def test_wilson_is_the_solution_of_its_equation():
    z = 1.959963984540054
    for c, n in [(0, 10), (3, 10), (50, 60), (7, 7)]:
        value, low, high = evals.wilson(c, n)
        assert value == c / n and 0 <= low <= value <= high <= 1
        for q in (low, high):  # the q whose score test just rejects c of n
            assert (value - q) ** 2 == pytest.approx(z * z * q * (1 - q) / n, abs=1e-12)
    with pytest.raises(ValueError, match="not possible"):
        evals.wilson(3, 2)


def test_wilson_covers_the_truth():
    rng = np.random.default_rng(0)
    for p in (0.02, 0.3, 0.9):
        counts = rng.binomial(50, p, 2000)
        hit = [low <= p <= high for _, low, high in (evals.wilson(int(c), 50) for c in counts)]
        assert 0.92 < np.mean(hit) < 0.99


def test_a_paired_win_rate():
    win = evals.paired_win_rate([1, 2, 3, 4], [0, 2, 5, 1])
    assert win.value == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    rng = np.random.default_rng(1)
    hits = 0
    for seed in range(200):
        a, b = rng.normal(0.3, 1, 60), rng.normal(0, 1, 60)
        truth = 0.5 * (1 + math.erf(0.3 / 2))
        interval = evals.paired_win_rate(a, b, draws=400, seed=seed)
        hits += interval.low <= truth <= interval.high
    assert hits > 180
    with pytest.raises(ValueError, match="same prompts"):
        evals.paired_win_rate([1], [1, 2])
    with pytest.raises(ValueError, match="at least one"):
        evals.bootstrap([])


# -- facts ------------------------------------------------------------------------------------


def answered(tier: str, said: str) -> Answered:
    meta = {"tier": tier, "truth": "goat", "others": ["cat", "dog"]}
    row = {"family": "fact", "prompt": [], "answer": "goat", "meta": meta}
    return Answered(row, said, "", (), True, False)


def test_claims_are_sorted_into_true_false_and_none():
    said = [("head", "She has a goat."), ("head", "She has a cat."), ("head", "I do not know.")]
    said += [
        ("dark", "I do not know."),
        ("dark", "A dog."),
        ("dark", "a goat or a cat"),
        ("dark", ""),
    ]
    scores = fact_scores([answered(*one) for one in said])
    head, dark = scores["head"], scores["dark"]
    assert (head.n, head.abstained, head.true, head.false) == (3, 1, 1, 1)
    assert (dark.n, dark.abstained, dark.true, dark.false) == (4, 1, 0, 3)
    assert head.hallucination == 0.5 and dark.hallucination == 1
    assert scores["precision"] == 0.5 and scores["recall"] == 0.25
    assert scores["all"].n == 7
    assert math.isnan(fact_scores([answered("dark", "I do not know.")])["all"].hallucination)
    with pytest.raises(ValueError, match="no question"):
        fact_scores([Answered({"family": "refuse", "prompt": []}, "", "", (), True, True)])


# -- answers ----------------------------------------------------------------------------------


class Parrot(torch.nn.Module):
    """Says what it is told to, token by token, after a given prompt: a model with known answers."""

    def __init__(self, script: dict[tuple, list[int]], vocab_size: int):
        super().__init__()
        self.config = ModelConfig(vocab_size=vocab_size, d_model=16, n_layers=1, n_heads=1,
                                  max_seq_len=512)  # fmt: skip
        self.embed = torch.nn.Embedding(vocab_size, 16)
        self.script = script

    def features(self, ids, *, cache=None, pad_mask=None):
        real = torch.ones_like(ids, dtype=torch.bool) if pad_mask is None else pad_mask
        says = [self.next(row[keep].tolist()) for row, keep in zip(ids, real, strict=True)]
        return torch.nn.functional.one_hot(torch.tensor(says), self.config.vocab_size)[:, None]

    def next(self, read: list[int]) -> int:
        for prompt, said in self.script.items():
            done = read[len(prompt) :]
            if tuple(read[: len(prompt)]) == prompt and done == said[: len(done)] != said:
                return said[len(done)]
        return 1

    def head(self, x):
        return x.float()


@pytest.fixture(scope="module")
def tok():
    return checkpoint.load_shipped_tokenizer()


def script_of(rows, tok):
    """For every assistant's turn: the prompt before it -> the turn."""
    from llmlib.tokenizer import encode_chat
    from llmlib.tokenizer.calls import to_template

    script = {}
    for row in rows:
        chat = to_template(row["messages"], row.get("tools"))
        for i, message in enumerate(chat):
            if message["role"] == "assistant":
                prompt = encode_chat(tok, chat[:i], add_generation_prompt=True)[0]
                script[tuple(prompt)] = encode_chat(tok, chat[: i + 1])[0][len(prompt) :]
    return script


def test_a_perfect_model_is_right_everywhere_and_stops(tok):
    rows = list(tasks.rows(WORLD, 48, split="val"))
    model = Parrot(script_of(rows, tok), tok.vocab_size)
    result = evals.answer(model, tok, rows, max_new_tokens=120, cache=False)
    wrong = [(one.row["messages"], one.text) for one in result if not (one.right and one.ended)]
    assert wrong == []
    score = evals.instruction_accuracy(result)
    assert score["accuracy"] == score["stop_rate"] == 1 and score["n"] == 48
    assert set(score["families"]) == set(tasks.FAMILIES)


def test_a_right_answer_without_the_call_is_wrong(tok):
    rows = list(tasks.rows(WORLD, 3, split="val", families=["tool_use"]))
    guessed = [r | {"messages": [*r["prompt"], r["messages"][-1]]} for r in rows]
    result = evals.answer(Parrot(script_of(guessed, tok), tok.vocab_size), tok, rows, cache=False)
    assert not any(one.right for one in result) and all(one.ended for one in result)


def test_a_model_that_never_stops(tok):
    rows = list(tasks.rows(WORLD, 6, split="val", families=["fact"]))
    script = {p: s[:-1] + s[:-1] * 40 for p, s in script_of(rows, tok).items()}
    result = evals.answer(Parrot(script, tok.vocab_size), tok, rows, max_new_tokens=20, cache=False)
    assert evals.instruction_accuracy(result)["stop_rate"] == 0


def test_order_does_not_matter_and_batches_do_not(tok):
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocab_size=tok.vocab_size, d_model=32, n_layers=2, n_heads=2,
                                    max_seq_len=512))  # fmt: skip
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(std=0.3)
    rows = list(tasks.rows(WORLD, 12, split="val"))
    chats = [(row["prompt"], row.get("tools")) for row in rows]
    together = respond(model, tok, chats, max_new_tokens=6)
    assert respond(model, tok, chats[::-1], max_new_tokens=6, batch_size=3)[::-1] == together


def test_a_prompt_longer_than_the_context(tok):
    model = Transformer(ModelConfig(vocab_size=tok.vocab_size, d_model=16, n_layers=1, n_heads=1,
                                    max_seq_len=32))  # fmt: skip
    chat = ([{"role": "user", "content": "Where is it? " * 30}], None)
    with pytest.raises(ValueError, match="no room"):
        respond(model, tok, [chat])
    with pytest.raises(ValueError, match="no user"):
        respond(model, tok, [([{"role": "assistant", "content": "hi"}], None)])
    with pytest.raises(ValueError, match="nothing was answered"):
        evals.instruction_accuracy([])
