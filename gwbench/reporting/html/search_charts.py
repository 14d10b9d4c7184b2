"""The figures of a search's page, drawn from its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gwbench.reporting.html.chart_values import LineValues, ValuePoint, bin_points, spread_evenly
from gwbench.reporting.html.charts import SMALL, Chart, chart, key, series
from gwbench.reporting.html.svg import QUIET
from gwbench.search.reach_record import FoundShare, ReachPoint
from gwbench.search.record import BackgroundUsed, SearchRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gwbench.data.dataset import Array

BACKGROUND, FOREGROUND = series(0), replace(series(1), dash="-")

BINS = 40
"""Of a histogram of scores."""

YEAR = 365.25 * 86_400.0
"""Seconds of a year, the unit of inverse false-alarm rates."""

CLOSE = 1.3
"""Rates that are closer by this factor have one tick."""

BY = {
    "snr": ("Found against SNR", "optimal network SNR"),
    "chirp_mass": ("Found against chirp mass", "chirp mass (solar masses)"),
    "distance": ("Found against distance", "distance (Mpc)"),
}
"""Title and axis of what injections are binned by."""


def rate_axis(axes: Axes, rates: Sequence[float]) -> None:
    """A logarithmic axis of false-alarm rates, with a tick at each that has room for its number."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    kept: list[float] = []
    for rate in sorted(set(rates)):
        if not kept or rate >= CLOSE * kept[-1]:
            kept.append(rate)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def reach_chart(points: Sequence[ReachPoint]) -> Chart:
    """Sensitive distance against false-alarm rate."""
    ordered = sorted(points, key=lambda point: point.far)
    rates = [point.far for point in ordered]
    distances = np.array([point.distance for point in ordered])
    errors = np.array([point.distance_error for point in ordered])

    def draw(axes: Axes) -> None:
        axes.set(xlabel="false alarms a month", ylabel="sensitive distance (Mpc)")
        rate_axis(axes, rates)
        if len(rates) > 1:
            axes.fill_between(rates, distances - errors, distances + errors, **BACKGROUND.band)
            axes.plot(rates, distances, **BACKGROUND.points)
        else:
            axes.errorbar(rates, distances, yerr=errors, color=BACKGROUND.color, marker="o", linestyle="none")
        axes.set_ylim(bottom=0)

    return chart(
        draw,
        title="Distance against false-alarm rate",
        description="Radius of the ball of the sensitive volume; to the left the search is stricter. "
        f"{'Band' if len(rates) > 1 else 'Bar'}: one standard deviation.",
        values=[
            LineValues(
                "",
                [
                    ValuePoint(
                        point.far,
                        point.distance,
                        f"{point.far:g} false alarms a month: {point.distance:,.0f} ± {point.distance_error:,.0f} Mpc, "
                        f"{point.found:,} of {point.injections:,} found",
                    )
                    for point in ordered
                ],
            )
        ],
    )


def found_charts(shares: Sequence[FoundShare]) -> list[Chart]:
    """Found fraction against SNR, chirp mass and distance, a line for every false-alarm rate."""
    return [
        _found([share for share in shares if share.by == by], title, axis)
        for by, (title, axis) in BY.items()
        if any(share.by == by and share.injections for share in shares)
    ]


def _found(shares: Sequence[FoundShare], title: str, axis: str) -> Chart:
    rates = sorted({share.far for share in shares}, reverse=True)[:5]
    looks = [series(number) for number in range(len(rates))]

    def draw(axes: Axes) -> None:
        for rate, look in zip(rates, looks, strict=True):
            bins = [share for share in shares if share.far == rate and share.injections]
            middle = [(share.low + share.high) / 2 for share in bins]
            axes.fill_between(
                middle, [share.share_low for share in bins], [share.share_high for share in bins], **look.band
            )
            axes.plot(middle, [share.share for share in bins], **look.points)
        axes.set(xlabel=axis, ylabel="found", ylim=(0, 1.02))

    return chart(
        draw,
        title=title,
        description="Share of the injections of each bin that were found. Bands: 95 % intervals (Clopper-Pearson).",
        key=key(
            ((f"{rate:g} false alarms a month", look) for rate, look in zip(rates, looks, strict=True)), markers=True
        ),
        values=[
            LineValues(f"{rate:g} a month", [_share_point(s, axis) for s in shares if s.far == rate and s.injections])
            for rate in rates
        ],
    )


def _share_point(share: FoundShare, axis: str) -> ValuePoint:
    """What a bin of injections says."""
    return ValuePoint(
        (share.low + share.high) / 2,
        share.share,
        f"{axis} {share.low:.4g} to {share.high:.4g}, {100 * share.share:.0f} % of {share.injections:,} found "
        f"[{100 * share.share_low:.0f}, {100 * share.share_high:.0f}]",
    )


