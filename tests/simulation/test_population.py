"""Samples against the priors, which are written out here a second time (Kolmogorov-Smirnov, 20,000 draws)."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.cosmology import Planck15
from scipy import stats
from scipy.integrate import cumulative_simpson

from gwbench.errors import UserError
from gwbench.simulation.population import REFERENCE_GPS, Population, load_population, population_names

N = 20_000
PI = np.pi
Cdf = Callable[[Any], Any]


@cache
def draw(name: str) -> dict[str, Any]:
    return load_population(name).sample(np.random.default_rng(20), N)


def always_zero(values: Any) -> Any:
    """A prior with one value, which no test of distributions can serve."""
    return np.where(values >= 0, 1.0, 0.0)


def integral(density: Callable[[Any], Any], low: float, high: float) -> Cdf:
    x = np.linspace(low, high, 20_001)
    share = cumulative_simpson(density(x), x=x, initial=0.0)
    return lambda values: np.interp(values, x, share / share[-1])


def smoothing(m: Any) -> Any:
    """S(m) of the power-law-plus-peak model, m_min = 5.1 and delta_m = 4.8."""
    inside = (m > 5.1) & (m < 9.9)
    d = np.where(inside, m - 5.1, 2.4)
    exponent = np.minimum(4.8 / d + 4.8 / (d - 4.8), 700)
    return np.where(inside, 1 / (np.exp(exponent) + 1), np.where(m >= 9.9, 1.0, 0.0))


def primary(m: Any) -> Any:
    power = m**-3.4 * 2.4 / (5.1**-2.4 - 87.0**-2.4)
    peak = np.exp(-((m - 34) ** 2) / (2 * 3.6**2)) / (np.sqrt(2 * PI) * 3.6)
    return (0.961 * power + 0.039 * peak) * smoothing(m)


SECONDARY = integral(lambda m: m**1.1 * smoothing(m), 5.1, 87.0)
"""Not yet cut off at the primary."""


def secondary(values: Any) -> Any:
    """P(m_2 < x), the average over m_1 of what is left of `SECONDARY` below it."""
    m_1 = np.linspace(5.2, 87.0, 20_001)
    weight = primary(m_1) / primary(m_1).sum()
    x = np.linspace(5.1, 87.0, 400)
    shares = [(weight * np.minimum(1, SECONDARY(each) / SECONDARY(m_1))).sum() for each in x]
    return np.interp(values, x, shares)


def redshift(z_max: float) -> Cdf:
    return integral(lambda z: Planck15.differential_comoving_volume(z).value / (1 + z), 0.0, z_max)


def larger(component: Cdf) -> Cdf:
    return lambda m: component(m) ** 2


def smaller(component: Cdf) -> Cdf:
    return lambda m: 1 - (1 - component(m)) ** 2


def isotropic_component(high: float) -> Cdf:
    return integral(lambda x: -np.log(np.maximum(np.abs(x), 1e-9) / high), -high, high)


FLAT = stats.uniform(15, 60).cdf
STARS = stats.truncnorm(-0.23 / 0.09, 0.37 / 0.09, loc=1.33, scale=0.09).cdf
SKY: dict[str, Cdf] = {
    "ra": lambda angle: angle / (2 * PI),
    "dec": lambda angle: (1 + np.sin(angle)) / 2,
    "inclination": lambda angle: (1 - np.cos(angle)) / 2,
    "polarization": lambda angle: angle / PI,
    "phase": lambda angle: angle / (2 * PI),
}
PRIORS: dict[str, dict[str, Cdf]] = {
    "flat-bbh": {
        "mass_1": larger(FLAT),
        "mass_2": smaller(FLAT),
        "spin_1z": stats.uniform(-0.9, 1.8).cdf,
        "spin_2z": stats.uniform(-0.9, 1.8).cdf,
    },
    "flat-precessing": {
        "mass_1": larger(FLAT),
        "mass_2": smaller(FLAT),
        **{f"spin_{body}{axis}": isotropic_component(0.9) for body in "12" for axis in "xyz"},
    },
    "power-law-peak": {
        "mass_1_source": integral(primary, 5.1, 87.0),
        "mass_2_source": secondary,
        "spin_1z": isotropic_component(0.9),
        "spin_2z": isotropic_component(0.9),
        "redshift": redshift(1.0),
    },
    "neutron-star-black-hole": {
        "mass_1_source": lambda m: np.log(m / 5) / np.log(4),
        "mass_2_source": stats.uniform(1.2, 1.0).cdf,
        "spin_1z": stats.uniform(-0.5, 1.0).cdf,
        "spin_2z": stats.uniform(-0.05, 0.1).cdf,
        "redshift": redshift(0.3),
    },
    "double-neutron-star": {
        "mass_1_source": larger(STARS),
        "mass_2_source": smaller(STARS),
        "spin_1z": stats.uniform(-0.05, 0.1).cdf,
        "spin_2z": stats.uniform(-0.05, 0.1).cdf,
        "redshift": redshift(0.1),
    },
    "mlgwsc1": {
        "mass_1": larger(stats.uniform(10, 40).cdf),
        "mass_2": smaller(stats.uniform(10, 40).cdf),
        "spin_1z": always_zero,
        "spin_2z": always_zero,
        "chirp_distance": lambda d: (d**3 - 130**3) / (350**3 - 130**3),
    },
}
DERIVED = {"mass_1", "mass_2", "luminosity_distance"}
"""Follow from the others where there is a redshift."""


def test_every_shipped_population_has_its_priors_written_here() -> None:
    assert set(population_names()) == set(PRIORS)
    for name, priors in PRIORS.items():
        derived = DERIVED if "redshift" in priors else {"luminosity_distance"} & set(draw(name))
        assert set(draw(name)) == set(priors) | set(SKY) | derived


@pytest.mark.parametrize(("name", "parameter"), [(name, key) for name, cdfs in PRIORS.items() for key in cdfs | SKY])
def test_every_parameter_follows_its_prior(name: str, parameter: str) -> None:
    values = draw(name)[parameter]
    assert values.shape == (N,) and values.dtype == np.float64
    if PRIORS[name].get(parameter) is always_zero:
        assert not values.any()
        return
    assert stats.kstest(values, (PRIORS[name] | SKY)[parameter]).pvalue > 1e-3


@pytest.mark.parametrize("name", PRIORS)
def test_the_first_mass_is_the_larger_and_both_are_within_the_stated_limits(name: str) -> None:
    population, sample = load_population(name), draw(name)
    assert (sample["mass_1"] >= sample["mass_2"]).all()
    assert population.smallest_mass <= sample["mass_2"].min()
    assert sample["mass_1"].max() <= population.largest_mass
    spins = np.maximum(sample["spin_1z"], sample["spin_2z"])
    assert 0.9 * population.largest_aligned_spin <= spins.max() <= population.largest_aligned_spin


@pytest.mark.parametrize("name", PRIORS)
def test_parameters_are_independent_but_for_masses_and_distance(name: str) -> None:
    sample = draw(name)
    varied = {key for key, prior in PRIORS[name].items() if prior is not always_zero}
    names = sorted((varied | set(SKY)) - {"mass_2", "mass_2_source"})
    correlation = stats.spearmanr(np.stack([sample[key] for key in names], axis=1)).statistic - np.eye(len(names))
    assert np.abs(correlation).max() < 4.5 / np.sqrt(N)


def test_the_mass_ratio_has_its_law_at_every_primary_mass() -> None:
    sample = draw("power-law-peak")
    rank = SECONDARY(sample["mass_2_source"]) / SECONDARY(sample["mass_1_source"])
    for low, high in ((8, 11), (11, 20), (20, 87)):
        chosen = rank[(sample["mass_1_source"] > low) & (sample["mass_1_source"] < high)]
        assert len(chosen) > 1000
        assert stats.kstest(chosen, "uniform").pvalue > 1e-3


def test_isotropic_spins_have_uniform_magnitudes_and_directions() -> None:
    sample = draw("flat-precessing")
    for body in (1, 2):
        x, y, z = (sample[f"spin_{body}{axis}"] for axis in "xyz")
        magnitude = np.sqrt(x**2 + y**2 + z**2)
        assert stats.kstest(magnitude / 0.9, "uniform").pvalue > 1e-3
        assert stats.kstest((z / magnitude + 1) / 2, "uniform").pvalue > 1e-3
        assert stats.kstest(np.arctan2(y, x) / (2 * PI) + 0.5, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("name", [name for name in PRIORS if "redshift" in PRIORS[name]])
def test_masses_are_redshifted_and_distances_are_those_of_astropy(name: str) -> None:
    sample = draw(name)
    z = sample["redshift"]
    assert z.min() > 0
    for body in (1, 2):
        assert sample[f"mass_{body}"] == pytest.approx(sample[f"mass_{body}_source"] * (1 + z), rel=1e-14)
    expected = Planck15.luminosity_distance(z[:2000]).to_value("Mpc")
    assert sample["luminosity_distance"][:2000] == pytest.approx(expected, rel=1e-5)


def test_chirp_distances_are_those_of_the_mlgwsc1_challenge() -> None:
    # arXiv:2209.11146, section III; the chirp mass by pycbc.
    from pycbc.conversions import chirp_distance, mchirp_from_mass1_mass2

    sample = draw("mlgwsc1")
    mass = mchirp_from_mass1_mass2(sample["mass_1"], sample["mass_2"])
    assert sample["chirp_distance"] == pytest.approx(chirp_distance(sample["luminosity_distance"], mass), rel=1e-3)
    assert 130 < sample["chirp_distance"].min() < 135 and 349 < sample["chirp_distance"].max() < 350
    assert "chirp distance uniform in volume in [130, 350] Mpc" in str(load_population("mlgwsc1"))


def test_the_same_generator_gives_the_same_samples_bit_for_bit() -> None:
    for name in PRIORS:
        population = load_population(name)
        copy = pickle.loads(pickle.dumps(population))
        again = copy.sample(np.random.default_rng(20), N)
        assert {key: values.tobytes() for key, values in again.items()} == {
            key: values.tobytes() for key, values in draw(name).items()
        }
        assert copy == population and copy.digest == population.digest
        other = population.sample(np.random.default_rng(21), 4)
        varied = [key for key in other if PRIORS[name].get(key) is not always_zero]
        assert not any(np.isin(other[key], draw(name)[key]).any() for key in varied)


def test_shipped_populations_say_what_they_are() -> None:
    flags = {name: (load_population(name).precesses, load_population(name).has_distance) for name in PRIORS}
    assert flags == {
        "flat-bbh": (False, False),
        "flat-precessing": (True, False),
        "power-law-peak": (False, True),
        "neutron-star-black-hole": (False, True),
        "double-neutron-star": (False, True),
        "mlgwsc1": (False, True),
    }
    for name in PRIORS:
        population = load_population(name)
        assert population.name == name and population.title and population.citation
    assert len({load_population(name).digest for name in PRIORS}) == len(PRIORS)
    flat = load_population("flat-bbh")
    assert (flat.smallest_mass, flat.largest_mass, flat.largest_aligned_spin) == (15.0, 75.0, 0.9)
    assert load_population("power-law-peak").largest_mass == 174.0
    assert str(flat) == (
        "component masses uniform in [15, 75] solar masses (detector frame), aligned spins uniform in [-0.9, 0.9], "
        "isotropic sky and orientation"
    )
    assert "up to redshift 0.1 (Planck15)" in str(load_population("double-neutron-star"))
    assert REFERENCE_GPS == 1126259462.0


def test_ranges_make_component_masses_and_aligned_spins_uniform() -> None:
    population = load_population("flat-bbh").with_ranges(mass=(10.0, 60.0), spin=(-0.5, 0.8))
    sample = population.sample(np.random.default_rng(1), N)
    component = stats.uniform(10, 50).cdf
    assert stats.kstest(sample["mass_1"], larger(component)).pvalue > 1e-3
    assert stats.kstest(sample["mass_2"], smaller(component)).pvalue > 1e-3
    assert stats.kstest(sample["spin_1z"], stats.uniform(-0.5, 1.3).cdf).pvalue > 1e-3
    assert (population.smallest_mass, population.largest_mass, population.largest_aligned_spin) == (10.0, 60.0, 0.8)
    assert "[10, 60] solar masses (detector frame), aligned spins uniform in [-0.5, 0.8]" in str(population)


def test_ranges_of_masses_are_those_of_the_detector_frame_whatever_the_population() -> None:
    population = load_population("power-law-peak").with_ranges(mass=(20.0, 60.0))
    sample = population.sample(np.random.default_rng(2), N)
    assert stats.kstest(sample["mass_1"], larger(stats.uniform(20, 40).cdf)).pvalue > 1e-3
    assert sample["mass_1_source"] == pytest.approx(sample["mass_1"] / (1 + sample["redshift"]), rel=1e-14)
    assert population.largest_mass == 60.0
    assert population.has_distance


def test_ranges_that_are_not_given_change_nothing_and_one_value_is_a_range() -> None:
    population = load_population("double-neutron-star")
    assert population.with_ranges() == population
    fixed = population.with_ranges(mass=(1.4, 1.4), spin=(0.0, 0.0)).sample(np.random.default_rng(3), 10)
    assert (fixed["mass_1"] == 1.4).all() and (fixed["mass_2"] == 1.4).all() and (fixed["spin_1z"] == 0).all()


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"mass": (60.0, 10.0)}, r"mass = 60,10 .*the lower first"),
        ({"mass": (0.0, 10.0)}, "between 1 and 500 solar masses"),
        ({"mass": (float("nan"), 10.0)}, "not a range"),
        ({"spin": (-1.0, 1.0)}, "between -0.99 and 0.99"),
    ],
)
def test_impossible_ranges_are_refused(ranges: dict[str, tuple[float, float]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_population("flat-bbh").with_ranges(**ranges)


def test_aligned_spins_are_not_forced_on_a_population_that_precesses() -> None:
    with pytest.raises(UserError, match="'flat-precessing' has spins of any direction"):
        load_population("flat-precessing").with_ranges(spin=(-0.5, 0.5))


MINE = """
[heavy]
title = "Heavy binaries"
citation = "none"
frame = "source"
masses = { model = "mass-ratio", mass_1 = { distribution = "power-law", low = 50, high = 100, slope = -2 }, slope = 1 }
distance = { model = "comoving-volume", z_max = 0.5, rate_slope = 2.7 }

