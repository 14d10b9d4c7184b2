"""Strain in GWF frames (LIGO-T970130), with the quality channels beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.strain_files.frame_channels import ChannelSeries, FrameFile
from gwbench.data.strain_files.frame_integrity import check_frame_file
from gwbench.data.strain_files.quality import MaskRule, chosen_rules, rule_of
from gwbench.data.strain_files.recording import Mask, Recording, detector_of, one_channel
from gwbench.errors import UserError
from gwbench.utils.reader_process import read_in_process

GWOSC = r"(LOSC-|GWOSC-\d+KHZ_R\d+_)STRAIN"
"""GWOSC's strain channels without their detector, in the generation of 2014 to 2016 and since."""

STRAIN = (
    r"(GDS|DCS)-CALIB_STRAIN\w*|(LDAS|LSC)-STRAIN\w*|OAF-CAL_DARM_DQ"  # LIGO
    r"|Hrec_hoft_\w+|h_\d+Hz\w*|FAKE_h_\w+"  # Virgo
    r"|(CAL|DAC)-STRAIN\w*|DER_DATA_H\w*"  # KAGRA, GEO 600
    r"|(FAKE|SIM|MDC|INJ)\w*[-_]STRAIN\w*|STRAIN"
)
"""Other channels that are strain by their names."""

LONGEST_GAP = 10 * 86_400.0
"""Seconds between two series of a channel that are still laid on one axis; others are recordings of their own."""

KIND = "GWF frame"


def read_frame(path: Path, channels: Sequence[str], quality: Sequence[str] = ()) -> list[Recording]:
    """Read GWOSC's strain channels with their masks, other strain channels, the only channel, or those asked for.

    Args:
        path: the file.
        channels: names to look for, of which the file holds one for a detector; by default as above. A name may be a
            detector's, such as "H1".
        quality: quality channels and bits, as `chosen_rules` takes them.

    Returns:
        One recording for every detector, in alphabetical order; more where gaps of days lie between.

    Raises:
        UserError: no such channel, or several of one detector; a file that is no GWF file, truncated or damaged.
    """
    return read_in_process(
        frame_recordings, path, tuple(channels), tuple(quality), what="strain file", kind=KIND, modules=("lalframe",)
    )


def frame_detectors(path: Path, channels: Sequence[str]) -> list[str | None]:
    """The detectors whose strain `read_frame` would read. Raises `UserError` as it does."""
    return read_in_process(frame_names, path, tuple(channels), what="strain file", kind=KIND, modules=("lalframe",))


def frame_names(path: Path, channels: Sequence[str]) -> list[str | None]:
    """`frame_detectors` in this process."""
    check_frame_file(path)
    return [detector_of(name) for name in _chosen(path, FrameFile(path).channels(), channels)]


def frame_recordings(path: Path, channels: Sequence[str], quality: Sequence[str]) -> list[Recording]:
    """`read_frame` in this process."""
    check_frame_file(path)
    file = FrameFile(path)
    present = file.channels()
    recordings = []
    for name in _chosen(path, present, channels):
        rules = chosen_rules(present, name, quality)
        masks = [_mask(file.series(channel), rule) for channel, rule in rules.items()]
        applied = tuple(
            f"{channel.partition(':')[2]} ({', '.join(mask.required)})"
            for channel, mask in zip(rules, masks, strict=True)
        )
        for series in _runs(file.series(name)):
            values = _on_one_axis(series, np.nan, np.float64)
            rate = round(1 / series[0].spacing, 6)
            recordings.append(
                Recording(detector_of(name), series[0].start, rate, values, tuple(masks), name, quality=applied)
            )
    return recordings


def _chosen(path: Path, present: Sequence[str], asked: Sequence[str]) -> list[str]:
    """The channels to read, one for a detector."""
    if asked:
        names = [name for name in present if name in asked]
        asked_detectors = {name for name in asked if re.fullmatch("[A-Z][0-9]", name)}
        rest = [name for name in present if detector_of(name) in asked_detectors]
        names += [name for name in _strain(rest) if detector_of(name) not in set(map(detector_of, names))]
    else:
        names = _strain(present)
    if not names:
        return [one_channel(path, (), present, asked)]
    chosen = []
    for detector in dict.fromkeys(map(detector_of, names)):
        own = [name for name in names if detector_of(name) == detector]
        chosen.append(one_channel(path, own, present, [name for name in own if name in asked]))
    return chosen


def _strain(present: Sequence[str]) -> list[str]:
    """The channels that are strain by their names: GWOSC's, or else others', or else the only one that is no mask."""
    for pattern in (GWOSC, STRAIN):
        if known := [name for name in present if re.fullmatch(pattern, name.partition(":")[2])]:
            return known
    others = [name for name in present if rule_of(name) is None]
    return others if len(others) == 1 else []


def _runs(series: Sequence[ChannelSeries]) -> list[list[ChannelSeries]]:
    """The series of a channel, grouped so that one axis does not hold days of nothing or two rates."""
    runs: list[list[ChannelSeries]] = []
    for part in series:
        last = runs[-1][-1] if runs else None
        end = last.start + len(last.values) * last.spacing if last else -np.inf
        if last is None or part.spacing != last.spacing or not end - last.spacing < part.start < end + LONGEST_GAP:
            runs.append([])
        runs[-1].append(part)
    return runs


def _mask(series: Sequence[ChannelSeries], rule: MaskRule) -> Mask:
    """A mask; no bit is set where the file has no value."""
    if any(part.spacing != series[0].spacing for part in series):
        raise UserError("A quality channel changes its sample rate within the file. Split the file there.")
    values = _on_one_axis(series, 0, np.int64)
    ever = int(np.bitwise_or.reduce(values)) if len(values) else 0
    used = [name for name in rule.required_if_used if ever >> rule.bits.index(name) & 1]
    return Mask(values, series[0].start, series[0].spacing, rule.bits, (*rule.required, *used))


def _on_one_axis(series: Sequence[ChannelSeries], missing: float, dtype: type) -> Array:
    """[samples] the series one behind the other at their times, `missing` in between."""
    places = [round((part.start - series[0].start) / part.spacing) for part in series]
    size = max(place + len(part.values) for place, part in zip(places, series, strict=True))
    values: Array = np.full(size, missing, dtype)
    for place, part in zip(places, series, strict=True):
        values[place : place + len(part.values)] = _numbers(part.values, dtype)
    return values


def _numbers(values: Array, dtype: type) -> Array:
    """As float64; or, for a mask, as integers whose bits count, with none set for NaN."""
    if dtype is np.int64:
        return (
            np.nan_to_num(values, posinf=0, neginf=0)
            .astype(np.uint64 if values.dtype.kind == "u" else np.int64)
            .view(np.int64)
        )
    return values.astype(np.float64)
