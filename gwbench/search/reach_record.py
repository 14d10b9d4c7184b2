"""What a search record says of its reach."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gwbench.utils.models import FrozenModel

Count = Annotated[int, Field(ge=0)]
NonNegative = Annotated[float, Field(ge=0)]


class ReachPoint(FrozenModel):
    """Sensitive volume and distance at one false-alarm rate.

    Attributes:
        far: false alarms a month of 30 days.
        threshold: the score that an injection's trigger must be above; None where the background has no more events
            than this rate allows, so that every trigger counts.
        events: of the background above the threshold; None where it was not written.
        volume, volume_error: Mpc^3, and its standard deviation.
        distance: Mpc, of the ball that has this volume.
        distance_error: Mpc; the volume's, to first order: distance volume_error / (3 volume).
        found: injections with a trigger above the threshold.
        injections: those that count.
    """

    far: Annotated[float, Field(gt=0)]
    threshold: float | None
    events: Count | None = None
    volume: NonNegative
    volume_error: NonNegative
    distance: NonNegative
    distance_error: NonNegative
    found: Count
    injections: Count


class FoundShare(FrozenModel):
    """How many injections of one bin were found at one false-alarm rate.

    Attributes:
        far: false alarms a month of 30 days.
        by: "snr" (optimal network SNR), "chirp_mass" (solar masses) or "distance" (Mpc).
        low, high: the bin; `low` belongs to it, and so does `high` of the last bin.
        found, injections: in it.
        share, share_low, share_high: found by injections, and its 95 % interval (Clopper-Pearson).
    """

    far: Annotated[float, Field(gt=0)]
    by: Literal["snr", "chirp_mass", "distance"]
    low: float
    high: float
    found: Count
    injections: Count
    share: Annotated[float, Field(ge=0, le=1)]
    share_low: Annotated[float, Field(ge=0, le=1)]
    share_high: Annotated[float, Field(ge=0, le=1)]


class InjectionsUsed(FrozenModel):
    """The injections of a search.

    Attributes:
        sha256: of their file.
        name: the file's.
        count: that count: 30 s or more within a segment.
        weighting: "volume" where each counts alike, "chirp-distance" where each stands for its chirp mass's volume.
    """

    sha256: str
    name: str
    count: Count
    weighting: Literal["volume", "chirp-distance"]
