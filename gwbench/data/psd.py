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


def check_name(name: str) -> None:
    """Raise `UserError` unless this is the name of a ground-based detector's PSD in pycbc, or a PSD file's path."""
    path = _path(name)
    if path is not None:
        read_psd(path)
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
    return [path for path in map(_path, names) if path is not None]


def _path(name: str) -> Path | None:
    path = Path(name).expanduser()
    written_as_path = "/" in name or os.sep in name or path.suffix != ""
    return path if written_as_path or (path.is_file() and not _is_known(name)) else None


def _is_known(name: str) -> bool:
    if any(name in names for names in CURATED.values()):
        return True
    from pycbc.psd.analytical import get_lalsim_psd_list

    return name in get_lalsim_psd_list()


def psd_values(name: str, sample_rate: float, samples: int, f_low: float = NOISE_F_LOW) -> Float:
    """A one-sided PSD on the rfft bins of `samples` samples.

    A file's values are interpolated linearly in their logarithm.

    Args:
        name: a name of `CURATED`, any other ground-based detector's PSD in pycbc, or a file for `read_psd`.
        sample_rate: Hz.
        samples: length of the time series; bins are `sample_rate / samples` apart.
        f_low: Hz; the PSD is zero, that is masked, below it, and where a file has no values, such as above its end.

    Returns:
        [samples // 2 + 1] in 1/Hz, read-only.

    Raises:
        UserError: unknown name, or as `read_psd`.
    """
    path = _path(name)
    if path is None:
        check_name(name)
        return _named_values(name, sample_rate, samples, f_low)
    # A file that has changed since is read again.
    state = path.stat() if path.is_file() else None
    stamp = (state.st_mtime_ns, state.st_size) if state else (0, 0)
    return _file_values(path.absolute(), stamp, sample_rate, samples, f_low)


@lru_cache(maxsize=32)
def _named_values(name: str, sample_rate: float, samples: int, f_low: float) -> Float:
    from pycbc.psd import from_string

    bins = samples // 2 + 1
    # pycbc leaves the last bin at zero; one bin more keeps the Nyquist bin.
    values = np.asarray(from_string(name, bins + 1, sample_rate / samples, f_low).numpy(), np.float64)[:bins]
    values.setflags(write=False)
    return values


@lru_cache(maxsize=128)
def _file_values(path: Path, stamp: tuple[int, int], sample_rate: float, samples: int, f_low: float) -> Float:
    frequencies, psd = read_psd(path)
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
