"""Policies as tables: exact KL, exact optima and exact best-of-n over responses that can be listed.

A prompt of `llmlib.world.responses` has at most 196 responses. Over so few, what is usually
estimated from samples is a sum: a policy is a row of log-probabilities, a reward a row of numbers.
Tables have a row a prompt; where prompts have fewer responses than others, log-probabilities are
−inf and values 0 at the end of the row.

    ref, mass = on_grammar(score_responses(model, tokenizer, prompts))
    best = tilt(ref, reward, beta)          the policy with the most reward − β KL that exists
    best = best_of_n(ref, reward, 16)       the policy "write 16, keep the best"
    kl(best, ref), mean(best, gold)         (P,) each: a number a prompt

Shapes: P prompts, N the most responses of one prompt, B bodies (N = 4 B), T tokens.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from llmlib.align.reward import RewardModel
from llmlib.model import Transformer
from llmlib.tokenizer.chat import encode_chat
from llmlib.world.responses import MOST_FILLERS, FactPrompt

LENGTHS = MOST_FILLERS + 1  # responses that share a body


def values_of(
    prompts: Sequence[FactPrompt], per_prompt: Callable[[FactPrompt], Iterable]
) -> Tensor:
    """A table (P, N) float32 of what `per_prompt` says of each response, 0 behind the last."""
    rows = [torch.tensor(list(per_prompt(p)), dtype=torch.float32) for p in prompts]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


@torch.no_grad()
def score_responses(model: Transformer, tokenizer, prompts: Sequence[FactPrompt]) -> Tensor:
    """log p of every response, its <|end|> included, under `model`: (P, N) in nats, −inf behind.

    Responses end in fillers that always come in the same order, so one text scores four of them:
    up to each of its fillers, and <|end|> after that.
    """
    end = tokenizer.special_tokens["<|end|>"]
    rows = []
    for prompt in prompts:
        tokens, first, stops = _texts(tokenizer, prompt)
        tokens = tokens.to(model.embed.weight.device)
        logprobs = model.head(model.features(tokens)[:, first - 1 :]).float().log_softmax(-1)
        said = logprobs[:, :-1].gather(-1, tokens[:, first:, None])[..., 0].cumsum(1)  # (B, R)
        at = stops.to(tokens.device) - first  # a response's last token, counted from its first
        rows.append((said.gather(1, at) + logprobs[..., end].gather(1, at + 1)).flatten().cpu())
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-torch.inf)


@torch.no_grad()
def reward_responses(model: RewardModel, tokenizer, prompts: Sequence[FactPrompt]) -> Tensor:
    """The reward of every response (P, N), 0 behind; read at its last word's full stop.

    For reward models that were trained on texts without the closing <|end|>.
    """
    rows = []
    for prompt in prompts:
        tokens, _, stops = _texts(tokenizer, prompt)
        features = model.trunk.features(tokens.to(model.head.weight.device))  # (B, T, D)
        index = stops.to(features.device)[..., None].expand(-1, -1, features.shape[-1])
        rewards = model.head(features.gather(1, index))[..., 0].float()  # (B, 4)
        rows.append(((rewards - model.mean) / model.std).flatten().cpu())
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


def prompt_ids(tokenizer, prompt: FactPrompt) -> list[int]:
    """The prompt's tokens with the assistant's turn open."""
    return encode_chat(tokenizer, prompt.messages, add_generation_prompt=True)[0]


def _texts(tokenizer, prompt: FactPrompt) -> tuple[Tensor, int, Tensor]:
    """(the longest response of each body (B, T), its first token's place, last tokens (B, 4))."""
    start = prompt_ids(tokenizer, prompt)
    answers = [tokenizer.encode(r.text) for r in prompt.responses]
    longest = answers[LENGTHS - 1 :: LENGTHS]
    for i, answer in enumerate(answers):
        if longest[i // LENGTHS][: len(answer)] != answer:
            raise ValueError(
                f"the tokens of {prompt.responses[i].text!r} do not begin those of the same with "
                "more fillers: this tokenizer joins words across sentences"
            )
    T = len(start) + max(map(len, longest))
    tokens = torch.full((len(longest), T), tokenizer.special_tokens["<|pad|>"])
    for row, answer in zip(tokens, longest, strict=True):
        row[: len(start) + len(answer)] = torch.tensor(start + answer)
    stops = torch.tensor([len(a) for a in answers]).view(-1, LENGTHS) + len(start) - 1
    return tokens, len(start), stops


# ---------------------------------------------------------------------- arithmetic on tables
def on_grammar(logp: Tensor) -> tuple[Tensor, Tensor]:
    """(log p given that the response is one of the list (P, N), log of that probability's value).

    A model puts a little probability on strings outside the list; the second result, (P,) between
    0 and 1, says how much it puts on those inside.
    """
    total = logp.logsumexp(-1, keepdim=True)
    return logp - total, total[:, 0].exp()


def mean(logp: Tensor, values: Tensor) -> Tensor:
    """Σ p · value over the responses of each prompt: (P, N) twice -> (P,)."""
    return (logp.exp() * values).sum(-1)


def kl(logp: Tensor, ref: Tensor) -> Tensor:
    """KL(p ‖ ref) of each prompt, in nats: (P, N) twice -> (P,). What p never says adds nothing."""
    never = logp == -torch.inf
    gap = logp.masked_fill(never, 0.0) - ref.masked_fill(never, 0.0)
    return (logp.exp() * gap).sum(-1)


def tilt(ref: Tensor, reward: Tensor, beta: float) -> Tensor:
    """log of π*(y) ∝ ref(y) exp(reward(y)/β): of all policies, the one with most reward − β·KL.

    For its KL there is no better policy, so that over all β > 0 these are the frontier.
    """
    if beta <= 0:
        raise ValueError(f"beta must be above 0, not {beta}: at 0 the best policy is a maximum")
    return (ref + reward / beta).log_softmax(-1)


def best_of_n(ref: Tensor, reward: Tensor, n: int) -> Tensor:
    """log of the policy that writes n responses and keeps the one of highest reward: (P, N).

    Exact: the best of n is no better than r with probability F(r)ⁿ, where F is the distribution of
    the reward of one. Among equals any of the written ones is kept.
    """
    if n < 1:
        raise ValueError(f"best of n needs an n of at least 1, not {n}")
    result = torch.full_like(ref, -torch.inf)
    for row, (logp, values) in enumerate(zip(ref.double(), reward, strict=True)):
        _, level = values.unique(return_inverse=True)  # equal rewards share a level, low ones first
        share = torch.zeros(int(level.max()) + 1, dtype=torch.double)
        share.index_add_(0, level, logp.exp())
        upto = share.cumsum(0).clamp(max=1.0)
        before = torch.cat((upto.new_zeros(1), upto[:-1]))
        kept = (upto**n - before**n).clamp(min=0)  # probability that the best is of this level
        result[row] = (logp + (kept / share.clamp(min=1e-300)).log()[level]).to(result.dtype)
    return result


def best_of_n_bound(n: int) -> float:
    """log n − (n − 1)/n: at least the KL of best-of-n from its reference (Beirami et al. 2024).

    Exact where no two responses have the same reward and none has a sizeable probability.
    """
    return float(torch.tensor(float(n)).log()) - (n - 1) / n
