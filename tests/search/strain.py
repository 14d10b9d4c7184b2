"""Strain files for tests, as the MLGWSC-1 challenge lays them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

GPS = 1_238_205_077
"""When the strain of tests begins."""


def noise(seconds: float, rate: float, seed: int, scale: float = 1e-21) -> NDArray[np.float64]:
    """White noise."""
    return scale * np.random.default_rng(seed).standard_normal(round(seconds * rate))


def write_segments(
    path: Path, segments: Mapping[str, Sequence[tuple[float, NDArray[np.float64]]]], rate: float
) -> Path:
    """A file with a group per detector and a dataset per segment, named by its start."""
    with h5py.File(path, "w") as file:
        for detector, parts in segments.items():
            for start, strain in parts:
                dataset = file.create_dataset(f"{detector}/{int(start)}", data=strain)
                dataset.attrs["start_time"] = start
                dataset.attrs["delta_t"] = 1 / rate
    return path
