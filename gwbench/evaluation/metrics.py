"""What a record says of a method's test scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from gwbench.errors import UserError
from gwbench.evaluation.labelled import known_rows
from gwbench.evaluation.statistics import (
    Interval,
    auc_interval,
    average_precision,
    false_positives_allowed,
    snr_at_efficiency,
    threshold_at_fpr,
    tpr_at_fpr,
)

Array = NDArray[Any]

LEVEL = 0.95
"""Confidence of every interval in `Metrics`."""

SNR_EDGES = (0.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0)
"""Lower edges of the bins in optimal network SNR; the last bin has no upper edge."""


ENOUGH_SIGNALS = 10
"""Signals of known SNR without which no SNR is told at which half are found."""


class SnrBin(BaseModel):
    """The signals with low <= optimal network SNR < high, against all noise windows.

    Attributes:
        low, high: edges; `high` is None in the last bin, which has no upper edge.
        n: signals in the bin.
        auc: ROC-AUC.
        tpr_at_fpr: as in `Metrics`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: float
    high: float | None
    n: int
    auc: Interval
    tpr_at_fpr: dict[str, Interval | None]


class SnrAtHalf(BaseModel):
    """The optimal network SNR at which half the signals are found (`statistics.snr_at_efficiency`).

    Attributes:
        value: at `low`, more than half are found at any SNR that there is; at `high`, fewer.
        low, high: the range of the signals' SNRs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float
    low: float
    high: float


class Metrics(BaseModel):
    """The figures of one set of test scores. Holds no NaN: what cannot be known is None or left out.

    Attributes:
        auc: ROC-AUC with DeLong's interval (`statistics.auc_interval`).
        average_precision: area under precision against recall.
        tpr_at_fpr: efficiency by false-positive rate, keyed "0.01", "0.001". None where the test split has
            fewer than 1 / rate noise windows: the threshold would be the loudest of them, and the true rate
            behind it unknown and most likely higher than the one named.
        per_snr_bin: by optimal network SNR; bins without signals are left out, and signals of unknown SNR
            are in none.
        snr_at_half: by false-positive rate; rates that `tpr_at_fpr` has None for are left out, and it is empty with
            fewer than ten signals of known SNR, or where the record is older than this figure.
        knn_auc: ROC-AUC of a nearest-neighbour score on the same embeddings, where there are any.
        level: confidence of every interval.
        n_test: windows scored, n_signal + n_noise.
        n_signal, n_noise: windows of each class.
        n_unlabelled: windows of the test split that were left out because their label is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    auc: Interval
    average_precision: float
    tpr_at_fpr: dict[str, Interval | None]
    per_snr_bin: tuple[SnrBin, ...]
    snr_at_half: dict[str, SnrAtHalf] = {}
    knn_auc: Interval | None = None
    level: float
    n_test: int
    n_signal: int
    n_noise: int
    n_unlabelled: int


def evaluate_scores(
    label: Array,
    score: Array,
    snr: Array,
    *,
    knn_score: Array | None = None,
    efficiency_fpr: Sequence[float] = (1e-2, 1e-3),
    snr_edges: Sequence[float] = SNR_EDGES,
) -> Metrics:
    """All figures of one set of test scores.

    Args:
        label: [N] 1 signal, 0 noise; other values and NaN mean unlabelled and are left out.
        score: [N], larger for "signal"; only those of labelled windows are read.
        snr: [N] optimal network SNR; NaN where unknown. Not read for noise.
        knn_score: [N] scores of the nearest neighbours, if any.
        efficiency_fpr: false-positive rates for `Metrics.tpr_at_fpr`.
        snr_edges: ascending lower edges of the SNR bins; without any there are no bins.

    Raises:
        UserError: the labelled windows are of one class, or one of their scores is NaN.
        ValueError: the arrays differ in length, the edges do not ascend, or a signal's SNR is below the lowest.
    """
    if not label.shape == score.shape == snr.shape == (len(label),):
        raise ValueError(f"label {label.shape}, score {score.shape} and snr {snr.shape} are not all [N]")
    labelled = known_rows(label)
    is_signal = label[labelled] == 1
    n_test, n_signal = len(is_signal), int(is_signal.sum())
    if n_signal in (0, n_test):
        raise UserError(
            f"The test split has {n_signal} signal and {n_test - n_signal} noise windows with a label; "
            "it needs some of both, so use a dataset or a part of it that has them."
        )
    scores, rates = score[labelled], tuple(efficiency_fpr)
    return Metrics(
        auc=auc_interval(is_signal, scores, LEVEL),
        average_precision=average_precision(is_signal, scores),
        tpr_at_fpr=_efficiencies(is_signal, scores, rates),
        per_snr_bin=_per_snr_bin(is_signal, scores, snr[labelled], rates, snr_edges) if len(snr_edges) else (),
        snr_at_half=snrs_at_half(is_signal, scores, snr[labelled], rates),
        knn_auc=None if knn_score is None else auc_interval(is_signal, knn_score[labelled], LEVEL),
        level=LEVEL,
        n_test=n_test,
        n_signal=n_signal,
        n_noise=n_test - n_signal,
        n_unlabelled=len(label) - n_test,
    )


def snrs_at_half(is_signal: Array, score: Array, snr: Array, rates: Sequence[float]) -> dict[str, SnrAtHalf]:
    """`Metrics.snr_at_half` of labelled windows: [N] bool, [N] and [N]."""
    known = is_signal & np.isfinite(snr)
    if np.count_nonzero(known) < ENOUGH_SIGNALS:
        return {}
    noise, by_rate = score[~is_signal], {}
    for rate in rates:
        if false_positives_allowed(len(noise), rate) > 0:
            above = score[known] > threshold_at_fpr(noise, rate)
            value = snr_at_efficiency(snr[known], above, 0.5)
            low, high = float(snr[known].min()), float(snr[known].max())
            by_rate[f"{rate:g}"] = SnrAtHalf(value=min(max(value, low), high), low=low, high=high)
    return by_rate


def _efficiencies(is_signal: Array, score: Array, rates: tuple[float, ...]) -> dict[str, Interval | None]:
    n_noise = int(np.count_nonzero(~is_signal))
    by_rate: dict[str, Interval | None] = {}
    for rate in rates:
        resolved = false_positives_allowed(n_noise, rate) > 0
        by_rate[f"{rate:g}"] = tpr_at_fpr(is_signal, score, rate, LEVEL) if resolved else None
    return by_rate


def _per_snr_bin(
    is_signal: Array, score: Array, snr: Array, rates: tuple[float, ...], edges: Sequence[float]
) -> tuple[SnrBin, ...]:
    if np.any(np.diff(edges) <= 0):
        raise ValueError(f"SNR edges must ascend: {tuple(edges)}")
    known = is_signal & np.isfinite(snr)
    if np.any(snr[known] < edges[0]):
        raise ValueError(f"a signal has an SNR of {snr[known].min():g}, below the lowest edge {edges[0]:g}")
    bins = []
    for low, high in zip(edges, (*edges[1:], np.inf), strict=True):
        inside = known & (snr >= low) & (snr < high)
        if not inside.any():
            continue
        part = inside | ~is_signal
        bins.append(
            SnrBin(
                low=low,
                high=None if np.isinf(high) else high,
                n=int(inside.sum()),
                auc=auc_interval(is_signal[part], score[part], LEVEL),
                tpr_at_fpr=_efficiencies(is_signal[part], score[part], rates),
            )
        )
    return tuple(bins)
