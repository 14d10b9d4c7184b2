"""Noise against its PSD, windows of it with signals, and blocks of them against each other."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from pycbc.detector import Detector
from pycbc.psd import from_string
from scipy.signal import welch
from scipy.stats import kstest, norm

from gwbench.contracts import Block
from gwbench.data.psd import psd_values
from gwbench.data.store.generate import generate
from gwbench.errors import UserError
from gwbench.simulation.population import REFERENCE_GPS
from gwbench.simulation.projection import optimal_snr
from gwbench.simulation.signals import SignalModel
from gwbench.simulation.strain import Simulation, coloured_noise
from gwbench.simulation.waveforms import polarizations

RATE = 2048.0
DETECTORS = ("H1", "L1", "V1")
PSDS = ("aLIGODesignSensitivityT1800044", "aLIGOZeroDetHighPower", "AdvVirgo")


def model(duration: float = 1.0) -> SignalModel:
    return SignalModel.create(population="flat-bbh", duration=duration, snr_model="uniform", snr=(6.0, 20.0))


def named_psds(samples: int) -> Any:
    return np.stack([psd_values(name, RATE, samples) for name in PSDS])


# --- noise --------------------------------------------------------------------------------------------------


def test_noise_has_the_asked_psd() -> None:
    noise = coloured_noise(np.random.default_rng(0), 500, named_psds(16384), RATE, 16384, 8192)
    assert noise.shape == (500, 3, 8192)
    assert noise.dtype == np.float32
    for channel, name in enumerate(PSDS):
        frequency, found = welch(noise[:, channel].astype(float), RATE, nperseg=4096, noverlap=2048)
        expected = from_string(name, 2050, 0.5, 10.0).numpy()[:2049]
        band = (frequency >= 20) & (frequency < 1000)
        ratio = (found.mean(axis=0)[band] / expected[band]).reshape(-1, 40).mean(axis=1)
        assert np.abs(ratio - 1).max() < 0.025
        assert np.abs(ratio.mean() - 1) < 0.003


def test_noise_is_gaussian() -> None:
    """A flat PSD S gives white noise of variance S f_s / 2."""
    flat = np.full((2, 1025), 2e-46)
    noise = coloured_noise(np.random.default_rng(1), 50, flat, RATE, 2048, 1024) / np.sqrt(1e-46 * RATE)
    assert noise.std() == pytest.approx(1.0, rel=0.01)
    assert kstest(noise[:, :, ::7].ravel(), norm.cdf).pvalue > 0.005


def test_noise_is_absent_where_the_psd_is_masked() -> None:
    psd = np.full((1, 2049), 1e-46)
    psd[0, :400] = 0
    psd[0, 1200:] = np.nan
    noise = coloured_noise(np.random.default_rng(2), 4, psd, RATE, 4096, 4096)
    power = np.abs(np.fft.rfft(noise.astype(float)))[:, 0].mean(axis=0)
    assert power[:400].max() < 1e-6 * power[400:1200].mean()
    assert power[1200:].max() < 1e-6 * power[400:1200].mean()


def test_noise_is_independent_between_detectors_and_windows_and_not_periodic() -> None:
    psd = np.full((3, 2049), 1e-46)
    noise = coloured_noise(np.random.default_rng(3), 60, psd, RATE, 4096, 2048).astype(float)

    def correlation(a: Any, b: Any) -> float:
        return float(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)) * np.sqrt(a.size))

    for a, b in combinations(range(3), 2):
        assert abs(correlation(noise[:, a], noise[:, b])) < 4
    assert abs(correlation(noise[1:], noise[:-1])) < 4
    assert abs(correlation(noise[..., :64], noise[..., -64:])) < 4


# --- blocks -------------------------------------------------------------------------------------------------


SMALL = Simulation(DETECTORS, PSDS, model(), 1024.0, 1024, 128)
SIZES = {"train": 300, "val": 41, "test": 60}


def run(**changes: Any) -> list[Block]:
    settings: dict[str, Any] = {"seed": 1, "workers": 1, "sizes": SIZES}
    settings.update(changes)
    return list(generate(SMALL, **settings))


def test_blocks_cover_the_splits_and_half_the_windows_hold_a_signal() -> None:
    blocks = run()
    assert [(block.split, block.start, len(block.label)) for block in blocks] == [
        ("train", 0, 256), ("train", 256, 44), ("val", 0, 41), ("test", 0, 60),
    ]  # fmt: skip
    assert [int(block.label.sum()) for block in blocks] == [128, 22, 20, 30]
    for block in blocks:
        assert block.strain.shape == (len(block.label), 3, 1280)
        assert block.strain.dtype == np.float32
        assert np.isfinite(block.strain).all()
        signal = block.label == 1
        assert (np.isfinite(block.snr) == signal).all()
        assert all((np.isfinite(values) == signal).all() for values in block.parameters.values())
    # Order is random: signals come neither first nor in turn.
    label = blocks[0].label
    assert 40 < label[:128].sum() < 90
    assert 40 < (label[1:] == label[:-1]).sum() < 215


def test_a_block_of_one_window_has_the_parameters_of_the_others() -> None:
    first, last = run(sizes={"train": 257})
    assert len(last.label) == 1
    assert last.label.sum() == 0
    assert last.parameters.keys() == first.parameters.keys()
    assert all(np.isnan(values).all() for values in last.parameters.values())


def test_labels_are_withheld_from_all_but_the_first_training_windows() -> None:
    settings: dict[str, Any] = {"seed": 1, "workers": 1, "sizes": {"train": 600, "val": 41, "test": 60}}
    known, all_known = list(generate(replace(SMALL, labelled=300), **settings)), list(generate(SMALL, **settings))
    train = np.concatenate([block.label for block in known if block.split == "train"])
    assert (train[:300] >= 0).all()
    assert (train[300:] == -1).all()
    for block, whole in zip(known, all_known, strict=True):
        np.testing.assert_array_equal(block.strain, whole.strain)
        said = block.label >= 0
        np.testing.assert_array_equal(block.label[said], whole.label[said])
        for values in (block.snr, *block.parameters.values()):
            assert np.isnan(values[~said]).all()  # nothing else gives the signals away
        np.testing.assert_array_equal(block.snr[said], whole.snr[said])


def test_noise_of_splits_blocks_and_seeds_is_uncorrelated() -> None:
    """Whitened in 20-400 Hz; a correlation of N independent pairs is within 4.5 / sqrt(N) of zero."""
    train, val, test = (run(sizes={name: 256})[0] for name in SIZES)
    second = run(sizes={"train": 512})[1]
    other = run(sizes={"train": 256}, seed=2)[0]
    psds = np.stack([psd_values(name, 1024.0, 1280) for name in PSDS])
    band = slice(25, 500)

    def whiten(block: Block) -> Any:
        windowed = block.strain[block.label == 0].astype(float) * np.hanning(1280)
        white = np.fft.rfft(windowed)[..., band] / np.sqrt(psds[:, band])
        return white / np.sqrt(np.mean(np.abs(white) ** 2))

    white = [whiten(block) for block in (train, val, test, second, other)]
    # The Hann window correlates neighbouring bins: count half of them.
    independent = white[0].size / 2
    for a, b in combinations(white, 2):
        assert abs(np.mean((a * b.conj()).real)) < 4.5 / np.sqrt(2 * independent)
    for a, b in combinations(range(3), 2):
        assert abs(np.mean((white[0][:, a] * white[0][:, b].conj()).real)) < 4.5 / np.sqrt(2 * independent / 3)


def test_signals_are_not_repeated() -> None:
    blocks = run(sizes={"train": 512, "val": 256, "test": 256})
    masses = np.concatenate([block.parameters["mass_1"][block.label == 1] for block in blocks])
    assert len(np.unique(masses)) == len(masses) == 512


def test_windows_hold_noise_plus_signal() -> None:
    """A matched filter with the true parameters recovers the SNR: unit variance, no bias."""
    block = run(sizes={"train": 256})[0]
    psd = psd_values(PSDS[0], 1024.0, 8192)
    found = []
    for i in np.flatnonzero(block.label)[:100]:
        one = {name: values[i : i + 1].astype(float) for name, values in block.parameters.items()}
        wave = polarizations(one, delta_f=0.125, f_final=512.0)[0].astype(complex)
        ra, dec, psi = (float(one[key][0]) for key in ("ra", "dec", "polarization"))
        f_plus, f_cross = Detector("H1").antenna_pattern(ra, dec, psi, REFERENCE_GPS)
        arrival = one["geocent_time"][0] + 0.125
        arrival += Detector("H1").time_delay_from_earth_center(ra, dec, REFERENCE_GPS)
        template = (f_plus * wave[0] + f_cross * wave[1]) * np.exp(-2j * np.pi * np.arange(4097) / 8 * arrival)
        snr = optimal_snr(template[None, None], psd[None], 0.125)[0, 0]
        filtered = np.divide(template, psd, out=np.zeros_like(template), where=psd > 0)
        # <d|h> / sqrt(<h|h>) by a sum over the window: the whitened template against the strain.
        kernel = np.fft.irfft(filtered)[:1280] * 1024.0
        found.append((2 * np.sum(kernel * block.strain[i, 0]) / 1024.0 / snr) - one["snr_H1"][0])
    # Less what lies outside the one-second window.
    assert abs(np.mean(found)) < 0.5
    assert np.std(found) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detectors": ("H1",), "psds": ()}, "at least two"),
        ({"detectors": (), "psds": ()}, "detectors = none"),
        ({"detectors": ("H1", "H1"), "psds": ()}, "different detectors"),
        ({"detectors": ("H1", "X1"), "psds": ()}, "Unknown detector 'X1'"),
        ({"psds": ("AdvVirgo",)}, "one name or file for each of H1,L1,V1"),
        ({"psds": ("AdvVirgo", "AdvVirgo", "advvirgo")}, "Unknown PSD 'advvirgo'"),
        ({"sample_rate": 0.0}, "sample_rate = 0"),
        ({"sample_rate": 2048.5}, "whole number"),
        ({"window": 0}, "holds no sample"),
        ({"window": 2048}, "does not fit the window of 1 s"),
        ({"signals": replace(model(2.0), f_low=8.0)}, "f_low = 8 Hz: expected at least 10"),
    ],
)
def test_impossible_simulations_are_explained(changes: dict[str, Any], message: str) -> None:
    settings: dict[str, Any] = {
        "detectors": DETECTORS,
        "psds": PSDS,
        "signals": model(2.0),
        "sample_rate": RATE,
        "window": 4096,
        "margin": 512,
    }
    with pytest.raises(UserError, match=message):
        Simulation(**{**settings, **changes})
