"""Populations of compact binaries, as data: what is drawn, and from which priors."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
from numpy.typing import NDArray
from pydantic import Field, model_validator

from gwbench.errors import UserError, did_you_mean
from gwbench.simulation.binaries import (
    MASS_LIMITS,
    SPIN_LIMITS,
    AlignedSpins,
    IsotropicSpins,
    Masses,
    SortedMasses,
    Spins,
)
from gwbench.simulation.chirp_distance import ChirpDistance
from gwbench.simulation.cosmology import ComovingVolume
from gwbench.simulation.priors import Model, uniform
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_files import UnusableError
from gwbench.utils.untrusted_text import depth_of, read_named
from gwbench.utils.validation_errors import reason

Float = NDArray[np.float64]
Parameters = dict[str, Float]
"""One array [n] per parameter."""

REFERENCE_GPS = 1126259462.0
"""GPS seconds at which the earth's rotation is held for every source.

Sky positions are isotropic, so the choice changes no distribution.
"""

DEEPEST = 20
"""Tables and lists of a file within each other."""

SHIPPED = Path(__file__).with_name("populations.toml")
"""The named populations, and the description of the format."""


class Population(Model):
    """Priors of quasi-circular compact binaries; get one from `load_population`.

    Sky position and orientation are isotropic; polarisation angle and phase are uniform.

    Attributes:
        name, title, citation: for people and records.
        frame: "source" where the masses are those at the source, "detector" where they are redshifted already.
        masses, spins: of the two bodies.
        distance: None where the SNR is drawn instead.
    """

    name: str
    title: str
    citation: str
    frame: Literal["source", "detector"]
    masses: Masses
    spins: Spins
    distance: Annotated[ComovingVolume | ChirpDistance, Field(discriminator="model")] | None = None

    @model_validator(mode="after")
    def _can_redshift(self) -> Population:
        if self.frame == "source" and self.distance is None:
            raise ValueError("masses in the source frame need a distance: add one, or give frame = 'detector'")
        if self.frame == "source" and isinstance(self.distance, ChirpDistance):
            raise ValueError("a chirp distance says nothing of redshifts: give frame = 'detector'")
        return self

    @property
    def precesses(self) -> bool:
        """True where spins have components in the orbital plane."""
        return isinstance(self.spins, IsotropicSpins)

    @property
    def has_distance(self) -> bool:
        """True where samples have distances."""
        return self.distance is not None

    @property
    def smallest_mass(self) -> float:
        """Solar masses, of a component in the detector frame: none is drawn below it."""
        return self.masses.limits[0]

    @property
    def largest_mass(self) -> float:
        """Solar masses, of a component in the detector frame: none is drawn above it."""
        highest = self.masses.limits[1]
        if self.frame == "source" and isinstance(self.distance, ComovingVolume):
            return highest * (1 + self.distance.z_max)
        return highest

    @property
    def largest_aligned_spin(self) -> float:
        """Along the orbital angular momentum, with its sign: the larger, the longer the signal."""
        return self.spins.largest

    @property
    def digest(self) -> str:
        """SHA-256 of all that the samples depend on, in hexadecimal."""
        return hashlib.sha256(self.model_dump_json(exclude={"name", "title", "citation"}).encode()).hexdigest()

    def sample(self, rng: np.random.Generator, n: int) -> Parameters:
        """Draw `n` binaries.

        Returns:
            float64 [n] each: `mass_1` >= `mass_2` (solar masses, detector frame), `spin_1z`, `spin_2z` and, where it
            precesses, `spin_1x`, `spin_1y`, `spin_2x`, `spin_2y` (dimensionless, z along the orbital angular momentum),
            `ra`, `dec`, `inclination`, `polarization`, `phase` (radians) and, where it has distances,
            `luminosity_distance` (Mpc), with `chirp_distance` (Mpc) or with `redshift`, `mass_1_source`,
            `mass_2_source` (solar masses).
        """
        mass_1, mass_2 = self.masses.sample(rng, n)
        parameters = {"mass_1": mass_1, "mass_2": mass_2, **self.spins.sample(rng, n)}
        parameters |= {
            "ra": rng.uniform(0, 2 * np.pi, n),
            "dec": np.arcsin(rng.uniform(-1, 1, n)),
            "inclination": np.arccos(rng.uniform(-1, 1, n)),
            "polarization": rng.uniform(0, np.pi, n),
            "phase": rng.uniform(0, 2 * np.pi, n),
        }
        if isinstance(self.distance, ChirpDistance):
            parameters |= self.distance.sample(rng, mass_1, mass_2)
        elif self.distance is not None:
            redshift, luminosity_distance = self.distance.sample(rng, n)
            source, detector = (1.0, 1 + redshift) if self.frame == "source" else (1 / (1 + redshift), 1.0)
            parameters |= {
                "mass_1": mass_1 * detector,
                "mass_2": mass_2 * detector,
                "redshift": redshift,
                "luminosity_distance": luminosity_distance,
                "mass_1_source": mass_1 * source,
                "mass_2_source": mass_2 * source,
            }
        return parameters

    def with_ranges(
        self, mass: tuple[float, float] | None = None, spin: tuple[float, float] | None = None
    ) -> Population:
        """The population with some priors replaced by uniform ones.

        Args:
            mass: range of both component masses, solar masses in the detector frame, the larger called `mass_1`.
            spin: range of both dimensionless spins along the orbital angular momentum.

        Raises:
            UserError: a range that is empty or unphysical, or aligned spins for a population that precesses.
        """
        changed: dict[str, Any] = {}
        if mass is not None:
            _check_range("mass", mass, limits=MASS_LIMITS, unit="solar masses")
            changed = {"frame": "detector", "masses": SortedMasses(model="sorted", component=uniform(mass))}
        if spin is not None:
            _check_range("spin", spin, limits=SPIN_LIMITS, unit="(dimensionless)")
            if self.precesses:
                raise UserError(
                    f"spin = {spin[0]:g},{spin[1]:g} is a range of aligned spins, and population {self.name!r} has "
                    "spins of any direction: choose a population of aligned spins, or leave spin out."
                )
            changed["spins"] = AlignedSpins(model="aligned", spin_1=uniform(spin), spin_2=uniform(spin))
        return self.model_copy(update=changed)

    def __str__(self) -> str:
        masses = self.masses.describe(f"solar masses ({self.frame} frame)")
        distance = f", {self.distance}" if self.distance is not None else ""
        return f"{masses}, {self.spins}, isotropic sky and orientation{distance}"


def population_names() -> tuple[str, ...]:
    """The names of the populations that ship."""
    return tuple(_tables(SHIPPED))


def load_population(name: str) -> Population:
    """A population that ships, or one of your own.

    Args:
        name: a name of `population_names`; or the path of a TOML file of the form of `SHIPPED`, whose name ends in
            `.toml`, as "my.toml" where it holds one population and as "my.toml:name" where it holds several.

    Raises:
        UserError: no such population or file, or a file that does not describe it; names file, population and key.
    """
    path, colon, wanted = name.rpartition(":")
    if name.endswith(".toml"):
        path, wanted = name, ""
    elif not (colon and path.endswith(".toml")):
        path, wanted = str(SHIPPED), name
    tables = _tables(Path(path))
    if wanted in tables:
        return _population(path, wanted, tables[wanted])
    if wanted and Path(path) == SHIPPED:
        raise UserError(
            f"There is no population {wanted!r}.{did_you_mean(wanted, tables)} Expected one of {', '.join(tables)}, or "
            "a file of your own as my.toml or my.toml:name."
        )
    if wanted:
        raise UserError(
            f"{path}: there is no population {wanted!r}.{did_you_mean(wanted, tables)} It holds {', '.join(tables)}."
        )
    if len(tables) > 1:
        raise UserError(
            f"{path} holds {len(tables)} populations: say which, such as {path}:{next(iter(tables))}. "
            f"It holds {', '.join(tables)}."
        )
    ((only, table),) = tables.items()
    return _population(path, only, table)


def _tables(path: Path) -> dict[str, dict[str, Any]]:
    """The populations of a file, unchecked."""
    try:
        tables = tomllib.loads(read_named(path).decode("utf-8-sig"))
    except UnusableError as error:
        raise UserError(f"Cannot read the populations in {path}: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a TOML file of populations: {printable(error)}.") from error
    if depth_of(tables) > DEEPEST:
        raise UserError(f"{path} is not a file of populations: it is nested more than {DEEPEST} deep.")
    if not tables:
        raise UserError(f"{path} holds no population: expected a table for each, such as [my-population].")
    stray = [key for key, table in tables.items() if not isinstance(table, dict)]
    if stray:
        raise UserError(
            f"{path}: key {stray[0]} belongs to no population: put it below a line such as [my-population]."
        )
    return tables


def _population(path: str, name: str, table: dict[str, Any]) -> Population:
    where = f"{path}: population {name!r}"
    if "name" in table:
        raise UserError(f"{where}, key name: expected no such key, for the table's own name {name!r} is the name.")
    try:
        return Population.model_validate({"name": name, **table})
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = _key(table, first["loc"])
        raise UserError(f"{where}{f', key {key}' if key else ''}: {printable(_complaint(first, error))}.") from None


def _key(table: Mapping[str, Any], location: tuple[int | str, ...]) -> str:
    """Where in a file a complaint of pydantic is; it also names the chosen model of a table, which is no key."""
    keys: list[str] = []
    here: Any = table
    for part in location:
        if isinstance(here, Mapping) and part not in here and part in (here.get("model"), here.get("distribution")):
            continue
        keys.append(str(part))
        here = here.get(part) if isinstance(here, Mapping) else None
    return ".".join(keys)


def _complaint(first: Any, error: pydantic.ValidationError) -> str:
    """What pydantic found first, in words for the author of a file."""
    context = first.get("ctx", {})
    if first["type"] == "union_tag_invalid":
        expected = [each.strip(" '") for each in context["expected_tags"].split(",")]
        discriminator = context["discriminator"].strip("'")
        hint = did_you_mean(context["tag"], expected)
        return f"there is no {discriminator} {context['tag']!r}.{hint} Expected one of {', '.join(expected)}"
    if first["type"] == "union_tag_not_found":
        return f"the key {context['discriminator']} is missing"
    if first["type"] == "extra_forbidden":
        return f"there is no such key here (it is {first['input']!r}); {SHIPPED.name} shows those there are"
    if first["type"] == "model_attributes_type":
        return f"expected a table, not {first['input']!r}"
    if first["type"] == "value_error":
        return str(context["error"])
    return reason(error) + ("" if first["type"] == "missing" else f", not {first['input']!r}")


def _check_range(name: str, given: tuple[float, float], *, limits: tuple[float, float], unit: str) -> None:
    if not limits[0] <= given[0] <= given[1] <= limits[1]:
        raise UserError(
            f"{name} = {given[0]:g},{given[1]:g} is not a range: expected two numbers, the lower first, "
            f"between {limits[0]:g} and {limits[1]:g} {unit}."
        )


__all__ = ["REFERENCE_GPS", "Parameters", "Population", "load_population", "population_names"]
