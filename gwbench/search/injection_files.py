"""Injection files of MLGWSC-1: what signals are in a stretch of strain, and when."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench.errors import UserError
from gwbench.search.number_columns import read_columns

Floats = NDArray[np.float64]

NEEDED = ("tc", "distance", "mass1", "mass2")
OPTIONAL = ("chirp_distance", "optimal_snr")
WHAT = "injections file"


MOST = 1e12
"""Solar masses, and Mpc, that no binary has."""


@dataclass(frozen=True, eq=False)
class InjectionList:
    """Injected signals, in any order.

    Attributes:
        tc: [I] GPS s of coalescence.
        distance: [I] Mpc.
        mass1, mass2: [I] solar masses.
        chirp_distance: [I] Mpc; where it is known, an injection's weight is its chirp mass's volume.
        optimal_snr: [I] of the network; None where the file does not say.
    """

    tc: Floats
    distance: Floats
    mass1: Floats
    mass2: Floats
    chirp_distance: Floats | None = None
    optimal_snr: Floats | None = None

    def __len__(self) -> int:
        return len(self.tc)

    @property
    def chirp_mass(self) -> Floats:
        """[I] (m1 m2)^(3/5) / (m1 + m2)^(1/5), solar masses."""
        return (self.mass1 * self.mass2) ** 0.6 / (self.mass1 + self.mass2) ** 0.2

    def only(self, chosen: NDArray[np.bool_]) -> InjectionList:
        """Those of a mask [I]."""
        known = {name: getattr(self, name) for name in (*NEEDED, *OPTIONAL)}
        columns: dict[str, Any] = {name: None if one is None else one[chosen] for name, one in known.items()}
        return InjectionList(**columns)


def read_injections(path: Path) -> InjectionList:
    """The injections in an HDF5 file of MLGWSC-1 (datasets tc, distance, mass1, mass2 and others), or in a CSV file.

    Raises:
        UserError: it cannot be read, lacks a column, or a mass or a distance is not positive.
    """
    columns = read_columns(path, NEEDED, OPTIONAL, WHAT)
    for name in ("distance", "mass1", "mass2"):
        if not ((columns[name] > 0) & (columns[name] < MOST)).all():
            raise UserError(f"The {WHAT} {path}: {name} is not positive in every row, or not below {MOST:g}.")
    return InjectionList(**columns)
