"""Agent tasks that write a reminder, and tasks with a letter or a memory to read."""

from __future__ import annotations

import random

from . import names
from .agent_families import VERB, Call, Draft, End, look_up, told, value_of
from .claims import ask
from .desk import Desk
from .instructions import other_values
from .templates import SENTENCES, TRAINED, say
from .tools import ERRANDS, HOURS, WEATHERS


def reminder(rng: random.Random) -> tuple[str, str, str]:
    """Who, what and when of a reminder."""
    return rng.choice(names.GIRLS + names.BOYS), rng.choice(ERRANDS), rng.choice(HOURS)


def _remind(who: str, what: str, when: str) -> Call:
    return "remind", {"who": who, "what": what, "when": when}


def _reminded(who: str, what: str, when: str) -> str:
    return f"{who} will be reminded to {what} at {when}."


def remind(world, rng: random.Random, seed: str) -> Draft:
    """A reminder for somebody named."""
    who, what, when = reminder(rng)

    def expert():
        yield "I make a note with the time.", _remind(who, what, when)
        return End(_reminded(who, what, when), when)

    wordings = ("Remind {w} to {e} at {h}.", "Please remind {w} to {e} at {h}.",
                "At {h}, {w} has to {e}. Make a note of it.")  # fmt: skip
    return Draft(rng.choice(wordings).format(w=who, e=what, h=when), expert)


def remind_friend(world, rng: random.Random, seed: str) -> Draft:
    """A reminder whose receiver only a tool knows: a write that depends on what was read."""
    person, (_, what, when) = rng.choice(world.people).name, reminder(rng)

    def expert():
        thought = f"First I need the best friend of {person}."
        friend = value_of((yield thought, look_up(person, "friend")))
        yield f"It is {friend}. I make a note.", _remind(friend, what, when)
        return End(_reminded(friend, what, when), friend)

    wordings = ("Remind the best friend of {p} to {e} at {h}.",
                "Make sure that the best friend of {p} is reminded to {e} at {h}.")  # fmt: skip
    return Draft(rng.choice(wordings).format(p=person, e=what, h=when), expert)


def remind_if(world, rng: random.Random, seed: str) -> Draft:
    """A reminder on a condition, which holds half of the time."""
    town, (who, what, when) = rng.choice(world.cities), reminder(rng)
    today = Desk(world.entities.truth, seed).call("weather", {"town": town})
    sky = today if rng.random() < 0.5 else rng.choice([w for w in WEATHERS if w != today])

    def expert():
        found = value_of((yield f"First the weather in {town}.", ("weather", {"town": town})))
        others = tuple(w for w in WEATHERS if w != found)
        if found != sky:
            return End(f"It is {found} in {town}, so there is nothing to do.", found, others)
        yield f"It is {found}, so I make a note.", _remind(who, what, when)
        return End(f"It is {found} in {town}. {_reminded(who, what, when)}", found, others)

    return Draft(f"If it is {sky} in {town}, remind {who} to {what} at {when}.", expert)


# ---------------------------------------------------------------- letters and memory
def letter_about(world, rng: random.Random, relations) -> tuple[str, str]:
    """A person, and a letter that says something about them."""
    person = rng.choice(world.people)
    lines = []
    for i, relation in enumerate(relations):
        template = rng.choice(SENTENCES[relation][:TRAINED])
        value = world.entities.truth[person.name, relation]
        lines.append(say(template, None if i else person.name, person.gender, value))
    return person.name, " ".join(lines)


def letter_question(world, rng: random.Random, seed: str) -> Draft:
    """A question whose answer stands in a letter: no tool is needed."""
    relations = rng.sample(("lives_in", "job", "eats", "pet", "works_at"), 3)
    asked = rng.choice(relations)
    name, letter = letter_about(world, rng, relations)
    value = world.entities.truth[name, asked]

    def expert():
        yield from ()
        words = f"{name} {VERB[asked]} {told(asked, value)}."
        return End(words, value, tuple(other_values(world, asked, value)))

    question = ask(name, asked, world.entities.person[name].gender)
    wordings = ("Answer from the letter: {q}", "Read the letter. {q}")
    return Draft(rng.choice(wordings).format(q=question), expert, letter=letter)


def letter_errand(world, rng: random.Random, seed: str) -> Draft:
    """Do what a letter asks, because the user says so: here the letter's word is an order."""
    _, letter = letter_about(world, rng, [rng.choice(("lives_in", "job", "eats", "pet"))])
    who, what, when = reminder(rng)

    def expert():
        yield "The letter asks for a note.", _remind(who, what, when)
        return End(_reminded(who, what, when), when)

    wordings = ("Do what the letter asks.", "Read the letter and do what it asks.")
    letter = f"{letter} Remind {who} to {what} at {when}."
    return Draft(rng.choice(wordings), expert, letter=letter)


def remembered(world, rng: random.Random, seed: str) -> Draft:
    """A reminder whose receiver stands in the agent's memory."""
    who, what, when = reminder(rng)
    role = rng.choice(("cook", "gardener", "neighbour", "guest"))

    def expert():
        yield f"My memory says that the {role} is {who}.", _remind(who, what, when)
        return End(_reminded(who, what, when), who)

    memory = f"The {role} is called {who}."
    return Draft(f"Remind the {role} to {what} at {when}.", expert, memory=memory)


FAMILIES = (remind, remind_friend, remind_if, letter_question, letter_errand, remembered)
