"""Which windows of one array go to train, validation and test."""

from __future__ import annotations

import numpy as np

from gwbench.data.dataset import Array


def assign_splits(
    label: Array, group: Array | None, val_fraction: float, test_fraction: float, rng: np.random.Generator
) -> tuple[dict[str, Array], int]:
    """Positions of the windows of every split, in ascending order, and how many windows are in none.

    Without groups, shares are drawn class by class, and windows without a label go to train. With groups, whole groups
    are drawn until a split has its share of the labelled windows; windows without a label stay with their group, and
    serve nothing outside the training split.

    Args:
        label: [N] of 1, 0 or -1.
        group: [N] of anything, or None.
        val_fraction, test_fraction: of the labelled windows.
        rng: draws them.
    """
    place = np.zeros(len(label), dtype=np.int8)  # 0 train, 1 validation, 2 test
    if group is None:
        for value in (0, 1):
            drawn = rng.permutation(np.flatnonzero(label == value))
            test, val = round(test_fraction * len(drawn)), round(val_fraction * len(drawn))
            place[drawn[:test]], place[drawn[test : test + val]] = 2, 1
    else:
        _, member = np.unique(group, return_inverse=True)
        order = rng.permutation(member.max() + 1)
        labelled = np.bincount(member, weights=label >= 0)[order]
        before = (np.cumsum(labelled) - labelled) / max(labelled.sum(), 1)
        of_group = np.select([before < test_fraction, before < test_fraction + val_fraction], [2, 1], 0)
        of_group[labelled == 0] = 0
        place = of_group[np.argsort(order)][member].astype(np.int8)
    left_out = (place > 0) & (label < 0)
    positions = {
        name: np.flatnonzero((place == number) & ~left_out) for number, name in enumerate(("train", "val", "test"))
    }
    return positions, int(left_out.sum())
