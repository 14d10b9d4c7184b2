"""Power spectral densities (PSDs) of the detectors: design curves by name, files by path, any PSD on another grid."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench.data.detectors import DETECTORS, require_detector
from gwbench.data.psd_files import NOISE_F_LOW, read_psd
from gwbench.errors import UserError, did_you_mean
from gwbench.utils.paths import user_path

Float = NDArray[np.float64]

CURATED: dict[str, tuple[str, ...]] = {name: detector.psds for name, detector in DETECTORS.items()}
"""PSD names that describe a whole detector at design or observing-run sensitivity; the first is the default.

pycbc knows about 70 more: earlier runs, single noise components, other detectors.
"""


def default_psd(detector: str) -> str:
    """The name of the PSD a detector has unless another is asked for.

    Raises:
        UserError: the detector is none of `CURATED`.
    """
    return require_detector(detector).psds[0]


def check_name(name: str, detector: str | None = None) -> None:
    """Raise `UserError` unless this is the name of a ground-based detector's PSD in pycbc, or that of a PSD file.

    Args:
        name: as `psd_values` takes it.
        detector: whose PSD is looked for in the file.
    """
    located = _located(name)
    if located is not None:
        read_psd(located.path, detector, located.part)
    elif not _is_known(name):
        from pycbc.psd.analytical import get_lalsim_psd_list

        curated = sorted({known_name for names in CURATED.values() for known_name in names})
        raise UserError(
            f"Unknown PSD {name!r}: expected a name such as {', '.join(curated)}, another of "
            f"pycbc.psd.get_lalsim_psd_list(), or the path of a PSD file, such as ./psd.txt."
            f"{did_you_mean(name, [*curated, *get_lalsim_psd_list()])}"
        )


def psd_files(names: Iterable[str]) -> list[Path]:
    """The paths among some names: those with a slash or a suffix, and files whose name no design curve has."""
    return [located.path for located in map(_located, names) if located is not None]


@dataclass(frozen=True)
class _Located:
    """A PSD in a file.

    Attributes:
        path: of the file.
        part: which PSD of the file, where the name says so.
    """

    path: Path
    part: str | None = None


def _located(name: str) -> _Located | None:
    """The file that a name is of; None where it is no path. After a # comes the PSD's name in the file."""
    path = _path(name)
    file, mark, part = name.partition("#")
    if not mark or (path is not None and _is_file(path)):
        return None if path is None else _Located(path)
    path = _path(file)
    return None if path is None else _Located(path, part or None)


def _path(name: str) -> Path | None:
    path = user_path(name)
    written_as_path = "/" in name or os.sep in name or path.suffix != ""
    return path if written_as_path or (_is_file(path) and not _is_known(name)) else None


