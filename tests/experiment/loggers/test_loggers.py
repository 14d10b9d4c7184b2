from __future__ import annotations

import csv
import json
import math
import os
import shutil
import struct
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest

import gwbench
from gwbench.errors import UserError
from gwbench.experiment.loggers import BACKENDS, AsyncLogger, LoggerBackend, async_logger, check_loggers
from gwbench.experiment.loggers.metrics import settings_of
from gwbench.experiment.record import RunRecord
from gwbench.experiment.spec import RunSpec
from gwbench.registry import Registry
from gwbench.utils.progress import Progress
from tests.conftest import TINY, TINY_OBJECTIVE, Heard

SETTINGS = TINY | TINY_OBJECTIVE
STEPS = 12
"""Of the tiny run: 192 windows in batches of 32, twice."""

DATA = {key: value for key, value in TINY.items() if key.startswith("dataset.")}


def run(out: Path, settings: dict[str, Any] | None = None, **options: Any) -> RunRecord:
    options = {"precision": "fp32", "device": "cpu", "progress": Progress(), **options}
    return gwbench.run(settings=SETTINGS if settings is None else settings, out=out, **options)


def folder(record: RunRecord) -> Path:
    assert record.folder
    return Path(record.folder)


def rows(run: Path) -> list[dict[str, float]]:
    """The rows of the CSV file, without empty fields."""
    with (run / "logs" / "csv" / "metrics.csv").open(newline="") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def series(run: Path, name: str) -> list[tuple[int, float]]:
    """The steps and values of a figure in the CSV file."""
    return [(int(row["step"]), row[name]) for row in rows(run) if name in row]


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """The steps and values of all figures, as TensorBoard reads them."""
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = event_accumulator.EventAccumulator(str(run / "logs" / "tensorboard"))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """A run that nobody follows."""
    return run(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def local() -> tuple[str, ...]:
    """The loggers that write files and are installed."""
    return ("csv", "tensorboard") if find_spec("tensorboard") else ("csv",)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory, local: tuple[str, ...]) -> RunRecord:
    """The same run, followed."""
    return run(tmp_path_factory.mktemp("logged"), loggers=local)


# --- what is logged ---


def test_the_csv_file_holds_the_numbers_of_the_record(logged: RunRecord) -> None:
    training, metrics = logged.training, logged.metrics
    assert training is not None
    assert metrics is not None
    run = folder(logged)
    steps = series(run, "pretrain/loss")
    assert [step for step, _ in steps] == list(range(1, STEPS + 1))
    assert series(run, "pretrain/epoch_loss") == [(6, training.loss[0]), (12, training.loss[1])]
    for epoch in (0, 1):
        mean = sum(value for _, value in steps[6 * epoch : 6 * epoch + 6]) / 6
        assert training.loss[epoch] == pytest.approx(mean, rel=1e-12)
        for name in ("spread", "effective_rank"):
            assert series(run, f"pretrain/{name}")[epoch] == (6 * epoch + 6, training.collapse[epoch][name])
    assert series(run, "pretrain/samples_per_second")[-1] == (12, logged.phases["pretrain"].samples_per_second)

    final = rows(run)[-1]
    assert final["step"] == STEPS
    auc, knn = metrics.auc, metrics.knn_auc
    assert knn is not None
    assert [final[f"test/auc{end}"] for end in ("", "_low", "_high")] == [auc.value, auc.low, auc.high]
    assert [final[f"test/knn_auc{end}"] for end in ("", "_low", "_high")] == [knn.value, knn.low, knn.high]
    assert final["test/average_precision"] == metrics.average_precision
    assert final["validation/auc"] == logged.details["probe_val_auc"]
    seconds = {name: phase.seconds for name, phase in logged.phases.items()}
    assert {name: final[f"seconds/{name}"] for name in seconds} == seconds
    assert final["seconds/total"] == pytest.approx(sum(seconds.values()))
    assert "test/tpr_at_fpr_0.01" not in final  # too few noise windows


def test_the_learning_rate_is_that_of_the_step(logged: RunRecord) -> None:
    """A linear warm-up over a tenth of the steps, then a cosine to zero, one step after the last."""
    peak, warmup = 2e-3, int(0.1 * STEPS)
    cosine = [
        0.5 * peak * (1 + math.cos(math.pi * (step - warmup) / (STEPS + 1 - 1 - warmup)))
        for step in range(warmup, STEPS)
    ]
    found = [value for _, value in series(folder(logged), "pretrain/learning_rate")]
    assert found == pytest.approx([peak] * warmup + cosine, rel=1e-9)


