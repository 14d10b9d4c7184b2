"""Simulated neutron stars with black holes in coloured noise."""

from __future__ import annotations

from typing import ClassVar

from gwbench.registry import register
from gwbench.simulation.simulated_dataset import Preset, SimulatedDataset


@register(
    "dataset",
    "nsbh",
    citation="IMRPhenomXAS: Pratten et al., arXiv:2001.11412; Abbott et al. 2021, arXiv:2106.15163",
    tags=("simulated",),
)
class Nsbh(SimulatedDataset):
    """Simulated neutron star-black hole binaries in Gaussian noise; half the windows, of 8 s, hold one's end.

    Signals begin at 20 Hz, 10 to 70 s before they coalesce. Tidal disruption is left out.
    """

    presets: ClassVar = {
        "quick": Preset(
            {"train": 4000, "val": 1000, "test": 2000},
            {"population": "neutron-star-black-hole", "snr_model": "uniform", "snr": (7.0, 22.0)},
            duration=8.0,
        )
    }
