from __future__ import annotations

import math
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from gwbench.contracts import Encoder, Scores, Split
from gwbench.errors import UserError
from gwbench.evaluation.statistics import auc_interval
from gwbench.nn.detector_encoder import DetectorEncoder, frozen_embedding
from gwbench.training import supervised
from gwbench.training.supervised import Classifier, ClassifierTraining, LabelledBatches, Settings, train_on_labels
from gwbench.utils.progress import Progress, ProgressTask
from tests.plugins.baselines.label_job import SAMPLES, ToyJob, relabelled, toy_splits

SETTINGS = Settings(
    epochs=6, epoch_steps=1, batch_size=16, lr=1e-2, head_lr=1e-2, weight_decay=0.0, warmup=0.1, patience=6, flip=False
)


def train(job: ToyJob, encoder: DetectorEncoder | None = None, probe_first: bool = False, **changes: Any) -> Scores:
    encoder = encoder or job.new_encoder()
    return train_on_labels(job, encoder, job.labelled, replace(SETTINGS, **changes), probe_first=probe_first)


# --- what it learns from ---


def test_signals_that_stand_out_are_all_found() -> None:
    job = ToyJob()
    scores = train(job, epochs=20, patience=20)
    assert roc_auc_score(job.truth, scores.test) > 0.99
    assert scores.details["training_loss"][-1] < 0.2 * scores.details["training_loss"][0]


def test_labels_without_meaning_teach_nothing() -> None:
    splits = toy_splits(sizes=(96, 64, 256))
    for seed, name in enumerate(("train", "val")):
        splits = relabelled(splits, name, np.random.default_rng(seed).permutation(splits[name].label))
    job = ToyJob(splits)
    area = auc_interval(job.truth, train(job, epochs=10).test)
    assert area.low < 0.5 < area.high


def test_exactly_the_labelled_windows_are_trained_on() -> None:
    job = ToyJob(labelled=np.arange(1, 96, 3))
    first = train(job)
    assert job.windows("train") == set(job.labelled.tolist())
    assert first.details["labelled"] == 32
    other = job.splits.train.label.copy()
    others = np.setdiff1d(np.arange(96), job.labelled)
    other[others] = 1 - other[others]
    second = train(ToyJob(relabelled(toy_splits(), "train", other), labelled=job.labelled))
    assert np.array_equal(first.test, second.test)
    other[job.labelled[:4]] = 1 - other[job.labelled[:4]]
    third = train(ToyJob(relabelled(toy_splits(), "train", other), labelled=job.labelled))
    assert not np.array_equal(first.test, third.test)


@pytest.mark.parametrize(("steps", "passes"), [(1, 1), (2, 1), (8, 4)])
def test_an_epoch_goes_through_few_labels_several_times(steps: int, passes: int) -> None:
    job = ToyJob(labelled=np.arange(1, 96, 3))
    labels = torch.from_numpy(job.splits.train.label[job.labelled].astype(np.float32))
    batches = LabelledBatches(job, job.labelled, labels, replace(SETTINGS, epoch_steps=steps))
    assert len(batches) == 2 * passes
    seen = list(batches)
    rows = torch.cat([row for _, _, row in seen])
    assert torch.equal(rows.bincount(), torch.full((32,), passes))
    assert torch.equal(torch.cat([label for _, label, _ in seen]), labels[rows])


def test_the_test_split_is_read_once_and_last() -> None:
    job = ToyJob()
    train(job)
    assert [name for name, _ in job.read].count("test") == 1
    assert job.read[-1] == ("test", list(range(64)))


def test_validation_windows_without_a_label_have_no_say() -> None:
    """Were they scored with a label of -1, the AUC could not be computed; were they read, they could matter."""
    label = toy_splits().val.label.copy()
    label[10:20] = -1
    job = ToyJob(relabelled(toy_splits(), "val", label))
    scores = train(job)
    assert job.windows("val") == set(range(64)) - set(range(10, 20))
    assert 0.5 < scores.details["val_auc"] <= 1.0


# --- the best epoch ---


