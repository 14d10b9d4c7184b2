"""How windows of one array are drawn into three splits: by class, or by groups that stay together."""

from __future__ import annotations

import numpy as np

from gwbench import seeds
from gwbench.data.dataset import Array
from gwbench.errors import UserError

CLASSES = {1: "signal", 0: "noise"}


def draw_splits(
    label: Array, groups: Array | None, *, val_fraction: float, test_fraction: float, seed: int
) -> dict[str, Array]:
    """Positions of every split, in an order that is drawn too, so that the first windows hold both classes.

    Without groups each class is divided by the fractions, and unlabelled windows join the training split. With groups,
    whole groups are drawn into the test split and then into the validation split until these hold their share of the
    labelled windows; what is unlabelled there is left out, since its source is known to the test.

    Args:
        label: [N] 1, 0 or -1; all -1 where nothing is labelled, and then windows are drawn like a class.
        groups: [N] equal numbers for windows that stay together; None where each stands for itself.
        val_fraction, test_fraction: shares of the labelled windows.
        seed: of the draw.
    """
    rng = seeds.numpy_generator(seed, "data")
    counted = label >= 0 if (label >= 0).any() else np.ones(len(label), dtype=bool)
    place = np.zeros(len(label), dtype=np.int8)  # 0 train, 1 val, 2 test, -1 left out
    shares = {2: test_fraction, 1: val_fraction}
    if groups is None:
        for value in np.unique(label[counted]):
            rows = rng.permutation(np.flatnonzero(counted & (label == value)))
            for split, share in shares.items():
                taken, rows = np.split(rows, [_share(share, int((counted & (label == value)).sum()))])
                place[taken] = split
    else:
        order = rng.permutation(int(groups.max()) + 1)
        sizes = np.bincount(groups, weights=counted, minlength=len(order)).astype(int)
        left = list(order)
        for split, share in shares.items():
            wanted, held = share * int(counted.sum()), 0
            while left and held < wanted:
                group = left.pop(0)
                place[groups == group] = split
                held += sizes[group]
        place[(place > 0) & ~counted] = -1
    shuffled = rng.permutation(len(label))
    return {name: shuffled[place[shuffled] == number] for number, name in enumerate(("train", "val", "test"))}


def _share(fraction: float, count: int) -> int:
    """How many of a class a split gets: its share, rounded, and one at least where there are three or more."""
    return max(round(fraction * count), 1 if count >= 3 else 0)


def refuse_one_class(name: str, label: Array, hint: str) -> None:
    """Raise `UserError` unless a split has labelled windows of both classes, and no unlabelled ones but in training."""
    counts = {word: int((label == value).sum()) for value, word in CLASSES.items()}
    for word, count in counts.items():
        if count == 0:
            held = ", ".join(f"{number} {each}" for each, number in counts.items())
            raise UserError(
                f"The {name} split has no window labelled {word} ({held}, {int((label < 0).sum())} unlabelled): a "
                f"probe needs both classes in every split. {hint}"
            )
    if name != "train" and (label < 0).any():
        raise UserError(
            f"The {name} split has {int((label < 0).sum())} windows without a label: they belong to the training split."
        )
