"""Front ends of networks from elsewhere, against scipy and against what noise must look like."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import signal

from gwbench.errors import UserError
from gwbench.nn.pretrained.front_ends import StrainImage, Waveform, resample


@pytest.mark.parametrize("samples", [100, 101, 64, 37, 200, 255])
def test_resampling_is_scipys(samples: int) -> None:
    for length in (100, 101):
        strain = np.random.default_rng(0).normal(size=(2, length))
        found = resample(torch.from_numpy(strain), samples).numpy()
        assert np.allclose(found, signal.resample(strain, samples, axis=1), atol=1e-12)


def test_frames_overlap_by_half_and_the_last_is_padded() -> None:
    frames = Waveform(10.0, None, 4, "frames", "none")(torch.arange(1.0, 8.0)[None])
    assert frames.tolist() == [[[1, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7, 0]]]


@pytest.mark.parametrize(
    ("fit", "samples", "expected"),
    [("crop", 2, [2, 3]), ("crop", 6, [0, 1, 2, 3, 4, 0]), ("tile", 6, [1, 2, 3, 4, 1, 2]), ("tile", 3, [1, 2, 3])],
)
def test_windows_of_another_length(fit: str, samples: int, expected: list[float]) -> None:
    front_end = Waveform(10.0, None, samples, fit, "none")  # type: ignore[arg-type]
    assert front_end(torch.arange(1.0, 5.0)[None]).tolist() == [[expected]]


def test_a_standard_frame_has_zero_mean_and_unit_variance_and_silence_stays_finite() -> None:
    front_end = Waveform(2048.0, 1024.0, None, "frames", "standard")
    frames = front_end(torch.from_numpy(np.random.default_rng(1).normal(3, 5, (3, 512))).float())
    assert frames.shape == (3, 1, 256)
    assert np.allclose(frames.mean(2), 0, atol=1e-5)
    assert np.allclose(frames.std(2), 1, atol=1e-5)
    assert torch.isfinite(front_end(torch.zeros(1, 512))).all()


@pytest.mark.parametrize("transform", ["spectrogram", "cqt"])
def test_noise_of_unit_variance_has_a_power_of_one(transform: str) -> None:
    image = StrainImage(transform, 1024.0, 2048, (30.0, 400.0), None, 1)  # type: ignore[arg-type]
    noise = torch.from_numpy(np.random.default_rng(2).normal(size=(64, 2048))).float()
    power = torch.expm1(image(noise) * math.log1p(64.0))[:, 0, :, 8:-8]
    assert float(power.mean()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("transform", ["spectrogram", "cqt"])
def test_a_tone_is_at_its_frequency_and_low_frequencies_are_at_the_bottom(transform: str) -> None:
    image = StrainImage(transform, 1024.0, 2048, (30.0, 480.0), None, 3, (0.5,) * 3, (0.25,) * 3)  # type: ignore[arg-type]
    tone = torch.sin(2 * math.pi * 60.0 * torch.arange(2048) / 1024.0)[None]
    pixels = image(tone)[0]
    assert pixels.shape[0] == 3
    assert torch.equal(pixels[0], pixels[2])
    brightest = int(pixels[0].mean(1).argmax())
    heights = pixels.shape[1]
    expected = 12 * math.log2(2) if transform == "cqt" else (60 - 30) / 8
    assert heights - 1 - brightest == pytest.approx(expected, abs=1)


def test_a_band_without_frequencies_is_refused() -> None:
    with pytest.raises(UserError, match="no frequency from 900"):
        StrainImage("spectrogram", 1024.0, 2048, (900.0, 1000.0), None, 1)
    with pytest.raises(UserError, match=r"takes .* samples, more than a window"):
        StrainImage("cqt", 1024.0, 512, (20.0, 400.0), None, 1)
