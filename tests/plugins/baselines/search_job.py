"""A small job for the baselines that know waveforms: simulated binaries of a narrow range of masses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import Tensor

from gwbench.data.dataset import Array, Split, StrainSplits
from gwbench.preprocessing.conditioning import Conditioner, Conditioning, fit_conditioner
from gwbench.simulation.signals import SignalModel
from gwbench.simulation.strain import Simulation
from gwbench.utils.progress import Progress

RATE, WINDOW, MARGIN = 1024, 2048, 512
SIZES = {"train": 96, "val": 64, "test": 128}
DETECTORS = ("H1", "L1", "V1")


@dataclass
class SearchJob:
    """Keeps as much of `contracts.RunContext` as searches need; `label` is the test split's, which is hidden."""

    splits: StrainSplits
    conditioner: Conditioner
    label: Array
    labelled: Array
    seed: int = 0
    device: str = "cpu"
    progress: Progress = field(default_factory=Progress)

    def conditioned(self, split: str, index: slice | Array) -> Tensor:
        return self.conditioner(self.splits[split].strain[index])


def search_job(
    snr: tuple[float, float], *, conditioning: Mapping[str, Any] | None = None, test: int = SIZES["test"]
) -> SearchJob:
    """Half the windows hold a signal of a network SNR uniform in a range."""
    signals = SignalModel.create(
        population="flat-bbh", duration=2.0, snr_model="uniform", snr=snr, mass=(40.0, 60.0), spin=(-0.3, 0.3)
    )
    simulation = Simulation(DETECTORS, (), signals, RATE, WINDOW, MARGIN)
    made = {}
    for key, (name, size) in enumerate({**SIZES, "test": test}.items()):
        block = simulation.block(np.random.default_rng([5, key]), name, 0, size)
        made[name] = Split(block.strain, block.label, block.snr, block.parameters)
    label = made["test"].label
    made["test"] = replace(made["test"], label=np.full_like(label, -1))
    splits = StrainSplits(made["train"], made["val"], made["test"], DETECTORS, RATE, MARGIN, content_hash="")
    conditioner = fit_conditioner(
        made["train"],
        sample_rate=RATE,
        margin=MARGIN,
        detectors=DETECTORS,
        settings=Conditioning(high=400.0, **(conditioning or {})),
    )
    return SearchJob(splits, conditioner, label, np.arange(SIZES["train"]))


__all__ = ["SearchJob", "search_job"]
