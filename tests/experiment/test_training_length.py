"""How long training is: learning curves, training that stops by itself, and going on from a finished run."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import gwbench
from gwbench.cli.main import gwbench as cli
from gwbench.errors import UserError
from gwbench.experiment.record import RunRecord, read_record
from gwbench.experiment.spec import RunSpec
from gwbench.reporting.training_length import length_notes
from gwbench.training.callbacks import CheckpointSaver
from tests.conftest import TINY, Heard

EPOCHS = 3
BATCHES = 192 // 32
PLATEAU = {"training.stop": "plateau", "training.epochs": 8, "training.patience": 1, "training.tolerance": 0.9}


def run(out: Path, settings: dict[str, Any] | None = None, **options: Any) -> RunRecord:
    """BYOL, whose target's copy of the encoder and BatchNorm would tell of any touch."""
    settings = (
        TINY | {"training.epochs": EPOCHS, "objective.hidden_dim": 16, "objective.output_dim": 16} | (settings or {})
    )
    options = {"objective": "byol", "precision": "fp32", "device": "cpu", **options}
    return gwbench.run(out=out, settings=settings, **options)


def file_of(record: RunRecord, name: str = "weights.safetensors") -> Path:
    assert record.folder
    return Path(record.folder) / name


@contextmanager
def interrupted_after(epoch: int) -> Iterator[None]:
    """Ctrl-C once the checkpoint of an epoch is written."""
    whole = CheckpointSaver.on_train_epoch_end

    def save(self: CheckpointSaver, trainer: Any, module: Any) -> None:
        whole(self, trainer, module)
        if trainer.current_epoch + 1 == epoch:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointSaver, "on_train_epoch_end", save)
        try:
            yield
        except KeyboardInterrupt:
            return
    raise AssertionError(f"there was no epoch {epoch}")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return run(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return run(tmp_path_factory.mktemp("probed"), probe_every=2)


def test_a_learning_curve_changes_nothing_about_the_run(plain: RunRecord, probed: RunRecord) -> None:
    assert probed.run_id == plain.run_id and probed.metrics == plain.metrics
    assert plain.training and probed.training and probed.training.loss == plain.training.loss
    for name in ("weights.safetensors", "objective.safetensors"):  # BatchNorm's statistics are among them
        assert file_of(probed, name).read_bytes() == file_of(plain, name).read_bytes()


def test_the_curve_begins_at_the_floor_and_ends_at_the_run_s_own_validation(
    plain: RunRecord, probed: RunRecord, tmp_path: Path
) -> None:
    curve = probed.learning_curve
    assert curve and [(point.epoch, point.step, point.windows) for point in curve] == [
        (0, 0, 0),
        (2, 2 * BATCHES, 2 * 192),
        (3, 3 * BATCHES, 3 * 192),  # the last epoch has a point though it is no second one
    ]
    assert curve[-1].val_auc == probed.val_auc == plain.val_auc
    settings = {key: value for key, value in TINY.items() if not key.startswith("training.")}
    floor = gwbench.run(baseline="random-init", settings=settings, device="cpu", out=tmp_path)
    assert curve[0].val_auc == floor.val_auc
    assert all(point.low < point.val_auc < point.high for point in curve)


def test_the_test_split_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gwbench.experiment.context import ExperimentContext

    seen = []
    probe = ExperimentContext.probe_on_validation

    def watched(self: ExperimentContext, *arguments: Any) -> Any:
        strain = {name: each for name, each in self.strain.items() if name != "test"}
        seen.append((self.splits.test.label >= 0).any())
        object.__setattr__(self, "strain", strain)
        return probe(self, *arguments)

    def unread(self: ExperimentContext, encoder: Any) -> Any:
        raise UserError("training is over")

    monkeypatch.setattr(ExperimentContext, "probe_on_validation", watched)
    monkeypatch.setattr(ExperimentContext, "probe", unread)
    with pytest.raises(UserError, match="training is over"):
        run(tmp_path, {"training.epochs": 1}, probe_every=1)
    assert seen == [False, False]


def test_records_without_a_curve_read_as_they_did(plain: RunRecord, probed: RunRecord) -> None:
    document = json.loads(file_of(plain, "record.json").read_text())
    assert "learning_curve" not in document and "extends" not in document["spec"]
    assert set(document["training"]) == {"loss", "collapse", "warning", "resumed_from"}
    assert "deterministic" not in document["environment"]
    assert read_record(file_of(probed).parent).learning_curve == probed.learning_curve


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "band-power", "objective": None, "precision": "auto"}, "pre-trains nothing"),
        ({"probe_every": -1}, "no number of epochs"),
    ],
)
def test_a_curve_of_nothing_is_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        gwbench.run(out=tmp_path, device="cpu", **{"probe_every": 1, **options})


