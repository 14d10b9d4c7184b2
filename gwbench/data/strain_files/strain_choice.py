"""Which datasets of an HDF5 file are strain, by their names, where nobody says it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from gwbench.data.strain_files.hdf5_facts import Facts
from gwbench.data.strain_files.hdf5_time_axis import TIMES
from gwbench.data.strain_files.recording import LISTED
from gwbench.errors import UserError
from gwbench.utils.printable import few

GWOSC = re.compile(r"(.*/)?strain/Strain")
"""Where GWOSC's files hold their strain."""

# fmt: off
NO_STRAIN = frozenset(
    {
        "mask", "masks", "quality", "dq", "dqmask", "injmask", "psd", "psds", "asd", "asds", "template", "templates",
        "freq", "freqs", "frequency", "frequencies", "snr", "snrs", "trigger", "triggers", "injection", "injections",
        "inj", "state", "flag", "flags", "aux", "label", "labels", "parameters", "params", "hp", "hc", "hplus",
        "hcross", "waveform", "waveforms", "whitened", "residual", "phase", "amplitude", "ra", "dec", "chisq",
        "weights", "veto", "vetoes", "bits", "vector", "odc",
    }
)
# fmt: on
"""Words in the names of what is recorded beside strain."""

STRAIN = frozenset({"strain", "hoft", "hrec", "h", "data"})
"""Words in the names of strain."""

CHOOSE = "Name one of them with dataset.channel, or with --channel of `gwbench data plot`."


def chosen(path: Path, series: Sequence[Facts]) -> list[Facts]:
    """The series that are strain: of every detector one, or its segments.

    Args:
        path: the file, for messages.
        series: one-dimensional datasets of numbers; at least one.

    Raises:
        UserError: one detector has several series that may be meant.
    """
    for known in (_gwosc(series), _named_data(series)):
        if known:
            return known
    likely = [one for one in series if not _words(one) & NO_STRAIN and _plain(one.names[0]) not in TIMES]
    if not likely:
        raise UserError(
            f"The strain file {path} has no channel that is known as strain. It holds {listed(series)}. {CHOOSE}"
        )
    timed = [one for one in likely if one.has_own_rate] or [one for one in likely if one.sample_rate] or likely
    by_detector: dict[str | None, list[Facts]] = {}
    for one in timed:
        by_detector.setdefault(one.detector, []).append(one)
    if len(by_detector) > 1 and None in by_detector:
        del by_detector[None]  # beside strain that names its detector, something else
    return [one for candidates in by_detector.values() for one in _of_one_detector(path, candidates, series)]


def only(path: Path, series: Sequence[Facts], detectors: Sequence[str]) -> list[Facts]:
    """The strain of some detectors. Raises `UserError` as `chosen`."""
    wanted = [one for one in series if one.detector in detectors]
    return chosen(path, wanted) if wanted else []


def listed(series: Sequence[Facts]) -> str:
    """The names of some series, for a message."""
    names = sorted(one.found.names[0] for one in series)
    return few(names, LISTED) or "no channel"


def _gwosc(series: Sequence[Facts]) -> list[Facts]:
    return [one for one in series if any(map(GWOSC.fullmatch, one.found.names))]


def _named_data(series: Sequence[Facts]) -> list[Facts]:
    """`data`, as pycbc writes it, unless others name their detector."""
    named = [one for one in series if "data" in one.found.names]
    others = {one.detector for one in series if one not in named and one.has_own_rate} - {None}
    return [] if others else named


def _of_one_detector(path: Path, candidates: Sequence[Facts], series: Sequence[Facts]) -> list[Facts]:
    """One series, or segments of one."""
    if len(candidates) == 1 or _are_segments(candidates):
        return list(candidates)
    strain = [one for one in candidates if _words(one) & STRAIN or "strain" in one.names[0].lower()]
    if strain and (len(strain) == 1 or _are_segments(strain)):
        return strain
    of = f" of {candidates[0].detector}" if candidates[0].detector else ""
    raise UserError(
        f"The strain file {path} has more than one channel that is known as strain. It holds "
        f"{listed(candidates or series)}{of}. {CHOOSE}"
    )


def _are_segments(series: Sequence[Facts]) -> bool:
    """Whether some series follow on each other in time or, where that is unknown, are numbered."""
    if any(one.sample_rate is None or one.sample_rate != series[0].sample_rate for one in series):
        return False
    starts = [one.start for one in series]
    if None not in starts and len(set(starts)) == len(starts):
        spans = sorted((one.start or 0.0, one.found.dataset.size / (one.sample_rate or 1.0)) for one in series)
        return all(start + length <= after + 1e-6 for (start, length), (after, _) in pairwise(spans))
    return None in starts and len({re.sub(r"\d+", "", one.found.names[0]) for one in series}) == 1


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _words(one: Facts) -> set[str]:
    """The words of all parts of a series' names, in lower case."""
    return {word for part in one.parts for word in re.split(r"[^a-z0-9]+", part.lower())}


__all__ = ["CHOOSE", "chosen", "listed", "only"]
