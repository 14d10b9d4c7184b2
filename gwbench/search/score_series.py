"""The scores of windows that slide over one segment of strain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRIDE = 0.1
"""Seconds between windows, unless said otherwise."""


@dataclass(frozen=True)
class ScoreSeries:
    """Scores along one coincident segment of strain.

    Attributes:
        start: GPS s of the first window's reference time, which is its centre unless the scorer says better.
        step: s between windows.
        score: [n]; larger is more like a signal.
        parts: [D, n], each detector's part, where the method is a sum over detectors; None where it is not.
        offset: score = parts.sum(0) + offset.
        detectors: [D] names.
    """

    start: float
    step: float
    score: NDArray[np.floating[Any]]
    parts: NDArray[np.floating[Any]] | None = None
    offset: float = 0.0
    detectors: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.score)

    @property
    def livetime(self) -> float:
        """Seconds of strain that the windows stand for: one step for each."""
        return len(self.score) * self.step
