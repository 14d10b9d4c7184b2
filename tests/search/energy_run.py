"""A run that needs no training: it scores a window by the energy of each detector's conditioned strain."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from torch import Tensor

from gwbench.contracts import Scorer
from gwbench.evaluation.calibration import Calibration
from gwbench.experiment.scorer import RunScorer
from gwbench.experiment.spec import RunSpec
from gwbench.preprocessing.conditioning import Conditioning, fit_conditioner
from tests.search.strain import noise

RATE, WINDOW, MARGIN = 1024, 1024, 256


class EnergyScorer(Scorer):
    """The largest mean square over a quarter of the window, less what noise gives, summed over detectors."""

    def __init__(self, together: bool) -> None:
        super().__init__()
        self._together = together

    @property
    def offset(self) -> float:
        """As a fitted scorer may have one."""
        return -1.0

    @property
    def network(self) -> bool:
        """Whether it claims to have no parts."""
        return self._together

    def parts(self, strain: Tensor) -> Tensor | None:
        """[B, D]."""
        return None if self._together else self._energy(strain)

    def forward(self, strain: Tensor) -> Tensor:
        """[B]."""
        return self._energy(strain).sum(1) + self.offset

    def _energy(self, strain: Tensor) -> Tensor:
        return strain.square().unfold(2, WINDOW // 4, WINDOW // 4).mean(3).amax(2)


def energy_run(
    detectors: tuple[str, ...] = ("H1", "L1"), *, together: bool = False, method: str = "whiten"
) -> RunScorer:
    """What `load_scorer` would give of such a run, on white noise of 1e-21."""
    size = WINDOW + 2 * MARGIN
    windows = np.stack([noise(40 * size / RATE, RATE, seed).reshape(40, size) for seed in range(len(detectors))], 1)
    settings = Conditioning(method=method, low=20, high=400)  # type: ignore[arg-type]
    split: Any = SimpleNamespace(strain=windows)
    conditioner = fit_conditioner(split, sample_rate=RATE, margin=MARGIN, detectors=detectors, settings=settings)
    spec = RunSpec.create(baseline="band-power", settings={"dataset.duration": WINDOW / RATE})
    record: Any = SimpleNamespace(run_id="0123456789abcdef", created="2026-01-01", spec=spec, folder=None, data=None)
    usual = conditioner(windows).square().mean((0, 2))
    return RunScorer(record, EnergyScorer(together).eval(), conditioner, _calibration(), tuple(map(float, usual)))


def _calibration() -> Calibration:
    rng = np.random.default_rng(0)
    label = np.arange(400) % 2
    return Calibration.fit(rng.standard_normal(400) + 2 * label, label)


def ring(seconds: float, at: float, amplitude: float, rate: float = RATE) -> Any:
    """A burst of 100 Hz at some seconds."""
    times = np.arange(round(seconds * rate)) / rate - at
    return amplitude * np.exp(-((times / 0.03) ** 2)) * np.sin(2 * np.pi * 100 * times)
