"""The interferometers that gwbench knows: for fetching strain, for datasets and for messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from gwbench.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Detector:
    """One interferometer.

    Attributes:
        place: what it is and where.
        psds: names of PSDs, in pycbc, that describe the whole detector at design or observing-run sensitivity; the
            first is the default.
    """

    place: str
    psds: tuple[str, ...]


ADVANCED_LIGO = ("aLIGODesignSensitivityT1800044", "aLIGOZeroDetHighPower", "aLIGO175MpcT1800545")

DETECTORS = {
    "H1": Detector("LIGO Hanford, 4 km", ADVANCED_LIGO),
    "L1": Detector("LIGO Livingston, 4 km", ADVANCED_LIGO),
    "V1": Detector("Virgo, 3 km", ("AdvVirgo", "AdVO4T1800545", "AdVDesignSensitivityP1200087")),
    "K1": Detector("KAGRA, 3 km", ("KAGRA", "KAGRADesignSensitivityT1600593", "KAGRA128MpcT1800545")),
    # LAL has no curve of the 2 km; initial LIGO's 4 km is the nearest.
    "H2": Detector("initial LIGO Hanford, 2 km", ("iLIGOSRD", "iLIGOModel")),
    "G1": Detector("GEO 600", ("GEOHF", "GEO")),
    "I1": Detector("LIGO India, 4 km, planned", ("aLIGOAPlusDesignSensitivityT1800042", ADVANCED_LIGO[0])),
}
"""By the name that files, LAL and pycbc have for them. A1, which LIGO India is also called, is ALLEGRO there."""

SITES = {
    "hanford": "H1",
    "lho": "H1",
    "livingston": "L1",
    "llo": "L1",
    "virgo": "V1",
    "kagra": "K1",
    "geo": "G1",
    "geo600": "G1",
}
"""What people and LAL call the sites."""


def detector_name(text: str) -> str:
    """The name of a detector as it is known here, from one in any case; anything else as it is."""
    name = text.strip().upper()
    return name if name in DETECTORS else text


def require_detector(name: str) -> Detector:
    """The detector of a name.

    Raises:
        UserError: there is none.
    """
    if name not in DETECTORS:
        raise UserError(
            f"Unknown detector {name!r}: expected one of {', '.join(DETECTORS)}.{did_you_mean(name.upper(), DETECTORS)}"
        )
    return DETECTORS[name]


def _names(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(detector_name, given))


DetectorNames = Annotated[tuple[str, ...], AfterValidator(_names)]
"""The type of a parameter that names detectors, in any case."""
