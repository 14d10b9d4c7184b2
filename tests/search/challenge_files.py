"""Files of MLGWSC-1, small: strain, injections and events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

RATE = 16
SEGMENTS = [(1_000_000_000, 3000), (1_000_003_010, 4200)]
"""GPS start and seconds: two hours in all."""

SECONDS = 7200.0


def write_strain(
    path: Path, segments: Sequence[tuple[int, int]] = SEGMENTS, detectors: Sequence[str] = ("H1", "L1")
) -> Path:
    import h5py

    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for detector in detectors:
            for start, seconds in segments:
                data = file.create_dataset(f"{detector}/{start}", data=rng.normal(scale=1e-21, size=seconds * RATE))
                data.attrs.update({"start_time": start, "delta_t": 1 / RATE})
    return path


def write_columns(path: Path, columns: Mapping[str, ArrayLike]) -> Path:
    import h5py

    with h5py.File(path, "w") as file:
        for name, column in columns.items():
            file[name] = np.asarray(column)
    return path


def injection_columns(chirp: bool = False, seed: int = 0) -> dict[str, Any]:
    """An injection every 27 s through both segments and the gap between them, in no order."""
    rng = np.random.default_rng(seed)
    tc = rng.permutation(np.arange(1_000_000_010, 1_000_007_205, 27.0))
    n = len(tc)
    masses = np.sort(rng.uniform(10, 50, (2, n)), axis=0)
    columns = {"tc": tc, "distance": rng.uniform(100, 4000, n), "mass1": masses[1], "mass2": masses[0]}
    return {**columns, "chirp_distance": rng.uniform(130, 350, n)} if chirp else columns


def event_columns(injections: Mapping[str, Any], seed: int = 1) -> dict[str, Any]:
    """Events near most injections, several on some, and false ones."""
    rng = np.random.default_rng(seed)
    near = rng.choice(injections["tc"], 400) + rng.normal(scale=0.2, size=400)
    time = np.concatenate([near, rng.uniform(1_000_000_000, 1_000_007_200, 100)])
    return {"time": time, "stat": np.round(rng.normal(6, 3, 500), 1), "var": np.full(500, 0.3)}


def noise_columns(seed: int = 2) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "time": rng.uniform(1_000_000_000, 1_000_007_200, 60),
        "stat": np.round(rng.normal(3, 2, 60), 1),
        "var": np.full(60, 0.3),
    }
