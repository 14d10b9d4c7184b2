from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from gwbench.evaluation.seed_inference import pairwise
from gwbench.reporting.leaderboard.significance import judge
from tests.evaluation.synthetic_methods import experiment, summed_up


def test_p_values_count_the_comparisons_with_the_best_and_groups_count_all_pairs() -> None:
    label, scores = experiment(np.random.default_rng(1), 0.85, 0.01, 3, n=300, methods=5)
    scores += 0.15 * np.arange(5)[::-1, None, None] * label
    methods = [summed_up(label, each) for each in scores]
    versus, groups = judge(methods, 1)
    tests = pairwise(methods)
    expected = multipletests(tests.p[[0, 2, 3, 4], 1], method="holm")[1]
    assert versus[1] is None
    np.testing.assert_allclose([each.p for each in versus if each], expected)
    upper = np.triu_indices(5, 1)
    different = multipletests(tests.p[upper], method="holm")[1] < 0.05
    assert 0 < sum(different) < 10
    for one, other, apart in zip(*upper, different, strict=True):
        assert bool(set(groups[one]) & set(groups[other])) != apart


@pytest.mark.parametrize("ahead", [0.0, 0.004])
def test_whichever_method_is_best_is_ruled_out_in_one_of_twenty_tables_at_most(ahead: float) -> None:
    """Ten equal methods, or one a little ahead of the others: is it said not to be the best?"""
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(120):
        label, scores = experiment(rng, 0.9, 0.01, 3, n=100, methods=10)
        scores[0] += ahead * label / 0.1
        methods = [summed_up(label, each) for each in scores]
        best = int(np.argmax([method.areas.mean() for method in methods]))
        found = judge(methods, best)[0][0]
        wrong += found is not None and found.p < 0.05
    assert wrong / 120 <= 0.09  # 5 % and two standard errors
