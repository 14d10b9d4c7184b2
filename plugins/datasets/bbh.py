"""Simulated binary black holes in coloured Gaussian noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from gwbench.contracts import Block, DataContext, Dataset, Layout, StrainSplits
from gwbench.data.population import Population, SnrDistribution, default_arrival
from gwbench.data.simulate import Simulation, simulate
from gwbench.errors import UserError
from gwbench.registry import register

MARGIN = 0.25
"""Seconds stored on either side of a window for whitening to consume."""


@dataclass(frozen=True)
class Preset:
    """How many windows, how loud, and from which masses (solar, detector frame)."""

    sizes: Mapping[str, int]
    snr: SnrDistribution
    mass: tuple[float, float] = (15.0, 75.0)


PRESETS = {
    "quick": Preset({"train": 8000, "val": 2000, "test": 4000}, SnrDistribution.uniform(6.0, 20.0)),
    "g2net-like": Preset(
        {"train": 20000, "val": 5000, "test": 10000}, SnrDistribution.clipped_normal(2.2, mean=3.6, floor=1.0)
    ),
}


@register(
    "dataset",
    "bbh",
    citation="IMRPhenomXAS: Pratten et al., arXiv:2001.11412; G2Net: Cuoco et al., kaggle.com/c/g2net",
    tags=("default", "simulated"),
)
class Bbh(Dataset):
    """Simulated binary black holes in Gaussian noise of the detectors' PSDs; half the windows hold one.

    Args:
        preset: "quick" (network SNR uniform from 6 to 20) or "g2net-like" (more windows, network SNR
            2.2 max(N(3.6, 1), 1)). Every `None` below takes the preset's value.
        train: windows in the training split.
        val: windows in the validation split.
        test: windows in the test split.
        detectors: at least two of H1, L1, V1, K1.
        sample_rate: Hz.
        duration: of a window, seconds.
        psds: one PSD name per detector, in order; by default the first of each detector's curated list.
        snr: lowest and highest optimal network SNR, uniform between them.
        mass: lowest and highest component mass, solar masses in the detector frame.
        spin: lowest and highest dimensionless spin along the orbital angular momentum.
        arrival: earliest and latest coalescence at the centre of the earth, seconds after the window's start;
            by default 0.7 to 0.95 of the duration.
        approximant: any frequency-domain approximant of LAL.
    """

    def __init__(
        self,
        *,
        preset: Literal["quick", "g2net-like"] = "quick",
        train: Annotated[int, Field(gt=0)] | None = None,
        val: Annotated[int, Field(gt=0)] | None = None,
        test: Annotated[int, Field(gt=0)] | None = None,
        detectors: tuple[str, ...] = ("H1", "L1", "V1"),
        sample_rate: Annotated[float, Field(gt=0)] = 2048.0,
        duration: Annotated[float, Field(gt=0)] = 2.0,
        psds: tuple[str, ...] | None = None,
        snr: tuple[float, float] | None = None,
        mass: tuple[float, float] | None = None,
        spin: tuple[float, float] = (-0.9, 0.9),
        arrival: tuple[float, float] | None = None,
        approximant: str = "IMRPhenomXAS",
    ) -> None:
        chosen = PRESETS[preset]
        given = {"train": train, "val": val, "test": test}
        self.sizes = {name: chosen.sizes[name] if size is None else size for name, size in given.items()}
        for name, size in self.sizes.items():
            if size < 1:
                raise UserError(f"{name} = {size} windows: expected at least 1.")
        self.simulation = Simulation(
            detectors=detectors,
            psds=psds or (),
            population=Population(
                mass=mass or chosen.mass,
                spin=spin,
                arrival=arrival or default_arrival(duration),
            ),
            snr=SnrDistribution.uniform(*snr) if snr else chosen.snr,
            sample_rate=sample_rate,
            window=round(duration * sample_rate),
            margin=round(MARGIN * sample_rate),
            approximant=approximant,
        )

    def load(self, context: DataContext) -> StrainSplits:
        """The three splits, from the cache or simulated into it."""
        simulation = self.simulation
        layout = Layout(
            simulation.detectors,
            simulation.sample_rate,
            simulation.window,
            simulation.margin,
            self.sizes,
            notes=(
                f"Simulated: {simulation.population}; waveform {simulation.approximant} from 20 Hz.",
                "Half the windows of each split hold one signal; optimal network SNR "
                f"{simulation.snr}, of the whole signal above 20 Hz.",
                f"Gaussian noise of PSD {_by_detector(simulation)}, none below 10 Hz.",
            ),
        )

        def blocks() -> Iterator[Block]:
            return simulate(simulation, self.sizes, context.seed, context.workers)

        return context.stored(layout, blocks)


def _by_detector(simulation: Simulation) -> str:
    pairs = zip(simulation.detectors, simulation.psds, strict=True)
    return ", ".join(f"{name} ({detector})" for detector, name in pairs)
