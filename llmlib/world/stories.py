"""Stories in which things change hands and places, with the state known after every sentence."""

from __future__ import annotations

from . import names
from .rules import Draw, Note, Pool, rule, zipf

SETTINGS = (
    ("kitchen", "garden", "cellar", "attic"),
    ("barn", "orchard", "stable", "yard"),
    ("market", "boathouse", "tavern", "lighthouse"),
    ("library", "hall", "workshop", "playground"),
)
OPENINGS = ("One morning", "One evening", "Early one day", "On a rainy day", "Late in spring")
WEATHER = (
    "The wind was rising.",
    "It began to rain.",
    "A bell rang far away.",
    "The sun came out.",
    "Somebody was singing outside.",
    "A cat slept in the doorway.",
)
HERO, FRIEND = 0, 1


class Story:
    """Two people and one or two things in a setting of four places.

    The state is ``(places, where)``: ``places`` holds the place (0-3) of the hero and of the
    friend, ``where`` says for each thing a place (0-3) or the person who carries it (4 hero, 5
    friend). Each sentence carries a note ``"state"``; the story ends with a question that the
    state answers.
    """

    LENGTHS = ((3, 1.0), (4, 2.0), (5, 2.0), (6, 2.0), (7, 1.0))

    def __init__(self, exponent: float, things: int = 2) -> None:
        self.girls = Pool(names.GIRLS, zipf(20, exponent))
        self.boys = Pool(names.BOYS, zipf(20, exponent))
        self.pools = (
            Pool(names.THINGS, zipf(16, exponent)),
            Pool(names.TREASURES, zipf(16, exponent)),
        )
        self.settings = Pool(SETTINGS)
        self.place_weights, self.weather_weights = zipf(4, exponent), zipf(6, exponent)
        self.exponent = exponent
        self.max_things = things

    @rule
    def document(self):
        return [
            (s, f"{start}, ", self.hero(gender))
            for s, start in zip(zipf(5, self.exponent), OPENINGS, strict=True)
            for gender in "fm"
        ]

    @rule
    def hero(self, gender: str):
        pool = self.girls if gender == "f" else self.boys
        return Draw(pool, lambda hero: (f"{hero} was in the ", self.setting(gender, hero)))

    @rule
    def setting(self, gender: str, hero: str):
        return Draw(self.settings, lambda places: (self.hero_place(gender, places, hero),))

    @rule
    def hero_place(self, gender: str, places: tuple, hero: str):
        return [
            (w, f"{places[i]} and ", self.friend(gender, places, hero, i))
            for i, w in enumerate(self.place_weights)
        ]

    @rule
    def friend(self, gender: str, places: tuple, hero: str, at: int):
        pool = self.boys if gender == "f" else self.girls
        return Draw(
            pool,
            lambda friend: (
                f"{friend} was ",
                self.friend_place(places, (hero, friend, gender), at),
            ),
        )

    @rule
    def friend_place(self, places: tuple, cast: tuple, at: int):
        return [
            (
                w,
                f"in the {places[i]}. " if i != at else "there too. ",
                self.things(places, cast, (at, i), (), ()),
            )
            for i, w in enumerate(self.place_weights)
        ]

    @rule
    def things(self, places: tuple, cast: tuple, at: tuple, things: tuple, where: tuple):
        """Put the first thing somewhere, then perhaps a second one, then let the story run."""
        if len(things) < self.max_things and len(things) < 1:
            return [(1.0, self.thing(places, cast, at, things, where))]
        run = [
            (w, self.event(places, cast, things, at, where, n, (-1, -1))) for n, w in self.LENGTHS
        ]
        if len(things) < self.max_things:
            run = [(w / 12, p) for w, p in run] + [
                (0.5, self.thing(places, cast, at, things, where))
            ]
        return run

    @rule
    def thing(self, places: tuple, cast: tuple, at: tuple, things: tuple, where: tuple):
        pool = self.pools[len(things)]
        return Draw(
            pool,
            lambda name: (
                f"A {name} lay ",
                self.thing_place(places, cast, at, (*things, name), where),
            ),
        )

    @rule
    def thing_place(self, places: tuple, cast: tuple, at: tuple, things: tuple, where: tuple):
        return [
            (
                w,
                "there too. " if i in where else f"in the {places[i]}. ",
                self.things(places, cast, at, things, (*where, i)),
            )
            for i, w in enumerate(self.place_weights)
        ]

    @rule
    def event(self, places, cast, things, at, where, left, last):
        """One thing that happens, after a note of the state.

        ``last`` is ``(actor, thing)`` of what happened before: a pronoun may stand for that actor,
        and that thing is not handled twice in a row. ``(-1, -1)`` after a sentence on the weather.
        """
        state = Note("state", (cast, things, at, where))
        if left == 0:
            return [(1.0, state, self.question(places, cast, things, at, where))]
        options = []
        for actor in (HERO, FRIEND):
            for act in self._acts(places, cast, things, at, where, actor, last):
                weight, words, k, at2, where2 = act
                after = self.event(places, cast, things, at2, where2, left - 1, (actor, k))
                if actor != last[0]:
                    options.append((weight, state, f"{cast[actor]} {words}. ", after))
                    continue
                pronoun = self._pronoun(cast, actor)
                for share, start in ((0.6, f"Then {pronoun}"), (0.4, pronoun.capitalize())):
                    options.append((weight * share, state, f"{start} {words}. ", after))
        same = self.event(places, cast, things, at, where, left - 1, (-1, -1))
        options += [(0.35 * w, state, f"{text} ", same)
                    for w, text in zip(self.weather_weights, WEATHER, strict=True)]  # fmt: skip
        return options

    @staticmethod
    def _pronoun(cast: tuple, actor: int) -> str:
        return "she" if (cast[2] == "f") == (actor == HERO) else "he"

    def _acts(self, places, cast, things, at, where, actor, last):
        """What ``actor`` may do: ``(weight, words, thing, places after, things after)``."""
        here, other = at[actor], 1 - actor
        for i, w in enumerate(self.place_weights):
            if i != here:
                moved = (i, at[1]) if actor == HERO else (at[0], i)
                for share, verb in ((0.7, "went to"), (0.3, "walked to")):
                    yield 1.5 * w * share, f"{verb} the {places[i]}", -1, moved, where
        for k, thing in enumerate(things):
            if where[k] == here and last[1] != k:
                taken = _set(where, k, 4 + actor)
                for share, verb in ((0.7, "picked up"), (0.3, "took")):
                    yield 1.6 * share, f"{verb} the {thing}", k, at, taken
            elif where[k] == 4 + actor:
                if at[other] == here and last != (other, k):
                    given = _set(where, k, 4 + other)
                    yield 0.8, f"gave the {thing} to {cast[other]}", k, at, given
                if last[1] != k:
                    dropped = _set(where, k, here)
                    spot = "there" if actor == last[0] else f"in the {places[here]}"
                    for share, verb in ((0.7, "put down"), (0.3, "left")):
                        yield 0.6 * share, f"{verb} the {thing} {spot}", k, at, dropped

    @rule
    def question(self, places, cast, things, at, where):
        """Ask where somebody or something is; the state has the answer."""
        options = [
            (0.5, f"Where is {cast[i]} now? In the {places[at[i]]}.", Note("answer", places[at[i]]))
            for i in (HERO, FRIEND)
        ]
        for thing, spot in zip(things, where, strict=True):
            if spot < 4:
                options.append(
                    (
                        1.5,
                        f"Where is the {thing} now? In the {places[spot]}.",
                        Note("answer", places[spot]),
                    )
                )
            else:
                who, room = cast[spot - 4], places[at[spot - 4]]
                options.append(
                    (1.0, f"Who has the {thing} now? {who} has it.", Note("answer", who))
                )
                options.append(
                    (
                        0.5,
                        f"Where is the {thing} now? {who} has it in the {room}.",
                        Note("answer", room),
                    )
                )
        return options  # fmt: skip


def _set(values: tuple, index: int, value: int) -> tuple:
    return (*values[:index], value, *values[index + 1 :])
