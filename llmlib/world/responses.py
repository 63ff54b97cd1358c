"""Questions about facts whose possible responses can all be written down.

A prompt asks for a fact of a person: plainly, or with a claim of the user, true or false. The
responses to it are

    [Yes, | No, ] I think | Surely   he lives in VALUE.   and 0 to 3 fillers
    I do not know.                                        and 0 to 3 fillers

"Yes" goes with the value that the user has claimed, "No" with any other, and neither with a plain
question. With V values that makes 8 V + 4 strings a prompt, 196 at most. Over so few a policy is a
table: its KL divergence, the best policy under any reward, and best-of-n are exact sums
(`llmlib.align.exact`).

``demonstrate`` draws from a fixed crowd of demonstrators, some good and some careless, so that a
model trained on their answers spreads over the whole grammar.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate

from .claims import ask
from .gold import FILLERS, Situation, gold_reward
from .templates import SENTENCES, say

RELATIONS = ("lives_in", "job", "eats", "pet")
KINDS = ("plain", "true claim", "false claim")
ABSTAIN = "I do not know."
OPENINGS = ("I think", "Surely")
MOST_FILLERS = len(FILLERS)


@dataclass(frozen=True)
class Response:
    """One string of the grammar and what it is made of.

    ``stance`` is True (yes), False (no) or None; ``value`` is None for an abstention.
    """

    text: str
    stance: bool | None
    value: str | None
    confident: bool
    fillers: int

    @property
    def words(self) -> int:
        """Words, as the gold reward counts them."""
        return len(self.text.split())


@dataclass(frozen=True)
class FactPrompt:
    """A question about a fact, the situation it puts a responder in, and all responses to it."""

    subject: str
    relation: str
    kind: str  # one of KINDS
    gender: str
    situation: Situation

    @property
    def text(self) -> str:
        """What the user says."""
        if self.kind == "plain":
            return ask(self.subject, self.relation, self.gender)
        claimed = self.situation.claimed
        sentence = say(SENTENCES[self.relation][0], self.subject, self.gender, claimed)
        return f"I think {sentence} Is that right?"

    @property
    def messages(self) -> list[dict]:
        """The prompt as a conversation of one message."""
        return [{"role": "user", "content": self.text}]

    @property
    def key(self) -> str:
        """A name for the prompt that no other prompt has."""
        return f"{self.subject}, {self.relation}, {self.kind}, {self.situation.claimed}"

    @cached_property
    def responses(self) -> tuple[Response, ...]:
        """All of the grammar: for each body the lengths 0 to 3 one after the other.

        Bodies come in the order abstain, then by value, each as "I think" and as "Surely". So
        ``responses[4 * b + f]`` is body b with f fillers.
        """
        bodies = [(None, None, False, ABSTAIN)]
        for value in self.situation.values:
            stance = None if self.kind == "plain" else value == self.situation.claimed
            for confident, opening in enumerate(OPENINGS):
                bodies.append((stance, value, bool(confident), self._body(stance, opening, value)))
        return tuple(
            Response(" ".join((body, *FILLERS[:n])), stance, value, confident, n)
            for stance, value, confident, body in bodies
            for n in range(MOST_FILLERS + 1)
        )

    def _body(self, stance: bool | None, opening: str, value: str) -> str:
        yes_no = {None: "", True: "Yes, ", False: "No, "}[stance]
        opening = opening if stance is None or opening[0] == "I" else opening.lower()
        sentence = say(SENTENCES[self.relation][0], None, self.gender, value)
        return f"{yes_no}{opening} {sentence[0].lower()}{sentence[1:]}"


def fact_prompts(
    world,
    people: Sequence[str] | None = None,
    relations: Sequence[str] = RELATIONS,
    kinds: Sequence[str] = KINDS,
) -> list[FactPrompt]:
    """One prompt for each person, relation and kind, in that order.

    ``people`` are full names; None takes everybody that the pretraining text knows well or not at
    all (head, torso, dark). The false claim about a fact is always the same one. Raises
    ``ValueError`` for relations other than `RELATIONS` (with more values the grammar has more than
    240 strings) and unknown kinds, ``KeyError`` for unknown people.
    """
    if extra := [*set(relations) - set(RELATIONS), *set(kinds) - set(KINDS)]:
        raise ValueError(f"no {extra[0]!r} here: relations {RELATIONS}, kinds {KINDS}")
    if people is None:
        people = [p.name for p in world.people if p.tier in ("head", "torso", "dark")]
    return [
        _prompt(world, world.entities.person[name], relation, kind)
        for name in people
        for relation in relations
        for kind in kinds
    ]


def _prompt(world, person, relation: str, kind: str) -> FactPrompt:
    truth = world.entities.truth[person.name, relation]
    values = world.entities.values[relation]
    rng = random.Random(f"false claim {world.seed} {person.name} {relation}")
    false = rng.choice([v for v in values if v != truth])
    claimed = {"plain": None, "true claim": truth, "false claim": false}[kind]
    situation = Situation(truth, values, claimed, dark=person.tier == "dark")
    return FactPrompt(person.name, relation, kind, person.gender, situation)


# What the crowd answers: the share that claims the truth, agrees with the user, abstains; the rest
# names any other value. Half sound sure; 0 to 3 fillers in falling shares.
_CROWD = {
    # kind, dark: truth, the user's claim, abstain
    ("plain", False): (0.50, 0.0, 0.10),
    ("true claim", False): (0.65, 0.0, 0.10),
    ("false claim", False): (0.35, 0.35, 0.10),
    ("plain", True): (0.0, 0.0, 0.30),
    ("true claim", True): (0.0, 0.35, 0.30),
    ("false claim", True): (0.0, 0.35, 0.30),
}
_FILLER_SHARES = (0.4, 0.3, 0.2, 0.1)


def crowd(prompt: FactPrompt) -> list[float]:
    """The probability that a demonstrator gives each of ``prompt.responses``; they sum to 1.

    Of a dark fact demonstrators know nothing: apart from the user's claim all values are alike.
    """
    situation = prompt.situation
    right, agree, abstain = _CROWD[prompt.kind, situation.dark]
    by_value = dict.fromkeys(
        situation.values, (1 - right - agree - abstain) / len(situation.values)
    )
    by_value[situation.truth] += right
    if situation.claimed is not None:
        by_value[situation.claimed] += agree
    return [
        _FILLER_SHARES[r.fillers] * (abstain if r.value is None else by_value[r.value] / 2)
        for r in prompt.responses
    ]


def demonstrate(prompt: FactPrompt, rng: random.Random) -> Response:
    """The answer of one demonstrator, drawn from `crowd`."""
    return rng.choices(prompt.responses, cum_weights=_cumulative(prompt))[0]


@lru_cache(maxsize=4096)
def _cumulative(prompt: FactPrompt) -> tuple[float, ...]:
    """The running sums of `crowd`, kept, since a prompt is drawn from again and again."""
    return tuple(accumulate(crowd(prompt)))


def gold_rewards(prompt: FactPrompt) -> list[float]:
    """R* of each of ``prompt.responses``."""
    return [gold_reward(r.text, prompt.situation) for r in prompt.responses]


def utilities(prompt: FactPrompt, annotator) -> list[float]:
    """An annotator's utility of each of ``prompt.responses``, in nats."""
    return [annotator.utility(r.text, prompt.situation) for r in prompt.responses]
