"""The ceiling: a search that knows the waveforms and the noise."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from gwbench import seeds
from gwbench.contracts import Array, Baseline, Job, Scores
from gwbench.registry import register
from gwbench.search.bank import fitting_factors, place, unit
from gwbench.search.coincidence import allowed_lags, loudest
from gwbench.search.inner_product import InnerProduct
from gwbench.search.templates import drawn_like, drawn_uniform, known_shapes, network_vectors, template_vectors

ENOUGH = 16
"""Labelled signals from whose parameters those of others can be told."""

BATCH = 128
"""Windows conditioned and searched at once."""


@register(
    "baseline",
    "matched-filter",
    citation="Allen et al., FINDCHIRP, arXiv:gr-qc/0509116; bank: Harry et al., arXiv:0908.2090",
    tags=("ceiling", "simulated-signals"),
)
class MatchedFilter(Baseline):
    """A bank of templates, coincident over the detectors; the score is the largest network SNR in the window.

    The network's SNR^2 is the sum of the detectors', each maximised over phase and over the time that light takes from
    the reference detector. Templates have aligned spins and the (2, 2) mode. They are placed on draws from a density
    estimated from the labelled signals' parameters, and the fitting factors in the record are those of the validation
    split's signals, of which no template is made. The noise's power is measured on labelled noise.

    Args:
        mass: lowest and highest component mass to draw for the bank, uniform, solar masses in the detector frame;
            by default as the labelled signals have them, or 15 to 75 where the dataset does not say.
        spin: the same for the dimensionless aligned spins, -0.9 to 0.9 where the dataset does not say.
        draws: proposals for templates.
        minimal_match: share of its SNR that a signal must keep in the bank.
        coverage: share of the draws that keep so much.
        most_templates: the bank is not made larger, whatever it then loses.
        approximant: of the templates.
        f_low: Hz, where templates begin.
    """

    def __init__(
        self,
        *,
        mass: tuple[float, float] | None = None,
        spin: tuple[float, float] | None = None,
        draws: Annotated[int, Field(gt=0)] = 4000,
        minimal_match: Annotated[float, Field(gt=0, lt=1)] = 0.97,
        coverage: Annotated[float, Field(gt=0, le=1)] = 0.99,
        most_templates: Annotated[int, Field(gt=0)] = 1000,
        approximant: Literal["IMRPhenomXAS", "IMRPhenomD"] = "IMRPhenomXAS",
        f_low: Annotated[float, Field(gt=0)] = 20.0,
    ) -> None:
        self.mass, self.spin, self.draws = mass, spin, draws
        self.minimal_match, self.coverage, self.most = minimal_match, coverage, most_templates
        self.approximant: Literal["IMRPhenomXAS", "IMRPhenomD"] = approximant
        self.f_low = f_low

    def scores(self, job: Job) -> Scores:
        """The largest network SNR of every test window, and what the bank loses."""
        splits, samples = job.splits, job.splits.window
        inner = InnerProduct.of(job)
        rng = seeds.numpy_generator(job.seed, "probe")
        loud = job.labelled[splits.train.label[job.labelled] == 1]
        known = known_shapes(splits.train.parameters, loud)
        told = self.mass is None and self.spin is None and len(known["mass_1"]) >= ENOUGH
        ranges = self.mass or (15.0, 75.0), self.spin or (-0.9, 0.9)

        def vectors(params: dict[str, Array]) -> torch.Tensor:
            return template_vectors(params, job.conditioner, inner, approximant=self.approximant, f_low=self.f_low)

        with job.progress.task("Place templates", 1) as task:
            drawn = drawn_like(known, self.draws, rng) if told else drawn_uniform(*ranges, self.draws, rng)
            proposals = vectors(drawn)
            chosen = place(
                unit(network_vectors(proposals)),
                minimal_match=self.minimal_match,
                coverage=self.coverage,
                most=self.most,
                samples=samples,
            )
            bank = proposals[chosen]
            others = known_shapes(splits.val.parameters, np.flatnonzero(splits.val.label == 1)[:1000])
            if not (told and len(others["mass_1"])):
                others = drawn_uniform(*ranges, 1000, rng)
            signals, templates = unit(network_vectors(vectors(others))), unit(network_vectors(bank))
            found = fitting_factors(signals, templates, samples).cpu().numpy()
            task.advance(note=f"{len(bank)} templates")

        lags = allowed_lags(splits.detectors, splits.sample_rate)
        test = np.empty(len(splits.test), np.float32)
        with job.progress.task("Matched filter", len(test), "windows") as task:
            for start in range(0, len(test), BATCH):
                strain = inner.vectors(job.conditioned("test", slice(start, start + BATCH)).to(job.device))
                test[start : start + len(strain)] = loudest(strain, unit(bank), lags, samples).cpu().numpy()
                task.advance(len(strain))
        details = {
            "templates": len(bank),
            "bank_from": "labelled signals" if told else "uniform ranges",
            "fitting_factor_effective": float(np.mean(found**3) ** (1 / 3)),
            "fitting_factor_5_percent": float(np.quantile(found, 0.05)),
            "fitting_factor_minimal": float(found.min()),
        }
        return Scores(test=test, details=details)
