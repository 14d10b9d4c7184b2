"""What the steps of a run share: its conditioned data, its labels, its encoder and how to judge it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from gwbench import seeds
from gwbench.contracts import Array, Objective, Scores, StrainSplits
from gwbench.dataloading.conditioned_split import ConditionedStrain
from gwbench.evaluation.label_free import label_free_validation
from gwbench.evaluation.linear_probe import draw_labelled
from gwbench.evaluation.protocol import Protocol
from gwbench.experiment.blinding import hide_test
from gwbench.experiment.checkpoint import build_encoder
from gwbench.experiment.data_cache import ConditionedData
from gwbench.experiment.objective_file import objective_scorer
from gwbench.experiment.run_mode import ORDINARY, RunMode
from gwbench.experiment.spec import RunSpec
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.preprocessing.conditioning import Conditioner
from gwbench.utils.progress import Progress

if TYPE_CHECKING:
    from gwbench.evaluation.statistics import Interval


@dataclass(frozen=True)
class ExperimentContext:
    """Keeps the contract `gwbench.contracts.RunContext`. Nothing of it changes during a run.

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
        mode: how the run is carried out.
    """

    spec: RunSpec
    splits: StrainSplits
    labelled: Array
    conditioner: Conditioner
    strain: Mapping[str, ConditionedStrain]
    device: str
    progress: Progress
    encoder: DetectorEncoder | None = None
    cache: Path | None = None
    mode: RunMode = ORDINARY

    @classmethod
    def create(
        cls, spec: RunSpec, data: ConditionedData, device: str, progress: Progress, mode: RunMode = ORDINARY
    ) -> ExperimentContext:
        """The context of a run on its data: labels are drawn, and the test split is hidden.

        Raises:
            UserError: a class has no labelled window in the training split.
        """
        label, rng = data.splits.train.label, seeds.numpy_generator(spec.seed, "split")
        labelled: Array = np.empty(0, np.int64)
        if spec.uses_labels:
            labelled = draw_labelled(label, spec.evaluation.label_fraction, rng)
        hidden = hide_test(data.splits, spec)
        return cls(
            spec,
            hidden,
            labelled,
            data.conditioner,
            data.strain,
            device,
            progress,
            cache=data.cache,
            mode=mode,
        )

    def with_encoder(self, encoder: DetectorEncoder) -> ExperimentContext:
        """The same, with the pre-trained encoder."""
        return replace(self, encoder=encoder)

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

    def probe(self, encoder: Any) -> Scores:
        """Test scores of the run's probe on an encoder."""
        return self._protocol.evaluate(
            encoder, self.splits, self.strain, self.labelled, device=self.device, progress=self.progress
        )

    def score_on_validation(self, encoder: DetectorEncoder, objective: Objective, device: str) -> Interval:
        """ROC-AUC on validation of the objective's own score, of an encoder that is under training, as it is now."""
        scorer = objective_scorer(self.spec, encoder, objective)
        return label_free_validation(scorer, self.splits, self.strain["val"], device=device, progress=Progress())

    def probe_on_validation(self, encoder: DetectorEncoder, device: str) -> Interval:
        """ROC-AUC on validation of the run's probe on an encoder that is under training, as it is now."""
        return self._protocol.validate(
            encoder, self.splits, self.strain, self.labelled, device=device, progress=Progress()
        )

    @property
    def _protocol(self) -> Protocol:
        return Protocol(self.spec.build_task(), neighbours=self.spec.evaluation.neighbours, seed=self.seed)
