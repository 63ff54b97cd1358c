"""A small fictional world that writes the course's data, each text with its exact probability."""

from .entities import Entities, Fact, Person
from .grammar import Grammar, Measure
from .rules import Draw, Note, Placed, Pool, Rule, rule, zipf
from .world import Document, World

__all__ = [
    "Document", "Draw", "Entities", "Fact", "Grammar", "Measure", "Note", "Person", "Placed",
    "Pool", "Rule", "World", "rule", "zipf",
]  # fmt: skip
