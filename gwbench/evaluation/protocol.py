"""The evaluation protocol: a frozen encoder, a probe on few labels, the test split touched once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gwbench.contracts import Array, Embedded, ProbeSettings, Scores, StrainSplits, Task
from gwbench.evaluation.labelled import known_rows
from gwbench.evaluation.statistics import auc_interval
from gwbench.evaluation.version import PROTOCOL
from gwbench.nn.detector_encoder import embed_in_chunks
from gwbench.nn.encoder_scorer import EncoderScorer
from gwbench.nn.linear_head import LinearHead

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gwbench.dataloading.conditioned_split import ConditionedStrain
    from gwbench.evaluation.statistics import Interval
    from gwbench.nn.detector_encoder import DetectorEncoder
    from gwbench.utils.progress import Progress

CHUNK = 256
"""Windows embedded at once."""


@dataclass(frozen=True)
class Protocol:
    """How a frozen encoder is judged for one task.

    Every window is embedded once, in fp32 whatever the training used: the labelled part of the training split,
    validation and test. The task fits its probe on the first, chooses on the second, and gets the test embeddings
    without their targets; these it sees in `Task.metrics` alone.

    Attributes:
        version: raised whenever a change would move the scores of an old run.
        task: what is predicted from the embeddings.
        neighbours: k of a nearest-neighbour score.
        seed: of whatever the probe draws.
    """

    version: ClassVar[int] = PROTOCOL

    task: Task
    neighbours: int
    seed: int

    def evaluate(
        self,
        encoder: DetectorEncoder,
        splits: StrainSplits,
        strain: Mapping[str, ConditionedStrain],
        labelled: Array,
        *,
        device: str,
        progress: Progress,
    ) -> Scores:
        """Test scores of the task's probe on an encoder, which is frozen and left unchanged.

        Args:
            encoder: gives [B, F] for conditioned strain [B, D, T].
            splits: for the targets of the training and validation windows.
            strain: the conditioned splits by name.
            labelled: positions in the training split whose labels the probe may use.
            device: where the embeddings are computed.
            progress: where to report.

        Raises:
            UserError: as `Task.fit_predict` raises it.
        """
        index = {"train": labelled, "val": np.arange(len(splits.val)), "test": np.arange(len(splits.test))}
        embeddings = embed_rows(encoder, strain, index, device, progress)
        train, val = self._labelled(embeddings, splits, labelled)
        settings = ProbeSettings(self.seed, self.neighbours, device, progress)
        scores = self.task.fit_predict(train, val, embeddings["test"], settings)
        parameters = sum(parameter.numel() for parameter in encoder.parameters())
        scores = replace(scores, embeddings=embeddings["test"], parameters=parameters)
        if scores.head is None:
            return scores
        if not isinstance(scores.head, LinearHead):
            raise TypeError(f"a task's head is a gwbench.nn.linear_head.LinearHead, not {type(scores.head).__name__}")
        return replace(scores, scorer=EncoderScorer(encoder, scores.head.to(device)))

    def validate(
        self,
        encoder: DetectorEncoder,
        splits: StrainSplits,
        strain: Mapping[str, ConditionedStrain],
        labelled: Array,
        *,
        device: str,
        progress: Progress,
    ) -> Interval:
        """ROC-AUC of the task's probe on validation, on which its settings are chosen; the test split is not read.

        Args:
            encoder, splits, strain, labelled, device, progress: as of `evaluate`; `strain` may lack the test split.

        Raises:
            UserError: as `Task.fit_predict` raises it.
            TypeError: the task's probe gives no scores of the validation windows.
        """
        index = {"train": labelled, "val": np.arange(len(splits.val))}
        train, val = self._labelled(embed_rows(encoder, strain, index, device, progress), splits, labelled)
        settings = ProbeSettings(self.seed, self.neighbours, device, progress)
        scores = self.task.fit_predict(train, val, val.embeddings[:1], settings)  # no window of the test split
        if scores.val is None:
            raise TypeError("the task's probe gives no scores of the validation windows")
        known = known_rows(val.targets)
        return auc_interval(val.targets[known], scores.val[known])

    def _labelled(
        self, embeddings: Mapping[str, Array], splits: StrainSplits, labelled: Array
    ) -> tuple[Embedded, Embedded]:
        """The labelled training windows and the validation windows, with their targets."""
        train = Embedded(embeddings["train"], self.task.targets(splits.train)[labelled])
        return train, Embedded(embeddings["val"], self.task.targets(splits.val))


def embed_rows(
    encoder: DetectorEncoder,
    strain: Mapping[str, ConditionedStrain],
    index: Mapping[str, Array],
    device: str,
    progress: Progress,
) -> dict[str, Array]:
    """Embeddings of some windows of each split that is named."""
    with progress.task("Embed", sum(map(len, index.values())), "windows") as step:
        return {name: _embed(encoder, strain[name], rows, device, step) for name, rows in index.items()}


def _embed(encoder: DetectorEncoder, strain: ConditionedStrain, index: Array, device: str, task: Any) -> Array:
    encoder.to(device)
    embedding = embed_in_chunks(
        encoder, len(index), lambda part: strain[index[part]].to(device), chunk=CHUNK, advance=task.advance
    )
    return embedding.numpy()
