"""Learning from preferences without a reward model: DPO and its relatives.

Every loss here is a pure function of log-probabilities, one number a pair (or a text) in, one out;
means are the caller's. "log p" is the natural logarithm of a whole completion's probability given
its prompt: its tokens' log-probabilities added up, <|end|> included, the prompt left out
(`pairs.response_logprobs`). Two methods are about the mean a token instead: their arguments are
called `…_mean` and come from `average=True`.

With h = log p(y) − log p_ref(y), the *implicit reward* of a completion is β h (DPO's equation 5).

| loss | here | elsewhere |
|---|---|---|
| `dpo_loss` | sums | minimind, LLMs-from-scratch: means a token (TRL calls that `sigmoid_norm`) |
| `label_smoothing` | cDPO: a mixture, not unbiased | TRL's `sigmoid` with `label_smoothing`: same |
| `robust_dpo_loss` | divides by 1 − 2ε (unbiased) | TRL's `robust`: same |
| `ipo_loss` | sums, as in the paper | TRL: h is a mean a token, which changes β's unit |
| `simpo_loss` | γ is a difference of rewards | authors' code takes γ/β; TRL γ, divided by β |
| `orpo_loss` | likelihood term on the response | TRL: on prompt and response |
| `kto_loss` | z₀ an argument, cut at 0 | TRL: from mismatched completions in the batch, cut at 0 |

Shapes: B pairs or texts.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib import runtime
from llmlib.align.pairs import PairBatch, response_logprobs


def implicit_reward(logprobs: Tensor, ref_logprobs: Tensor, beta: float) -> Tensor:
    """β (log p − log p_ref): the reward that a policy is the optimum of, up to a constant a prompt.

    Rafailov et al. 2023, equation 5. Only differences within one prompt mean anything.
    """
    return beta * (logprobs - ref_logprobs)


def dpo_loss(
    chosen: Tensor,
    rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> Tensor:
    """−log σ(β (h_chosen − h_rejected)): log p four times (B,) -> (B,). Rafailov et al. 2023.

    label_smoothing ε, below ½, is *conservative* DPO (Mitchell 2023): the cross-entropy against a
    label that is right with probability 1 − ε. Its minimum is a finite margin, log((1 − ε)/ε).
    """
    margin = beta * ((chosen - ref_chosen) - (rejected - ref_rejected))
    return _smoothed(margin, label_smoothing)


def robust_dpo_loss(
    chosen: Tensor,
    rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    *,
    beta: float = 0.1,
    flip_rate: float,
) -> Tensor:
    """DPO's loss whose mean over labels flipped at `flip_rate` ε is that over clean ones: -> (B,).

    ((1 − ε) ℓ(m) − ε ℓ(−m)) / (1 − 2ε) with ℓ(m) = −log σ(m). Ray Chowdhury et al. 2024.
    """
    _check_flip_rate(flip_rate)
    margin = beta * ((chosen - ref_chosen) - (rejected - ref_rejected))
    kept = (1 - flip_rate) * F.logsigmoid(margin) - flip_rate * F.logsigmoid(-margin)
    return -kept / (1 - 2 * flip_rate)


def ipo_loss(
    chosen: Tensor,
    rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    *,
    beta: float = 0.1,
) -> Tensor:
    """(h_chosen − h_rejected − 1/(2β))²: -> (B,). Azar et al. 2023, equation 17 (their τ is β).

    A square, so that a pair is done when its margin is reached and pulls back when it is passed,
    where DPO's loss goes on falling for ever.
    """
    margin = (chosen - ref_chosen) - (rejected - ref_rejected)
    return (margin - 1 / (2 * beta)).square()


def simpo_loss(
    chosen_mean: Tensor,
    rejected_mean: Tensor,
    *,
    beta: float = 2.0,
    gamma: float = 0.5,
    label_smoothing: float = 0.0,
) -> Tensor:
    """−log σ(β chosen_mean − β rejected_mean − γ): mean log p a token (B,) -> (B,). No reference.

    Meng et al. 2024, equation 6. γ is a difference of rewards, as in the paper; the authors' code
    takes the ratio γ/β (`gamma_beta_ratio`), and what it does with it is the same.
    """
    return _smoothed(beta * (chosen_mean - rejected_mean) - gamma, label_smoothing)


def orpo_loss(chosen_mean: Tensor, rejected_mean: Tensor, *, weight: float = 0.1) -> Tensor:
    """−chosen_mean − weight · log σ(log odds ratio): mean log p a token (B,) -> (B,). No reference.

    Hong et al. 2024, equations 6 and 7: fine-tuning on the chosen answer, plus a push between the
    two, with odds p/(1 − p) of p = exp(mean log p). All means must be below 0.
    """
    if max(chosen_mean.max().item(), rejected_mean.max().item()) >= 0:
        raise ValueError("ORPO's odds p/(1 − p) need a mean log p below 0: a p below 1")
    odds = (chosen_mean - _log1mexp(chosen_mean)) - (rejected_mean - _log1mexp(rejected_mean))
    return -chosen_mean - weight * F.logsigmoid(odds)


def kto_loss(
    logprobs: Tensor,
    ref_logprobs: Tensor,
    desirable: Tensor,
    kl: Tensor | float,
    *,
    beta: float = 0.1,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> Tensor:
    """Losses (B,) of single texts that were liked or not: `desirable` (B,) bool. No pairs needed.

    1 − σ(β (h − z₀)) for the liked, 1 − σ(β (z₀ − h)) for the others. Ethayarajh et al. 2024.
    kl is z₀, an estimate of the policy's KL to the reference, cut at 0 from below; no gradient.
    """
    reference = torch.as_tensor(kl, dtype=logprobs.dtype, device=logprobs.device)
    gain = beta * (logprobs - ref_logprobs - reference.detach().clamp(min=0))
    signed = torch.where(desirable, gain, -gain)
    weights = torch.where(desirable, desirable_weight, undesirable_weight)
    return weights * (1 - signed.sigmoid())


def _smoothed(margin: Tensor, label_smoothing: float) -> Tensor:
    """Cross-entropy of σ(margin) against a label that is true with probability 1 − ε."""
    _check_flip_rate(label_smoothing)
    right = F.logsigmoid(margin)
    if label_smoothing == 0:
        return -right
    return -(1 - label_smoothing) * right - label_smoothing * F.logsigmoid(-margin)


def _check_flip_rate(rate: float) -> None:
    if not 0 <= rate < 0.5:
        raise ValueError(f"a share of wrong labels must be at least 0 and below ½, not {rate}")


def _log1mexp(x: Tensor) -> Tensor:
    """log(1 − exp(x)) for x < 0, exact near 0 and far from it (Mächler 2012)."""
    near = x > -0.6931471805599453
    safe = torch.where(near, x, torch.full_like(x, -1.0))
    other = torch.where(near, torch.full_like(x, -1.0), x)
    return torch.where(near, torch.log(-torch.expm1(safe)), torch.log1p(-torch.exp(other)))


# -- losses for llmlib.train.train ------------------------------------------------------------

METHODS = ("dpo", "robust", "ipo", "simpo", "orpo", "kto")
WITHOUT_REFERENCE = ("simpo", "orpo")


def preference_objective(method: str = "dpo", *, nll: float = 0.0, **options) -> Callable:
    """A loss for `llmlib.train.train` over `PairBatch`: (sum over pairs, number of pairs).

    method  one of METHODS; `options` are that loss's own (beta, gamma, label_smoothing …).
    nll     adds so many times −(mean log p a token) of the chosen answer: a bound on how far its
            probability can fall (Pang et al. 2024; Llama 3 takes 0.2).

    "kto" takes both sides of a pair as two single texts, liked and not, and averages the two; its
    z₀ is the mean of h over completions behind another prompt (`add_reference(…, unmatched=True)`).
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, not {method!r}")

    def loss_fn(model: nn.Module, batch: PairBatch) -> tuple[Tensor, Tensor]:
        if batch.ref is None and method not in WITHOUT_REFERENCE:
            raise ValueError(f"{method} needs the reference's log p: call data.add_reference")
        response = batch.response.flatten(0, 1)
        tokens = batch.tokens.flatten(0, 1)
        if method == "kto":
            tokens, response = _with_unmatched(batch, tokens, response)
        sums = response_logprobs(model, tokens, response)  # (2 B,), or (4 B,) with unmatched
        counts = response.sum(-1).clamp(min=1)
        sums, means = sums.view(-1, 2), (sums / counts).view(-1, 2)
        loss = _pair_loss(method, sums, means, batch, options)
        if nll:
            loss = loss - nll * means[: len(batch), 0]
        return loss.sum(), torch.tensor(len(batch), device=loss.device)

    return loss_fn


