"""A zero-phase Butterworth band-pass of whole windows by FFT, equal to `scipy.signal.sosfiltfilt` at their ends too.

Forward and backward filtering multiplies a spectrum by |H(f)|^2, H being the filter's response. A window has ends,
where scipy extends it by an odd reflection and the FFT wraps it around, and within the filter's ringing (0.5 s at a
lower edge of 20 Hz) the two differ by as much as the signal. Both are linear, and away from the ends both convolve
with the same kernel, a sum of p^|n| over the filter's poles p. So their difference acts through few numbers: the
components of the window along p^n and p^(N-1-n), and the samples that scipy reflects. It is measured on an
orthonormal basis of these and subtracted, as a product of two thin matrices: about 30 columns for order 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gwbench.data.dataset import Array

NEGLIGIBLE = 1e-7
"""Singular values of the correction below this, for a filter whose gain in the band is 1, are left out."""


@dataclass(frozen=True)
class ZeroPhase:
    """The filter for windows of N samples: `irfft(rfft(x, length) * response, length)[..., :N] + x @ inward @ outward`.

    Attributes:
        length: L >= N, samples of the transform.
        response: [L // 2 + 1] |H(f)|^2, float64.
        inward: [N, r] float64.
        outward: [r, N] float64.
    """

    length: int
    response: Array
    inward: Array
    outward: Array

    @classmethod
    def butterworth(cls, order: int, band: tuple[float, float], sample_rate: float, samples: int) -> ZeroPhase:
        """The filter for windows of `samples` samples.

        Args:
            order: of the Butterworth prototype; the band-pass has twice as many poles.
            band: lower and upper edge in Hz, where the amplitude after both passes is 1/2.
            sample_rate: Hz.
            samples: N.
        """
        from scipy import fft, signal

        sections = signal.butter(order, band, "bandpass", fs=sample_rate, output="sos")
        length = fft.next_fast_len(samples, real=True)
        _, response = signal.sosfreqz(sections, 2 * np.pi * np.arange(length // 2 + 1) / length)
        power = np.abs(response) ** 2
        padding = min(3 * (2 * len(sections) + 1), samples - 1)  # scipy's own choice, where the window is long enough
        poles = np.concatenate([np.roots(section[3:]) for section in sections])

        basis = _basis(poles, padding + 1, samples)
        wrapped = np.fft.irfft(np.fft.rfft(basis, length) * power, length)[:, :samples]
        difference = signal.sosfiltfilt(sections, basis, padlen=padding) - wrapped
        left, strength, right = np.linalg.svd(difference, full_matrices=False)
        kept = strength > NEGLIGIBLE
        return cls(length, power, basis.T @ (left[:, kept] * strength[kept]), right[kept])


def _basis(poles: Array, ends: int, samples: int) -> Array:
    """Orthonormal rows [k, N] that span p^n and p^(N-1-n) of every pole, and the first and last `ends` samples."""
    modes = poles[poles.imag >= 0][:, None] ** np.arange(samples)
    first = np.eye(ends, samples)
    rows = np.concatenate([modes.real, modes.imag, first])
    return np.asarray(np.linalg.qr(np.concatenate([rows, rows[:, ::-1]]).T)[0].T)
