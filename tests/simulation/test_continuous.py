"""Continuous strain with injections against pycbc, scipy and the definition of white noise."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pycbc.detector import Detector
from pycbc.filter import sigma
from pycbc.psd import from_string
from pycbc.types import FrequencySeries
from pycbc.waveform import get_fd_waveform
from scipy import signal, stats

from gwbench.data.strain_files.reading import read_strain_series
from gwbench.errors import UserError
from gwbench.simulation.continuous_noise import ColouredSegment
from gwbench.simulation.continuous_set import ContinuousSet, make_continuous
from gwbench.simulation.continuous_settings import ContinuousSettings
from gwbench.simulation.glitches import SimulatedGlitches

PSD = "aLIGOZeroDetHighPower"
RATE = 2048


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> ContinuousSet:
    settings = ContinuousSettings(hours=0.4, segments=2, seed=5)
    return make_continuous(settings, tmp_path_factory.mktemp("continuous") / "set", workers=2)


def strain(made: ContinuousSet, name: str, detector: str, segment: int = 0) -> np.ndarray[Any, Any]:
    with h5py.File(made.folder / name, "r") as file:
        return np.asarray(file[detector][sorted(file[detector])[segment]][()], np.float64)


def injections(made: ContinuousSet) -> dict[str, np.ndarray[Any, Any]]:
    with h5py.File(made.folder / "injections.hdf", "r") as file:
        return {name: file[name][()] for name in file}


def segment(detectors: tuple[str, ...] = ("H1",), **changed: Any) -> ColouredSegment:
    given: dict[str, Any] = {"seed": 1, "number": 0, "start": 1_000_000_000, "samples": 400 * RATE, "sample_rate": RATE}
    return ColouredSegment(detectors=detectors, psd_names=(PSD,) * len(detectors), **given | changed)


def whole(noise: ColouredSegment) -> np.ndarray[Any, Any]:
    return np.concatenate([noise.strain(k) for k in range(-(-noise.samples // noise.piece))], axis=1)


def test_the_files_are_laid_out_as_the_challenge_lays_them_out(made: ContinuousSet) -> None:
    starts = [1238166018, 1238166018 + 720 + 60]
    for name in ("foreground.hdf", "background.hdf"):
        with h5py.File(made.folder / name, "r") as file:
            assert sorted(file) == ["H1", "L1"]
            for detector in file:
                assert sorted(file[detector]) == [str(start) for start in starts]
                for start in starts:
                    dataset = file[detector][str(start)]
                    assert dataset.shape == (720 * RATE,) and dataset.dtype.kind == "f"
                    assert dataset.attrs["start_time"] == start and dataset.attrs["delta_t"] == 1 / RATE
            assert file.attrs["command"] == "gwbench data make continuous --hours 0.4 --segments 2 --seed 5"
        series = read_strain_series(made.folder / name)
        assert [(one.detector, one.gps_start) for one in series] == [(d, t) for d in ("H1", "L1") for t in starts]
    table = injections(made)
    assert {"tc", "distance", "chirp_distance", "mass1", "mass2", "spin1z", "ra", "dec", "coa_phase"} <= set(table)
    assert {len(values) for values in table.values()} == {made.manifest.injections}
    manifest = json.loads((made.folder / "continuous.json").read_text())
    assert manifest["settings"]["seed"] == 5 and manifest["files"].keys() == {
        "foreground.hdf",
        "background.hdf",
        "injections.hdf",
    }


def test_one_injection_every_24_to_30_seconds_and_none_near_an_end(made: ContinuousSet) -> None:
    tc = injections(made)["tc"]
    spans = made.manifest.segments
    assert made.manifest.injections in range(2 * 21, 2 * 28)
    inside = [tc[(tc > begin) & (tc < end)] for begin, end in spans]
    assert sum(map(len, inside)) == len(tc)
    for times, (begin, end) in zip(inside, spans, strict=True):
        assert 30 <= times[0] - begin < 30 + 30 and 30 <= end - times[-1] < 30 + 30
        assert np.diff(times).min() >= 24 and np.diff(times).max() <= 30


def test_noise_has_its_psd_without_seams() -> None:
    noise = segment(samples=1600 * RATE)
    series = whole(noise)[0]
    frequencies, measured = signal.welch(series, RATE, "hann", 8 * RATE, 4 * RATE)
    expected = from_string(PSD, 8 * RATE // 2 + 2, 1 / 8, 10.0).numpy()[: len(frequencies)]
    bands = np.geomspace(11, 900, 30)
    for low, high in pairwise(bands):
        band = (frequencies >= low) & (frequencies < high)
        assert np.mean(measured[band] / expected[band]) == pytest.approx(1, abs=5 / np.sqrt(band.sum() * 200) + 0.005)
    # Whitened independently, the half second around a seam is as white as any other.
    white = signal.sosfiltfilt(signal.butter(6, [30, 900], "bandpass", fs=RATE, output="sos"), series * 1e21)
    spectrum = np.fft.rfft(white)
    grid = np.fft.rfftfreq(len(white), 1 / RATE)
    asd = np.sqrt(np.interp(grid, frequencies, expected, right=expected[-2]))
    flat = np.fft.irfft(np.where((grid > 40) & (grid < 800), spectrum / np.maximum(asd * 1e23, 1e-30), 0))
    power = np.add.reduceat(flat**2, np.arange(0, len(flat), RATE // 2))[8:-8]
    seams = np.arange(noise.piece, len(series), noise.piece) // (RATE // 2) - 8
    at_seams = power[np.concatenate([seams - 1, seams])]
    assert len(at_seams) >= 20
    assert stats.ks_2samp(at_seams, power).pvalue > 1e-3


def test_noise_is_independent_between_detectors_segments_and_seeds() -> None:
    base = whole(segment(("H1", "L1"), samples=112 * RATE))
    others = [
        base[1],
        whole(segment(number=1, samples=112 * RATE))[0],
        whole(segment(seed=2, samples=112 * RATE))[0],
        whole(segment(samples=224 * RATE))[0, 112 * RATE :],
    ]
    sos = signal.butter(4, [60, 500], "bandpass", fs=RATE, output="sos")
    first = signal.sosfilt(sos, base[0] * 1e21)[RATE:]
    for other in others:
        second = signal.sosfilt(sos, other * 1e21)[RATE:]
        assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(len(first) * 0.43)


def test_a_detector_has_its_noise_whatever_other_detectors_there_are() -> None:
    alone, among = segment(("L1",)), segment(("H1", "L1", "V1"))
    assert np.array_equal(alone.strain(0)[0], among.strain(0)[1])


def expected_wave(
    table: dict[str, Any], k: int, detector: str, approximant: str = "IMRPhenomXPHM"
) -> tuple[Any, float]:
    """The projected waveform on a grid of 1/16 Hz by pycbc, and the GPS time of the grid's first sample."""
    plus, cross = get_fd_waveform(
        approximant=approximant,
        **({"mode_array": [(2, 2)]} if approximant == "IMRPhenomXPHM" else {}),
        mass1=table["mass1"][k],
        mass2=table["mass2"][k],
        inclination=table["inclination"][k],
        coa_phase=table["coa_phase"][k],
        spin1z=table["spin1z"][k],
        spin2z=table["spin2z"][k],
        distance=table["distance"][k],
        f_lower=20.0,
        f_ref=20.0,
        delta_f=1 / 16,
        f_final=RATE / 2,
    )
    instrument = Detector(detector)
    sky = table["ra"][k], table["dec"][k]
    f_plus, f_cross = instrument.antenna_pattern(*sky, table["polarization"][k], table["tc"][k])
    arrival = table["tc"][k] + instrument.time_delay_from_earth_center(*sky, table["tc"][k])
    return f_plus * plus + f_cross * cross, arrival


