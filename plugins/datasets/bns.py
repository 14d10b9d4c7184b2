"""Simulated binary neutron stars in coloured noise."""

from __future__ import annotations

from typing import ClassVar

from gwbench.registry import register
from gwbench.simulation.simulated_dataset import Preset, SimulatedDataset


@register(
    "dataset",
    "bns",
    citation="IMRPhenomXAS: Pratten et al., arXiv:2001.11412; Landry & Read 2021, arXiv:2107.04559",
    tags=("simulated",),
)
class Bns(SimulatedDataset):
    """Simulated binary neutron stars in Gaussian noise; half the windows, of 16 s, hold the end of one.

    Signals begin at 30 Hz, about a minute before they coalesce; a window holds the last 11 to 15 seconds. Tides are
    left out (choose IMRPhenomXAS_NRTidalv2 or the like as `approximant`: its tidal deformabilities are zero too).
    """

    presets: ClassVar = {
        "quick": Preset(
            {"train": 2000, "val": 500, "test": 1000},
            {"population": "double-neutron-star", "snr_model": "uniform", "snr": (8.0, 25.0), "f_low": 30.0},
            duration=16.0,
        )
    }
