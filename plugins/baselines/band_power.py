"""Hand-made features instead of a network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import combinations, pairwise
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from gwbench.contracts import Array, Baseline, RunContext, Scores, StrainConditioner
from gwbench.errors import UserError
from gwbench.evaluation.linear_probe import linear_probe
from gwbench.nn.feature_scorer import FeatureScorer
from gwbench.nn.linear_head import LinearHead
from gwbench.registry import register

CHUNK = 256
"""Windows measured at once."""

TINY = 1e-12
"""Added to powers before a logarithm: of no account beside noise of unit variance."""


def band_powers(strain: Tensor, sample_rate: float, edges: Array, stretch: float) -> Tensor:
    """Log power per band, the mean over stretches and the loudest of them: [B, D, 2 bands] of strain [B, D, T].

    Stretches overlap by half and are tapered by a Hann window.

    Raises:
        UserError: a band holds no frequency of a stretch.
    """
    size = min(round(stretch * sample_rate), strain.shape[-1])
    pieces = strain.unfold(-1, size, size // 2)  # [B, D, S, size]
    window = torch.hann_window(size, device=strain.device)
    power = torch.fft.rfft(pieces * window).abs().square() / window.square().sum()
    frequency = np.fft.rfftfreq(size, 1 / sample_rate)
    bands = []
    for low, high in pairwise(edges):
        inside = torch.from_numpy(np.flatnonzero((frequency >= low) & (frequency < high))).to(strain.device)
        if not len(inside):
            raise UserError(
                f"The band from {low:.1f} to {high:.1f} Hz holds none of a stretch's frequencies, "
                f"{1 / stretch:g} Hz apart: lower baseline.bands, or raise baseline.stretch."
            )
        bands.append(power[..., inside].mean(-1))
    each = torch.stack(bands, -1)  # [B, D, S, bands]
    return (torch.cat([each.mean(2), each.amax(2)], -1) + TINY).log()


def peak_and_kurtosis(strain: Tensor) -> Tensor:
    """Log of the largest absolute value, and the excess kurtosis: [B, D, 2]."""
    centred = strain - strain.mean(-1, keepdim=True)
    variance = centred.square().mean(-1)
    kurtosis = centred.pow(4).mean(-1) / (variance.square() + TINY) - 3
    return torch.stack([(strain.abs().amax(-1) + TINY).log(), kurtosis], -1)


def coincidence(a: Tensor, b: Tensor, reach: int) -> Tensor:
    """The largest |normalised cross-correlation| of [B, T] and [B, T] at lags of at most `reach` samples: [B]."""
    size = 2 * a.shape[-1]  # so that the ends do not meet
    product = torch.fft.rfft(a, size) * torch.fft.rfft(b, size).conj()
    correlation = torch.fft.irfft(product, size)
    near = torch.cat([correlation[..., : reach + 1], correlation[..., size - reach :]], -1)
    norm: Tensor = a.norm(dim=-1) * b.norm(dim=-1)
    loudest: Tensor = near.abs().amax(-1) / (norm + TINY)
    return loudest


@register(
    "baseline",
    "band-power",
    citation="Anderson et al., arXiv:gr-qc/0008066 (excess power); Allen & Romano, arXiv:gr-qc/9710117 (correlation)",
    tags=("labels", "hand-made"),
)
class BandPower(Baseline):
    """Hand-made features and logistic regression, chosen on validation as the probe is: no network.

    Per detector: log power in bands, of the window and of its loudest stretch; the peak; the kurtosis. Per pair of
    detectors: the largest cross-correlation within the light travel time between them.

    Args:
        bands: bands, their edges at equal ratios.
        low: lower edge of the first band, Hz.
        high: upper edge of the last band, Hz; the Nyquist frequency where that is lower.
        stretch: seconds of a stretch.
    """

    def __init__(
        self,
        *,
        bands: Annotated[int, Field(ge=1, le=64)] = 6,
        low: Annotated[float, Field(gt=0)] = 20.0,
        high: Annotated[float, Field(gt=0)] = 600.0,
        stretch: Annotated[float, Field(gt=0)] = 0.125,
    ) -> None:
        self.bands, self.low, self.high, self.stretch = bands, low, high, stretch

    def scores(self, context: RunContext) -> Scores:
        """Scores of the logistic regression."""
        splits = context.splits
        every = {"train": context.labelled, "val": np.arange(len(splits.val)), "test": np.arange(len(splits.test))}
        with context.progress.task("Measure", sum(map(len, every.values())), "windows") as task:
            x: dict[str, Array] = {}
            for name, rows in every.items():
                parts = []
                for start in range(0, len(rows), CHUNK):
                    part = rows[start : start + CHUNK]
                    strain = context.conditioned(name, part).to(context.device)
                    parts.append(self.features(strain, splits.detectors, splits.sample_rate).cpu())
                    task.advance(len(part))
                x[name] = torch.cat(parts).numpy()
        fitted = linear_probe(x["train"], splits.train.label[context.labelled], x["val"], splits.val.label, x["test"])
        return Scores(
            test=fitted.test_scores,
            details={"val_auc": fitted.chosen.val_auc, "probe_strength": fitted.strength},
            embeddings=x["test"],
            val=fitted.val_scores,
            scorer=self._scorer(fitted.head().to(context.device), splits.detectors, splits.sample_rate),
        )

    def load_scorer(self, state: Mapping[str, Tensor], conditioner: StrainConditioner) -> FeatureScorer:
        """The features and the fitted regression."""
        head = LinearHead.of_state({name.removeprefix("head."): value for name, value in state.items()})
        return self._scorer(head, conditioner.detectors, conditioner.sample_rate)

    def _scorer(self, head: LinearHead, detectors: tuple[str, ...], sample_rate: float) -> FeatureScorer:
        return FeatureScorer(partial(self.features, detectors=detectors, sample_rate=sample_rate), head)

    def features(self, strain: Tensor, detectors: tuple[str, ...], sample_rate: float) -> Tensor:
        """Features [B, F] of conditioned strain [B, D, T]."""
        edges = np.geomspace(self.low, min(self.high, sample_rate / 2), self.bands + 1)
        parts = [band_powers(strain, sample_rate, edges, self.stretch).flatten(1), peak_and_kurtosis(strain).flatten(1)]
        for i, j in combinations(range(len(detectors)), 2):
            reach = int(np.ceil(light_travel_time(detectors[i], detectors[j]) * sample_rate))
            parts.append(coincidence(strain[:, i], strain[:, j], reach)[:, None])
        return torch.cat(parts, 1)


def light_travel_time(a: str, b: str) -> float:
    """Seconds between two detectors.

    Raises:
        UserError: pycbc does not know one of them.
    """
    from pycbc.detector import Detector

    try:
        return float(Detector(a).light_travel_time_to_detector(Detector(b)))
    except ValueError as error:
        raise UserError(f"There is no place known for the detectors {a} and {b} ({error}).") from None
