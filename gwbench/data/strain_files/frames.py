"""Strain in GWF frames (LIGO-T970130), read through gwpy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.lal_quiet import quiet_lal
from gwbench.data.strain_files.frame_integrity import check_frame_file
from gwbench.data.strain_files.recording import (
    DATA_QUALITY,
    INJECTION_BITS,
    NO_INJECTION,
    QUALITY_BITS,
    Mask,
    Recording,
    detector_of,
    one_channel,
)
from gwbench.errors import UserError

GWOSC = r"[A-Z][0-9]:(LOSC-|GWOSC-\d+KHZ_R\d+_)"
"""How GWOSC's channels begin, in the generation of 2014 to 2016 and since."""

MASKS = {"DQMASK": (QUALITY_BITS, DATA_QUALITY), "INJMASK": (INJECTION_BITS, NO_INJECTION)}
"""GWOSC's masks by the end of their names: the order of the bits, and those required."""


def read_frame(path: Path, channels: Sequence[str]) -> list[Recording]:
    """Read GWOSC's strain channel with its masks, the only channel of the file, or the one among `channels`.

    Raises:
        UserError: no such channel or several, or a file that is no GWF file, truncated or damaged.
    """
    with _readable(path):
        present = _channels(path)
        name = _choose(path, present, channels)
        strain, start, spacing = _series(path, name)
        masks, quality = [], []
        if re.fullmatch(f"{GWOSC}STRAIN", name):
            for end, (bits, required) in MASKS.items():
                mask = name.removesuffix("STRAIN") + end
                if mask in present:
                    masks.append(Mask(*_series(path, mask), bits, required))
                    quality.append(mask)
        detector, rate = detector_of(name), round(1 / spacing, 6)
        return [Recording(detector, start, rate, strain, tuple(masks), name, tuple(quality))]


def frame_detectors(path: Path, channels: Sequence[str]) -> list[str | None]:
    """The detector of every series that `read_frame` gives. Raises `UserError` likewise."""
    with _readable(path):
        return [detector_of(_choose(path, _channels(path), channels))]


def _choose(path: Path, present: Sequence[str], channels: Sequence[str]) -> str:
    known = [name for name in present if re.fullmatch(f"{GWOSC}STRAIN", name)]
    return one_channel(path, known or (present if len(present) == 1 else ()), present, channels)


def _channels(path: Path) -> list[str]:
    from gwpy.io.gwf import get_channel_names

    return sorted(set(get_channel_names(str(path))))


def _series(path: Path, channel: str) -> tuple[Array, float, float]:
    """Values [samples] float64 with NaN between frames that do not follow on each other, GPS start and spacing."""
    from gwpy.io.gwf import data_segments
    from gwpy.timeseries import TimeSeries

    parts: list[Any] = [
        TimeSeries.read(str(path), channel, start=start, end=end, format="gwf")
        for start, end in data_segments([str(path)], channel).coalesce()
    ]
    begin, spacing = float(parts[0].t0.value), float(parts[0].dt.value)
    places = [round((float(part.t0.value) - begin) / spacing) for part in parts]
    values = np.full(places[-1] + len(parts[-1]), np.nan)
    for place, part in zip(places, parts, strict=True):
        values[place : place + len(part)] = part.value
    return values, begin, spacing


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """One message for a file that cannot be read."""
    try:
        check_frame_file(path)
        with quiet_lal():
            yield
    # The libraries behind gwpy differ in what they raise.
    except (OSError, RuntimeError, ValueError, IndexError) as error:
        raise UserError(
            f"The strain file {path} cannot be read: it is not a GWF frame, it is truncated or damaged, or a channel "
            f"does not last as long as its frame. Download it again. ({error})"
        ) from None
