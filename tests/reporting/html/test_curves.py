from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, t
from sklearn.metrics import roc_curve

from gwbench.reporting.html.curves import efficiency, roc
from gwbench.reporting.records.predictions import Predictions


def run_of(seed: int, quality: float = 1.5, n: int = 400) -> Predictions:
    rng = np.random.default_rng(seed)
    label = np.repeat([0, 1], n)
    snr = np.where(label == 1, np.tile(np.linspace(6, 20, n), 2), np.nan)
    return Predictions(label, rng.normal(size=2 * n) + quality * label * np.nan_to_num(snr) / 13, snr)


def test_a_roc_curve_is_the_mean_over_runs_at_each_rate() -> None:
    runs = [run_of(seed) for seed in range(3)]
    curve = roc(runs)
    assert curve.x[0] == pytest.approx(1 / 400) and curve.x[-1] == 1.0
    assert np.ptp(np.diff(np.log(curve.x))) == pytest.approx(0.0, abs=1e-9)
    every = [roc_curve(run.label, run.score, drop_intermediate=False)[:2] for run in runs]
    for rate, mean in zip(curve.x[:-1], curve.mean[:-1], strict=True):
        expected = np.mean([tpr[fpr <= rate].max() for fpr, tpr in every])
        assert mean == pytest.approx(expected, abs=1e-12)
    assert np.all((curve.low <= curve.mean) & (curve.mean <= curve.high))
    assert np.all(np.diff(curve.mean) >= 0)


def test_the_band_of_one_run_is_that_of_its_signals() -> None:
    curve = roc([run_of(0)])
    found = np.rint(curve.mean[:-1] * 400)
    assert curve.low[:-1] == pytest.approx(beta.ppf(0.025, found, 401 - found), abs=1e-9)
    assert curve.high[:-1][found < 400] == pytest.approx(beta.ppf(0.975, found + 1, 400 - found)[found < 400], abs=1e-9)


def test_a_band_joins_the_scatter_of_runs_and_of_signals() -> None:
    runs = [run_of(seed) for seed in range(3)]
    curve = roc(runs)
    for place in (5, 20, 40):
        shares = [roc([run]).mean[place] for run in runs]
        of_runs = t.ppf(0.975, 2) * np.std(shares, ddof=1) / 3**0.5
        low = beta.ppf(0.025, 400 * np.mean(shares), 401 - 400 * np.mean(shares))
        assert np.mean(shares) - curve.low[place] == pytest.approx(np.hypot(of_runs, np.mean(shares) - low))


def test_a_band_at_one_reaches_no_further_than_the_signals_allow() -> None:
    sure = [Predictions(r.label, np.where(r.label == 1, 99.0, r.score), r.snr) for r in map(run_of, range(3))]
    found = efficiency(sure, 0.01)
    assert found is not None
    assert np.all(found.mean == 1.0) and np.all(found.high == 1.0)
    assert found.low == pytest.approx(np.full(5, 0.025 ** (1 / 80)))  # none of 80 missed


def test_bands_cover_the_method_behind_the_runs() -> None:
    """A hundred experiments of three runs with scattering quality: pointwise 95 % intervals are no narrower."""
    rates = [0.05, 0.3]
    truth = []
    for rate in rates:  # by many runs
        each = [
            roc_curve(run.label, run.score) for run in (run_of(s, 1.5 + 0.1 * (s % 3 - 1)) for s in range(300, 700))
        ]
        truth.append(np.mean([np.interp(rate, fpr, tpr) for fpr, tpr, _ in each]))
    hits = 0
    for trial in range(100):
        curve = roc([run_of(1000 + 3 * trial + s, 1.5 + 0.1 * (s - 1)) for s in range(3)])
        low, high = np.interp(rates, curve.x, curve.low), np.interp(rates, curve.x, curve.high)
        hits += int(np.sum((low <= truth) & (truth <= high)))
    assert hits >= 180


def test_efficiency_in_bins_of_equally_many_signals() -> None:
    runs = [run_of(seed) for seed in range(2)]
    curve = efficiency(runs, 0.01)
    assert curve is not None
    assert len(curve.x) == 5
    for position, members in enumerate(np.array_split(np.arange(400), 5)):
        shares = []
        for run in runs:
            noise, signal = np.sort(run.score[:400]), run.score[400:]
            shares.append(np.mean(signal[members] > noise[-5]))  # four of 400 noise windows are above
        assert curve.mean[position] == pytest.approx(np.mean(shares))
        assert curve.x[position] == pytest.approx(np.median(run.snr[400:][members]))
    assert np.all((curve.low <= curve.mean) & (curve.mean <= curve.high))


def test_no_efficiency_without_snrs_or_with_too_few_noise_windows() -> None:
    run = run_of(0)
    assert efficiency([Predictions(run.label, run.score, np.full(800, np.nan))], 0.01) is None
    assert efficiency([run], 0.001) is None
