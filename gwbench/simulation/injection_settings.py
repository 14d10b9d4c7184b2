"""What a user says of the simulated signals of a dataset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gwbench.simulation.population import REFERENCE_GPS


@dataclass(frozen=True)
class InjectionSettings:
    """The parameters that all datasets with simulated signals have, and what a pairing's signals are made of.

    `SignalModel.of` checks them. A pairing names the first three, and how many signals it wants, in a
    `gwbench.contracts.SignalSettings`. That is a class of its own, since contracts must not import the simulation.

    Attributes:
        population: a name of `gwbench/simulation/populations.toml`, or a file like it.
        snr_model: see `SnrDistribution.create`.
        snr: see `SnrDistribution.create`.
        mass: uniform component masses in this range instead of the population's, solar masses, detector frame.
        spin: uniform aligned spins in this range instead of the population's.
        arrival: earliest and latest coalescence at the centre of the earth, seconds after the window's start; None for
            0.7 to 0.95 of the window: late in it, so that it holds the inspiral.
        approximant: any that pycbc knows.
        f_low: Hz; signals begin here, and their SNR counts from here.
        gps: GPS time at which the earth's rotation is held.
    """

    population: str
    snr_model: str
    snr: tuple[float, ...]
    mass: tuple[float, float] | None = None
    spin: tuple[float, float] | None = None
    arrival: tuple[float, float] | None = None
    approximant: str = "IMRPhenomXAS"
    f_low: float = 20.0
    gps: float = REFERENCE_GPS

    def with_given(self, **given: Any) -> InjectionSettings:
        """With the values that are not None. An `snr` of two or three numbers says which `snr_model` it is of."""
        changes = {name: value for name, value in given.items() if value is not None}
        if "snr" in changes:
            changes.setdefault(
                "snr_model", {2: "uniform", 3: "clipped-normal"}.get(len(changes["snr"]), self.snr_model)
            )
        return replace(self, **changes)


__all__ = ["InjectionSettings"]
