"""The PSDs that a file holds, and the choice of one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gwbench.data.detectors import SITES
from gwbench.errors import UserError
from gwbench.utils.printable import few, printable

Float = NDArray[np.float64]

DETECTORS = ("H1", "H2", "L1", "V1", "K1", "G1", "I1", "A1", "C1", "E1", "E2", "E3")
"""Names by which files tell the PSDs of several detectors apart."""

LISTED, COMPARED = 6, 64
"""PSDs that a message lists, and how many are read to see whether they are one and the same."""


@dataclass(frozen=True)
class Spectrum:
    """Frequencies and values as a file has them.

    Attributes:
        frequencies: [F] Hz.
        values: [F], an ASD or a PSD.
        unit: of the values, as the file says it; empty where it does not.
        lines: [F] the line of each value, in a text.
        scale: strain was multiplied by this before the PSD was made, as the file says.
    """

    frequencies: Float
    values: Float
    unit: str = ""
    lines: NDArray[np.int64] | None = None
    scale: float = 1.0

    def place(self, position: int) -> str:
        """Where in the file a value is, for messages."""
        return f"bin {position}" if self.lines is None else f"line {self.lines[position]}"


@dataclass(frozen=True)
class Candidate:
    """One of the PSDs in a file.

    Attributes:
        name: how the file calls it: a dataset, a column, a detector. It names the quantity and the detector too.
        load: reads it.
        detector: whose it is, where the file says so.
        also: other names of it.
        remark: what a message adds to the name.
    """

    name: str
    load: Callable[[], Spectrum]
    detector: str | None = None
    also: tuple[str, ...] = ()
    remark: str = ""

    @property
    def shown(self) -> str:
        """Its name in a message."""
        return printable(self.name, 80) + (f" ({self.remark})" if self.remark else "")

    def is_named(self, part: str) -> bool:
        """Whether a user means this one: by its detector, its name, or the end or the beginning of that."""
        if self.detector is not None and detector_in(part) == self.detector and len(_words(part)) == 1:
            return True
        asked = part.strip("/").casefold()
        names = [name.strip("/").casefold() for name in (self.name, *self.also)]
        return any(name == asked or name.startswith(f"{asked}/") or name.endswith(f"/{asked}") for name in names)


def chosen(path: Path, candidates: Sequence[Candidate], detector: str | None, part: str | None) -> Spectrum:
    """The one PSD that is meant.

    Args:
        path: for messages.
        candidates: the PSDs of the file, one at least.
        detector: whose PSD is looked for; where the file has one PSD, that one serves for any detector.
        part: which one the user asked for.

    Raises:
        UserError: none has this name, or more than one can be meant and their values differ.
    """
    left = list(candidates)
    if part is not None:
        left = [candidate for candidate in left if candidate.is_named(part)]
        if not left:
            raise UserError(f"The PSD file {path} holds no PSD {part!r}: found {_listed(candidates)}.")
    if len(left) > 1:
        left = [candidate for candidate in left if _says_spectrum(candidate.name)] or left
        left = _without_asd_of_psd(left)
    if len(left) > 1 and detector is not None:
        own = [candidate for candidate in left if candidate.detector == detector.upper()]
        others = [candidate for candidate in left if candidate.detector is not None]
        if not own and len(others) == len(left):
            raise UserError(
                f"The PSD file {path} holds no PSD of {detector}: found {_listed(left)}. Choose one of them by "
                f"{path.name}#{others[0].detector}, or name another file."
            )
        left = own or left
    series = left[0].load()
    named = {candidate.detector for candidate in left}
    # An analysis after another repeats the PSD of a detector.
    alike = len(named) == 1 and len(left) <= COMPARED and all(_equal(series, other.load()) for other in left[1:])
    if len(left) > 1 and not alike:
        example = left[0].detector if len(named) == len(left) and None not in named else left[0].name.strip("/")
        raise UserError(
            f"The PSD file {path}: expected exactly one PSD, or the name of one; found {_listed(left)}. Choose one by "
            f"its name after a #, such as {path.name}#{printable(example or '', 80)}."
        )
    return series


def detector_in(text: str) -> str | None:
    """The detector that a name mentions, in any case; the last one where it mentions several."""
    found = [word.upper() if word.upper() in DETECTORS else SITES.get(word) for word in _words(text)]
    return next((detector for detector in reversed(found) if detector), None)


def detectors_in(text: str) -> list[str]:
    """The detectors that a line mentions, in order."""
    return [detector for word in _words(text) if (detector := detector_in(word))]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.casefold())


def _says_spectrum(name: str) -> bool:
    words = set(_words(name))
    return bool(words & {"psd", "psds", "asd", "asds"}) or {"spectral", "density"} <= words


def _without_asd_of_psd(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Without the ASDs of which the file holds the PSD too."""
    psds = {candidate.name.casefold() for candidate in candidates}
    twins = {"asd": "psd", "amplitude": "power"}
    left = []
    for candidate in candidates:
        name = twin = candidate.name.casefold()
        for word, other in twins.items():
            twin = twin.replace(word, other)
        if twin == name or twin not in psds:
            left.append(candidate)
    return left


def _equal(one: Spectrum, other: Spectrum) -> bool:
    return np.array_equal(one.frequencies, other.frequencies) and np.array_equal(one.values, other.values, True)


def _listed(candidates: Sequence[Candidate]) -> str:
    return few([candidate.shown for candidate in candidates], LISTED)


__all__ = ["Candidate", "Float", "Spectrum", "chosen", "detector_in", "detectors_in"]
