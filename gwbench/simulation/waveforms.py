"""Polarisations of gravitational waves in the frequency domain, from any approximant of LAL or pycbc."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gwbench.data.lal_quiet import approximant_number, quiet_lal, refused, with_data
from gwbench.errors import UserError, did_you_mean

Complex = NDArray[np.complexfloating[Any, Any]]
Source = Literal["lal-fd", "pycbc-fd", "pycbc-td"]
"""Where an approximant comes from."""

REFERENCE_DISTANCE = 1.0
"""Mpc; the luminosity distance of `polarizations`. Strain goes as its inverse."""

SPINS = ("spin_1x", "spin_1y", "spin_1z", "spin_2x", "spin_2y", "spin_2z")

TAPER = (0.6, 0.8)
"""Parts of f_low between which a time series is faded in, so that its start does not ring above f_low."""

EXAMPLES = ("IMRPhenomXAS", "IMRPhenomD", "IMRPhenomXP", "IMRPhenomXPHM", "IMRPhenomT")


def polarizations(
    params: Mapping[str, NDArray[Any]],
    *,
    approximant: str = "IMRPhenomXAS",
    delta_f: float,
    f_low: float = 20.0,
    f_final: float,
) -> Complex:
    """Plus and cross polarisations of quasi-circular binaries at `REFERENCE_DISTANCE`.

    Frequency-domain approximants of LAL are called directly: `pycbc.waveform` would make the same call and takes over
    a second to import. Whatever else pycbc offers comes through pycbc; a waveform in the time domain is tapered at its
    start and transformed.

    Args:
        params: `mass_1`, `mass_2` (solar masses), `inclination`, `phase` (radians), each [n], and the dimensionless
            spins `spin_1x` to `spin_2z`, of which those that are missing are zero.
        approximant: a name that pycbc knows. The default is Pratten et al., arXiv:2001.11412.
        delta_f: Hz between bins; `1 / delta_f` must be longer than the signal.
        f_low: Hz; zero below it.
        f_final: Hz, of the last bin.

    Returns:
        complex64 [n, 2, F], F = f_final / delta_f + 1. Time zero is coalescence as the approximant has it,
        within a few milliseconds of the amplitude's peak; `phase` is that at `f_low`.

    Raises:
        UserError: no such approximant, it refuses the parameters, or its data files are missing.
    """
    source = approximant_source(approximant)
    make = {"lal-fd": _by_lal, "pycbc-fd": _by_pycbc, "pycbc-td": _from_time_domain}[source]
    first, bins = int(np.ceil(f_low / delta_f - 1e-9)), round(f_final / delta_f) + 1
    columns = ("mass_1", "mass_2", *SPINS, "inclination", "phase")
    missing = np.zeros_like(params["mass_1"], np.float64)
    rows = np.stack([np.asarray(params.get(name, missing), np.float64) for name in columns], axis=-1)
    waves = np.zeros((len(rows), 2, bins), np.complex64)
    for wave, row in zip(waves, rows.tolist(), strict=True):
        try:
            both = with_data(approximant, partial(make, approximant, row, delta_f, f_low, f_final))
        except (RuntimeError, ValueError) as error:
            spins = row[2:8] if any(row[2:4] + row[5:7]) else (row[4], row[7])
            raise refused(approximant, row[0], row[1], spins, error) from error
        for polarization, values in zip(wave, both, strict=True):
            polarization[first : len(values)] = values[first:bins]
    return waves


@cache
def approximant_source(name: str) -> Source:
    """Who makes an approximant, in which domain.

    Raises:
        UserError: nobody does.
    """
    import lalsimulation as lalsim

    number = approximant_number(name)
    if number >= 0 and lalsim.SimInspiralImplementedFDApproximants(number):
        return "lal-fd"
    from pycbc.waveform import fd_approximants, td_approximants

    if name in fd_approximants():
        return "pycbc-fd"
    if name in td_approximants():
        return "pycbc-td"
    known = [*EXAMPLES, *fd_approximants(), *td_approximants()]
    raise UserError(
        f"Approximant {name!r} is none of pycbc's: expected a name such as {', '.join(EXAMPLES)}, or another of "
        f"pycbc.waveform.fd_approximants() and td_approximants().{did_you_mean(name, known)}"
    )


def highest_mode(name: str) -> int:
    """The largest m of the modes that an approximant has, as far as its name says: 4 with higher modes, otherwise 2."""
    return 4 if "HM" in name or name.startswith("NRSur") else 2


def signal_seconds(mass_1: float, mass_2: float, spin_1z: float, spin_2z: float, *, f_low: float) -> float:
    """LAL's upper bound, in seconds, on the time a binary takes from `f_low` Hz to coalescence."""
    import lal
    import lalsimulation as lalsim

    return float(lalsim.SimInspiralChirpTimeBound(f_low, mass_1 * lal.MSUN_SI, mass_2 * lal.MSUN_SI, spin_1z, spin_2z))


