"""The channels of a GWF file (LIGO-T970130), each over its own span, by LALFrame.

gwpy's reader takes a channel to last as long as the frame around it. Some do not: a state vector may begin later, a
channel may lack in one of several frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gwbench.data.dataset import Array
from gwbench.utils.untrusted_files import MIB

EXPANSION, LEAST = 1100, 64 * MIB
"""How many times its size a compressed file may hold, and what any file may: deflate reaches 1032 times."""

READERS = {
    "I2_TYPE_CODE": "FrFileReadINT2TimeSeries",
    "I4_TYPE_CODE": "FrFileReadINT4TimeSeries",
    "I8_TYPE_CODE": "FrFileReadINT8TimeSeries",
    "U2_TYPE_CODE": "FrFileReadUINT2TimeSeries",
    "U4_TYPE_CODE": "FrFileReadUINT4TimeSeries",
    "U8_TYPE_CODE": "FrFileReadUINT8TimeSeries",
    "S_TYPE_CODE": "FrFileReadREAL4TimeSeries",
    "D_TYPE_CODE": "FrFileReadREAL8TimeSeries",
}
"""LALFrame's functions by LAL's names of the types of samples."""


@dataclass(frozen=True)
class ChannelSeries:
    """Samples of a channel.

    Attributes:
        start: GPS time of the first.
        spacing: seconds between two.
        values: [samples] as the file holds them.
    """

    start: float
    spacing: float
    values: Array


class FrameFile:
    """A GWF file that is open.

    Args:
        path: the file.

    Raises:
        RuntimeError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        import lal
        import lalframe

        lal.ClobberDebugLevel(0)  # what LAL also raises
        self._lal, self._frame = lal, lalframe
        self._file = lalframe.FrFileOpenURL(str(path.absolute()))
        self._opened = lalframe.FrameUFrFileOpen(str(path.absolute()), "r")  # kept: its contents point into it
        self._contents = lalframe.FrameUFrTOCRead(self._opened)
        self._limit = max(LEAST, EXPANSION * path.stat().st_size)

    def channels(self) -> list[str]:
        """The names of all channels, in alphabetical order."""
        names: set[str] = set()
        for kind in ("Adc", "Proc", "Sim"):
            count = getattr(self._frame, f"FrameUFrTOCQuery{kind}N")(self._contents)
            name = getattr(self._frame, f"FrameUFrTOCQuery{kind}Name")
            names.update(name(self._contents, number) for number in range(count))
        return sorted(names)

    def series(self, channel: str) -> list[ChannelSeries]:
        """What each frame holds of a channel, in order of time; frames that follow on each other are one series.

        Raises:
            ValueError: samples of a type that is no number, or more of them than the file can hold.
            RuntimeError: the channel cannot be read.
        """
        parts = []
        for frame in range(self._frame.FrFileQueryNFrame(self._file)):
            try:
                code = self._frame.FrFileQueryChanType(self._file, channel, frame)
            except RuntimeError:
                continue  # this frame lacks it
            parts.append(self._part(channel, frame, code))
        if not parts:
            raise ValueError(f"no frame holds the channel {channel}")
        return _joined(sorted(parts, key=lambda part: part.start))

    def _part(self, channel: str, frame: int, code: int) -> ChannelSeries:
        reader = next((READERS[name] for name in READERS if getattr(self._lal, name) == code), None)
        if reader is None:
            raise ValueError(f"the channel {channel} has samples of a type that is no real number")
        length = self._frame.FrFileQueryChanVectorLength(self._file, channel, frame)
        if 8 * length > self._limit:
            raise MemoryError
        series: Any = getattr(self._frame, reader)(self._file, channel, frame)
        start, spacing = float(series.epoch), float(series.deltaT)
        if not (np.isfinite(start) and 0 < spacing < np.inf):
            raise ValueError(f"the channel {channel} has no sample rate")
        return ChannelSeries(start, spacing, np.array(series.data.data))


def _joined(parts: list[ChannelSeries]) -> list[ChannelSeries]:
    """The parts, those that follow on each other within half a sample made one."""
    groups: list[list[ChannelSeries]] = []
    end = -np.inf
    for part in parts:
        if not groups or part.spacing != groups[-1][0].spacing or abs(part.start - end) > part.spacing / 2:
            groups.append([])
        groups[-1].append(part)
        end = part.start + len(part.values) * part.spacing
    return [
        ChannelSeries(group[0].start, group[0].spacing, np.concatenate([part.values for part in group]))
        for group in groups
    ]


__all__ = ["ChannelSeries", "FrameFile"]
