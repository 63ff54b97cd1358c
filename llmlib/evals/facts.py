"""Invented facts: what a model claims about people it can, and cannot, know anything of."""

from collections.abc import Sequence
from dataclasses import dataclass

from llmlib.evals.answers import Answered
from llmlib.world import tasks
from llmlib.world.instructions import ABSTAIN


@dataclass(frozen=True)
class FactScore:
    """Answers to questions about facts, in some tier of people (or all)."""

    n: int
    abstained: int  # said that it does not know
    true: int  # said the fact
    false: int  # said anything else

    @property
    def hallucination(self) -> float:
        """False claims among the answers that were not abstentions; nan if all were."""
        return self.false / (self.n - self.abstained) if self.n > self.abstained else float("nan")

    @property
    def abstention(self) -> float:
        """The share of questions answered with "I do not know."."""
        return self.abstained / self.n if self.n else float("nan")

    @property
    def accuracy(self) -> float:
        """The share of questions answered with the fact."""
        return self.true / self.n if self.n else float("nan")


def fact_scores(answered: Sequence[Answered]) -> dict:
    """A `FactScore` for each tier and for "all"; and how well the model knows what it cannot know.

    Rows are of the family "fact", whose ``meta`` holds the tier and the truth. For a dark person
    the truth counts as true if it is guessed, though nobody could know it. `precision` is the
    share of abstentions that were about dark people, `recall` the share of questions about dark
    people that were met with one; nan where there is nothing to divide by.
    """
    kinds: dict[str, list[str]] = {"all": []}
    for one in answered:
        if one.row["family"] != "fact" or "tier" not in one.row["meta"]:
            raise ValueError(f"no question about a person's fact: {one.row['prompt']}")
        kind = _kind(one)
        kinds["all"].append(kind)
        kinds.setdefault(one.row["meta"]["tier"], []).append(kind)
    scores = {
        tier: FactScore(len(k), k.count("abstained"), k.count("true"), k.count("false"))
        for tier, k in kinds.items()
    }
    dark, everyone = scores.get("dark", FactScore(0, 0, 0, 0)), scores["all"]
    return scores | {
        "precision": dark.abstained / everyone.abstained if everyone.abstained else float("nan"),
        "recall": dark.abstention,
    }


def _kind(one: Answered) -> str:
    if one.text.strip().startswith(ABSTAIN.rstrip(".")):
        return "abstained"
    return "true" if says(one.text, one.row["meta"]) else "false"


def says(text: str, meta: dict) -> bool:
    """Whether the text names the true value, and none of the others."""
    return tasks.check({"family": "fact", "answer": meta["truth"], "meta": meta}, text)
