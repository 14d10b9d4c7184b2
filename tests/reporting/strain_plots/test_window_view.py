"""What is drawn of a window, against the noise and the signal that it was made from."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from gwbench.contracts import Split, StrainSplits
from gwbench.errors import UserError
from gwbench.preprocessing.conditioning import Conditioning
from gwbench.reporting.strain_plots.q_transform import q_energy
from gwbench.reporting.strain_plots.window_view import arrival, choose_window, spectrum, window_plot

RATE, WINDOW, MARGIN = 2048.0, 4096, 512
PSDS = {"H1": "aLIGOZeroDetHighPower", "V1": "AdvVirgo"}
GPS = 1187008882.0
BURST = (1.2, 150.0)
"""Seconds and Hz of the burst in the first validation window."""

Float = NDArray[np.float64]


@cache
def psd(name: str) -> Float:
    """One-sided PSD at 0, 1, ... 1024 Hz, from pycbc."""
    from pycbc.psd import from_string

    return np.asarray(from_string(PSDS[name], 1026, 1.0, 10.0).numpy()[:1025])


def noise(name: str, windows: int, seed: int) -> Float:
    """Windows [n, samples] of noise of that PSD, by pycbc."""
    from pycbc.noise.reproduceable import noise_from_string

    size = WINDOW + 2 * MARGIN
    seconds = int(np.ceil(windows * size / RATE))
    found = noise_from_string(PSDS[name], 0, seconds, seed=seed, sample_rate=RATE, low_frequency_cutoff=8.0)
    return np.asarray(found.numpy()[: windows * size].reshape(windows, size))


@cache
def dataset() -> StrainSplits:
    """Noise of two detectors; a burst in both in the first validation window, and what is known of it."""
    parts = {}
    for number, (name, count) in enumerate({"train": 60, "val": 12, "test": 2}.items()):
        strain = np.stack([noise(d, count, 10 * number + i) for i, d in enumerate(PSDS)], axis=1)
        if name == "val":
            times = np.arange(WINDOW + 2 * MARGIN) / RATE - MARGIN / RATE - BURST[0]
            strain[0] += 4e-22 * np.exp(-((times / 0.01) ** 2)) * np.cos(2 * np.pi * BURST[1] * times)
        label = np.zeros(count, np.int8)
        label[0] = 1
        snr = np.where(label == 1, 30.0, np.nan).astype(np.float32)
        known = {"geocent_time": 1.2, "ra": 1.7, "dec": -1.2, "mass_1": 36.24, "mass_2": 29.0, "spin_1z": 0.5}
        known |= {"spin_2z": -0.5, "luminosity_distance": 410.4, "snr_H1": 24.0, "glitch_time_V1": 0.75}
        parameters = {key: np.where(label == 1, value, np.nan) for key, value in known.items()}
        parameters["glitch_snr_V1"] = np.where(label == 1, 17.0, 0.0)
        parts[name] = Split(strain.astype(np.float32), label, snr, parameters)
    return StrainSplits(parts["train"], parts["val"], parts["test"], tuple(PSDS), RATE, MARGIN, content_hash="")


def test_a_window_is_whitened_and_its_density_is_that_of_its_noise() -> None:
    splits = dataset()
    portraits = [window_plot(splits, "val", i, settings=Conditioning(), name="some") for i in range(1, 9)]
    for d, name in enumerate(PSDS):
        channels = [plot.channels[d] for plot in portraits]
        whitened = np.stack([channel.whitened for channel in channels])
        assert whitened.shape == (8, WINDOW)
        assert whitened.var() == pytest.approx(1, abs=0.04)
        assert np.array_equal(channels[0].strain, splits.val.strain[1:2][0, d, MARGIN:-MARGIN].astype(float))

        frequencies = channels[0].frequencies
        inside = (frequencies >= 30) & (frequencies <= 600)
        asked = np.interp(frequencies[inside], np.arange(1025), psd(name))
        assert np.median(channels[0].measured[inside] ** 2 / asked) == pytest.approx(1, abs=0.03)
        mean = np.mean([channel.asd[inside] ** 2 for channel in channels], axis=0)
        assert np.mean(mean / asked) == pytest.approx(1, abs=0.04)


def test_the_loudest_pixel_is_where_the_burst_is() -> None:
    plot = window_plot(dataset(), "val", 0, settings=Conditioning(), name="some")
    frequencies = np.geomspace(20, 600, 120)
    for channel in plot.channels:
        energy = q_energy(channel.whitened, RATE, frequencies, q=8.0, band=plot.band)
        row, column = np.unravel_index(np.argmax(energy), energy.shape)
        assert plot.start + column / RATE == pytest.approx(BURST[0], abs=0.005)
        assert frequencies[row] == pytest.approx(BURST[1], rel=0.1)
        assert energy.max() > 30


def test_what_is_known_of_a_window_is_told() -> None:
    import lal

    splits = dataset()
    plot = window_plot(splits, "val", 0, settings=Conditioning(), name="some", gps=GPS)
    assert plot.name == "some, val 0"
    told = ", ".join(plot.facts)
    effective = (36.24 * 0.5 - 29.0 * 0.5) / (36.24 + 29.0)
    for text in ("signal", "SNR 30.0", "36.2 + 29.0", f"{effective:.2f}", "410 Mpc"):
        assert text in told
    assert [channel.snrs for channel in plot.channels] == [{"signal": 24.0}, {"glitch": 17.0}]
    for name, channel in zip(PSDS, plot.channels, strict=True):
        site = lal.cached_detector_by_prefix[name].location
        delay = lal.TimeDelayFromEarthCenter(site, 1.7, -1.2, lal.LIGOTimeGPS(GPS))
        assert channel.marks["arrival"] == pytest.approx(1.2 + delay, abs=1e-5)
    # Glitches are timed from the start of the margin.
    assert plot.channels[1].marks["glitch"] == pytest.approx(0.75)
    assert set(plot.channels[0].marks) == {"arrival"}

    quiet = window_plot(splits, "val", 1, settings=Conditioning(), name="some")
    assert quiet.facts == ("noise",)
    assert not any(channel.marks or channel.snrs for channel in quiet.channels)


def test_a_signal_arrives_after_the_time_light_takes_as_pycbc_has_it() -> None:
    from pycbc.detector import Detector

    sky = {"geocent_time": 1.5, "ra": 3.1, "dec": 0.4}
    for name in ("H1", "L1", "V1", "K1"):
        delay = Detector(name).time_delay_from_earth_center(3.1, 0.4, GPS)
        assert arrival(sky, name, GPS) == pytest.approx(1.5 + delay, abs=1e-9)
        assert abs(delay) > 1e-4
    for unknown in ({**sky, "ra": np.nan}, {"geocent_time": 1.5}, {}):
        assert np.isnan(arrival(unknown, "H1", GPS))
    assert np.isnan(arrival(sky, "X9", GPS))


def test_the_density_of_a_sine_is_its_power_in_the_window_s_bandwidth() -> None:
    times = np.arange(20480) / RATE
    frequencies, asd = spectrum(3e-21 * np.sin(2 * np.pi * 200 * times), RATE, 2048)
    assert frequencies[np.argmax(asd)] == 200
    # A Hann window of one second has an equivalent noise bandwidth of 1.5 Hz; a sine's power is half its square.
    assert asd.max() == pytest.approx(3e-21 / np.sqrt(2 * 1.5), rel=1e-3)


def test_a_window_is_chosen_by_position_or_by_what_it_is() -> None:
    label = np.array([0, 1, 1, 1, 0], np.int8)
    snr = np.array([np.nan, 9.0, 21.0, 14.0, np.nan], np.float32)
    split = Split(np.zeros((5, 1, 8), np.float32), label, snr)
    chosen = {which: choose_window(split, which, "val") for which in (None, "loudest", "signal", "noise", "4", "0")}
    assert chosen == {None: 2, "loudest": 2, "signal": 3, "noise": 0, "4": 4, "0": 0}

    without = replace(split, snr=np.full(5, np.nan, np.float32))
    assert [choose_window(without, which, "val") for which in (None, "signal")] == [1, 1]
    unlabelled = replace(without, label=np.full(5, -1, np.int8))
    assert choose_window(unlabelled, None, "val") == 0

    for wrong in ("5", "-1", "1.5", "louder", ""):
        with pytest.raises(UserError, match=r"position from 0 to 4 in the val split, or loudest, signal, noise"):
            choose_window(split, wrong, "val")
    with pytest.raises(UserError, match="no known SNR"):
        choose_window(without, "loudest", "val")
    for which, what in {"loudest": "signal", "signal": "signal", "noise": "noise"}.items():
        with pytest.raises(UserError, match=f"labelled {what}"):
            choose_window(unlabelled, which, "val")
    with pytest.raises(UserError, match="no windows"):
        choose_window(Split(np.zeros((0, 1, 8)), label[:0], snr[:0]), None, "test")


def test_a_band_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="1200 Hz"):
        window_plot(dataset(), "val", 0, settings=Conditioning(high=1200.0), name="some")
    with pytest.raises(ValueError, match="measures no PSD"):
        window_plot(dataset(), "val", 0, settings=Conditioning(method="seed"), name="some")
