"""Real strain, whitened by us: flat where it is noise, and GW150914 as loud as it was published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import scipy.stats

from gwbench.contracts import Array, Split
from gwbench.data.psd import resample_psd
from gwbench.data.strain_files.reading import read_strain
from gwbench.data.strain_files.resample import resampled
from gwbench.data.strain_files.segments import Segment, good_segments, without
from gwbench.data.whitening_filters import median_psd
from gwbench.preprocessing.conditioning import Conditioner, Conditioning, fit_conditioner

RATE = 2048
WINDOW, MARGIN = 2 * RATE, RATE // 2
GLITCH = 455.1
"""Seconds into the O3a segment at which it holds a glitch of 40 sigma."""

EVENT = 1126259462.42
PUBLISHED = {"H1": 19.6, "L1": 14.2}
MASSES = ((36.0, 36.0), (39.0, 32.0), (38.0, 33.0), (42.0, 31.0), (35.0, 30.0))
"""A small search, solar masses in the detector frame."""


def fitted(windows: Array, detector: str) -> Conditioner:
    unlabelled = np.full(len(windows), -1)
    split = Split(windows, unlabelled, np.full(len(windows), np.nan))
    return fit_conditioner(split, sample_rate=RATE, margin=MARGIN, detectors=(detector,), settings=Conditioning())


def cut(strain: Array, step: int) -> Array:
    """[n, 1, window + 2 margin]"""
    size = WINDOW + 2 * MARGIN
    return np.stack([strain[at : at + size] for at in range(0, len(strain) - size + 1, step)])[:, None]


def test_whitened_o3a_noise_has_unit_variance_and_the_kurtosis_of_a_gaussian(test_data: Path) -> None:
    strain = read_strain(test_data / "o3a-noise" / "real_noise.hdf").strain.astype(np.float32)
    windows = cut(strain, WINDOW)
    white = fitted(windows, "H1")(windows).numpy()[:, 0].astype(np.float64)
    times = (np.arange(len(windows))[:, None] * WINDOW + MARGIN + np.arange(WINDOW)) / RATE
    quiet = white[np.abs(times - GLITCH) > 0.5]
    assert quiet.size > 495 * RATE
    assert quiet.var() == pytest.approx(1, abs=0.05)
    assert scipy.stats.kurtosis(quiet, fisher=False) == pytest.approx(3, abs=0.05)
    assert np.abs(white).max() > 30  # the glitch is in it


@dataclass
class Event:
    """A detector's 32 s around GW150914: the whole, and what lies 2 s and more from it."""

    detector: str
    strain: Array
    gps: float
    off: list[Segment]