@pytest.mark.parametrize("detector", ["H1", "L1"])
def test_injections_are_what_pycbc_makes_of_the_table(made: ContinuousSet, detector: str) -> None:
    table = injections(made)
    difference = strain(made, "foreground.hdf", detector) - strain(made, "background.hdf", detector)
    start = made.manifest.segments[0][0]
    psd = from_string(PSD, 8 * RATE + 2, 1 / 16, 20.0)[: 8 * RATE + 1]
    for k in (0, 5, 11):
        wave, arrival = expected_wave(table, k, detector)
        assert table[f"optimal_snr_{detector}"][k] == pytest.approx(
            sigma(wave, psd=psd, low_frequency_cutoff=20.0), rel=2e-3
        )
        # Sixteen seconds that end one after the arrival, whose transform is the waveform's, later by the arrival.
        first = round((arrival - start - 15) * RATE)
        ours = np.fft.rfft(difference[first : first + 16 * RATE]) / RATE
        grid = np.arange(len(ours)) / 16
        theirs = wave.numpy() * np.exp(-2j * np.pi * grid * (arrival - start - first / RATE))
        band = (grid > 25) & (grid < 900)
        weight = 1 / psd.numpy()[band]

        def inner(a: Any, b: Any, band: Any = band, weight: Any = weight) -> complex:
            return complex(np.sum(a[band].conj() * b[band] * weight))

        overlap = inner(ours, theirs) / np.sqrt(inner(ours, ours).real * inner(theirs, theirs).real)
        assert overlap.real > 0.998
        assert np.sqrt(inner(ours, ours).real / inner(theirs, theirs).real) == pytest.approx(1, rel=5e-3)


