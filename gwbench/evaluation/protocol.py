"""Evaluation protocol 1: a frozen encoder, a linear probe on few labels, the test split touched once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench.contracts import Array, Scores, StrainSplits
from gwbench.evaluation.knn import knn_scores
from gwbench.evaluation.linear_probe import linear_probe
from gwbench.nn.detector_encoder import embed_in_chunks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gwbench.dataloading.conditioned_split import ConditionedStrain
    from gwbench.nn.detector_encoder import DetectorEncoder
    from gwbench.utils.progress import Progress

CHUNK = 256
"""Windows embedded at once."""


def evaluate_encoder(
    encoder: DetectorEncoder,
    splits: StrainSplits,
    strain: Mapping[str, ConditionedStrain],
    labelled: Array,
    *,
    neighbours: int,
    device: str,
    progress: Progress,
) -> Scores:
    """Test scores of the probe on an encoder, which is frozen and left unchanged.

    Every window is embedded once: the labelled part of the training split, validation and test.

    Args:
        encoder: gives [B, F] for conditioned strain [B, D, T].
        splits: for the labels.
        strain: the conditioned splits by name.
        labelled: positions in the training split whose labels the probe may use.
        neighbours: k of the kNN score.
        device: where the embeddings are computed, in fp32 whatever the training used.
        progress: where to report.

    Raises:
        UserError: an embedding is not finite, or a labelled part holds one class only.
    """
    parts = {"train": labelled, "val": np.arange(len(splits.val)), "test": np.arange(len(splits.test))}
    embedding: dict[str, Array] = {}
    with progress.task("Embed", sum(map(len, parts.values())), "windows") as task:
        for name, index in parts.items():
            embedding[name] = _embed(encoder, strain[name], index, device, task)
    train_y = splits.train.label[labelled]
    with progress.task("Probe", 2) as task:
        probe = linear_probe(embedding["train"], train_y, embedding["val"], splits.val.label, embedding["test"])
        task.advance()
        nearest = knn_scores(embedding["train"], train_y, embedding["test"], neighbours=neighbours)
        task.advance()
    return Scores(
        test=probe.test_scores,
        details={
            "probe_strength": probe.strength,
            "probe_val_auc": probe.chosen.val_auc,
            "probe_converged": probe.chosen.converged,
            "probe_path": [{"strength": fit.strength, "val_auc": fit.val_auc} for fit in probe.path],
        },
        neighbours=nearest,
        embeddings=embedding["test"],
        parameters=sum(parameter.numel() for parameter in encoder.parameters()),
    )


def _embed(encoder: DetectorEncoder, strain: ConditionedStrain, index: Array, device: str, task: Any) -> Array:
    encoder.to(device)
    embedding = embed_in_chunks(
        encoder, len(index), lambda part: strain[index[part]].to(device), chunk=CHUNK, advance=task.advance
    )
    return embedding.numpy()
