from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import signal, stats
from torch import Tensor

import gwbench
from gwbench.errors import UserError
from gwbench.plugins.baselines.band_power import (
    BandPower,
    band_powers,
    coincidence,
    light_travel_time,
    peak_and_kurtosis,
)
from gwbench.utils.progress import Progress
from tests.conftest import TINY

RATE = 1024.0


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_powers_are_those_of_scipys_spectrogram() -> None:
    strain, edges = noise(2, 3, 2048), np.array([20.0, 50.0, 120.0, 512.0])
    found = band_powers(strain, RATE, edges, 0.125)
    frequency, _, spectrogram = signal.spectrogram(
        strain.double().numpy(), RATE, window="hann", nperseg=128, noverlap=64, detrend=False, scaling="density"
    )
    power = spectrogram * RATE / 2  # a one-sided density; white noise of unit variance has 2 / RATE
    for band, (low, high) in enumerate(pairwise(edges)):
        mean = power[:, :, (frequency >= low) & (frequency < high)].mean(2)
        np.testing.assert_allclose(found[..., band], np.log(mean.mean(-1)), atol=1e-5)
        np.testing.assert_allclose(found[..., 3 + band], np.log(mean.max(-1)), atol=1e-5)


def test_white_noise_of_unit_variance_has_unit_power() -> None:
    found = band_powers(noise(1, 1, 2**18), RATE, np.array([20.0, 500.0]), 0.125)
    assert float(found[0, 0, 0].exp()) == pytest.approx(1.0, rel=0.01)


def test_a_burst_is_louder_in_its_stretch_than_in_the_window() -> None:
    strain = noise(1, 1, 2048)
    time = torch.arange(128) / RATE
    loud = strain.clone()
    loud[..., 960:1088] += 2 * torch.sin(2 * torch.pi * 100 * time)
    change = band_powers(loud, RATE, np.array([80.0, 120.0]), 0.125) - band_powers(
        strain, RATE, np.array([80.0, 120.0]), 0.125
    )
    assert change[0, 0, 1] > change[0, 0, 0] > 0


def test_peak_and_kurtosis_are_numpys_and_scipys() -> None:
    strain = noise(3, 2, 500) ** 3 + 0.5
    found = peak_and_kurtosis(strain)
    np.testing.assert_allclose(found[..., 0], np.log(np.abs(strain.numpy()).max(-1)), rtol=1e-5)
    np.testing.assert_allclose(found[..., 1], stats.kurtosis(strain.double().numpy(), axis=-1), rtol=1e-3)


def test_the_correlation_is_numpys_at_every_lag_within_reach() -> None:
    a, b = noise(2, 300), noise(4, 300)[2:]
    for reach in (0, 1, 10, 40):
        found = coincidence(a, b, reach)
        for row in range(2):
            x, y = a[row].double().numpy(), b[row].double().numpy()
            full = np.correlate(x, y, "full")  # lags -299 .. 299
            near = full[299 - reach : 300 + reach]
            expected = np.abs(near).max() / (np.linalg.norm(x) * np.linalg.norm(y))
            assert float(found[row]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("lag", [-10, 10])
def test_what_arrives_later_than_light_could_is_not_coincident(lag: int) -> None:
    a = noise(1, 2000)
    b = a.roll(lag, dims=1)
    assert float(coincidence(a, b, 10)) > 0.98
    assert float(coincidence(a, b, 9)) < 0.2


def test_light_takes_ten_milliseconds_between_the_ligo_sites() -> None:
    assert light_travel_time("H1", "L1") == pytest.approx(0.0100, abs=1e-4)  # 3002 km
    assert light_travel_time("H1", "V1") == pytest.approx(0.0273, abs=2e-4)
    with pytest.raises(UserError, match="no place known for the detectors H1 and X9"):
        light_travel_time("H1", "X9")


def test_features_are_finite_and_as_many_as_said() -> None:
    baseline = BandPower(bands=4)
    strain = torch.cat([noise(2, 3, 2048), torch.zeros(1, 3, 2048), torch.full((1, 3, 2048), 1e-3)])
    before = strain.clone()
    found = baseline.features(strain, ("H1", "L1", "V1"), RATE)
    assert found.shape == (4, 3 * (2 * 4 + 2) + 3)
    assert torch.isfinite(found).all()
    assert torch.equal(strain, before)
    torch.testing.assert_close(baseline.features(strain[1:2], ("H1", "L1", "V1"), RATE), found[1:2])


def test_bands_finer_than_a_stretch_resolves_are_refused() -> None:
    with pytest.raises(UserError, match=r"holds none of a stretch's frequencies, 8 Hz apart"):
        BandPower(bands=32).features(noise(1, 2, 2048), ("H1", "L1"), RATE)


def test_loud_signals_are_found_without_a_network(tmp_path: Path) -> None:
    settings: dict[str, Any] = {key: value for key, value in TINY.items() if key.startswith("dataset.")}
    done = gwbench.run(baseline="band-power", settings=settings, out=tmp_path, device="cpu", progress=Progress())
    assert done.spec.encoder is None
    assert done.parameters == 0
    assert done.metrics is not None
    assert done.metrics.auc.low > 0.8  # signals of SNR 12 to 20
    assert 0.8 < done.details["val_auc"] <= 1.0
