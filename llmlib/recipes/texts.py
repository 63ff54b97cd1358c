"""What the pretraining recipe reads: documents of the course's world, or the reader's own text."""

import argparse
from collections.abc import Iterable, Iterator
from itertools import islice

from llmlib.data import TokenData, load_corpus
from llmlib.world import Document, World
from llmlib.world.world import STANDARD_DOCUMENTS

HELD_OUT_CHARACTERS = 1_000_000  # of own text to evaluate on, at most
EVERY = 20  # of own documents, one in so many is held out
LEAST_CHARACTERS = 1000  # of own text; less is a mistake


class WorldText:
    """Documents of the course's world: each is new, and its probability is known."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.small = args.data == "world-small"
        self.world = World().small() if self.small else World()
        what = "easy mixture of the course's world" if self.small else "the course's world"
        self.meta = {"data": f"{what}, every document seen once", "world": World().fingerprint()}

    def texts(self, tok=None) -> Iterator[str]:
        """Training documents: the standard corpus, or with a tokenizer about `--tokens` of them."""
        n = STANDARD_DOCUMENTS
        if tok and self.args.tokens:
            probe = [d.text for d in self.world.documents(500, self.args.seed)]
            n = round(self.args.tokens * len(probe) / TokenData.from_texts(probe, tok).n_tokens)
        draw = self.world.documents if self.small else self.world.corpus
        return (document.text for document in draw(n, self.args.seed))

    def held_out(self) -> tuple[list[Document], list[float]]:
        """Documents drawn independently of the training text, and the exact log p of each."""
        documents = list(self.world.documents(self.args.held_out, self.args.seed, "val"))
        return documents, [document.log_prob for document in documents]


class OwnText:
    """Any other text. Held out: every twentieth document, or the last tenth of each if they are
    fewer than twenty. Raises SystemExit for fewer than `LEAST_CHARACTERS`.
    """

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.meta = {"data": args.data}
        first = list(islice(self._documents(), EVERY))
        self.few = len(first) < EVERY
        size = sum(map(len, first))
        if self.few and size < LEAST_CHARACTERS:
            raise SystemExit(f"{args.data} has {size} characters: too little to train on")

    def texts(self, tok=None) -> Iterator[str]:
        """Training documents."""
        if self.few:
            return (text[:cut] for text, cut in self._cut() if cut)
        return (text for i, text in enumerate(self._documents()) if i % EVERY != EVERY - 1)

    def held_out(self) -> tuple[list[str], None]:
        """Documents kept from training; nobody knows their exact probability."""
        if self.few:
            texts = (text[cut:] for text, cut in self._cut())
        else:
            texts = islice(self._documents(), EVERY - 1, None, EVERY)
        return list(at_most(islice(texts, self.args.held_out), HELD_OUT_CHARACTERS)), None

    def _documents(self) -> Iterator[str]:
        texts = load_corpus(self.args.data, field=self.args.field)
        most = self.args.data_characters
        return at_most(texts, round(most)) if most else texts

    def _cut(self) -> Iterator[tuple[str, int]]:
        """Each text, and where its last tenth begins: at a line's beginning if one is near."""
        for text in self._documents():
            cut = len(text) * 9 // 10
            yield text, text.rfind("\n", len(text) * 8 // 10, cut) + 1 or cut


def at_most(texts: Iterable[str], characters: int) -> Iterator[str]:
    """The first of `texts`, the last one cut, `characters` in all."""
    for text in texts:
        if characters <= 0:
            return
        yield text[:characters]
        characters -= len(text)