@pytest.fixture(scope="module", params=["H1", "L1"])
def event(request: pytest.FixtureRequest, test_data: Path) -> Event:
    file = resampled(read_strain(next((test_data / "gwosc").glob(f"*-{request.param}_*.hdf5"))), RATE)
    (whole,) = good_segments([file])
    whole = whole.between(whole.gps[0], whole.gps[0] + len(whole) // 2 * 2 / RATE)
    return Event(request.param, whole.strain.astype(np.float64), whole.gps[0], without([whole], EVENT - 2, EVENT + 2))


def loudest(found: list[Array], gps: float) -> tuple[float, float]:
    """The largest SNR within 0.1 s of the event over several templates, and its GPS time."""
    snr = np.max(found, axis=0)
    times = gps + np.arange(len(snr)) / RATE
    near = np.flatnonzero(np.abs(times - EVENT) < 0.1)
    peak = near[np.argmax(snr[near])]
    return float(snr[peak]), float(times[peak])


def template(masses: tuple[float, float], seconds: float) -> Array:
    """[seconds * RATE] of strain with coalescence at its first sample."""
    from pycbc.waveform import get_fd_waveform

    wave, _ = get_fd_waveform(
        approximant="IMRPhenomXAS", mass1=masses[0], mass2=masses[1], delta_f=1 / seconds, f_lower=15, f_final=RATE / 2
    )
    wave.resize(round(seconds * RATE) // 2 + 1)
    return np.asarray(wave.to_timeseries().numpy())


def test_gw150914_is_as_loud_as_published_by_pycbcs_matched_filter(event: Event) -> None:
    """The outside reference: pycbc's filter with the PSD from 2 s periodograms of the time off the event."""
    from pycbc.filter import matched_filter
    from pycbc.types import FrequencySeries, TimeSeries

    size = 2 * RATE
    parts = [part.strain[at : at + size] for part in event.off for at in range(0, len(part) - size + 1, size // 2)]
    _, psd = median_psd(np.stack(parts)[:, None], sample_rate=RATE, segment=size, detectors=("",))
    samples = len(event.strain)
    fine = resample_psd(psd[0], 0.5, RATE / samples, samples // 2 + 1)
    data = TimeSeries(event.strain, delta_t=1 / RATE)
    found = []
    for masses in MASSES:
        padded = np.zeros(samples)
        wave = np.roll(template(masses, 8.0), 6 * RATE)
        padded[: len(wave)] = wave
        snr = matched_filter(
            TimeSeries(np.roll(padded, -6 * RATE), delta_t=1 / RATE),
            data,
            psd=FrequencySeries(fine, delta_f=RATE / samples),
            low_frequency_cutoff=20.0,
            high_frequency_cutoff=900.0,
        )
        found.append(np.abs(snr.numpy()))
    snr, time = loudest(found, event.gps)
    assert snr == pytest.approx(PUBLISHED[event.detector], rel=0.05)
    assert time == pytest.approx(EVENT, abs=0.010)


def test_gw150914_is_as_loud_as_published_after_our_whitening(event: Event) -> None:
    """Strain and template go through our filter; what is left is a matched filter in white noise."""
    from pycbc.filter import matched_filter
    from pycbc.types import FrequencySeries, TimeSeries

    conditioner = fitted(np.concatenate([cut(part.strain, RATE // 2) for part in event.off]), event.detector)
    white = conditioner.condition_segment(event.strain, 0).numpy().astype(np.float64)
    lost = (len(event.strain) - len(white)) // 2
    white = white[: len(white) // 2 * 2]
    off = [conditioner.condition_segment(part.strain, 0).numpy().astype(np.float64) for part in event.off]
    spectra = [scipy.signal.welch(part, RATE, nperseg=RATE, average="median")[1] for part in off]
    level = float(np.median(np.mean(spectra, axis=0)[30:500]))
    # Noise of unit variance that is flat from 20 to 600 Hz.
    assert level == pytest.approx(1 / 580, rel=0.25)
    flat = FrequencySeries(np.full(len(white) // 2 + 1, level), delta_f=RATE / len(white))
    found = []
    for masses in MASSES:
        shaped = conditioner.condition_segment(np.roll(template(masses, 8.0), 6 * RATE), 0).numpy()
        padded = np.zeros(len(white))
        padded[: len(shaped)] = shaped
        snr = matched_filter(
            TimeSeries(np.roll(padded, lost - 6 * RATE), delta_t=1 / RATE),
            TimeSeries(white, delta_t=1 / RATE),
            psd=flat,
            low_frequency_cutoff=20.0,
            high_frequency_cutoff=600.0,
        )
        found.append(np.abs(snr.numpy()))
    gps = event.gps + lost / RATE
    snr, time = loudest(found, gps)
    assert snr == pytest.approx(PUBLISHED[event.detector], rel=0.05)
    assert time == pytest.approx(EVENT, abs=0.010)
    # In noise, real and imaginary part of the SNR each have unit variance.
    far = np.abs(gps + np.arange(len(white)) / RATE - EVENT) > 2
    assert np.mean(np.square(found), axis=0)[far].mean() / 2 == pytest.approx(1, rel=0.1)