def test_the_network_snr_is_the_root_of_the_sum_of_squares(made: ContinuousSet) -> None:
    table = injections(made)
    assert table["optimal_snr"] == pytest.approx(np.hypot(table["optimal_snr_H1"], table["optimal_snr_L1"]))


def test_pycbc_reads_the_table_of_injections(made: ContinuousSet) -> None:
    from pycbc.inject import InjectionSet

    read = InjectionSet(str(made.folder / "injections.hdf"))
    assert read.table["tc"] == pytest.approx(injections(made)["tc"])
    assert set(read.table["approximant"]) == {"IMRPhenomXAS"} and set(read.table["f_lower"]) == {20.0}


def test_the_priors_are_those_of_the_first_set(made: ContinuousSet) -> None:
    table = injections(made)
    mass = (table["mass1"] * table["mass2"]) ** 0.6 / (table["mass1"] + table["mass2"]) ** 0.2
    assert table["distance"] == pytest.approx(table["chirp_distance"] * (mass / (1.4 * 2**-0.2)) ** (5 / 6))
    assert (table["mass1"] >= table["mass2"]).all() and table["mass2"].min() >= 10 and table["mass1"].max() <= 50
    assert not any(table[f"spin{body}{axis}"].any() for body in (1, 2) for axis in "xyz")


def test_a_set_does_not_depend_on_the_number_of_workers(made: ContinuousSet, tmp_path: Path) -> None:
    again = make_continuous(made.manifest.settings, tmp_path / "again", workers=1)
    for name in ("foreground.hdf", "background.hdf"):
        for k in (0, 1):
            assert np.array_equal(strain(made, name, "L1", k), strain(again, name, "L1", k))
    assert all(np.array_equal(values, injections(again)[name]) for name, values in injections(made).items())


def test_a_set_that_is_there_is_not_made_again(made: ContinuousSet) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in made.folder.iterdir()}
    again = make_continuous(made.manifest.settings, made.folder)
    assert not again.made and again.manifest == made.manifest
    assert {path.name: path.stat().st_mtime_ns for path in made.folder.iterdir()} == before
    with pytest.raises(UserError, match="holds another set"):
        make_continuous(made.manifest.settings.model_copy(update={"seed": 6}), made.folder)


def test_a_set_that_lost_a_file_is_made_again_and_files_of_others_are_left(tmp_path: Path) -> None:
    settings = ContinuousSettings(hours=0.05)
    first = make_continuous(settings, tmp_path / "a")
    (tmp_path / "a" / "injections.hdf").unlink()
    again = make_continuous(settings, tmp_path / "a")
    assert again.made and again.manifest.files["foreground.hdf"] == first.manifest.files["foreground.hdf"]
    (tmp_path / "a" / "continuous.json").unlink()
    with pytest.raises(UserError, match="choose another folder"):
        make_continuous(settings, tmp_path / "a")


