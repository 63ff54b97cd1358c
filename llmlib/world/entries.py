"""Families about facts: encyclopaedia entries, statements marked true or false, questions."""

from __future__ import annotations

from .entities import Entities
from .grammar import Note, rule, zipf
from .templates import RELATIONS_OF, SENTENCES, TRAINED, say


def fact_note(subject: str, relation: str) -> Note:
    """Marks one mention of a fact; exposures are counted by these."""
    return Note("fact", (subject, relation))


class Facts:
    """Sentences about true facts, shared by the families of this module and by dialogues."""

    def __init__(self, entities: Entities, exponent: float, people: int | None = None) -> None:
        self.entities, self.exponent = entities, exponent
        known = entities.known[:people]
        weights = entities.exposure(exponent)[:people]
        self.subjects = {
            "person": ([p.name for p in known], weights),
            "city": (list(entities.cities), zipf(len(entities.cities), exponent)),
            "company": (list(entities.companies), zipf(len(entities.companies), exponent)),
            "product": (list(entities.products), zipf(len(entities.products), exponent)),
        }
        self.template_weights = zipf(TRAINED, exponent)

    def pronoun_kind(self, subject: str) -> str:
        """The key of ``templates.PRONOUNS`` for this subject."""
        person = self.entities.person.get(subject)
        return person.gender if person else self.entities.kind(subject)

    @rule
    def sentence(self, subject: str, relation: str, called: str | None):
        """One sentence that states the fact in a trained template; ``called`` as in ``say``."""
        value = self.entities.truth[subject, relation]
        kind = self.pronoun_kind(subject)
        return [
            (w, say(template, called, kind, value), fact_note(subject, relation))
            for w, template in zip(self.template_weights, SENTENCES[relation], strict=False)
        ]

    @rule
    def subject(self, kind: str, then):
        """Choose a subject of ``kind`` by its exposure and go on with the rule ``then(subject)``."""
        members, weights = self.subjects[kind]
        return [(w, then(s)) for w, s in zip(weights, members, strict=True)]


class Entry(Facts):
    """An encyclopaedia entry: two or more facts about one person, town, company or product."""

    KINDS = {"person": 8.0, "city": 1.0, "company": 1.4, "product": 1.2}
    # Chance that an entry goes on after this many facts.
    GOES_ON = {1: 1.0, 2: 0.85, 3: 0.7, 4: 0.6, 5: 0.4, 6: 0.3, 7: 0.0}

    @rule
    def document(self):
        return [(w, self.subject(kind, self.entry)) for kind, w in self.KINDS.items()]

    @rule
    def entry(self, subject: str):
        relations = RELATIONS_OF[self.entities.kind(subject)]
        return [
            (w, self.sentence(subject, r, subject), self.rest(subject, _without(relations, r), 1))
            for r, w in zip(relations, zipf(len(relations), self.exponent / 2), strict=True)
        ]

    @rule
    def rest(self, subject: str, left: tuple, told: int):
        """Stop, or tell one more of the facts that are ``left``."""
        if not left:
            return [(1.0, "")]
        more = self.GOES_ON[told]
        options = [(1 - more, "")] if more < 1 else []
        options.append((more, " ", self.one_more(subject, left, told)))
        return options

    @rule
    def one_more(self, subject: str, left: tuple, told: int):
        person = self.entities.person.get(subject)
        called = [(0.7, None), (0.3, person.first)] if person else [(0.8, None), (0.2, subject)]
        return [
            (
                w * c,
                self.sentence(subject, r, name),
                self.rest(subject, _without(left, r), told + 1),
            )
            for r, w in zip(left, zipf(len(left), self.exponent / 2), strict=True)
            for c, name in called
        ]


def _without(relations: tuple, relation: str) -> tuple:
    return tuple(r for r in relations if r != relation)
