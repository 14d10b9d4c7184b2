"""ROC-AUC, average precision and efficiency of a score, each with its interval.

Labels are 1 for signal and 0 for noise; a larger score means "signal". Scores may tie and may be infinite.
Everything here is a function of ranks, in O(N log N).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gwbench.errors import UserError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate and its two-sided confidence interval."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"an interval needs low <= value <= high: {self.low}, {self.value}, {self.high}")


# --- the area under the ROC curve ---------------------------------------------------------------------------


def auc(label: ArrayLike, score: ArrayLike) -> float:
    """The probability that a signal outscores a noise window, ties counted half (Mann-Whitney).

    Args:
        label: [N] 0 or 1.
        score: [N].

    Raises:
        UserError: one class only, or a NaN score.
        ValueError: wrong shapes, or other labels than 0 and 1.
    """
    return float(structural_components(label, np.asarray(score)[np.newaxis])[0][0])


def structural_components(label: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """AUC and DeLong's structural components of several scores on the same windows.

    A component is the share of the other class that a window is ranked on the right side of; the mean of
    either set is the AUC. Computed by sorting, as Sun & Xu, IEEE Signal Processing Letters 21 (2014) 1389, do.

    Args:
        label: [N] 0 or 1; n_signal ones and n_noise zeros.
        scores: [M, N].

    Returns:
        AUC [M], components of the signals [M, n_signal], components of the noise windows [M, n_noise],
        windows in the order in which they come in `label`.

    Raises:
        UserError, ValueError: as in `auc`.
    """
    is_signal, values = _checked(label, scores)
    signals, noise = values[:, is_signal], values[:, ~is_signal]
    of_signals, of_noise = np.empty_like(signals), np.empty_like(noise)
    for row in range(len(values)):
        of_signals[row] = _share_below(signals[row], noise[row])
        of_noise[row] = 1.0 - _share_below(noise[row], signals[row])
    return of_signals.mean(axis=1), of_signals, of_noise


def _share_below(of: Floats, among: Floats) -> Floats:
    """For every number of `of` [n], the share of `among` [m] below it, ties counted half: [n]."""
    order, sorted_among = np.argsort(of), np.sort(among)
    asked = of[order]  # sorted as well, which makes the search several times faster
    twice = np.searchsorted(sorted_among, asked, "left") + np.searchsorted(sorted_among, asked, "right")
    share = np.empty(len(of))
    share[order] = twice / (2 * len(among))
    return share


def auc_interval(label: ArrayLike, score: ArrayLike, level: float = 0.95) -> Interval:
    """The AUC with DeLong's interval on the logit scale.

    On the logit scale the interval stays inside (0, 1) and leans away from the nearer end. That matters near
    an AUC of 1, where the plain interval runs past 1 and, once clipped there, covers less than it says
    (Qin & Hotilovac, Statistical Methods in Medical Research 17 (2008) 207).

    DeLong's variance does not exist with a single window of a class, and is zero where the classes are
    perfectly separated or all scores tie, which says nothing of how sure the AUC is. The interval is then the
    binomial one for min(n_signal, n_noise) pairs that share no window. At an AUC of 1 it is exact: were the
    true area A, all of those pairs would be in order with probability at most A^min. In between, it rests on
    Var(AUC) <= A (1 - A) / min (Birnbaum & Klose, Annals of Mathematical Statistics 28 (1957) 933). It makes
    no assumption and is therefore wider than DeLong's at an AUC just below 1.

    Args:
        label: [N] 0 or 1.
        score: [N].
        level: confidence of the two-sided interval.

    Raises:
        UserError, ValueError: as in `auc`.
    """
    from scipy.special import expit, logit

    areas, of_signals, of_noise = structural_components(label, np.asarray(score)[np.newaxis])
    area = float(areas[0])
    smaller = min(of_signals.size, of_noise.size)
    if smaller < 2 or (np.ptp(of_signals) == 0 and np.ptp(of_noise) == 0):
        return binomial_interval(area * smaller, smaller, level)
    variance = float((_covariance_of_mean(of_signals) + _covariance_of_mean(of_noise))[0, 0])
    reach = _normal_quantile(level) * variance**0.5 / (area * (1.0 - area))
    low, high = expit(logit(area) - reach), expit(logit(area) + reach)
    return Interval(area, min(float(low), area), max(float(high), area))


def _covariance_of_mean(components: Floats) -> Floats:
    """The covariance [M, M] of the means over the last axis of [M, n]."""
    n = components.shape[1]
    centred = components - components.mean(axis=1, keepdims=True)
    covariance: Floats = centred @ centred.T / (n - 1) / n
    return covariance


# --- the rest of the curves ---------------------------------------------------------------------------------


def average_precision(label: ArrayLike, score: ArrayLike) -> float:
    """The precision at each threshold, weighted by the recall gained there; tied windows enter together.

    Args:
        label: [N] 0 or 1.
        score: [N].

    Raises:
        UserError, ValueError: as in `auc`.
    """
    is_signal, values = _checked(label, np.asarray(score)[np.newaxis])
    order = np.argsort(-values[0], kind="stable")
    ranked = values[0][order]
    last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
    hits, kept = np.cumsum(is_signal[order])[last_of_tie], np.flatnonzero(last_of_tie) + 1
    gained = np.diff(hits, prepend=0)
    return float(np.sum(gained * hits / kept) / hits[-1])


def tpr_at_fpr(label: ArrayLike, score: ArrayLike, fpr: float, level: float = 0.95) -> Interval:
    """The efficiency: the share of signals found at a false-positive rate of `fpr` or less.

    A window is detected where its score lies above the lowest threshold that keeps the noise windows to the rate.
    Where noise scores tie there, all of them are rejected, so that the rate reached never exceeds the rate
    asked. The interval is the binomial one of the signals at that threshold; it does not hold the scatter of
    the threshold itself, which is large where few noise windows lie above it.

    Args:
        label: [N] 0 or 1.
        score: [N].
        fpr: the false-positive rate, between 0 and 1.
        level: confidence of the two-sided interval.

    Raises:
        UserError: `fpr` outside (0, 1), one class only, or a NaN score.
        ValueError: wrong shapes, or other labels than 0 and 1.
    """
    detected, n_signal = signals_found(label, score, (fpr,))
    return binomial_interval(int(detected[0]), n_signal, level)


def signals_found(label: ArrayLike, score: ArrayLike, fprs: Sequence[float]) -> tuple[NDArray[np.intp], int]:
    """How many signals lie above the threshold of each false-positive rate, as `tpr_at_fpr` has it: a ROC curve.

    Args:
        label: [N] 0 or 1.
        score: [N].
        fprs: [K], between 0 and 1.

    Returns:
        Counts [K], and the number of signals.

    Raises:
        UserError, ValueError: as in `tpr_at_fpr`.
    """
    is_signal, values = _checked(label, np.asarray(score)[np.newaxis])
    noise, signal = np.sort(values[0, ~is_signal]), np.sort(values[0, is_signal])
    allowed = np.array([false_positives_allowed(len(noise), fpr) for fpr in fprs], dtype=np.intp)
    missed = np.searchsorted(signal, noise[len(noise) - 1 - allowed], "right")
    return len(signal) - missed, len(signal)


def threshold_at_fpr(noise: NDArray[Any], fpr: float) -> float:
    """The lowest score that no more than `fpr` of the noise windows' scores [N] exceed.

    Raises:
        UserError: `fpr` outside (0, 1).
    """
    position = len(noise) - 1 - false_positives_allowed(len(noise), fpr)
    return float(np.partition(noise, position)[position])


def false_positives_allowed(n_noise: int, fpr: float) -> int:
    """The largest count k with k / n_noise <= fpr; 0 where `n_noise` windows cannot resolve the rate.

    Raises:
        UserError: `fpr` outside (0, 1).
    """
    if not 0.0 < fpr < 1.0:
        raise UserError(f"a false-positive rate of {fpr} sets no threshold; give one between 0 and 1, such as 0.01")
    allowed = int(fpr * n_noise) + 1
    while allowed / n_noise > fpr:
        allowed -= 1
    return allowed


def snr_at_efficiency(snr: ArrayLike, found: ArrayLike, efficiency: float) -> float:
    """The SNR at which the share of signals found passes `efficiency`.

    Read off a logistic curve whose argument is quadratic in the logarithm of the SNR: the usual sigmoid of injection
    campaigns, free to rise faster on one side than on the other. It is fitted by maximum likelihood (Newton's method; a
    slight penalty keeps it finite where signals found and missed do not overlap) and not trusted beyond the signals:
    the result is clipped to the range of their SNRs.

    Args:
        snr: [N] of the signals, positive.
        found: [N] whether each was found.
        efficiency: between 0 and 1.
    """
    from scipy.special import expit, logit

    values, hits = np.asarray(snr, dtype=np.float64), np.asarray(found, dtype=np.float64)
    lowest, highest = float(values.min()), float(values.max())
    logs = np.log(np.maximum(values, np.finfo(np.float64).tiny))
    centre, width = float(logs.mean()), float(logs.std()) or 1.0
    x = np.vander((logs - centre) / width, 3, increasing=True)  # [N, 3]
    penalty, weight = np.diag([1e-6, 1e-3, 1e-3]), np.zeros(3)
    for _ in range(100):
        expected = expit(x @ weight)
        slope = x.T @ (hits - expected) - penalty @ weight
        step = np.linalg.solve(x.T @ (x * (expected * (1.0 - expected))[:, None]) + penalty, slope)
        step /= max(1.0, float(np.abs(step).max()))
        weight += step
        if np.abs(step).max() < 1e-8:
            break
    excess, rise, bend = float(weight[0] - logit(efficiency)), float(weight[1]), float(weight[2])
    under_root = rise**2 - 4.0 * bend * excess
    if under_root < 0.0 or (rise <= 0.0 and bend <= 0.0):  # it never rises to there
        return lowest if excess >= 0.0 else highest
    root = under_root**0.5
    passed = -2.0 * excess / (rise + root) if rise > 0.0 else (root - rise) / (2.0 * bend)
    with np.errstate(over="ignore"):
        return float(np.clip(np.exp(centre + passed * width), lowest, highest))


def binomial_interval(successes: float, trials: int, level: float = 0.95) -> Interval:
    """A proportion with the Clopper-Pearson interval, which covers at least `level` for every true proportion.

    Clopper & Pearson, Biometrika 26 (1934) 404, by quantiles of the beta distribution.

    Args:
        successes: between 0 and `trials`; a fraction where halves are counted, as for ties.
        trials: 1 or more.
        level: confidence of the two-sided interval.

    Raises:
        ValueError: a count or a level out of range.
    """
    from scipy.stats import beta

    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials is no proportion")
    tail = (1.0 - _checked_level(level)) / 2.0
    misses = trials - successes
    low = float(beta.ppf(tail, successes, misses + 1)) if successes > 0 else 0.0
    high = float(beta.ppf(1.0 - tail, successes + 1, misses)) if misses > 0 else 1.0
    return Interval(successes / trials, low, high)


def _normal_quantile(level: float) -> float:
    """How many standard deviations either side hold `level` of a normal distribution."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + _checked_level(level) / 2.0))


def _checked_level(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise ValueError(f"a confidence level lies between 0 and 1, such as 0.95, not {level}")
    return level


def _checked(label: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    """Which windows are signals [N], and the scores [M, N] as float64."""
    labels: NDArray[Any] = np.asarray(label)
    values = np.asarray(scores, dtype=np.float64)
    if labels.ndim != 1 or values.ndim != 2 or values.shape[1] != len(labels):
        raise ValueError(f"labels {labels.shape} and scores {values.shape} are not [N] and [M, N]")
    is_signal: NDArray[np.bool_] = labels == 1
    if not np.all(is_signal | (labels == 0)):
        raise ValueError("a ROC curve takes the labels 0 and 1 alone; drop unlabelled windows first")
    n_signal, n = int(is_signal.sum()), len(labels)
    if n_signal in (0, n):
        raise UserError(f"a ROC curve needs windows of both classes; of these {n}, {n_signal} are signals")
    unknown = int(np.isnan(values).any(axis=0).sum())
    if unknown:
        raise UserError(
            f"{unknown} of {n} scores are NaN; the method that gave them diverged, so lower its learning rate"
        )
    return is_signal, values
