from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, norm, t
from sklearn.metrics import roc_curve
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from gwbench.evaluation.statistics import binomial_interval, threshold_at_fpr, tpr_at_fpr
from gwbench.reporting.html.curves import efficiency, roc, whole_window_rates
from gwbench.reporting.records.predictions import Predictions


def run_of(seed: int, quality: float = 1.5, n: int = 400) -> Predictions:
    rng = np.random.default_rng(seed)
    label = np.repeat([0, 1], n)
    snr = np.where(label == 1, np.tile(np.linspace(6, 20, n), 2), np.nan)
    return Predictions(label, rng.normal(size=2 * n) + quality * label * np.nan_to_num(snr) / 13, snr)


def scored(n: int, shift: float, seed: int = 0, ties: int | None = None) -> Predictions:
    """Half noise, half signals that score `shift` more; rounded to so many decimals."""
    rng = np.random.default_rng(seed)
    label = np.repeat([0, 1], n // 2)
    score = rng.normal(size=n) + shift * label
    snr = np.where(label == 1, 10.0, np.nan)
    return Predictions(label, score if ties is None else np.round(score, ties), snr)


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


# --- the curve of a single run, window by window ---


@pytest.mark.parametrize(("n", "shift", "ties"), [(300, 1.0, None), (2000, 2.0, None), (500, 1.0, 1), (40, 6.0, None)])
def test_the_curve_is_that_of_scikit_learn_at_every_rate_told(n: int, shift: float, ties: int | None) -> None:
    run = scored(n, shift, ties=ties)
    found = roc([run], whole_window_rates)
    fpr, tpr, _ = roc_curve(run.label, run.score, drop_intermediate=False)
    expected = [tpr[fpr <= rate + 1e-12].max() for rate in found.x]
    np.testing.assert_allclose(found.mean, expected, atol=1e-12)
    assert (found.x[0], found.x[-1], found.mean[-1]) == (2 / n, 1.0, 1.0)
    assert (np.diff(found.x) > 0).all()


def test_the_curve_and_its_band_pass_through_the_efficiencies_of_a_record() -> None:
    run = scored(4000, 1.5)
    found = roc([run], whole_window_rates)
    for rate in (0.01, 0.001):
        (place,) = np.flatnonzero(np.isclose(found.x, rate)) if rate == 0.001 else [np.abs(found.x - rate).argmin()]
        recorded = tpr_at_fpr(run.label, run.score, found.x[place])
        assert found.mean[place] == recorded.value
        assert (found.low[place], found.high[place]) == pytest.approx((recorded.low, recorded.high), abs=1e-12)


def test_the_band_covers_the_share_of_signals_above_the_threshold_as_often_as_it_says() -> None:
    covered = []
    for seed in range(300):
        run = scored(400, 1.2, seed)
        found = roc([run], whole_window_rates)
        place = int(np.abs(found.x - 0.1).argmin())
        truth = norm.sf(threshold_at_fpr(run.score[run.label == 0], found.x[place]) - 1.2)
        covered.append(found.low[place] <= truth <= found.high[place])
    assert 0.93 <= np.mean(covered) <= 0.995


def test_the_band_holds_the_curve_and_is_not_certain_where_every_signal_is_found() -> None:
    found = roc([scored(300, 6.0)], whole_window_rates)
    assert ((found.low <= found.mean) & (found.mean <= found.high)).all()
    perfect = binomial_interval(150, 150)
    assert found.mean[-2] == 1
    assert found.low[-2] == pytest.approx(perfect.low) and perfect.low < 1
    assert ((found.low >= 0) & (found.high <= 1)).all()


def test_infinite_scores_have_a_curve() -> None:
    run = scored(100, 1.0)
    run.score[:3], run.score[-3:] = -np.inf, np.inf
    found = roc([run], whole_window_rates)
    assert np.isfinite([found.x, found.mean, found.low, found.high]).all()
    assert found.mean[0] >= 3 / 50


def test_a_single_noise_window_has_a_curve_of_one_point() -> None:
    found = roc([Predictions(np.array([0, 1, 1]), np.array([0.0, 1.0, -1.0]), np.full(3, np.nan))])
    assert (found.x.tolist(), found.mean.tolist()) == ([1.0], [1.0])


def test_efficiencies_are_shares_of_the_signals_above_the_noise_threshold() -> None:
    rng = np.random.default_rng(1)
    label = np.repeat([0, 1], [1000, 600])
    snr = np.where(label == 1, rng.uniform(5, 20, 1600), np.nan)
    score = rng.normal(size=1600) + np.nan_to_num(snr) * 0.4
    snr[-20:] = np.nan  # of unknown SNR
    low_rate, high_rate = (efficiency([Predictions(label, score, snr)], rate) for rate in (0.01, 0.1))
    assert low_rate is not None and high_rate is not None
    threshold = np.sort(score[:1000])[::-1][10]
    known = (label == 1) & np.isfinite(snr)
    assert low_rate.signals.sum() == known.sum() == 580
    assert low_rate.signals.max() - low_rate.signals.min() <= 2
    hits = low_rate.mean * low_rate.signals
    assert hits.sum() == pytest.approx((score[known] > threshold).sum())
    first = np.sort(snr[known])[: low_rate.signals[0]]
    inside = known & (snr <= first[-1])
    assert low_rate.x[0] == pytest.approx(np.median(first))
    assert low_rate.mean[0] == pytest.approx((score[inside] > threshold).mean())
    assert (high_rate.mean >= low_rate.mean).all()
    low, high = proportion_confint(hits.round(), low_rate.signals, 0.05, method="beta")
    np.testing.assert_allclose((low_rate.low, low_rate.high), (low, high), atol=1e-9)


def test_rates_that_the_noise_cannot_resolve_and_unknown_snrs_give_no_efficiency() -> None:
    run = scored(200, 1.0)
    assert efficiency([run], 0.001) is None
    assert efficiency([Predictions(run.label, run.score, np.full(200, np.nan))], 0.05) is None
    curve = efficiency([run], 0.05)  # all of one SNR
    assert curve is not None
    assert (curve.signals.sum(), set(curve.x)) == (100, {10.0})
