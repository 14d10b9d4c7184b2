"""The numbers behind the figures of a report, apart from how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwbench import seeds
from gwbench.evaluation.metrics import LEVEL, Array
from gwbench.evaluation.statistics import binomial_interval, false_positives_allowed, threshold_at_fpr

FPRS = (1e-2, 1e-3)
"""False-positive rates of efficiencies, as records have them."""

GRID = 240
"""False-positive rates at which a ROC curve is told, at most."""

REPLICATES = 1000
"""Resamples of the test windows behind a band."""

BINS, LEAST_SIGNALS = 12, 25
"""Bins in SNR at most, and signals that one should hold."""

SCORE_BINS = 60


@dataclass(frozen=True)
class Roc:
    """A ROC curve where the false positives are whole windows.

    Attributes:
        fpr: [K], from one noise window to all of them.
        tpr: [K], the share of signals above the lowest threshold that keeps to the rate (`statistics.tpr_at_fpr`).
        low, high: [K], a pointwise interval.
    """

    fpr: Array
    tpr: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Efficiency:
    """The share of signals found at a false-positive rate, in bins of optimal network SNR.

    Attributes:
        rate: of false positives.
        snr: [K] mean of the signals in a bin.
        n: [K] signals.
        value, low, high: [K] the share, with Wilson's interval.
    """

    rate: float
    snr: Array
    n: Array
    value: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Histogram:
    """Scores by label: edges [K + 1], noise and signal counts [K], and the infinite ones that have no bin."""

    edges: Array
    noise: Array
    signal: Array
    infinite: int


def roc(label: Array, score: Array, *, level: float = LEVEL, replicates: int = REPLICATES) -> Roc:
    """The ROC curve with a pointwise band.

    The band is the percentile bootstrap of the efficiency at a fixed false-positive rate, signals and noise windows
    resampled each among themselves: it holds the scatter of the threshold as well, which the binomial interval of the
    signals at the threshold leaves out (Hall, Hyndman & Fan, Biometrika 91 (2004) 743, compare the two). Where all or
    no signals are found the bootstrap knows no scatter: the band is nowhere narrower than Clopper and Pearson's.

    Args:
        label: [N] 0 or 1.
        score: [N].
        level: confidence of the interval at every point.
        replicates: resamples.
    """
    noise = np.sort(score[label == 0])[::-1]
    signal = np.sort(score[label == 1])[::-1]
    allowed = np.unique(np.geomspace(1, len(noise), GRID).round().astype(int))  # [K] false positives
    above = np.searchsorted(-signal, -noise, side="left")  # [n_noise] signals that outscore each noise window
    found = np.append(above, len(signal))[allowed]  # the threshold is the first noise window that is one too many
    rng, drawn = seeds.numpy_generator(0, "diagnostics"), np.empty((replicates, len(allowed)))
    for row in drawn:
        noise_sum, signal_sum = (_resampled(rng, len(each)) for each in (noise, signal))
        first = np.searchsorted(noise_sum, allowed, side="right")
        row[:] = np.append(0, signal_sum)[np.append(above, len(signal))[first]] / len(signal)
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail], axis=0)
    exact = [binomial_interval(int(count), len(signal), level) for count in found]
    return Roc(
        fpr=allowed / len(noise),
        tpr=found / len(signal),
        low=np.minimum(low, [each.low for each in exact]),
        high=np.maximum(high, [each.high for each in exact]),
    )


def _resampled(rng: np.random.Generator, n: int) -> Array:
    """How often each of n was drawn, when n are drawn with replacement, summed up: [n]."""
    return np.cumsum(np.bincount(rng.integers(n, size=n), minlength=n))


def efficiencies(
    label: Array, score: Array, snr: Array, rates: Sequence[float], level: float = LEVEL
) -> list[Efficiency]:
    """Efficiency against SNR at each rate that the noise windows resolve; bins hold about as many signals each.

    Args:
        label: [N] 0 or 1.
        score: [N].
        snr: [N] optimal network SNR; signals of unknown SNR are left out.
        rates: of false positives.
        level: confidence of the intervals.
    """
    noise, known = score[label == 0], (label == 1) & np.isfinite(snr)
    count = int(known.sum())
    if not count:
        return []
    known_snr = snr[known].astype(np.float64)
    bins = int(np.clip(count // LEAST_SIGNALS, 1, BINS))
    edges = np.unique(np.quantile(known_snr, np.linspace(0, 1, bins + 1)))
    place = np.clip(np.searchsorted(edges, known_snr, side="right") - 1, 0, max(len(edges) - 2, 0))
    n = np.bincount(place)
    centre = np.bincount(place, known_snr) / n
    curves = []
    for rate in rates:
        if false_positives_allowed(len(noise), rate) > 0:
            hits = np.bincount(place, score[known] > threshold_at_fpr(noise, rate))
            low, high = wilson(hits, n, level)
            curves.append(Efficiency(rate, centre, n, hits / n, low, high))
    return curves


def wilson(hits: Array, n: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """The score interval of proportions: Wilson, Journal of the American Statistical Association 22 (1927) 209."""
    from scipy.special import ndtri

    z = float(ndtri(0.5 + level / 2))
    share = hits / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.clip(centre - reach, 0.0, share), np.clip(centre + reach, share, 1.0)


def score_histogram(label: Array, score: Array, bins: int = SCORE_BINS) -> Histogram:
    """How the scores of signals and of noise are spread, in bins of equal width over all finite ones."""
    finite = np.isfinite(score)
    low, high = (float(score[finite].min()), float(score[finite].max())) if finite.any() else (0.0, 0.0)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    noise, signal = (np.histogram(score[finite & (label == which)], edges)[0] for which in (0, 1))
    return Histogram(edges, noise, signal, int((~finite).sum()))


@dataclass(frozen=True)
class Redundancy:
    """A cross-correlation matrix in three numbers.

    Attributes:
        diagonal: its mean on the diagonal; 1 where both views give the same projection.
        off_diagonal: the root mean square of the rest, 0 where the dimensions have nothing in common.
        chance: what the rest would be of as many windows with nothing in common, 1 / sqrt(N).
    """

    diagonal: float
    off_diagonal: float | None
    chance: float


def redundancy(matrix: Array, windows: int) -> Redundancy:
    """What a cross-correlation matrix [K, K] over so many windows says."""
    values = matrix.astype(np.float64)
    rest = values[~np.eye(len(values), dtype=bool)]
    off = float(np.sqrt(np.mean(rest**2))) if rest.size else None
    return Redundancy(float(np.diag(values).mean()), off, windows**-0.5)
