"""Real strain with simulated signals injected into half of its windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gwbench.contracts import DataContext, Dataset, Layout, StrainSplits
from gwbench.data.detectors import DetectorNames
from gwbench.data.folder_walk import LeftOut
from gwbench.data.psd import default_psd
from gwbench.data.store.layout import SPLITS
from gwbench.data.strain_files import segments
from gwbench.data.strain_files.finding import find_strain_files
from gwbench.data.strain_files.known_events import EventCheck, check_events, event_files
from gwbench.data.strain_files.quality import quality_note
from gwbench.data.strain_files.reading import StrainFile, read_strain_series, strain_detectors
from gwbench.data.strain_files.resample import reach, resampled
from gwbench.data.strain_files.segments import Segment
from gwbench.data.strain_files.splitting import Shares, share_out, share_together
from gwbench.data.strain_files.timeline import arranged
from gwbench.data.strain_files.tracked_psd import tracked
from gwbench.data.strain_files.usage import check_coincident, unused_notes, used_files
from gwbench.errors import UserError
from gwbench.registry import register
from gwbench.simulation.glitches import GLITCH_KINDS, SimulatedGlitches
from gwbench.simulation.injection_notes import check_notes, exclusion_note, noise_notes
from gwbench.simulation.injections import Injections
from gwbench.simulation.population import REFERENCE_GPS
from gwbench.simulation.signals import SignalModel
from gwbench.simulation.snr_models import SnrModel
from gwbench.utils.files import digests_by_name
from gwbench.utils.progress import Progress

NETWORK = ("H1", "L1", "V1")
"""The channels where a file does not say which detector it is of."""

EVENT_LIST = "2026-11-28"
"""Date of `known_events.toml`, so that it is part of this plugin's code, and data are made again with another list."""

GUARD = 0.25
"""Least seconds left out between the segments of two splits or channels."""


