"""Measuring models: right answers, stopped turns, invented facts, wins, and success in k tries."""

from llmlib.evals.answers import Answered, answer, instruction_accuracy
from llmlib.evals.facts import FactScore, fact_scores
from llmlib.evals.intervals import bootstrap, paired_win_rate, wilson
from llmlib.evals.passk import pass_at_k, pass_hat_k

__all__ = [
    "Answered",
    "FactScore",
    "answer",
    "bootstrap",
    "fact_scores",
    "instruction_accuracy",
    "paired_win_rate",
    "pass_at_k",
    "pass_hat_k",
    "wilson",
]
