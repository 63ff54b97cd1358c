"""The reward model: its loss by hand, against scikit-learn, and what it reads."""

import copy
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from llmlib import checkpoint
from llmlib.align.pairs import PairBatches, PairData
from llmlib.align.reward import (
    RewardModel,
    accuracy,
    bt_loss,
    load_reward_model,
    pair_rewards,
    reward_objective,
)
from llmlib.train import TrainConfig, train


def test_bt_loss_by_hand():
    chosen, rejected = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
    # ln(1 + e⁻¹) and ln(1 + e²)
    assert bt_loss(chosen, rejected).tolist() == pytest.approx([0.3132617, 2.1269280], rel=1e-5)
    # a margin of ½ asks for more: ln(1 + e^−0.5), ln(1 + e^2.5)
    expected = [0.4740770, 2.5788897]
    assert bt_loss(chosen, rejected, margin=0.5).tolist() == pytest.approx(expected, rel=1e-5)
    margins = torch.tensor([0.5, 0.0])
    assert bt_loss(chosen, rejected, margin=margins)[1].item() == pytest.approx(2.1269280)
    # centering adds 0.01 · (sum)²: + 0.01, + 0.04
    expected = [0.3232617, 2.1669280]
    assert bt_loss(chosen, rejected, center=0.01).tolist() == pytest.approx(expected, rel=1e-5)


def test_bt_loss_does_not_overflow():
    far = torch.tensor([1e4])
    assert bt_loss(far, -far).item() == 0
    assert bt_loss(-far, far).item() == pytest.approx(2e4)


def test_a_constant_changes_no_comparison_but_centering_sees_it():
    chosen, rejected = torch.randn(5), torch.randn(5)
    assert torch.allclose(bt_loss(chosen, rejected), bt_loss(chosen + 3, rejected + 3), atol=1e-5)
    gap = bt_loss(chosen + 3, rejected + 3, center=1.0) - bt_loss(chosen, rejected, center=1.0)
    assert (gap.abs() > 1e-3).all()


def test_a_linear_reward_is_logistic_regression_on_differences():
    """With r(x) = w·x the Bradley–Terry likelihood is a logistic regression without intercept."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 400, 3))
    prefers_a = rng.random(400) < 1 / (1 + np.exp(-(a - b) @ [1.0, -0.5, 0.2]))
    x = np.where(prefers_a[:, None], a - b, b - a)  # chosen − rejected
    both, y = np.concatenate((x, -x)), np.repeat([1, 0], 400)  # scikit-learn wants two classes
    oracle = LogisticRegression(C=math.inf, fit_intercept=False, tol=1e-10, max_iter=1000)
    oracle.fit(both, y)

    chosen = torch.tensor(np.where(prefers_a[:, None], a, b))
    rejected = torch.tensor(np.where(prefers_a[:, None], b, a))
    head = nn.Linear(3, 1, bias=False).double()
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=200, tolerance_grad=1e-12)

    def closure():
        optimizer.zero_grad()
        loss = bt_loss(head(chosen)[:, 0], head(rejected)[:, 0]).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert np.allclose(head.weight.detach().numpy(), oracle.coef_, rtol=1e-4, atol=1e-5)
    probability = torch.sigmoid(head(chosen) - head(rejected))[:, 0].detach().numpy()
    assert np.allclose(probability, oracle.predict_proba(x)[:, 1], rtol=1e-4)


def test_the_reward_is_read_at_the_last_real_token(tok, pair_rows, tiny):
    torch.manual_seed(0)
    model, batch = RewardModel(tiny()), PairData(pair_rows, tok).batch([3, 4])
    tokens, lengths = batch.tokens.flatten(0, 1), batch.lengths.flatten()
    together = model(tokens, lengths)
    for row in range(4):
        alone = model(tokens[row : row + 1, : lengths[row]], lengths[row : row + 1])
        assert alone.item() == pytest.approx(together[row].item(), rel=1e-4, abs=1e-5)
    changed = tokens.clone()
    short = int(lengths.argmin())
    changed[short, lengths[short] :] = 7  # padding has no say
    assert torch.equal(model(changed, lengths)[short], together[short])
    wrong = model(tokens, torch.full_like(lengths, tokens.shape[1]))  # read at padding
    assert abs(wrong[short] - together[short]) > 1e-4
    with pytest.raises(ValueError, match="at least 1"):
        model(tokens, lengths * 0)
    with pytest.raises(ValueError, match="must be 4 numbers"):
        model(tokens, lengths[:2])


def test_the_head_starts_small(tiny):
    torch.manual_seed(0)
    model = RewardModel(tiny(d_model=256, n_heads=4))
    assert model.head.weight.std().item() == pytest.approx(257**-0.5, rel=0.15)
    assert model.head.bias.item() == 0


def test_normalizing_keeps_comparisons(tok, pair_rows, tiny):
    torch.manual_seed(0)
    model, data = RewardModel(tiny()), PairData(pair_rows, tok)
    before = pair_rewards(model, data)
    model.normalize(before.flatten())
    after = pair_rewards(model, data)
    assert after.mean().item() == pytest.approx(0, abs=1e-5)
    assert after.std().item() == pytest.approx(1, rel=1e-4)
    assert accuracy(after) == accuracy(before)
    model.normalize(after.flatten())  # a second time changes nothing
    assert torch.allclose(pair_rewards(model, data), after, atol=1e-5)
    with pytest.raises(ValueError, match="differ"):
        model.normalize(torch.ones(4))


def test_accuracy_counts_a_tie_as_a_half():
    assert accuracy(torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0], [3.0, 1.0]])) == 0.625


def test_it_learns_what_is_preferred_and_survives_a_file(tok, pair_rows, tiny, tmp_path):
    torch.manual_seed(0)
    model, data = RewardModel(tiny()), PairData(pair_rows, tok)
    config = TrainConfig(steps=20, batch_size=6, seq_len=96, optimizer="adamw", lr=3e-3)
    with torch.enable_grad():
        history = train(model, PairBatches(data, 6), reward_objective(center=0.01), config)
    assert history.loss[-1] < 0.2 < history.loss[0]
    scores = pair_rewards(model, data)
    assert accuracy(scores) == 1
    model.normalize(scores.flatten())
    path = checkpoint.save(tmp_path / "rm.safetensors", model, tok, {"what": "reward"})
    again, _, meta = load_reward_model(path)
    assert torch.allclose(pair_rewards(again, data), pair_rewards(model, data), atol=1e-6)
    assert meta["what"] == "reward"


def test_pieces_of_a_batch_add_up(tok, pair_rows, tiny):
    torch.manual_seed(0)
    model, batch = RewardModel(tiny()), PairData(pair_rows, tok).batch(range(6))
    whole, count = reward_objective()(model, batch)
    parts = [reward_objective()(copy.deepcopy(model), batch.rows(i, i + 2)) for i in (0, 2, 4)]
    assert whole.item() == pytest.approx(sum(p.item() for p, _ in parts), rel=1e-5)
    assert count.item() == 6 == sum(n.item() for _, n in parts)
