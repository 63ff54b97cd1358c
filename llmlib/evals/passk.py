"""Success in k tries, estimated from n tries of which c succeeded.

pass@k asks whether at least one of k tries succeeds: what a user sees who can check answers and
takes the best. pass^k asks whether all k do: what a user sees who relies on each of them. For a
success rate p they are 1 − (1 − p)^k and p^k: one rises with k, the other falls.
"""

from math import comb


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that k of the n tries, drawn without replacement, hold a success.

    Unbiased for 1 − (1 − p)^k (Chen et al. 2021), which 1 − (1 − c/n)^k is not. Raises ValueError
    unless 0 ≤ c ≤ n and 1 ≤ k ≤ n.
    """
    _check(n, c, k)
    return 1 - comb(n - c, k) / comb(n, k)


def pass_hat_k(n: int, c: int, k: int) -> float:
    """pass^k: the chance that all k of the n tries, drawn without replacement, are successes.

    Unbiased for p^k (Yao et al. 2024), which (c/n)^k is not. Raises as `pass_at_k`.
    """
    _check(n, c, k)
    return comb(c, k) / comb(n, k)


def _check(n: int, c: int, k: int) -> None:
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"need 0 ≤ c ≤ n and 1 ≤ k ≤ n, not n={n}, c={c}, k={k}")
