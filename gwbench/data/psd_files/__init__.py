"""PSDs from files: text, NumPy arrays, HDF5 and LAL's XML, of one detector or several."""

from __future__ import annotations

from gwbench.data.psd_files.checks import COVERED, NOISE_F_LOW
from gwbench.data.psd_files.reading import read_psd

__all__ = ["COVERED", "NOISE_F_LOW", "read_psd"]
