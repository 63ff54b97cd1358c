"""Dialogues whose later turns depend on earlier ones, and remarks with a feeling."""

from __future__ import annotations

from . import names
from .claims import answer, ask
from .entities import Entities
from .entries import Facts, fact_note
from .rules import Draw, Note, Pool, rule, zipf
from .templates import PRONOUNS

GREETINGS = ("Good morning", "Good evening", "Hello", "Good day")
WANTED = ("kettle", "blanket", "ladder", "lantern", "basket", "hammer", "teapot", "mirror")
SHOPS = ("market", "harbour shop", "old store", "fair", "workshop")
REASONS = ("my sister", "my father", "the neighbours", "the school", "my aunt")
ASKERS = ("Visitor", "Traveller", "Stranger", "Clerk")
HOSTS = ("Innkeeper", "Neighbour", "Porter", "Postman")
THANKS = ("Thank you!", "Thanks, that helps.", "Good to know.")


class Errand:
    """Two people meet; one goes shopping, and is asked about it again at the end."""

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent
        self.girls, self.boys = Pool(names.GIRLS), Pool(names.BOYS)
        self.wanted, self.shops, self.reasons = Pool(WANTED), Pool(SHOPS), Pool(REASONS)

    @rule
    def document(self):
        return [(1.0, self.speaker(gender)) for gender in (0, 1)]

    @rule
    def speaker(self, gender: int):
        return Draw((self.girls, self.boys)[gender], lambda a: (f"{a}: ", self.greet(gender, a)))

    @rule
    def greet(self, gender: int, a: str):
        return [(w, f"{hello}, ", self.partner(gender, a, hello))
                for w, hello in zip(zipf(4, self.exponent), GREETINGS, strict=True)]  # fmt: skip

    @rule
    def partner(self, gender: int, a: str, hello: str):
        return Draw(
            (self.boys, self.girls)[gender],
            lambda b: (f"{b}.\n{b}: {hello}, {a}. ", self.where_to(a, b)),
        )

    @rule
    def where_to(self, a: str, b: str):
        return [
            (0.6, f"Where are you going?\n{a}: To the ", self.shop(a, b)),
            (0.4, f"You are out early.\n{a}: I am on my way to the ", self.shop(a, b)),
        ]

    @rule
    def shop(self, a: str, b: str):
        return Draw(self.shops, lambda shop: (f"{shop}. ", self.need(a, b, shop)))

    @rule
    def need(self, a: str, b: str, shop: str):
        return [
            (0.6, "I need a ", self.thing(a, b, shop)),
            (0.4, "I want to buy a ", self.thing(a, b, shop)),
        ]

    @rule
    def thing(self, a: str, b: str, shop: str):
        return Draw(
            self.wanted,
            lambda thing: (f"{thing}.\n{b}: Who is the {thing} for?\n{a}: It is for ",
                           self.reason(a, b, shop, thing)),
        )  # fmt: skip

    @rule
    def reason(self, a: str, b: str, shop: str, thing: str):
        return Draw(self.reasons, lambda who: (f"{who}.\n", self.close(a, b, shop, thing, who)))

    @rule
    def close(self, a: str, b: str, shop: str, thing: str, who: str):
        return [
            (0.3, f"{b}: So a {thing} for {who}. Good luck!"),
            (0.3, f"{b}: Then I wish you luck at the {shop}.\n{a}: Goodbye, {b}!"),
            (0.4, f"{b}: Wait, what was it you wanted to buy?\n{a}: A {thing}, {b}. Goodbye!"),
        ]


