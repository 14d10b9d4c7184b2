"""Many methods at once: p-values adjusted for how many there are, ranks, and groups that cannot be told apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gwbench.evaluation.statistics import Floats


def holm(p: ArrayLike) -> Floats:
    """P-values [n] adjusted by Holm's step-down method (Scandinavian Journal of Statistics 6 (1979) 65).

    Those below a level are significant with at most that probability of any false one among them, however the tests
    depend on each other.

    Raises:
        ValueError: a p-value is no number between 0 and 1.
    """
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not np.all((values >= 0.0) & (values <= 1.0)):
        raise ValueError("p-values are a list of numbers between 0 and 1")
    order = np.argsort(values, kind="stable")
    raised = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted


def bonferroni(p: ArrayLike, count: int) -> Floats:
    """P-values [n] adjusted for `count` tests, of which these are all or some: each times their number, at most 1.

    Unlike Holm's, they agree with intervals at the confidence 1 - (1 - level) / count: one is below 1 - level exactly
    where its interval does not hold "no difference".

    Raises:
        ValueError: a p-value is no number between 0 and 1.
    """
    values = np.asarray(p, dtype=np.float64)
    if not np.all((values >= 0.0) & (values <= 1.0)):
        raise ValueError("p-values are a list of numbers between 0 and 1")
    return np.minimum(values * count, 1.0)


def ranks(values: ArrayLike) -> list[int]:
    """1 for the largest value; equal values share the better rank, and the next one counts them all (1, 2, 2, 4)."""
    from scipy.stats import rankdata

    return [int(rank) for rank in rankdata(-np.asarray(values, dtype=np.float64), method="min")]


def significance_groups(different: NDArray[np.bool_]) -> list[tuple[int, ...]]:
    """Groups of methods that cannot be told apart: two methods share a group exactly where they are not different.

    "Not different" does not pass on from one method to the next, so a method may be in several groups. Groups are
    cliques, each as large as it gets, chosen greedily in the order of the methods until every pair has one.

    Args:
        different: [M, M] symmetric; whether two methods differ.

    Returns:
        groups by their first members, best first where the methods are; each ascending.
    """
    m = len(different)
    same = [sum(1 << other for other in range(m) if other != one and not different[one, other]) for one in range(m)]
    missing = list(same)  # pairs that no group holds yet, as bits
    groups: list[tuple[int, ...]] = []
    for first in range(m):
        if not same[first]:
            groups.append((first,))
        while missing[first] >> (first + 1):
            group = _grow(first, _lowest(missing[first] >> (first + 1)) + first + 1, same)
            bits = sum(1 << member for member in group)
            for member in group:
                missing[member] &= ~bits
            groups.append(group)
    return sorted(groups)


def _grow(one: int, other: int, same: list[int]) -> tuple[int, ...]:
    """The group of two methods and, in order, all that fit everyone in it."""
    group, candidates = [one, other], same[one] & same[other]
    while candidates:
        member = _lowest(candidates)
        group.append(member)
        candidates &= same[member]
    return tuple(sorted(group))


def _lowest(bits: int) -> int:
    """The position of the lowest bit that is set."""
    return (bits & -bits).bit_length() - 1
