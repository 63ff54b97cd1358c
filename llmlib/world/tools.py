"""Tasks done with tools, as plain text: a plan, a call, its result, and an answer that uses it."""

from __future__ import annotations

from . import names
from .claims import ask
from .entities import Entities
from .entries import Facts, fact_note
from .rules import Draw, Pool, rule
from .templates import capital

WEATHERS = ("sunny", "rainy", "windy", "foggy", "snowy", "cloudy")
ERRANDS = (
    "feed the goose",
    "buy bread",
    "mend the gate",
    "water the plums",
    "post the letter",
    "sweep the yard",
)
HOURS = tuple(f"{hour} o'clock" for hour in ("six", "seven", "eight", "nine", "ten", "eleven"))


class ToolUse(Facts):
    """Tools whose results nobody can know beforehand, and one that looks up facts."""

    def __init__(self, entities: Entities, exponent: float) -> None:
        super().__init__(entities, exponent)
        self.towns, self.weathers = Pool(names.CITIES), Pool(WEATHERS)
        self.goods, self.people = Pool(names.PRODUCTS), Pool(names.GIRLS + names.BOYS)
        self.errands, self.hours = Pool(ERRANDS), Pool(HOURS)

    @rule
    def document(self):
        return [(1.0, self.tasks(1))]

    @rule
    def tasks(self, number: int):
        """One task after the other, up to three."""
        return [(1.0, self.task(), self.another(number))]

    @rule
    def another(self, number: int):
        if number == 3:
            return [(1.0, "")]
        return [(0.6, ""), (0.4, "\n", self.tasks(number + 1))]

    @rule
    def task(self):
        return [
            (1.0, "Task: What is the weather in ", self.weather()),
            (1.0, "Task: How many ", self.stock()),
            (1.0, "Task: Remind ", self.reminder()),
            (1.5, "Task: ", self.subject("person", self.lookup)),
            (0.8, "Task: ", self.subject("company", self.lookup)),
            (0.8, "Task: ", self.two_steps()),
        ]

    @rule
    def weather(self):
        return Draw(
            self.towns,
            lambda town: (f"{town}?\nPlan: ask the weather tool.\nCall: weather({town})\nResult: ",
                          self.forecast(town)),
        )  # fmt: skip

    @rule
    def forecast(self, town: str):
        return Draw(self.weathers, lambda sky: (f"{sky}\nAnswer: It is {sky} in {town}.",))

    @rule
    def stock(self):
        return Draw(
            self.goods,
            lambda goods: (
                f"{goods} are in the store?\nPlan: count the stock.\n",
                f"Call: stock({goods})\nResult: ",
                self.count(goods),
            ),
        )

    @rule
    def count(self, goods: str):
        full = [(1.0, f"{n}\nAnswer: There are {n} {goods} in the store.") for n in range(2, 60)]
        return [*full, (6.0, f"0\nAnswer: There are no {goods} in the store.")]

    @rule
    def reminder(self):
        return Draw(self.people, lambda who: (f"{who} to ", self.errand(who)))

    @rule
    def errand(self, who: str):
        return Draw(self.errands, lambda errand: (f"{errand} at ", self.at(who, errand)))

    @rule
    def at(self, who: str, errand: str):
        call = f"\nPlan: make a note with the time.\nCall: remind({who}, {errand}, "
        done = f"{who} will be reminded to {errand} at "
        return Draw(
            self.hours,
            lambda hour: (f"{hour}.{call}{hour})\nResult: done\nAnswer: {done}{hour}.",),
        )

    @rule
    def lookup(self, subject: str):
        options = []
        for w, relation in self.relations(subject):
            value = self.entities.truth[subject, relation]
            text = (
                f"{ask(subject, relation, self.pronoun_kind(subject))}\nPlan: look it up.\n"
                f"Call: lookup({subject}, {relation.replace('_', ' ')})\n"
                f"Result: {value}\nAnswer: {capital(value)}."
            )
            options.append((w, text, fact_note(subject, relation)))
        return options

    @rule
    def two_steps(self):
        """Find out where somebody is today (only the tool knows), then the weather there."""
        return Draw(
            self.people,
            lambda who: (
                f"Does {who} need an umbrella?\nPlan: find out where {who} is, then ask for ",
                f"the weather there.\nCall: locate({who})\nResult: ",
                self.place(who),
            ),
        )

    @rule
    def place(self, who: str):
        return Draw(
            self.towns,
            lambda town: (f"{town}\nCall: weather({town})\nResult: ", self.umbrella(who, town)),
        )

    @rule
    def umbrella(self, who: str, town: str):
        return [
            (1.0, f"{sky}\nAnswer: {'Yes' if sky in ('rainy', 'snowy') else 'No'}, "
                  f"{who} is in {town} and it is {sky} there.")
            for sky in WEATHERS
        ]  # fmt: skip