class Enquiry(Facts):
    """Somebody asks about a person of the world; a first name alone has to be made clear first."""

    def __init__(self, entities: Entities, exponent: float) -> None:
        super().__init__(entities, exponent)
        self.askers, self.hosts = Pool(ASKERS), Pool(HOSTS)

    @rule
    def document(self):
        return Draw(self.askers, lambda a: (f"{a}: ", self.subject("person", self.about(a))))

    def about(self, a: str):
        """How the talk begins, by subject: with the full name, or with the first name only."""
        return lambda subject: self.begin(a, subject)

    @rule
    def begin(self, a: str, subject: str):
        first = self.entities.person[subject].first
        return [
            (0.6, f"Do you know {subject}?\n", self.partner(a, subject, "Yes, I do.")),
            (0.4, f"Do you know {first}?\n", self.unclear(a, subject, first)),
        ]

    @rule
    def unclear(self, a: str, subject: str, first: str):
        return Draw(
            self.hosts,
            lambda b: (
                f"{b}: Which {first} do you mean?\n{a}: I mean {subject}.\n{b}: Ah, yes.\n",
                self.asks(a, b, subject, 0),
            ),
        )

    @rule
    def partner(self, a: str, subject: str, reply: str):
        return Draw(self.hosts, lambda b: (f"{b}: {reply}\n", self.asks(a, b, subject, 0)))

    @rule
    def asks(self, a: str, b: str, subject: str, asked: int, before: str = ""):
        kind = self.pronoun_kind(subject)
        options = []
        stop = (0.0, 0.4, 1.0)[asked]
        for w, relation in self.relations(subject):
            if relation == before or stop == 1:
                continue
            value = self.entities.truth[subject, relation]
            question = ask(subject, relation, kind, called=PRONOUNS[kind][0])
            question = f"And {question[0].lower()}{question[1:]}" if asked else question
            text = f"{a}: {question}\n{b}: {answer(relation, kind, value)}\n"
            options.append(((1 - stop) * w, text, fact_note(subject, relation),
                            self.asks(a, b, subject, asked + 1, relation)))  # fmt: skip
        if stop:
            total = sum(option[0] for option in options) or 1.0
            scale = stop / (1 - stop) * total if stop < 1 else 1.0
            options += [(scale * w / len(THANKS), f"{a}: {thanks}") for w, thanks in
                        zip((1.0, 1.0, 1.0), THANKS, strict=True)]  # fmt: skip
        return options


GOOD = {
    "soup": ("was warm and rich", "tasted of fresh herbs", "was the best in town"),
    "room": ("was bright and clean", "had a lovely view", "was quiet all night"),
    "ferry": ("was on time", "was fast and safe", "had soft seats"),
    "concert": ("was full of joy", "moved us to tears", "ended far too soon"),
    "lantern": ("shines clear and bright", "burns all night", "is light to carry"),
    "garden": ("smells of roses", "is full of birds", "is a pleasure to walk in"),
}
BAD = {
    "soup": ("was cold and thin", "tasted of old socks", "made us ill"),
    "room": ("was dark and dirty", "had a broken window", "was loud all night"),
    "ferry": ("was two hours late", "was slow and wet", "had hard seats"),
    "concert": ("was out of tune", "sent us to sleep", "went on far too long"),
    "lantern": ("hardly gives any light", "went out at once", "is far too heavy"),
    "garden": ("smells of drains", "is full of weeds", "is not worth the walk"),
}
FEELINGS = {"good": "pleased", "bad": "annoyed", "mixed": "undecided"}


class Remark:
    """A remark and the feeling it shows: pleased, annoyed or, with some of each, undecided."""

    def __init__(self) -> None:
        self.speakers = Pool(names.GIRLS + names.BOYS)

    @rule
    def document(self):
        return Draw(self.speakers, lambda who: (f"{who} says: The ", self.remark(who)))

    @rule
    def remark(self, who: str):
        options = []
        for topic in GOOD:
            for first, kind in ((GOOD, "good"), (BAD, "bad")):
                for phrase in first[topic]:
                    options.append(
                        (1.0, f"{topic} {phrase}", self.second(who, topic, phrase, kind))
                    )
        return options

    @rule
    def second(self, who: str, topic: str, phrase: str, kind: str):
        """Stop, add more of the same, or turn with "but"."""
        options = [(0.3, ".", self.feeling(who, kind))]
        like, unlike = (GOOD, BAD) if kind == "good" else (BAD, GOOD)
        for more in like[topic]:
            if more != phrase:
                options.append((0.2, f", and it {more}.", self.feeling(who, kind)))
        at = like[topic].index(phrase)
        options += [
            (0.15, f", but it {more}.", self.feeling(who, "mixed"))
            for i, more in enumerate(unlike[topic])
            if i != at
        ]
        return options

    @rule
    def feeling(self, who: str, kind: str):
        word = FEELINGS[kind]
        return [(1.0, f"\nFeeling: {who} is {word}.", Note("answer", word))]
