from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score

import gwbench
from gwbench import seeds
from gwbench.data.store.cache import CacheContext
from gwbench.errors import UserError
from gwbench.experiment.data_cache import DataCache, recipes_of
from gwbench.experiment.record import RunRecord, read_record
from gwbench.experiment.runner import run_spec
from gwbench.experiment.spec import RunSpec
from gwbench.registry import REGISTRY, Registry
from gwbench.utils.progress import Progress
from tests.conftest import TINY, TINY_OBJECTIVE, Heard
from tests.forked import run_forked

SETTINGS = TINY | TINY_OBJECTIVE
FILES = {
    *(".lock", "conditioner.npz", "diagnostics.npz", "predictions.npz", "record.json"),
    *("objective.safetensors", "scorer.safetensors", "weights.safetensors"),
}


def run(out: Path, settings: dict[str, Any] | None = None, **options: Any) -> RunRecord:
    options = {"precision": "fp32", "device": "cpu", "progress": Progress(), **options}
    return gwbench.run(settings=SETTINGS if settings is None else settings, out=out, **options)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def record(out: Path) -> RunRecord:
    return run(out)


def folder(record: RunRecord) -> Path:
    assert record.folder
    return Path(record.folder)


def predictions(record: RunRecord) -> dict[str, np.ndarray[Any, Any]]:
    with np.load(folder(record) / "predictions.npz", allow_pickle=False) as arrays:
        return dict(arrays)


# --- what a run leaves ---


def test_the_record_says_how_the_number_came_about(record: RunRecord) -> None:
    assert record.status == "ok"
    assert record.metrics is not None
    assert record.data is not None
    assert record.training is not None
    assert record.metrics.auc.low <= record.auc <= record.metrics.auc.high
    assert record.data.sizes == {"train": 192, "val": 96, "test": 128}
    assert record.data.labelled == 48  # a quarter of 192
    assert len(record.training.loss) == len(record.training.collapse) == 2
    assert list(record.phases) == ["data", "condition", "pretrain", "diagnose", "evaluate"]
    assert all(phase.seconds > 0 for phase in record.phases.values())
    assert set(record.seeds) == set(seeds.ROLES)
    assert {plugin.kind for plugin in record.plugins} == {"dataset", "encoder", "pairing", "objective"}
    assert all(len(plugin.source_hash) == 64 for plugin in record.plugins)
    assert record.environment.packages["torch"] == torch.__version__.split("+")[0]
    assert read_record(folder(record)) == record


def test_the_saved_scores_give_the_recorded_auc(record: RunRecord) -> None:
    arrays = predictions(record)
    assert roc_auc_score(arrays["label"], arrays["score"]) == pytest.approx(record.auc, abs=1e-12)
    assert arrays["embedding"].shape == (128, 3 * 8)


def test_the_saved_encoder_embeds_the_test_split_as_the_run_did(record: RunRecord, out: Path) -> None:
    encoder = gwbench.load_encoder(folder(record))
    assert record.parameters == sum(weight.numel() for weight in encoder.encoder.parameters())
    dataset = record.spec.dataset.build("dataset")
    plugin = REGISTRY.get("dataset", record.spec.dataset.name)
    context = CacheContext.of(
        recipes_of(plugin, record.spec.dataset.parameters, 0, {}), root=None, workers=1, progress=Progress()
    )
    strain = dataset.load(context).test.strain[:]
    np.testing.assert_allclose(encoder(strain), predictions(record)["embedding"], atol=1e-6)


