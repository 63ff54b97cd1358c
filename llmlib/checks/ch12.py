"""Checkers for chapter 12, preference optimization."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from . import Wrong, close, exercise, expect, is_type, same_shape

CHAPTER = "Preference optimization"  # the name in the progress table


@exercise("12.1", "the best policy")
def ex_12_1(attempt):
    """Rewards of both signs and three prices, against the formula."""
    ref = torch.randn(3, 6).log_softmax(-1)
    rewards = 2 * torch.randn(3, 6)
    for beta in (0.5, 1.0, 4.0):
        got = attempt(ref, rewards, beta)
        same_shape(got, ref, "the log-probabilities")
        close(
            got,
            (ref + rewards / beta).log_softmax(-1),
            f"the log-probabilities at β = {beta}",
            rtol=1e-4,
            atol=1e-5,
            known={
                "the rewards are divided by β, not multiplied": (ref + rewards * beta).log_softmax(
                    -1
                ),
                "the reference is missing": (rewards / beta).log_softmax(-1),
                "`ref` holds log-probabilities already: no further logarithm or exponential": (
                    ref.exp() + rewards / beta
                ).log_softmax(-1),
                "log-probabilities are asked for, and these are probabilities": (
                    ref + rewards / beta
                ).softmax(-1),
                "the probabilities do not sum to 1: Z is missing": ref + rewards / beta,
                "each prompt (row) has a Z of its own: you normalise over the wrong axis": (
                    ref + rewards / beta
                ).log_softmax(0),
            },
        )


@exercise("12.2", "labels that may be wrong")
def ex_12_2(attempt):
    """Margins of both signs and large ones; three shares of wrong labels."""
    margin = torch.tensor([-200.0, -2.0, -0.3, 0.0, 0.7, 3.0, 200.0])
    right, wrong = F.logsigmoid(margin), F.logsigmoid(-margin)
    for e in (0.1, 0.25, 0.0):
        got = attempt(margin, e)
        same_shape(got, margin, "the losses")
        if not torch.isfinite(got).all():
            raise Wrong("for a margin of ±200 the loss is not finite: use F.logsigmoid.")
        close(
            got,
            -(1 - e) * right - e * wrong,
            f"the loss for ε = {e}",
            known={
                "that is the robust loss: it subtracts the second term and divides by 1 − 2ε": (
                    -(1 - e) * right + e * wrong
                )
                / (1 - 2 * e),
                "the two shares are exchanged: the label is *right* with probability 1 − ε": -e
                * right
                - (1 - e) * wrong,
                "the second term is missing: log σ(m) + log σ(−m) is not log 1": -(1 - e) * right,
                "the second term has the wrong sign": -(1 - e) * right + e * wrong,
                "ε is not used": -right,
                "σ(−m) is 1 − σ(m), and not −σ(m): the second term is a logarithm, too": -(1 - e)
                * right
                - e * margin.neg().sigmoid(),
            },
        )


@exercise("12.3", "who is pulled hardest")
def ex_12_3(attempt):
    """Against autograd."""
    four = [-20 * torch.rand(8) for _ in range(4)]
    for beta in (0.1, 0.7):
        c = four[0].clone().requires_grad_()
        with torch.enable_grad():
            margin = beta * ((c - four[2]) - (four[1] - four[3]))
            (-F.logsigmoid(margin)).sum().backward()
        m = margin.detach()
        got = attempt(*four, beta)
        same_shape(got, c.grad, "the derivatives")
        close(
            got,
            c.grad,
            f"the derivatives at β = {beta}",
            rtol=1e-4,
            known={
                "the sign: a larger log p of the chosen answer makes the loss smaller": -c.grad,
                "the weight is σ(−m), large where the pair is wrong; yours is σ(m)": -beta
                * m.sigmoid(),
                "the factor β in front is missing": c.grad / beta,
                "β is missing, in front and inside the margin": -torch.sigmoid(
                    -(four[0] - four[2] - four[1] + four[3])
                ),
                "the margin is the chosen side's gain *minus* the rejected side's; yours adds "
                "them": -beta * torch.sigmoid(-beta * (four[0] - four[2] + four[1] - four[3])),
                "the margin is missing its β": -beta
                * torch.sigmoid(-(four[0] - four[2] - four[1] + four[3])),
                "the reference is missing from the margin": -beta
                * torch.sigmoid(-beta * (four[0] - four[1])),
                "that is the loss's value, not its derivative": -F.logsigmoid(m),
                "σ(m)σ(−m) is the derivative of σ; of −log σ it is −σ(−m)": -beta
                * m.sigmoid()
                * (-m).sigmoid(),
            },
        )


@exercise("12.4", "find the bug in the sum")
def ex_12_4(attempt):
    """A prompt, an answer with its end token, padding: every token has a score of its own."""
    logprobs = -torch.rand(3, 8) - torch.arange(8) / 10  # of tokens 1 … 8
    is_answer = torch.zeros(3, 9, dtype=torch.bool)  # of tokens 0 … 8
    for row, (first, last) in enumerate([(3, 6), (5, 8), (2, 2)]):
        is_answer[row, first : last + 1] = True
    mask = is_answer[:, 1:]
    right = (logprobs * mask).sum(1)
    ends = mask & ~F.pad(mask[:, 1:], (0, 1))
    got = attempt(logprobs, is_answer)
    same_shape(got, (3,), "the log-probabilities")
    close(
        got,
        right,
        "the log-probability",
        known={
            "the mask is off by one: logprobs[:, t] is about token t + 1": (
                logprobs * is_answer[:, :-1]
            ).sum(1),
            "the prompt is in the sum (and the padding): both sides share it, but the number is "
            "not the answer's": logprobs.sum(1),
            "that is a mean a token; DPO is about the sum": right / mask.sum(1),
            "both bugs are still there: which token is logprobs[:, t] about, and does DPO want "
            "a mean?": (logprobs * is_answer[:, :-1]).sum(1) / is_answer[:, :-1].sum(1),
            "the end token is an action of the answer, and is missing from the sum": (
                logprobs * (mask & ~ends)
            ).sum(1),
            "you average over all rows and columns": right / mask.shape[1],
            "the first token of the answer is missing": (
                logprobs * (mask & F.pad(mask[:, :-1], (1, 0)))
            ).sum(1),
        },
    )


@exercise("12.5", "a reference that stays", may_mutate=True)
def ex_12_5(attempt):
    """Train the policy after the reference was made, and look at both."""
    policy = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3)).train()
    before = [p.detach().clone() for p in policy.parameters()]
    reference = attempt(policy)
    if not isinstance(reference, nn.Module):
        raise Wrong(f"the reference should be a model, not a {type(reference).__name__}.")
    if reference is policy:
        raise Wrong("you return the policy itself: it will be trained, and the reference with it.")
    own = {p.data_ptr() for p in policy.parameters()}
    theirs = list(reference.parameters())
    expect(len(theirs) == len(before), "the reference has other parameters than the policy.")
    if any(p.data_ptr() in own for p in theirs):
        raise Wrong("the reference shares its weights with the policy: a shallow copy will not do.")
    same = all(torch.equal(a, b) for a, b in zip(theirs, before, strict=True))
    expect(same, "the reference does not start with the policy's weights.")
    mine = list(policy.parameters())
    if not all(p.requires_grad for p in mine):
        raise Wrong("the policy cannot be trained any more: freeze the copy, not the original.")
    if not policy.training:
        raise Wrong("the policy was put into eval mode: that belongs to the copy.")
    if any(p.requires_grad for p in theirs):
        raise Wrong("the reference's weights still want gradients: requires_grad_(False).")
    if reference.training:
        raise Wrong("the reference is in training mode: its dropout makes every score random.")
    with torch.no_grad():
        for p in mine:
            p.add_(1.0)
    same = all(torch.equal(a, b) for a, b in zip(theirs, before, strict=True))
    expect(same, "after a step of the policy the reference has moved, too.")


@exercise("12.6", "SimPO from another library")
def ex_12_6(attempt):
    """Sums and lengths, and the margin as the ratio γ/β."""
    chosen, rejected = -30 * torch.rand(5), -30 * torch.rand(5)
    n_c, n_r = torch.tensor([3.0, 9, 20, 7, 12]), torch.tensor([5.0, 4, 11, 30, 2])
    beta, ratio = 2.5, 0.55
    means = chosen / n_c - rejected / n_r
    got = attempt(chosen, rejected, n_c, n_r, beta, ratio)
    same_shape(got, chosen, "the losses")
    close(
        got,
        -F.logsigmoid(beta * means - beta * ratio),
        "the loss",
        rtol=1e-4,
        known={
            "γ is β times the ratio: you subtract the ratio itself": -F.logsigmoid(
                beta * means - ratio
            ),
            "SimPO is about means a token; these are sums": -F.logsigmoid(
                beta * (chosen - rejected) - beta * ratio
            ),
            "each answer is divided by its own length: yours are exchanged": -F.logsigmoid(
                beta * (chosen / n_r - rejected / n_c) - beta * ratio
            ),
            "the margin γ is missing": -F.logsigmoid(beta * means),
            "the margin must be exceeded, so γ is subtracted": -F.logsigmoid(
                beta * means + beta * ratio
            ),
            "you divide the ratio by β; γ/β times β is γ": -F.logsigmoid(
                beta * means - ratio / beta
            ),
        },
    )


@exercise("12.7", "how far can the chosen answer fall?")
def ex_12_7(attempt):
    """Several weights and starts."""
    for weight, start in [(0.2, 1.3), (1.0, 0.05), (0.01, 2.0)]:
        got = attempt(weight, start)
        is_type(got, (int, float), "the bound")
        close(
            got,
            start + math.log(2) / weight,
            f"the bound for weight {weight} and a start of {start}",
            known={
                "the bound is on the answer itself: its −log p at the start is missing": math.log(2)
                / weight,
                "a weight of α makes α times the fall cost less than log 2: divide, not multiply": (
                    start + math.log(2) * weight
                ),
                "that is the loss at the start; which n brings α n alone to it?": math.log(2)
                + weight * start,
                "the weight is missing: α n, and not n, may use up what DPO's loss gives away": (
                    math.log(2) + start
                ),
                "DPO's loss at the start is −log σ(0) = 0.693 nats, and you count 1": start
                + 1 / weight,
                "DPO's loss cannot be below 0, but it begins at log 2: that is what it can give "
                "away": start,
            },
        )


@exercise("12.8", "the answers nobody compared")
def ex_12_8(attempt):
    """A tiny step of gradient descent on a random log-linear policy, computed both ways."""
    features, theta = torch.randn(7, 3).double(), torch.randn(3).double()
    logits = features @ theta
    logp = logits.log_softmax(0)
    chosen, rejected, lr, beta = 2, 5, 0.3, 0.7
    direction = features[chosen] - features[rejected]
    mean = logp.exp() @ features
    pull = lr * beta / 2
    want = pull * (features - mean) @ direction
    got = attempt(logp, features, chosen, rejected, lr, beta)
    same_shape(got, want, "the changes")
    close(
        got,
        want,
        "the change of log p",
        rtol=1e-4,
        known={
            "subtract the mean over the policy: what all answers gain, none gains": pull
            * features
            @ direction,
            "the mean is over the policy's probabilities, not over the list of answers": pull
            * (features - features.mean(0))
            @ direction,
            "the weight at the start is σ(0) = ½": 2 * want,
            "the factor β is missing": want / beta,
            "the learning rate is missing": want / lr,
            "the sign: a step goes down the loss, so towards the chosen answer": -want,
            "the step goes along features[chosen] − features[rejected]; the rejected ones are "
            "missing": pull * (features - mean) @ features[chosen],
            "that is the change of p; of log p it is without the factor p": want * logp.exp(),
            "that is the whole change; to first order in lr, log Z moves by the mean of φ times "
            "the step": (logits + pull * features @ direction).log_softmax(0) - logp,
            "the mean of φ is weighted by probabilities: logp.exp(), not logp": pull
            * (features - logp @ features)
            @ direction,
        },
    )
