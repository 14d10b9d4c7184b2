"""What one run works with: its strain, conditioned; its labels; its encoder and how to judge it."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from gwbench import seeds
from gwbench.contracts import Array, Scores, StrainInfo, StrainSplits
from gwbench.data.store.cache import CacheDir
from gwbench.dataloading.conditioned_split import ConditionedStrain
from gwbench.evaluation.protocol import evaluate_encoder
from gwbench.experiment.checkpoint import build_encoder
from gwbench.experiment.spec import RunSpec
from gwbench.nn.detector_encoder import DetectorEncoder, parse_groups
from gwbench.preprocessing.conditioning import Conditioner, fit_conditioner
from gwbench.preprocessing.noise_source import coloured_noise_factory
from gwbench.preprocessing.signal_source import simulated_signals_factory
from gwbench.registry import REGISTRY
from gwbench.training.diagnostics import GENERATIVE_TAG, diagnose
from gwbench.training.distributed import ProcessGroup
from gwbench.training.method import SslMethod
from gwbench.training.pretrain import Trained, monitored, pretrain

if TYPE_CHECKING:
    from gwbench.utils.progress import Progress


@dataclass(frozen=True)
class ExperimentContext:
    """Keeps the contract `gwbench.contracts.RunContext`.

    Attributes:
        spec: the run.
        splits: its data, without what is known of the test windows (see `hide_test`).
        labelled: positions in the training split whose labels may be used.
        conditioner: fitted on the training split, without labels.
        strain: the conditioned splits by name.
        device: where to compute.
        progress: where to report.
        encoder: the pre-trained one, once there is one.
        cache: folder of generated data; None for the user's cache folder.
    """

    spec: RunSpec
    splits: StrainSplits
    labelled: Array
    conditioner: Conditioner
    strain: dict[str, ConditionedStrain]
    device: str
    progress: Progress
    encoder: DetectorEncoder | None = None
    cache: str | Path | None = None

    @classmethod
    def set_up(
        cls,
        spec: RunSpec,
        splits: StrainSplits,
        labelled: Array,
        device: str,
        progress: Progress,
        cache: str | Path | None,
        shared: ExperimentContext | None = None,
    ) -> ExperimentContext:
        """Fit the conditioner and, where the run trains, see to it that what it reads often is conditioned once.

        Args:
            spec: the run.
            splits: its data.
            labelled: positions in the training split whose labels may be used.
            device: where to compute.
            progress: where to report.
            cache: folder of generated data; by default the user's cache folder.
            shared: of an earlier run on the same data and with the same conditioning, which is not done again.

        Raises:
            UserError: the strain is not fit for the conditioning asked for, or the detectors for the groups.
        """
        parse_groups(spec.encoder_groups, splits.detectors)
        splits = hide_test(splits, spec)
        if shared:
            return cls(spec, splits, labelled, shared.conditioner, shared.strain, device, progress, cache=cache)
        conditioner = fit_conditioner(
            splits.train,
            sample_rate=splits.sample_rate,
            margin=splits.margin,
            detectors=splits.detectors,
            settings=spec.conditioning,
        )
        strain = {name: ConditionedStrain(splits[name], conditioner, name) for name in ("train", "val", "test")}
        if spec.trains:
            often = ("train", "val") if spec.baseline else ("train",)  # training on labels validates every epoch
            for name in often:
                strain[name].keep(progress, CacheDir(cache).root, splits.content_hash)
        return cls(spec, splits, labelled, conditioner, strain, device, progress, cache=cache)

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.spec.seed

    @property
    def precision(self) -> str:
        """The precision of training: "fp32" or "bf16"."""
        return self.spec.precision

    def conditioned(self, split: str, index: slice | Array) -> Tensor:
        """Conditioned strain [n, D, T] of a part of a split."""
        return self.strain[split][index]

    def new_encoder(self) -> DetectorEncoder:
        """The encoder as pre-training starts from it: the same weights for the same seed."""
        with seeds.torch_global(self.seed, "init"):
            return build_encoder(self.spec, self.splits.detectors, self.splits.window, self.splits.sample_rate)

    def pretrained(self) -> DetectorEncoder:
        """A copy of the pre-trained encoder.

        Raises:
            TypeError: the run pre-trains none.
        """
        if self.encoder is None:
            raise TypeError("there is no pre-trained encoder: a baseline that asks for one declares `pretrains = True`")
        return copy.deepcopy(self.encoder)

    def pretrain(self, encoder: DetectorEncoder, folder: Path, process_group: ProcessGroup | None = None) -> Trained:
        """Train the encoder in place with the run's pairing, augmentations and objective.

        Args:
            encoder: as pre-training starts from it.
            folder: of the checkpoint.
            process_group: the processes that train together, which are connected; by default this one alone.
        """
        assert self.spec.pairing and self.spec.objective and self.spec.training
        process_group = process_group or ProcessGroup()
        device = process_group.device(self.device)
        info = StrainInfo(
            detectors=self.splits.detectors,
            sample_rate=self.splits.sample_rate,
            window=self.splits.window,
            coloured_noise=coloured_noise_factory(self.conditioner, seed=self.seed, progress=self.progress),
            signals=simulated_signals_factory(
                self.conditioner, self.splits.train.strain, seed=self.seed, progress=self.progress
            ),
        )
        with seeds.torch_global(self.seed, "init", 1):
            objective = self.spec.objective.build("objective", encoder.embed_dim)
        method = SslMethod(
            encoder=encoder,
            pairing=self.spec.pairing.build("pairing", info),
            augmentations=[choice.build("augmentation", info) for choice in self.spec.augmentations],
            objective=objective,
        )
        trained = pretrain(
            method,
            self.strain["train"],
            self.spec.training,
            seed=self.seed,
            precision=self.spec.precision,
            device=device,
            folder=folder,
            progress=self.progress,
            process_group=process_group,
        )
        if not process_group.is_main:
            return trained
        begun = time.perf_counter()
        diagnostics = self._diagnostics(method, device)
        diagnostics_seconds = trained.diagnostics_seconds + time.perf_counter() - begun
        return replace(trained, diagnostics=diagnostics, diagnostics_seconds=diagnostics_seconds)

    def _diagnostics(self, method: SslMethod, device: str) -> dict[str, Array]:
        """What there is to look at afterwards; nothing, with the reason said, where it cannot be had."""
        assert self.spec.objective
        if GENERATIVE_TAG in REGISTRY.get("objective", self.spec.objective.name).tags:
            return {}
        try:
            return diagnose(method, monitored(self.strain["train"]), seed=self.seed, device=device)
        except Exception as error:  # a training that went well must not be lost for a picture of it
            self.progress.say(f"No cross-correlation matrix is kept: {type(error).__name__}: {error}")
            return {}

    def probe(self, encoder: Any) -> Scores:
        """Test scores of the run's probe on an encoder."""
        return evaluate_encoder(
            encoder,
            self.splits,
            self.strain,
            self.labelled,
            neighbours=self.spec.evaluation.neighbours,
            device=self.device,
            progress=self.progress,
        )


def hide_test(splits: StrainSplits, spec: RunSpec) -> StrainSplits:
    """The splits without what is known of the test windows, so that nothing that learns or searches can look at it.

    Labels become -1. SNRs and parameters would tell the labels too, as noise has none: they become NaN, but for a
    baseline that declares `sees_sources`.
    """
    test = replace(splits.test, label=np.full_like(splits.test.label, -1))
    baseline: Any = spec.baseline and REGISTRY.get("baseline", spec.baseline.name).target
    if not (baseline and baseline.sees_sources):
        unknown = np.full(len(test), np.nan, np.float32)
        test = replace(test, snr=unknown, parameters=dict.fromkeys(test.parameters, unknown))
    return replace(splits, test=test)