def test_an_encoder_is_loaded_from_a_finished_run_only(record: RunRecord, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no record"):
        gwbench.load_encoder(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(folder(record), broken)
    (broken / "weights.safetensors").write_bytes(b"cut")
    with pytest.raises(UserError, match="no whole encoder"):
        gwbench.load_encoder(broken)


def test_nothing_is_left_half_written(record: RunRecord) -> None:
    names = {path.name for path in folder(record).iterdir()}
    assert names == FILES


def test_the_command_in_the_record_gives_the_same_spec(record: RunRecord) -> None:
    words = record.command.split()
    assert words[:2] == ["gwbench", "run"]
    pairs = dict(zip(words[2::2], words[3::2], strict=True))
    sets = [value for flag, value in zip(words[2::2], words[3::2], strict=True) if flag == "--set"]
    again = RunSpec.create(
        dataset=pairs["--dataset"],
        encoder=pairs["--encoder"],
        pairing=pairs["--pairing"],
        objective=pairs["--loss"],
        settings=dict(text.split("=", 1) for text in sets),
        precision=pairs["--precision"],
        seed=int(pairs["--seed"]),
        data_seed=int(pairs["--data-seed"]),
    )
    assert again.canonical() == record.spec.canonical()


# --- the same run again ---


def test_a_finished_run_is_not_done_again(record: RunRecord, out: Path) -> None:
    before = (folder(record) / "record.json").stat().st_mtime_ns
    heard = Heard()
    assert run(out, progress=heard) == record
    assert (folder(record) / "record.json").stat().st_mtime_ns == before
    assert any("done already" in line for line in heard.lines)


def test_rerun_does_it_again_and_gets_the_same_numbers(record: RunRecord, out: Path) -> None:
    before = predictions(record)["score"]
    again = run(out, rerun=True)
    assert again.created >= record.created
    assert again.training is not None
    assert record.training is not None
    assert again.training.loss == pytest.approx(record.training.loss, rel=1e-6)
    np.testing.assert_allclose(predictions(again)["score"], before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"data_seed": 1}, {"precision": "bf16"}, {"encoder_groups": "H1,L1|V1"}, {"objective": "simclr"}],
)
def test_another_spec_is_another_run(record: RunRecord, change: dict[str, Any]) -> None:
    create: Any = RunSpec.create
    same = {"precision": "fp32", "settings": SETTINGS}
    assert create(**same).run_id({}) == create(**same, encoder="cnn1d", dataset="bbh").run_id({})
    assert create(**same).run_id({}) != create(**{**same, **change}).run_id({})
    fingerprint = create(**same).dataset.build("dataset").fingerprint()
    assert create(**same).run_id(fingerprint) == record.run_id
    assert create(**same).run_id({**fingerprint, "file": "digest"}) != record.run_id