def _is_file(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()  # what a pipe is, its reader says
    except OSError:  # a name too long, or a folder that may not be searched
        return False


def _is_known(name: str) -> bool:
    if any(name in names for names in CURATED.values()):
        return True
    from pycbc.psd.analytical import get_lalsim_psd_list

    return name in get_lalsim_psd_list()


def psd_values(
    name: str, sample_rate: float, samples: int, f_low: float = NOISE_F_LOW, detector: str | None = None
) -> Float:
    """A one-sided PSD on the rfft bins of `samples` samples.

    A file's values are interpolated linearly in their logarithm.

    Args:
        name: a name of `CURATED`, any other ground-based detector's PSD in pycbc, or a file for `read_psd`. Where a
            file has several PSDs, `FILE#NAME` is the one of this detector or name.
        sample_rate: Hz.
        samples: length of the time series; bins are `sample_rate / samples` apart.
        f_low: Hz; the PSD is zero, that is masked, below it, and where a file has no values, such as above its end.
        detector: whose PSD is taken out of a file that has several.

    Returns:
        [samples // 2 + 1] in 1/Hz, read-only.

    Raises:
        UserError: unknown name, or as `read_psd`.
    """
    located = _located(name)
    if located is None:
        check_name(name)
        return _named_values(name, sample_rate, samples, f_low)
    # A file that has changed since is read again.
    state = located.path.stat() if _is_file(located.path) else None
    stamp = (state.st_mtime_ns, state.st_size) if state else (0, 0)
    where = (located.path.absolute(), stamp, detector, located.part)
    return _file_values(where, sample_rate, samples, f_low)


@lru_cache(maxsize=32)
def _named_values(name: str, sample_rate: float, samples: int, f_low: float) -> Float:
    from pycbc.psd import from_string

    bins = samples // 2 + 1
    # pycbc leaves the last bin at zero; one bin more keeps the Nyquist bin.
    values = np.asarray(from_string(name, bins + 1, sample_rate / samples, f_low).numpy(), np.float64)[:bins]
    values.setflags(write=False)
    return values


@lru_cache(maxsize=32)
def _file_psd(path: Path, stamp: tuple[int, int], detector: str | None, part: str | None) -> tuple[Float, Float]:
    return read_psd(path, detector, part)


@lru_cache(maxsize=128)
def _file_values(
    where: tuple[Path, tuple[int, int], str | None, str | None], sample_rate: float, samples: int, f_low: float
) -> Float:
    frequencies, psd = _file_psd(*where)
    grid = np.arange(samples // 2 + 1) * (sample_rate / samples)
    # Rounding must not push a bin that lies on the file's first or last one beyond it.
    known = (grid >= max(f_low, frequencies[0]) * (1 - 1e-9)) & (grid <= frequencies[-1] * (1 + 1e-9))
    values = np.where(known, np.exp(np.interp(grid, frequencies, np.log(psd))), 0.0)
    values.setflags(write=False)
    return values


@dataclass(frozen=True, eq=False)
class PsdTable:
    """Several PSDs on one grid, such as one per detector, or one per segment of real strain.

    Attributes:
        values: [P, F] one-sided, in 1/Hz; masked where not `usable`.
        delta_f: Hz between bins, the first of which is 0 Hz.
    """

    values: Float
    delta_f: float

    def on_grid(self, delta_f: float, bins: int) -> Float:
        """[P, bins] on another grid, as by `resample_psd`; computed once for every grid."""
        return self._grids((delta_f, bins))

    @cached_property
    def _grids(self) -> Callable[[tuple[float, int]], Float]:
        return cache(lambda grid: resample_psd(self.values, self.delta_f, *grid))

    def __getstate__(self) -> dict[str, Any]:
        return {"values": self.values, "delta_f": self.delta_f}


def usable(psd: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a PSD has a value: finite and above zero."""
    return np.asarray(np.isfinite(psd) & (psd > 0))


def resample_psd(psd: NDArray[Any], delta_f: float, new_delta_f: float, bins: int) -> Float:
    """A PSD on another frequency grid, interpolated linearly in its logarithm.

    Args:
        psd: [..., F] one-sided, bins `delta_f` Hz apart from 0 Hz; masked where it is not `usable`.
        delta_f: Hz, of `psd`.
        new_delta_f: Hz, of the result.
        bins: length of the result's last axis.

    Returns:
        [..., bins] float64; zero where masked: beyond the end of `psd`, or beside a masked bin of it.
    """
    psd = np.asarray(psd, np.float64)
    valid = usable(psd)
    log = np.log(np.where(valid, psd, 1.0))
    # Rounding keeps bins that coincide on both grids exactly on their source bin.
    position = np.round(np.arange(bins) * new_delta_f / delta_f, 9)
    low = np.minimum(position.astype(int), psd.shape[-1] - 1)
    high = np.minimum(low + 1, psd.shape[-1] - 1)
    fraction = np.clip(position - low, 0.0, 1.0)
    known = valid[..., low] & (valid[..., high] | (fraction == 0)) & (position <= psd.shape[-1] - 1)
    between = np.exp((1 - fraction) * log[..., low] + fraction * log[..., high])
    return np.asarray(np.where(known, between, 0.0))


__all__ = [
    "CURATED",
    "NOISE_F_LOW",
    "PsdTable",
    "check_name",
    "default_psd",
    "psd_files",
    "psd_values",
    "read_psd",
    "resample_psd",
    "usable",
]
