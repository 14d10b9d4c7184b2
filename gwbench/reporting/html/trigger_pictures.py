"""The loudest triggers as pictures: a time-frequency map of every detector, and the score's course below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench.data.strain_files.finding import find_strain_files
from gwbench.data.strain_files.pieces import PieceReader, SeriesHeader
from gwbench.data.strain_files.reading import StrainFile, good_samples, ranges
from gwbench.errors import UserError
from gwbench.preprocessing.settings import Conditioning
from gwbench.reporting.html.chart_values import LineValues, ValuePoint, spread_evenly
from gwbench.reporting.html.charts import COLOUR_MAP, Chart, chart, series
from gwbench.reporting.html.svg import QUIET
from gwbench.reporting.strain_plots.file_view import file_plot
from gwbench.reporting.strain_plots.plots import ENERGY, q_picture
from gwbench.search.record import RankedTrigger, SearchRecord
from gwbench.utils.untrusted_arrays import read_npz
from gwbench.utils.untrusted_files import UnusableError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gwbench.data.dataset import Array
    from gwbench.reporting.strain_plots.window_view import StrainPlot

LOUDEST = 3
"""Triggers that have a picture."""

SHOWN = 2.0
"""Seconds of a picture."""

AROUND = 16.0
"""Seconds of strain on either side of a trigger, on which its PSD is measured."""

Q = 8.0
"""Of the time-frequency map."""

SCORES = "scores"
"""Folder of the score series beside a scan's record."""

BAND = (20.0, 500.0)
"""Hz, for somebody else's search."""


@dataclass(frozen=True)
class ScoreCourse:
    """Scores around a trigger: seconds from it [n], the score [n], and each detector's part [D, n] or None."""

    times: Array
    score: Array
    parts: Array | None


def trigger_pictures(record: SearchRecord, strain: Sequence[str | Path]) -> tuple[list[Chart], list[str]]:
    """Pictures of the loudest triggers, and why some of what they could show is missing.

    Args:
        record: of the search; in the folder of a scan, the score series lie beside it.
        strain: files, folders or globs of the strain that was searched; may be empty.

    Raises:
        UserError: the files cannot be read.
    """
    chosen = record.triggers[:LOUDEST]
    courses = [_course(record, trigger) for trigger in chosen]
    missing: list[str] = []
    headers: list[SeriesHeader] = []
    reader = PieceReader()
    if strain:
        for path in find_strain_files(map(str, strain), option="--strain"):
            headers += reader.headers(path)
    elif chosen:
        missing.append("No time-frequency maps: name the strain with --strain FILE.")
    if chosen and not any(courses):
        missing.append("No course of the score: the record does not lie in the folder of its scan.")
    charts = []
    for trigger, course in zip(chosen, courses, strict=True):
        plot = None
        try:
            plot = _plot(record, trigger, headers, reader) if headers else None
        except UserError as error:
            missing.append(f"Trigger {trigger.rank}: {error}")
        if plot or course:
            charts.append(_picture(record, trigger, plot, course))
    return charts, missing


def _course(record: SearchRecord, trigger: RankedTrigger) -> ScoreCourse | None:
    """The scores around a trigger, found by its score among those of the scan's blocks."""
    stride = record.settings.stride
    folder = Path(record.folder or "") / SCORES
    if record.folder is None or not stride or not folder.is_dir():
        return None
    detectors = len(record.strain.detectors)
    for path in sorted(folder.glob("*.npz")):
        try:
            arrays = read_npz(path)
        except UnusableError:
            continue
        score, parts = arrays.get("score"), arrays.get("parts")
        if score is None or score.ndim != 1 or score.dtype.kind != "f":
            continue
        places = np.flatnonzero(score == np.float32(trigger.score))
        if len(places) != 1:
            continue
        place, near = int(places[0]), round(SHOWN / 2 / stride)
        part = slice(max(0, place - near), place + near + 1)
        fits = parts is not None and parts.shape == (detectors, len(score))
        times = (np.arange(len(score))[part] - place) * stride
        return ScoreCourse(times, score[part], parts[:, part] if parts is not None and fits else None)
    return None


