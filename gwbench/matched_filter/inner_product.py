"""The inner product of conditioned strain in which a matched filter is optimal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gwbench.errors import UserError

if TYPE_CHECKING:
    from gwbench.contracts import RunContext, StrainConditioner

LEAST_WINDOWS, MOST_WINDOWS = 16, 1024
"""Labelled noise windows that the noise's power is measured on."""

SMOOTH_OVER = 512
"""Noise power is averaged over so many neighbouring bins that bins times windows come to about this."""


class InnerProduct:
    """<a|b> = 2 Re sum_f a*(f) b(f) / P(f) over a band, P being the noise's power in each bin of a window.

    Conditioned noise is not white beyond the band, and under the seed recipe nowhere, so P is measured on it. Strain
    becomes complex vectors whose products are the inner product; those of noise have a mean square of 2 in each bin.
    Source: Allen et al., FINDCHIRP, arXiv:gr-qc/0509116, section IV.

    Args:
        noise: [n, D, T] conditioned windows without signals.
        sample_rate: Hz.
        band: lower and upper edge, Hz, of the frequencies that count.
    """

    def __init__(self, noise: Tensor, *, sample_rate: float, band: tuple[float, float]) -> None:
        self.samples = noise.shape[-1]
        self.first, last = _bins(self.samples, sample_rate, band)
        width = 2 * math.ceil(SMOOTH_OVER / len(noise) / 2) - 1
        # The median hardly feels glitches; that of an exponential variate is ln 2 of its mean.
        power = torch.fft.rfft(noise).abs().square().median(dim=0).values / math.log(2)
        padded = torch.nn.functional.pad(power[None, :, self.first : last + 1], (width // 2, width // 2), "replicate")
        self.power = torch.nn.functional.avg_pool1d(padded, width, stride=1)[0]
        """[D, F] in the units of |rfft|^2."""

    @classmethod
    def of_power(cls, power: Tensor, conditioner: StrainConditioner) -> InnerProduct:
        """That of windows as a conditioner gives them, in noise of a power that was measured before.

        Args:
            power: [D, F] above 0, in the units of |rfft|^2, of the bins in the conditioner's band.
            conditioner: tells the windows' length and the band.

        Raises:
            ValueError: the power is not that of such windows.
        """
        settings = conditioner.settings
        first, last = _bins(conditioner.window, conditioner.sample_rate, (settings.low, settings.high))
        expected = (len(conditioner.detectors), last + 1 - first)
        if power.shape != expected or not (power > 0).all():
            raise ValueError(f"the noise's power {list(power.shape)} is not positive of shape {list(expected)}")
        inner = cls.__new__(cls)
        inner.samples, inner.first, inner.power = conditioner.window, first, power
        return inner

    @classmethod
    def of(cls, context: RunContext) -> InnerProduct:
        """That of the noise in a run's labelled windows, of the training and the validation split.

        Raises:
            UserError: there are too few of them.
        """
        train, val = context.splits.train, context.splits.val
        quiet = {"train": context.labelled[train.label[context.labelled] == 0], "val": np.flatnonzero(val.label == 0)}
        count = sum(map(len, quiet.values()))
        if count < LEAST_WINDOWS:
            raise UserError(
                f"There are {count} labelled noise windows in the training and validation splits: a matched filter "
                f"needs {LEAST_WINDOWS} to measure the noise on. Raise evaluation.label_fraction or use more data."
            )
        parts = [context.conditioned(split, places[: MOST_WINDOWS // 2]) for split, places in quiet.items()]
        settings = context.conditioner.settings
        noise = torch.cat(parts).to(context.device)
        return cls(noise, sample_rate=context.splits.sample_rate, band=(settings.low, settings.high))

    def vectors(self, strain: Tensor) -> Tensor:
        """Complex vectors [..., D, F] of conditioned strain [..., D, T]: the norm of a signal's is its optimal SNR."""
        bins = slice(self.first, self.first + self.power.shape[-1])
        spectrum: Tensor = torch.fft.rfft(strain)[..., bins]
        return spectrum * (2 / self.power).sqrt()


def _bins(samples: int, sample_rate: float, band: tuple[float, float]) -> tuple[int, int]:
    """The first and the last bin of a window's rfft within a band in Hz; never the Nyquist bin."""
    bins = samples / sample_rate
    return math.ceil(band[0] * bins), min(math.floor(band[1] * bins), samples // 2 - 1)


__all__ = ["InnerProduct"]
