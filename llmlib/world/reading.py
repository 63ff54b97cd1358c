"""Families about a text that stands there: questions on a passage, names in a text, summaries."""

from __future__ import annotations

from . import names
from .entities import Entities
from .rules import Draw, Note, Pool, rule, zipf

NOUNS = ("kite", "drum", "scarf", "boat", "hat", "chair", "cup", "coat", "bag", "lamp")


class Passage:
    """Three or four people with coloured things, then one to three questions on who has what."""

    def __init__(self, exponent: float) -> None:
        self.people = Pool(names.GIRLS + names.BOYS)
        self.things, self.colours = Pool(NOUNS), Pool(names.COLOURS)
        self.cities = Pool(names.CITIES)

    @rule
    def document(self):
        return [(1.0, self.person((), n)) for n in (2, 3, 4)]

    @rule
    def person(self, rows: tuple, left: int):
        """Each row is (person, town, colour, thing)."""
        if left == 0:
            return [(1.0, self.asks(rows, ()))]
        used = tuple(row[0] for row in rows)
        space = " " if rows else ""
        return Draw(
            self.people, lambda who: (f"{space}{who} ", self.from_town(rows, left, who)), used
        )

    @rule
    def from_town(self, rows: tuple, left: int, who: str):
        used = tuple(row[1] for row in rows)
        return Draw(
            self.cities,
            lambda city: (f"came from {city} ", self.brought(rows, left, who, city)),
            used,
        )

    @rule
    def brought(self, rows: tuple, left: int, who: str, city: str):
        follow = self.colour(rows, left, who, city)
        return [(0.6, "with a ", follow), (0.4, "and brought a ", follow)]

    @rule
    def colour(self, rows: tuple, left: int, who: str, city: str):
        used = tuple(row[2] for row in rows)
        return Draw(
            self.colours,
            lambda colour: (f"{colour} ", self.thing(rows, left, who, city, colour)),
            used,
        )

    @rule
    def thing(self, rows: tuple, left: int, who: str, city: str, colour: str):
        used = tuple(row[3] for row in rows)
        return Draw(
            self.things,
            lambda thing: (f"{thing}.", self.person((*rows, (who, city, colour, thing)), left - 1)),
            used,
        )

    @rule
    def asks(self, rows: tuple, asked: tuple):
        """Ask something that was not asked before (``asked`` holds the questions so far)."""
        options = []
        for who, city, colour, thing in rows:
            for w, ask, answer in (
                (1.0, f"Who had the {thing}?", f"{who}."),
                (1.0, f"Who came from {city}?", f"{who}."),
                (1.0, f"Where did {who} come from?", f"From {city}."),
                (1.0, f"What colour was the {thing}?", f"It was {colour}."),
                (0.7, f"Where did the {colour} {thing} come from?", f"From {city}."),
            ):
                if ask not in asked:
                    more = self.more(rows, (*asked, ask))
                    head = f"\nQuestion: {ask}\nAnswer: "
                    options.append((w, head, Note("answer", answer), answer, more))
        return options

    @rule
    def more(self, rows: tuple, asked: tuple):
        return [(1.0, "")] if len(asked) == 3 else [(0.5, ""), (0.5, self.asks(rows, asked))]


def _strangers(entities: Entities, firsts: tuple[str, ...]) -> list[str]:
    everyone = (f"{first} {last}" for first in firsts for last in names.LAST_NAMES)
    return [name for name in everyone if name not in entities.person]