def scripted(monkeypatch: pytest.MonkeyPatch, areas: list[float]) -> list[np.ndarray[Any, Any]]:
    """Let validation find these areas, one an epoch from epoch 0 on; gives the validation scores that it is shown."""
    shown: list[np.ndarray[Any, Any]] = []

    def auc(label: np.ndarray[Any, Any], score: np.ndarray[Any, Any]) -> float:
        shown.append(score.copy())
        return areas[len(shown) - 1]

    monkeypatch.setattr(supervised, "auc", auc)
    return shown


def same_val_and_test() -> ToyJob:
    splits = toy_splits()
    return ToyJob(replace(splits, test=splits.val))


@pytest.mark.parametrize(
    ("areas", "best", "epochs"),
    [
        ([0.5, 0.6, 0.9, 0.7, 0.8, 0.95, 0.99], 2, 4),  # two epochs without a better one end it
        ([0.5, 0.6, 0.7, 0.7, 0.8, 0.8, 0.8], 4, 6),  # of those that tie, the first
        ([0.9, 0.6, 0.7, 0.8, 0.8, 0.8, 0.8], 0, 2),  # before training it was best
    ],
)
def test_the_best_epoch_on_validation_gives_the_scores(
    monkeypatch: pytest.MonkeyPatch, areas: list[float], best: int, epochs: int
) -> None:
    shown = scripted(monkeypatch, areas)
    scores = train(same_val_and_test(), patience=2)
    assert len(shown) == epochs + 1
    assert scores.details["best_epoch"] == best
    assert scores.details["val_auc"] == areas[best]
    assert scores.details["training_val_auc"] == areas[: epochs + 1]
    assert len(scores.details["training_loss"]) == epochs
    assert np.array_equal(scores.test, shown[best])
    assert all(not np.array_equal(scores.test, other) for number, other in enumerate(shown) if number != best)


def test_the_reported_area_is_that_of_validation() -> None:
    job = same_val_and_test()
    scores = train(job)
    assert scores.details["val_auc"] == pytest.approx(roc_auc_score(job.splits.val.label, scores.test), abs=1e-12)
    assert scores.details["val_auc"] == max(scores.details["training_val_auc"])


def test_scores_are_the_head_on_what_the_probe_would_see() -> None:
    """In bf16 the training is; the scores are not."""
    job = ToyJob(precision="bf16")
    encoder = job.new_encoder()
    scores = train(job, encoder)
    assert scores.embeddings is not None
    seen = frozen_embedding(encoder, torch.from_numpy(job.splits.test.strain[:])).numpy()
    np.testing.assert_array_equal(scores.embeddings, seen)
    assert scores.embeddings.shape == (64, 2 * 6)
    design = np.column_stack([seen.astype(float), np.ones(64)])
    residual = scores.test - design @ np.linalg.lstsq(design, scores.test, rcond=None)[0]
    assert np.abs(residual).max() < 1e-9
    assert scores.parameters == sum(p.numel() for p in encoder.parameters()) + 2 * 6 + 1
    assert train(ToyJob(precision="fp32")).details["training_loss"] != scores.details["training_loss"]


# --- a head that starts as the probe ---


def test_a_probed_head_starts_where_the_probe_is() -> None:
    job = same_val_and_test()
    encoder = job.new_encoder()
    train_x, val_x = (
        frozen_embedding(encoder, torch.from_numpy(strain)).numpy()
        for strain in (job.splits.train.strain[job.labelled], job.splits.val.strain[:])
    )
    train_y, val_y = job.splits.train.label[job.labelled], job.splits.val.label
    scaler = StandardScaler().fit(train_x)
    areas = {}
    for strength in (1e5, 1e4, 1e3, 1e2, 1e1, 1.0):
        probe = LogisticRegression(C=1 / strength, max_iter=1000).fit(scaler.transform(train_x), train_y)
        areas[strength] = roc_auc_score(val_y, probe.decision_function(scaler.transform(val_x)))
    scores = train(job, encoder, probe_first=True, epochs=1, lr=1e-12, head_lr=1e-12)
    assert scores.details["training_val_auc"][0] >= max(areas.values()) - 0.002
    assert train(job, epochs=1).details["training_val_auc"][0] < max(areas.values()) - 0.002


