"""Ostrin, a small invented language with a regular grammar, and sentences translated both ways.

The verb comes last, an adjective follows its noun, "the" is not said. Many are marked by ``-ri``,
the one acted upon by ``-n``, the past by ``-ta``: "The old baker saw the dogs." is *Kol um mifrin
velta.*
"""

from __future__ import annotations

from typing import NamedTuple

from .rules import Draw, Pool, rule

# English for one, English for many, Ostrin.
NOUNS = (
    ("dog", "dogs", "mif"), ("cat", "cats", "sul"), ("baker", "bakers", "kol"),
    ("sailor", "sailors", "dren"), ("bird", "birds", "pirr"), ("child", "children", "lan"),
    ("boat", "boats", "vosk"), ("house", "houses", "hem"), ("tree", "trees", "tarn"),
    ("king", "kings", "rog"),
)  # fmt: skip
ADJECTIVES = (
    ("old", "um"), ("small", "pib"), ("red", "gar"), ("happy", "lil"), ("tall", "tor"),
    ("white", "fen"),
)  # fmt: skip
# English present for one, for many, past, Ostrin.
VERBS = (
    ("sees", "see", "saw", "vel"), ("finds", "find", "found", "nok"),
    ("hears", "hear", "heard", "eshi"), ("loves", "love", "loved", "ama"),
    ("follows", "follow", "followed", "tri"), ("draws", "draw", "drew", "puk"),
)  # fmt: skip


class Phrase(NamedTuple):
    """A noun of ``NOUNS``, an adjective of ``ADJECTIVES`` or ``None``, and whether it is many."""

    noun: tuple
    adjective: tuple | None
    many: bool


def english_phrase(phrase: Phrase) -> str:
    """ "the old dogs" """
    adjective = f"{phrase.adjective[0]} " if phrase.adjective else ""
    return f"the {adjective}{phrase.noun[phrase.many]}"


def ostrin_phrase(phrase: Phrase, acted_upon: bool) -> str:
    """ "mifri um", or "mifrin um" when acted upon"""
    ending = ("ri" if phrase.many else "") + ("n" if acted_upon else "")
    return phrase.noun[2] + ending + (f" {phrase.adjective[1]}" if phrase.adjective else "")


def english_verb(verb: tuple, past: bool, many: bool) -> str:
    """The English form of a verb of ``VERBS``."""
    return verb[2] if past else verb[int(many)]


def ostrin_verb(verb: tuple, past: bool) -> str:
    """The Ostrin form of a verb of ``VERBS``."""
    return verb[3] + ("ta" if past else "")


def english(subject: Phrase, verb: tuple, past: bool, target: Phrase) -> str:
    """The whole sentence in English."""
    start = english_phrase(subject).replace("the", "The", 1)
    return f"{start} {english_verb(verb, past, subject.many)} {english_phrase(target)}."


def ostrin(subject: Phrase, verb: tuple, past: bool, target: Phrase) -> str:
    """The whole sentence in Ostrin."""
    objects = ostrin_phrase(target, True)
    return f"{ostrin_phrase(subject, False)} {objects} {ostrin_verb(verb, past)}."


class Translation:
    """One or two sentences with their translation, from English or from Ostrin.

    Each choice is written as soon as it is made, in the order of the language that leads; then the
    translation follows without choice.
    """

    def __init__(self) -> None:
        self.nouns, self.verbs = Pool(NOUNS), Pool(VERBS)
        self.adjectives = Pool(ADJECTIVES)

    @rule
    def document(self):
        return [(0.6, self.pair(True, 2)), (0.4, self.pair(False, 2))]

    @rule
    def pair(self, lead: bool, left: int):
        return [(1.0, "English: " if lead else "Ostrin: ", self.subject(lead, left))]

    @rule
    def subject(self, lead: bool, left: int):
        return Draw(self.nouns, lambda noun: (self.described(lead, left, (), noun),))

    @rule
    def target(self, lead: bool, left: int, chosen: tuple):
        used = (chosen[0].noun,)
        return Draw(self.nouns, lambda noun: (self.described(lead, left, chosen, noun),), used)

    @rule
    def described(self, lead: bool, left: int, chosen: tuple, noun: tuple):
        return [
            (0.35, self.phrase(lead, left, chosen, noun, None, False)),
            (0.2, self.phrase(lead, left, chosen, noun, None, True)),
            (0.25, self.adjective(lead, left, chosen, noun, False)),
            (0.2, self.adjective(lead, left, chosen, noun, True)),
        ]

    @rule
    def adjective(self, lead: bool, left: int, chosen: tuple, noun: tuple, many: bool):
        return Draw(
            self.adjectives, lambda adj: (self.phrase(lead, left, chosen, noun, adj, many),)
        )

    @rule
    def phrase(self, lead, left, chosen, noun, adjective, many):
        """Write the subject or the one acted upon, and go on in the leading language's order."""
        phrase = Phrase(noun, adjective, many)
        is_subject = not chosen
        if lead:
            text = english_phrase(phrase)
            text = text.replace("the", "The", 1) if is_subject else text
            follow = self.verb if is_subject else self.finish
        else:
            text = ostrin_phrase(phrase, acted_upon=not is_subject)
            follow = self.target if is_subject else self.verb
        space = "" if lead and not is_subject else " "
        return [(1.0, text + space, follow(lead, left, (*chosen, phrase)))]

    @rule
    def verb(self, lead: bool, left: int, chosen: tuple):
        return Draw(self.verbs, lambda verb: (self.tense(lead, left, chosen, verb),))

    @rule
    def tense(self, lead: bool, left: int, chosen: tuple, verb: tuple):
        options = []
        for past in (False, True):
            if lead:
                text = english_verb(verb, past, chosen[0].many) + " "
                follow = self.target(lead, left, (chosen[0], verb, past))
            else:
                text = ostrin_verb(verb, past)
                follow = self.finish(lead, left, (chosen[0], verb, past, chosen[1]))
            options.append((0.5, text, follow))
        return options

    @rule
    def finish(self, lead: bool, left: int, sentence: tuple):
        """The translation, and perhaps another pair."""
        other = f".\nOstrin: {ostrin(*sentence)}" if lead else f".\nEnglish: {english(*sentence)}"
        if left == 1:
            return [(1.0, other)]
        return [(0.5, other), (0.5, other, "\n", self.pair(lead, left - 1))]
