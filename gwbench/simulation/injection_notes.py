"""What a reader of a record must know about windows of real noise, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gwbench.data.folder_walk import escaped
from gwbench.data.strain_files.known_events import EventCheck, catalogues
from gwbench.data.strain_files.resample import PASSBAND
from gwbench.data.strain_files.tracked_psd import PIECE, sensitivity
from gwbench.simulation.injections import SLIDE, Injections
from gwbench.utils.printable import few

DAY, YEAR = 86_400.0, 31_557_600.0
"""Seconds; a year is Julian."""

NAMED = 10
"""Events or files named in a note."""


def noise_notes(windows: Injections, sources: Mapping[str, str], sizes: Mapping[str, int]) -> list[str]:
    """Notes on the background, the PSDs and the reuse of noise.

    Args:
        windows: the dataset.
        sources: for every channel, the detector whose strain it takes; "" for one that the files do not name.
        sizes: windows per split.
    """
    if windows.coincident:
        notes = ["All channels of a window have the same GPS time; real signals that nobody excluded are coincident."]
    else:
        notes = [
            "Every channel of a window starts at a time of its own (a time slide), no two within "
            f"{SLIDE:g} s; real signals are not coincident."
        ]
    for source in dict.fromkeys(sources.values()):
        channels = [name for name, of in sources.items() if of == source]
        if channels != [source]:
            notes.append(
                f"Channel(s) {', '.join(channels)} take strain of {source or 'a detector that the files do not name'}"
                + ("." if len(channels) == 1 else ", at times that do not overlap.")
            )
    notes += _psd_notes(windows)
    for split, channels_of in windows.noise.items():
        seconds = [sum(len(part.strain) for part in segments) / windows.sample_rate for segments in channels_of]
        taken = sizes[split] * (windows.window + 2 * windows.margin) / windows.sample_rate
        each = ", ".join(
            f"{name} {length:.1f} s (each second used {taken / length:.1f} times)"
            for name, length in zip(windows.detectors, seconds, strict=True)
        )
        notes.append(f"Independent noise behind the {split} windows: {each}.")
        if not windows.coincident:
            notes.append(
                f"Slid by {SLIDE:g} s or more, the {split} noise makes {_duration(background_seconds(seconds))} of "
                "background."
            )
    notes.append("Intervals do not account for the reuse of noise.")
    return notes


def exclusion_note(
    seconds: float,
    times: int,
    inside: int,
    events: Sequence[str],
    catalogued: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The note on times left out; empty where there are none.

    Args:
        seconds: left out on either side of each.
        times: how many were asked for.
        inside: how many of these lie within the files.
        events: names of the events within the files that are listed beside them.
        catalogued: names of the others, by catalogue.
    """
    parts = []
    if times:
        parts.append(f"{times} GPS time(s), {inside} of them within the files")
    if events:
        parts.append(f"the known event(s) {_few(events)}")
    parts += [f"{len(names)} event(s) of {name} ({_few(names)})" for name, names in (catalogued or {}).items()]
    return f"{seconds:g} s on either side of {' and of '.join(parts)} are left out." if parts else ""


def event_notes(seconds: float, check: EventCheck) -> list[str]:
    """Notes on the known events that were left out and on the strain in which nobody looked for them."""
    note = exclusion_note(seconds, 0, 0, *check.names)
    return [note, *check_notes(check)] if note else check_notes(check)


def check_notes(check: EventCheck | None) -> list[str]:
    """Notes on the strain in which known events were not looked for.

    Args:
        check: what was found; None where nobody looked.
    """
    if check is None:
        return ["The strain was not checked against known events (dataset.exclude_events=false)."]
    lists, notes = catalogues(), []
    if long := [f"{event.before:g} s before {escaped(event.name)}" for event in check.events if event.before]:
        notes.append(f"Left out too are the {', the '.join(long)}, in which the signal passes from 20 Hz on.")
    if check.undated:
        notes.append(
            f"{len(check.undated)} file(s) without a GPS time of recording were not checked against known events: "
            f"{_few([path.name for path in check.undated])}."
        )
    if check.late:
        notes.append(
            f"Strain after {lists.until_date} was not checked against known events, but for some that gwbench's list "
            f"of {lists.date} names: {_few([path.name for path in check.late])}."
        )
    return notes


def _few(names: Sequence[str]) -> str:
    return few([escaped(name) for name in names], NAMED)


def background_seconds(seconds: Sequence[float]) -> float:
    """Seconds of background that channels of these lengths make by slides of `SLIDE` and more.

    One channel stays, each other one can be slid to length / `SLIDE` places that count as different.
    """
    return float(seconds[0] * np.prod([length / SLIDE for length in seconds[1:]]))


def _psd_notes(windows: Injections) -> list[str]:
    top = PASSBAND * windows.sample_rate / 2
    notes = [
        f"Signals are scaled by the median-Welch PSD measured around each window, over about {PIECE:g} s of good time, "
        f"from {windows.signals.f_low:g} Hz to {top:g} Hz in bins of {windows.psds.delta_f:g} Hz."
    ]
    reach, drifts = sensitivity(windows.psds), []
    for channel, name in enumerate(windows.detectors):
        segments = [part for channels in windows.noise.values() for part in channels[channel]]
        heard = reach[np.unique(np.concatenate([part.rows for part in segments]))]
        low, high = 100 * (np.array([heard.min(), heard.max()]) / np.median(heard) - 1)
        drifts.append(f"{name} {low:+.0f} to {high:+.0f} % ({len(heard)} PSDs)")
    notes.append(f"The distance at which an inspiral is heard drifts about its median: {', '.join(drifts)}.")
    return notes


def _duration(seconds: float) -> str:
    for unit, name in ((YEAR, "years"), (DAY, "days"), (3600.0, "hours")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:,.1f} {name}"
    return f"{seconds:.0f} s"