def test_tensorboard_reads_the_same(logged: RunRecord) -> None:
    found = scalars(folder(logged))
    names = {name for row in rows(folder(logged)) for name in row} - {"step"}
    assert set(found) == names
    for name in names:
        expected = series(folder(logged), name)
        assert [step for step, _ in found[name]] == [step for step, _ in expected]
        assert [value for _, value in found[name]] == pytest.approx([value for _, value in expected], rel=1e-6)


def test_the_settings_go_by_the_names_of_the_command_line(logged: RunRecord, local: tuple[str, ...]) -> None:
    import yaml

    found = settings_of(logged.spec)
    words = logged.command.split()
    for text in [value for flag, value in zip(words[2::2], words[3::2], strict=True) if flag == "--set"]:
        name, _, value = text.partition("=")
        assert str(found[name]) == value
    assert (found["encoder"], found["encoder.width"], found["training.epochs"]) == ("cnn1d", 4, 2)
    for name in local:
        kept = yaml.safe_load((folder(logged) / "logs" / name / "hparams.yaml").read_text())
        assert found.items() <= kept.items()
    several = settings_of(RunSpec.create(augmentations=["time-shift", "noise-injection"]))
    assert several["augmentation.time-shift"] == "time-shift"
    assert "augmentation.noise-injection.probability" in several


def test_a_tracker_changes_nothing_about_the_run(plain: RunRecord, logged: RunRecord) -> None:
    for name in ("weights.safetensors", "conditioner.npz"):
        assert (folder(plain) / name).read_bytes() == (folder(logged) / name).read_bytes()
    assert plain.training == logged.training
    assert plain.metrics == logged.metrics
    assert plain.details == logged.details
    assert (plain.run_id, plain.command, plain.spec) == (logged.run_id, logged.command, logged.spec)
    assert folder(plain).name == folder(logged).name
    assert not (folder(plain) / "logs").exists()


def test_what_trains_nothing_here_has_final_figures_only(tmp_path: Path, logged: RunRecord) -> None:
    shutil.copytree(folder(logged), tmp_path / folder(logged).name, ignore=shutil.ignore_patterns("logs"))
    settings = {key: value for key, value in TINY.items() if not key.startswith("training.")}
    floor = run(tmp_path, settings, baseline="random-init", precision="auto", loggers=["csv"])
    (row,) = rows(folder(floor))
    assert (row["step"], row["test/auc"]) == (0, floor.auc)

    lent = run(tmp_path, SETTINGS | {"evaluation.label_fraction": 1.0}, loggers=["csv"])
    assert lent.details["pretrained_by"] == logged.run_id
    (row,) = rows(folder(lent))
    assert row["test/auc"] == lent.auc
    assert f"pretrained_by: {logged.run_id}" in (folder(lent) / "logs" / "csv" / "hparams.yaml").read_text()


SUPERVISED = {"baseline.epochs": 2, "baseline.epoch_steps": 3, "baseline.batch_size": 16}


def test_training_on_labels_is_followed_after_pre_training(tmp_path: Path) -> None:
    done = run(tmp_path, SETTINGS | SUPERVISED, baseline="fine-tune", loggers=["csv"])
    run_folder, details = folder(done), done.details
    assert [step for step, _ in series(run_folder, "pretrain/loss")] == list(range(1, STEPS + 1))
    assert [step for step, _ in series(run_folder, "train/loss")] == list(range(STEPS + 1, STEPS + 7))
    ends = [STEPS + 3, STEPS + 6]
    assert series(run_folder, "train/epoch_loss") == list(zip(ends, details["training_loss"], strict=True))
    assert series(run_folder, "train/validation_auc") == list(zip(ends, details["training_val_auc"][1:], strict=True))
    assert rows(run_folder)[-1]["test/auc"] == done.auc


# --- the same run again ---

STOPPING = '''
from gwbench.contracts import Objective
from gwbench.registry import register

STOP = [True]

@register("objective", "stopping")
class Stopping(Objective):
    """Draws two views together; Ctrl-C at a step of the second epoch, once."""
    def loss(self, a, b):
        return (a - b).square().mean() - a.std(0).clamp(max=1).mean()
    def after_step(self, step, total_steps):
        if step == 9 and STOP and STOP.pop():
            raise KeyboardInterrupt
'''


