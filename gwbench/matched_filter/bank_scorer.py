"""A bank of templates as a scorer: what a search with it keeps after its run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from gwbench.contracts import Scorer
from gwbench.matched_filter.coincidence import allowed_lags, loudest, network_power, snr_series
from gwbench.matched_filter.inner_product import InnerProduct
from gwbench.matched_filter.template_bank import unit
from gwbench.matched_filter.templates import SHAPE, template_vectors

if TYPE_CHECKING:
    from gwbench.contracts import StrainConditioner

Approximant = Literal["IMRPhenomXAS", "IMRPhenomD"]

MOST_TEMPLATES = 100_000
"""Templates that a kept bank may have."""


class BankScorer(Scorer):
    """The logarithm of the likelihood ratio, averaged over a bank: log of the mean of exp(SNR^2 / 2) by `share`.

    A template is a waveform as the conditioner lets it through, and the noise's power is that of conditioned noise.
    Both change with the conditioner: `refitted` makes the bank anew for another.

    Buffers that are kept:
        shapes: [4, P] float64, `templates.SHAPE` of every template.
        share: [P] of the population that each template stands for; they sum to 1.
        power: [D, F] of conditioned noise (`InnerProduct.power`).

    Buffers that follow from them:
        templates: [P, D, F] complex64, of norm 1 in every detector.
    """

    shapes: Tensor
    share: Tensor
    power: Tensor
    templates: Tensor

    def __init__(
        self,
        shapes: Tensor,
        share: Tensor,
        templates: Tensor,
        inner: InnerProduct,
        conditioner: StrainConditioner,
        *,
        approximant: Approximant,
        f_low: float,
    ) -> None:
        super().__init__()
        self.approximant, self.f_low, self.first = approximant, f_low, inner.first
        self.sample_rate, self.samples = conditioner.sample_rate, conditioner.window
        self.lags = allowed_lags(conditioner.detectors, conditioner.sample_rate)
        for name, value in {"shapes": shapes, "share": share, "power": inner.power}.items():
            self.register_buffer(name, value)
        self.register_buffer("templates", templates, persistent=False)

    @classmethod
    def build(
        cls,
        shapes: Tensor,
        share: Tensor,
        inner: InnerProduct,
        conditioner: StrainConditioner,
        *,
        approximant: Approximant,
        f_low: float,
    ) -> BankScorer:
        """The scorer of a bank whose templates are made anew.

        Raises:
            UserError: the approximant refuses the parameters.
        """
        params = dict(zip(SHAPE, shapes.cpu().double().numpy(), strict=True))
        templates = unit(template_vectors(params, conditioner, inner, approximant=approximant, f_low=f_low))
        return cls(shapes, share, templates, inner, conditioner, approximant=approximant, f_low=f_low)

    @classmethod
    def of_state(
        cls, state: Mapping[str, Tensor], conditioner: StrainConditioner, *, approximant: Approximant, f_low: float
    ) -> BankScorer:
        """The scorer whose `state_dict` this is.

        Raises:
            ValueError: tensors are missing, or do not fit each other or the conditioner.
            UserError: the approximant refuses the parameters.
        """
        if set(state) != {"shapes", "share", "power"}:
            raise ValueError(f"a bank has shapes, share and power, not {', '.join(sorted(state)) or 'nothing'}")
        shapes, share, power = state["shapes"], state["share"], state["power"]
        inner = InnerProduct.of_power(power, conditioner)
        templates = len(share) if share.ndim == 1 else 0
        if not 0 < templates <= MOST_TEMPLATES or shapes.shape != (len(SHAPE), templates):
            raise ValueError(f"its shapes {list(shapes.shape)} and share {list(share.shape)} are of no bank")
        if not (share > 0).all() or not torch.isclose(share.sum(), share.new_ones(()), atol=1e-3):
            raise ValueError("the templates' shares of the population do not sum to 1")
        return cls.build(shapes, share, inner, conditioner, approximant=approximant, f_low=f_low)

    @torch.no_grad()
    def forward(self, strain: Tensor) -> Tensor:
        """Scores [B] float32 of conditioned strain [B, D, T]."""
        return torch.logsumexp(self._weighted(self._vectors(strain)), dim=1)

    @torch.no_grad()
    def peak_times(self, strain: Tensor) -> Tensor:
        """When the template that says most coalesces at the reference detector, [B] seconds into the window."""
        vectors = self._vectors(strain)
        best = self._weighted(vectors).argmax(dim=1)
        series = torch.stack(
            [
                snr_series(v[None], self.templates[b][None], self.samples)[0, 0]
                for v, b in zip(vectors, best, strict=True)
            ]
        )
        power = network_power(torch.view_as_real(series).square().sum(dim=-1), self.lags)
        return power.argmax(dim=-1).double() / self.sample_rate

    def refitted(self, conditioner: StrainConditioner) -> BankScorer:
        """The same templates of the population, whitened with another PSD.

        The noise's power is what the conditioner says of noise with its PSD. The seed recipe measures no PSD: there the
        power stays that of the run's noise.
        """
        power = conditioner.noise_power()
        if power is None:
            return self
        bins = slice(self.first, self.first + self.power.shape[-1])
        least = 1e-6 * power.amax(dim=-1, keepdim=True)  # where the PSD has no noise within the band
        inner = InnerProduct.of_power(power.maximum(least)[:, bins].to(self.power), conditioner)
        return self.build(
            self.shapes, self.share, inner, conditioner, approximant=self.approximant, f_low=self.f_low
        ).to(self.share.device)

    def _vectors(self, strain: Tensor) -> Tensor:
        bins = slice(self.first, self.first + self.power.shape[-1])
        spectrum: Tensor = torch.fft.rfft(strain)[..., bins]
        return spectrum * (2 / self.power).sqrt()

    def _weighted(self, vectors: Tensor) -> Tensor:
        """[B, P]: half the network SNR^2 and the logarithm of the share, of vectors [B, D, F]."""
        return loudest(vectors, self.templates, self.lags, self.samples) / 2 + self.share.log()


__all__ = ["BankScorer"]
