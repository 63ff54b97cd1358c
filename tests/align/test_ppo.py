"""PPO as a whole: what it samples it scores, what it stops it trains, and it learns."""

import copy

import pytest
import torch

from llmlib.align.ppo import PPO, PPOConfig
from llmlib.align.reward import RewardModel
from llmlib.align.rollout import ActorCritic, reward_scorer, write
from llmlib.logprobs import kl_estimate, token_logprobs
from llmlib.model import ModelConfig, Transformer

STOP, PAD, GOOD = 1, 0, 7
PROMPTS = [[2, 3, 4], [5, 2], [3], [4, 4, 4, 2]] * 8


@pytest.fixture
def small():
    """() -> a one-layer model over 12 tokens."""

    def build(seed: int = 0) -> Transformer:
        torch.manual_seed(seed)
        return Transformer(
            ModelConfig(vocab_size=12, d_model=24, n_layers=1, n_heads=2, max_seq_len=24)
        )

    return build


def likes_good(prompts, responses):
    return torch.tensor([float(r.count(GOOD)) for r in responses])


def make(small, score=likes_good, **options):
    config = PPOConfig(**{"max_new_tokens": 6, "lr": 3e-3, "beta": 0.0} | options)
    policy = small()
    return PPO(policy, copy.deepcopy(policy), score, config, stop=STOP, pad=PAD)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_rollout_scores_the_distribution_that_was_sampled(small, temperature):
    policy, reference = small(), small(seed=1)
    with torch.no_grad():
        reference.embed.weight.mul_(20), policy.embed.weight.mul_(20)
    rollout = write(
        ActorCritic(policy), reference, PROMPTS, stop=STOP, pad=PAD,
        temperature=temperature, max_new_tokens=6, seed=0,
    )  # fmt: skip
    for n in (0, 1, 2, 3):
        prompt, response = PROMPTS[n], rollout.responses[n]
        ids = torch.tensor([prompt + response])
        size = len(response)
        for model, got in ((policy, rollout.logprobs), (reference, rollout.ref_logprobs)):
            each = token_logprobs(model(ids[:, :-1]) / temperature, ids[:, 1:])[0, -size:]
            assert torch.allclose(got[n, :size], each, rtol=1e-4, atol=1e-5)
        assert rollout.mask[n].sum() == size
        assert rollout.actions[n, :size].tolist() == response
        assert rollout.stopped[n] == (response[-1] == STOP)
    assert rollout.kl.min() >= 0


def test_estimated_kl_agrees_with_the_exact_one_only_at_the_sampling_temperature(small):
    policy, reference = small(), small(seed=1)
    with torch.no_grad():
        reference.embed.weight.mul_(15), policy.embed.weight.mul_(15)
    kinds = {}
    for temperature in (1.0, 0.5):
        rollout = write(
            ActorCritic(policy), reference, PROMPTS * 60, stop=STOP, pad=PAD,
            temperature=temperature, max_new_tokens=6, seed=0,
        )  # fmt: skip
        k1 = (kl_estimate(rollout.logprobs, rollout.ref_logprobs) * rollout.mask).sum(1)
        error = k1.std() / len(k1) ** 0.5
        assert abs(k1.mean() - rollout.kl.mean()) < 4 * error
        kinds[temperature] = rollout
    # scored with raw logits, samples at T = ½ estimate something else
    cold = kinds[0.5]
    mismatched = write_scores(policy, reference, cold)
    assert abs(mismatched.mean() - cold.kl.mean()) > 6 * mismatched.std() / len(mismatched) ** 0.5


def write_scores(policy, reference, rollout):
    """k1 of a rollout's tokens under the raw logits of both models."""
    after = rollout.tokens[:, 1:]
    both = [token_logprobs(m(rollout.tokens[:, :-1]), after) for m in (policy, reference)]
    columns = rollout.positions.clamp(max=after.shape[1] - 1)
    p, q = (x.gather(1, columns) for x in both)
    return ((p - q) * rollout.mask).sum(1)


def test_it_learns_what_is_scored_and_a_price_holds_it_back(small):
    results = {}
    for beta in (0.0, 2.0):
        ppo = make(small, beta=beta, lr=6e-3, missing_end=None)
        for _ in range(15):
            stats = ppo.step(PROMPTS)
        results[beta] = stats
    assert results[0.0]["score"] > 3  # of 6 tokens; chance is half a token
    assert results[2.0]["score"] < results[0.0]["score"] - 1
    assert results[2.0]["kl"] < results[0.0]["kl"]


