"""How far a measured rate can be trusted."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Z95 = 1.959963984540054  # 97.5 % of a normal distribution lie below


class Interval(NamedTuple):
    """An estimate and a 95 % interval around it."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def wilson(successes: float, n: int, z: float = Z95) -> Interval:
    """A rate of `successes` in n independent trials, with Wilson's interval (1927).

    Unlike value ± z·√(p(1−p)/n) it stays within 0 and 1 and does not shrink to nothing at 0 of n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n} trials is not possible")
    p, z2 = successes / n, z * z
    center = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return Interval(p, max(0.0, center - half), min(1.0, center + half))


def bootstrap(values: Sequence[float], *, draws: int = 2000, seed: int = 0) -> Interval:
    """The mean of `values`, one an independent item, with its percentile bootstrap interval.

    For a comparison give the differences, item by item: the pairs are then resampled together.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError("the bootstrap needs a list of at least one number")
    rng = np.random.default_rng(seed)
    picked = rng.integers(len(array), size=(draws, len(array)))
    low, high = np.quantile(array[picked].mean(axis=1), (0.025, 0.975))
    return Interval(float(array.mean()), float(low), float(high))


def paired_win_rate(
    ours: Sequence[float], theirs: Sequence[float], *, draws: int = 2000, seed: int = 0
) -> Interval:
    """How often `ours` beats `theirs` on the same prompt, a tie counting half; bootstrapped."""
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"scores of the same prompts: {a.shape} and {b.shape} differ")
    return bootstrap((a > b) + 0.5 * (a == b), draws=draws, seed=seed)
