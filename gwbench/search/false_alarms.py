"""False-alarm rates of triggers, counted in a background of events that noise alone makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gwbench.search.record import BackgroundUsed, DetectorPart, RankedTrigger
from gwbench.search.triggers import Trigger

MONTH = 30 * 86_400.0
"""Seconds of a month of 30 days, by which MLGWSC-1 counts false alarms."""

LEVEL = 0.95
"""Confidence of the two-sided intervals."""

LOUDEST = 1000
"""Events of a background that a record keeps."""

THRESHOLDS = 200
"""Thresholds at which a record counts the events of a background."""

SLACK = 0.02
"""Of an event: what the ends of segments cost of a live time must not turn 5 allowed events into 4."""

Floats = NDArray[np.float64]


class FalseAlarms(NamedTuple):
    """False-alarm rates.

    Attributes:
        far: events a month of 30 days.
        low, high: their Poisson interval; an upper limit where no event was counted.
        ifar: s; infinite where no event was counted.
    """

    far: Floats
    low: Floats
    high: Floats
    ifar: Floats


@dataclass(frozen=True)
class Background:
    """Events of noise alone.

    Attributes:
        score: [n] in rising order.
        livetime: s in which they were counted; of all slides together.
        slides: how many time slides; 0 for strain without signals.
        zero_lag: whether the strain around the foreground's loud triggers was removed from the slides; None for
            strain without signals.
        removed: s that this took from the live time.
        whole: whether all events are there, or only the loudest, as a record keeps them.
    """

    score: Floats
    livetime: float
    slides: int = 0
    zero_lag: Literal["removed", "kept"] | None = None
    removed: float = 0.0
    whole: bool = True

    @classmethod
    def of(cls, scores: ArrayLike, livetime: float, **facts: Any) -> Background:
        """From scores in any order.

        Raises:
            ValueError: a score is NaN, or the live time is negative or infinite.
        """
        score = np.sort(np.asarray(scores, np.float64).ravel())
        if np.isnan(score).any() or not 0 <= livetime < np.inf:
            raise ValueError(f"a background needs scores and a live time, not NaN and {livetime}")
        return cls(score, float(livetime), **facts)

    @classmethod
    def recorded(cls, used: BackgroundUsed) -> Background:
        """The loudest events of a record's background."""
        known = {"slides": used.slides, "zero_lag": used.zero_lag}
        whole = len(used.loudest) >= max(used.counts, default=len(used.loudest))
        return cls.of(used.loudest, used.livetime, **known, whole=whole)

    def count(self, score: ArrayLike) -> NDArray[np.int64]:
        """How many events are as loud as some scores, or louder."""
        return len(self.score) - np.searchsorted(self.score, np.asarray(score, np.float64), side="left")

    def false_alarms(self, score: ArrayLike, level: float = LEVEL) -> FalseAlarms:
        """The false-alarm rates of some scores.

        Raises:
            ValueError: the background has no live time.
        """
        if not self.livetime:
            raise ValueError("a background without live time has no rates")
        counts = self.count(score)
        low, high = poisson_interval(counts, level)
        months = self.livetime / MONTH
        with np.errstate(divide="ignore"):
            ifar = self.livetime / np.asarray(counts, np.float64)
        return FalseAlarms(counts / months, low / months, high / months, ifar)

    def threshold(self, far: float) -> float | None:
        """The score that leaves as many louder events as a false-alarm rate allows, as MLGWSC-1 counts them.

        With a live time of T, a rate R allows k = floor(R T) events, and the threshold is the (k + 1)-th largest score,
        which leaves k above it. A background of k events or fewer sets no threshold: all of a
        search's events then are within the rate.

        Args:
            far: events a month of 30 days.

        Returns:
            the score; minus infinity where every event is within the rate; None where the live time is too short to
            expect one event at this rate, or the event is not among those that were kept.
        """
        k = self.allowed(far)
        if k < 1 or (k >= len(self.score) and not self.whole):
            return None
        return float(self.score[-1 - k]) if k < len(self.score) else -np.inf

    def allowed(self, far: float) -> int:
        """How many events a false-alarm rate (a month) allows in the live time, within `SLACK` of one."""
        return int(np.floor(far * self.livetime / MONTH + SLACK))

    def used(self) -> BackgroundUsed:
        """What a record says of it."""
        n = len(self.score)
        ranks = np.unique(np.geomspace(1, n, THRESHOLDS).round().astype(int))[::-1] if n else np.empty(0, int)
        thresholds = self.score[n - ranks]
        return BackgroundUsed(
            source="slides" if self.slides else "noise",
            livetime=self.livetime,
            slides=self.slides,
            zero_lag=self.zero_lag,
            loudest=tuple(self.score[::-1][:LOUDEST].tolist()),
            thresholds=tuple(thresholds.tolist()),
            counts=tuple(self.count(thresholds).tolist()),
        )


def poisson_interval(counts: ArrayLike, level: float = LEVEL) -> tuple[Floats, Floats]:
    """The central interval of a Poisson mean, of which some events were counted (Garwood, Biometrika 28 (1936) 437).

    Args:
        counts: of events, of any shape.
        level: confidence.

    Returns:
        low and high, of the same shape; the lower end for no event is 0.
    """
    from scipy.stats import chi2

    n = np.asarray(counts, np.float64)
    tail = (1 - level) / 2
    low = np.where(n > 0, chi2.ppf(tail, 2 * np.maximum(n, 1)) / 2, 0.0)
    return low, np.asarray(chi2.isf(tail, 2 * n + 2) / 2)


def ranked(
    triggers: Iterable[Trigger],
    background: Background | None = None,
    probability: Callable[[Floats], ArrayLike] | None = None,
) -> tuple[RankedTrigger, ...]:
    """Triggers as a record has them, loudest first; of equally loud ones, the earlier first.

    Args:
        triggers: in any order.
        background: gives their false-alarm rates.
        probability: of scores [n]: that a window with this score holds a signal.
    """
    ordered = sorted(triggers, key=lambda each: (-each.score, each.time))
    scores = np.array([each.score for each in ordered], np.float64)
    chances = None if probability is None else np.asarray(probability(scores), np.float64)
    return tuple(
        RankedTrigger(
            time=each.time,
            score=each.score,
            var=each.var,
            probability=None if chances is None else float(chances[place]),
            detectors={name: DetectorPart(time=one.time, score=one.score) for name, one in each.detectors.items()},
            rank=place + 1,
            **rates,
        )
        for place, (each, rates) in enumerate(zip(ordered, _significance(scores, background), strict=True))
    )


def ranked_anew(triggers: Iterable[RankedTrigger], background: Background) -> tuple[RankedTrigger, ...]:
    """Triggers of one or several records, loudest first, with ranks and rates of another background."""
    ordered = sorted(triggers, key=lambda each: (-each.score, each.time))
    rates = _significance(np.array([each.score for each in ordered], np.float64), background)
    return tuple(
        each.model_copy(update={"rank": place + 1, **significance})
        for place, (each, significance) in enumerate(zip(ordered, rates, strict=True))
    )


def _significance(scores: Floats, background: Background | None) -> list[dict[str, float | None]]:
    """The rates of some scores, as a record's triggers have them."""
    if background is None or not background.livetime:
        return [dict.fromkeys(("far", "far_low", "far_high", "ifar")) for _ in scores]
    columns = (column.tolist() for column in background.false_alarms(scores))
    return [
        {"far": far, "far_low": low, "far_high": high, "ifar": ifar if ifar < np.inf else None}
        for far, low, high, ifar in zip(*columns, strict=True)
    ]