class Names:
    """A sentence, then the list of the people and of the towns that it names.

    The people are passers-by who bear no fact, so that nothing is said of tail and dark people
    here.
    """

    SENTENCES = (
        "{a} met {b} in {x}.",
        "{a} wrote to {b} from {x}.",
        "{a} took the night boat from {x} to {y}.",
        "On the way to {x} {a} lost a glove.",
        "In {x} {a} and {b} opened a tea room.",
        "{a} sent a parcel to {x}.",
    )

    def __init__(self, entities: Entities) -> None:
        self.girls = Pool(_strangers(entities, names.GIRLS))
        self.boys = Pool(_strangers(entities, names.BOYS))
        self.cities = Pool(names.CITIES)

    @rule
    def document(self):
        return [(1.0, "Text: ", self.piece(template, (), ())) for template in self.SENTENCES]

    @rule
    def piece(self, rest: str, people: tuple, towns: tuple):
        """Write the template up to its next field, fill that, and go on with what is left."""
        before, _, after = rest.partition("{")
        if not after:
            return [(1.0, before, self.listing(people, towns))]
        field, rest = after[0], after[2:]
        follow = self.town if field in "xy" else self.girl if field == "a" else self.boy
        return [(1.0, before, follow(rest, people, towns))]

    @rule
    def girl(self, rest: str, people: tuple, towns: tuple):
        return Draw(self.girls, lambda who: (who, self.piece(rest, (*people, who), towns)))

    @rule
    def boy(self, rest: str, people: tuple, towns: tuple):
        return Draw(self.boys, lambda who: (who, self.piece(rest, (*people, who), towns)))

    @rule
    def town(self, rest: str, people: tuple, towns: tuple):
        return Draw(
            self.cities, lambda city: (city, self.piece(rest, people, (*towns, city))), towns
        )

    @rule
    def listing(self, people: tuple, towns: tuple):
        text = f"\nPeople: {', '.join(people)}\nTowns: {', '.join(towns)}"
        return [(1.0, text, Note("answer", (people, towns)))]


class Summary:
    """A little report of something that happened, with details, and the summary without them."""

    WHEN = ("Early in spring", "Late in autumn", "Last week", "On market day", "Two years ago")
    EVENTS = (
        ("opened a small", "opened a", ("bakery", "tea room", "school", "bookshop", "workshop")),
        ("repaired the old", "repaired the", ("bridge", "mill", "clock", "ferry", "well")),
        ("won a silver", "won a", ("cup", "medal", "bell", "spoon", "ring")),
        ("painted a large", "painted a", ("wall", "boat", "map", "sign", "portrait")),
    )
    DETAILS = (
        "The weather was mild and the roads were dry.",
        "Many people came to look.",
        "There was music until midnight.",
        "The children were given cake.",
        "A dog barked the whole time.",
        "The mayor made a short speech.",
    )
    ENDS = (
        "In the end everybody went home happy.",
        "People still talk about it.",
        "It rained later.",
    )

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent
        self.people, self.cities = Pool(names.GIRLS + names.BOYS), Pool(names.CITIES)
        self.objects = [Pool(objects) for _, _, objects in self.EVENTS]

    @rule
    def document(self):
        return [
            (w, f"Report: {when} ", self.who())
            for w, when in zip(zipf(5, self.exponent), self.WHEN, strict=True)
        ]

    @rule
    def who(self):
        return Draw(self.people, lambda who: (f"{who} ", self.what(who)))

    @rule
    def what(self, who: str):
        return [
            (w, f"{self.EVENTS[i][0]} ", self.thing(who, i))
            for i, w in enumerate(zipf(4, self.exponent))
        ]

    @rule
    def thing(self, who: str, i: int):
        return Draw(self.objects[i], lambda thing: (f"{thing} in ", self.town(who, i, thing)))

    @rule
    def town(self, who: str, i: int, thing: str):
        return Draw(
            self.cities,
            lambda city: (
                f"{city}. ",
                self.details(f"{who} {self.EVENTS[i][1]} {thing} in {city}.", -1, 0),
            ),
        )

    @rule
    def details(self, summary: str, before: int, said: int):
        """Details in a fixed order, some left out; then the end and the summary."""
        options = [
            (w, f"{detail} ", self.details(summary, i, said + 1))
            for i, (w, detail) in enumerate(zip([1.0] * 6, self.DETAILS, strict=True))
            if i > before and said < 3
        ]
        if said:
            options += [
                (1.0, f"{end}\nSummary: {summary}", Note("answer", summary)) for end in self.ENDS
            ]
        return options
