"""Axes for shares near one: their logit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EDGE = 1e-3
"""Shares nearer to 0 or 1 than this stand at this distance on a logit axis."""

TICKS = (0.5, 0.9, 0.99, 0.1, 0.01, 0.8, 0.95, 0.98, 0.7, 0.6, 0.995, 0.3, 0.97, 0.2, 0.4, 0.85, 0.96, 0.05, 0.02,
         0.94, 0.92, 0.75, 0.65, 0.55, 0.93, 0.91, 0.985, 0.975, 0.998)  # fmt: skip
"""Where a logit axis may be marked, those that say most first."""


def squeezed(share: float) -> float:
    """The logit, finite at 0 and 1."""
    inside = min(max(share, EDGE), 1.0 - EDGE)
    return math.log(inside / (1.0 - inside))


def ticks_between(low: float, high: float, most: float) -> list[float]:
    """Of `TICKS` from low to high, some that are spread about evenly, at most so many."""
    apart = (squeezed(high) - squeezed(low)) / max(most, 1.0)
    kept: list[float] = []
    for tick in TICKS:
        if low <= tick <= high and all(abs(squeezed(tick) - squeezed(other)) >= apart for other in kept):
            kept.append(tick)
    return sorted(kept)


def logit_axis(axes: Axes, values: Sequence[float]) -> None:
    """Make the x axis a logit one that holds some shares."""
    from scipy.special import expit

    def forward(share: Any) -> Any:
        inside = np.clip(share, EDGE, 1.0 - EDGE)
        return np.log(inside / (1.0 - inside))

    low, high = squeezed(min(values)), squeezed(max(values))
    pad = 0.05 * (high - low) or 0.1
    low, high = float(expit(low - pad)), float(expit(high + pad))
    ticks = ticks_between(low, high, 9)
    axes.set_xscale("function", functions=(forward, expit))
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
