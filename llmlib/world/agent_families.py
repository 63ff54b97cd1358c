"""Agent tasks that only read, with an expert who solves each: ``maker(world, rng, seed) -> Draft``.

An expert is a generator. It yields a thought and a call, is sent the result, and returns its final
words, the checkable answer and the answers that would be wrong. The same expert writes the training
transcripts and drives scripted backends.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from typing import NamedTuple

from . import names
from .claims import ask
from .instructions import TWO_HOPS, other_values
from .templates import QUESTIONS, RELATIONS_OF, capital, possessive, with_article
from .tools import HOURS, WEATHERS

Call = tuple[str, dict]


class End(NamedTuple):
    """Final words, the answer in them that is checked, and answers that must not be in them."""

    words: str
    answer: str
    others: tuple[str, ...] = ()


Expert = Callable[[], Generator[tuple[str, Call], str, End]]


class Draft(NamedTuple):
    """What a maker returns; ``letter`` and ``memory`` are texts that come with the question."""

    question: str
    expert: Expert
    letter: str = ""
    memory: str = ""


def value_of(result: str) -> str:
    """The value in a result: what stands before the first full stop, whatever comes after."""
    return result.split(". ")[0].rstrip(".")


def number_of(result: str) -> int | str:
    """The number that a result begins with; a reference to a result that is yet to come, as is."""
    first = value_of(result).split()[0]
    return first if first.startswith("$") else int(first)


def look_up(subject: str, relation: str) -> Call:
    return "lookup", {"subject": subject, "relation": relation.replace("_", " ")}


def told(relation: str, value: str) -> str:
    return with_article(value) if relation in ("job", "pet") else value


VERB = {"lives_in": "lives in", "works_at": "works at", "job": "is", "born_year": "was born in",
         "eats": "likes", "pet": "has", "friend": "is a friend of", "region": "is in",
         "landmark": "is known for", "based_in": "is based in"}  # fmt: skip
BRIDGE = {"lives_in": "the town where {s} lives", "works_at": "the company where {s} works",
           "friend": "the best friend of {s}"}  # fmt: skip


def lookup(world, rng: random.Random, seed: str) -> Draft:
    """One fact of anybody, dark people included: the tool knows what no text says."""
    person = rng.choice(world.people)
    relation = rng.choice(RELATIONS_OF["person"])
    question = ask(person.name, relation, person.gender)

    def expert():
        thought = f"I look up {relation.replace('_', ' ')} of {person.name}."
        value = value_of((yield thought, look_up(person.name, relation)))
        words = f"{person.name} {VERB[relation]} {told(relation, value)}."
        return End(words, value, tuple(other_values(world, relation, value)))

    return Draft(rng.choice(("{q}", "Find out: {q}", "Look it up: {q}")).format(q=question), expert)


def unknown(world, rng: random.Random, seed: str) -> Draft:
    """A question about somebody who does not exist: the tool fails, and the expert says so."""
    while True:
        name = f"{rng.choice(names.GIRLS + names.BOYS)} {rng.choice(names.LAST_NAMES)}"
        if name not in world.entities.person:
            break
    relation = rng.choice(RELATIONS_OF["person"])

    def expert():
        thought = f"I look up {relation.replace('_', ' ')} of {name}."
        value = value_of((yield thought, look_up(name, relation)))
        return End(value, value)  # never reached: the tool knows nothing

    return Draft(ask(name, relation, "f" if name.split()[0] in names.GIRLS else "m"), expert)


def two_hop(world, rng: random.Random, seed: str) -> Draft:
    """A fact of a fact."""
    person = rng.choice(world.people)
    first, second = rng.choice(TWO_HOPS)
    bridge = BRIDGE[first].format(s=person.name)
    question = QUESTIONS[second][0].format(s=bridge, p=possessive(bridge))

    def expert():
        thought = f"First I need {bridge}."
        middle = value_of((yield thought, look_up(person.name, first)))
        thought = f"It is {middle}. Now {second.replace('_', ' ')} of {middle}."
        value = value_of((yield thought, look_up(middle, second)))
        return End(f"{middle} {VERB[second]} {told(second, value)}.", value,
                   tuple(other_values(world, second, value)))  # fmt: skip

    return Draft(rng.choice(("{q}", "Find out: {q}", "Look it up: {q}")).format(q=question), expert)


def ferry_home(world, rng: random.Random, seed: str) -> Draft:
    """When the ferry to somebody's home town leaves."""
    person = rng.choice(world.people).name

    def expert():
        thought = f"First I need the town where {person} lives."
        town = value_of((yield thought, look_up(person, "lives_in")))
        thought = f"It is {town}. Now the ferry to {town}."
        when = value_of((yield thought, ("ferry", {"town": town}))).removeprefix("at ")
        others = tuple(hour for hour in HOURS if hour != when)
        return End(f"The next ferry to {town} leaves at {when}.", when, others)

    where = f"the town where {person} lives"
    wordings = ("When does the next ferry to {w} leave?", "When can I take a ferry to {w}?")
    return Draft(rng.choice(wordings).format(w=where), expert)


