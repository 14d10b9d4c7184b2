"""Real strain with simulated signals injected into half of its windows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from gwbench.contracts import DataContext, Dataset, Layout, StrainSplits
from gwbench.data import segments
from gwbench.data.injections import Injections, noise_psds
from gwbench.data.population import Population, SnrDistribution, default_arrival
from gwbench.data.psd import default_psd
from gwbench.data.resample import PASSBAND, reach, resampled
from gwbench.data.segments import Stretch
from gwbench.data.shares import Shares, share_out
from gwbench.data.simulate import SPLITS, simulate
from gwbench.data.strain_files import StrainFile, find_strain_files, read_strain
from gwbench.errors import UserError
from gwbench.files import file_digest
from gwbench.progress import Progress
from gwbench.registry import register

NETWORK = ("H1", "L1", "V1")
"""The channels where a file does not say which detector it is of."""

GUARD = 0.25
"""Least seconds left out between the stretches of two splits or channels."""


@register(
    "dataset",
    "real-noise",
    citation="GWOSC: Abbott et al., Open data from the third observing run, arXiv:2302.03676",
    tags=("real", "files"),
)
class RealNoise(Dataset):
    """Windows of real strain from HDF5 files, half of them with a simulated binary-black-hole signal.

    Files are GWOSC HDF5 or plain HDF5 (see `gwbench.data.strain_files.read_strain`), of any mix of detectors.
    Gaps and seconds of bad quality are left out. Train, validation and test take stretches of time that do not
    touch, the same for all detectors that observed together; a channel without strain of its own takes that of
    another detector, at times that no other channel has. Every channel of a window starts at a time of its own
    (a time slide), so that real signals are coincident only by chance. Signals are scaled to a network SNR by
    the PSD of each channel's training stretch.

    Args:
        path: files, folders or globs.
        detectors: the channels; by default the detectors that the files name, or H1, L1 and V1.
        train: windows in the training split.
        val: windows in the validation split.
        test: windows in the test split.
        sample_rate: Hz; files sampled faster are resampled.
        duration: of a window, seconds.
        margin: seconds stored on either side of a window for whitening to consume.
        snr: lowest and highest optimal network SNR, uniform between them.
        mass: lowest and highest component mass, solar masses in the detector frame.
        spin: lowest and highest dimensionless spin along the orbital angular momentum.
        arrival: earliest and latest coalescence at the centre of the earth, seconds after the window's start;
            by default 0.7 to 0.95 of the duration.
        approximant: any frequency-domain approximant of LAL.
        fractions: shares of the good time that train, val and test take, in order of time.
        exclude: GPS times to leave out, such as those of known events.
        exclude_seconds: how much to leave out on either side of them.
    """

    def __init__(
        self,
        *,
        path: tuple[str, ...] = (),
        detectors: tuple[str, ...] | None = None,
        train: Annotated[int, Field(ge=2)] = 4000,
        val: Annotated[int, Field(ge=2)] = 1000,
        test: Annotated[int, Field(ge=2)] = 2000,
        sample_rate: Annotated[float, Field(gt=0)] = 2048.0,
        duration: Annotated[float, Field(ge=0.5)] = 2.0,
        margin: Annotated[float, Field(ge=0)] = 0.5,
        snr: tuple[float, float] = (6.0, 20.0),
        mass: tuple[float, float] = Population.mass,
        spin: tuple[float, float] = Population.spin,
        arrival: tuple[float, float] | None = None,
        approximant: str = "IMRPhenomXAS",
        fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
        exclude: tuple[float, ...] = (),
        exclude_seconds: Annotated[float, Field(gt=0)] = 4.0,
    ) -> None:
        for name in detectors or ():
            default_psd(name)
        if detectors is not None and (not detectors or len(set(detectors)) < len(detectors)):
            raise UserError(f"dataset.detectors={','.join(detectors)}: expected different detectors, such as H1,L1,V1.")
        if min(fractions) <= 0:
            raise UserError(
                f"dataset.fractions={','.join(f'{share:g}' for share in fractions)}: expected the shares of "
                "good time for train, val and test, each above 0, such as 0.6,0.2,0.2."
            )
        self.path, self.detectors, self.fractions = path, detectors, fractions
        self.sizes = {"train": train, "val": val, "test": test}
        self.sample_rate = sample_rate
        self.window, self.margin = round(duration * sample_rate), round(margin * sample_rate)
        late = arrival or default_arrival(duration)
        self.population = Population(mass=mass, spin=spin, arrival=late)
        self.approximant = approximant
        self.snr = SnrDistribution.uniform(*snr)
        self.exclude, self.exclude_seconds = exclude, exclude_seconds

    def fingerprint(self) -> Mapping[str, str]:
        """SHA-256 of every file, by its name."""
        digests: dict[str, str] = {}
        for path in self._files():
            name, copies = path.name, sum(other.split("#")[0] == path.name for other in digests)
            digests[f"{name}#{copies + 1}" if copies else name] = file_digest(path)
        return digests

    def load(self, context: DataContext) -> StrainSplits:
        """Read the files, share out their good time and inject.

        Raises:
            UserError: a file cannot be read or is sampled too slowly, or there is too little good time.
        """
        files = self._read(context.progress)
        sources = self._sources(files)
        pools = {source: self._good(files, source) for source in sources.values()}
        guard = max(GUARD, 2 * reach(self.sample_rate))
        fractions = dict(zip(SPLITS, self.fractions, strict=True))
        shares = share_out(pools, sources, fractions, guard, self._needed, self.sample_rate)
        noise = {
            split: tuple(tuple(part.strain for part in stretches) for stretches in channels)
            for split, channels in shares.items()
        }
        psds, delta_f = noise_psds(noise["train"], self.sample_rate)
        windows = Injections(
            noise,
            tuple(sources),
            (psds, delta_f),
            self.population,
            self.snr,
            self.sample_rate,
            self.window,
            self.margin,
            self.approximant,
        )
        layout = Layout(
            tuple(sources),
            self.sample_rate,
            self.window,
            self.margin,
            self.sizes,
            self._notes(files, sources, shares, delta_f),
        )
        return context.stored(layout, lambda: simulate(windows, self.sizes, context.seed, context.workers))

    @property
    def _needed(self) -> int:
        """Samples of one window with its margins."""
        return self.window + 2 * self.margin

    def _files(self) -> list[Path]:
        if not self.path:
            raise UserError("The dataset real-noise needs --set dataset.path=FILE: strain files, folders or globs.")
        return find_strain_files(self.path)

    def _read(self, progress: Progress) -> list[StrainFile]:
        paths, files = self._files(), []
        with progress.task("Read strain", total=len(paths), unit="files") as task:
            for path in paths:
                files.append(resampled(read_strain(path), self.sample_rate))
                task.advance()
        return files

    def _sources(self, files: list[StrainFile]) -> dict[str, str]:
        """For every channel, the detector whose strain it takes; "" for files that name none."""
        seconds: dict[str, float] = {}
        for file in files:
            seconds[file.detector or ""] = seconds.get(file.detector or "", 0) + file.good_seconds
        named = sorted(filter(None, seconds))
        channels = self.detectors or tuple(dict.fromkeys((*NETWORK, *named) if "" in seconds else named))
        for name in channels:
            default_psd(name)
        spare = "" if "" in seconds else max(seconds, key=lambda name: seconds[name])
        return {name: name if name in seconds else spare for name in channels}

    def _good(self, files: list[StrainFile], source: str) -> list[Stretch]:
        """Good stretches of a source, less the excluded times."""
        stretches = segments.good_stretches([file for file in files if (file.detector or "") == source])
        for time in self.exclude:
            stretches = segments.without(stretches, time - self.exclude_seconds, time + self.exclude_seconds)
        return stretches

    def _notes(
        self, files: list[StrainFile], sources: Mapping[str, str], shares: Shares, delta_f: float
    ) -> tuple[str, ...]:
        used = sum((file.detector or "") in sources.values() for file in files)
        notes = [
            f"Noise is real strain out of {used} file(s), good-quality seconds only; signals are "
            f"simulated: {self.population}; network SNR {self.snr}.",
            "Every channel of a window starts at a time of its own (a time slide); real signals are coincident "
            "only by chance.",
            "Signals are scaled by the median-Welch PSD of each channel's training stretch, from 20 Hz to "
            f"{PASSBAND * self.sample_rate / 2:g} Hz in bins of {delta_f:g} Hz.",
        ]
        for source in dict.fromkeys(sources.values()):
            channels = [name for name, of in sources.items() if of == source]
            if channels != [source]:
                notes.append(
                    f"Channel(s) {', '.join(channels)} take strain of "
                    f"{source or 'a detector that the files do not name'}"
                    + ("." if len(channels) == 1 else ", at times that do not overlap.")
                )
        for split, stretches_of in shares.items():
            seconds = [segments.seconds(stretches) for stretches in stretches_of]
            reuse = [self.sizes[split] * self._needed / self.sample_rate / each for each in seconds]
            each = ", ".join(
                f"{name} {length:.1f} s (each second used {times:.1f} times)"
                for name, length, times in zip(sources, seconds, reuse, strict=True)
            )
            notes.append(f"Independent noise behind the {split} windows: {each}.")
        notes.append("Intervals do not account for the reuse of noise.")
        if self.exclude:
            inside = sum(any(_holds(file, time) for file in files) for time in self.exclude)
            notes.append(
                f"{self.exclude_seconds:g} s on either side of {len(self.exclude)} GPS time(s) are left out; "
                f"{inside} of these times lie within the files."
            )
        return tuple(notes)


def _holds(file: StrainFile, time: float) -> bool:
    return file.gps_start <= time < file.gps_start + len(file.strain) / file.sample_rate
