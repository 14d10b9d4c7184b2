# ruff: noqa: E402
"""Simulated strain per second on one core: gwbench and plain pycbc side by side.

    python benchmarks/speed/simulate.py

The plain way, one sample at a time: `get_td_waveform`, `Detector.project_wave`, `noise_from_psd` and `inject`, for
three detectors and windows of 2 s at 2048 Hz. gwbench makes the same samples, adds 0.25 s on either side, and scales
every signal to a network SNR, which the plain way does not do. The speed of `noise_from_psd` depends on the bins of its
PSD: pycbc's examples have 1/16 Hz; four times as wide is the limit for windows of 2 s. The last line is the
ratio of samples/s with a signal in every sample and a PSD as in the examples.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before numpy is imported: one core each

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

DETECTORS = ("H1", "L1", "V1")
RATE, SECONDS, MARGIN = 2048, 2.0, 0.25
F_LOW = 20.0
PSD_F_LOW = 10.0
BLOCK = 256
APPROXIMANT = "IMRPhenomXAS"


class Plain:
    """One sample after the other, as a script would do it."""

    def __init__(self, model: Any, psds: tuple[str, ...], psd_seconds: int) -> None:
        from pycbc.detector import Detector
        from pycbc.psd import from_string

        self._model = model
        self._detectors = [Detector(name) for name in DETECTORS]
        # Made once, which is generous.
        bins = psd_seconds * RATE // 2 + 1
        self._psds = [from_string(name, bins, 1 / psd_seconds, PSD_F_LOW) for name in psds]

    def make(self, rng: np.random.Generator, n: int, signals: bool = True) -> None:
        """`n` samples; `signals` as `Ours`."""
        from pycbc.noise import noise_from_psd
        from pycbc.waveform import get_td_waveform

        sources = self._model.population.sample(rng, n)
        arrivals = rng.uniform(*self._model.arrival, n)
        samples = int(SECONDS * RATE)
        for i in range(n):
            start = float(self._model.gps)
            strain = [
                noise_from_psd(samples, 1 / RATE, psd, seed=int(rng.integers(2**31)))  # seeds by detector and sample
                for psd in self._psds
            ]
            for series in strain:
                series.start_time = start
            if signals:
                plus, cross = get_td_waveform(
                    approximant=APPROXIMANT,
                    mass1=sources["mass_1"][i],
                    mass2=sources["mass_2"][i],
                    spin1z=sources["spin_1z"][i],
                    spin2z=sources["spin_2z"][i],
                    inclination=sources["inclination"][i],
                    coa_phase=sources["phase"][i],
                    distance=1000.0,
                    f_lower=F_LOW,
                    delta_t=1 / RATE,
                )
                plus.start_time += start + arrivals[i]
                cross.start_time += start + arrivals[i]
                for detector, series in zip(self._detectors, strain, strict=True):
                    wave = detector.project_wave(
                        plus, cross, sources["ra"][i], sources["dec"][i], sources["polarization"][i]
                    )
                    series.inject(wave, copy=False)


class Ours:
    """Blocks of samples, as `gwbench data make` has them."""

    def __init__(self, model: Any, psds: tuple[str, ...]) -> None:
        from gwbench.simulation.strain import Simulation

        self._simulation = Simulation(
            detectors=DETECTORS,
            psds=psds,
            signals=model,
            sample_rate=RATE,
            window=int(SECONDS * RATE),
            margin=int(MARGIN * RATE),
        )

    def make(self, rng: np.random.Generator, n: int, signals: bool = True) -> None:
        """`n` samples, all with a signal or every other one (in which case `Plain` makes half with, half without)."""
        for start in range(0, n, BLOCK):
            self._block(rng, min(BLOCK, n - start), signals)

    def _block(self, rng: np.random.Generator, n: int, signals: bool) -> None:
        one = self._simulation
        if not signals:
            one.block(rng, "train", 0, n)
            return
        noise = one.noise(rng, n)
        found = one.signals.draw(
            rng,
            n,
            detectors=one.detectors,
            psds=one.psd_table,
            rows=noise.rows,
            sample_rate=RATE,
            window=one.window,
            margin=one.margin,
        )
        np.add(noise.strain, found.strain, out=noise.strain)


def seconds_of(work: Callable[[], None]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def lal_share(ours: Ours) -> float:
    """Share of the time that LAL's waveform call takes, with a signal in every sample."""
    import lalsimulation as lalsim

    inside = 0.0
    original = lalsim.SimInspiralChooseFDWaveformSequence

    def timed(*arguments: Any) -> Any:
        nonlocal inside
        start = time.perf_counter()
        try:
            return original(*arguments)
        finally:
            inside += time.perf_counter() - start

    lalsim.SimInspiralChooseFDWaveformSequence = timed
    try:
        total = seconds_of(lambda: ours.make(np.random.default_rng(9), 1024))
    finally:
        lalsim.SimInspiralChooseFDWaveformSequence = original
    return inside / total


def main() -> None:
    """Measure the ways in turns, and print the figures."""
    parser = argparse.ArgumentParser(description="Samples/s of simulated strain: gwbench beside plain pycbc.")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--plain", type=int, default=48, help="samples per round, the plain way")
    parser.add_argument("--ours", type=int, default=1024, help="samples per round, gwbench's way")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    import lal

    from gwbench.data.psd import default_psd
    from gwbench.simulation.signals import SignalModel

    lal.ClobberDebugLevel(0)
    model = SignalModel.create(
        population="flat-bbh", duration=SECONDS, snr_model="uniform", snr=(6.0, 20.0), approximant=APPROXIMANT
    )
    psds = tuple(default_psd(name) for name in DETECTORS)
    if not arguments.ours or arguments.ours % BLOCK:
        parser.error(f"--ours is in blocks of {BLOCK}")
    makers: dict[str, Any] = {
        "gwbench": Ours(model, psds),
        "pycbc, PSD in bins of 1/16 Hz": Plain(model, psds, 16),
        "pycbc, PSD in bins of 1/4 Hz": Plain(model, psds, 4),
    }
    times: dict[tuple[str, bool], list[float]] = {(name, every): [] for name in makers for every in (True, False)}
    for turn in range(arguments.rounds + 1):
        for name, maker in makers.items():
            n = arguments.ours if name == "gwbench" else arguments.plain
            for every in (True, False):
                rng = np.random.default_rng(turn)
                times[name, every].append(seconds_of(lambda: maker.make(rng, n, every)) / n)  # noqa: B023
    cost = {key: float(np.median(values[1:])) for key, values in times.items()}  # the first turn warms up
    for name in makers:
        if name != "gwbench":  # half its samples with a signal, half without
            cost[name, False] = (cost[name, True] + cost[name, False]) / 2
    out = sys.stdout
    out.write(f"{len(DETECTORS)} detectors, {SECONDS:g} s at {RATE} Hz, {APPROXIMANT}, one core, noise included\n")
    out.write(f"{'samples/s':<32}{'signal in every one':>20}{'ratio':>8}{'every other one':>20}{'ratio':>8}\n")
    for name in makers:
        out.write(f"{name:<32}")
        for every in (True, False):
            out.write(f"{1 / cost[name, every]:>20.1f}{cost[name, every] / cost['gwbench', every]:>8.1f}")
        out.write("\n")
    out.write(f"of gwbench's time inside LAL's waveform call: {100 * lal_share(makers['gwbench']):.0f} %\n")
    out.write(f"ratio: {cost['pycbc, PSD in bins of 1/16 Hz', True] / cost['gwbench', True]:.2f}\n")


if __name__ == "__main__":
    main()