def test_a_resumed_run_goes_on_in_the_same_files(registry: Registry, tmp_path: Path, local: tuple[str, ...]) -> None:
    source = tmp_path / "stopping.py"
    source.write_text(STOPPING)
    options: dict[str, Any] = {"objective": "stopping", "plugins": [str(source)], "loggers": local}
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", TINY, **options)
    (stopped,) = (tmp_path / "stopped").iterdir()
    assert series(stopped, "pretrain/loss")[-1][0] > 6  # steps that will be taken again
    resumed = run(tmp_path / "stopped", TINY, **(options | {"plugins": []}))
    assert resumed.training is not None
    assert resumed.training.resumed_from == 1
    alone = run(tmp_path / "alone", TINY, **(options | {"plugins": []}))

    timed = ("seconds/", "pretrain/samples_per_second")
    first, second = (
        [{key: value for key, value in row.items() if not key.startswith(timed)} for row in rows(folder(record))]
        for record in (resumed, alone)
    )
    assert len(first) == STEPS + 2 + 1
    assert first == second
    if "tensorboard" in local:
        one, other = scalars(folder(resumed)), scalars(folder(alone))
        assert set(one) == set(other)
        assert all(one[name] == other[name] for name in one if not name.startswith(timed))


def test_an_interrupted_file_keeps_whole_rows_before_the_step(tmp_path: Path) -> None:
    spec = RunSpec.create()
    with AsyncLogger(Progress(), ["csv"], tmp_path, spec) as tracked:
        for step in (1, 2, 3):
            tracked.log({"loss": step / 10}, step)
    path = tmp_path / "logs" / "csv" / "metrics.csv"
    path.write_text(path.read_text().rstrip() + "\n0.4,4\n0.")  # killed in the middle of a row
    with AsyncLogger(Progress(), ["csv"], tmp_path, spec) as tracked:
        tracked.start_at(2)
        tracked.log({"loss": 1, "other": 2}, 1)
    assert rows(tmp_path) == [
        {"step": 1, "loss": 0.1},
        {"step": 2, "loss": 0.2},
        {"step": 3, "loss": 1, "other": 2},
    ]


def test_a_finished_run_logs_nothing_and_one_done_again_begins_anew(
    tmp_path: Path, plain: RunRecord, logged: RunRecord
) -> None:
    for record in (plain, logged):
        heard, out = Heard(), tmp_path / record.created / str(record is plain)
        shutil.copytree(folder(record), out / folder(record).name)
        run(out, loggers=["csv"], progress=heard)
        assert [line.endswith("Nothing is logged.") for line in heard.lines if "done already" in line] == [True]
    assert not (folder(plain) / "logs").exists()
    kept = out / folder(logged).name
    assert len(rows(kept)) == STEPS + 3
    again = run(out, loggers=["csv"], rerun=True)
    assert len(rows(folder(again))) == STEPS + 3
    assert rows(kept)[-1]["seconds/total"] == sum(phase.seconds for phase in again.phases.values())


# --- trouble ---


def test_an_unknown_tracker_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no logger 'tensorbord'\. Did you mean 'tensorboard'\? Loggers: csv, tens"):
        gwbench.run(loggers=["tensorbord"])
    assert check_loggers(["csv", "csv"]) == ("csv",)


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_tracker_that_is_not_installed_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"needs {name}, which is not installed: pip install 'gwbench-ssl\[{name}\]'"):
        run(tmp_path / "runs", loggers=["csv", name])
    assert not (tmp_path / "runs").exists()


def test_a_folder_is_not_taken_for_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "left_behind").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(BACKENDS["wandb"], "needs", "left_behind")
    with pytest.raises(UserError, match="needs left_behind, which is not installed"):
        check_loggers(["wandb"])


class Broken(LoggerBackend):
    """Fails where it is told to."""

    needs = "json"
    fails = ""
    called: ClassVar[list[str]] = []

    def open(self, step: int | None) -> Any:
        self._perhaps("open")
        return self

    def where(self) -> str:
        return "nowhere"

    def log_hyperparams(self, params: dict[str, Any]) -> None:
        self._perhaps("log_hyperparams")

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self._perhaps("conclude" if "test/auc" in metrics else "log")

    def save(self) -> None:
        pass

    def finalize(self, status: str) -> None:
        self._perhaps(f"close {status}")

    def _perhaps(self, place: str) -> None:
        self.called.append(place)
        if self.fails == place:
            raise ConnectionError("no server\nand more")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> type[Broken]:
    monkeypatch.setitem(BACKENDS, "broken", Broken)
    monkeypatch.setattr(Broken, "called", [])
    return Broken


