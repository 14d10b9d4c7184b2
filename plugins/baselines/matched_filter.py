"""The ceiling: a search that knows the waveforms and the noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from gwbench import seeds
from gwbench.contracts import Baseline, RunContext, Scores, StrainConditioner
from gwbench.matched_filter.bank_scorer import BankScorer
from gwbench.matched_filter.inner_product import InnerProduct
from gwbench.matched_filter.template_bank import fitting_factors, place, unit
from gwbench.matched_filter.templates import (
    SHAPE,
    drawn_like,
    drawn_uniform,
    known_shapes,
    network_vectors,
    template_vectors,
)
from gwbench.registry import register

ENOUGH = 16
"""Labelled signals from whose parameters those of others can be told."""

JUDGED = 1000
"""Most signals whose fitting factors are taken."""

BATCH = 128
"""Windows conditioned and searched at once."""


@register(
    "baseline",
    "matched-filter",
    citation="FINDCHIRP: Allen et al., arXiv:gr-qc/0509116; bank: Harry et al., arXiv:0908.2090; "
    "weights: Dent and Veitch, arXiv:1311.7174",
    tags=("ceiling", "simulated-signals"),
)
class MatchedFilter(Baseline):
    """A bank of templates, coincident over the detectors; the score is a likelihood ratio, averaged over the bank.

    A template's network SNR^2 is the sum of the detectors', each maximised over phase and over the time that light
    takes from the reference detector, and is taken at its largest in the window. The score is the logarithm of the mean
    of exp(SNR^2 / 2) over the templates, weighted by the share of the population that each stands for: the largest SNR
    alone would be noise's gain from the many templates that few signals need.

    Templates have aligned spins and the (2, 2) mode. They are placed on draws from a density estimated from the
    labelled signals' parameters; the fitting factors in the record are those of the validation split's signals, of
    which no template is made. The noise's power is measured on labelled noise.

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

    def scores(self, context: RunContext) -> Scores:
        """The score of every test window, and what the bank loses."""
        inner = InnerProduct.of(context)
        with context.progress.task("Place templates", 1) as task:
            scorer, details = self._bank(context, inner)
            task.advance(note=f"{len(scorer.share)} templates")
        test = np.empty(len(context.splits.test), np.float32)
        with context.progress.task("Matched filter", len(test), "windows") as task:
            for start in range(0, len(test), BATCH):
                strain = context.conditioned("test", slice(start, start + BATCH)).to(context.device)
                test[start : start + len(strain)] = scorer(strain).cpu().numpy()
                task.advance(len(strain))
        return Scores(test=test, details=details, scorer=scorer)

    def load_scorer(self, state: Mapping[str, Tensor], conditioner: StrainConditioner) -> BankScorer:
        """The bank, its templates made anew."""
        return BankScorer.of_state(state, conditioner, approximant=self.approximant, f_low=self.f_low)

    def _bank(self, context: RunContext, inner: InnerProduct) -> tuple[BankScorer, dict[str, Any]]:
        """The bank with what each template stands for, and details."""
        train, val, samples = context.splits.train, context.splits.val, context.splits.window
        rng = seeds.numpy_generator(context.seed, "probe")
        known = known_shapes(train.parameters, context.labelled[train.label[context.labelled] == 1])
        others = known_shapes(val.parameters, np.flatnonzero(val.label == 1)[:JUDGED])
        told = not (self.mass or self.spin) and len(known["mass_1"]) >= ENOUGH and len(others["mass_1"]) > 0
        if told:
            drawn = drawn_like(known, self.draws, rng)
        else:
            ranges = self.mass or (15.0, 75.0), self.spin or (-0.9, 0.9)
            drawn, others = drawn_uniform(*ranges, self.draws, rng), drawn_uniform(*ranges, JUDGED, rng)

        proposals, signals = (
            template_vectors(params, context.conditioner, inner, approximant=self.approximant, f_low=self.f_low)
            for params in (drawn, others)
        )
        network = unit(network_vectors(proposals))
        chosen, covered = place(
            network, minimal_match=self.minimal_match, coverage=self.coverage, most=self.most, samples=samples
        )
        found = fitting_factors(unit(network_vectors(signals)), network[chosen], samples).cpu().numpy()
        details = {
            "templates": len(chosen),
            "bank_from": "labelled signals" if told else "uniform ranges",
            "fitting_factor_effective": float(np.mean(found**3) ** (1 / 3)),
            "fitting_factor_5_percent": float(np.quantile(found, 0.05)),
            "fitting_factor_minimal": float(found.min()),
        }
        scorer = BankScorer(
            torch.from_numpy(np.stack([drawn[name][chosen] for name in SHAPE])).to(context.device),
            torch.tensor(covered, device=context.device) / sum(covered),
            unit(proposals[chosen]),
            inner,
            context.conditioner,
            approximant=self.approximant,
            f_low=self.f_low,
        )
        return scorer, details
