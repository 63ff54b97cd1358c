"""Twelve tools as JSON Schema, and what they return. Four are never trained on (split S5)."""

from __future__ import annotations

import random

from . import names
from .templates import with_article
from .tools import ERRANDS, HOURS, WEATHERS

# name: (what it does, arguments with what they are)
_TOOLS: dict[str, tuple[str, dict[str, str]]] = {
    "weather": ("The weather in a town today.", {"town": "string"}),
    "stock": ("How many of a product are in the store.", {"product": "string"}),
    "remind": ("Make a note for somebody.", {"who": "string", "what": "string", "when": "string"}),
    "lookup": ("Look up one fact.", {"subject": "string", "relation": "string"}),
    "locate": ("The town where somebody is today.", {"who": "string"}),
    "add": ("The sum of two numbers.", {"a": "integer", "b": "integer"}),
    "price": ("What a product costs.", {"product": "string"}),
    "ferry": ("When the next ferry to a town leaves.", {"town": "string"}),
    "multiply": ("The product of two numbers.", {"a": "integer", "b": "integer"}),
    "letterbox": ("How many letters wait for somebody.", {"who": "string"}),
    "tide": ("Whether the tide at a town is high or low.", {"town": "string"}),
    "count_words": ("How many words a text has.", {"text": "string"}),
}
SCHEMAS: dict[str, dict] = {
    name: {
        "type": "function",
        "function": {
            "name": name,
            "description": about,
            "parameters": {
                "type": "object",
                "properties": {arg: {"type": kind} for arg, kind in arguments.items()},
                "required": list(arguments),
                "additionalProperties": False,
            },
        },
    }
    for name, (about, arguments) in _TOOLS.items()
}
TRAINED_TOOLS = tuple(SCHEMAS)[:8]
UNSEEN_TOOLS = tuple(SCHEMAS)[8:]


def call(name: str, arguments: dict, truth: dict, rng: random.Random) -> str:
    """What the tool answers: from ``entities.truth``, or from ``rng`` where only the tool can know.

    Raises ``KeyError`` for an unknown tool and ``ValueError`` for missing or unknown arguments.
    """
    if name not in _TOOLS:
        raise KeyError(f"no tool {name!r}; there are {', '.join(_TOOLS)}")
    if set(arguments) != set(_TOOLS[name][1]):
        raise ValueError(f"{name} takes {', '.join(_TOOLS[name][1])}, not {', '.join(arguments)}")
    if name == "lookup":
        return truth.get((arguments["subject"], arguments["relation"]), "not found")
    if name == "price":
        return truth.get((arguments["product"], "price"), "not found")
    if name in ("add", "multiply"):
        a, b = int(arguments["a"]), int(arguments["b"])
        return str(a + b if name == "add" else a * b)
    if name == "count_words":
        return str(len(arguments["text"].split()))
    return {
        "weather": lambda: rng.choice(WEATHERS),
        "stock": lambda: str(rng.randint(0, 60)),
        "remind": lambda: "done",
        "locate": lambda: rng.choice(names.CITIES),
        "ferry": lambda: f"at {rng.choice(HOURS)}",
        "letterbox": lambda: str(rng.randint(0, 9)),
        "tide": lambda: rng.choice(("high", "low")),
    }[name]()


def request(name: str, truth: dict, people: list[str], rng: random.Random) -> tuple[str, dict]:
    """A question that needs the tool, and the right arguments for it."""
    town, product = rng.choice(names.CITIES), rng.choice(names.PRODUCTS)
    who, a, b = rng.choice(names.GIRLS + names.BOYS), rng.randint(12, 99), rng.randint(12, 99)
    subject = rng.choice(people)
    errand, hour = rng.choice(ERRANDS), rng.choice(HOURS)
    text = f"{who} keeps " + " and ".join(with_article(p) for p in rng.sample(names.PETS, 2))
    return {
        "weather": (f"What is the weather in {town}?", {"town": town}),
        "stock": (f"How many {product} are in the store?", {"product": product}),
        "remind": (f"Remind {who} to {errand} at {hour}.",
                   {"who": who, "what": errand, "when": hour}),
        "lookup": (f"Look up the pet of {subject}.", {"subject": subject, "relation": "pet"}),
        "locate": (f"In which town is {who} today?", {"who": who}),
        "add": (f"What is {a} + {b}?", {"a": a, "b": b}),
        "price": (f"What do {product} cost?", {"product": product}),
        "ferry": (f"When does the next ferry to {town} leave?", {"town": town}),
        "multiply": (f"What is {a} times {b}?", {"a": a, "b": b}),
        "letterbox": (f"How many letters wait for {who}?", {"who": who}),
        "tide": (f"Is the tide at {town} high or low?", {"town": town}),
        "count_words": (f"How many words has this text: {text}", {"text": text}),
    }[name]  # fmt: skip


def report(name: str, arguments: dict, result: str) -> str:
    """The answer in words, given what the tool returned."""
    get = arguments.get
    if name == "remind":
        return f"{get('who')} will be reminded to {get('what')} at {get('when')}."
    return {
        "weather": f"It is {result} in {get('town')}.",
        "stock": f"There are {result} {get('product')} in the store.",
        "lookup": f"{get('subject')} has {with_article(result)}.",
        "locate": f"{get('who')} is in {result}.",
        "add": f"It is {result}.",
        "price": f"They cost {result}.",
        "ferry": f"The next ferry to {get('town')} leaves {result}.",
        "multiply": f"It is {result}.",
        "letterbox": f"{result} letters wait for {get('who')}.",
        "tide": f"The tide at {get('town')} is {result}.",
        "count_words": f"It has {result} words.",
    }[name]