# --- how it trains ---


def test_encoder_and_head_have_rates_of_their_own_and_biases_do_not_decay() -> None:
    classifier = Classifier(ToyJob().new_encoder(), 12)
    settings = replace(SETTINGS, lr=0.1, head_lr=0.3, weight_decay=0.2, warmup=0.2)
    found = ClassifierTraining(classifier, settings, seed=0, total_steps=100).configure_optimizers()
    optimizer, scheduler = found["optimizer"], found["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(100):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    assert max(rates) == [pytest.approx(0.1)] * 2 + [pytest.approx(0.3)] * 2
    assert rates[60][0] == pytest.approx(0.1 * 0.5 * (1 + math.cos(math.pi * 0.5)), abs=0.003)
    assert rates[-1][3] < 0.003
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.2, 0.0, 0.2, 0.0]
    shapes = [[tuple(p.shape) for p in group["params"]] for group in optimizer.param_groups]
    assert shapes == [[(16, SAMPLES), (6, 16)], [(16,), (6,)], [(1, 12)], [(1,)]]


def test_a_flip_turns_whole_windows() -> None:
    job = ToyJob()
    encoder = job.new_encoder()
    train(job, encoder, flip=True, epochs=1)
    seen = encoder.encoders[0].seen
    assert isinstance(seen, list)
    both = torch.cat([torch.stack(seen[step : step + 2], 1) for step in range(0, len(seen), 2)])[:, :, 0]  # [N, D, T]
    windows = torch.from_numpy(job.splits.train.strain[:])
    signs = []
    for window in both:
        (plain,) = [int(torch.equal(window, strain)) - int(torch.equal(window, -strain)) for strain in windows
                    if torch.equal(window.abs(), strain.abs())]  # fmt: skip
        signs.append(plain)
    assert len(signs) == 48
    assert set(signs) == {-1, 1}
    assert abs(sum(signs)) < 3.3 * math.sqrt(48)


def test_the_seed_decides_and_no_global_generator_is_touched() -> None:
    torch_state = torch.get_rng_state()
    numpy_state = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    first, second, other = train(ToyJob()), train(ToyJob()), train(ToyJob(seed=1))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], numpy_state)  # noqa: NPY002
    assert np.array_equal(first.test, second.test)
    assert first.details == second.details
    assert not np.array_equal(first.test, other.test)


def test_few_labels_are_one_batch() -> None:
    job = ToyJob(labelled=np.array([0, 1, 2, 3]))
    assert len(train(job, epochs=2).details["training_loss"]) == 2


def test_strain_is_not_changed() -> None:
    job = ToyJob()
    before = job.splits.train.strain[:].copy()
    train(job, flip=True)
    assert np.array_equal(job.splits.train.strain[:], before)


# --- what goes wrong ---


class Interrupted(Progress):
    """Somebody presses Ctrl-C in the second epoch."""

    @contextmanager
    def task(self, title: str, total: float, unit: str = "") -> Iterator[ProgressTask]:
        class Press:
            count = 0

            def advance(self, amount: float = 1, note: str = "") -> None:
                self.count += 1
                if title == "Train" and self.count == 4:
                    raise KeyboardInterrupt

        yield Press()


def test_ctrl_c_is_passed_on_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(KeyboardInterrupt):
            train(ToyJob(progress=Interrupted()))
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Diverging(Encoder):
    def __init__(self) -> None:
        super().__init__()
        self.embed_dim = 2
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, strain: Tensor) -> Tensor:
        factor = float("nan") if self.training else 1.0
        return strain[:, 0, :2] * self.weight * factor


def test_a_loss_that_is_not_finite_is_said() -> None:
    with pytest.raises(UserError, match="The loss is nan at step 0: training diverged"):
        train(ToyJob(), DetectorEncoder(Diverging, [[0, 1]]))


def test_validation_of_one_class_is_refused() -> None:
    splits = toy_splits()
    one = Split(splits.val.strain, np.zeros(64, np.int8), splits.val.snr)
    with pytest.raises(UserError, match="validation split has no signal window"):
        train(ToyJob(replace(splits, val=one)))
