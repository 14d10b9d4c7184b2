"""What continuous strain is made of, as a user says it."""

from __future__ import annotations

import shlex
from typing import Annotated

from pydantic import Field

from gwbench.data.detectors import DetectorNames
from gwbench.data.psd import check_name, default_psd
from gwbench.errors import UserError
from gwbench.simulation.chirp_distance import ChirpDistance
from gwbench.simulation.continuous_injections import ContinuousSignals
from gwbench.simulation.continuous_noise import ColouredSegment, coloured_segments
from gwbench.simulation.glitches import MIN_RATE, SimulatedGlitches
from gwbench.simulation.population import load_population
from gwbench.simulation.waveforms import approximant_source
from gwbench.utils.models import FrozenModel

GAUSSIAN, GLITCHY = "gaussian", "glitches"

EDGE = 30.0
"""Seconds at either end of a segment without a coalescence: the challenge does not count those there."""

GAP = 60
"""Seconds between two simulated segments."""

LONGEST = 3600.0
"""Seconds of a simulated segment, unless the number of segments is given."""

SHORTEST = 64.0
"""Seconds of the shortest segment: one injection at least fits, and a PSD can be measured."""

PSDS = {"H1": "aLIGOZeroDetHighPower", "L1": "aLIGOZeroDetHighPower"}
"""The challenge's PSDs; other detectors have their default."""

CHIRP_DISTANCE = (130.0, 350.0)
"""Mpc, of binaries whose population has no distances: those of the challenge's first set."""


class ContinuousSettings(FrozenModel):
    """What a set of continuous strain is made of.

    Attributes:
        noise: "gaussian", "glitches" (Gaussian with simulated glitches), or strain files, folders or globs.
        hours: of strain, in the foreground and again in the background; of files, None for all there is.
        detectors: names.
        sample_rate: Hz.
        segments: how many of equal length, of simulated noise; None for as few as last an hour at most.
        start: GPS seconds of simulated noise.
        psds: one per detector, or one for all; empty for those of the challenge.
        population: what binaries there are: a name of gwbench/simulation/populations.toml, or a file like it.
        approximant: of the waveform; empty for IMRPhenomXAS, or IMRPhenomXPHM where spins precess.
        f_low: Hz, where signals begin.
        chirp_distance: Mpc, lowest and highest, uniform in volume, instead of the population's distances.
        spacing: seconds from one injection to the next, lowest and highest.
        glitch_rate: per second and detector, where there are simulated glitches.
        seed: of all random numbers.
    """

    noise: tuple[str, ...] = (GAUSSIAN,)
    hours: Annotated[float, Field(gt=0, le=100_000)] | None = 4.0
    detectors: DetectorNames = ("H1", "L1")
    sample_rate: Annotated[float, Field(ge=256, le=16384)] = 2048.0
    segments: Annotated[int, Field(ge=1)] | None = None
    start: Annotated[int, Field(ge=1, le=4_000_000_000)] = 1238166018
    psds: tuple[str, ...] = ()
    population: str = "mlgwsc1"
    approximant: str = ""
    f_low: Annotated[float, Field(ge=10)] = 20.0
    chirp_distance: tuple[float, float] | None = None
    spacing: tuple[float, float] = (24.0, 30.0)
    glitch_rate: Annotated[float, Field(gt=0)] = 0.05
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def recorded(self) -> bool:
        """Whether the noise comes from files."""
        return self.noise not in ((GAUSSIAN,), (GLITCHY,))

    def command(self) -> str:
        """The command that makes such a set, with the options that are not as usual."""
        words = ["gwbench", "data", "make", "continuous"]
        for name, value in self:
            if value in (None, type(self).model_fields[name].default):
                continue
            option = "--psd" if name == "psds" else f"--{name.replace('_', '-')}"
            if name in ("noise", "psds"):
                words += [word for each in value for word in (option, each)]
            else:
                several = isinstance(value, tuple)
                words += [option, ",".join(_text(each) for each in value) if several else _text(value)]
        return shlex.join(words)

    def check(self) -> None:
        """Raise `UserError` for what no type says."""
        for name in self.detectors:
            default_psd(name)
        if not self.detectors or len(set(self.detectors)) < len(self.detectors):
            raise UserError(f"--detectors {','.join(self.detectors)}: expected different detectors, such as H1,L1.")
        if self.sample_rate != round(self.sample_rate):
            raise UserError(f"--sample-rate {self.sample_rate:g}: expected a whole number of Hz, such as 2048.")
        low, high = self.spacing
        if not 0.1 <= low <= high:
            raise UserError(
                f"--spacing {low:g},{high:g}: expected the least and the most seconds from one injection to the next, "
                "such as 24,30."
            )
        if self.noise == (GLITCHY,) and self.sample_rate < MIN_RATE:
            raise UserError(f"--noise glitches needs a --sample-rate of {MIN_RATE:g} Hz or more.")

    def signals(self) -> ContinuousSignals:
        """What is injected.

        Raises:
            UserError: no such population or approximant, or one that the other does not fit.
        """
        population = load_population(self.population)
        approximant = self.approximant or ("IMRPhenomXPHM" if population.precesses else "IMRPhenomXAS")
        approximant_source(approximant)
        distance = self.chirp_distance or (None if population.has_distance else CHIRP_DISTANCE)
        if distance is not None and not 0 < distance[0] < distance[1]:
            raise UserError(
                f"--chirp-distance {distance[0]:g},{distance[1]:g}: expected two numbers of Mpc above 0, the lower "
                "first, such as 130,350."
            )
        return ContinuousSignals(
            population,
            approximant,
            self.f_low,
            self.spacing,
            EDGE,
            None if distance is None else ChirpDistance(model="chirp-distance", low=distance[0], high=distance[1]),
        )

    def psd_names(self) -> tuple[str, ...]:
        """The PSD of each detector, for simulated noise.

        Raises:
            UserError: an unknown name, a file that cannot be read, or the wrong number of them.
        """
        names = self.psds or tuple(PSDS.get(name) or default_psd(name) for name in self.detectors)
        names = names * len(self.detectors) if len(names) == 1 else names
        if len(names) != len(self.detectors):
            raise UserError(
                f"{len(names)} PSDs for {len(self.detectors)} detectors ({','.join(self.detectors)}): give --psd once "
                "for all of them, or once for each in order."
            )
        for name, detector in zip(names, self.detectors, strict=True):
            check_name(name, detector)
        return names

    def simulated_segments(self) -> list[ColouredSegment]:
        """The segments of simulated noise.

        Raises:
            UserError: they would be too short.
        """
        hours = self.hours or 0.0
        count = self.segments or int(-(-hours * 3600 // LONGEST))
        if hours * 3600 / count < SHORTEST:
            raise UserError(
                f"{hours * 3600:.0f} s in {count} segment(s): expected {SHORTEST:g} s or more in each. Raise --hours "
                "or lower --segments."
            )
        return coloured_segments(
            seed=self.seed,
            start=self.start,
            hours=hours,
            segments=count,
            gap=GAP,
            detectors=self.detectors,
            psd_names=self.psd_names(),
            sample_rate=self.sample_rate,
            glitches=SimulatedGlitches(self.glitch_rate) if self.noise == (GLITCHY,) else None,
        )


def _text(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


__all__ = ["EDGE", "GAUSSIAN", "GLITCHY", "ContinuousSettings"]
