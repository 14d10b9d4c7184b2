"""ROC curves and efficiencies over the runs of a method, with their bands: the same for both pages.

A share of signals and its interval are those of a record (`gwbench.evaluation.statistics`): at the threshold of a
false-positive rate, with Clopper and Pearson's interval. Several runs add their scatter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gwbench.evaluation.metrics import ENOUGH_SIGNALS, LEVEL, Array
from gwbench.evaluation.seed_inference import t_quantile
from gwbench.evaluation.statistics import (
    binomial_interval,
    false_positives_allowed,
    signals_found,
    threshold_at_fpr,
)
from gwbench.reporting.html.chart_values import LineValues, ValuePoint, spread_evenly
from gwbench.reporting.records.predictions import Predictions

PER_DECADE = 24
"""Points of a ROC curve in a decade of false-positive rates."""

MOST_STEPS = 240
"""Steps of a ROC curve that is drawn window by window, at most."""

SIGNALS_A_BIN, FEWEST_BINS, MOST_BINS = 80, 4, 10
"""Signals that a bin in SNR has at least, as long as there are bins enough."""


@dataclass(frozen=True)
class Curve:
    """A mean share of signals over runs with a pointwise interval.

    The interval is a 95 % one for the method's own mean. It joins Student's for the scatter of runs with Clopper and
    Pearson's for the share of test signals, which runs on the same signals have in common; the squares of their reaches
    to either side add up (Zou & Donner, Statistics in Medicine 27 (2008) 1693), so that it stays sensible at 0 and 1.
    For a single run it is Clopper and Pearson's, as in its record. It holds point by point, not for the curve as a
    whole, and does not hold the scatter of the threshold.

    Attributes:
        x: [P] false-positive rates or SNRs.
        mean, low, high: [P], of the share of signals found.
        signals: [P], of how many each share is.
    """

    x: Array
    mean: Array
    low: Array
    high: Array
    signals: Array


def even_rates(n_noise: int) -> Array:
    """False-positive rates [P] even in their logarithm, from one of `n_noise` windows to all of them."""
    points = max(2, round(PER_DECADE * np.log10(n_noise)) + 1)
    return np.geomspace(1.0 / n_noise, 1.0, points)


def whole_window_rates(n_noise: int) -> Array:
    """False-positive rates [P] at which whole windows of `n_noise` pass, about even in their logarithm."""
    return np.unique(np.geomspace(1, n_noise, MOST_STEPS).round().astype(int)) / n_noise


def roc(runs: Sequence[Predictions], rates: Callable[[int], Array] = even_rates) -> Curve:
    """TPR against FPR from one false positive on, averaged at each FPR over runs on the same windows.

    Vertical averaging of Fawcett, Pattern Recognition Letters 27 (2006) 861, section 8.1. Between two rates that the
    windows resolve, the lower one's TPR holds: no FPR is exceeded.

    Args:
        runs: scores without NaN, of both classes.
        rates: gives the false-positive rates for a number of noise windows.
    """
    x = rates(int(np.count_nonzero(runs[0].label == 0)))
    x = x[x < 1.0]  # at 1 every signal is found
    counted = [signals_found(run.label, run.score, x.tolist()) for run in runs]
    shares = np.stack([counts / n_signal for counts, n_signal in counted])
    n_signal = counted[0][1]
    curve = _mean_with_band(x, shares, np.full(len(x), n_signal))
    return Curve(
        x=np.append(curve.x, 1.0),
        mean=np.append(curve.mean, 1.0),
        low=np.append(curve.low, 1.0),
        high=np.append(curve.high, 1.0),
        signals=np.append(curve.signals, n_signal),
    )


def efficiency(runs: Sequence[Predictions], fpr: float) -> Curve | None:
    """The share of signals found at an FPR against their optimal network SNR, averaged over runs on the same windows.

    In bins that hold equally many signals; x is their median SNR.

    Args:
        runs: scores without NaN, of both classes.
        fpr: of all noise windows, between 0 and 1.

    Returns:
        None where the SNRs of too few signals are known or the noise windows do not resolve the rate.
    """
    first = runs[0]
    known = (first.label == 1) & np.isfinite(first.snr)
    n_noise = int(np.count_nonzero(first.label == 0))
    if np.count_nonzero(known) < ENOUGH_SIGNALS or false_positives_allowed(n_noise, fpr) == 0:
        return None
    snr = first.snr[known]
    bins = int(np.clip(len(snr) // SIGNALS_A_BIN, FEWEST_BINS, MOST_BINS))
    cuts = np.linspace(0, len(snr), min(bins, len(snr)) + 1).round().astype(int)
    members = [np.argsort(snr, kind="stable")[low:high] for low, high in pairwise(cuts)]
    above = [run.score[known] > threshold_at_fpr(run.score[run.label == 0], fpr) for run in runs]
    shares = np.array([[each[inside].mean() for inside in members] for each in above])
    medians = np.array([np.median(snr[inside]) for inside in members])
    return _mean_with_band(medians, shares, np.array([len(inside) for inside in members]))


def curve_values(name: str, curve: Curve, at: str) -> LineValues:
    """What a curve says at points that are spread along it.

    Args:
        name: of the curve.
        curve: with its interval.
        at: a format of x and what is there, such as "FPR {:.3g}, TPR".
    """
    texts = [
        ValuePoint(
            float(curve.x[place]),
            float(curve.mean[place]),
            f"{at.format(curve.x[place])} {curve.mean[place]:.3f} [{curve.low[place]:.3f}, {curve.high[place]:.3f}]",
        )
        for place in spread_evenly(len(curve.x))
    ]
    return LineValues(name, texts)


def _mean_with_band(x: Array, shares: Array, signals: Array) -> Curve:
    """The curve at x [P] of shares [S, P] of S runs, each share of `signals` [P]."""
    mean: Array = shares.mean(axis=0)
    exact = [binomial_interval(share * n, int(n), LEVEL) for share, n in zip(mean, signals, strict=True)]
    scatter = np.zeros_like(mean)
    if len(shares) > 1:
        scatter = t_quantile(LEVEL, len(shares) - 1) * shares.std(axis=0, ddof=1) / np.sqrt(len(shares))
    low = mean - np.hypot(scatter, mean - [each.low for each in exact])
    high = mean + np.hypot(scatter, [each.high for each in exact] - mean)
    return Curve(x, mean, np.maximum(low, 0.0), np.minimum(high, 1.0), signals)
