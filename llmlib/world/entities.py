"""Who and what is in the world, and what is true of it: entities, relations, facts, tiers."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple

from . import names
from .rules import zipf

PERSON_RELATIONS = ("lives_in", "works_at", "job", "born_year", "eats", "pet", "friend")
CITY_RELATIONS = ("region", "founded", "landmark")
COMPANY_RELATIONS = ("based_in", "makes", "founder")
PRODUCT_RELATIONS = ("price", "weight", "colour")
RELATIONS = PERSON_RELATIONS + CITY_RELATIONS + COMPANY_RELATIONS + PRODUCT_RELATIONS

TIER_SIZES = {"head": 80, "torso": 120, "tail": 60, "dark": 60}
TYPICAL_JOB = 0.8
# A torso person is this much rarer than Zipf's law alone would have it.
TORSO_FACTOR = 0.11
PEOPLE_OFFSET = 10.0


@dataclass(frozen=True)
class Person:
    """A person. ``rank`` counts from 1 (the most written about) through all four tiers."""

    name: str
    first: str
    last: str
    gender: str  # "f" or "m", for the pronouns
    tier: str  # "head", "torso", "tail" or "dark"
    rank: int


class Fact(NamedTuple):
    """``relation(subject) = value``; ``tier`` is the subject's ("head" for all but people)."""

    subject: str
    relation: str
    value: str
    tier: str


class Entities:
    """Everything that is true, drawn once from a seed.

    Attributes: ``people`` (``Person`` by rank), ``person`` (by full name), ``cities``, ``regions``,
    ``companies``, ``products``, ``truth`` (value by ``(subject, relation)``), ``usual_jobs`` (the
    three usual jobs of a region), ``values`` (all candidate values of a relation).
    """

    def __init__(self, seed: int) -> None:
        rng = random.Random(f"entities {seed}")
        self.regions, self.cities = names.REGIONS, names.CITIES
        self.companies, self.products = names.COMPANIES, names.PRODUCTS
        self.people = _people(rng)
        self.person = {p.name: p for p in self.people}
        self.usual_jobs = {
            region: names.JOBS[3 * i : 3 * i + 3] for i, region in enumerate(names.REGIONS)
        }
        self.truth: dict[tuple[str, str], str] = {}
        self._place_things(rng)
        self._place_people(rng)
        self.values = {r: tuple(sorted({v for (_, q), v in self.truth.items() if q == r}))
                       for r in RELATIONS}  # fmt: skip
        self.values["friend"] = self.values["founder"] = tuple(p.name for p in self.known)

    @property
    def known(self) -> list[Person]:
        """People the pretraining grammar writes about: head and torso, by rank."""
        return [p for p in self.people if p.tier in ("head", "torso")]

    @property
    def facts(self) -> list[Fact]:
        """Every fact, people's first."""
        return [
            Fact(s, r, v, self.person[s].tier if s in self.person else "head")
            for (s, r), v in self.truth.items()
        ]

    def kind(self, subject: str) -> str:
        """``"person"``, ``"city"``, ``"company"`` or ``"product"``; ``KeyError`` if unknown."""
        for kind, members in (
            ("person", self.person),
            ("city", self.cities),
            ("company", self.companies),
            ("product", self.products),
        ):
            if subject in members:
                return kind
        raise KeyError(f"{subject!r} is nobody and nothing in this world")

    def exposure(self, exponent: float) -> list[float]:
        """Weights of the known people by rank: Zipf's law, torso people rarer by a factor."""
        return [
            weight * (TORSO_FACTOR if person.tier == "torso" else 1.0)
            for person, weight in zip(
                self.known, zipf(len(self.known), exponent, PEOPLE_OFFSET), strict=True
            )
        ]

    def _place_things(self, rng: random.Random) -> None:
        shuffled = rng.sample(self.cities, len(self.cities))
        for i, city in enumerate(shuffled):
            self.truth[city, "region"] = self.regions[i % len(self.regions)]
        years = rng.sample(range(1200, 1700), len(self.cities))
        marks = rng.sample(names.LANDMARKS, len(self.cities))
        for city, year, mark in zip(self.cities, years, marks, strict=True):
            self.truth[city, "founded"] = str(year)
            self.truth[city, "landmark"] = mark
        goods = rng.sample(self.products, len(self.products))
        founders = rng.sample([p.name for p in self.known], len(self.companies))
        for company, good, founder in zip(self.companies, goods, founders, strict=True):
            self.truth[company, "based_in"] = rng.choice(self.cities)
            self.truth[company, "makes"] = good
            self.truth[company, "founder"] = founder
        for product in self.products:
            self.truth[product, "price"] = f"{rng.randint(2, 60)} crowns"
            self.truth[product, "weight"] = f"{rng.randint(2, 40)} pounds"
            self.truth[product, "colour"] = rng.choice(names.COLOURS)

    def _place_people(self, rng: random.Random) -> None:
        for person in self.people:
            home = rng.choice(self.cities)
            usual = self.usual_jobs[self.truth[home, "region"]]
            rare = [job for job in names.JOBS if job not in usual]
            friends = [p.name for p in self.known if p is not person]
            drawn = {
                "lives_in": home,
                "works_at": rng.choice(self.companies),
                "job": rng.choice(usual if rng.random() < TYPICAL_JOB else rare),
                "born_year": str(rng.randint(1910, 1989)),
                "eats": rng.choice(names.FOODS),
                "pet": rng.choice(names.PETS),
                "friend": rng.choice(friends),
            }
            for relation in PERSON_RELATIONS:
                self.truth[person.name, relation] = drawn[relation]


def _people(rng: random.Random) -> list[Person]:
    """320 people: every first name and every last name is borne by exactly eight of them."""
    firsts = rng.sample(names.GIRLS + names.BOYS, 40)
    lasts = rng.sample(names.LAST_NAMES, 40)
    pairs = [(firsts[i], lasts[(i + 5 * j) % 40]) for i in range(40) for j in range(8)]
    rng.shuffle(pairs)
    tiers = [tier for tier, size in TIER_SIZES.items() for _ in range(size)]
    return [
        Person(f"{first} {last}", first, last, "f" if first in names.GIRLS else "m", tier, rank)
        for rank, ((first, last), tier) in enumerate(zip(pairs, tiers, strict=True), start=1)
    ]
