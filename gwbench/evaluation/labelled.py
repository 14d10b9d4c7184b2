"""Which training windows lend their labels, and what is said where a class has none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench.errors import UserError

Array = NDArray[Any]


def draw_labelled(label: Array, fraction: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the training windows whose labels may be used: the same share of either class, one at least.

    With generators in the same state, the draw of a smaller fraction lies within that of a larger one.

    Args:
        label: [N] 1 signal, 0 noise, anything else unlabelled.
        fraction: of the labelled windows, above 0 and up to 1.
        rng: the only source of randomness.

    Returns:
        Ascending positions in `label`.

    Raises:
        UserError: a fraction out of range, or a class without windows.
    """
    if not 0.0 < fraction <= 1.0:
        raise UserError(f"A label fraction of {fraction} is not above 0 and up to 1; the default is 0.25.")
    drawn = []
    for value, name in ((0, "noise"), (1, "signal")):
        positions = np.flatnonzero(label == value)
        if not len(positions):
            raise UserError(one_class(label, "training", name))
        keep = max(1, int(np.floor(fraction * len(positions) + 0.5)))
        drawn.append(rng.permutation(positions)[:keep])
    return np.sort(np.concatenate(drawn))


def known_rows(label: Array) -> NDArray[np.intp]:
    """Ascending positions in `label` [N] of the windows that are labelled noise, 0, or signal, 1."""
    return np.flatnonzero((label == 0) | (label == 1))


def one_class(label: Array, split: str, missing: str) -> str:
    """What is said of a split that has no window of a class: "signal" or "noise"."""
    return (
        f"The {split} split has no {missing} window with a label (of {len(label)} windows, "
        f"{np.count_nonzero(label == 1)} are labelled signal and {np.count_nonzero(label == 0)} noise); "
        "a probe needs both classes. Use a dataset, or more of it, that has them."
    )