def test_the_stop_token_is_an_action_that_is_trained(small):
    short = make(small, lambda p, rs: -torch.tensor([float(len(r)) for r in rs]), missing_end=-10.0)
    before = short.step(PROMPTS)  # what never stops must not be the cheapest
    for _ in range(20):
        after = short.step(PROMPTS)
    assert after["tokens"] < 1.7 < before["tokens"] and after["stopped"] > 0.95
    rollout = write(
        short.actor, short.reference, PROMPTS, stop=STOP, pad=PAD, max_new_tokens=6, seed=1
    )
    ended = rollout.actions[rollout.stopped]
    assert (ended == STOP).sum() == rollout.stopped.sum()  # in the actions, under the mask
    assert rollout.mask[rollout.stopped][ended == STOP].all()


def test_what_does_not_stop_gets_the_fixed_score(small):
    seen = {}
    for missing in (-5.0, None):
        ppo = make(small, lambda p, r: torch.zeros(len(r)), missing_end=missing)
        for _ in range(15):
            stats = ppo.step(PROMPTS)
        seen[missing] = stats
    assert seen[-5.0]["stopped"] > seen[None]["stopped"] + 0.3
    assert seen[-5.0]["score"] == 0  # reported as it was given


def test_a_fresh_critic_guesses_zero_and_learns(small):
    ppo = make(small, lambda p, r: torch.full((len(r),), 2.0), missing_end=None, value_clip=10.0)
    assert ppo.actor.value.weight.abs().max() == 0
    first = ppo.step(PROMPTS)["value_loss"]
    for _ in range(30):
        last = ppo.step(PROMPTS, lr=3.0)["value_loss"]
    assert last < first / 2


def test_the_critic_leaves_the_policy_alone(small):
    actor = ActorCritic(small())
    tokens, positions = torch.tensor([[2, 3, 4]]), torch.tensor([[0, 1]])
    _, values = actor(tokens, positions)
    (values - 1).square().sum().backward()
    assert all(p.grad is None for p in actor.policy.parameters())
    assert actor.value.bias.grad.abs().item() > 0


def test_the_reference_stays_and_must_be_another_model(small):
    policy = small()
    with pytest.raises(ValueError, match="share weights"):
        PPO(policy, policy, likes_good, PPOConfig(), stop=STOP)
    ppo = make(small)
    before = copy.deepcopy(ppo.reference.state_dict())
    ppo.step(PROMPTS)
    assert all(torch.equal(v, before[k]) for k, v in ppo.reference.state_dict().items())
    assert not torch.equal(ppo.actor.policy.embed.weight, ppo.reference.embed.weight)


def test_a_saved_run_goes_on_bit_for_bit(small):
    whole = make(small, target_kl=1.0, beta=0.1)
    for _ in range(4):
        expected = whole.step(PROMPTS)
    first = make(small, target_kl=1.0, beta=0.1)
    for _ in range(2):
        first.step(PROMPTS)
    again = make(small, target_kl=1.0, beta=0.1)
    again.actor.policy.load_state_dict(first.actor.policy.state_dict())
    again.load_state_dict(copy.deepcopy(first.state_dict()))
    again.step(PROMPTS)
    assert again.step(PROMPTS) == expected
    for a, b in zip(whole.actor.parameters(), again.actor.parameters(), strict=True):
        assert torch.equal(a, b)


def test_scores_that_are_no_numbers_stop_the_run(small):
    for wrong in (lambda p, r: torch.full((len(r),), float("nan")), lambda p, r: torch.zeros(3)):
        with pytest.raises(ValueError, match="finite numbers"):
            make(small, wrong).step(PROMPTS)


def test_settings_that_cannot_be(small):
    with pytest.raises(ValueError, match="temperature"):
        PPOConfig(temperature=0.0)
    with pytest.raises(ValueError, match="epochs"):
        PPOConfig(epochs=0)


def test_a_prompt_longer_than_the_context_is_refused(small):
    with pytest.raises(ValueError, match="leaves no room"):
        make(small).step([[2] * 24])


def test_a_reward_model_reads_the_whole_text(small):
    torch.manual_seed(0)
    model = RewardModel(small(seed=3))
    prompts, responses = [[2, 3], [4]], [[5, 6, 1], [7]]
    got = reward_scorer(model)(prompts, responses)
    for n in (0, 1):
        text = torch.tensor([prompts[n] + responses[n]])
        alone = model(text, torch.tensor([text.shape[1]]))
        assert got[n].item() == pytest.approx(alone.item(), rel=1e-4, abs=1e-6)
