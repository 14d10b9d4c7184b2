"""Simulated binary black holes in coloured noise."""

from __future__ import annotations

from typing import ClassVar

from gwbench.registry import register
from gwbench.simulation.simulated_dataset import Preset, SimulatedDataset

SMALL = {"train": 8000, "val": 2000, "test": 4000}
LARGE = {"train": 20000, "val": 5000, "test": 10000}
LABELLED = 1000
LOUD = {"snr_model": "uniform", "snr": (6.0, 20.0)}


@register(
    "dataset",
    "bbh",
    citation="IMRPhenomXAS: Pratten et al., arXiv:2001.11412; G2Net: Cuoco et al., kaggle.com/c/g2net",
    version=3,
    tags=("default", "simulated"),
)
class Bbh(SimulatedDataset):
    """Simulated binary black holes in Gaussian noise of the detectors' PSDs; half the windows hold one.

    Presets: "quick", network SNR uniform from 6 to 20, 1,000 of 8,000 training windows with a label; "g2net-like",
    more windows, all with a label, network SNR max(N(7.92, 2.2), 2.2), which is 2.2 max(N(3.6, 1), 1); "glitches",
    quick with a glitch in every five seconds of each detector; "astrophysical", power-law-plus-peak masses at
    cosmological distances, network SNR of 4 at least; "precessing", quick with isotropic spins and IMRPhenomXPHM.
    """

    presets: ClassVar = {
        "quick": Preset(SMALL, {"population": "flat-bbh", **LOUD}, labelled=LABELLED),
        "g2net-like": Preset(LARGE, {"population": "flat-bbh", "snr_model": "clipped-normal", "snr": (7.92, 2.2, 2.2)}),
        "glitches": Preset(SMALL, {"population": "flat-bbh", **LOUD}, glitch_rate=0.2, labelled=LABELLED),
        "astrophysical": Preset(
            LARGE, {"population": "power-law-peak", "snr_model": "distance", "snr": (4.0,)}, duration=4.0
        ),
        "precessing": Preset(
            SMALL, {"population": "flat-precessing", **LOUD, "approximant": "IMRPhenomXPHM"}, labelled=LABELLED
        ),
    }
