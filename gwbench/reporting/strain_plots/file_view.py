"""A segment of strain files as a person looks at it, whitened by their own good data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gwbench.data.dataset import Array, Split
from gwbench.errors import UserError
from gwbench.reporting.strain_plots.window_view import Channel, StrainPlot, fit_whitening, whitened_channel
from gwbench.simulation.population import REFERENCE_GPS

if TYPE_CHECKING:
    from gwbench.data.strain_files.reading import StrainFile
    from gwbench.preprocessing.conditioning import Conditioning

MARGIN = 1.0
"""Seconds of a strain file on either side of what is shown, which whitening consumes; the reach of its filter."""

PIECE = 4.0
"""Seconds of the pieces of a strain file that its PSD is measured on; they overlap by half."""

MOST_PIECES = 512

SHORTEST = 0.01
"""Seconds; less shows nothing at any rate."""

FIRST_RUN = 7e8
"""GPS time before which there was no strain."""


def file_plot(files: Sequence[StrainFile], *, gps: float | None, duration: float, settings: Conditioning) -> StrainPlot:
    """A segment of strain files, each whitened by what is measured on all the good data in it.

    Args:
        files: at least one; of several detectors at the same time.
        gps: time at the middle, in seconds since the start for files of unknown time; None for the middle of the
            longest segment that is good in all files.
        duration: seconds to show.
        settings: the band; its method must be "whiten".

    Raises:
        UserError: the files hold no good data at that time, or too little of it, or none that can be whitened.
    """
    if not SHORTEST <= duration < float("inf"):
        raise UserError(f"--duration {duration:g}: expected {SHORTEST:g} seconds or more, such as 2.")
    if gps is not None and not np.isfinite(gps):
        raise UserError(f"--gps {gps}: expected a GPS time in seconds, such as {REFERENCE_GPS:.0f}.")
    files = [_at_lower_rate(file, settings.high) for file in files]
    untimed = [file.path.name for file in files if file.gps_start is None]
    if untimed and len(untimed) < len(files):
        raise UserError(
            f"The GPS time of {', '.join(untimed)} is unknown, that of the others is not: they cannot be drawn "
            "together. Plot them one by one."
        )
    common = _common(files)
    if gps is None:
        begin, end = max(common, key=_length, default=(0.0, 0.0))
        gps = (begin + end) / 2
    starts = [round((gps - duration / 2 - MARGIN - file.start) * file.sample_rate) for file in files]
    sizes = [round((duration + 2 * MARGIN) * file.sample_rate) for file in files]
    for file, start, size in zip(files, starts, sizes, strict=True):
        if not any(begin <= start and start + size <= end for begin, end in file.good):
            spans = ", ".join(f"{begin:.10g} to {end:.10g}" for begin, end in common[:5]) or "none"
            raise UserError(
                f"{file.path} has no {duration:g} s of good data, with {MARGIN:g} s more on either side, around GPS "
                f"{gps:.10g}. Good data: {spans}{', ...' if len(common) > 5 else ''}. Choose another --gps or a "
                "shorter --duration."
            )
    channels = tuple(
        _stretch(file, file.strain[start : start + size], settings)
        for file, start, size in zip(files, starts, sizes, strict=True)
    )
    names = ", ".join(file.path.name for file in files)
    zero = f"{'second' if untimed else 'GPS'} {gps:.3f}".rstrip("0").rstrip(".")
    return StrainPlot(names, (zero, *_date(gps)), channels, -duration / 2, zero, (settings.low, settings.high))


def _stretch(file: StrainFile, strain: Array, settings: Conditioning) -> Channel:
    """A file's strain with its margins."""
    name, margin = file.detector or file.path.stem, round(MARGIN * file.sample_rate)
    conditioner = fit_whitening(_pieces(file, name), file.sample_rate, margin, (name,), settings)
    return whitened_channel(conditioner, 0, strain, conditioner.condition_segment(strain, 0).numpy(), margin)


def _pieces(file: StrainFile, name: str) -> Split:
    """The file's good data as a training split."""
    size = round(PIECE * file.sample_rate)
    starts = [start for begin, end in file.good for start in range(begin, end - size + 1, size // 2)]
    if len(starts) < 3:
        raise UserError(
            f"The strain file {file.path} has {file.good_seconds:.3g} s of good data, too few for a PSD of {name}: "
            f"expected a segment of {2 * PIECE:g} s or more. Use a longer file."
        )
    chosen = np.linspace(0, len(starts) - 1, min(len(starts), MOST_PIECES)).round().astype(int)
    strain = np.stack([file.strain[starts[i] : starts[i] + size] for i in chosen])[:, None]
    count = len(strain)
    return Split(strain, np.full(count, -1, np.int8), np.full(count, np.nan, np.float32))


def one_of_each(files: Sequence[StrainFile], gps: float | None) -> list[StrainFile]:
    """Of every detector in one file, the series around a GPS time, or else the longest."""
    series: dict[str | None, list[StrainFile]] = {}
    for file in files:
        series.setdefault(file.detector, []).append(file)
    around = [[file for file in one if gps is not None and file.holds(gps)] or one for one in series.values()]
    return [max(one, key=lambda file: file.good_seconds) for one in around]


def _at_lower_rate(file: StrainFile, high: float) -> StrainFile:
    """The file at the lowest rate, halved from its own, at which the band is well below the Nyquist frequency."""
    from gwbench.data.strain_files.resample import resampled

    rate = file.sample_rate
    while rate / 2 >= 3 * high:
        rate /= 2
    return resampled(file, rate)


def _common(files: Sequence[StrainFile]) -> list[tuple[float, float]]:
    """GPS times between which all files have good data."""
    common = [(-np.inf, np.inf)]
    for file in files:
        here = [(file.start + a / file.sample_rate, file.start + b / file.sample_rate) for a, b in file.good]
        met, place = [], 0
        for begin, end in common:
            while place < len(here) and here[place][1] <= begin:
                place += 1
            reached = place
            while reached < len(here) and here[reached][0] < end:
                met.append((max(begin, here[reached][0]), min(end, here[reached][1])))
                reached += 1
        common = met
    return common


def _length(span: tuple[float, float]) -> float:
    return span[1] - span[0]


def _date(gps: float) -> list[str]:
    """When that was; nothing where a file counts from a zero of its own."""
    if not FIRST_RUN < gps < 2**31:
        return []
    import lal

    year, month, day, hour, minute, second = lal.GPSToUTC(int(gps))[:6]
    return [f"{year}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d} UTC"]


__all__ = ["file_plot", "one_of_each"]
