"""Which detector a text, a dataset or a file is of, however it is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gwbench.data.detectors import SITES

KNOWN = ("H1", "H2", "L1", "V1", "K1", "G1", "A1", "I1", "T1", "C1", "E1", "E2", "E3")
"""Prefixes of LIGO-T970130 that are or will be in use."""

IN_NAMES = ("H1", "H2", "L1", "V1", "K1", "G1")
"""Those that are looked for among the words of a longer name."""

LETTERS = {"H": "H1", "L": "L1", "V": "V1", "K": "K1", "G": "G1"}
"""Letters of the observatories, as in GWOSC's `meta/Observatory`."""

IGWN_NAME = re.compile(r"[A-Z]+-([A-Z][0-9])[_-].*")
"""The names of LIGO-T050017, such as H-H1_GWOSC_4KHZ_R1-1126259446-32.hdf5."""


def detector_named(text: str) -> str | None:
    """The detector that an attribute says: "H1", "h1 ", "H1:GDS-CALIB_STRAIN", "LIGO Hanford", "LHO_4k" or "H"."""
    text = text.strip().strip("'\"").strip()
    if text.upper() in LETTERS:
        return LETTERS[text.upper()]
    prefix = re.match(r"([A-Za-z][0-9])(?![A-Za-z0-9])", text)
    if prefix and (
        prefix[1].upper() in KNOWN or (prefix[1][0].isupper() and prefix.end() in (len(text), _colon(text)))
    ):
        return prefix[1].upper()
    return _one(_words(text))


def detector_of_path(parts: Sequence[str]) -> str | None:
    """The detector in the names of a dataset and of the groups around it, the dataset first."""
    for part in parts:
        if part.upper() in KNOWN:
            return part.upper()
        named = _one(_words(part.split(":")[0] if ":" in part else part))
        if named is not None:
            return named
    return None


def detector_of_file(path: Path) -> str | None:
    """The detector in a file's name, where it is one: H-H1_GWOSC-0-32.hdf5, L1_O3a.h5, noise-V1.hdf; not x_v1.h5."""
    name = path.name
    if igwn := IGWN_NAME.fullmatch(name):
        return igwn[1] if igwn[1] in KNOWN else None
    # A lower-case v1 is a version, and g1 or k1 somebody's counting.
    return _one([word for word in _words(name) if word.lower() in SITES or word not in ("v1", "g1", "k1")])


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[^A-Za-z0-9]+", text) if word]


def _one(words: Sequence[str]) -> str | None:
    """The detector among some words, where there is one alone."""
    found = {word.upper() for word in words if word.upper() in IN_NAMES}
    found |= {_site(word, words) for word in words if word.lower() in SITES}
    return found.pop() if len(found) == 1 else None


def _site(word: str, words: Sequence[str]) -> str:
    """The detector of a site; at Hanford, there were two."""
    site = SITES[word.lower()]
    return "H2" if site == "H1" and "2k" in (other.lower() for other in words) else site


def _colon(text: str) -> int:
    return text.find(":")


__all__ = ["detector_named", "detector_of_file", "detector_of_path"]
