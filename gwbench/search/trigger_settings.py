"""What becomes a trigger of a scan, and what its background is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from gwbench.errors import UserError
from gwbench.search.score_series import ScoreSeries
from gwbench.search.time_slides import ZeroLag
from gwbench.search.triggers import CLUSTER_WINDOW, VAR, local_maxima, steps_within

RATE = 1 / 30.0
"""Triggers per second that are kept where no threshold is given: far more than any false-alarm rate of interest."""

FEWEST = 100
"""Triggers that are kept at least, where there are as many."""


@dataclass(frozen=True)
class TriggerSettings:
    """What becomes a trigger, and its background.

    Attributes:
        threshold: triggers have scores above it; None for what leaves about two triggers a minute, and 100 at least.
        cluster_window: s; a trigger has no louder score within it.
        var: s of a trigger within which an injection counts as found.
        slides: time slides of the background, 0 for none; by default enough for 100 times the live time, where the
            method is a sum over detectors.
        zero_lag: whether time around the loud triggers is "removed" from the slides, or "kept".
    """

    threshold: float | None = None
    cluster_window: float = CLUSTER_WINDOW
    var: float = VAR
    slides: int | None = None
    zero_lag: ZeroLag = "removed"

    def __post_init__(self) -> None:
        for name, value, least in (("cluster-window", self.cluster_window, 0.0), ("var", self.var, 0.0)):
            if not least <= value < float("inf"):
                raise UserError(f"--{name} {value:g}: expected seconds, such as {VAR:g}.")
        if self.threshold is not None and not np.isfinite(self.threshold):
            raise UserError(f"--threshold {self.threshold:g}: expected a score, such as 0.")

    def above(self, threshold: float) -> TriggerSettings:
        """The same with a threshold."""
        return replace(self, threshold=threshold)

    def described(self) -> dict[str, Any]:
        """By name, as JSON has them."""
        return asdict(self)

    def words(self) -> list[str]:
        """The options of `gwbench scan` that say them."""
        usual = TriggerSettings().described()
        changed = {name: value for name, value in self.described().items() if value != usual[name]}
        return [word for name, value in changed.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def usual_threshold(series: Sequence[ScoreSeries], cluster_window: float) -> float:
    """The threshold above which a scan has about two triggers a minute, and `FEWEST` where there are as many."""
    peaks = [one.score[local_maxima(one.score, -np.inf, steps_within(cluster_window, one.step))] for one in series]
    scores = np.sort(np.concatenate(peaks))[::-1]
    most = max(FEWEST, round(RATE * sum(one.livetime for one in series)))
    if len(scores) > most:
        return float(scores[most])
    return float(np.nextafter(scores[-1], -np.inf)) if len(scores) else 0.0


__all__ = ["TriggerSettings", "usual_threshold"]
