"""The Q-transform: how the energy of whitened strain lies in time and in frequency.

Strain is compared with bursts of every time t and frequency f that last Q / f seconds or so, as Chatterji et al. 2004
(arXiv:gr-qc/0412119) do: its spectrum X is multiplied by a bisquare window of half width f sqrt(11) / Q around f,

    z(t, f) = integral X(g) w((g - f) Q / (f sqrt(11))) exp(2 pi i g t) dg,    w(u) = (1 - u^2)^2 for |u| < 1,

and |z|^2 is divided by its mean in noise. In noise this normalised energy is exponentially distributed with mean 1; a
burst of that shape with an optimal SNR of rho has rho^2 / 2 on average more. The mean comes from the PSD of the
noise, and not from the strain at hand as is usual, so that a loud signal does not hide itself in a short window.
"""

from __future__ import annotations

import numpy as np

from gwbench.data.dataset import Array
from gwbench.errors import UserError

WIDTH = np.sqrt(11.0)
"""Half width of a bisquare window of a Gaussian's bandwidth, in units of f / Q; a lower Q would reach below 0 Hz."""


def q_energy(whitened: Array, sample_rate: float, frequencies: Array, *, q: float, band: tuple[float, float]) -> Array:
    """Normalised energy of whitened strain.

    Before and after the strain there is taken to be none, so that nothing wraps around from one end to the other; a
    burst's length from an end, noise has less energy than 1.

    Args:
        whitened: [T] with unit variance in noise that is white within the band and absent outside.
        sample_rate: Hz.
        frequencies: [F] Hz, above 0 and below half the sample rate.
        q: quality factor, above `WIDTH`: the cycles in a burst, times 2 pi or so.
        band: lower and upper edge, Hz.

    Returns:
        [F, T] float32.

    Raises:
        UserError: the lowest of these bursts would last longer than the strain, or q is too low.
    """
    from scipy import fft

    count = len(whitened)
    most = WIDTH * float(min(frequencies)) * count / sample_rate / 2
    if not WIDTH < q <= most:
        raise UserError(
            f"--q {q:g} does not fit {count / sample_rate:g} s of strain from {min(frequencies):g} Hz on: expected "
            f"more than {WIDTH:.3g} and at most {most:.3g}. Choose another, or show more seconds of strain."
        )
    size = fft.next_fast_len(2 * count, real=True)
    spectrum = fft.rfft(np.asarray(whitened, np.float64), n=size)
    grid = fft.rfftfreq(size, 1 / sample_rate)
    step = sample_rate / size
    density = 1 / (2 * (band[1] - band[0]))  # of the noise at positive frequencies, which hold half its variance
    energy = np.empty((len(frequencies), count), np.float32)
    for row, frequency in enumerate(frequencies):
        window = np.clip(1 - ((grid - frequency) * q / (frequency * WIDTH)) ** 2, 0, None) ** 2
        analytic = np.zeros(size, np.complex128)
        analytic[: len(spectrum)] = spectrum * window
        wave = fft.ifft(analytic, overwrite_x=True)[:count]
        energy[row] = np.abs(wave) ** 2 / (density * np.sum(window**2) * step)
    return energy


__all__ = ["WIDTH", "q_energy"]
