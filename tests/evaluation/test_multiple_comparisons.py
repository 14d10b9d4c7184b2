from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from gwbench.evaluation.multiple_comparisons import bonferroni, holm, ranks, significance_groups


@pytest.mark.parametrize("n", [1, 2, 7, 60])
@pytest.mark.parametrize("seed", range(3))
def test_holm_agrees_with_statsmodels(n: int, seed: int) -> None:
    p = np.random.default_rng(seed).random(n) ** 3
    p[: n // 3] = p[0]  # ties
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)


def test_bonferroni_agrees_with_statsmodels_also_where_some_tests_are_not_listed() -> None:
    p = np.random.default_rng(0).random(9) ** 4
    np.testing.assert_allclose(bonferroni(p, 9), multipletests(p, method="bonferroni")[1], rtol=1e-12)
    np.testing.assert_allclose(bonferroni(p[:3], 9), multipletests(p, method="bonferroni")[1][:3], rtol=1e-12)
    with pytest.raises(ValueError, match="between 0 and 1"):
        bonferroni([1.5], 2)


def test_holm_by_hand_and_at_the_ends() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_array_equal(holm([0.0, 1.0, 0.9]), [0.0, 1.0, 1.0])
    assert holm([]).shape == (0,)
    for bad in ([0.5, 1.5], [np.nan], [[0.5]]):
        with pytest.raises(ValueError, match="between 0 and 1"):
            holm(bad)


@pytest.mark.parametrize("seed", range(5))
def test_a_rank_counts_the_larger_values(seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 6, 20) / 7
    assert ranks(values) == [1 + sum(other > value for other in values) for value in values]


def test_ranks_of_nothing_and_of_a_tie() -> None:
    assert ranks([]) == []
    assert ranks([0.9, 0.8, 0.9, 0.1]) == [1, 3, 1, 4]


@pytest.mark.parametrize("seed", range(20))
def test_two_methods_share_a_group_exactly_where_they_are_not_different(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m = int(rng.integers(1, 12))
    different = np.triu(rng.random((m, m)) < rng.random(), 1)
    different |= different.T
    groups = [set(group) for group in significance_groups(different)]
    assert set().union(*groups) == set(range(m))
    for a, b in combinations(range(m), 2):
        assert any({a, b} <= group for group in groups) == (not different[a, b])
    for group in groups:  # none could be larger, and none is there twice
        outside = set(range(m)) - group
        assert all(any(different[other, member] for member in group) for other in outside)
    assert len({frozenset(group) for group in groups}) == len(groups)


def test_groups_along_a_line_overlap() -> None:
    """Values 0, 1, 2, 3, 10: those less than 2.5 apart are not told apart."""
    values = np.array([0.0, 1.0, 2.0, 3.0, 10.0])
    assert significance_groups(np.abs(values[:, None] - values) > 2.5) == [(0, 1, 2), (1, 2, 3), (4,)]