def score_histograms(record: SearchRecord) -> Chart | None:
    """The scores of triggers, and those that noise gives in the same time."""
    scores = np.array([trigger.score for trigger in record.triggers])
    if not len(scores):
        return None
    background = record.background if record.background and record.background.thresholds else None
    highest = max(float(scores.max()), max(background.thresholds) if background else -np.inf)
    edges = np.linspace(float(scores.min()), highest + 1e-9, BINS + 1)
    found = np.histogram(scores, edges)[0]
    expected = _expected(background, edges, record.livetime) if background else None

    def draw(axes: Axes) -> None:
        smallest = 0.5
        if expected is not None:
            smallest = max(min(float(expected[expected > 0].min(initial=0.5)), 0.5), 1e-5)
            axes.stairs(
                expected, edges, baseline=smallest / 2, fill=True, color=BACKGROUND.color, alpha=0.22, linewidth=0
            )
            axes.stairs(expected, edges, baseline=smallest / 2, **BACKGROUND.line, linewidth=1.4)
        axes.stairs(found, edges, baseline=smallest / 2, color=FOREGROUND.color, linewidth=1.4)
        axes.set(yscale="log", ylim=(smallest / 2, 1.8 * found.max()), xlabel="score", ylabel="triggers")

    entries = [("triggers", FOREGROUND), *([("background, in the same time", BACKGROUND)] if background else [])]
    return chart(
        draw,
        title="Foreground and background",
        description="Triggers by score; counts are logarithmic."
        + (" The background is scaled to the time that was searched." if background else ""),
        key=key(entries),
        values=[
            LineValues("", bin_points(found, edges, "triggers")),
            *([] if expected is None else [LineValues("", bin_points(expected, edges, "of the background"))]),
        ],
    )


def _expected(background: BackgroundUsed, edges: Array, livetime: float) -> Array:
    """Events of the background in bins of score, scaled to a live time."""
    order = np.argsort(background.thresholds)
    thresholds = np.array(background.thresholds)[order]
    above = np.array(background.counts, float)[order]
    # How many are above an edge: the count at the next threshold.
    place = np.searchsorted(thresholds, edges, side="left")
    counts = np.append(above, 0.0)[place]
    expected: Array = (counts[:-1] - counts[1:]) * livetime / max(background.livetime, 1e-9)
    return expected


def cumulative_chart(record: SearchRecord) -> Chart | None:
    """How many triggers have an inverse false-alarm rate of so much or more, and how many noise alone would give."""
    background = record.background
    known = sorted((trigger.ifar for trigger in record.triggers if trigger.ifar), reverse=True)
    beyond = sum(trigger.ifar is None and trigger.far is not None for trigger in record.triggers)
    if background is None or not background.livetime or not (known or beyond):
        return None
    times = np.array([*[background.livetime] * beyond, *known]) / YEAR
    counts = np.arange(1, len(times) + 1)

    def draw(axes: Axes) -> None:
        grid = np.geomspace(times.min(), times.max() * 2, 60)
        noise = record.livetime / YEAR / grid
        axes.plot(grid, noise, **BACKGROUND.line)
        deviation = np.sqrt(noise)
        axes.fill_between(grid, np.maximum(noise - deviation, 1e-3), noise + deviation, **BACKGROUND.band)
        axes.plot(times, counts, color=FOREGROUND.color, drawstyle="steps-pre")
        axes.set(xscale="log", yscale="log", ylim=(0.3, 2 * counts[-1]))
        axes.set(xlabel="inverse false-alarm rate (years)", ylabel="triggers as rare or rarer")
        if beyond:
            side, away = ("right", -8) if times[0] > times.min() else ("left", 8)
            axes.annotate(f"{beyond} louder than all background", (times[0], beyond), (away, -13), "data",
                          "offset points", ha=side, fontsize=SMALL, color=QUIET)  # fmt: skip

    return chart(
        draw,
        title="Triggers against inverse false-alarm rate",
        description="Noise alone follows the line, within its band of one standard deviation; signals stand above it."
        + (" Triggers that no background is as loud as are drawn at the background's live time." if beyond else ""),
        key=key([("triggers", FOREGROUND), ("expected of noise", BACKGROUND)]),
        values=[
            LineValues(
                "",
                [
                    ValuePoint(
                        float(times[place]),
                        float(counts[place]),
                        f"{counts[place]:,} triggers of {times[place]:.3g} years or more; noise alone "
                        f"{record.livetime / YEAR / times[place]:.3g}",
                    )
                    for place in spread_evenly(len(times))
                ],
            )
        ],
    )
