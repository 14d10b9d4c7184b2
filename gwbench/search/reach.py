"""The reach of a search: sensitive distance at false-alarm rates, and the share of injections that it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gwbench.errors import UserError
from gwbench.search.event_files import EventList
from gwbench.search.false_alarms import LEVEL, MONTH, Background
from gwbench.search.injection_files import Floats, InjectionList
from gwbench.search.reach_record import FoundShare, ReachPoint
from gwbench.search.sensitive_distance import MARGIN, inside, loudest_true, sensitivity

RATES = (1000.0, 500.0, 200.0, 100.0, 50.0, 20.0, 10.0, 5.0, 2.0, 1.0)
"""False alarms a month of 30 days."""

BINS = 10
"""Of found shares, each with as many injections as the others."""

Weighting = Literal["volume", "chirp-distance"]


@dataclass(frozen=True)
class MeasuredReach:
    """What a search reaches.

    Attributes:
        points: by false-alarm rate, the highest first.
        found: shares by SNR, chirp mass and distance, at the same rates.
        count: injections that count.
        weighting: of the injections.
        unsupported: sentences on rates for which the background is too short.
    """

    points: tuple[ReachPoint, ...]
    found: tuple[FoundShare, ...]
    count: int
    weighting: Weighting
    unsupported: tuple[str, ...]


def measure_reach(
    events: EventList,
    background: Background,
    injections: InjectionList,
    segments: Sequence[tuple[float, float]],
    rates: Sequence[float] = RATES,
) -> MeasuredReach:
    """The reach of a search on strain with injections.

    Args:
        events: what it found, signals and false alarms, in any order.
        background: what it finds in noise.
        injections: all that are in the strain; those 30 s or more within a segment count.
        segments: (start, stop) of the strain, GPS s.
        rates: false alarms a month; of those that the background's live time is too short for there is no point.

    Raises:
        UserError: no injection counts.
    """
    counted = injections.only(inside(injections.tc, segments))
    if not len(counted):
        raise UserError(
            f"None of the {len(injections):,} injections lies {MARGIN:g} s or more within a segment of the strain. "
            "Name the strain and the injections of one set."
        )
    loudest = loudest_true(events, counted.tc)
    wanted = sorted(set(rates), reverse=True)
    known = {rate: background.threshold(rate) for rate in wanted}
    supported = {rate: threshold for rate, threshold in known.items() if threshold is not None}
    figures = sensitivity(loudest, counted, np.array(list(supported.values()), np.float64))
    points = tuple(
        ReachPoint(
            far=rate,
            threshold=threshold if np.isfinite(threshold) else None,
            events=min(background.allowed(rate), len(background.score)),
            found=int(figures.found[k]),
            injections=len(counted),
            volume=float(figures.volume[k]),
            volume_error=float(figures.volume_error[k]),
            distance=float(figures.distance[k]),
            distance_error=float(figures.distance_error[k]),
        )
        for k, (rate, threshold) in enumerate(supported.items())
    )
    found = tuple(
        share for rate, threshold in supported.items() for share in found_shares(rate, loudest > threshold, counted)
    )
    weighting: Weighting = "volume" if counted.chirp_distance is None else "chirp-distance"
    return MeasuredReach(points, found, len(counted), weighting, tuple(_unsupported(background, wanted, supported)))


def found_shares(far: float, found: NDArray[np.bool_], injections: InjectionList) -> list[FoundShare]:
    """The shares found in bins of SNR, chirp mass and distance, with intervals of Clopper and Pearson.

    Args:
        far: at which they were found, for the result.
        found: [I].
        injections: [I], at least one.
    """
    from scipy.stats import beta

    shares = []
    columns: tuple[tuple[Literal["snr", "chirp_mass", "distance"], Floats | None], ...] = (
        ("snr", injections.optimal_snr),
        ("chirp_mass", injections.chirp_mass),
        ("distance", injections.distance),
    )
    for by, values in columns:
        if values is None:
            continue
        edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
        inner = edges[1:-1]
        place = np.searchsorted(inner, values, side="right")
        there, heard = (np.bincount(some, minlength=len(inner) + 1).tolist() for some in (place, place[found]))
        for k, (n, x) in enumerate(zip(there, heard, strict=True)):
            if n:
                tail = (1 - LEVEL) / 2
                shares.append(
                    FoundShare(
                        far=far,
                        by=by,
                        low=float(edges[k]),
                        high=float(edges[min(k + 1, len(edges) - 1)]),
                        found=x,
                        injections=n,
                        share=x / n,
                        share_low=float(beta.ppf(tail, x, n - x + 1)) if x else 0.0,
                        share_high=float(beta.isf(tail, x + 1, n - x)) if x < n else 1.0,
                    )
                )
    return shares


def _unsupported(background: Background, wanted: Sequence[float], supported: dict[float, float]) -> list[str]:
    missing = [rate for rate in wanted if rate not in supported]
    if not missing:
        return []
    rates = ", ".join(f"{rate:g}" for rate in missing)
    return [
        f"A background of {background.livetime / 3600:.4g} h says nothing of {rates} false alarms a month: one event "
        f"in it is {MONTH / background.livetime:.4g} a month."
        if background.livetime
        else f"A background without live time says nothing of {rates} false alarms a month."
    ]
