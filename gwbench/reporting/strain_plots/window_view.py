"""A window of strain as a person looks at it: what `gwbench.reporting.strain_plots.plots` draws, computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from gwbench.data.dataset import Array, Split, StrainSplits
from gwbench.errors import UserError
from gwbench.simulation.population import REFERENCE_GPS

if TYPE_CHECKING:
    from gwbench.preprocessing.conditioning import Conditioning, Whitening

LABELS = {"loudest": "signal", "signal": "signal", "noise": "noise"}

CLASSES = {1: "signal", 0: "noise", -1: "unlabelled"}


@dataclass(frozen=True)
class Channel:
    """One detector.

    Attributes:
        name: such as "H1".
        sample_rate: Hz.
        strain: [T].
        whitened: [T] as an encoder sees it.
        frequencies: [F] Hz.
        asd: [F] amplitude spectral density of this segment of strain, 1/sqrt(Hz).
        measured: [F] that of the noise, which the whitening goes by.
        snrs: optimal SNR of what there is, as far as it is known: "signal", "glitch" (the loudest).
        marks: seconds on the plot's axis of what happens within it: "arrival", "glitch".
    """

    name: str
    sample_rate: float
    strain: Array
    whitened: Array
    frequencies: Array
    asd: Array
    measured: Array
    snrs: Mapping[str, float] = field(default_factory=dict)
    marks: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StrainPlot:
    """A window in every detector.

    Attributes:
        name: of the dataset, and which window; or of the strain files.
        facts: what else is known of the window, one phrase each.
        channels: D detectors.
        start: of the window on the time axis, seconds.
        zero: what the time axis counts from.
        band: lower and upper edge of the whitened strain, Hz.
    """

    name: str
    facts: tuple[str, ...]
    channels: tuple[Channel, ...]
    start: float
    zero: str
    band: tuple[float, float]


def choose_window(split: Split, which: str | None, name: str) -> int:
    """The position of a window.

    Args:
        split: any.
        which: a position; "loudest", the signal of the highest SNR; "signal", that of the median SNR, or the first
            where no SNR is known; "noise", the first window without a signal. None for the first of these that the
            split has, or else its first window.
        name: of the split, for the error message.

    Raises:
        UserError: the split has no such window.
    """
    if not len(split):
        raise UserError(f"The {name} split has no windows. Choose another with --split.")
    label, snr = np.asarray(split.label), np.asarray(split.snr)
    signals, noise = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    known = signals[np.isfinite(snr[signals])]
    ranked = known[np.argsort(snr[known], kind="stable")]
    positions_of = {
        "loudest": ranked[-1:],
        "signal": ranked[(len(ranked) - 1) // 2 :] if len(ranked) else signals,
        "noise": noise,
    }
    if which is None:
        return next((int(positions[0]) for positions in positions_of.values() if len(positions)), 0)
    if which in positions_of:
        if not len(positions_of[which]):
            missing = "known SNR" if which == "loudest" and len(signals) else f"window that is labelled {LABELS[which]}"
            raise UserError(f"--window {which}: the {name} split has no {missing}. Choose a window by its position.")
        return int(positions_of[which][0])
    if not which.isdecimal() or int(which) >= len(split):
        raise UserError(
            f"--window {which}: expected a position from 0 to {len(split) - 1} in the {name} split, or "
            f"{', '.join(positions_of)}."
        )
    return int(which)


def window_plot(
    splits: StrainSplits, split: str, index: int, *, settings: Conditioning, name: str, gps: float | None = None
) -> StrainPlot:
    """A window of a dataset, whitened by what is measured on its training split.

    Args:
        splits: the dataset.
        split: "train", "val" or "test".
        index: position within the split.
        settings: the band; its method must be "whiten".
        name: of the dataset.
        gps: GPS time at which the earth's rotation was held for its signals; None for `REFERENCE_GPS`.

    Raises:
        UserError: the dataset cannot be whitened in this band.
    """
    chosen, rate, margin = splits[split], splits.sample_rate, splits.margin
    strain = chosen.strain[slice(index, index + 1)]
    conditioner = fit_whitening(splits.train, rate, margin, splits.detectors, settings)
    whitened = conditioner(strain, split=split, positions=np.array([index])).numpy()[0]
    parameters = {key: float(values[index]) for key, values in chosen.parameters.items()}
    channels = []
    for d, detector in enumerate(splits.detectors):
        channel = whitened_channel(conditioner, d, strain[0, d], whitened[d], margin)
        marks = {
            "arrival": arrival(parameters, detector, REFERENCE_GPS if gps is None else gps),
            "glitch": parameters.get(f"glitch_time_{detector}", np.nan),
        }
        marks = {what: time for what, time in marks.items() if 0 <= time < splits.window / rate}
        snrs = {
            "signal": parameters.get(f"snr_{detector}", np.nan),
            "glitch": parameters.get(f"glitch_snr_{detector}", 0),
        }
        snrs = {what: snr for what, snr in snrs.items() if snr > 0}
        channels.append(replace(channel, snrs=snrs, marks=marks))
    kind = CLASSES.get(int(chosen.label[index]), CLASSES[-1])
    facts = (kind, *_facts(float(chosen.snr[index]), parameters))
    band = (settings.low, settings.high)
    return StrainPlot(f"{name}, {split} {index}", facts, tuple(channels), 0.0, "the window's start", band)


def arrival(parameters: Mapping[str, float], detector: str, gps: float) -> float:
    """When the signal reaches a detector, in seconds after the window's start; NaN where that is not known.

    Args:
        parameters: of the window; `geocent_time` (seconds after the window's start), `ra` and `dec` (radians).
        detector: such as "H1".
        gps: GPS time of the earth's rotation.
    """
    time, ra, dec = (parameters.get(name, np.nan) for name in ("geocent_time", "ra", "dec"))
    if not np.isfinite([time, ra, dec]).all():
        return float("nan")
    from pycbc.detector import Detector, get_available_detectors

    if detector not in get_available_detectors():
        return float("nan")
    return float(time + Detector(detector).time_delay_from_earth_center(ra, dec, gps))


def spectrum(strain: Array, sample_rate: float, segment: int) -> tuple[Array, Array]:
    """Amplitude spectral density by Welch's method: the mean over Hann segments that overlap by half.

    Args:
        strain: [samples].
        sample_rate: Hz.
        segment: samples per segment.

    Returns:
        frequencies [F] in Hz and the one-sided density [F] in 1/sqrt(Hz).
    """
    from scipy import signal

    segment = min(segment, len(strain))
    scaled = np.asarray(strain, np.float64)
    frequencies, power = signal.welch(scaled, sample_rate, "hann", segment, segment // 2, detrend=False)
    return frequencies, np.sqrt(power)


def fit_whitening(
    train: Split, sample_rate: float, margin: int, detectors: Sequence[str], settings: Conditioning
) -> Whitening:
    """`gwbench.preprocessing.conditioning.fit_conditioner`, for a method that measures a PSD.

    Raises:
        UserError: as there.
    """
    from gwbench.preprocessing.conditioning import Whitening, fit_conditioner

    conditioner = fit_conditioner(train, sample_rate=sample_rate, margin=margin, detectors=detectors, settings=settings)
    if not isinstance(conditioner, Whitening):
        raise ValueError(f"conditioning by the method {settings.method!r} measures no PSD: expected 'whiten'")
    return conditioner


def whitened_channel(conditioner: Whitening, detector: int, strain: Array, whitened: Array, margin: int) -> Channel:
    """One detector.

    Args:
        conditioner: what whitened it.
        detector: its index.
        strain: [T + 2 margin].
        whitened: [T].
        margin: samples.
    """
    rate, frequencies = conditioner.sample_rate, conditioner.frequencies.numpy()
    measured = np.sqrt(conditioner.psd[detector].numpy())
    _, asd = spectrum(strain, rate, round(rate / frequencies[1]))
    shown = np.asarray(strain[margin : len(strain) - margin], np.float64)
    name = conditioner.detectors[detector]
    return Channel(name, rate, shown, whitened, frequencies, asd, measured)


def _facts(snr: float, parameters: Mapping[str, float]) -> list[str]:
    def known(*names: str) -> bool:
        return all(np.isfinite(parameters.get(name, np.nan)) for name in names)

    facts = []
    if np.isfinite(snr):
        facts.append(f"network SNR {snr:.1f}")
    if known("mass_1", "mass_2"):
        m1, m2 = parameters["mass_1"], parameters["mass_2"]
        digits = 1 if m2 >= 10 else 2
        facts.append(rf"{m1:.{digits}f} + {m2:.{digits}f} $M_\odot$ (detector frame)")
        if known("spin_1z", "spin_2z"):
            effective = (m1 * parameters["spin_1z"] + m2 * parameters["spin_2z"]) / (m1 + m2)
            facts.append(rf"$\chi_\mathrm{{eff}} = {effective:.2f}$")
    if known("luminosity_distance"):
        facts.append(f"{parameters['luminosity_distance']:.0f} Mpc")
    return facts


__all__ = [
    "Channel",
    "StrainPlot",
    "arrival",
    "choose_window",
    "fit_whitening",
    "spectrum",
    "whitened_channel",
    "window_plot",
]
