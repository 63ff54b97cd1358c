"""The world: its truth, its documents, and the exact probability of each of them."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from .claims import Paraphrase, Question, Statement
from .entities import Entities
from .entries import Entry, Page
from .grammar import Grammar, Measure
from .language import Translation
from .lists import KeyValue, Labels
from .probes import Probe, fact_probes
from .programs import Program
from .reading import Names, Passage, Summary
from .rules import Rule, rule
from .stories import Story
from .sums import Sum, WordSum
from .talk import Enquiry, Errand, Remark
from .tools import ToolUse

SMALL_PEOPLE = 24
# About ten million tokens at a vocabulary of 1024.
STANDARD_DOCUMENTS = 200_000


@dataclass(frozen=True)
class Document:
    """A text of the world.

    ``log_prob`` is the exact log-probability of the text in nats: in the mixture, or in its
    family if a family was asked for; ``-inf`` for planted documents. ``meta["log_prob"]`` is the
    one in its family in any case. ``meta["notes"]`` lists annotations ``(offset, key, value)``,
    such as the state of a story after each sentence (``"state"``), facts mentioned (``"fact"``)
    and answers (``"answer"``).
    """

    text: str
    family: str
    log_prob: float = field(default=-math.inf, compare=False)
    meta: dict = field(default_factory=dict, compare=False, repr=False)


class World:
    """A small fictional world whose text has an exactly known probability.

    Args:
        seed: draws who lives where and so on. Different seeds give different truths, same names.
        zipf: exponent of Zipf's law for how often people, names, things and phrasings are used.
        mixture: ``"course"``, the pretraining mixture, or ``"small"`` (see ``World.small``).
    """

    def __init__(self, seed: int = 0, zipf: float = 1.0, mixture: str = "course") -> None:
        if not isinstance(seed, int):
            raise TypeError(f"seed must be an int, not {type(seed).__name__}")
        if not 0 <= zipf <= 3:
            raise ValueError(f"zipf must lie between 0 (uniform) and 3, not {zipf}")
        if mixture not in ("course", "small"):
            raise ValueError(f"mixture must be 'course' or 'small', not {mixture!r}")
        self.seed, self.zipf = seed, zipf
        self.mixture = mixture
        self.entities = Entities(seed)
        self.grammar = Grammar()
        self._roots = self._make_families()

    def small(self) -> World:
        """The same world with an easy mixture: entries on 24 people, errands, summaries, remarks.

        For a run of a minute: less to memorise, no state to keep track of, no arithmetic. The floor
        is as exact as that of the whole mixture.
        """
        return World(self.seed, self.zipf, mixture="small")

    def _make_families(self) -> dict[str, tuple[float, Rule]]:
        truth, s = self.entities, self.zipf
        if self.mixture == "small":
            entry = Entry(truth, s, people=SMALL_PEOPLE, kinds=(("person", 1.0),))
            return {
                "entry": (0.6, entry.document()),
                "errand": (0.12, Errand(s).document()),
                "summary": (0.14, Summary(s).document()),
                "remark": (0.14, Remark().document()),
            }
        return {
            "entry": (0.27, Entry(truth, s).document()),
            "page": (0.03, Page(truth, s).document()),
            "story": (0.13, Story(s).document()),
            "statement": (0.12, Statement(truth, s).document()),
            "question": (0.07, Question(truth, s).document()),
            "paraphrase": (0.03, Paraphrase(truth, s).document()),
            "enquiry": (0.04, Enquiry(truth, s).document()),
            "errand": (0.03, Errand(s).document()),
            "passage": (0.05, Passage(s).document()),
            "names": (0.02, Names(truth).document()),
            "summary": (0.02, Summary(s).document()),
            "remark": (0.02, Remark().document()),
            "key_value": (0.02, KeyValue().document()),
            "labels": (0.02, Labels().document()),
            "sum": (0.03, Sum().document()),
            "word_sum": (0.02, WordSum(s).document()),
            "program": (0.02, Program().document()),
            "translation": (0.02, Translation().document()),
            "tools": (0.04, ToolUse(truth, s).document()),
        }

    # ---------------------------------------------------------------- what is true
    @property
    def people(self):
        """All 320 people (``Person``), by rank."""
        return self.entities.people

    @property
    def cities(self) -> tuple[str, ...]:
        """The 24 towns."""
        return self.entities.cities

    @property
    def companies(self) -> tuple[str, ...]:
        """The 40 companies."""
        return self.entities.companies

    @property
    def products(self) -> tuple[str, ...]:
        """The 40 products."""
        return self.entities.products

    @property
    def regions(self) -> tuple[str, ...]:
        """The 8 regions."""
        return self.entities.regions

    @property
    def facts(self):
        """Every fact of the world (``Fact``)."""
        return self.entities.facts

    # ---------------------------------------------------------------- documents
    @property
    def families(self) -> dict[str, float]:
        """Share of each family among the documents (the shares sum to 1)."""
        total = sum(w for w, _ in self._roots.values())
        return {name: w / total for name, (w, _) in self._roots.items()}

    @rule
    def _document(self):
        return list(self._roots.values())

    def _root(self, family: str | None) -> Rule:
        if family is None:
            return self._document()
        if family not in self._roots:
            raise KeyError(f"no family {family!r}; there are {', '.join(self._roots)}")
        return self._roots[family][1]

    def sample(self, rng: random.Random | int, family: str | None = None) -> Document:
        """Draw one document, of ``family`` or of the whole mixture.

        ``rng`` is a ``random.Random`` (advanced in place) or an int that seeds a fresh one.
        """
        if isinstance(rng, int):
            rng = random.Random(rng)
        log_choice = 0.0
        if family is None:
            shares = self.families
            family = rng.choices(list(shares), list(shares.values()))[0]
            log_choice = math.log(shares[family])
        text, log_prob, notes = self.grammar.sample(self._root(family), rng)
        meta = {"log_prob": log_prob, "notes": notes}
        return Document(text, family, log_choice + log_prob, meta)

    def documents(self, n: int, seed: int = 0, split: str = "train") -> Iterator[Document]:
        """``n`` independent documents of the mixture; each split has a stream of its own."""
        if split not in ("train", "val", "test"):
            raise ValueError(f"split must be 'train', 'val' or 'test', not {split!r}")
        rng = random.Random(f"{split} {seed}")
        for _ in range(n):
            yield self.sample(rng)

    def planted(self, seed: int = 0) -> list[Document]:
        """One entry for each tail person: every fact of theirs exactly once, in trained templates.

        These documents are *not* drawn from the grammar (``log_prob`` is ``-inf``): they are
        added to the training text only, and the floor, which is about validation text, does not
        know them.
        """
        rng = random.Random(f"planted {seed}")
        entry = Entry(self.entities, self.zipf)
        documents = []
        for person in self.people:
            if person.tier == "tail":
                text, _, notes = self.grammar.sample(entry.whole(person.name), rng)
                documents.append(Document(text, "planted", meta={"notes": notes}))
        return documents

    def corpus(self, n_docs: int = STANDARD_DOCUMENTS, seed: int = 0) -> Iterator[Document]:
        """The training text: ``n_docs`` documents of the mixture with the planted ones strewn in.

        With the default number, expected mentions of a fact are at least 100 for head people and 10
        to 40 for torso people; they are exactly 1 for tail and 0 for dark people at any number.
        """
        planted = self.planted(seed)
        at = sorted(random.Random(f"places {seed}").choices(range(n_docs + 1), k=len(planted)))
        waiting = list(zip(at, planted, strict=True))
        for i, document in enumerate(self.documents(n_docs, seed)):
            while waiting and waiting[0][0] <= i:
                yield waiting.pop(0)[1]
            yield document
        yield from (document for _, document in waiting)

    def probes(
        self, relation: str | None = None, tier: str | None = None, *, held_out: bool = False
    ) -> list[Probe]:
        """Fact probes (see ``probes.fact_probes``); in the small mixture only facts it tells of."""
        found = fact_probes(self.entities, relation, tier, held_out=held_out)
        if self.mixture == "small":
            told = {p.name for p in self.people[:SMALL_PEOPLE]}
            found = [p for p in found if p.subject in told]
        return found

    # ---------------------------------------------------------------- exact probability
    def log_prob(self, text: str, family: str | None = None) -> float:
        """Exact log-probability of a whole document in nats; ``-inf`` if the world never says it.

        It includes the probability of stopping, so a model's score to compare it with is the sum
        over all tokens *and* the end-of-text token.
        """
        return self.grammar.log_prob(self._root(family), text)

    def log_prob_prefix(self, text: str, family: str | None = None) -> float:
        """Log-probability in nats that a document starts with ``text``."""
        return self.grammar.log_prob_prefix(self._root(family), text)

    def measure(self, family: str | None = None) -> Measure:
        """Exact entropy (``nats``) and expected length (``bytes``) of a document."""
        return self.grammar.measure(self._root(family))

    def entropy(self, family: str | None = None) -> float:
        """Exact entropy in nats per document: the loss floor of every language model on it."""
        return self.measure(family).nats

    def fingerprint(self) -> str:
        """sha256 of a fixed sample of the pretraining text: what the world *says*, not its code."""
        digest = hashlib.sha256()
        for document in self.documents(2000, seed=20240229):
            digest.update(document.text.encode() + b"\0")
        return digest.hexdigest()