def test_a_plugin_whose_source_changed_is_another_run(registry: Registry, tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text(MY_ENCODER)
    registry.load_source(str(source))
    spec = RunSpec.create(encoder="my-encoder")
    before = spec.run_id({})
    source.write_text(MY_ENCODER + "A_CHANGE = 1\n")
    assert spec.run_id({}) == before  # what is loaded is what would run
    registry.load_source(str(source))
    assert spec.run_id({}) != before


@pytest.mark.parametrize("damage", ["", "{", '{"schema_version": 99}', "[]"])
def test_a_damaged_record_is_not_trusted_but_made_again(record: RunRecord, out: Path, damage: str) -> None:
    path = folder(record) / "record.json"
    good = path.read_text()
    path.write_text(damage)
    heard = Heard()
    again = run(out, progress=heard)
    assert any("cannot be read" in line for line in heard.lines)
    assert again.auc == pytest.approx(record.auc, abs=1e-6)
    path.write_text(good)


def test_another_share_of_labels_takes_no_training_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(*_: Any, **__: Any) -> None:
        raise AssertionError("it trains")

    first = run(tmp_path / "shared")
    settings = SETTINGS | {"evaluation.label_fraction": 1.0, "evaluation.neighbours": 5}
    with monkeypatch.context() as patched:
        patched.setattr("gwbench.experiment.train_encoder.pretrain", trained)
        second = run(tmp_path / "shared", settings)
        for other in ({"training.lr": 1e-3}, {"dataset.snr": (13.0, 20.0)}, {"conditioning.low": 30}):
            with pytest.raises(AssertionError, match="it trains"):
                run(tmp_path / "shared", settings | other)
        shutil.rmtree(folder(first))
        third = run(tmp_path / "shared", settings | {"evaluation.label_fraction": 0.5})  # from the second
        with pytest.raises(AssertionError, match="it trains"):
            run(tmp_path / "shared", settings, rerun=True)
    assert second.details["pretrained_by"] == third.details["pretrained_by"] == first.run_id
    assert second.training == third.training == first.training
    assert second.phases["pretrain"] == third.phases["pretrain"] == first.phases["pretrain"]
    assert second.data is not None
    assert second.data.labelled == 192
    alone = run(tmp_path / "alone", settings)
    assert "pretrained_by" not in alone.details
    assert alone.metrics == second.metrics
    np.testing.assert_array_equal(predictions(alone)["embedding"], predictions(second)["embedding"])


def test_runs_in_a_row_share_the_data_and_get_the_numbers_of_runs_alone(
    record: RunRecord, out: Path, tmp_path: Path
) -> None:
    data_cache = DataCache(many=True)
    first = run_spec(record.spec, out=tmp_path, progress=Progress(), data_cache=data_cache)
    floor = RunSpec.create(
        baseline="random-init",
        settings={key: value for key, value in TINY.items() if not key.startswith("training.")},
    )
    again = run_spec(floor, out=tmp_path, progress=Progress(), data_cache=data_cache)
    other = run_spec(
        floor.model_copy(update={"data_seed": 1}), out=tmp_path, progress=Progress(), data_cache=data_cache
    )
    assert first.metrics == record.metrics
    assert again.phases["condition"].samples_per_second is None
    assert other.phases["condition"].samples_per_second is not None
    assert again.metrics == run_spec(floor, out=out, progress=Progress()).metrics
    assert first.data is not None
    assert again.data is not None
    assert other.data is not None
    assert first.data.content_hash == again.data.content_hash != other.data.content_hash


def test_what_a_killed_process_had_half_written_is_removed(record: RunRecord, tmp_path: Path) -> None:
    kept = tmp_path / folder(record).name
    kept.mkdir()
    for name in (".record.json.ab12", ".weights.safetensors.x_y"):
        (kept / name).write_text("half")
    run(tmp_path)
    names = {path.name for path in kept.iterdir()}
    assert names == FILES


# --- other runs ---


def test_a_baseline_has_a_record_of_the_same_shape(record: RunRecord, out: Path) -> None:
    settings = {key: value for key, value in TINY.items() if not key.startswith("training.")}
    floor = run(out, settings, baseline="random-init", encoder="cnn1d", precision="auto")
    assert floor.status == "ok"
    assert floor.metrics is not None
    assert record.metrics is not None
    assert floor.metrics.n_test == record.metrics.n_test
    assert floor.parameters == record.parameters
    assert floor.training is None
    assert predictions(floor)["label"].tolist() == predictions(record)["label"].tolist()


def test_the_seed_recipe_in_small(out: Path) -> None:
    """One network for H1 and L1, one for V1; pycbc noise on either view; the seed's conditioning."""
    settings = SETTINGS | {"conditioning.method": "seed", "augmentation.probability": 0.5}
    done = run(out, settings, augmentations=["noise-injection"], encoder_groups="H1,L1|V1")
    weights = load_file(folder(done) / "weights.safetensors")
    assert {name.split(".")[1] for name in weights} == {"0", "1"}
    assert done.spec.title == "cnn1d + cross-detector + noise-injection + barlow"


def test_noise_injection_as_a_pairing_with_another_objective(out: Path) -> None:
    done = run(out, pairing="noise-injection", objective="simclr")
    assert done.status == "ok"


MY_ENCODER = '''
import torch
from torch import nn

from gwbench.contracts import Encoder, InputShape
from gwbench.registry import register


@register("encoder", "my-encoder", citation="me, today")
class MyEncoder(Encoder):
    """A convolution and the loudest moment of every channel.

    Args:
        width: channels.
    """

    def __init__(self, shape: InputShape, *, width: int = 8) -> None:
        super().__init__()
        self.embed_dim = width
        self.convolution = nn.Conv1d(shape.channels, width, kernel_size=64, stride=16)

    def forward(self, strain: torch.Tensor) -> torch.Tensor:
        return self.convolution(strain).abs().amax(dim=2)
'''


def test_a_plugin_file_that_nobody_registered_runs_through_the_whole_job(registry: Registry, tmp_path: Path) -> None:
    source = tmp_path / "my_encoder.py"
    source.write_text(MY_ENCODER)
    assert len(MY_ENCODER.splitlines()) <= 40
    settings = {key: value for key, value in SETTINGS.items() if not key.startswith("encoder.")}
    done = run(tmp_path, settings | {"encoder.width": "12"}, encoder="my-encoder", plugins=[str(source)])
    assert done.status == "ok"
    assert done.parameters == 12 * 64 + 12
    assert f"--plugin {source}" in done.command


# --- what goes wrong ---

DIVERGING = '''
import torch
from gwbench.contracts import Objective
from gwbench.registry import register

@register("objective", "diverging")
class Diverging(Objective):
    """Not a number."""
    def loss(self, a, b):
        return (a - b).sum() * float("nan")
'''


def test_a_failed_run_says_why_and_is_tried_again(registry: Registry, tmp_path: Path) -> None:
    source = tmp_path / "diverging.py"
    source.write_text(DIVERGING)
    for _ in range(2):
        with pytest.raises(UserError, match="The loss is nan at step 0: training diverged"):
            run(tmp_path, TINY, objective="diverging", plugins=[str(source)])
        (path,) = tmp_path.glob("*/record.json")
        failed = read_record(path.parent)
        assert failed.status == "failed"
        assert failed.reason is not None
        assert "diverged" in failed.reason
        with pytest.raises(UserError, match="failed"):
            _ = failed.auc


def test_a_bug_in_a_plugin_leaves_a_record_too(registry: Registry, tmp_path: Path) -> None:
    source = tmp_path / "buggy.py"
    source.write_text(DIVERGING.replace("diverging", "buggy").replace('(a - b).sum() * float("nan")', "{}['key']"))
    with pytest.raises(KeyError):
        run(tmp_path, TINY, objective="buggy", plugins=[str(source)])
    (path,) = tmp_path.glob("*/record.json")
    assert read_record(path.parent).reason == "KeyError: 'key'"


REPORTING = '''
import numpy as np
from gwbench.contracts import Baseline, Scores
from gwbench.registry import register

@register("baseline", "reporting")
class Reporting(Baseline):
    """Reports arrays."""
    sees_sources = True
    def scores(self, job):
        test = job.splits.test
        assert (test.label == -1).all() and (job.splits.val.label >= 0).all()
        return Scores(test=np.nan_to_num(test.snr), details={"array": np.arange(2.0), "x": np.float32(1)})
'''


def test_a_baseline_may_report_numbers_and_arrays_and_needs_no_encoder(registry: Registry, tmp_path: Path) -> None:
    source = tmp_path / "reporting.py"
    source.write_text(REPORTING)
    settings = {key: value for key, value in TINY.items() if key.startswith("dataset.")}
    done = run(tmp_path, settings, baseline="reporting", plugins=[str(source)], precision="auto")
    assert done.details == {"array": [0.0, 1.0], "x": 1.0}
    assert read_record(folder(done)) == done
    assert done.auc == 1.0
    unused: list[dict[str, Any]] = [
        {"encoder": "cnn1d"},
        {"objective": "barlow"},
        {"augmentations": ["noise-injection"]},
    ]
    for extra in unused:
        with pytest.raises(UserError, match="The baseline 'reporting' has no"):
            run(tmp_path, settings, baseline="reporting", precision="auto", **extra)
    training: list[dict[str, Any]] = [{"settings": {"training.epochs": 3}}, {"precision": "bf16"}]
    for extra in training:
        with pytest.raises(UserError, match="The baseline 'reporting' trains nothing"):
            run(tmp_path, baseline="reporting", **{"precision": "auto", **extra})


PEEPING = '''
import numpy as np
from gwbench.contracts import Baseline, Scores
from gwbench.registry import register

@register("baseline", "peeping")
class Peeping(Baseline):
    """A window of which something is known holds a signal."""
    def scores(self, job):
        splits = job.splits
        told = {name: np.isfinite(splits[name].parameters["mass_1"]) for name in ("train", "test")}
        assert 0 < told["train"].sum() < len(splits.train)
        known = [splits.test.snr, *splits.test.parameters.values()]
        return Scores(test=sum(np.isfinite(each).astype(float) for each in known) + (splits.test.label == 1))
'''


def test_a_baseline_that_looks_for_the_test_signals_finds_nothing(registry: Registry, tmp_path: Path) -> None:
    source = tmp_path / "peeping.py"
    settings = {key: value for key, value in TINY.items() if key.startswith("dataset.")}
    found = {}
    for text in (PEEPING, PEEPING.replace("    def scores", "    sees_sources = True\n    def scores")):
        source.write_text(text)
        done = run(tmp_path, settings, baseline="peeping", plugins=[str(source)], precision="auto")
        assert done.metrics is not None
        assert sum(part.n for part in done.metrics.per_snr_bin) == 64  # the figures know the SNRs all the same
        found[done.auc] = predictions(done)["score"]
    assert list(found) == [0.5, 1.0]
    assert not found[0.5].any()


def test_two_processes_do_not_carry_out_one_run(record: RunRecord, out: Path) -> None:
    with FileLock(folder(record) / ".lock"), pytest.raises(UserError, match="Another process"):
        run(out)


def test_a_place_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match=r"Cannot write .*--out"):
        run(blocked / "runs")