[heavy.spins]
model = "aligned"
spin_1 = { distribution = "fixed", value = 0 }
spin_2 = { distribution = "fixed", value = 0 }
"""


def write(folder: Path, text: str) -> str:
    path = folder / "my.toml"
    path.write_text(text)
    return str(path)


def test_a_file_of_ones_own_is_a_population(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: Any, **__: Any) -> None:
        raise AssertionError("a population was looked for on the network")

    monkeypatch.setattr("socket.socket.connect", no_network)
    path = write(tmp_path, MINE)
    population = load_population(path)
    assert population == load_population(f"{path}:heavy")
    sample = population.sample(np.random.default_rng(4), N)
    assert stats.kstest(sample["mass_1_source"], integral(lambda m: m**-2.0, 50, 100)).pvalue > 1e-3
    # No smoothing: the ratio has density 2 q / (1 - q_min^2) from q_min = 50 / mass_1 to 1.
    ratio, least = sample["mass_2"] / sample["mass_1"], 50 / sample["mass_1_source"]
    assert stats.kstest((ratio**2 - least**2) / (1 - least**2), "uniform").pvalue > 1e-3
    evolved = integral(lambda z: Planck15.differential_comoving_volume(z).value * (1 + z) ** 1.7, 0.0, 0.5)
    assert stats.kstest(sample["redshift"], evolved).pvalue > 1e-3
    assert (population.smallest_mass, population.largest_mass) == (50.0, 150.0)


def test_a_changed_number_changes_the_digest_and_a_changed_title_does_not(tmp_path: Path) -> None:
    digest = load_population(write(tmp_path, MINE)).digest
    assert load_population(write(tmp_path, MINE.replace("Heavy", "Heavier"))).digest == digest
    assert load_population(write(tmp_path, MINE.replace("2.7", "2.8"))).digest != digest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("low = 50, ", "", r"population 'heavy', key masses.mass_1.low: a value is missing"),
        ("power-law", "powerlaw", r"key masses.mass_1: there is no distribution 'powerlaw'. Did you mean 'power-law'"),
        ("mass-ratio", "masses", r"key masses: there is no model 'masses'.* Expected one of sorted, "),
        ('distribution = "power-law", ', "", r"key masses.mass_1: the key 'distribution' is missing"),
        ("low = 50", "low = 500", r"key masses.mass_1: low = 500 is not below high = 100"),
        ("low = 50", "low = -50", r"key masses.mass_1.low: it should be greater than 0, not -50"),
        ("low = 50", "low = 0.5", r"key masses.mass_1: values in \[0.5, 100\]: expected between 1 and 500 solar"),
        ("low = 50", "low = 'x'", r"key masses.mass_1.low: it should be a valid number, not 'x'"),
        ("low = 50", "low = nan", r"key masses.mass_1.low: it should be a finite number"),
        (
            'spin_1 = { distribution = "fixed", value = 0',
            'spin_1 = { distribution = "fixed", value = 1',
            r"key spins.spin_1: .*between -0.99 and 0.99",
        ),
        ("z_max = 0.5", "z_max = 0", r"key distance.z_max: it should be greater than 0"),
        ("z_max", "zmax", r"key distance.z_max: a value is missing"),
        ("frame", "fame = 1\nframe", r"key fame: there is no such key here"),
        ('"source"', '"sauce"', r"key frame: it should be 'source' or 'detector', not 'sauce'"),
        ("distance", "# distance", r"population 'heavy': masses in the source frame need a distance"),
        ("title", "name = 'x'\ntitle", r"key name: expected no such key"),
        ("[heavy]", "", r"key title belongs to no population: put it below a line"),
        ("[heavy]", "heavy = ", r"is not a TOML file of populations: .*line 2"),
        (MINE, "", r"holds no population"),
        (MINE, "heavy = 3", r"key heavy belongs to no population"),
        (MINE, MINE + MINE.replace("heavy", "other"), r"say which, such as .*my.toml:heavy. It holds heavy, other"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in MINE
    path = write(tmp_path, MINE.replace(old, new))
    with pytest.raises(UserError, match=message) as caught:
        load_population(path)
    assert path in str(caught.value)
    assert "\n" not in str(caught.value)


def test_neutron_stars_heavier_than_their_black_holes_are_refused(tmp_path: Path) -> None:
    heavy = '{ distribution = "uniform", low = 3, high = 9 }'
    masses = f'masses = {{ model = "separate", mass_1 = {heavy}, mass_2 = {heavy} }}'
    text = "\n".join(masses if line.startswith("masses") else line for line in MINE.splitlines())
    with pytest.raises(UserError, match="key masses: mass_2 reaches 9, above the lowest mass_1, 3"):
        load_population(write(tmp_path, text))


def test_unknown_names_and_files_are_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'power-law-peek'. Did you mean 'power-law-peak'. Expected one"):
        load_population("power-law-peek")
    with pytest.raises(UserError, match=r"no population 'heavi'. Did you mean 'heavy'. It holds heavy"):
        load_population(write(tmp_path, MINE) + ":heavi")
    with pytest.raises(UserError, match=r"Cannot read the populations in .*absent.toml: No such file"):
        load_population(str(tmp_path / "absent.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"binary.toml is not a TOML file"):
        load_population(str(tmp_path / "binary.toml"))


def test_a_population_cannot_be_changed() -> None:
    population: Population = load_population("flat-bbh")
    with pytest.raises(ValueError, match="frozen"):
        population.name = "other"


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "[p]\nx = " + "[" * 200 + "]" * 200,
        "[p]\n" + ".".join("a" * 6_000) + " = 1",
        "[p]\nmasses = " + "9" * 5000,
        "[p]\nmasses = 1e400",
        "[p]\nmasses = inf",
        '[p]\ntitle = "\\u001b[2J"\nother = "\\u202e"',
        '["\\u001b[2J"]\nx = 1',
        "[p]\nx = {" + "y = {" * 5000,
        "\x1b",
        "[p]\na = 1\na = 2",
    ],
)
def test_whatever_a_file_holds_is_a_population_or_one_message(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_population(str(path))
    assert len(str(caught.value)) < 1000


def test_a_file_of_populations_is_a_small_plain_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * (2 * 2**20))
    for name in ("pipe.toml", "large.toml"):
        with pytest.raises(UserError, match=name):
            load_population(str(tmp_path / name))