def test_a_curve_survives_an_interruption(probed: RunRecord, tmp_path: Path) -> None:
    with interrupted_after(2):
        run(tmp_path, probe_every=2)
    resumed = run(tmp_path, probe_every=2)
    assert resumed.training and resumed.training.resumed_from == 2
    assert resumed.learning_curve == probed.learning_curve


def test_a_run_that_is_done_without_a_curve_says_so(plain: RunRecord) -> None:
    heard = Heard()
    run(file_of(plain).parents[1], probe_every=1, progress=heard)
    assert any("done already" in line and "no learning curve" in line for line in heard.lines)


# --- stopping ---


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return run(tmp_path_factory.mktemp("stopped"), PLATEAU, probe_every=10)


def test_a_training_that_stops_says_why_and_is_finished(stopped: RunRecord) -> None:
    training = stopped.training
    assert training and training.stopped and training.signals
    epochs = len(training.loss)
    assert 2 <= epochs < 8 and training.stopped.reason == "plateau"
    assert training.stopped.epoch == epochs == len(training.signals)
    assert training.stopped.step == epochs * BATCHES
    assert 0 < training.stopped.decay_from_step < training.stopped.step
    assert set(training.signals[0]) == {"ssl_loss", "effective_rank", "alignment", "uniformity"}
    assert stopped.budget == (epochs * BATCHES, epochs * 192)
    assert stopped.learning_curve and [point.epoch for point in stopped.learning_curve] == [0, epochs]


def test_a_run_that_shares_the_pre_training_tells_why_it_stopped(stopped: RunRecord) -> None:
    shared = run(file_of(stopped).parents[1], {**PLATEAU, "evaluation.label_fraction": 0.5})
    assert "pretrained_by" in shared.details
    assert shared.training and stopped.training
    assert (shared.training.stopped, shared.training.signals) == (stopped.training.stopped, stopped.training.signals)
    assert shared.budget == stopped.budget


def test_a_training_that_learns_its_windows_by_heart_is_ended_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = iter(enumerate([6.0, 5.0, 5.5, 5.6, 5.6, 5.7, 5.8]))  # the held-out loss turns; the rank rises on

    def signals(*_: Any, **__: Any) -> dict[str, float]:
        epoch, loss = next(after)
        return {"ssl_loss": loss, "effective_rank": float(epoch)}

    monkeypatch.setattr("gwbench.training.validation_watch.unlabelled_signals", signals)
    record = run(tmp_path, {"training.stop": "plateau", "training.epochs": 8, "training.patience": 2})
    assert record.training and record.training.stopped
    assert record.training.stopped.reason == "overfit"
    assert record.training.stopped.decay_from_step == 4 * BATCHES
    assert any("the loss had improved on the training windows alone" in note for note in length_notes(record))


def test_a_training_that_stops_is_resumed_at_any_moment(stopped: RunRecord, tmp_path: Path) -> None:
    assert stopped.training
    last = len(stopped.training.loss)
    for epoch in (last - 1, last):  # in the decay, and when all is done but the record
        with interrupted_after(epoch):
            run(tmp_path, PLATEAU)
    resumed = run(tmp_path, PLATEAU)
    assert resumed.training and resumed.training.resumed_from == last
    assert resumed.training.signals == stopped.training.signals
    assert resumed.training.stopped == stopped.training.stopped
    assert file_of(resumed).read_bytes() == file_of(stopped).read_bytes()


@pytest.mark.parametrize("objective", ["coincidence", "masked-strain", "dino", "moco"])
def test_signals_are_measured_for_objectives_of_every_kind(objective: str, tmp_path: Path) -> None:
    pairing = {"coincidence": "coincidence"}.get(objective)
    settings = {key: value for key, value in TINY.items() if not key.startswith("training.batch")} | {
        "training.batch_size": 32, "training.epochs": 2, "training.stop": "plateau",
    }  # fmt: skip
    record = gwbench.run(
        objective=objective, pairing=pairing, settings=settings, precision="fp32", device="cpu", out=tmp_path
    )
    assert record.training and record.training.signals and record.training.stopped
    assert record.training.stopped.reason == "cap" and record.training.stopped.epoch == 2
    paired = objective in ("dino", "moco")
    assert ("alignment" in record.training.signals[0]) is paired


