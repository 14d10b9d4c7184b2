"""Strain of files read piece by piece, so that memory does not grow with their length.

HDF5 gives any range of a series. Frames and texts are parsed as a whole; the last few such files are kept, so that
the bound for them is the size of a file, and frames hold an hour or so.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.strain_files.quality import NO_MASK
from gwbench.data.strain_files.reading import (
    Ranges,
    good_samples,
    is_read_in_pieces,
    ranges,
    read_recordings,
    without_masks,
)
from gwbench.data.strain_files.recording import Recording
from gwbench.data.strain_files.strain_hdf5 import headers_in, samples_in
from gwbench.utils.reader_process import read_in_process

PIECE = 2**20
"""Samples that are looked at at a time."""

KEPT = 4
"""Files of formats without pieces that are kept in memory."""


@dataclass(frozen=True)
class SeriesHeader:
    """One series of a strain file, without its samples.

    Attributes:
        path: the file.
        name: of the series in the file; empty where the file is not read in pieces.
        place: of the series among those of the file.
        samples: how many it has.
        said: what the file says of it; its strain is empty.
    """

    path: Path
    name: str
    place: int
    samples: int
    said: Recording

    @property
    def sample_rate(self) -> float:
        """Hz."""
        return self.said.sample_rate

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.samples / self.sample_rate


class PieceReader:
    """Reads series of strain files in pieces.

    Args:
        channels, quality: as of `read_strain_series`.

    Attributes:
        cpu_seconds: processor time of the process that reads files, as far as it served this reader.
    """

    def __init__(self, channels: Sequence[str] = (), quality: Sequence[str] = ()) -> None:
        self._channels, self._quality = tuple(channels), tuple(quality)
        self._whole: OrderedDict[Path, list[Recording]] = OrderedDict()
        self.cpu_seconds = 0.0

    def headers(self, path: Path) -> list[SeriesHeader]:
        """What a file holds. Raises `UserError` as `read_strain_series`."""
        if is_read_in_pieces(path):
            found: list[tuple[str, int, Recording]] = read_in_process(
                headers_in, path, self._channels, what="strain file", kind="HDF5 file", modules=("h5py",)
            )
            unmasked = self._quality == (NO_MASK,)
            return [
                SeriesHeader(path, name, place, samples, without_masks(said) if unmasked else said)
                for place, (name, samples, said) in enumerate(found)
            ]
        return [
            SeriesHeader(path, "", place, len(one.strain), replace(one, strain=np.empty(0)))
            for place, one in enumerate(self._recordings(path))
        ]

    def read(self, header: SeriesHeader, start: int, stop: int) -> Array:
        """Samples [stop - start] of a series, float64. Raises `UserError` where the file cannot be read any more."""
        if not header.name:
            return self._recordings(header.path)[header.place].strain[start:stop]
        samples: Array
        samples, seconds = read_in_process(
            samples_in, header.path, header.name, start, stop, what="strain file", kind="HDF5 file", modules=("h5py",)
        )
        self.cpu_seconds += seconds
        return samples

    def good_ranges(self, header: SeriesHeader) -> Iterator[Ranges]:
        """The good ranges of a series, piece by piece; those that meet at a border of pieces are one after another."""
        for start in range(0, header.samples, PIECE):
            stop = min(start + PIECE, header.samples)
            good = good_samples(header.said, self.read(header, start, stop), start)
            yield tuple((start + first, start + last) for first, last in ranges(good))

    def _recordings(self, path: Path) -> list[Recording]:
        if path not in self._whole:
            while len(self._whole) >= KEPT:
                self._whole.popitem(last=False)
            self._whole[path] = read_recordings(path, self._channels, self._quality)
        self._whole.move_to_end(path)
        return self._whole[path]


__all__ = ["PieceReader", "SeriesHeader"]
