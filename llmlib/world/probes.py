"""Questions that measure what a model knows of the world, with every possible answer listed."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .entities import RELATIONS, TIER_SIZES, Entities
from .templates import SENTENCES, TRAINED, say, with_article

_MARK = "\x00"


@dataclass(frozen=True)
class Probe:
    """A text to go on with and the ways it may go on.

    A model answers by the candidate to which it gives the highest probability after ``prompt``.
    Candidates start with a space and stop before the full stop: ``prompt + candidate + "."`` is a
    sentence. ``answer`` is the true one of them.
    """

    prompt: str
    answer: str
    candidates: tuple[str, ...]
    tier: str
    relation: str
    subject: str


def sentence_starts(relation: str, *, held_out: bool) -> list[tuple[str, bool]]:
    """Templates that end in the value: ``(template, whether the value takes an article)``."""
    templates = SENTENCES[relation][TRAINED:] if held_out else SENTENCES[relation][:TRAINED]
    return [(t, t.endswith("{a}.")) for t in templates if t.endswith(("{v}.", "{a}."))]


def fact_probes(
    entities: Entities,
    relation: str | None = None,
    tier: str | None = None,
    *,
    held_out: bool = False,
    seed: int = 0,
) -> list[Probe]:
    """One probe for each fact of the relation and tier (``None``: all).

    ``held_out=True`` asks in the templates that the pretraining text never uses (split S2).
    Raises ``ValueError`` for an unknown relation or tier.
    """
    if relation is not None and relation not in RELATIONS:
        raise ValueError(f"no relation {relation!r}; there are {', '.join(RELATIONS)}")
    if tier is not None and tier not in TIER_SIZES:
        raise ValueError(f"no tier {tier!r}; there are {', '.join(TIER_SIZES)}")
    rng = random.Random(f"probes {seed}")
    probes = []
    for fact in entities.facts:
        if relation not in (None, fact.relation) or tier not in (None, fact.tier):
            continue
        template, article = rng.choice(sentence_starts(fact.relation, held_out=held_out))
        person = entities.person.get(fact.subject)
        kind = person.gender if person else entities.kind(fact.subject)
        prompt = say(template, fact.subject, kind, _MARK, _MARK).split(" " + _MARK)[0]
        values = [v for v in entities.values[fact.relation] if v != fact.subject]
        options = {v: " " + (with_article(v) if article else v) for v in values}
        probes.append(
            Probe(prompt, options[fact.value], tuple(options.values()), fact.tier, fact.relation,
                  fact.subject)
        )  # fmt: skip
    return probes


def inverse_probes(entities: Entities) -> list[Probe]:
    """The inverse direction of two relations (split S8): the text has only ever said it forwards.

    ``founder``: from the person to the company; ``landmark``: from the sight to the town.
    """
    starts = {"founder": "The company founded by {v} is", "landmark": "The town known for {v} is"}
    members = {"founder": entities.companies, "landmark": entities.cities}
    return [
        Probe(starts[r].format(v=entities.truth[s, r]), f" {s}", tuple(f" {m}" for m in members[r]),
              "head", r, s)
        for r in starts
        for s in members[r]
    ]  # fmt: skip
