from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gwbench
from gwbench.experiment.record import RunRecord
from gwbench.experiment.spec import RunSpec
from gwbench.plugins.baselines import fine_tune
from gwbench.plugins.baselines.fine_tune import FineTune
from gwbench.registry import Registry
from gwbench.utils.progress import Progress
from tests.conftest import TINY, TINY_OBJECTIVE, Heard
from tests.plugins.baselines.label_job import ToyJob

SETTINGS: dict[str, Any] = TINY | TINY_OBJECTIVE | {"baseline.epochs": 2, "baseline.batch_size": 16}
ORDINARY = TINY | TINY_OBJECTIVE


def run(out: Path, settings: dict[str, Any] | None = None, **options: Any) -> RunRecord:
    options = {"baseline": "fine-tune", "precision": "fp32", "device": "cpu", "progress": Progress(), **options}
    return gwbench.run(settings=SETTINGS if settings is None else settings, out=out, **options)


def scores(record: RunRecord) -> np.ndarray[Any, Any]:
    with np.load(Path(str(record.folder)) / "predictions.npz", allow_pickle=False) as arrays:
        found: np.ndarray[Any, Any] = arrays["score"]
        return found


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """A run that finds no other to take the encoder from."""
    return run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """The run that pre-trains and probes."""
    return run(tmp_path_factory.mktemp("ordinary"), ORDINARY, baseline=None)


def test_the_record_has_the_pre_training_and_the_fine_tuning(record: RunRecord) -> None:
    assert record.status == "ok"
    assert record.training is not None
    assert len(record.training.loss) == 2
    assert "pretrained_by" not in record.details
    assert len(record.details["training_val_auc"]) == 3
    assert {"pretrain", "baseline"} <= set(record.phases)
    assert {plugin.kind for plugin in record.plugins} == {"dataset", "encoder", "pairing", "objective", "baseline"}
    assert record.spec.title == "fine-tune (cnn1d + cross-detector + barlow)"
    assert not (Path(str(record.folder)) / "checkpoints").exists()


def test_the_command_in_the_record_gives_the_same_spec(record: RunRecord) -> None:
    words = shlex.split(record.command)
    pairs = dict(zip(words[2::2], words[3::2], strict=True))
    sets = [value for flag, value in zip(words[2::2], words[3::2], strict=True) if flag == "--set"]
    again = RunSpec.create(
        baseline=pairs["--baseline"],
        encoder=pairs["--encoder"],
        pairing=pairs["--pairing"],
        objective=pairs["--loss"],
        settings=dict(text.split("=", 1) for text in sets),
        precision=pairs["--precision"],
    )
    assert again.canonical() == record.spec.canonical()


def test_a_finished_run_lends_its_encoder_and_the_numbers_are_the_same(record: RunRecord, ordinary: RunRecord) -> None:
    heard = Heard()
    lent = run(Path(str(ordinary.folder)).parent, progress=heard)
    assert any("Pre-trained already" in line for line in heard.lines)
    assert lent.details["pretrained_by"] == ordinary.run_id
    assert lent.training == ordinary.training
    assert lent.phases["pretrain"] == ordinary.phases["pretrain"]
    assert lent.run_id == record.run_id
    np.testing.assert_allclose(scores(lent), scores(record), rtol=0, atol=1e-6)
    # epoch 0 is that run's probe
    assert lent.details["training_val_auc"][0] == pytest.approx(ordinary.details["probe_val_auc"], abs=0.005)


def test_a_damaged_encoder_is_not_borrowed(record: RunRecord, ordinary: RunRecord, tmp_path: Path) -> None:
    folder = Path(str(ordinary.folder))
    shutil.copytree(folder, tmp_path / folder.name)
    (tmp_path / folder.name / "weights.safetensors").write_bytes(b"cut")
    heard = Heard()
    alone = run(tmp_path, progress=heard)
    assert any("pre-trained again" in line for line in heard.lines)
    assert "pretrained_by" not in alone.details
    np.testing.assert_allclose(scores(alone), scores(record), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "same"), [({"baseline.lr": 1e-3}, True), ({"training.lr": 1e-3}, False), ({"encoder.width": 6}, False)]
)
def test_only_the_same_pre_training_is_borrowed(ordinary: RunRecord, change: dict[str, Any], same: bool) -> None:
    spec = RunSpec.create(baseline="fine-tune", settings=SETTINGS | change, precision="fp32")
    fingerprint = spec.dataset.build("dataset").fingerprint()
    assert (spec.ordinary.run_id(fingerprint) == ordinary.run_id) is same
    assert spec.run_id(fingerprint) != ordinary.run_id


def test_interrupted_in_the_fine_tuning_it_goes_on_behind_the_pre_training(
    record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fine_tune, "train_on_labels", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    resumed = run(tmp_path)
    assert resumed.training is not None
    assert record.training is not None
    assert resumed.training.resumed_from == 2
    assert resumed.training.loss == record.training.loss
    np.testing.assert_allclose(scores(resumed), scores(record), rtol=0, atol=1e-6)


NETWORK = '''
from gwbench.contracts import Pairing, View
from gwbench.registry import register
import torch

@register("pairing", "all-detectors")
class AllDetectors(Pairing):
    """All detectors, twice, with noise besides."""
    network = True
    def __init__(self, info):
        pass
    def pair(self, strain, generator):
        index = torch.arange(strain.shape[1]).expand(strain.shape[:2])
        noise = torch.randn(strain.shape, generator=generator)
        return View(strain, index), View(strain + 0.1 * noise, index)
'''


def test_a_network_encoder_is_fine_tuned_as_one(registry: Registry, tmp_path: Path) -> None:
    source = tmp_path / "all_detectors.py"
    source.write_text(NETWORK)
    done = run(tmp_path, pairing="all-detectors", plugins=[str(source)])
    with np.load(Path(str(done.folder)) / "predictions.npz", allow_pickle=False) as arrays:
        assert arrays["embedding"].shape == (128, 8)  # one embedding, not one per detector
    assert done.status == "ok"


def test_the_encoder_and_the_head_have_rates_of_their_own() -> None:
    """An encoder whose rate is negligible stays as it was, and the head starts as its probe."""
    job = ToyJob()
    before = {name: value.clone() for name, value in job.pretrained().state_dict().items()}
    handed = job.pretrained()
    job.pretrained = lambda: handed  # type: ignore[method-assign]
    FineTune(epochs=2, lr=1e-12).scores(job)
    assert all(np.allclose(value, before[name], rtol=0, atol=1e-9) for name, value in handed.state_dict().items())


def test_a_baseline_that_did_not_say_it_pre_trains_gets_no_encoder(tmp_path: Path, registry: Registry) -> None:
    source = tmp_path / "forgot.py"
    source.write_text(
        "from gwbench.contracts import Baseline\n"
        "from gwbench.registry import register\n\n\n"
        '@register("baseline", "forgot")\n'
        "class Forgot(Baseline):\n"
        '    """Asks for what it did not declare."""\n\n'
        "    needs_encoder = True\n\n"
        "    def scores(self, job):\n"
        "        return job.probe(job.pretrained())\n"
    )
    settings = {key: value for key, value in TINY.items() if not key.startswith("training.")}
    with pytest.raises(TypeError, match="pretrains = True"):
        run(tmp_path, settings, baseline="forgot", plugins=[str(source)], precision="auto")