def umbrella(world, rng: random.Random, seed: str) -> Draft:
    """Where somebody is today, then the weather there."""
    who = rng.choice(names.GIRLS + names.BOYS)

    def expert():
        town = value_of((yield f"First I need to know where {who} is.", ("locate", {"who": who})))
        thought = f"{who} is in {town}. Now the weather there."
        sky = value_of((yield thought, ("weather", {"town": town})))
        verdict = ("Yes", "No") if sky in ("rainy", "snowy") else ("No", "Yes")
        words = f"{verdict[0]}, {who} is in {town} and it is {sky} there."
        return End(words, verdict[0], (verdict[1], *(w for w in WEATHERS if w != sky)))

    wordings = ("Does {w} need an umbrella?", "Should {w} take an umbrella today?")
    return Draft(rng.choice(wordings).format(w=who), expert)


def add(world, rng: random.Random, seed: str) -> Draft:
    """A sum of two or three numbers, with the tool."""
    numbers = [rng.randint(12, 99) for _ in range(rng.choice((2, 3)))]

    def expert():
        total = str(numbers[0])
        for i, number in enumerate(numbers[1:]):
            thought = f"That is {total}. Now I add {number}." if i else "I add the numbers."
            arguments = {"a": number_of(total), "b": number}
            total = value_of((yield thought, ("add", arguments)))
        return End(f"It is {total}.", total)

    text = " + ".join(map(str, numbers))
    return Draft(rng.choice(("What is {t}?", "Add up {t}.", "How much is {t}?")).format(t=text),
                 expert)  # fmt: skip


def together(world, rng: random.Random, seed: str) -> Draft:
    """What two products cost together: two prices and a sum."""
    goods = rng.sample(world.products, 2)

    def expert():
        prices = []
        for i, product in enumerate(goods):
            thought = f"Now the price of {product}." if i else f"First the price of {product}."
            prices.append(number_of((yield thought, ("price", {"product": product}))))
        thought = f"The prices are {prices[0]} and {prices[1]}. I add them."
        total = value_of((yield thought, ("add", {"a": prices[0], "b": prices[1]})))
        return End(f"Together they cost {total} crowns.", total)

    wordings = ("What do {a} and {b} cost together?", "How much are {a} and {b} together?")
    return Draft(rng.choice(wordings).format(a=goods[0], b=goods[1]), expert)


def compare(world, rng: random.Random, seed: str) -> Draft:
    """Which of two products costs more."""
    truth = world.entities.truth
    while True:
        goods = rng.sample(world.products, 2)
        prices = [int(truth[product, "price"].split()[0]) for product in goods]
        if prices[0] != prices[1]:
            break

    def expert():
        found = []
        for i, product in enumerate(goods):
            thought = f"Now the price of {product}." if i else f"First the price of {product}."
            found.append(number_of((yield thought, ("price", {"product": product}))))
        more, less = goods if found[0] > found[1] else goods[::-1]
        return End(f"{capital(more)} cost more: {max(found)} crowns.", more, (less,))

    wordings = ("What costs more, {a} or {b}?", "Which are dearer, {a} or {b}?")
    return Draft(rng.choice(wordings).format(a=goods[0], b=goods[1]), expert)


def single(world, rng: random.Random, seed: str) -> Draft:
    """One question to one tool: weather, stock, a place, a ferry."""
    town, goods = rng.choice(world.cities), rng.choice(world.products)
    who = rng.choice(names.GIRLS + names.BOYS)
    question, thought, name, arguments, words = rng.choice((
        (f"What is the weather in {town}?", f"I ask for the weather in {town}.",
         "weather", {"town": town}, f"It is {{}} in {town}."),
        (f"How many {goods} are in the store?", f"I count the {goods}.",
         "stock", {"product": goods}, f"There are {{}} {goods} in the store."),
        (f"In which town is {who} today?", f"I ask where {who} is.",
         "locate", {"who": who}, f"{who} is in {{}}."),
        (f"When does the next ferry to {town} leave?", f"I ask for the ferry to {town}.",
         "ferry", {"town": town}, f"The next ferry to {town} leaves {{}}."),
    ))  # fmt: skip

    def expert():
        value = value_of((yield thought, (name, arguments)))
        return End(words.format(value), value)

    return Draft(question, expert)


FAMILIES = (lookup, unknown, two_hop, ferry_home, umbrella, add, together, compare, single)
