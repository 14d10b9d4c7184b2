"""What datasets of simulated strain share: their parameters, and presets as data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from gwbench.data.dataset import DataContext, Dataset, Layout, NoiseStream, StrainSplits
from gwbench.data.detectors import DetectorNames
from gwbench.data.folder_walk import LeftOut
from gwbench.data.psd import psd_files
from gwbench.data.strain_files.finding import find_strain_files
from gwbench.data.strain_files.known_events import catalogues, check_events, event_files
from gwbench.data.strain_files.reading import read_strain_series
from gwbench.data.strain_files.resample import resampled
from gwbench.data.strain_files.segments import good_segments, without
from gwbench.data.strain_files.timeline import arranged
from gwbench.errors import UserError, did_you_mean
from gwbench.simulation.continuous_noise import coloured_segments
from gwbench.simulation.glitches import GLITCH_KINDS, SimulatedGlitches
from gwbench.simulation.injection_notes import event_notes
from gwbench.simulation.injection_settings import InjectionSettings
from gwbench.simulation.population import REFERENCE_GPS
from gwbench.simulation.real_glitches import RealGlitches, find_glitches, share_glitches
from gwbench.simulation.signals import SignalModel
from gwbench.simulation.snr_models import SnrModel
from gwbench.simulation.strain import Simulation
from gwbench.utils.files import digests_by_name
from gwbench.utils.progress import Progress

MARGIN = 0.25
"""Seconds stored on either side of a window for whitening to consume."""

AROUND_EVENTS = 4.0
"""Seconds on either side of a known event in which no glitch is looked for."""


@dataclass(frozen=True)
class Preset:
    """Values for the parameters of `SimulatedDataset` that are not given.

    Attributes:
        sizes: windows per split.
        signals: those of `InjectionSettings`: population, snr_model and snr at least.
        duration: of a window, seconds.
        glitch_rate: per second and detector.
        labelled: training windows with a label; None for all.
    """

    sizes: Mapping[str, int]
    signals: Mapping[str, Any] = field(default_factory=dict)
    duration: float = 2.0
    glitch_rate: float = 0.0
    labelled: int | None = None


class SimulatedDataset(Dataset):
    """Simulated binaries in Gaussian noise of the detectors' PSDs; half the windows hold one.

    Args:
        preset: named values for what is not given here; every `None` below takes the preset's.
        train: windows in the training split.
        val: windows in the validation split.
        test: windows in the test split.
        labelled: how many training windows come with their label, of which a run's label fraction is a share; by
            default the preset's, or all where the training split is smaller. The others are for pre-training.
        detectors: at least two of H1, L1, V1, K1, H2, G1, I1 (LIGO India), in any case.
        sample_rate: Hz.
        duration: of a window, seconds.
        psds: one PSD per detector, in order: a name, or a file of a PSD or ASD (text, .npy, HDF5 or LAL's XML), of
            which each detector takes its own PSD, or FILE#NAME the one of this name; by default the first that
            gwbench/data/detectors.py names, such as aLIGODesignSensitivityT1800044 (H1, L1).
        population: what binaries there are: a name of gwbench/simulation/populations.toml, or a file like it.
        snr_model: where the optimal network SNR comes from: "uniform" or "clipped-normal" (drawn, and the distance
            chosen to fit), or "distance" (from the population's distances).
        snr: lowest and highest; or mean, sigma and floor; or the least SNR that is kept.
        mass: lowest and highest component mass, uniform, solar masses in the detector frame, instead of the
            population's.
        spin: lowest and highest dimensionless spin along the orbital angular momentum, uniform, instead of the
            population's.
        arrival: earliest and latest coalescence at the centre of the earth, seconds after the window's start;
            by default 0.7 to 0.95 of the duration.
        approximant: any that pycbc knows.
        f_low: Hz, where signals begin and from which their SNR counts.
        gps: GPS time at which the earth's rotation is held.
        glitch_rate: glitches per second in each detector, in windows with and without signals.
        glitch_snr: lowest and highest optimal SNR of a glitch.
        glitch_kinds: what glitches there are.
        glitch_path: strain files, folders or globs whose glitches are used instead, recoloured to the PSDs; known
            events, which `events.json` beside the files or a catalogue lists, are none.
        glitch_times: GPS times of the glitches in these files; by default all that stand out are found.
    """

    presets: ClassVar[Mapping[str, Preset]]
    places: ClassVar = ("glitch_path",)

    def __init__(
        self,
        *,
        preset: str = "quick",
        train: Annotated[int, Field(gt=0)] | None = None,
        val: Annotated[int, Field(gt=0)] | None = None,
        test: Annotated[int, Field(gt=0)] | None = None,
        labelled: Annotated[int, Field(gt=0)] | None = None,
        detectors: DetectorNames = ("H1", "L1", "V1"),
        sample_rate: Annotated[float, Field(gt=0)] = 2048.0,
        duration: Annotated[float, Field(gt=0)] | None = None,
        psds: tuple[str, ...] | None = None,
        population: str | None = None,
        snr_model: SnrModel | None = None,
        snr: tuple[float, ...] | None = None,
        mass: tuple[float, float] | None = None,
        spin: tuple[float, float] | None = None,
        arrival: tuple[float, float] | None = None,
        approximant: str | None = None,
        f_low: Annotated[float, Field(gt=0)] | None = None,
        gps: float = REFERENCE_GPS,
        glitch_rate: Annotated[float, Field(ge=0)] | None = None,
        glitch_snr: tuple[float, float] = SimulatedGlitches.snr,
        glitch_kinds: tuple[str, ...] = tuple(GLITCH_KINDS),
        glitch_path: tuple[str, ...] = (),
        glitch_times: tuple[float, ...] = (),
    ) -> None:
        if preset not in self.presets:
            raise UserError(
                f"dataset.preset={preset!r} is not valid: expected {' or '.join(self.presets)}."
                f"{did_you_mean(preset, self.presets)}"
            )
        chosen = self.presets[preset]
        given = {"train": train, "val": val, "test": test}
        self.sizes = {name: chosen.sizes[name] if size is None else size for name, size in given.items()}
        for name, size in self.sizes.items():
            if size < 1:
                raise UserError(f"{name} = {size} windows: expected at least 1.")
        if labelled is not None and labelled > self.sizes["train"]:
            raise UserError(
                f"dataset.labelled={labelled} is more than the {self.sizes['train']} training windows: lower it, or "
                "raise dataset.train."
            )
        self.labelled = min(labelled or chosen.labelled or self.sizes["train"], self.sizes["train"])
        signals = InjectionSettings(**chosen.signals, gps=gps).with_given(
            population=population,
            snr_model=snr_model,
            snr=snr,
            mass=mass,
            spin=spin,
            arrival=arrival,
            approximant=approximant,
            f_low=f_low,
        )
        seconds = chosen.duration if duration is None else duration
        rate = chosen.glitch_rate if glitch_rate is None else glitch_rate
        simulated = SimulatedGlitches(rate, glitch_snr, glitch_kinds)
        if glitch_path and not rate:
            raise UserError("dataset.glitch_path is given, and no glitches: set dataset.glitch_rate too, such as 0.2.")
        self.glitch_path, self.glitch_times, self.glitch_rate = glitch_path, glitch_times, rate
        self.simulation = Simulation(
            detectors=detectors,
            psds=psds or (),
            signals=SignalModel.of(signals, seconds),
            sample_rate=sample_rate,
            window=round(seconds * sample_rate),
            margin=round(MARGIN * sample_rate),
            glitches=simulated if rate and not glitch_path else None,
            labelled=self.labelled if self.labelled < self.sizes["train"] else None,
        )

    def fingerprint(self) -> Mapping[str, str]:
        """SHA-256 of the population's priors, and of the files that PSDs and glitches come from."""
        population = self.simulation.signals.population
        strain = self._glitch_files()
        files = [*dict.fromkeys(psd_files(self.simulation.psds)), *strain, *event_files(strain)]
        known = {f"population {population.name}": population.digest, **digests_by_name(files)}
        return {**known, "known events": catalogues().date} if strain else known

    def load(self, context: DataContext) -> StrainSplits:
        """The three splits, from the cache or simulated into it."""
        if not self.glitch_path:
            splits = context.find(self._layout(self.simulation))
            return context.stored(self._layout(self.simulation), self.simulation) if splits is None else splits
        left_out = LeftOut()
        paths = self._glitch_files(left_out)
        for line in left_out.sentences():
            context.progress.say(line)
        splits = context.find(self._layout(self.simulation))
        if splits is None:
            glitches, notes = self._real_glitches(paths, context.progress)
            layout = self._layout(replace(self.simulation, glitches=glitches))
            layout = replace(layout, notes=(*layout.notes, *notes, *left_out.sentences()))
            splits = context.stored(layout, replace(self.simulation, glitches=glitches))
        return splits.with_notes(left_out.sentences())

    def continuous_noise(self, hours: float, seed: int) -> Sequence[NoiseStream] | None:
        """Segments of an hour at most, with glitches as the windows have them; None where those come from files."""
        if self.glitch_path:
            return None
        own = self.simulation
        return coloured_segments(
            seed=seed,
            start=1,
            hours=hours,
            segments=max(1, math.ceil(hours)),
            gap=0,
            detectors=own.detectors,
            psd_names=own.psds,
            sample_rate=own.sample_rate,
            glitches=own.glitches if isinstance(own.glitches, SimulatedGlitches) else None,
        )

    def _glitch_files(self, left_out: LeftOut | None = None) -> list[Path]:
        """The files that glitches come from, if there are to be some."""
        places = self.glitch_path
        return find_strain_files(places, left_out, option="dataset.glitch_path") if places else []

    def _layout(self, simulation: Simulation) -> Layout:
        pairs = zip(simulation.detectors, simulation.psds, strict=True)
        notes = [
            f"Simulated: {simulation.signals}.",
            "Half the windows of each split hold one signal.",
            *self._withheld(),
            f"Gaussian noise of PSD {', '.join(f'{name} ({detector})' for detector, name in pairs)}, none below 10 Hz.",
        ]
        if simulation.glitches:
            notes.append(f"Glitches: {simulation.glitches}.")
        return Layout(
            simulation.detectors,
            simulation.sample_rate,
            simulation.window,
            simulation.margin,
            self.sizes,
            notes=tuple(notes),
        )

    def _withheld(self) -> Iterator[str]:
        if self.labelled < self.sizes["train"]:
            yield f"{self.labelled} of the {self.sizes['train']} training windows have a label."

    def _real_glitches(self, paths: list[Path], progress: Progress) -> tuple[RealGlitches, list[str]]:
        """Glitches cut out of files, divided between the splits; and what to note of known events."""
        rate = self.simulation.sample_rate
        files = []
        with progress.task("Find glitches", len(paths), "files") as task:
            for path in paths:
                files += [resampled(series, rate) for series in read_strain_series(path)]
                task.advance()
        series = arranged(files).series
        segments = good_segments(series)
        check = check_events(series, event_files(paths), AROUND_EVENTS, catalogues().date)
        for begin, end in check.spans(AROUND_EVENTS):
            segments = without(segments, begin, end)
        samples = self.simulation.window + 2 * self.simulation.margin
        cutouts = find_glitches(segments, samples, times=self.glitch_times)
        notes = [f"Of the glitches' strain: {note}" for note in event_notes(AROUND_EVENTS, check)]
        return RealGlitches(share_glitches(cutouts, self.sizes), self.glitch_rate, rate), notes


__all__ = ["Preset", "SimulatedDataset"]
