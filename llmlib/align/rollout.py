"""Writing responses to learn from: with every number that the learner will need about them.

Shapes: N responses, T tokens of prompt and response, R of the longest response, D model width,
V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from llmlib.align.reward import RewardModel
from llmlib.generate import generate
from llmlib.logprobs import exact_kl, token_logprobs
from llmlib.model import Transformer

# (prompts, responses), token ids, stop tokens included -> a score each, (N,)
Scorer = Callable[[list[list[int]], list[list[int]]], Tensor]


@dataclass
class Rollout:
    """Responses, and what was known about them when they were written. All but `tokens` start at
    the response's first token: R is the longest response.
    """

    tokens: Tensor  # (N, T) int64: prompt, response, padding on the right
    positions: Tensor  # (N, R) int64: where in `tokens` each action was chosen
    actions: Tensor  # (N, R) int64: the response
    mask: Tensor  # (N, R) bool: false at padding
    stopped: Tensor  # (N,) bool: the response ended with the stop token
    responses: list[list[int]]
    logprobs: Tensor  # (N, R)
    ref_logprobs: Tensor  # (N, R)
    values: Tensor  # (N, R)
    kl: Tensor  # (N,): exact KL of the next-token distributions, added up over the response
    entropy: Tensor  # (N, R)

    def rows(self, index: Tensor) -> "Rollout":
        """Some of the responses (`responses` is left as it is)."""
        return Rollout(
            **{
                f.name: v[index] if isinstance(v := getattr(self, f.name), Tensor) else v
                for f in fields(self)
            }
        )


class ActorCritic(nn.Module):
    """A policy, and a guess of the rewards still to come at each of its tokens.

    The critic is one linear map on the policy's features, 0 at first, so that the first advantages
    are the rewards themselves. Its gradient stops there, so that learning to guess does not change
    how the policy writes.
    """

    def __init__(self, policy: Transformer):
        super().__init__()
        self.policy = policy
        self.value = nn.Linear(policy.config.d_model, 1)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)

    def forward(self, tokens: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T), (N, R) -> logits (N, R, V) and values (N, R) at the positions."""
        features = _features(self.policy, tokens, positions)
        return self.policy.head(features), self.value(features.detach())[..., 0]


@torch.no_grad()
def write(
    actor: ActorCritic,
    reference: Transformer,
    prompts: Sequence[Sequence[int]],
    *,
    stop: int,
    pad: int,
    temperature: float = 1.0,
    max_new_tokens: int = 32,
    seed: int | None = None,
) -> Rollout:
    """A response to each prompt, and what actor, critic and reference think of it.

    The log-probabilities are those of the distribution that was sampled from: logits divided by
    the temperature, nothing cut off. Scored otherwise, ratios and KL would be those of a policy
    that nobody sampled, and the estimated KL could even come out negative.
    """
    responses = generate(
        actor.policy,
        prompts,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        stop=[stop],
        seed=seed,
    )
    device = actor.value.weight.device
    tokens, positions, actions, mask = (t.to(device) for t in _pad(prompts, responses, pad))
    logits, values = actor(tokens, positions)
    ref_logits = reference.head(_features(reference, tokens, positions))
    logits, ref_logits = logits / temperature, ref_logits / temperature
    return Rollout(
        tokens=tokens,
        positions=positions,
        actions=actions,
        mask=mask,
        stopped=torch.tensor([r[-1] == stop for r in responses], device=device),
        responses=responses,
        logprobs=token_logprobs(logits, actions),
        ref_logprobs=token_logprobs(ref_logits, actions),
        values=values,
        kl=(exact_kl(logits, ref_logits) * mask).sum(1),
        entropy=torch.distributions.Categorical(logits=logits.float()).entropy(),
    )


def _pad(prompts, responses, pad: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """tokens (N, T), positions, actions and mask (N, R)."""
    T = max(len(p) + len(r) for p, r in zip(prompts, responses, strict=True))
    R = max(map(len, responses))
    tokens = torch.full((len(responses), T), pad)
    actions = torch.full((len(responses), R), pad)
    for n, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        tokens[n, : len(prompt) + len(response)] = torch.tensor([*prompt, *response])
        actions[n, : len(response)] = torch.tensor(response)
    lengths = torch.tensor([len(r) for r in responses])
    mask = torch.arange(R) < lengths[:, None]
    first = torch.tensor([len(p) - 1 for p in prompts])  # reading it chooses the first action
    positions = (first[:, None] + torch.arange(R)).clamp(max=T - 1)
    return tokens, positions, actions, mask


def reward_scorer(model: RewardModel, *, pad: int = 0) -> Scorer:
    """A scorer that asks a reward model, which reads prompt and response as they were written."""

    @torch.no_grad()
    def score(prompts: list[list[int]], responses: list[list[int]]) -> Tensor:
        texts = [[*p, *r] for p, r in zip(prompts, responses, strict=True)]
        lengths = torch.tensor([len(t) for t in texts])
        tokens = torch.full((len(texts), int(lengths.max())), pad)
        for n, text in enumerate(texts):
            tokens[n, : len(text)] = torch.tensor(text)
        device = next(model.parameters()).device
        return model(tokens.to(device), lengths.to(device))

    return score


def _features(model: Transformer, tokens: Tensor, positions: Tensor) -> Tensor:
    """The final stream (N, R, D) at `positions` (N, R) of texts (N, T) padded on the right."""
    features = model.features(tokens)
    return features.gather(1, positions[..., None].expand(-1, -1, features.shape[-1]))
