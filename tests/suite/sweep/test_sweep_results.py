from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from gwbench.errors import UserError
from gwbench.suite.sweep.comparison import compare
from gwbench.suite.sweep.results import (
    SeedScore,
    SweepResults,
    TrialResult,
    open_results,
    pack_labels,
    pack_ranks,
    unpack_labels,
    unpack_ranks,
)

LABEL = np.arange(300) % 3 == 0


def scored(name: str, *seeds: np.ndarray) -> TrialResult:
    scores = []
    for seed, score in enumerate(seeds):
        value = float(roc_auc_score(LABEL, score))
        scores.append(SeedScore(seed=seed, run_id=f"{name}{seed}", value=value, low=0, high=1, ranks=pack_ranks(score)))
    return TrialResult(
        status="ok", settings={"name": name}, scores=scores, labels=pack_labels(LABEL), windows=len(LABEL)
    )


def noisy(seed: int, strength: float) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).normal(size=len(LABEL)) + strength * LABEL)


# --- the file ---


def test_packed_ranks_keep_the_auc_and_ties() -> None:
    score = np.round(noisy(0, 1.0), 1)
    ranks = unpack_ranks(pack_ranks(score), len(score))
    assert roc_auc_score(LABEL, ranks) == roc_auc_score(LABEL, score)
    assert len(np.unique(ranks)) == len(np.unique(score)) < len(score)
    np.testing.assert_array_equal(unpack_labels(pack_labels(LABEL), len(LABEL)), LABEL)
    for count in (299, 301):
        with pytest.raises(ValueError, match="bytes instead of"):
            unpack_ranks(pack_ranks(score), count)


def test_a_line_that_was_not_written_to_its_end_is_cut_off_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "sweep.jsonl"
    with open_results(path) as results:
        results.append(scored("a", noisy(0, 1.0)))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])  # as a kill leaves it
    assert len(SweepResults.read(path).results) == 1
    with open_results(path) as results:
        results.append(scored("b", noisy(1, 1.0)))
    assert path.read_bytes().startswith(whole)
    assert [result.settings["name"] for result in SweepResults.read(path).results] == ["a", "b"]


def test_nobody_else_adds_to_results_that_are_open(tmp_path: Path) -> None:
    path = tmp_path / "sweep.jsonl"
    with (
        open_results(path),
        pytest.raises(UserError, match="Another process is carrying out a sweep"),
        open_results(path),
    ):
        pass
    assert not path.exists()  # nothing was tried, and nothing is left behind


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "is no trial"),
        ("[]", "is no trial"),
        ('{"status": "ok"}', "settings"),
        ('{"status": "fine", "settings": {}}', "status"),
        ('{"status": "ok", "settings": {}, "windows": 1e400}', "is no trial"),
        (
            '{"status": "ok", "settings": {}, "scores": [{"seed": 0, "run_id": "", "value": 2, "low": 0, "high": 1}]}',
            "outs",
        ),
    ],
)
def test_a_line_that_is_no_trial_is_named(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "sweep.jsonl"
    path.write_text(json.dumps({"status": "failed", "settings": {}}) + "\n" + line + "\n")
    with pytest.raises(UserError, match=f"Line 2 of .*{why}"), open_results(path):
        pass
    assert path.read_text().endswith(line + "\n")  # it is the user's


# --- the comparison ---


def delong(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Difference of two AUCs and its standard error, by DeLong et al.'s formulas, window by window."""

    def components(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        signal, noise = score[LABEL], score[~LABEL]
        psi = (signal[:, None] > noise) + 0.5 * (signal[:, None] == noise)
        return psi.mean(1), psi.mean(0)

    (a10, a01), (b10, b01) = components(one), components(other)
    variance = np.var(a10 - b10, ddof=1) / len(a10) + np.var(a01 - b01, ddof=1) / len(a01)
    return float(a10.mean() - b10.mean()), float(np.sqrt(variance))


def test_the_best_is_compared_by_delongs_test_corrected_for_all_that_were_tried() -> None:
    scores = {"default": noisy(0, 1.0), "a": noisy(1, 1.3), "b": noisy(2, 1.6), "c": noisy(3, 0.4)}
    failed = TrialResult(status="failed", settings={"name": "d"}, reason="it diverged")
    results = [*(scored(name, score) for name, score in scores.items()), failed]
    compared = compare(results, {"name": "default"})
    assert [trial.result.settings["name"] for trial in compared.trials] == sorted(
        scores, key=lambda name: -roc_auc_score(LABEL, scores[name])
    )
    assert (compared.compared, compared.unfinished) == (4, (failed,))  # the one that failed was a try, too
    found = {trial.result.settings["name"]: trial for trial in compared.trials}
    raw = []
    for name in "abc":
        difference, error = delong(scores[name], scores["default"])
        raw.append(2 * norm.sf(abs(difference) / error))
        reached = found[name].difference
        assert reached is not None
        reach = norm.ppf(1 - 0.05 / 4 / 2) * error
        assert reached.value == pytest.approx(difference, abs=1e-12)
        assert reached.low == pytest.approx(difference - reach, rel=1e-5)
        assert reached.high == pytest.approx(difference + reach, rel=1e-5)
        assert found[name].distinguishable == (not reached.low <= 0 <= reached.high)
    corrected = multipletests([*raw, 1.0], method="bonferroni")[1][:3]
    assert [found[name].p for name in "abc"] == pytest.approx(list(corrected), rel=1e-6)
    assert found["default"].is_reference and found["default"].p is None


def test_the_best_of_many_equal_settings_is_not_called_better() -> None:
    """Ten settings that differ by chance alone: one test at 5 % would often call the best of them better."""
    wrong = 0
    for repeat in range(12):
        shared = noisy(1000 + repeat, 1.0)
        results = [scored(str(k), shared + 0.8 * noisy(2000 + 50 * repeat + k, 0.0)) for k in range(11)]
        best = compare(results, {"name": "0"}).best
        wrong += bool(best and best.distinguishable)
    assert wrong <= 2


def test_several_seeds_have_their_scatter_in_the_comparison() -> None:
    good = [noisy(seed, 1.5) for seed in range(3)]
    uneven = [noisy(10, 0.2), noisy(11, 1.5), noisy(12, 2.8)]
    compared = compare([scored("default", *good), scored("uneven", *uneven)], {"name": "default"})
    (other,) = (trial for trial in compared.trials if not trial.is_reference)
    assert other.result.value == pytest.approx(np.mean([roc_auc_score(LABEL, score) for score in uneven]))
    assert compared.seeds == 3 and not other.distinguishable


def test_results_without_ranks_are_ordered_and_not_compared() -> None:
    old = [
        TrialResult(status="ok", settings={"k": k}, scores=[SeedScore(seed=0, run_id="", value=value)])
        for k, value in enumerate((0.8, 0.9))
    ]
    compared = compare(old, {"k": 0})
    assert [trial.result.settings["k"] for trial in compared.trials] == [1, 0]
    assert all(trial.difference is None for trial in compared.trials)
    assert compare(old, {"k": 0}, larger_is_better=False).trials[0].is_reference