def _pair_loss(method: str, sums: Tensor, means: Tensor, batch: PairBatch, options) -> Tensor:
    """(B,) losses from sums and means of log p, chosen and rejected: (B, 2) each."""
    if method == "simpo":
        return simpo_loss(means[:, 0], means[:, 1], **options)
    if method == "orpo":
        return orpo_loss(means[:, 0], means[:, 1], **options)
    if method == "kto":
        own, other = sums.split(len(batch))
        z0 = _kto_reference(other.detach(), batch)
        liked = torch.tensor([True, False], device=own.device).expand_as(own)
        return kto_loss(own, batch.ref, liked, z0, **options).mean(-1)
    loss = {"dpo": dpo_loss, "robust": robust_dpo_loss, "ipo": ipo_loss}[method]
    return loss(sums[:, 0], sums[:, 1], batch.ref[:, 0], batch.ref[:, 1], **options)


def _with_unmatched(batch: PairBatch, tokens: Tensor, response: Tensor) -> tuple[Tensor, Tensor]:
    """The batch's texts and, below them, its mismatched ones, padded to one length."""
    if batch.unmatched is None:
        raise ValueError("kto needs mismatched pairs: add_reference(…, unmatched=True)")
    T = max(tokens.shape[1], batch.unmatched.shape[2])
    both = [
        (F.pad(t, (0, T - t.shape[1])), F.pad(r, (0, T - r.shape[1])))
        for t, r in (
            (tokens, response),
            (batch.unmatched.flatten(0, 1), batch.unmatched_response.flatten(0, 1)),
        )
    ]
    return torch.cat([t for t, _ in both]), torch.cat([r for _, r in both])


def _kto_reference(logprobs: Tensor, batch: PairBatch) -> Tensor:
    """z₀: the mean of log p − log p_ref over mismatched texts, over all processes."""
    gap = (logprobs - batch.unmatched_ref).double()
    sums = torch.stack((gap.sum(), torch.tensor(float(gap.numel())).to(gap)))
    total, count = runtime.all_sum(sums)
    return (total / count).float()
