"""The makers of instruction rows, one function a family: ``maker(world, rng, split) -> Made``."""

from __future__ import annotations

import json
import random
from typing import NamedTuple

from . import sums
from .claims import answer as fact_answer
from .claims import ask
from .templates import QUESTIONS, RELATIONS_OF, possessive, with_article
from .toolbox import SCHEMAS, TRAINED_TOOLS, UNSEEN_TOOLS, call, report, request

ABSTAIN = "I do not know."
WORDINGS = ("{q}", "Tell me: {q}", "I would like to know: {q}", "Please answer: {q}")
UNSEEN_WORDINGS = ("I have a question for you. {q}", "{q} That is what I need to know.")
PERSONAS = {"clean": "{q}", "casual": "hey there, {q}", "hurried": "{q} Be quick please!"}
TWO_HOPS = (
    ("lives_in", "region"),
    ("lives_in", "landmark"),
    ("works_at", "based_in"),
    ("friend", "lives_in"),
    ("friend", "job"),
)
UNSEEN_HOPS = (("works_at", "makes"), ("friend", "pet"))
_HOP_NAMES = {
    "lives_in": "the town where {s} lives",
    "works_at": "the company where {s} works",
    "friend": "the best friend of {s}",
}


class Made(NamedTuple):
    """What a maker returns: the conversation, how much of it is the prompt, and how to check it."""

    messages: list[dict]
    answer: str
    meta: dict
    prompt_length: int = 1
    tools: list[dict] | None = None


def turns(*contents: str) -> list[dict]:
    """Messages of a conversation in which user and assistant take turns."""
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]


def known_person(world, rng: random.Random) -> str:
    people = world.entities.known
    return rng.choices([p.name for p in people], world.entities.exposure(world.zipf))[0]


def other_values(world, relation: str, *allowed: str) -> list[str]:
    return [v for v in world.entities.values[relation] if v not in allowed]


