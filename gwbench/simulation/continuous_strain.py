"""Continuous strain with injections, in the files of the MLGWSC-1 challenge."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench.simulation.continuous_injections import ContinuousSignals, Wave, columns
from gwbench.simulation.continuous_noise import ContinuousNoise
from gwbench.utils.progress import Progress, ProgressTask

FOREGROUND, BACKGROUND, INJECTED = "foreground.hdf", "background.hdf", "injections.hdf"
"""The challenge's files: noise and signals, the same noise alone, and what the signals are."""


@dataclass(frozen=True)
class ContinuousStrain:
    """What is written.

    Attributes:
        segments: of noise, in order of time.
        signals: what is injected.
        detectors: D names.
        sample_rate: Hz.
        seed: of the injections.
    """

    segments: Sequence[ContinuousNoise]
    signals: ContinuousSignals
    detectors: tuple[str, ...]
    sample_rate: float
    seed: int

    def write(
        self, paths: Mapping[str, Path], attributes: Mapping[str, str], *, workers: int, progress: Progress
    ) -> int:
        """Write the three files.

        Strain is made piece by piece, several at a time; memory holds a few pieces and the signals within them.

        Args:
            paths: where to write `FOREGROUND`, `BACKGROUND` and `INJECTED`.
            attributes: what every file says of itself.
            workers: threads.
            progress: told how many seconds are done.

        Returns:
            The number of injections.

        Raises:
            UserError: a signal cannot be made.
            OSError: a file cannot be written.
        """
        seconds = sum(segment.samples for segment in self.segments) / self.sample_rate
        tables = []
        with ExitStack() as stack:
            files = [stack.enter_context(_created(paths[name])) for name in (FOREGROUND, BACKGROUND)]
            with progress.task("Make strain", seconds, "s") as task:
                for number, segment in enumerate(self.segments):
                    tables.append(self._write_segment(files, number, segment, workers, task))
            for file in files:
                file.attrs.update(attributes)
        with _created(paths[INJECTED]) as file:
            for name in tables[0]:
                file[name] = np.concatenate([table[name] for table in tables])
            file.attrs.update(attributes)
            file.attrs.update(self._of_waveforms())
        return sum(len(table["tc"]) for table in tables)

    def _write_segment(
        self, files: Sequence[Any], number: int, segment: ContinuousNoise, workers: int, task: ProgressTask
    ) -> dict[str, NDArray[Any]]:
        """Write one segment into foreground and background; returns the columns of its injections."""
        pair = [self._datasets(file, segment) for file in files]
        waves = _WavesInOrder(self, number, segment)
        for begin, noise in _pieces(segment, workers):
            end = begin + noise.shape[1]
            with_signals = noise.copy()
            waves.add(with_signals, begin)
            for datasets, strain in zip(pair, (with_signals, noise), strict=True):
                for dataset, values in zip(datasets, strain, strict=True):
                    dataset[begin:end] = values
            task.advance((end - begin) / self.sample_rate)
        return waves.table()

    def _datasets(self, file: Any, segment: ContinuousNoise) -> list[Any]:
        """One dataset per detector, named by the segment's GPS start."""
        made = []
        for name in self.detectors:
            dataset = file.create_dataset(f"{name}/{segment.start}", (segment.samples,), np.float32)
            dataset.attrs["start_time"] = float(segment.start)
            dataset.attrs["delta_t"] = 1 / self.sample_rate
            made.append(dataset)
        return made

    def _of_waveforms(self) -> dict[str, Any]:
        """What pycbc must know beside the columns to make the same signals."""
        fixed = {"approximant": self.signals.approximant, "f_lower": self.signals.f_low, "f_ref": self.signals.f_low}
        return {"injtype": "cbc", "static_args": list(fixed), **fixed}


def _created(path: Path) -> Any:
    """A new HDF5 file at a path that this process has locked already, as HDF5 would lock it again."""
    import h5py

    return h5py.File(path, "w", locking=False)


class _WavesInOrder:
    """The signals of a segment, made when the strain reaches them and dropped behind it."""

    def __init__(self, strain: ContinuousStrain, number: int, segment: ContinuousNoise) -> None:
        self._strain, self._segment = strain, segment
        self._parameters = strain.signals.draw(strain.seed, number, segment.samples / strain.sample_rate)
        self._starts = np.sort(strain.signals.spans(self._parameters, strain.sample_rate)[:, 0])
        self._coming = strain.signals.waves(self._parameters, segment, strain.detectors, strain.sample_rate)
        self._made = 0
        self._under_way: list[Wave] = []
        self._snr = np.zeros((len(self._starts), len(strain.detectors)))

    def add(self, strain: NDArray[np.float32], begin: int) -> None:
        """Add to strain [D, n] from sample `begin` on what reaches into it; pieces come in order."""
        end = begin + strain.shape[1]
        while self._made < len(self._starts) and self._starts[self._made] < end:
            number, wave = next(self._coming)
            self._snr[number] = wave.snr
            self._under_way.append(wave)
            self._made += 1
        for wave in self._under_way:
            first, last = max(wave.first, begin), min(wave.first + wave.strain.shape[1], end)
            if first < last:
                strain[:, first - begin : last - begin] += wave.strain[:, first - wave.first : last - wave.first]
        self._under_way = [wave for wave in self._under_way if wave.first + wave.strain.shape[1] > end]

    def table(self) -> dict[str, NDArray[Any]]:
        """What the file of injections says of the segment's."""
        return columns(self._parameters, self._segment.start, self._snr, self._strain.detectors)


def _pieces(segment: ContinuousNoise, workers: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The first sample and the strain [D, n] of every piece, in order; `workers` threads make them ahead."""
    count = -(-segment.samples // segment.piece)

    def make(number: int) -> tuple[int, NDArray[np.float32]]:
        return number * segment.piece, segment.strain(number).astype(np.float32)

    if workers < 2:
        yield from map(make, range(count))
        return
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[tuple[int, NDArray[np.float32]]]] = deque()
    try:
        for number in range(count):
            waiting.append(pool.submit(make, number))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def as_attributes(document: Mapping[str, Any]) -> dict[str, str]:
    """What the attributes of a file can hold: texts as they are, anything else as JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in document.items()}


__all__ = ["BACKGROUND", "FOREGROUND", "INJECTED", "ContinuousStrain", "as_attributes"]
