"""Families about facts: encyclopaedia entries, statements marked true or false, questions."""

from __future__ import annotations

from .entities import Entities
from .rules import Draw, Note, Pool, rule, zipf
from .templates import RELATIONS_OF, SENTENCES, TRAINED, say, with_article


def fact_note(subject: str, relation: str) -> Note:
    """Marks one mention of a fact; exposures are counted by these."""
    return Note("fact", (subject, relation))


class Facts:
    """Rules for sentences about facts, shared by all families that speak of the world's truth."""

    def __init__(self, entities: Entities, exponent: float, people: int | None = None) -> None:
        self.entities, self.exponent = entities, exponent
        known = [p.name for p in entities.known[:people]]
        self.subjects = {"person": Pool(known, entities.exposure(exponent)[:people])}
        for kind, members in (
            ("city", entities.cities),
            ("company", entities.companies),
            ("product", entities.products),
        ):
            self.subjects[kind] = Pool(members, zipf(len(members), exponent))
        self.template_weights = zipf(TRAINED, exponent)
        self._others: dict[tuple[str, ...], Pool] = {}

    def pronoun_kind(self, subject: str) -> str:
        """The key of ``templates.PRONOUNS`` for this subject."""
        person = self.entities.person.get(subject)
        return person.gender if person else self.entities.kind(subject)

    def relations(self, subject: str) -> list[tuple[float, str]]:
        """The relations of the subject, each with a weight: homes are asked for before pets."""
        relations = RELATIONS_OF[self.entities.kind(subject)]
        return list(zip(zipf(len(relations), self.exponent / 2), relations, strict=True))

    @rule
    def subject(self, kind: str, then):
        """Choose a subject of ``kind`` by its exposure; go on with the rule ``then(subject)``."""
        return Draw(self.subjects[kind], lambda subject: (then(subject),), alike=False)

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
    def falsehood(self, subject: str, relation: str):
        """One sentence in a trained template that gives the subject a wrong value."""
        truth = self.entities.truth[subject, relation]
        # Nobody is said to be their own friend: the pool depends on the subject too.
        wrong = tuple(v for v in self.entities.values[relation] if v not in (truth, subject))
        if wrong not in self._others:
            self._others[wrong] = Pool([(v, with_article(v)) for v in wrong])
        kind = self.pronoun_kind(subject)

        def parts(value: tuple[str, str]) -> tuple:
            return (self._worded(relation, subject, kind, value),)

        return Draw(self._others[wrong], parts)

    @rule
    def _worded(self, relation: str, subject: str, kind: str, value: tuple[str, str]):
        return [
            (w, say(template, subject, kind, *value))
            for w, template in zip(self.template_weights, SENTENCES[relation], strict=False)
        ]


class Entry(Facts):
    """An encyclopaedia entry: two or more facts about one person, town, company or product."""

    KINDS = (("person", 8.0), ("city", 0.6), ("company", 0.8), ("product", 0.6))
    # Chance that an entry goes on after this many facts.
    GOES_ON = (0, 1.0, 0.9, 0.85, 0.75, 0.6, 0.4)

    def __init__(
        self,
        entities: Entities,
        exponent: float,
        people: int | None = None,
        kinds: tuple[tuple[str, float], ...] = KINDS,
    ) -> None:
        super().__init__(entities, exponent, people)
        self.kinds = kinds

    @rule
    def document(self):
        return [(w, self.subject(kind, self.entry)) for kind, w in self.kinds]

    @rule
    def entry(self, subject: str):
        relations = RELATIONS_OF[self.entities.kind(subject)]
        return [
            (w, self.sentence(subject, r, subject), self.rest(subject, _without(relations, r), 1))
            for r, w in zip(relations, zipf(len(relations), self.exponent / 2), strict=True)
        ]

    @rule
    def whole(self, subject: str):
        """An entry that tells all there is to tell, for the planted documents."""
        relations = RELATIONS_OF[self.entities.kind(subject)]
        return [
            (w, self.sentence(subject, r, subject), self.all_rest(subject, _without(relations, r)))
            for r, w in zip(relations, zipf(len(relations), self.exponent / 2), strict=True)
        ]

    @rule
    def all_rest(self, subject: str, left: tuple):
        if not left:
            return [(1.0, "")]
        return [
            (1.0, " ", self.sentence(subject, r, None), self.all_rest(subject, _without(left, r)))
            for r in left
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


class Page(Entry):
    """A page of the encyclopaedia: two to five entries, one a line."""

    @rule
    def document(self):
        return [(1.0, self.entries(n)) for n in (2, 3, 4, 5)]

    @rule
    def entries(self, left: int):
        more = ("\n", self.entries(left - 1)) if left > 1 else ()
        return [(w, self.subject(kind, self.entry), *more) for kind, w in self.kinds]


def _without(relations: tuple, relation: str) -> tuple:
    return tuple(r for r in relations if r != relation)