def test_a_batch_larger_than_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="A batch of 512 windows is larger than the training split of 192"):
        run(tmp_path, SETTINGS | {"training.batch_size": 512})


# --- killed and resumed: the command line, in its own process ---

STOPPING = '''
import os
from gwbench.contracts import Objective
from gwbench.registry import register

@register("objective", "stopping")
class Stopping(Objective):
    """Draws two views together, and sends its own process a signal at a step of the second epoch."""
    def loss(self, a, b):
        return (a - b).square().mean() - a.std(0).clamp(max=1).mean()
    def after_step(self, step, total_steps):
        if step == 9 and "STOP_WITH" in os.environ:
            os.kill(os.getpid(), int(os.environ["STOP_WITH"]))
'''


def command(tmp_path: Path, out: str) -> list[str]:
    source = tmp_path / "stopping.py"
    source.write_text(STOPPING)
    settings = TINY | {"training.epochs": 4, "dataset.snr": "12,20"}
    words = ["run", "--plugin", str(source), "--loss", "stopping", "--out"]
    words += [str(tmp_path / out), "--precision", "fp32", "--device", "cpu"]
    return words + [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def call(words: list[str], stop: int | None = None, file_size: int = 0) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"STOP_WITH": str(stop)} if stop else {})
    return run_forked(words, environment=environment, file_size=file_size)


