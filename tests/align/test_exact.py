"""Tables of policies: scored as a model scores them, and the optima they are said to be."""

import random

import pytest
import torch

from llmlib.align.exact import (
    best_of_n,
    best_of_n_bound,
    kl,
    mean,
    on_grammar,
    prompt_ids,
    reward_responses,
    score_responses,
    tilt,
    values_of,
)
from llmlib.align.lab import lab_model, lab_prompts, response_loss, train_reference
from llmlib.align.reward import RewardModel
from llmlib.logprobs import token_logprobs
from llmlib.world import World
from llmlib.world.responses import FILLERS, crowd, gold_rewards


@pytest.fixture(scope="module")
def prompts():
    return lab_prompts(World(), known=1, dark=1)[::5]


@pytest.fixture
def model(tok):
    model = lab_model(tok)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return model


def test_scores_are_the_model_s_own(model, tok, prompts):
    table = score_responses(model, tok, prompts)
    end = tok.special_tokens["<|end|>"]
    sizes = [len(p.responses) for p in prompts]
    assert table.shape == (len(prompts), max(sizes)) and min(sizes) < max(sizes)
    rng = random.Random(0)
    for prompt, row in zip(prompts, table, strict=True):
        assert (row > -torch.inf).sum() == len(prompt.responses)
        start = prompt_ids(tok, prompt)
        for i in [0, 3, *rng.sample(range(len(prompt.responses)), 8)]:
            ids = torch.tensor([[*start, *tok.encode(prompt.responses[i].text), end]])
            logprobs = token_logprobs(model(ids[:, :-1]), ids[:, 1:])[0, len(start) - 1 :]
            assert row[i].item() == pytest.approx(logprobs.sum().item(), rel=1e-5)


def test_rewards_are_those_of_each_text_read_alone(model, tok, prompts):
    reward = RewardModel(model)
    reward.normalize(torch.tensor([1.0, 3.0]))
    table = reward_responses(reward, tok, prompts)
    rng = random.Random(0)
    for prompt, row in zip(prompts, table, strict=True):
        for i in rng.sample(range(len(prompt.responses)), 6):
            ids = [*prompt_ids(tok, prompt), *tok.encode(prompt.responses[i].text)]
            alone = reward(torch.tensor([ids]), torch.tensor([len(ids)]))
            assert row[i].item() == pytest.approx(alone.item(), rel=1e-4, abs=1e-5)
        assert (row[len(prompt.responses) :] == 0).all()


def test_a_tokenizer_that_joins_sentences_is_refused(model, tok, prompts):
    class Joining:
        special_tokens = tok.special_tokens

        def encode(self, text):
            return tok.encode(text.removesuffix(FILLERS[1]) + "!" * text.endswith(FILLERS[1]))

    with pytest.raises(ValueError, match="sentences"):
        score_responses(model, Joining(), prompts)


# ------------------------------------------------------------------------ arithmetic on tables
@pytest.fixture
def small():
    torch.manual_seed(0)
    ref = torch.randn(3, 6).log_softmax(-1)
    ref[2, 4:] = -torch.inf  # a prompt with fewer responses
    ref[2] = ref[2].log_softmax(-1)
    reward = torch.randn(3, 6)
    reward[0, 1] = reward[0, 3]  # a tie
    reward[2, 4:] = 0
    return ref, reward


def test_tilt_beats_every_other_policy(small):
    ref, reward = small
    for beta in (0.05, 0.5, 5.0):
        best = tilt(ref, reward, beta)
        assert torch.allclose(best.exp().sum(-1), torch.ones(3))
        value = mean(best, reward) - beta * kl(best, ref)
        assert torch.allclose(value, beta * (ref + reward / beta).logsumexp(-1), atol=1e-5)
        for _ in range(50):
            other = (best + 0.3 * torch.randn_like(best)).log_softmax(-1)
            assert (mean(other, reward) - beta * kl(other, ref) <= value + 1e-6).all()
    with pytest.raises(ValueError, match="beta"):
        tilt(ref, reward, 0)


def test_best_of_n_is_what_keeping_the_best_of_n_gives(small):
    ref, reward = small
    generator = torch.Generator().manual_seed(1)
    for n in (1, 2, 5):
        exact = best_of_n(ref, reward, n).exp()
        assert torch.allclose(exact.sum(-1), torch.ones(3), atol=1e-5)
        for row in range(3):
            drawn = torch.multinomial(
                ref[row].exp().expand(40_000, -1), n, replacement=True, generator=generator
            )
            values = reward[row][drawn] + 1e-6 * torch.rand(drawn.shape, generator=generator)
            kept = drawn.gather(1, values.argmax(1, keepdim=True))[:, 0]
            shares = torch.bincount(kept, minlength=6) / len(kept)
            assert torch.allclose(shares, exact[row], atol=0.012)
        assert (kl(exact.log(), ref) <= best_of_n_bound(n) + 1e-6).all()
    assert torch.allclose(best_of_n(ref, reward, 1), ref, atol=1e-5)
    assert torch.isfinite(kl(best_of_n(ref, reward, 4096), ref)).all()


def test_grammar_and_kl_by_hand():
    logp = torch.tensor([[0.1, 0.3, 0.0]]).log()
    inside, mass = on_grammar(logp)
    assert mass.item() == pytest.approx(0.4)
    assert inside.exp()[0].tolist() == pytest.approx([0.25, 0.75, 0.0])
    other = torch.tensor([[0.5, 0.5, 0.0]]).log()
    expected = 0.25 * torch.tensor(0.5).log() + 0.75 * torch.tensor(1.5).log()
    assert kl(inside, other).item() == pytest.approx(expected.item())
    assert kl(inside, inside).item() == 0


# ------------------------------------------------------------------------------------- the lab
def test_lab_has_forty_eight_prompts():
    prompts = lab_prompts(World())
    assert len(prompts) == 48 and sum(p.situation.dark for p in prompts) == 12
    gold = values_of(prompts, gold_rewards)
    assert gold.shape == (48, 196) and gold[-1, len(prompts[-1].responses) :].sum() == 0


def test_training_brings_the_reference_nearer_to_the_crowd(tok, prompts):
    few, history = train_reference(prompts, tok, demonstrations=480)
    wanted = values_of(prompts, crowd).log()

    def distance(model):
        return kl(wanted, score_responses(model, tok, prompts)).mean()

    assert distance(few) < 0.5 * distance(lab_model(tok))
    assert history.loss[-1] < history.loss[0] and not few.training
    again, _ = train_reference(prompts, tok, demonstrations=480)
    assert all(torch.equal(a, b) for a, b in zip(few.parameters(), again.parameters(), strict=True))


def test_loss_counts_the_answer_alone(tok, prompts):
    from llmlib.align.lab import _by_length

    rows = [([1, 2, 3], [4, 5]), ([1, 2], [6, 7, 8])]
    batch = next(_by_length(rows, 2, random.Random(0), pad=0))
    model = lab_model(tok)
    loss, count = response_loss(model, batch)
    assert count == 5
    by_hand = 0.0
    for start, answer in rows:
        ids = torch.tensor([start + answer])
        by_hand -= token_logprobs(model(ids[:, :-1]), ids[:, 1:])[0, len(start) - 1 :].sum()
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
