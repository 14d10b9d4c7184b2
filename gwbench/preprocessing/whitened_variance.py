"""Whether strain came out of the whitening as noise of unit variance: if not, scores of it mean nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gwbench.errors import UserError

Floats = NDArray[np.float64]

ODD = (0.7, 1.5)
"""Variances beyond which whitened noise is warned about.

Two-second windows between 20 and 600 Hz scatter by 3 % in Gaussian noise. In 500 s of O3a noise 98 % of them lie
between 0.92 and 1.07, with the PSD of the first 64 s between 0.96 and 1.13, and the medians of 16 windows between 0.99
and 1.07. Around GW150914 all lie between 0.93 and 1.19; a window with a 40-sigma glitch has 2.0. A PSD that is wrong by
half costs a matched filter little and moves what a network sees by a fifth.
"""

WRONG = (0.1, 10.0)
"""Variances beyond which nothing is scored: the amplitude is three times what the method was fitted on, or a third.

The PSD of a simulated detector gives real strain 100 and more: O3a 680, H1 around GW150914 130, L1 110,000.
"""


REFITTED = "Its noise changes within the stretch, or part of it is no strain: measure a shorter stretch."
FITTED = (
    "Its noise is not that of the run's data: measure it anew on the stretch (`conditioner.refit(strain)`), or check "
    "the unit and the detectors' order."
)
"""What to do about strain that is not white, by whether the conditioner was refitted on it."""


def window_variance(conditioned: Tensor) -> Tensor:
    """The variance [N, D] of every conditioned window [N, D, T]; its mean is zero, as the band begins above 0 Hz."""
    return conditioned.square().mean(dim=-1)


def median_variance(variances: Tensor) -> Floats:
    """The variance [D] of windows, from that of each [N, D]: the median over them, which a glitch hardly moves."""
    return np.asarray(np.median(variances.double().cpu().numpy(), axis=0))


def variance_warning(
    variance: Sequence[float] | Floats, detectors: Sequence[str], *, refitted: bool = False, advice: str = ""
) -> str:
    """What is to be said of whitened strain of such a variance [D]; empty where nothing is.

    Args:
        variance: of each detector, in units of what the conditioner gives of its own noise.
        detectors: names.
        refitted: whether the conditioner was measured on this very stretch.
        advice: what to do about it; by default by whether the conditioner was refitted.

    Raises:
        UserError: it is so far from 1 that scores would mean nothing.
    """
    odd = [d for d, value in enumerate(variance) if not ODD[0] <= value <= ODD[1]]
    if not odd:
        return ""
    values = ", ".join(f"{variance[d]:.3g} in {detectors[d]}" for d in odd)
    said = f"The whitened strain has a variance of {values}, where noise should have 1"
    advice = advice or (REFITTED if refitted else FITTED)
    if any(not WRONG[0] <= variance[d] <= WRONG[1] for d in odd):
        raise UserError(f"{said}: scores of it would mean nothing. {advice}")
    return f"{said}. {advice}"


__all__ = ["ODD", "WRONG", "median_variance", "variance_warning", "window_variance"]