def test_a_number_of_windows_may_end_within_an_epoch_and_is_resumed_there(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"training.windows": 300, "training.batch_size": 32}
    settings |= {key: value for key, value in TINY.items() if key not in ("training.epochs", "training.batch_size")}
    options: dict[str, Any] = {"objective": "simclr", "precision": "fp32", "device": "cpu", "settings": settings}
    whole = gwbench.run(out=tmp_path / "whole", probe_every=5, **options)
    assert whole.budget == (9, 288)  # in whole batches
    assert whole.learning_curve and whole.learning_curve[-1].windows == 288
    with interrupted_after(2):
        gwbench.run(out=tmp_path / "twice", **options)
    heard = Heard()
    resumed = gwbench.run(out=tmp_path / "twice", progress=heard, **options)
    assert not any("starting over" in line for line in heard.lines)
    assert file_of(resumed).read_bytes() == file_of(whole).read_bytes()


# --- going on ---


@pytest.fixture(scope="module")
def extended(plain: RunRecord) -> RunRecord:
    return gwbench.run(
        extend=file_of(plain).parent, settings={"training.epochs": 5}, device="cpu", out=file_of(plain).parents[1]
    )


def test_an_extended_run_is_a_run_of_its_own_that_names_where_it_comes_from(
    plain: RunRecord, extended: RunRecord
) -> None:
    spec, training = extended.spec, extended.training
    assert extended.run_id != plain.run_id and extended.folder != plain.folder
    assert spec.extends and training and training.continued
    assert spec.extends.run_id == plain.run_id
    assert spec.extends.weights == hashlib.sha256(file_of(plain).read_bytes()).hexdigest()
    assert (spec.extends.epochs, spec.extends.steps, spec.extends.windows) == (3, 3 * BATCHES, 3 * 192)
    assert len(training.loss) == 2 and extended.budget == (5 * BATCHES, 5 * 192)
    assert training.continued.restored == ("encoder", "objective")
    assert "optimiser" in training.continued.anew


