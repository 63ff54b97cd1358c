"""Families about knowledge: statements marked right or wrong, questions, paraphrases."""

from __future__ import annotations

from .entries import Facts, fact_note
from .rules import Note, rule
from .templates import PRONOUNS, QUESTIONS, SENTENCES, capital, possessive, say, with_article

KINDS = (("person", 8.0), ("city", 0.6), ("company", 0.8), ("product", 0.6))


def ask(subject: str, relation: str, kind: str, *, called: str | None = None) -> str:
    """The question of a relation; ``called=None`` uses the full name, else that pronoun or name."""
    he, _, his = PRONOUNS[kind]
    name = called or subject
    owner = his if called == he else possessive(name)
    return QUESTIONS[relation][0].format(s=name, p=owner)


def answer(relation: str, kind: str, value: str) -> str:
    """The answer to that question, with a pronoun for the subject."""
    he = capital(PRONOUNS[kind][0])
    return QUESTIONS[relation][1].format(S=he, r=he, v=value, a=with_article(value))


class Statement(Facts):
    """Two to five statements about the world or about sums, each marked as right or wrong."""

    GOES_ON = (1.0, 1.0, 0.7, 0.6, 0.4)

    @rule
    def document(self):
        return [(1.0, "Right or wrong?", self.lines(0))]

    @rule
    def lines(self, said: int):
        if said == len(self.GOES_ON):
            return [(1.0, "")]
        more = self.GOES_ON[said]
        options = [(1 - more, "")] if more < 1 else []
        after = self.lines(said + 1)
        options += [(0.85 * more * w / 10, "\n", self.subject(kind, self.claim), after)
                    for kind, w in KINDS]  # fmt: skip
        options.append((0.15 * more, "\n", self.sum_claim(), after))
        return options

    @rule
    def claim(self, subject: str):
        options = []
        for w, relation in self.relations(subject):
            note = Note("claim", (subject, relation))
            true, false = (
                self.sentence(subject, relation, subject),
                self.falsehood(subject, relation),
            )
            options.append((w, true, " Right.", note, Note("verdict", True)))
            options.append((w, false, " Wrong.", note, Note("verdict", False)))
        return options

    @rule
    def sum_claim(self):
        options = []
        for a in range(2, 13):
            for b in range(2, 10):
                options.append((2.0, f"{a} + {b} = {a + b}. Right.", Note("verdict", True)))
                for slip in (-2, -1, 1, 2):
                    line = f"{a} + {b} = {a + b + slip}. Wrong."
                    options.append((0.5, line, Note("verdict", False)))
        return options


class Question(Facts):
    """One to three questions about facts, with their answers."""

    GOES_ON = (1.0, 0.5, 0.4)

    @rule
    def document(self):
        return [(1.0, self.pairs(0))]

    @rule
    def pairs(self, asked: int):
        if asked == len(self.GOES_ON):
            return [(1.0, "")]
        more = self.GOES_ON[asked]
        options = [(1 - more, "")] if more < 1 else []
        start = "\nQuestion: " if asked else "Question: "
        options += [(more * w, start, self.subject(kind, self.pair), self.pairs(asked + 1))
                    for kind, w in KINDS]  # fmt: skip
        return options

    @rule
    def pair(self, subject: str):
        kind = self.pronoun_kind(subject)
        options = []
        for w, relation in self.relations(subject):
            value = self.entities.truth[subject, relation]
            text = f"{ask(subject, relation, kind)}\nAnswer: {answer(relation, kind, value)}"
            options.append((w, text, fact_note(subject, relation)))
        return options


class Paraphrase(Facts):
    """A fact said twice: once in one template, then in another."""

    @rule
    def document(self):
        return [(w, self.subject(kind, self.said_twice)) for kind, w in KINDS]

    @rule
    def said_twice(self, subject: str):
        kind, options = self.pronoun_kind(subject), []
        for w, relation in self.relations(subject):
            value = self.entities.truth[subject, relation]
            trained = list(zip(self.template_weights, SENTENCES[relation], strict=False))
            for w1, first in trained:
                for w2, second in trained:
                    if first != second:
                        text = (
                            f"{say(first, subject, kind, value)}\n"
                            f"In other words: {say(second, None, kind, value)}"
                        )
                        options.append((w * w1 * w2, text, fact_note(subject, relation)))
        return options