def _plot(
    record: SearchRecord, trigger: RankedTrigger, headers: Sequence[SeriesHeader], reader: PieceReader
) -> StrainPlot:
    """The whitened strain around a trigger.

    Raises:
        UserError: no file holds it, or too little of it is good.
    """
    spec = record.run.spec if record.run else None
    low, high = (spec.conditioning.low, spec.conditioning.high) if spec else BAND
    files = []
    for name in record.strain.detectors:
        header = next((one for one in headers if one.said.detector == name and _holds(one, trigger.time)), None)
        if header is None:
            raise UserError(f"the strain files hold no {name} at GPS {trigger.time:.2f}.")
        rate, begin = header.sample_rate, header.said.gps_start or 0.0
        start = max(0, round((trigger.time - AROUND - begin) * rate))
        stop = min(header.samples, round((trigger.time + AROUND - begin) * rate))
        samples = reader.read(header, start, stop)
        good = ranges(good_samples(header.said, samples, start))
        high = min(high, 0.45 * rate)
        files.append(StrainFile(name, begin + start / rate, rate, samples, good, header.path))
    return file_plot(files, gps=trigger.time, duration=SHOWN, settings=Conditioning(low=low, high=high))


def _holds(header: SeriesHeader, time: float) -> bool:
    start = header.said.gps_start
    return start is not None and start <= time < start + header.seconds


def _picture(
    record: SearchRecord, trigger: RankedTrigger, plot: StrainPlot | None, course: ScoreCourse | None
) -> Chart:
    rows = (len(plot.channels) if plot else 0) + (1 if course else 0)

    def draw(axes: Axes) -> Axes:
        spec, figure = axes.get_subplotspec(), axes.figure
        assert spec is not None
        axes.remove()
        grid = spec.subgridspec(rows, 1)
        panels: list[Any] = [figure.add_subplot(grid[row]) for row in range(rows)]
        for panel in panels:
            panel.set_xlim(-SHOWN / 2, SHOWN / 2)
            panel.grid(False)
            panel.tick_params(labelbottom=panel is panels[-1])
        if plot:
            _maps(panels, plot)
        if course:
            _score(panels[-1], course, record)
        panels[-1].set_xlabel(f"time from GPS {trigger.time:.3f} (s)")
        last: Axes = panels[-1]
        return last

    words = []
    if plot:
        words.append(
            "Energy of the whitened strain in time and frequency (Q-transform; 1 in noise on average), by detector"
        )
    if course:
        words.append("the score of windows by their time" if plot else "The score of windows by their time")
    return chart(
        draw,
        title=f"Trigger {trigger.rank}: score {trigger.score:.2f} at GPS {trigger.time:.3f}",
        description=f"{', and '.join(words)}.",
        height=60 + 110.0 * rows,
        values=_course_values(record, course) if course else (),
    )


def _course_values(record: SearchRecord, course: ScoreCourse) -> list[LineValues]:
    """What the lines of the score's course say."""
    lines = [("score", course.score)]
    if course.parts is not None:
        lines += [(f"score in {name}", part) for name, part in zip(record.strain.detectors, course.parts, strict=True)]
    return [
        LineValues(
            name,
            [
                ValuePoint(float(course.times[at]), float(line[at]), f"{line[at]:.3f} at {course.times[at]:+.3f} s")
                for at in spread_evenly(len(course.times))
            ],
        )
        for name, line in lines
    ]


def _maps(panels: Sequence[Any], plot: StrainPlot) -> None:
    pictures = [q_picture(channel, plot, Q) for channel in plot.channels]
    top = float(np.clip(max(energy.max() for *_, energy in pictures), *ENERGY))
    for panel, channel, picture in zip(panels, plot.channels, pictures, strict=False):
        from matplotlib.colors import PowerNorm

        panel.pcolormesh(
            *picture, norm=PowerNorm(0.5, vmin=0, vmax=top), cmap=COLOUR_MAP, shading="nearest", rasterized=True
        )
        panel.set(yscale="log", ylim=plot.band, ylabel=f"{channel.name} (Hz)")
        _plain_hertz(panel, plot.band)


def _plain_hertz(panel: Any, band: tuple[float, float]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ticks = [tick for tick in (20, 50, 100, 200, 500, 1000) if band[0] <= tick <= band[1]]
    panel.yaxis.set_major_locator(FixedLocator(ticks))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_locator(NullLocator())


def _score(panel: Any, course: ScoreCourse, record: SearchRecord) -> None:
    panel.grid(True)
    panel.axvline(0, color=QUIET, linewidth=0.8, linestyle=(0, (2, 2)))
    panel.plot(course.times, course.score, color=series(1).color, marker=".", label="score")
    if course.parts is not None:
        for number, (name, part) in enumerate(zip(record.strain.detectors, course.parts, strict=True)):
            look = series(number + 2)
            panel.plot(course.times, part, color=look.color, linestyle=look.dash, linewidth=1.2, label=name)
        panel.legend(loc="upper left", ncols=4)
        top = float(max(course.score.max(), course.parts.max()))
        bottom = float(min(course.score.min(), course.parts.min()))
        panel.set_ylim(bottom, top + 0.35 * (top - bottom or 1.0))
    panel.set_ylabel("score")
