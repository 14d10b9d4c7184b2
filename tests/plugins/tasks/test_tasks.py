"""The shipped task, and one of another sort, through the protocol on embeddings whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydantic_core
import pytest
import torch
from torch import Tensor, nn

from gwbench.contracts import Array, Embedded, ProbeSettings, Scores, Split, StrainSplits, Task
from gwbench.errors import UserError
from gwbench.evaluation.knn import knn_scores
from gwbench.evaluation.linear_probe import linear_probe
from gwbench.evaluation.metrics import Metrics, evaluate_scores
from gwbench.evaluation.protocol import Protocol
from gwbench.evaluation.version import PROTOCOL
from gwbench.registry import REGISTRY, Registry
from gwbench.utils.progress import Progress

CHIRP_MASS = Path(__file__).with_name("chirp_mass.py")
SIZES = {"train": 600, "val": 200, "test": 500}
NOISE = 0.5


class Flatten(nn.Module):
    """An encoder that gives its input."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(3, 2)
        self.windows = 0

    def embed(self, strain: Tensor) -> Tensor:
        self.windows += len(strain)
        return strain.flatten(1)


@pytest.fixture(scope="module")
def toy() -> tuple[StrainSplits, dict[str, Tensor]]:
    """Embeddings that hold the label, and the logarithm of the chirp mass with noise of a known variance."""
    rng = np.random.default_rng(0)
    splits: dict[str, Any] = {}
    embeddings: dict[str, Tensor] = {}
    for name, n in SIZES.items():
        label = (np.arange(n) % 2).astype(np.int8)
        log_mass = rng.normal(3.0, 1.0, n)  # unit variance
        equal = np.where(label == 1, np.exp(log_mass) * 2**0.2, np.nan)  # of equal masses m, it is m / 2^0.2
        snr = np.where(label == 1, 10.0, np.nan).astype(np.float32)
        splits[name] = Split(np.zeros((n, 1, 3), np.float32), label, snr, {"mass_1": equal, "mass_2": equal})
        rows = np.stack([label + rng.normal(0, 1, n), log_mass + rng.normal(0, NOISE, n), rng.normal(0, 1, n)], axis=1)
        embeddings[name] = torch.tensor(rows[:, None, :], dtype=torch.float32)
    whole = StrainSplits(**splits, detectors=("H1",), sample_rate=64.0, margin=0, content_hash="toy")
    return whole, embeddings


def evaluate(task: Task, toy: tuple[StrainSplits, dict[str, Tensor]], labelled: Array) -> tuple[Scores, Flatten]:
    """The scores of the protocol, which sees nothing of the test windows but their embeddings."""
    splits, strain = toy
    unknown = np.full(SIZES["test"], np.nan)
    hidden = replace(
        splits.test, label=np.full(SIZES["test"], -1), snr=unknown, parameters={"mass_1": unknown, "mass_2": unknown}
    )
    encoder: Any = Flatten()
    protocol = Protocol(task, neighbours=20, seed=0)
    data: Any = strain
    scores = protocol.evaluate(encoder, replace(splits, test=hidden), data, labelled, device="cpu", progress=Progress())
    return scores, encoder


def test_detection_is_the_linear_probe_and_the_neighbours(toy: tuple[StrainSplits, dict[str, Tensor]]) -> None:
    splits, strain = toy
    labelled = np.arange(0, 600, 3)
    task = REGISTRY.get("task", REGISTRY.default("task")).target
    assert task is not None
    scores, encoder = evaluate(task(), toy, labelled)
    x = {name: rows.flatten(1).numpy() for name, rows in strain.items()}
    train = x["train"][labelled], splits.train.label[labelled]
    probe = linear_probe(*train, x["val"], splits.val.label, x["test"])
    assert np.array_equal(scores.test, probe.test_scores)
    assert scores.neighbours is not None
    assert np.array_equal(scores.neighbours, knn_scores(*train, x["test"], neighbours=20))
    assert scores.embeddings is not None
    assert np.array_equal(scores.embeddings, x["test"])
    assert scores.parameters == 8
    assert encoder.windows == 200 + SIZES["val"] + SIZES["test"]  # every window once
    assert list(scores.details) == ["probe_strength", "probe_val_auc", "probe_converged", "probe_path"]
    metrics = task().metrics(splits.test, scores)
    assert isinstance(metrics, Metrics)
    assert metrics == evaluate_scores(
        splits.test.label, probe.test_scores, splits.test.snr, knn_score=scores.neighbours
    )
    # two unit normals a distance of 1 apart: Phi(1 / sqrt(2))
    assert metrics.auc.value == pytest.approx(0.760, abs=0.04)


def test_a_regression_fits_in_one_file(toy: tuple[StrainSplits, dict[str, Tensor]], registry: Registry) -> None:
    registry.load_source(str(CHIRP_MASS))
    target = registry.get("task", "chirp-mass").target
    assert target is not None
    task: Task = target()
    scores, encoder = evaluate(task, toy, np.arange(600))
    assert encoder.windows == sum(SIZES.values())
    report = dict(pydantic_core.to_jsonable_python(task.metrics(toy[0].test, scores)))
    # y has unit variance, x = y + e: the best prediction of y explains 1 / (1 + var e) of it
    expected = 1.0 / (1.0 + NOISE**2)
    assert report["r2"]["value"] == pytest.approx(expected, abs=0.05)
    assert report["r2"]["low"] < expected < report["r2"]["high"]
    assert report["rmse"] == pytest.approx((1.0 - expected) ** 0.5, abs=0.05)
    assert report["n_signal"] == 250
    assert scores.details["val_rmse"] == pytest.approx((1.0 - expected) ** 0.5, abs=0.06)


def test_a_task_gets_the_targets_of_labelled_windows_alone_and_none_of_the_test_split(
    toy: tuple[StrainSplits, dict[str, Tensor]],
) -> None:
    asked: list[int] = []
    given: list[Any] = []

    class Watching(Task):
        def targets(self, split: Split) -> Array:
            asked.append(len(split))
            return np.arange(len(split))

        def fit_predict(self, train: Embedded, val: Embedded, test: Array, settings: ProbeSettings) -> Scores:
            given.append((train.targets.tolist(), len(val.targets), test.shape, settings.seed, settings.neighbours))
            return Scores(np.zeros(len(test)))

        def metrics(self, test: Split, scores: Scores) -> dict[str, Any]:
            return {}

    evaluate(Watching(), toy, np.array([4, 7, 9]))
    assert asked == [SIZES["train"], SIZES["val"]]
    assert given == [([4, 7, 9], SIZES["val"], (SIZES["test"], 3), 0, 20)]
    assert Protocol.version == PROTOCOL == 1


def test_data_that_do_not_tell_the_target_are_refused(registry: Registry) -> None:
    registry.load_source(str(CHIRP_MASS))
    target = registry.get("task", "chirp-mass").target
    assert target is not None
    part = Embedded(np.zeros((4, 2)), target().targets(Split(np.zeros((4, 1, 1)), np.zeros(4), np.zeros(4))))
    with pytest.raises(UserError, match="does not tell its signals' masses"):
        target().fit_predict(part, part, np.zeros((4, 2)), ProbeSettings(0, 20, "cpu", Progress()))