@register(
    "dataset",
    "real-noise",
    citation="GWOSC: Abbott et al., Open data from the third observing run, arXiv:2302.03676",
    version=2,
    tags=("real", "files"),
)
class RealNoise(Dataset):
    """Windows of real strain from files, half of them with a simulated binary-black-hole signal.

    Files are GWOSC HDF5, plain HDF5 or GWF frames (docs/how-to/files.md), of any mix of detectors. Copies are used
    once. Gaps, seconds of bad quality and known events are left out. Train, validation and test take segments of time
    that do not touch, the same for all detectors that observed together. Signals are scaled to a network SNR by the
    PSD measured within about a minute of each window.

    Args:
        path: files, folders or globs.
        channel: frame channels, or HDF5 datasets, groups or detectors, to read, of which every file holds at least
            one; by default GWOSC's, or what is strain by its name.
        quality: of frames, the bits that good seconds have set, such as GDS-CALIB_STATE_VECTOR:2; by default those of
            the state vectors, data-quality vectors and GWOSC masks that we know. "none" applies no mask at all.
        detectors: the channels, in any case; by default the detectors that the files name, or H1, L1 and V1.
        background: "time-slid", every channel of a window starts at a time of its own, half a second or more from the
            others', so that real signals are not coincident, and a channel without strain of its own takes that of
            another detector, at times that no other channel has; "coincident", all channels at the same time.
        train: windows in the training split.
        val: windows in the validation split.
        test: windows in the test split.
        sample_rate: Hz; files sampled faster are resampled.
        duration: of a window, seconds.
        margin: seconds stored on either side of a window for whitening to consume.
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
        glitch_rate: simulated glitches per second in each detector, besides those of the real strain.
        glitch_snr: lowest and highest optimal SNR of a glitch.
        glitch_kinds: what glitches there are.
        fractions: shares of the good time that train, val and test take, in order of time.
        exclude: GPS times to leave out, such as those of known events.
        exclude_events: leave out known events, too: those that `events.json` beside the files lists, and those of the
            catalogues GWTC-1 to GWTC-5.0 that come with gwbench. Where a file's time is not known or later than the
            catalogues, the notes say that it was not checked.
        exclude_seconds: how much to leave out on either side of them.
    """

    places: ClassVar = ("path",)

    def __init__(
        self,
        *,
        path: tuple[str, ...] = (),
        channel: tuple[str, ...] = (),
        quality: tuple[str, ...] = (),
        detectors: DetectorNames | None = None,
        background: Literal["time-slid", "coincident"] = "time-slid",
        train: Annotated[int, Field(ge=2)] = 4000,
        val: Annotated[int, Field(ge=2)] = 1000,
        test: Annotated[int, Field(ge=2)] = 2000,
        sample_rate: Annotated[float, Field(gt=0)] = 2048.0,
        duration: Annotated[float, Field(ge=0.5)] = 2.0,
        margin: Annotated[float, Field(ge=0)] = 0.5,
        population: str = "flat-bbh",
        snr_model: SnrModel = "uniform",
        snr: tuple[float, ...] = (6.0, 20.0),
        mass: tuple[float, float] | None = None,
        spin: tuple[float, float] | None = None,
        arrival: tuple[float, float] | None = None,
        approximant: str = "IMRPhenomXAS",
        f_low: Annotated[float, Field(gt=0)] = 20.0,
        gps: float = REFERENCE_GPS,
        glitch_rate: Annotated[float, Field(ge=0)] = 0.0,
        glitch_snr: tuple[float, float] = SimulatedGlitches.snr,
        glitch_kinds: tuple[str, ...] = tuple(GLITCH_KINDS),
        fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
        exclude: tuple[float, ...] = (),
        exclude_events: bool = True,
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
        self.path, self.channel, self.quality, self.detectors = path, channel, quality, detectors
        self._left_out = LeftOut()
        self.coincident = background == "coincident"
        self.sizes = dict(zip(SPLITS, (train, val, test), strict=True))
        self.fractions = dict(zip(SPLITS, fractions, strict=True))
        self.sample_rate = sample_rate
        self.window, self.margin = round(duration * sample_rate), round(margin * sample_rate)
        self.signals = SignalModel.create(
            population=population,
            duration=duration,
            snr_model=snr_model,
            snr=snr,
            mass=mass,
            spin=spin,
            arrival=arrival,
            approximant=approximant,
            f_low=f_low,
            gps=gps,
        )
        self.signals.check(duration)
        self.glitches = SimulatedGlitches(glitch_rate, glitch_snr, glitch_kinds) if glitch_rate else None
        self.exclude, self.exclude_events, self.exclude_seconds = exclude, exclude_events, exclude_seconds

    def fingerprint(self) -> Mapping[str, str]:
        """SHA-256 of every file by its name, lists of events included, and of the population's priors."""
        population = self.signals.population
        files = [*self._files, *(event_files(self._files) if self.exclude_events else ())]
        return {f"population {population.name}": population.digest, **digests_by_name(files)}

    def load(self, context: DataContext) -> StrainSplits:
        """The windows from the cache; or read the files, share out their good time and inject.

        Raises:
            UserError: a file cannot be read or is sampled too slowly, or there is too little good time.
        """
        channels = self._channels(found for path in self._files for found in strain_detectors(path, self.channel))
        layout = Layout(channels, self.sample_rate, self.window, self.margin, self.sizes)
        for line in self._left_out.sentences():
            context.progress.say(line)
        found = context.find(layout)
        if found is not None:
            return found.with_notes(self._left_out.sentences())  # which may be more than when it was made
        timeline = arranged(self._read(context.progress))
        files = timeline.series
        sources = self._sources(channels, files)
        check = self._known_events(files)
        spans = [(time - self.exclude_seconds, time + self.exclude_seconds) for time in self.exclude]
        spans += check.spans(self.exclude_seconds) if check else []
        pools = {source: self._good(files, source, spans) for source in sources.values()}
        shares = self._shares(sources, pools)
        windows = self._injections(sources, shares)
        used = used_files(shares)
        notes = [
            f"Noise is real strain out of {len(used)} file(s); signals are simulated: {self.signals}.",
            quality_note((file.path.name, file.quality) for file in files if file.path in used),
            *unused_notes(timeline, used, pools, (self.window + 2 * self.margin) / self.sample_rate),
            *timeline.notes,
            *dict.fromkeys(note for file in files for note in file.notes),
            *noise_notes(windows, sources, self.sizes),
        ]
        if spans:
            inside = sum(any(file.holds(time) for file in files) for time in self.exclude)
            names = check.names if check else ((), {})
            notes.append(exclusion_note(self.exclude_seconds, len(self.exclude), inside, *names))
        notes += check_notes(check)
        if self.glitches:
            notes.append(f"Simulated glitches besides the real ones: {self.glitches}.")
        notes += self._left_out.sentences()
        return context.stored(replace(layout, notes=tuple(notes)), windows)

    @cached_property
    def _files(self) -> list[Path]:
        if not self.path:
            raise UserError("The dataset real-noise needs --set dataset.path=FILE: strain files, folders or globs.")
        return find_strain_files(self.path, self._left_out)

    def _read(self, progress: Progress) -> list[StrainFile]:
        files = []
        with progress.task("Read strain", total=len(self._files), unit="files") as task:
            for path in self._files:
                files += [
                    resampled(series, self.sample_rate)
                    for series in read_strain_series(path, self.channel, self.quality)
                ]
                task.advance()
        return files

    def _channels(self, detectors: Iterable[str | None]) -> tuple[str, ...]:
        """The channels, from the detectors of the files."""
        if self.detectors is not None:
            return self.detectors
        found = set(detectors)
        named = sorted(filter(None, found))
        channels = tuple(dict.fromkeys((*NETWORK, *named) if None in found else named))
        for name in channels:
            default_psd(name)
        return channels

    def _sources(self, channels: tuple[str, ...], files: list[StrainFile]) -> dict[str, str]:
        """For every channel, the detector whose strain it takes; "" for files that name none."""
        seconds: dict[str, float] = {}
        for file in files:
            seconds[file.detector or ""] = seconds.get(file.detector or "", 0) + file.good_seconds
        if self.coincident:
            check_coincident(channels, files)
        spare = "" if "" in seconds else max(seconds, key=lambda name: seconds[name])
        return {name: name if name in seconds else spare for name in channels}

    def _known_events(self, files: list[StrainFile]) -> EventCheck | None:
        """Known events within the files, or near enough to reach into them; None where they may stay."""
        if not self.exclude_events:
            return None
        return check_events(files, event_files(self._files), self.exclude_seconds, EVENT_LIST)

    def _good(self, files: list[StrainFile], source: str, spans: Iterable[tuple[float, float]]) -> list[Segment]:
        """Good segments of a source, less the excluded times."""
        stretches = segments.good_segments([file for file in files if (file.detector or "") == source])
        for begin, end in spans:
            stretches = segments.without(stretches, begin, end)
        return stretches

    def _shares(self, sources: Mapping[str, str], pools: Mapping[str, list[Segment]]) -> Shares:
        needed, guard = self.window + 2 * self.margin, max(GUARD, 2 * reach(self.sample_rate))
        if self.coincident:
            return share_together(pools, self.fractions, guard, needed, self.sample_rate)
        return share_out(pools, sources, self.fractions, guard, needed, self.sample_rate)

    def _injections(self, sources: Mapping[str, str], shares: Shares) -> Injections:
        noise, psds = tracked([stretches for split in SPLITS for stretches in shares[split]], self.sample_rate)
        count = len(sources)
        return Injections(
            {split: noise[place * count : (place + 1) * count] for place, split in enumerate(SPLITS)},
            psds,
            self.signals,
            tuple(sources),
            self.sample_rate,
            self.window,
            self.margin,
            self.coincident,
            self.glitches,
        )
