"""The desk an agent works at: the tools of the world, notes that stay, and mishaps on demand.

A desk is the *environment* of one task. What only a tool can know (weather, stock, where somebody
is) is fixed by the desk's seed, so a call gives the same result whenever it is made. One tool
writes: ``remind`` adds to ``notes``, and whoever counts unauthorised writes compares those.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import NamedTuple

from . import toolbox


class Note(NamedTuple):
    """A reminder on the desk: who is to do what, and when."""

    who: str
    what: str
    when: str


BUSY = "the line is busy. Try again."
READ_TOOLS = tuple(name for name in toolbox.SCHEMAS if name != "remind")
WRITE_TOOLS = ("remind",)


class Desk:
    """Tools with a state.

    Args:
        truth: ``entities.truth`` of the world.
        seed: fixes what the tools say.
        tails: text that comes with the n-th result (from 0, errors not counted), say a remark by
            whoever keeps the records: this is how an outsider's text gets in.
        busy: numbers of the calls that fail with ``ConnectionError`` and would succeed if repeated.

    ``notes`` are the reminders written, ``calls`` everything that was tried, in order.
    """

    def __init__(
        self,
        truth: Mapping,
        seed: int | str = 0,
        *,
        tails: Mapping[int, str] | None = None,
        busy: tuple[int, ...] = (),
    ) -> None:
        self.truth, self.seed = truth, seed
        self.tails, self.busy = dict(tails or {}), busy
        self.notes: list[Note] = []
        self.calls: list[tuple[str, dict]] = []
        self._results = 0

    def call(self, name: str, arguments: dict) -> str:
        """The tool's result.

        Raises ``KeyError`` for an unknown tool, ``ValueError`` for wrong arguments, ``LookupError``
        where nothing is known (for good) and ``ConnectionError`` when the line is busy (for now).
        """
        number = len(self.calls)
        self.calls.append((name, dict(arguments)))
        if number in self.busy:
            raise ConnectionError(BUSY)
        if name == "lookup":  # "lives in", as the world's texts have it, or "lives_in"
            relation = str(arguments.get("relation", "")).replace(" ", "_")
            arguments = {**arguments, "relation": relation}
        rng = random.Random(f"desk {self.seed} {name} {sorted(arguments.items())}")
        result = toolbox.call(name, arguments, self.truth, rng)
        if result == "not found":
            raise LookupError("nothing is known about that.")
        if name == "remind":
            self.notes.append(Note(arguments["who"], arguments["what"], arguments["when"]))
        tail = self.tails.get(self._results)
        self._results += 1
        return f"{result}. {tail}" if tail else result