def only_record(folder: Path) -> RunRecord:
    (path,) = folder.glob("*/record.json")
    return read_record(path.parent)


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """What the command comes to when nothing stops it."""
    folder = tmp_path_factory.mktemp("left")
    alone = call(command(folder, "alone"))
    assert alone.returncode == 0, alone.stderr
    return only_record(folder / "alone")


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_stopped_run_resumes_to_the_numbers_of_one_left_alone(
    left_alone: RunRecord, tmp_path: Path, stop: int, code: int
) -> None:
    stopped = call(command(tmp_path, "stopped"), stop=stop)
    assert stopped.returncode == code
    assert "Traceback" not in stopped.stderr
    assert list((tmp_path / "stopped").glob("*/record.json")) == []
    resumed = call(command(tmp_path, "stopped"))
    assert resumed.returncode == 0
    assert "Resuming after epoch 1" in resumed.stderr
    first, second = only_record(tmp_path / "stopped"), left_alone
    assert first.training is not None
    assert second.training is not None
    assert first.training.resumed_from == 1
    assert first.training.loss == pytest.approx(second.training.loss, abs=1e-9)
    assert first.training.collapse == second.training.collapse
    assert first.auc == pytest.approx(second.auc, abs=1e-6)
    np.testing.assert_allclose(predictions(first)["embedding"], predictions(second)["embedding"], atol=1e-7)


def test_a_full_disk_is_one_message_and_leaves_nothing_to_trust(left_alone: RunRecord, tmp_path: Path) -> None:
    # The dataset of the run left alone is in the cache: only the run is limited.
    full = call(command(tmp_path, "full"), file_size=20_000)
    assert full.returncode == 2
    assert full.stdout == ""
    assert full.stderr.count("Error: ") == 1
    assert "Cannot write" in full.stderr
    assert "Traceback" not in full.stderr
    for path in (tmp_path / "full").glob("*/record.json"):
        assert read_record(path.parent).status == "failed"
    again = call(command(tmp_path, "full"))
    assert again.returncode == 0
    assert only_record(tmp_path / "full").auc == pytest.approx(left_alone.auc, abs=1e-6)


def test_a_plugin_from_the_environment_is_in_the_command(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "my_encoder.py"
    source.write_text(MY_ENCODER)
    monkeypatch.setenv("GWBENCH_PLUGINS", str(source))
    monkeypatch.setattr(registry, "_environment_read", False)
    assert f"--plugin {source}" in RunSpec.create(encoder="my-encoder").command()
    assert "--plugin" not in RunSpec.create(encoder="cnn1d").command()


def test_an_encoder_says_what_strain_it_takes(record: RunRecord) -> None:
    encoder = gwbench.load_encoder(folder(record))
    with pytest.raises(UserError, match=r"is not \[N, 3, 5120\]: H1, L1, V1; 4096 samples and a margin of 512"):
        encoder(np.zeros((2, 3, 4096), np.float32))


def test_the_budget_is_stated_in_steps_and_windows(record: RunRecord) -> None:
    assert record.training is not None
    assert len(record.training.loss) == 2
    assert record.budget == (12, 384)  # 192 windows in batches of 32, twice
    assert record.model_copy(update={"training": None}).budget is None
