"""Simulated glitches against pycbc's SNR, the distributions they are drawn from, and their published shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycbc.filter import sigma
from pycbc.types import FrequencySeries, TimeSeries
from scipy import stats
from scipy.signal import hilbert, spectrogram

from gwbench.data.psd import PsdTable, psd_values
from gwbench.errors import UserError
from gwbench.simulation.glitches import GLITCH_KINDS, SimulatedGlitches

RATE = 2048.0
DETECTORS = ("H1", "L1", "V1")
CURVES = ("aLIGODesignSensitivityT1800044", "aLIGOZeroDetHighPower", "AdvVirgo")
PSDS = PsdTable(np.stack([psd_values(name, RATE, 16384) for name in CURVES]), 0.125)


def apply(
    glitches: SimulatedGlitches, n: int, seconds: float, seed: int = 0, rows: NDArray[Any] | None = None
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float64]]]:
    noise = np.zeros((n, 3, round(seconds * RATE)), np.float32)
    found = glitches.apply(
        np.random.default_rng(seed),
        noise,
        split="train",
        psds=PSDS,
        rows=np.tile(np.arange(3), (n, 1)) if rows is None else rows,
        detectors=DETECTORS,
        sample_rate=RATE,
    )
    return noise, found


def table(found: dict[str, NDArray[np.float64]], name: str) -> NDArray[np.float64]:
    return np.stack([found[f"{name}_{detector}"] for detector in DETECTORS], axis=1)


@pytest.mark.parametrize("kind", GLITCH_KINDS)
def test_the_snr_of_every_kind_is_pycbcs(kind: str) -> None:
    seconds, rows = 16.0, np.random.default_rng(3).integers(3, size=(60, 3))
    noise, found = apply(SimulatedGlitches(0.03, kinds=(kind,)), 60, seconds, rows=rows)
    time, count, snr = table(found, "glitch_time"), table(found, "glitches"), table(found, "glitch_snr")
    whole = (count == 1) & (time > 3) & (time < seconds - 3)
    assert whole.sum() >= 15
    fine = [FrequencySeries(psd_values(name, RATE, 32768), delta_f=1 / seconds) for name in CURVES]
    for w, d in np.argwhere(whole)[:15]:
        series = TimeSeries(noise[w, d].astype(np.float64), delta_t=1 / RATE)
        assert sigma(series, psd=fine[rows[w, d]], low_frequency_cutoff=20.0) == pytest.approx(snr[w, d], rel=5e-3)


def test_the_number_of_glitches_is_poisson_over_the_whole_stretch() -> None:
    rate, seconds, n = 0.5, 2.5, 600
    _, found = apply(SimulatedGlitches(rate, kinds=("blip",)), n, seconds)
    count = table(found, "glitches")
    mean, cells = rate * seconds, count.size
    assert abs(count.mean() - mean) < 4 * np.sqrt(mean / cells)
    # The variance of a Poisson sample variance is (mean + 2 mean^2) / cells.
    assert abs(count.var() - mean) < 4 * np.sqrt((mean + 2 * mean**2) / cells)


def test_detectors_glitch_independently() -> None:
    n = 3000
    _, found = apply(SimulatedGlitches(0.3, kinds=("blip",)), n, 2.5, seed=5)
    hit = table(found, "glitches") > 0
    one = 1 - np.exp(-0.75)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        both = (hit[:, a] & hit[:, b]).mean()
        assert abs(both - one**2) < 4 * np.sqrt(one**2 * (1 - one**2) / n)
        pairs = hit[:, a] & hit[:, b]
        for name in ("glitch_time", "glitch_snr"):
            values = table(found, name)[pairs]
            assert stats.spearmanr(values[:, a], values[:, b]).pvalue > 1e-3


def test_snr_times_and_kinds_follow_their_distributions() -> None:
    low, high, seconds = 8.0, 40.0, 2.5
    _, found = apply(SimulatedGlitches(0.1, (low, high), ("ringing", "blip")), 2000, seconds, seed=2)
    single = table(found, "glitches") == 1
    snr, time, kind = (table(found, name)[single] for name in ("glitch_snr", "glitch_time", "glitch_kind"))
    assert len(snr) > 800

    def cumulative(x: NDArray[Any]) -> NDArray[Any]:
        return np.asarray((low**-2 - x**-2.0) / (low**-2 - high**-2))

    assert stats.kstest(snr, cumulative).pvalue > 1e-3
    assert stats.kstest(time / seconds, "uniform").pvalue > 1e-3
    assert set(kind) == {0.0, 2.0}
    assert list(GLITCH_KINDS) == ["blip", "scattered-light", "ringing"]
    assert abs((kind == 0).mean() - 0.5) < 4 * 0.5 / np.sqrt(len(kind))


def test_strain_changes_only_where_glitches_are() -> None:
    n = 200
    glitches = SimulatedGlitches(0.1, kinds=("blip",))
    noise, found = apply(glitches, n, 2.5)
    count, time = table(found, "glitches"), table(found, "glitch_time")
    assert not noise[count == 0].any()
    assert noise[count > 0].any(axis=-1).all()
    around = np.arange(noise.shape[-1]) / RATE - time[count == 1][:, None]
    assert not noise[count == 1][np.abs(around) > 0.15].any()
    assert np.isnan(time[count == 0]).all() and np.isfinite(time[count > 0]).all()
    assert (table(found, "glitch_snr")[count == 0] == 0).all()
    assert (table(found, "glitch_kind")[count == 0] == -1).all()
    quiet, found = apply(SimulatedGlitches(0.0), n, 2.5)
    assert not quiet.any() and not table(found, "glitches").any()


def test_glitches_add_to_the_noise() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1e-22, (20, 3, 5120)).astype(np.float32)
    before = noise.copy()
    rows = np.tile(np.arange(3), (20, 1))
    arguments: dict[str, Any] = {"split": "test", "psds": PSDS, "rows": rows, "detectors": DETECTORS}
    glitches = SimulatedGlitches(1.0)
    glitches.apply(np.random.default_rng(9), noise, sample_rate=RATE, **arguments)
    alone, _ = apply(glitches, 20, 2.5, seed=9)
    assert noise.dtype == np.float32
    np.testing.assert_allclose(noise - before, alone, rtol=0, atol=1e-6 * np.abs(noise).max())


def test_of_several_glitches_the_loudest_is_described() -> None:
    noise, found = apply(SimulatedGlitches(1.5, (8.0, 1000.0), ("blip",)), 300, 2.5, seed=4)
    count, time = table(found, "glitches"), table(found, "glitch_time")
    several = (count > 1) & (time > 0.2) & (time < 2.3) & (table(found, "glitch_snr") > 100)
    assert several.sum() >= 10
    # A glitch of 100 in the band is the largest excursion of strain, but for a blip a few times deeper in the noise.
    peak = np.abs(noise[several]).argmax(axis=-1) / RATE
    assert np.mean(np.abs(peak - time[several]) < 0.05) > 0.9


def peaks(waves: NDArray[np.float32]) -> NDArray[np.float64]:
    """The frequency of the largest spectral amplitude."""
    spectrum = np.abs(np.fft.rfft(waves, n=1 << 15))
    return np.asarray(spectrum.argmax(axis=-1) * RATE / (1 << 15))


def test_blips_have_the_stated_frequencies_and_lengths() -> None:
    waves = GLITCH_KINDS["blip"](np.random.default_rng(0), 400, RATE)
    # The two sidebands of a short blip of low Q overlap and move its peak a little.
    assert peaks(waves).min() > 40 and peaks(waves).max() < 520
    energy = np.square(waves.astype(np.float64))
    energy /= energy.sum(axis=-1, keepdims=True)
    time = np.arange(waves.shape[-1]) / RATE
    mean = energy @ time
    spread = np.sqrt(energy @ time**2 - mean**2)
    # exp(-2 t^2 / tau^2) has a standard deviation of tau / 2; the longest tau is 8 / (sqrt(2) pi 60 Hz) = 30 ms.
    assert spread.max() < 1.1 * 0.030 / 2
    logs = np.log(peaks(waves) / 60) / np.log(500 / 60)
    assert stats.kstest(logs, "uniform").statistic < 0.1


def test_ringing_decays_with_the_stated_quality() -> None:
    waves = GLITCH_KINDS["ringing"](np.random.default_rng(0), 100, RATE)
    frequency = peaks(waves)
    assert frequency.min() > 95 and frequency.max() < 505
    envelope = np.abs(hilbert(waves, N=2 * waves.shape[-1], axis=-1))[:, : waves.shape[-1]]
    for wave, f in zip(envelope, frequency, strict=True):
        # Well after the start, which takes at most a time constant, the envelope is exp(-pi f t / Q) alone.
        late = np.flatnonzero((wave < 0.2 * wave.max()) & (np.arange(len(wave)) > wave.argmax()))
        late = late[wave[late] > 0.03 * wave.max()]
        slope = np.polyfit(late / RATE, np.log(wave[late]), 1)[0]
        assert 18 < -np.pi * f / slope < 110
    sudden = (np.abs(waves[:, : round(0.01 * RATE)]).max(axis=-1) / np.abs(waves).max(axis=-1)) > 0.9
    assert 20 < sudden.sum() < 90


def test_scattered_light_arches_with_the_cosine_of_its_fringe_frequency() -> None:
    waves = GLITCH_KINDS["scattered-light"](np.random.default_rng(0), 200, RATE)
    lasts = (waves != 0).sum(axis=-1) / RATE
    assert stats.kstest((lasts - 0.5) / 2.5, "uniform").pvalue > 1e-3
    checked = 0
    for wave, duration in zip(waves, lasts, strict=True):
        if duration < 2:
            continue
        frequencies, times, power = spectrogram(wave, RATE, nperseg=512, noverlap=448, nfft=4096)
        position = (times - len(wave) / RATE / 2) / duration
        ridge = frequencies[power.argmax(axis=0)]
        top = ridge[np.abs(position) < 0.05].mean()
        assert 20 < top < 65
        # The lowest arch is the strongest; it rises and falls as a cosine.
        inside = np.abs(position) < 0.3
        np.testing.assert_allclose(ridge[inside], top * np.cos(np.pi * position[inside]), atol=7.0)
        checked += 1
    assert checked > 50


def test_the_same_seed_gives_the_same_glitches() -> None:
    first, second = (apply(SimulatedGlitches(0.5), 40, 2.5, seed=8) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    assert first[0].any()


def test_low_sample_rates_keep_glitches_below_nyquist() -> None:
    for kind in ("blip", "ringing"):
        waves = GLITCH_KINDS[kind](np.random.default_rng(0), 200, 512.0)
        spectrum = np.abs(np.fft.rfft(waves, n=4096))
        assert (spectrum.argmax(axis=-1) * 512 / 4096).max() < 135


def test_bad_values_are_explained() -> None:
    with pytest.raises(UserError, match="glitch rate = -1"):
        SimulatedGlitches(-1.0)
    with pytest.raises(UserError, match="glitch rate = nan"):
        SimulatedGlitches(float("nan"))
    for bounds in ((0.0, 5.0), (20.0, 10.0), (5.0, float("inf"))):
        with pytest.raises(UserError, match="the lower first"):
            SimulatedGlitches(0.1, bounds)
    with pytest.raises(UserError, match=r"'blips'.*Did you mean 'blip'"):
        SimulatedGlitches(0.1, kinds=("blips",))
    for kinds in ((), ("blip", "blip")):
        with pytest.raises(UserError, match="expected different names"):
            SimulatedGlitches(0.1, kinds=kinds)
    noise, rows = np.zeros((4, 1, 1000), np.float32), np.zeros((4, 1), int)
    rng = np.random.default_rng(0)
    empty = PsdTable(np.zeros((1, 1025)), 1.0)
    with pytest.raises(UserError, match="expected 512 Hz or more"):
        SimulatedGlitches(0.1).apply(
            rng, noise, split="train", psds=PSDS, rows=rows, detectors=("H1",), sample_rate=256.0
        )
    with pytest.raises(UserError, match="no value where a glitch is"):
        SimulatedGlitches(9.0).apply(
            rng, noise, split="train", psds=empty, rows=rows, detectors=("H1",), sample_rate=RATE
        )


def test_it_says_what_it_is() -> None:
    assert str(SimulatedGlitches(0.05, kinds=("blip",))) == (
        "0.05 per second and detector (blip), optimal SNR 7.5 to 100 with a density that falls as SNR^-3"
    )