@pytest.mark.parametrize("place", ["open", "log_hyperparams", "log", "conclude", "close success"])
def test_a_tracker_that_fails_is_said_once_and_fails_nothing(
    broken: type[Broken], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: RunRecord, place: str
) -> None:
    monkeypatch.setattr(broken, "fails", place)
    heard = Heard()
    with AsyncLogger(heard, ["broken", "csv"], tmp_path, plain.spec) as tracked:
        for step in range(1, 4):
            tracked.log({"loss": 0.5}, step)
        tracked.conclude(plain)
    said = [line for line in heard.lines if "broken" in line and "Logging to" not in line]
    assert said == ["The logger 'broken' does not work, and the run goes on without it: ConnectionError: no server"]
    assert broken.called.count(place) == 1
    assert rows(tmp_path)[-1]["test/auc"] == plain.auc  # the other one goes on
    if place in ("log", "conclude"):
        assert broken.called[-1] == "close failed"


def test_a_run_with_a_failing_tracker_gets_its_numbers(
    broken: type[Broken], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: RunRecord
) -> None:
    monkeypatch.setattr(broken, "fails", "log")
    done = run(tmp_path, loggers=["broken"])
    assert broken.called.count("log") == 1
    assert done.status == "ok"
    assert done.metrics == plain.metrics


def test_a_tracker_that_hangs_is_left_behind(
    broken: type[Broken], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: RunRecord
) -> None:
    released = threading.Event()
    monkeypatch.setattr(broken, "open", lambda self, step: released.wait(60) and self)
    monkeypatch.setattr(async_logger, "PATIENCE", 0.1)
    heard = Heard()
    with AsyncLogger(heard, ["broken"], tmp_path, plain.spec) as tracked:
        tracked.log({"loss": 0.5}, 1)
    released.set()
    assert heard.lines == ["The logger 'broken' has not answered for 0.1 s: what it has not got is lost."]


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (ValueError, "failed")])
def test_a_tracker_is_told_how_the_run_ended(
    broken: type[Broken], tmp_path: Path, plain: RunRecord, error: type[BaseException], status: str
) -> None:
    with pytest.raises(error), AsyncLogger(Progress(), ["broken"], tmp_path, plain.spec):
        raise error
    assert broken.called[-1] == f"close {status}"


# --- servers, in their local form ---


def test_mlflow_goes_on_in_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: RunRecord) -> None:
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    run, heard = tmp_path / "runs" / folder(logged).name, Heard()
    run.mkdir(parents=True)
    for step in (1, 2):
        with AsyncLogger(heard, ["mlflow"], run, logged.spec) as tracked:
            tracked.log({"pretrain/loss": 0.5 / step}, step)
            if step == 2:
                tracked.conclude(logged)
    client = tracking.MlflowClient((tmp_path / "store").as_uri())
    experiment = client.get_experiment_by_name("gwbench")
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == (run.name, "FINISHED")
    history = client.get_metric_history(found.info.run_id, "pretrain/loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.25)]
    assert found.data.metrics["test/auc"] == logged.auc
    assert found.data.params["encoder.width"] == "4"
    assert found.data.params["run_id"] == logged.run_id
    assert [line.startswith("Logging to mlflow: file:") for line in heard.lines] == [True, True]


def test_wandb_offline_goes_on_in_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: RunRecord) -> None:
    wandb = pytest.importorskip("wandb")
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    run, heard = tmp_path / folder(logged).name, Heard()
    run.mkdir()
    try:
        for step in (1, 2):
            with AsyncLogger(heard, ["wandb"], run, logged.spec) as tracked:
                tracked.log({"pretrain/loss": 0.5 / step}, step)
                tracked.conclude(logged)
            assert wandb.run is None
    finally:
        wandb.teardown()
    files = sorted((run / "logs" / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 2
    assert len({path.name for path in files}) == 1  # one run, named by its identity
    history = [step for path in files for step in _wandb_history(path)]
    losses = [(row["trainer/global_step"], row["pretrain/loss"]) for row in history if "pretrain/loss" in row]
    assert losses == [(1, 0.5), (2, 0.25)]
    assert history[-1]["test/auc"] == logged.auc
    assert [line.startswith("Logging to wandb: wandb sync ") for line in heard.lines] == [True, True]


def _wandb_history(path: Path) -> Iterator[dict[str, float]]:
    """What was logged, in the file that `wandb sync` would send: wandb's records in LevelDB's log format."""
    from wandb.proto import wandb_internal_pb2

    data, at, parts = path.read_bytes(), 7, b""  # after wandb's own header
    while at < len(data):
        left = 32768 - at % 32768  # of the block
        if left < 7:
            at += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, at)
        parts, at = parts + data[at + 7 : at + 7 + size], at + 7 + size
        if kind in (1, 4):  # the whole of a record, or its last part
            record = wandb_internal_pb2.Record.FromString(parts)
            parts = b""
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                yield {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}