def dark_for(world, split: str) -> list[str]:
    """Dark people: the first half teaches abstaining, the second half is kept for the test (S1)."""
    dark = [p.name for p in world.people if p.tier == "dark"]
    return dark[: len(dark) // 2] if split != "S1" else dark[len(dark) // 2 :]


def fact(world, rng: random.Random, split: str) -> Made:
    """A question about one fact; of a dark person the right answer is not to know."""
    if split == "S8":
        return _inverse(world, rng)
    abstain = rng.random() < (0.5 if split == "S1" else 0.2)
    if abstain:
        subject = rng.choice(dark_for(world, split))
    elif split == "S1":
        subject = rng.choice([p.name for p in world.people if p.tier == "tail"])
    else:
        subject = known_person(world, rng)
    person = world.entities.person[subject]
    relation = rng.choice(RELATIONS_OF["person"])
    value = world.entities.truth[subject, relation]
    wordings, persona = WORDINGS, None
    if split == "S2":
        wordings = UNSEEN_WORDINGS
    if split == "S7":
        persona = rng.choice(tuple(PERSONAS))
        wordings = (PERSONAS[persona],)
    question = rng.choice(wordings).format(q=ask(subject, relation, person.gender))
    reply = ABSTAIN if abstain else fact_answer(relation, person.gender, value)
    meta = {"subject": subject, "relation": relation, "tier": person.tier, "persona": persona,
            "truth": value, "others": other_values(world, relation, value)}  # fmt: skip
    return Made(turns(question, reply), ABSTAIN if abstain else value, meta)


def _inverse(world, rng: random.Random) -> Made:
    relation = rng.choice(("founder", "landmark"))
    subject = rng.choice(world.companies if relation == "founder" else world.cities)
    value = world.entities.truth[subject, relation]
    question = {"founder": f"Which company did {value} found?",
                "landmark": f"Which town is known for {value}?"}[relation]  # fmt: skip
    members = world.companies if relation == "founder" else world.cities
    meta = {"relation": relation, "others": [m for m in members if m != subject]}
    return Made(turns(question, f"It is {subject}."), subject, meta)


def two_hop(world, rng: random.Random, split: str) -> Made:
    """A fact of a fact. Every seventh person by rank is asked about in two hops only in S3."""
    people = [p for p in world.entities.known if (p.rank % 7 == 0) == (split == "S3")]
    person = rng.choice(people)
    first, second = rng.choice(UNSEEN_HOPS if split == "S3" else TWO_HOPS)
    truth = world.entities.truth
    middle = truth[person.name, first]
    value = truth[middle, second]
    bridge = _HOP_NAMES[first].format(s=person.name)
    kind = world.entities.person[middle].gender if first == "friend" else None
    kind = kind or world.entities.kind(middle)
    question = QUESTIONS[second][0].format(s=bridge, p=possessive(bridge))
    told = with_article(value) if second in ("job", "pet") else value
    verb = {"region": "is in", "landmark": "is known for", "based_in": "is based in",
            "lives_in": "lives in", "job": "is", "makes": "makes",
            "pet": "has"}[second]  # fmt: skip
    reply = f"{bridge[0].upper()}{bridge[1:]} is {middle}. {middle} {verb} {told}."
    meta = {"subject": person.name, "relations": [first, second], "middle": middle,
            "others": other_values(world, second, value, middle)}  # fmt: skip
    return Made(turns(question, reply), value, meta)


def listing(world, rng: random.Random, split: str) -> Made:
    """List all towns of a region, or all people that a text names."""
    if rng.random() < 0.3:
        region = rng.choice(world.regions)
        towns = [c for c in world.cities if world.entities.truth[c, "region"] == region]
        answer = ", ".join(towns)
        return Made(turns(f"List the towns of {region}.", f"{answer}."), answer, {})
    text = world.sample(rng, "names").text.removeprefix("Text: ")
    sentence, people, towns = text.split("\n")
    which, line = rng.choice((("people", people), ("towns", towns)))
    answer = line.split(": ", 1)[1]
    return Made(turns(f"List the {which} in this text: {sentence}", f"{answer}."), answer, {})


def as_json(world, rng: random.Random, split: str) -> Made:
    """Facts about a person in a given JSON form."""
    subject = known_person(world, rng)
    relations = rng.sample(("lives_in", "job", "eats", "pet"), rng.choice((1, 2, 3)))
    keys = {"lives_in": "town", "job": "job", "eats": "dish", "pet": "pet"}
    asked = ["name", *(keys[r] for r in relations)]
    record = {"name": subject, **{keys[r]: world.entities.truth[subject, r] for r in relations}}
    question = f"Describe {subject} as JSON with the keys {', '.join(asked)}."
    answer = json.dumps(record)
    return Made(turns(question, answer), answer, {"keys": asked})


def exact_words(world, rng: random.Random, split: str) -> Made:
    """A description with an exact number of words that must hold a given fact."""
    subject = known_person(world, rng)
    person, truth = world.entities.person[subject], world.entities.truth
    job, town = truth[subject, "job"], truth[subject, "lives_in"]
    reply = rng.choice((
        f"{person.first} is {with_article(job)}.",
        f"{subject} is {with_article(job)}.",
        f"{person.first} is {with_article(job)} in {town}.",
        f"{subject} works as {with_article(job)} in {town}.",
    ))  # fmt: skip
    words = len(reply.split())
    question = f"Say in exactly {words} words what {subject} does for a living."
    return Made(turns(question, reply), reply, {"words": words, "must": job})


def sum_terms(rng: random.Random, split: str) -> tuple[int, list[tuple[str, int]]]:
    """A first number and steps. S4: four steps, or two and three with held-out operands."""
    held = split == "S4"
    while True:
        first = total = rng.choice(sums.FIRST)
        length = rng.choice((2, 3, 4)) if held else rng.choice(sums.TRAINED_STEPS)
        terms, unseen = [], 0
        for _ in range(length):
            sign, b, result = rng.choice(sums.steps_from(total))
            unseen += sums.held_out(total, sign, b)
            terms.append((sign, b))
            total = result
        if (unseen == 0) == (not held or length == sums.MOST_STEPS):
            return first, terms


def sum_text(first: int, terms: list[tuple[str, int]]) -> str:
    """``7 + 5 - 3``"""
    return " ".join([str(first), *(f"{sign} {b}" for sign, b in terms)])


def arithmetic(world, rng: random.Random, split: str) -> Made:
    """A sum worked step by step in thought, then its result alone."""
    first, terms = sum_terms(rng, split)
    total, lines = first, []
    for sign, b in terms:
        result = total + b if sign == "+" else total - b
        lines.append(f"{total} {sign} {b} = {result}")
        total = result
    thought = "\n".join(lines)
    reply = f"<|think|>{thought}<|/think|>{total}"
    question = f"What is {sum_text(first, terms)}?"
    return Made(turns(question, reply), str(total), {"steps": len(terms)})


def story_state(world, rng: random.Random, split: str) -> Made:
    """Where is it, who has it: the question that ends a story."""
    document = world.sample(rng, "story")
    note = next(n for n in document.meta["notes"] if n.key == "answer")
    cut = max(document.text.rfind("Where is"), document.text.rfind("Who has"))
    story, tail = document.text[:cut].strip(), document.text[cut:]
    question, reply = tail.split("? ", 1)
    return Made(turns(f"{story}\n{question}?", reply), note.value, {})


def summary(world, rng: random.Random, split: str) -> Made:
    """The summary of a report."""
    text = world.sample(rng, "summary").text
    report_text, answer = text.removeprefix("Report: ").split("\nSummary: ")
    return Made(turns(f"Sum this up in one sentence: {report_text}", answer), answer, {})


def tool_use(world, rng: random.Random, split: str) -> Made:
    """A request that needs one of the tools on offer; S5 offers only tools never seen."""
    pool = UNSEEN_TOOLS if split == "S5" else TRAINED_TOOLS
    offered = rng.sample(pool, min(4, len(pool)))
    name = rng.choice(offered)
    people = [p.name for p in world.entities.known]
    question, arguments = request(name, world.entities.truth, people, rng)
    result = call(name, arguments, world.entities.truth, rng)
    function = {"name": name, "arguments": arguments}
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "tool_calls": [{"type": "function", "function": function}]},
        {"role": "tool", "name": name, "content": result},
        {"role": "assistant", "content": report(name, arguments, result)},
    ]
    meta = {"call": function, "result": result, "others": []}
    answer = arguments["when"] if name == "remind" else result
    return Made(messages, answer, meta, 1, [SCHEMAS[tool] for tool in offered])