def test_an_extended_run_goes_on_from_the_weights_and_draws_other_batches(
    plain: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gwbench.training.pretrain import Pretraining

    begun: dict[str, torch.Tensor] = {}
    orders: list[list[int]] = []
    step = Pretraining.training_step

    def watched(self: Pretraining, batch: Any, index: int) -> torch.Tensor:
        if not orders:
            begun.update({name: value.clone() for name, value in self.state_dict().items()})
        orders.append(batch[1].tolist())
        return step(self, batch, index)

    monkeypatch.setattr(Pretraining, "training_step", watched)
    run(tmp_path / "longer", {"training.epochs": 5})
    longer = list(orders)
    orders.clear()
    gwbench.run(extend=file_of(plain).parent, settings={"training.epochs": 5}, device="cpu", out=tmp_path)
    assert orders == longer[3 * BATCHES :]  # those that a longer training would have drawn next
    for part, name in (("encoder", "weights.safetensors"), ("objective", "objective.safetensors")):
        for key, value in load_file(file_of(plain, name)).items():
            assert torch.equal(begun[f"{part}.{key}"], value), key


def test_the_command_of_an_extended_run_finds_it_done(extended: RunRecord) -> None:
    words = shlex.split(extended.command)[1:]
    done = CliRunner().invoke(cli, [*words, "--device", "cpu", "--out", str(file_of(extended).parents[1]), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["created"] == extended.created


def test_an_extended_run_can_be_extended(extended: RunRecord, tmp_path: Path) -> None:
    settings = {"training.epochs": 6, "training.lr": 1e-3}
    again = gwbench.run(extend=file_of(extended).parent, settings=settings, device="cpu", out=tmp_path, probe_every=1)
    assert again.spec.extends and again.spec.extends.epochs == 5 and again.budget == (6 * BATCHES, 6 * 192)
    assert again.learning_curve and [point.epoch for point in again.learning_curve] == [5, 6]
    assert again.learning_curve[0].val_auc == extended.val_auc


def test_an_older_run_without_its_objective_is_extended_with_a_new_one(plain: RunRecord, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(file_of(plain).parent, folder)
    (folder / "objective.safetensors").unlink()
    record = gwbench.run(extend=folder, settings={"training.epochs": 4}, device="cpu", out=tmp_path)
    assert record.spec.extends and record.spec.extends.objective is None
    assert record.training and record.training.continued and record.training.continued.restored == ("encoder",)


def damaged(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(b"no weights")


def gone(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()


def failed(folder: Path) -> None:
    document = json.loads((folder / "record.json").read_text())
    kept = {"status": "failed", "reason": "it burnt", "metrics": None}
    (folder / "record.json").write_text(json.dumps(document | kept))


def other_code(folder: Path) -> None:
    document = json.loads((folder / "record.json").read_text())
    (folder / "record.json").write_text(json.dumps(document | {"run_id": "0" * 16}))


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (None, {"training.epochs": 3}, "has 3 already"),
        (None, {"training.epochs": 4, "training.stop": "plateau"}, "Give 5 or more"),
        (None, {}, "Say with --epochs"),
        (None, {"training.epochs": "many"}, "training.epochs"),
        (None, {"training.epochs": 5, "encoder.width": 8}, "encoder.width cannot be changed"),
        (None, {"training.epochs": 5, "training.windows": 1000}, "extended by epochs"),
        (damaged, {"training.epochs": 5}, "weights.safetensors"),
        (gone, {"training.epochs": 5}, "there is none"),
        (failed, {"training.epochs": 5}, "failed \\(it burnt\\)"),
        (other_code, {"training.epochs": 5}, "have changed since"),
    ],
)
def test_what_cannot_be_extended_is_refused_with_the_reason(
    plain: RunRecord, change: Callable[[Path], None] | None, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder = tmp_path / "old"
    shutil.copytree(file_of(plain).parent, folder)
    if change:
        change(folder)
    with pytest.raises(UserError, match=message):
        gwbench.run(extend=folder, settings=settings, device="cpu", out=tmp_path / "new")


def test_names_beside_extend_are_refused(plain: RunRecord, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leave out encoder, seed"):
        gwbench.run(extend=file_of(plain).parent, encoder="cnn1d", seed=3, device="cpu", out=tmp_path)
    words = ["--extend", str(file_of(plain).parent), "--epochs", "5", "--seed", "1", "--augment", "polarity-flip"]
    told = CliRunner().invoke(cli, ["run", *words], standalone_mode=False)
    assert isinstance(told.exception, UserError) and "leave out --augment, --seed" in str(told.exception)


def test_a_baseline_is_not_extended(tmp_path: Path) -> None:
    settings = {key: value for key, value in TINY.items() if key.startswith("dataset.")}
    record = gwbench.run(baseline="band-power", settings=settings, device="cpu", out=tmp_path)
    with pytest.raises(UserError, match="is the baseline 'band-power'"):
        gwbench.run(extend=record.run_id, settings={"training.epochs": 9}, device="cpu", out=tmp_path)


def test_several_processes_go_on_and_draw_the_curve_too(plain: RunRecord, tmp_path: Path) -> None:
    found = gwbench.run(
        extend=file_of(plain).parent,
        settings={"training.epochs": 5, "training.stop": "plateau"},
        device="cpu",
        devices=2,
        out=tmp_path,
        probe_every=1,
    )
    assert found.learning_curve and [point.epoch for point in found.learning_curve] == [3, 4, 5]
    assert found.learning_curve[0].val_auc == plain.val_auc and found.learning_curve[-1].val_auc == found.val_auc
    assert found.training and found.training.stopped and found.training.stopped.epoch == 2


# --- the same bits ---


def test_deterministic_runs_give_the_same_bits_and_leave_torch_as_it_was(plain: RunRecord, tmp_path: Path) -> None:
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    records = [run(tmp_path / name, deterministic=True) for name in ("one", "two")]
    assert (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark) == before
    one, two = (file_of(record).read_bytes() for record in records)
    assert one == two and records[0].metrics == records[1].metrics
    assert records[0].environment.deterministic and records[0].run_id == plain.run_id


def test_specs_of_ordinary_runs_hash_as_they_did() -> None:
    canonical = json.loads(RunSpec.create().canonical())
    assert "extends" not in canonical
    assert set(canonical["training"]) == {
        "epochs", "batch_size", "lr", "weight_decay", "optimizer", "warmup", "clip"
    }  # fmt: skip
