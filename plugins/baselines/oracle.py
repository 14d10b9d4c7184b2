"""The outer bound: the likelihood ratio of the very signal that was injected."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from gwbench import seeds
from gwbench.contracts import Baseline, RunContext, Scores
from gwbench.errors import UserError
from gwbench.matched_filter.inner_product import InnerProduct
from gwbench.matched_filter.waveforms import signal_strain
from gwbench.registry import register
from gwbench.simulation.population import REFERENCE_GPS

NEEDED = (
    *("mass_1", "mass_2", "spin_1z", "spin_2z", "inclination", "phase"),
    *("ra", "dec", "polarization", "luminosity_distance", "geocent_time"),
)
IN_PLANE = ("spin_1x", "spin_1y", "spin_2x", "spin_2y")


@register(
    "baseline",
    "oracle",
    citation="Neyman and Pearson, Phil. Trans. R. Soc. A 231, 289 (1933); Finn, arXiv:gr-qc/9209010",
    tags=("ceiling", "outer-bound", "no-labels"),
)
class Oracle(Baseline):
    """What nobody can beat: each window is asked whether it holds one fully known signal or noise alone.

    The signal h of a window with a signal is its own, with masses, sky position, time, phase and distance; that of a
    window of noise is another test signal's, drawn at random, so that h says nothing about the label. The score is the
    logarithm of the likelihood ratio, <x|h> - <h|h> / 2, coherent over the detectors: given h, by Neyman and Pearson's
    lemma, no statistic of x ranks better. In Gaussian noise it is normal with variance <h|h> = SNR^2, and mean
    SNR^2 / 2 for signals and -SNR^2 / 2 for noise. (The matched filter <x|h> / SNR alone would not know that a faint
    signal says little.) This reads the test signals' parameters, so it bounds methods and is none.

    Args:
        approximant: of the injected signals; by default what simulated datasets take, IMRPhenomXAS, or IMRPhenomXPHM
            where spins have components in the orbital plane.
        f_low: Hz, where the injected signals begin.
        gps: GPS time at which the earth's rotation was held.
    """

    sees_sources = True

    def __init__(
        self,
        *,
        approximant: str | None = None,
        f_low: Annotated[float, Field(gt=0)] = 20.0,
        gps: float = REFERENCE_GPS,
    ) -> None:
        self.approximant, self.f_low, self.gps = approximant, f_low, gps

    def scores(self, context: RunContext) -> Scores:
        """The logarithm of every test window's likelihood ratio.

        Raises:
            UserError: the dataset does not tell its signals' parameters.
        """
        splits = context.splits
        missing = [name for name in NEEDED if name not in splits.test.parameters]
        params = {name: np.asarray(values, np.float64) for name, values in splits.test.parameters.items()}
        known = np.empty(0, int) if missing else np.flatnonzero(np.all([np.isfinite(params[n]) for n in NEEDED], 0))
        if not len(known):
            raise UserError(
                "The outer bound needs every test signal's waveform, and this dataset does not tell its parameters"
                f"{f' ({missing[0]} is missing)' if missing else ''}. Use a simulated dataset, or a search by a bank."
            )
        precesses = any(np.any(params[name][known]) for name in IN_PLANE if name in params)
        inner, rng = InnerProduct.of(context), seeds.numpy_generator(context.seed, "probe")
        source = rng.choice(known, len(splits.test))
        source[known] = known
        rate, margin = splits.sample_rate, splits.margin
        chunks = signal_strain(
            {name: params[name][known] for name in (*NEEDED, *filter(params.__contains__, IN_PLANE))},
            splits.detectors,
            margin=margin / rate,
            sample_rate=rate,
            samples=splits.window + 2 * margin,
            approximant=self.approximant or ("IMRPhenomXPHM" if precesses else "IMRPhenomXAS"),
            f_low=self.f_low,
            gps=self.gps,
        )
        test, row = np.empty(len(splits.test)), np.empty(len(splits.test), int)
        with context.progress.task("Known waveforms", len(test), "windows") as task:
            for positions, strain in chunks:
                row[known[positions]] = np.arange(len(positions))
                asked = np.flatnonzero(np.isin(source, known[positions]))
                h = inner.vectors(context.conditioner(strain).to(context.device))[torch.from_numpy(row[source[asked]])]
                x = inner.vectors(context.conditioned("test", asked).to(context.device))
                ratio = ((x * h.conj()).real - h.abs().square() / 2).sum(dim=(-2, -1))
                test[asked] = ratio.cpu().numpy()
                task.advance(len(asked))
        return Scores(test=test)
