"""Start and sample rate of a series by the dataset of times beside it."""

from __future__ import annotations

import numpy as np

from gwbench.data.strain_files.hdf5_facts import RECORDED, Facts
from gwbench.errors import UserError

TIMES = frozenset({"time", "times", "timestamps", "timearray", "gpstimes", "gpstime", "gps", "t", "sampletimes"})
"""Names of such datasets, without case and punctuation."""

EVEN = 0.1
"""Samples that a time may lie beside its place: times of 1e9 s in float64 are good to 1e-7 s."""

PRECISION = 2e-6
"""Seconds, about, to which the length of a column of times is known."""


def time_axis(facts: Facts) -> tuple[float | None, float] | None:
    """The GPS start and the sample rate in Hz; None where no dataset of times lies beside the series.

    Times that begin at 0 say the rate alone.

    Raises:
        UserError: the times are not evenly spaced.
    """
    dataset, group = facts.found.dataset, facts.found.groups[0]
    for name in facts.names_beside():
        times = facts.tree.get(group, name) if "".join(filter(str.isalnum, name.lower())) in TIMES else None
        if times is None or getattr(times, "shape", None) != dataset.shape or times.dtype.kind not in "fiu":
            continue
        values = np.asarray(facts.tree.read(times), np.float64).ravel()
        spacing = (values[-1] - values[0]) / (len(values) - 1)
        if not 0 < spacing < np.inf:
            continue
        rate = 1 / spacing
        if abs(rate - round(rate)) < rate * max(1e-9, PRECISION / (values[-1] - values[0])):
            rate = float(round(rate))
        off = np.abs((values - values[0]) * rate - np.arange(len(values)))
        if not off.max() < EVEN:
            raise UserError(
                f"The strain file {facts.tree.path}: the times in {times.name} are not evenly spaced (sample "
                f"{int(off.argmax())} is the furthest from its place). Write every stretch without a gap by itself."
            )
        return (float(values[0]) if values[0] >= RECORDED else None), round(rate, 6)
    return None


__all__ = ["time_axis"]
