"""The periodic series that signals are transformed on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench.simulation.waveforms import highest_mode, signal_seconds

SHORTEST_GRID = 4.0
"""Seconds; the shortest time series a signal is transformed on."""

RINGING = 0.5
"""Seconds kept free on it: the sharp start at f_low rings on, at f_low.

What of that reaches a kept segment of 2.5 s is at most 6.5 % of the signal's root-mean-square, 1 % once whitened.
"""


def grid_seconds(
    params: Mapping[str, NDArray[Any]], times: NDArray[np.float64], kept: float, *, approximant: str, f_low: float
) -> NDArray[np.float64]:
    """The lengths of periodic series on which no signal's start wraps around into what is kept.

    Args:
        params: `mass_1`, `mass_2` (solar masses), `spin_1z`, `spin_2z`, each [n].
        times: [n] seconds from the start of the series to coalescence.
        kept: seconds from the start of the series.
        approximant: see `gwbench.simulation.waveforms.polarizations`.
        f_low: Hz, where signals begin.

    Returns:
        [n] seconds, powers of two.
    """
    columns = (np.asarray(params[name]).tolist() for name in ("mass_1", "mass_2", "spin_1z", "spin_2z"))
    # Mode m is at f_low when the orbit goes round f_low / m times a second.
    orbital = 2 / highest_mode(approximant) * f_low
    lengths = np.array([signal_seconds(*four, f_low=orbital) for four in zip(*columns, strict=True)])
    needed = kept + np.maximum(lengths - times, 0) + RINGING
    return np.asarray(np.maximum(SHORTEST_GRID, 2.0 ** np.ceil(np.log2(needed))))


__all__ = ["RINGING", "SHORTEST_GRID", "grid_seconds"]
