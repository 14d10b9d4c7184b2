"""Curves of a method over the runs that it has: what a page draws of test scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gwbench.evaluation.metrics import ENOUGH_SIGNALS, LEVEL, Array
from gwbench.evaluation.seed_inference import t_quantile
from gwbench.evaluation.statistics import binomial_interval, false_positives_allowed, threshold_at_fpr
from gwbench.reporting.records.predictions import Predictions

PER_DECADE = 24
"""Points of a ROC curve."""

SIGNALS_A_BIN, FEWEST_BINS, MOST_BINS = 80, 4, 10
"""Signals that a bin in SNR has at least, as long as there are bins enough."""


@dataclass(frozen=True)
class Curve:
    """A mean over runs with a pointwise interval, all [P].

    The interval is a 95 % one for the method's own mean. It joins Student's for the scatter of runs with Clopper and
    Pearson's for the share of test signals, which runs on the same signals have in common; the squares of their reaches
    to either side add up (Zou & Donner, Statistics in Medicine 27 (2008) 1693), so that it stays sensible at 0 and 1.
    It holds point by point, not for the curve as a whole.
    """

    x: Array
    mean: Array
    low: Array
    high: Array


def roc(runs: Sequence[Predictions]) -> Curve:
    """TPR against FPR from one false positive on, averaged at each FPR over runs on the same windows.

    Vertical averaging of Fawcett, Pattern Recognition Letters 27 (2006) 861, section 8.1, at rates even in their
    logarithm. Between two rates that the windows resolve, the lower one's TPR holds: no FPR is exceeded.

    Args:
        runs: scores without NaN, of both classes.
    """
    n_noise = int(np.count_nonzero(runs[0].label == 0))
    decades = np.log10(n_noise)
    rates = np.geomspace(1.0 / n_noise, 1.0, max(2, round(PER_DECADE * decades) + 1))[:-1]
    shares = np.stack([_at_rates(run, rates) for run in runs])
    mean, low, high = _over(shares, np.full(len(rates), np.count_nonzero(runs[0].label == 1)))
    return Curve(np.append(rates, 1.0), np.append(mean, 1.0), np.append(low, 1.0), np.append(high, 1.0))


def _at_rates(run: Predictions, rates: Array) -> Array:
    """The share of signals above the threshold of each rate [P], as `statistics.tpr_at_fpr` has it."""
    noise = np.sort(run.score[run.label == 0])[::-1]
    signals = np.sort(run.score[run.label == 1])
    thresholds = noise[[false_positives_allowed(len(noise), float(rate)) for rate in rates]]
    below: Array = np.searchsorted(signals, thresholds, "right")
    return 1.0 - below / len(signals)


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
    found = [run.score[known] > threshold_at_fpr(run.score[run.label == 0], fpr) for run in runs]
    shares = np.array([[each[inside].mean() for inside in members] for each in found])
    mean, low, high = _over(shares, np.array([len(inside) for inside in members]))
    return Curve(np.array([np.median(snr[inside]) for inside in members]), mean, low, high)


def _over(shares: Array, trials: Array) -> tuple[Array, Array, Array]:
    """The interval of `Curve` for shares [S, P] of S runs, each share of `trials` [P] signals."""
    mean: Array = shares.mean(axis=0)
    of_signals = [binomial_interval(share * n, int(n), LEVEL) for share, n in zip(mean, trials, strict=True)]
    scatter = np.zeros_like(mean)
    if len(shares) > 1:
        scatter = t_quantile(LEVEL, len(shares) - 1) * shares.std(axis=0, ddof=1) / np.sqrt(len(shares))
    low = mean - np.hypot(scatter, mean - [found.low for found in of_signals])
    high = mean + np.hypot(scatter, [found.high for found in of_signals] - mean)
    return mean, np.maximum(low, 0.0), np.minimum(high, 1.0)
