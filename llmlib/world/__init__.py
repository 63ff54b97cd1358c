"""A small fictional world that writes the course's data, with an exact probability for each text."""

from .entities import Entities, Fact, Person
from .grammar import Draw, Grammar, Measure, Note, Placed, Pool, Rule, rule, zipf
from .world import Document, World

__all__ = [
    "Document", "Draw", "Entities", "Fact", "Grammar", "Measure", "Note", "Person", "Placed",
    "Pool", "Rule", "World", "rule", "zipf",
]  # fmt: skip
