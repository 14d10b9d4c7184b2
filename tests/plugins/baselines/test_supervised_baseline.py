from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gwbench
from gwbench.errors import UserError
from gwbench.experiment.record import RunRecord, read_record
from gwbench.experiment.spec import RunSpec
from gwbench.plugins.baselines.supervised import Supervised
from gwbench.plugins.baselines.supervised_all import SupervisedAll
from gwbench.utils.progress import Progress
from tests.conftest import TINY
from tests.plugins.baselines.label_job import ToyJob, relabelled, toy_splits

SETTINGS: dict[str, Any] = {key: value for key, value in TINY.items() if not key.startswith("training.")}
SETTINGS |= {"baseline.epochs": 2, "baseline.batch_size": 16}


def test_all_labels_are_used_by_one_and_the_drawn_ones_by_the_other() -> None:
    label = toy_splits().train.label.copy()
    label[:10] = -1
    splits = relabelled(toy_splits(), "train", label)
    few, every = ToyJob(splits, labelled=np.arange(40, 60)), ToyJob(splits, labelled=np.arange(40, 60))
    assert Supervised(epochs=2, batch_size=2).scores(few).details["labelled"] == 20
    assert SupervisedAll(epochs=2, batch_size=2).scores(every).details["labelled"] == 86
    assert few.windows("train") == set(range(40, 60))
    assert every.windows("train") == set(range(10, 96))


def test_with_all_labels_drawn_the_two_are_one() -> None:
    same = [baseline(epochs=2).scores(ToyJob(labelled=np.arange(96))) for baseline in (Supervised, SupervisedAll)]
    assert np.array_equal(same[0].test, same[1].test)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return gwbench.run(
        baseline="supervised",
        settings=SETTINGS,
        out=tmp_path_factory.mktemp("runs"),
        device="cpu",
        precision="fp32",
        progress=Progress(),
    )


def test_the_record_has_the_curves_and_no_pre_training(record: RunRecord) -> None:
    assert record.status == "ok"
    assert record.training is None
    assert record.spec.training is None
    assert len(record.details["training_loss"]) == 2
    assert len(record.details["training_val_auc"]) == 3
    assert record.details["val_auc"] == record.details["training_val_auc"][record.details["best_epoch"]]
    assert record.data is not None
    assert record.data.labelled == record.details["labelled"] == 48  # a quarter of 192
    assert record.phases["baseline"].samples_per_second is None  # of how many windows would it be?
    assert record.spec.title == "supervised (cnn1d)"
    assert read_record(Path(str(record.folder))) == record


def test_all_labels_are_counted_in_the_record(tmp_path: Path) -> None:
    done = gwbench.run(
        baseline="supervised-all", settings=SETTINGS, out=tmp_path, device="cpu", precision="fp32", progress=Progress()
    )
    assert done.data is not None
    assert done.data.labelled == 192


def test_its_command_names_the_precision(record: RunRecord) -> None:
    words = shlex.split(record.command)
    assert words[words.index("--precision") + 1] == "fp32"
    assert not any(word.startswith("training.") for word in words)
    again = RunSpec.create(baseline="supervised", settings=SETTINGS, precision="fp32")
    assert again.canonical() == record.spec.canonical()
    other = RunSpec.create(baseline="supervised", settings=SETTINGS, precision="bf16")
    assert other.run_id({}) != again.run_id({})


def test_settings_of_pre_training_are_refused_with_its_own() -> None:
    with pytest.raises(UserError, match=r"pre-trains nothing: leave out training.epochs.*baseline.NAME: epochs: int"):
        RunSpec.create(baseline="supervised", settings={"training.epochs": 3})
    for unused in ({"objective": "barlow"}, {"pairing": "cross-detector"}, {"augmentations": ["noise-injection"]}):
        with pytest.raises(UserError, match="The baseline 'supervised' has no"):
            RunSpec.create(baseline="supervised", **unused)