def test_an_interrupted_set_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: ColouredSegment, number: int) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(ColouredSegment, "strain", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_continuous(ContinuousSettings(hours=0.05), tmp_path / "set")
    assert [path.name for path in (tmp_path / "set").iterdir()] == [".continuous.lock"]


def test_glitches_cross_seams() -> None:
    quiet = segment(samples=672 * RATE)
    loud = segment(samples=672 * RATE, glitches=SimulatedGlitches(3.0, (20.0, 100.0)))
    added = whole(loud)[0] - whole(quiet)[0]
    assert np.count_nonzero(added) > len(added) / 10
    # Where a glitch lies across a seam, it goes on: no step is larger than those elsewhere in glitches.
    seams = np.arange(loud.piece, len(added), loud.piece)
    assert len(seams) == 5 and any(added[seam - 1] and added[seam] for seam in seams)
    steps = np.abs(np.diff(added))
    assert steps[seams - 1].max() <= np.percentile(steps[steps > 0], 99.9)


def test_populations_without_distances_get_those_of_the_challenge(tmp_path: Path) -> None:
    settings = ContinuousSettings(hours=0.1, population="flat-precessing")
    made = make_continuous(settings, tmp_path / "set")
    table = injections(made)
    assert table["chirp_distance"].min() >= 130 and table["chirp_distance"].max() <= 350
    assert np.abs(table["spin1x"]).max() > 0
    with h5py.File(made.folder / "injections.hdf", "r") as file:
        assert file.attrs["approximant"] == "IMRPhenomXPHM"


def test_distances_of_a_population_are_luminosity_distances(tmp_path: Path) -> None:
    from astropy.cosmology import Planck15

    table = injections(make_continuous(ContinuousSettings(hours=0.1, population="power-law-peak"), tmp_path / "set"))
    assert "chirp_distance" not in table
    assert table["distance"] == pytest.approx(Planck15.luminosity_distance(table["redshift"]).to_value("Mpc"), rel=1e-4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hours": 0.01}, "64 s or more"),
        ({"detectors": ("H1", "H1")}, "different detectors"),
        ({"spacing": (30.0, 24.0)}, "--spacing 30,24"),
        ({"psds": ("a", "b", "c")}, "3 PSDs for 2 detectors"),
        ({"population": "mlgwsc"}, "Did you mean"),
        ({"chirp_distance": (350.0, 130.0)}, "the lower first"),
        ({"noise": ("/nowhere/*.hdf5",)}, "names no strain file"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        make_continuous(ContinuousSettings(**{"hours": 0.1, **changed}), tmp_path / "set")
    assert "\n" not in str(refused.value)


def test_glitches_are_the_same_in_foreground_and_background(tmp_path: Path) -> None:
    plain = make_continuous(ContinuousSettings(hours=0.1, seed=5), tmp_path / "plain")
    glitchy = make_continuous(ContinuousSettings(hours=0.1, seed=5, noise=("glitches",)), tmp_path / "glitchy")
    assert "Glitches in foreground and background alike" in " ".join(glitchy.manifest.notes)
    added = [strain(glitchy, name, "H1") - strain(plain, name, "H1") for name in ("foreground.hdf", "background.hdf")]
    assert np.count_nonzero(added[0]) and np.abs(added[0] - added[1]).max() < 1e-6 * np.abs(added[0]).max()


def recorded(folder: Path, detector: str, start: int, seconds: int, gap: tuple[int, int], seed: int) -> Path:
    """White noise at 4096 Hz as a GWOSC-like file, with NaN in a gap."""
    values = 1e-21 * np.random.default_rng(seed).standard_normal(seconds * 4096)
    values[(gap[0] - start) * 4096 : (gap[1] - start) * 4096] = np.nan
    path = folder / f"{detector[0]}-{detector}_TEST-{start}-{seconds}.hdf5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("strain/Strain", data=values)
        dataset.attrs["Xstart"], dataset.attrs["Xspacing"] = start, 1 / 4096
    return path


def test_recorded_noise_is_the_time_that_all_detectors_have(tmp_path: Path) -> None:
    start = 1300000000  # no known event within
    recorded(tmp_path, "H1", start, 600, (start + 300, start + 310), 1)
    recorded(tmp_path, "L1", start + 50, 600, (start + 50, start + 60), 2)
    settings = ContinuousSettings(noise=(str(tmp_path / "*.hdf5"),), hours=None, population="flat-bbh")
    made = make_continuous(settings, tmp_path / "set", workers=2)
    # The anti-alias filter takes part of a second at either side, and segments begin and end at whole seconds.
    (a, b), (c, d) = made.manifest.segments
    assert (a, b, c, d) == (start + 61, start + 299, start + 311, start + 599)
    assert made.manifest.injections > 10 and len(made.manifest.sources) == 3
    white = strain(made, "background.hdf", "H1")
    assert len(white) == 238 * RATE
    # White of variance 1e-42 at 4096 Hz: of it half is left at 2048 Hz, less the filter's transition.
    assert white.var() == pytest.approx(0.95e-42 / 2, rel=0.02)
    # The PSD is 2 / 4096 1e-42 up to 0.9 of the Nyquist frequency; SNRs by a measured one come out 1 to 2 % too high.
    table = injections(made)
    waves = [expected_wave(table, k, "L1", "IMRPhenomXAS")[0] for k in range(made.manifest.injections)]
    flat = FrequencySeries(np.full(len(waves[0]), 2 / 4096 * 1e-42), delta_f=1 / 16)
    exact = [sigma(wave, psd=flat, low_frequency_cutoff=20.0, high_frequency_cutoff=0.9 * RATE / 2) for wave in waves]
    assert np.mean(table["optimal_snr_L1"] / exact) == pytest.approx(1.015, abs=0.025)


def test_recorded_noise_that_does_not_suffice_is_refused(tmp_path: Path) -> None:
    start = 1300000000
    recorded(tmp_path, "H1", start, 200, (start, start + 1), 1)
    places = (str(tmp_path),)
    with pytest.raises(UserError, match="None of the files of --noise has good strain of L1"):
        make_continuous(ContinuousSettings(noise=places), tmp_path / "set")
    with pytest.raises(UserError, match=r"hold 19\d s that all detectors have .* --hours 1 asks for 3600 s"):
        make_continuous(ContinuousSettings(noise=places, hours=1.0, detectors=("H1",)), tmp_path / "set")
