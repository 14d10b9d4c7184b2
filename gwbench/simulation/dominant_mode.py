"""Aligned-spin waveforms of the (2, 2) mode alone: amplitude and phase at a few frequencies, interpolated.

Both are smooth, so LAL need not be asked at every bin: with nodes 1.5 % apart in frequency, four-point Lagrange
interpolation stays within 1e-3 of the waveform's peak, and mostly within 1e-4. And with aligned spins and one mode the
polarisations of any inclination follow from those face-on,

    h+ = (1 + cos^2 i) / 2 h,    hx = -i cos i h,

so one array is computed where otherwise there would be two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench.data.lal_quiet import approximant_number, quiet_lal, refused

Float = NDArray[np.float64]
Complex64 = NDArray[np.complex64]

APPROXIMANTS = ("IMRPhenomXAS", "IMRPhenomD")
"""What has the (2, 2) mode alone and spins along the orbital angular momentum."""

NODE_SPACING = 0.015
"""Relative distance between neighbouring nodes."""


@dataclass(frozen=True)
class FaceOn:
    """The plus polarisation of binaries seen face-on.

    Attributes:
        waves: [n, F - first] complex64, from bin `first` on; below it there is nothing.
        first: the first bin at or above the lower cutoff.
    """

    waves: Complex64
    first: int


def face_on(
    params: Mapping[str, NDArray[Any]],
    *,
    approximant: str,
    delta_f: float,
    f_low: float,
    f_final: float,
    distance: float,
) -> FaceOn:
    """h+ at inclination zero of some binaries, on the bins of a Fourier transform.

    Args:
        params: `mass_1`, `mass_2` (solar masses), `spin_1z`, `spin_2z`, `phase` (radians, at `f_low`), each [n].
        approximant: one of `APPROXIMANTS`.
        delta_f: Hz between bins.
        f_low: Hz; nothing below it.
        f_final: Hz, of the last bin.
        distance: Mpc.

    Raises:
        UserError: LAL refuses the parameters.
    """
    grid = _grid(delta_f, f_low, f_final)
    at_nodes = _evaluate(params, approximant, grid.nodes, f_low, distance)
    expected = -_post_newtonian_phase(params, grid.nodes)
    # Less what is known of it, the phase changes by less than half a turn between nodes and can be unwrapped.
    amplitude = np.abs(at_nodes)
    phase = np.unwrap(np.angle(at_nodes * np.exp(-1j * expected))) + expected
    # Beyond the approximant's end there is no phase; the last one there was interpolates best.
    last = np.where(amplitude > 0, np.arange(amplitude.shape[1]), 0).max(axis=1)
    beyond = np.arange(amplitude.shape[1]) > last[:, None]
    phase = np.where(beyond, np.take_along_axis(phase, last[:, None], axis=1), phase)
    turns = grid.interpolated(phase / (2 * np.pi))
    turns -= np.rint(turns)
    angle = turns.astype(np.float32)
    angle *= np.float32(2 * np.pi)
    size = grid.interpolated(amplitude).astype(np.float32)
    waves = np.empty(angle.shape, np.complex64)
    np.multiply(size, np.cos(angle), out=waves.real)
    np.multiply(size, np.sin(angle), out=waves.imag)
    return FaceOn(waves, grid.first)


def _evaluate(
    params: Mapping[str, NDArray[Any]], approximant: str, nodes: Float, f_low: float, distance: float
) -> NDArray[np.complex128]:
    """[n, nodes] by LAL."""
    import lal
    import lalsimulation as lalsim

    number = approximant_number(approximant)
    frequencies = lal.CreateREAL8Sequence(len(nodes))
    frequencies.data = nodes
    columns = ("mass_1", "mass_2", "spin_1z", "spin_2z", "phase")
    rows = np.stack([np.asarray(params[name], np.float64) for name in columns], axis=-1)
    waves = np.empty((len(rows), len(nodes)), np.complex128)
    metres = distance * 1e6 * lal.PC_SI
    with quiet_lal():
        for wave, (mass_1, mass_2, spin_1z, spin_2z, phase) in zip(waves, rows.tolist(), strict=True):
            spins = (0.0, 0.0, spin_1z, 0.0, 0.0, spin_2z)
            masses = (mass_1 * lal.MSUN_SI, mass_2 * lal.MSUN_SI)
            try:
                plus, _ = lalsim.SimInspiralChooseFDWaveformSequence(
                    phase, *masses, *spins, f_low, metres, 0.0, None, number, frequencies
                )
            except RuntimeError as error:
                raise refused(approximant, mass_1, mass_2, (spin_1z, spin_2z), error) from error
            wave[:] = plus.data.data
    return waves


def _post_newtonian_phase(params: Mapping[str, NDArray[Any]], frequency: Float) -> Float:
    """[n, nodes] TaylorF2 to 1.5PN (Buonanno et al., arXiv:0907.0700, eq. 3.18): near enough to unwrap by."""
    import lal

    mass_1, mass_2 = (np.asarray(params[name], np.float64)[:, None] for name in ("mass_1", "mass_2"))
    spin_1, spin_2 = (np.asarray(params[name], np.float64)[:, None] for name in ("spin_1z", "spin_2z"))
    total = mass_1 + mass_2
    eta = mass_1 * mass_2 / total**2
    beta = sum((113 / 12 * (m / total) ** 2 + 25 / 4 * eta) * s for m, s in ((mass_1, spin_1), (mass_2, spin_2)))
    v = np.cbrt(np.pi * total * lal.MTSUN_SI * frequency)
    series = 1 + (3715 / 756 + 55 / 9 * eta) * v**2 + (4 * beta - 16 * np.pi) * v**3
    return np.asarray(3 / (128 * eta) / v**5 * series)


class _Grid:
    """Nodes spaced evenly in the logarithm, and the four of them that each bin is interpolated from."""

    def __init__(self, delta_f: float, f_low: float, f_final: float) -> None:
        self.first = int(np.ceil(f_low / delta_f - 1e-9))
        bins = np.arange(self.first, round(f_final / delta_f) + 1) * delta_f
        count = max(4, int(np.ceil(np.log(f_final / f_low) / NODE_SPACING)) + 1)
        # LAL gives zero below its f_low, and the first node must not fall a rounding error below.
        self.nodes: Float = np.geomspace(f_low * (1 + 1e-12), f_final, count)
        step = np.log(self.nodes[1] / self.nodes[0])
        position = np.log(np.maximum(bins, f_low) / f_low) / step
        left = np.clip(np.floor(position).astype(int), 1, count - 3)
        x = position - left
        weights = np.stack(
            [
                -x * (x - 1) * (x - 2) / 6,
                (x + 1) * (x - 1) * (x - 2) / 2,
                -(x + 1) * x * (x - 2) / 2,
                (x + 1) * x * (x - 1) / 6,
            ],
            axis=1,
        )
        from scipy.sparse import csr_array

        columns = left[:, None] + np.arange(-1, 3)
        rows = np.arange(0, 4 * len(bins) + 1, 4)
        self._matrix = csr_array((weights.ravel(), columns.ravel(), rows), shape=(len(bins), count))

    def interpolated(self, values: Float) -> Float:
        """[n, bins] of values [n, nodes]."""
        return np.ascontiguousarray((self._matrix @ values.T).T)


_grid = cache(_Grid)

__all__ = ["APPROXIMANTS", "FaceOn", "face_on"]
