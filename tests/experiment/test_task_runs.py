"""Runs of another task than the default: what they share with its runs, and what they record."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gwbench
from gwbench.cli.main import main
from gwbench.errors import UserError
from gwbench.experiment.loggers.metrics import metrics_of
from gwbench.experiment.record import RunRecord, read_record
from gwbench.experiment.spec import RunSpec
from gwbench.registry import Registry
from gwbench.reporting.records.entry import load_scored
from gwbench.utils.untrusted_files import UnusableError
from tests.conftest import TINY, TINY_OBJECTIVE

CHIRP_MASS = str(Path(__file__).parents[1] / "plugins" / "tasks" / "chirp_mass.py")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, module_registry: Registry) -> dict[str, RunRecord]:
    """The same method on the default task, on a regression, and its floor on the regression."""
    out = tmp_path_factory.mktemp("runs")
    tiny: dict[str, Any] = {"settings": {**TINY, **TINY_OBJECTIVE}, "out": out, "precision": "fp32"}
    floor = {key: value for key, value in TINY.items() if not key.startswith("training.")}
    return {
        "default": gwbench.run(**tiny),
        "named": gwbench.run(**tiny, task=module_registry.default("task")),
        "regression": gwbench.run(**tiny, task="chirp-mass", plugins=[CHIRP_MASS]),
        "floor": gwbench.run(baseline="random-init", task="chirp-mass", settings=floor, out=out),
    }


def test_the_default_task_is_left_out_of_what_is_written(runs: dict[str, RunRecord]) -> None:
    record = runs["default"]
    assert record.folder is not None
    assert runs["named"].run_id == record.run_id
    text = (Path(record.folder) / "record.json").read_text()
    document = json.loads(text)
    assert "task" not in document["spec"]
    assert "task_metrics" not in document
    assert "task" not in record.command
    assert "task" not in [plugin["kind"] for plugin in document["plugins"]]
    assert record.metrics is not None
    assert read_record(Path(record.folder)).model_dump_json(indent=2, exclude={"folder"}) + "\n" == text


def test_another_task_is_recorded_and_shares_the_pre_training(runs: dict[str, RunRecord]) -> None:
    record = runs["regression"]
    assert record.folder is not None
    assert record.run_id != runs["default"].run_id
    assert record.details["pretrained_by"] == runs["default"].run_id
    assert "--task chirp-mass" in record.command
    assert [plugin.name for plugin in record.plugins if plugin.kind == "task"] == ["chirp-mass"]
    assert record.metrics is None
    assert record.task_metrics is not None
    assert set(record.task_metrics) == {"r2", "rmse", "n_signal"}
    again = read_record(Path(record.folder))
    assert again.task_metrics == record.task_metrics
    assert again.spec == record.spec
    with np.load(Path(record.folder) / "predictions.npz") as arrays:
        assert sorted(arrays) == ["embedding", "label", "score", "snr", "target"]
        assert np.array_equal(np.isfinite(arrays["target"]), arrays["label"] == 1)
        error = (arrays["score"] - arrays["target"])[arrays["label"] == 1]
    assert record.task_metrics["rmse"] == pytest.approx(float(np.sqrt(np.mean(error**2))))
    with pytest.raises(UserError, match="has no ROC-AUC; its task reports r2, rmse, n_signal"):
        _ = record.auc
    logged = metrics_of(record)
    assert logged["test/rmse"] == record.task_metrics["rmse"]
    assert logged["test/r2"] == record.task_metrics["r2"]["value"]
    with pytest.raises(UnusableError, match="its task is 'chirp-mass', which has no ROC-AUC"):
        load_scored(Path(record.folder) / "record.json")


def test_the_floor_serves_every_task(runs: dict[str, RunRecord]) -> None:
    assert runs["floor"].task_metrics is not None
    assert runs["floor"].task_metrics["n_signal"] == 64


def test_the_command_line_shows_what_the_task_reports(
    runs: dict[str, RunRecord], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = runs["regression"].command.split()
    assert runs["regression"].folder is not None
    monkeypatch.setattr(sys, "argv", [*words, "--out", str(Path(runs["regression"].folder).parent)])
    with pytest.raises(SystemExit) as stop:
        main()
    out, _ = capsys.readouterr()
    assert stop.value.code == 0
    report = runs["regression"].task_metrics
    assert report is not None
    assert f"{report['r2']['value']:.4f} [{report['r2']['low']:.4f}, " in out
    assert "n_signal  64" in out


@pytest.mark.parametrize("baseline", ["band-power", "supervised", "fine-tune", "matched-filter", "oracle"])
def test_a_baseline_that_scores_signals_is_refused_with_another_task(baseline: str, registry: Registry) -> None:
    registry.load_source(CHIRP_MASS)
    RunSpec.create(baseline=baseline, task=registry.default("task"))
    with pytest.raises(UserError, match=f"baseline '{baseline}', task 'chirp-mass' cannot be combined: the baseline"):
        RunSpec.create(baseline=baseline, task="chirp-mass")


def test_settings_of_a_task(registry: Registry) -> None:
    registry.load_source(CHIRP_MASS)
    spec = RunSpec.create(task="chirp-mass", settings={"task.resamples": "200"})
    assert spec.task is not None
    assert spec.task.parameters == {"resamples": 200}
    assert spec.command().endswith("--set task.resamples=200")
    assert spec.pretraining == RunSpec.create().pretraining
    assert RunSpec.model_validate_json(spec.model_dump_json()) == spec
    with pytest.raises(UserError, match=r"has no parameter 'resample'\. Did you mean 'resamples'"):
        RunSpec.create(task="chirp-mass", settings={"task.resample": "200"})
    with pytest.raises(UserError, match="It takes: none"):
        RunSpec.create(settings={"task.resamples": "200"})
