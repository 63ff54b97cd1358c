"""Preferences of the simulated annotators, and prompts with verifiable answers, as rows.

Columns are TRL's: ``prompt`` with ``chosen`` and ``rejected``; or, unpaired, ``prompt``,
``completion`` and ``label``; all of them lists of messages but the label. ``meta`` says what only a
world whose truth is known can say: the exact probability ``p`` of the verdict, so that the best
accuracy any reward model can reach on the rows is ``bayes_accuracy(r["meta"]["p"] for r in rows)``.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

from . import tasks
from .annotators import ANNOTATORS, Annotator
from .gold import gold_reward
from .instructions import PERSONAS, turns
from .responses import FactPrompt, demonstrate, fact_prompts

SIZES = {"train": 6_000, "val": 1_000, "S7": 1_000}  # rows a persona
VERIFIABLE = ("fact", "two_hop", "listing", "format", "exact_words", "arithmetic")
RLVR_SIZES = {"train": 4_000, "val": 500}


def preferences(
    world, persona: str = "casual", split: str = "train", n: int | None = None, seed: int = 0
) -> Iterator[dict]:
    """Rows of two different answers to a question, ordered by a verdict of an annotator.

    The two sides are drawn from the crowd of demonstrators (`responses.crowd`). Facts are dealt
    out: eight in ten are asked about in ``train``, one each in ``val`` and ``S7``, whatever the
    persona; ``S7`` is worded as the persona words things. ``n`` defaults to `SIZES`. Raises
    ``ValueError`` for a persona or split that does not exist.
    """
    if persona not in ANNOTATORS:
        raise ValueError(f"no persona {persona!r}; there are {', '.join(ANNOTATORS)}")
    if split not in SIZES:
        raise ValueError(f"preferences have the splits {', '.join(SIZES)}, not {split!r}")
    prompts = [p for p in fact_prompts(world) if _split_of(p) == split]
    wording = PERSONAS[persona] if split == "S7" else "{q}"
    wanted = SIZES[split] if n is None else n
    rng = random.Random(f"preferences {persona} {split} {seed}")
    for row in compare(prompts, ANNOTATORS[persona], wanted, rng, wording=wording):
        row["split"] = split
        yield row


def compare(
    prompts: Sequence[FactPrompt],
    annotator: Annotator,
    n: int,
    rng: random.Random,
    *,
    wording: str = "{q}",
    draw=demonstrate,
) -> Iterator[dict]:
    """``n`` rows: a prompt, two answers from ``draw(prompt, rng)``, one verdict.

    The two sides are never the same text: a pair without a difference teaches nothing, and a loss
    that cannot fall looks like one that has not begun to.
    """
    for _ in range(n):
        prompt = rng.choice(prompts)
        a = draw(prompt, rng)
        while (b := draw(prompt, rng)).text == a.text:
            pass
        p = annotator.prefers(a.text, b.text, prompt.situation)
        if rng.random() >= p:
            a, b, p = b, a, 1 - p
        yield _row(prompt, annotator, a.text, b.text, p, wording)


def _row(prompt: FactPrompt, annotator: Annotator, a: str, b: str, p: float, wording: str) -> dict:
    situation = prompt.situation
    return {
        "prompt": turns(wording.format(q=prompt.text)),
        "chosen": [{"role": "assistant", "content": a}],
        "rejected": [{"role": "assistant", "content": b}],
        "meta": {
            "persona": annotator.name,
            "p": p,  # that the annotator prefers the chosen side
            "margin": annotator.utility(a, situation) - annotator.utility(b, situation),
            "gold_margin": gold_reward(a, situation) - gold_reward(b, situation),
            "subject": prompt.subject,
            "relation": prompt.relation,
            "kind": prompt.kind,
            "truth": situation.truth,
            "claimed": situation.claimed,
            "dark": situation.dark,
        },
    }


def _split_of(prompt: FactPrompt) -> str:
    """The split that a fact belongs to, plain or claimed, in every persona."""
    at = random.Random(f"preference {prompt.subject} {prompt.relation}").random()
    return "train" if at < 0.8 else "val" if at < 0.9 else "S7"


def unpaired(rows: Iterable[dict]) -> Iterator[dict]:
    """Each side of each row by itself: ``prompt``, ``completion``, ``label`` (was it chosen)."""
    for row in rows:
        for side in ("chosen", "rejected"):
            yield {
                "prompt": row["prompt"],
                "completion": row[side],
                "label": side == "chosen",
                "meta": row["meta"],
            }


def expected_accuracy(rows: Iterable[dict], scores: Iterable[Sequence[float]]) -> float:
    """How often a judge with these scores of (chosen, rejected) agrees with the annotator.

    In expectation over the annotator's verdicts, not only the ones that were drawn, and so with
    less noise than a count; ties count half. The most that can be reached is the Bayes accuracy.
    """
    agreed = [
        row["meta"]["p"] if a > b else 1 - row["meta"]["p"] if a < b else 0.5
        for row, (a, b) in zip(rows, scores, strict=True)
    ]
    if not agreed:
        raise ValueError("the accuracy on no rows at all is not defined")
    return sum(agreed) / len(agreed)


def rlvr(world, split: str = "train", n: int | None = None, seed: int = 0) -> Iterator[dict]:
    """Prompts whose answers a program can check: ``prompt``, ``answer``, ``family``, ``meta``.

    For reinforcement learning with verifiable rewards; `verify` is the reward. ``n`` defaults to
    `RLVR_SIZES`. Raises ``ValueError`` for other splits.
    """
    if split not in RLVR_SIZES:
        raise ValueError(f"RLVR prompts have the splits {', '.join(RLVR_SIZES)}, not {split!r}")
    wanted = RLVR_SIZES[split] if n is None else n
    for row in tasks.rows(world, wanted, seed, split, VERIFIABLE):
        yield {key: row[key] for key in ("prompt", "answer", "family", "split", "meta")}


def verify(row: dict, response: str) -> float:
    """1.0 for a right response to an RLVR row, else 0.0."""
    return float(tasks.check(row, response))
