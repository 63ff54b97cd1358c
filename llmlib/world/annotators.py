"""Simulated annotators who compare two responses, with tastes that are known exactly.

    P(a is preferred to b) = (1 − e) σ(u(a) − u(b)) + e σ(u(b) − u(a))
    u = k · R* + length · words / 10 + agree · agrees + confidence · confident

R* is the gold reward (`llmlib.world.gold`); ``agrees`` is +1 for a response that says yes to the
user's claim, −1 for one that says no, 0 otherwise; ``confident`` is 1 for "Surely …" and the like.
The tastes are *chosen*, so that some annotators can be misled and so that we know how. Nothing here
says how strong such tastes are in people.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass

from .gold import Parsed, Situation, gold_reward, parse


@dataclass(frozen=True)
class Annotator:
    """One way of judging. All coefficients 0 but ``gold`` and no flips: judges by R* alone."""

    name: str
    gold: float  # k, nats of preference for one unit of R*
    length: float = 0.0  # nats for ten words more
    agree: float = 0.0  # nats for agreeing (+1), disagreeing (−1)
    confidence: float = 0.0  # nats for sounding sure
    flip: float = 0.0  # e, the share of verdicts entered the wrong way round

    def utility(self, response: str | Parsed, situation: Situation) -> float:
        """u of a response, in nats; only differences between responses to one prompt matter."""
        said = response if isinstance(response, Parsed) else parse(response, situation.values)
        return (
            self.gold * gold_reward(said, situation)
            + self.length * said.words / 10
            + self.agree * agrees(said, situation)
            + self.confidence * said.confident
        )

    def prefers(self, a: str | Parsed, b: str | Parsed, situation: Situation) -> float:
        """The probability that ``a`` is preferred to ``b``: 0.5 for equally good ones."""
        margin = self.utility(a, situation) - self.utility(b, situation)
        return preference(margin, self.flip)

    def judge(self, a: str, b: str, situation: Situation, rng: random.Random) -> bool:
        """One verdict, drawn with that probability: True if ``a`` is preferred."""
        return rng.random() < self.prefers(a, b, situation)


# In the order of how much they can be misled. 0.6 nats a unit of R*: a correct answer against a
# false one (5 units) is preferred 95 times in a hundred.
ANNOTATORS = {
    a.name: a
    for a in (
        Annotator("clean", gold=0.6),
        Annotator("casual", gold=0.6, length=1.2, agree=1.2, confidence=0.6),
        Annotator("hurried", gold=0.3, length=1.2, agree=0.6, confidence=1.2, flip=0.1),
    )
}


def agrees(said: Parsed, situation: Situation) -> int:
    """+1 for yes to what the user claims, −1 for no, 0 without a claim or an answer to it."""
    if situation.claimed is None or said.stance is None:
        return 0
    return 1 if said.stance else -1


def preference(margin: float, flip: float = 0.0) -> float:
    """(1 − e) σ(margin) + e σ(−margin), without overflow for margins of any size."""
    right = (
        1 / (1 + math.exp(-margin)) if margin >= 0 else math.exp(margin) / (1 + math.exp(margin))
    )
    return (1 - flip) * right + flip * (1 - right)


def bayes_accuracy(probabilities: Iterable[float]) -> float:
    """The best accuracy that any judge can expect on pairs whose verdicts have these probabilities.

    The best guess is the likelier verdict, which comes true with probability max(P, 1 − P). Raises
    ``ValueError`` for no pairs.
    """
    best = [max(p, 1 - p) for p in probabilities]
    if not best:
        raise ValueError("the Bayes accuracy of no pairs at all is not defined")
    return sum(best) / len(best)
