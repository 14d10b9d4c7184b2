"""What a network from elsewhere is shown of one detector's conditioned strain: frames of a waveform, or an image."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench.errors import UserError
from gwbench.nn.filter_bank import FilterBank

FULL_SCALE = 64.0
"""Power, in units of what noise has on average, that is white in an image; noise itself is a sixth of the way."""

Fit = Literal["frames", "crop", "tile"]
Normalise = Literal["none", "standard", "peak"]


class Waveform(nn.Module):
    """Strain as a waveform of another sample rate, of the length that a network takes.

    Args:
        sample_rate: of the strain, Hz.
        target_rate: Hz to resample to; None to hand over the samples as they are.
        samples: that the network takes at once; None for the whole window.
        fit: what becomes of windows of another length. "frames": several frames, each half over the next, the last
            padded by zeros. "crop": the middle of a longer window; a shorter one is padded by zeros on both sides.
            "tile": a shorter window is repeated; a longer one is cut off.
        normalise: each frame: "standard" to zero mean and unit variance, "peak" to a largest magnitude of 1.
    """

    def __init__(
        self, sample_rate: float, target_rate: float | None, samples: int | None, fit: Fit, normalise: Normalise
    ) -> None:
        super().__init__()
        self.ratio = target_rate / sample_rate if target_rate else 1.0
        self.samples, self.fit, self.normalise = samples, fit, normalise

    def forward(self, strain: Tensor) -> Tensor:
        """[B, T] -> frames [B, n, samples]."""
        frames = self._fitted(resample(strain, round(strain.shape[1] * self.ratio)))
        if self.normalise == "standard":
            frames = frames - frames.mean(2, keepdim=True)
            return frames / frames.std(2, keepdim=True).clamp(min=1e-10)
        if self.normalise == "peak":
            return frames / frames.abs().amax(2, keepdim=True).clamp(min=1e-10)
        return frames

    def _fitted(self, strain: Tensor) -> Tensor:
        length, wanted = strain.shape[1], self.samples
        if wanted is None or length == wanted:
            return strain.unsqueeze(1)
        if self.fit == "frames":
            hop = max(1, wanted // 2)
            hops = max(0, math.ceil((length - wanted) / hop))
            return F.pad(strain, (0, wanted + hops * hop - length)).unfold(1, wanted, hop)
        if self.fit == "tile":
            return strain.repeat(1, math.ceil(wanted / length))[:, None, :wanted]
        missing = wanted - length
        before = missing // 2 if missing > 0 else -(-missing // 2)
        return F.pad(strain, (before, missing - before)).unsqueeze(1)


class StrainImage(nn.Module):
    """The power of strain over time and frequency as an image in [0, 1], as networks for pictures expect it.

    A pixel is log(1 + power) / log(1 + 64), at most 1, where the noise of conditioned strain has a power of 1 on
    average: the same power is the same grey in every window. The image is resized (bilinear) and repeated in every
    channel; then each channel's mean is subtracted, and it is divided by its standard deviation.

    Args:
        transform: "spectrogram": a short-time Fourier transform with a Hann window of an eighth of a second, at an
            eighth of that; "cqt": nnAudio's constant-Q transform, 12 frequencies to an octave.
        sample_rate: of the strain, Hz.
        samples: of a window.
        low, high: Hz, the band.
        size: height and width of the image; None for one pixel for each frequency and time.
        channels: of the image.
        mean, std: of each channel; empty for an image that stays in [0, 1].

    Raises:
        UserError: the band holds too few frequencies, or the window is too short for the lowest.
    """

    window: Tensor
    norm: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        transform: Literal["spectrogram", "cqt"],
        sample_rate: float,
        samples: int,
        band: tuple[float, float],
        size: tuple[int, int] | None,
        channels: int,
        mean: tuple[float, ...] = (),
        std: tuple[float, ...] = (),
    ) -> None:
        super().__init__()
        low, high = band[0], min(band[1], sample_rate / 2)
        if not 0 < low < high:
            raise UserError(f"There is no frequency from {low:g} to {high:g} Hz: mend baseline.low and baseline.high.")
        self.size, self.channels, self.cqt = size, channels, transform == "cqt"
        if self.cqt:
            kernels = _cqt_kernels(sample_rate, samples, low, high)
            self.bank = FilterBank(kernels.flatten(0, 1), hop=max(1, round(sample_rate / 32)))
            noise = kernels.square().sum(dim=(1, 2))
        else:
            self.fft = min(samples, max(16, round(sample_rate / 8)))
            self.bins = slice(math.ceil(low * self.fft / sample_rate), int(high * self.fft / sample_rate) + 1)
            self.register_buffer("window", torch.hann_window(self.fft), persistent=False)
            noise = self.window.square().sum().expand(max(0, self.bins.stop - self.bins.start))
        if len(noise) < 2:
            raise UserError(f"There are fewer than two frequencies from {low:g} to {high:g} Hz: widen the band.")
        self.register_buffer("norm", noise[:, None].clone(), persistent=False)
        self.register_buffer("mean", _of_channels(mean, channels, 0.0), persistent=False)
        self.register_buffer("std", _of_channels(std, channels, 1.0), persistent=False)

    def forward(self, strain: Tensor) -> Tensor:
        """[B, T] -> [B, channels, height, width], the lowest frequency at the bottom."""
        power = self._power(strain) / self.norm
        grey = (torch.log1p(power) / math.log1p(FULL_SCALE)).clamp(max=1.0).flip(1).unsqueeze(1)
        if self.size:
            grey = F.interpolate(grey, self.size, mode="bilinear")
        return (grey.expand(-1, self.channels, -1, -1) - self.mean) / self.std

    def _power(self, strain: Tensor) -> Tensor:
        """[B, K, columns], from the lowest frequency up."""
        if self.cqt:
            parts: Tensor = self.bank(strain)
            power: Tensor = parts.unflatten(1, (-1, 2)).square().sum(dim=2)
            return power
        hop = max(1, self.fft // 8)
        spectrum: Tensor = torch.stft(strain, self.fft, hop, window=self.window, return_complex=True)
        magnitude: Tensor = spectrum[:, self.bins].abs()
        return magnitude.square()


def resample(strain: Tensor, samples: int) -> Tensor:
    """[B, T] -> [B, samples] of the same length in time: frequencies beyond either's are left out.

    As `scipy.signal.resample`, by the Fourier transform, so that the window is taken for one period.
    """
    length = strain.shape[1]
    if samples == length:
        return strain
    spectrum = torch.fft.rfft(strain)
    kept = min(length, samples)
    spectrum = spectrum[:, : kept // 2 + 1]
    if kept % 2 == 0:  # the highest frequency stands for both signs in the shorter of the two
        factor = torch.ones(spectrum.shape[1], device=strain.device)
        factor[-1] = 2.0 if samples < length else 0.5
        spectrum = spectrum * factor
    resampled: Tensor = torch.fft.irfft(spectrum, n=samples)
    return resampled * (samples / length)


def _cqt_kernels(sample_rate: float, samples: int, low: float, high: float) -> Tensor:
    """Real and imaginary kernels [K, 2, W] of nnAudio's transform."""
    from nnAudio.features.cqt import CQT1992v2

    bins = math.floor(12 * math.log2(high / low) + 1e-9) + 1
    longest = math.ceil(sample_rate / low / (2 ** (1 / 12) - 1))
    if longest > samples:
        raise UserError(
            f"At 12 frequencies to an octave, {low:g} Hz takes {longest} samples, more than a window's {samples}: "
            f"raise baseline.low to {low * longest / samples:.0f} at least, or use baseline.front_end=spectrogram."
        )
    made = CQT1992v2(sr=sample_rate, fmin=low, n_bins=bins, bins_per_octave=12, verbose=False)
    return torch.stack([made.cqt_kernels_real[:, 0], made.cqt_kernels_imag[:, 0]], dim=1).detach()


def _of_channels(values: tuple[float, ...], channels: int, otherwise: float) -> Tensor:
    """One value for each channel [C, 1, 1]; their mean where an image has another number of channels."""
    given = torch.tensor(values if values else (otherwise,), dtype=torch.float32)
    if len(given) != channels:
        given = given.mean().expand(channels)
    return given.clone()[:, None, None]