def _by_lal(approximant: str, row: list[float], delta_f: float, f_low: float, f_final: float) -> tuple[Any, Any]:
    import lal
    import lalsimulation as lalsim

    mass_1, mass_2, *spins, inclination, phase = row
    with quiet_lal():
        plus, cross = lalsim.SimInspiralChooseFDWaveform(
            mass_1 * lal.MSUN_SI,
            mass_2 * lal.MSUN_SI,
            *spins,
            REFERENCE_DISTANCE * 1e6 * lal.PC_SI,
            inclination,
            phase,
            *(0.0, 0.0, 0.0),  # longitude of the ascending node, eccentricity, mean anomaly
            delta_f,
            f_low,
            f_final,
            f_low,
            None,
            approximant_number(approximant),
        )
    return plus.data.data, cross.data.data


def _by_pycbc(approximant: str, row: list[float], delta_f: float, f_low: float, f_final: float) -> tuple[Any, Any]:
    from pycbc.waveform import get_fd_waveform

    with quiet_lal():
        plus, cross = get_fd_waveform(
            approximant=approximant, delta_f=delta_f, f_final=f_final, **_pycbc_arguments(row, f_low)
        )
    return plus.numpy(), cross.numpy()


def _from_time_domain(
    approximant: str, row: list[float], delta_f: float, f_low: float, f_final: float
) -> tuple[Any, ...]:
    """The transforms of a time series whose end is at most 1 / delta_f after its start."""
    from pycbc.waveform import get_td_waveform

    rate = 2 * f_final
    samples = round(rate / delta_f)
    start = TAPER[0] * f_low
    with quiet_lal():
        series = get_td_waveform(
            approximant=approximant, delta_t=1 / rate, **{**_pycbc_arguments(row, f_low), "f_lower": start}
        )
    begin, full, low = (_newtonian_seconds(row[0], row[1], f) * rate for f in (start, TAPER[1] * f_low, f_low))
    transforms = []
    for one in series:
        # What the grid cannot hold lies below f_low; half of what it holds below f_low is left to the taper at least.
        lost = max(0, len(one) - samples)
        kept = one[lost:]
        grid = np.zeros(samples)
        grid[: len(kept)] = kept.numpy()
        ramp = min(len(kept), max(0, round(max(begin - full - lost, (begin - low - lost) / 2))))
        grid[:ramp] *= np.sin(np.linspace(0, np.pi / 2, ramp)) ** 2
        lag = np.arange(samples // 2 + 1) * delta_f * float(kept.start_time)
        transforms.append(np.fft.rfft(grid) / rate * np.exp(-2j * np.pi * lag))
    return tuple(transforms)


def _newtonian_seconds(mass_1: float, mass_2: float, frequency: float) -> float:
    """From a frequency in Hz to coalescence, by the quadrupole formula (Peters 1964)."""
    import lal

    chirp_mass = (mass_1 * mass_2) ** 0.6 / (mass_1 + mass_2) ** 0.2 * lal.MTSUN_SI
    return float(5 / 256 * (np.pi * frequency) ** (-8 / 3) * chirp_mass ** (-5 / 3))


def _pycbc_arguments(row: list[float], f_low: float) -> dict[str, float]:
    names = ("mass1", "mass2", "spin1x", "spin1y", "spin1z", "spin2x", "spin2y", "spin2z", "inclination", "coa_phase")
    given = dict(zip(names, row, strict=True))
    return {**given, "distance": REFERENCE_DISTANCE, "f_lower": f_low, "f_ref": f_low}


__all__ = [
    "EXAMPLES",
    "REFERENCE_DISTANCE",
    "approximant_source",
    "highest_mode",
    "polarizations",
    "signal_seconds",
]
