"""Objects in place of names: the same numbers, an identity of their own, a record that tells."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightly.loss import NTXentLoss
from torch import Tensor, nn

import gwbench
from gwbench.contracts import Augmentation, InputShape, StrainInfo, View
from gwbench.errors import UserError
from gwbench.experiment.object_plugins import as_plugin
from gwbench.plugins.encoders.resnet1d import ResNet1d
from gwbench.registry import REGISTRY, Plugin
from gwbench.registry.object_identity import identify
from tests.data.test_array_dataset import strain_of

QUICK: dict[str, Any] = {"training.epochs": 2, "training.batch_size": 32, "conditioning.high": 400}


class Loudest(nn.Module):
    """The loudest moment of every channel."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(1, width, 32, stride=8), nn.BatchNorm1d(width))

    def forward(self, strain: Tensor) -> Tensor:
        loudest: Tensor = self.layers(strain).abs().amax(2)
        return loudest


class Louder(Augmentation):
    """Twice as loud."""

    def __init__(self, info: StrainInfo, *, factor: float = 2.0) -> None:
        self.factor = factor

    def augment(self, view: View, generator: torch.Generator) -> View:
        return View(self.factor * view.samples, view.detectors)


def resnet(shape: InputShape) -> nn.Module:
    network: nn.Module = ResNet1d(shape, width=2)
    return network


def pull(a: Tensor, b: Tensor) -> Tensor:
    return -nn.functional.cosine_similarity(a, b).mean()


@pytest.fixture(scope="module")
def data() -> gwbench.ArrayDataset:
    strain = strain_of(160, samples=1024)
    time = np.arange(1024) / 1024
    strain[1::2] += 3e-21 * np.sin(2 * np.pi * (60 + 30 * time) * time) * np.exp(-(((time - 0.5) / 0.1) ** 2))
    return gwbench.ArrayDataset(strain, np.arange(160) % 2, sample_rate=1024, detectors=("H1", "L1"))


def run(data: Any, out: Path, **more: Any) -> gwbench.RunRecord:
    given: dict[str, Any] = {"pairing": "any-pair", "precision": "fp32", "settings": QUICK, "out": out, "dataset": data}
    return gwbench.run(**given | more)


@pytest.fixture(scope="module")
def finished(data: gwbench.ArrayDataset, tmp_path_factory: Any) -> gwbench.RunRecord:
    return run(data, tmp_path_factory.mktemp("objects"), encoder=Loudest, objective=NTXentLoss(), augmentations=Louder)


def test_shipped_parts_as_objects_give_the_numbers_that_they_give_by_name(data: Any, tmp_path: Path) -> None:
    names = {"encoder.width": 2}
    by_name = run(data, tmp_path, encoder="resnet1d", objective="simclr", settings=QUICK | names)
    loss = NTXentLoss(0.5, gather_distributed=True)
    by_object = run(data, tmp_path, encoder=resnet, objective=loss)
    assert by_object.training and by_name.training
    assert by_object.training.loss == by_name.training.loss
    assert by_object.metrics == by_name.metrics
    assert by_object.run_id != by_name.run_id
    assert by_name.objects and {each.kind for each in by_name.objects} == {"dataset"}


def test_the_record_holds_what_was_given_and_no_command_that_fails(finished: gwbench.RunRecord) -> None:
    assert finished.objects
    by_kind = {each.kind: each for each in finished.objects}
    assert list(by_kind) == ["dataset", "encoder", "augmentation", "objective"]
    assert "class Loudest(nn.Module)" in by_kind["encoder"].source
    assert by_kind["encoder"].class_name == f"{__name__}.Loudest"
    assert finished.command.startswith("gwbench.run(") and "encoder=Loudest" in finished.command
    assert "objective=NTXentLoss" in finished.command and "augmentations=[Louder]" in finished.command
    assert finished.spec.title == "loudest + any-pair + louder + nt-xent-loss"
    again = gwbench.read_record(Path(finished.folder or ""))
    assert again.objects == finished.objects
    assert gwbench.leaderboard(Path(finished.folder or "").parent).to_pandas().shape[0] == 1


def test_the_same_call_does_the_work_once_and_a_changed_object_is_another_run(data: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Loudest()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first = run(data, tmp_path, encoder=network, objective=pull)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name])  # a copy was trained
    assert run(data, tmp_path, encoder=network, objective=pull).created == first.created
    with torch.no_grad():
        next(network.parameters()).add_(1e-3)
    assert run(data, tmp_path, encoder=network, objective=pull).run_id != first.run_id
    assert not any(plugin.given for plugin in REGISTRY.loaded())


def test_the_encoder_alone_is_needed_to_load_it(finished: gwbench.RunRecord) -> None:
    folder, strain = finished.folder or "", strain_of(4, samples=1024)
    with pytest.raises(UserError, match=r"was an object, .*Loudest.*encoder=Loudest"):
        gwbench.load_encoder(folder)
    with pytest.raises(UserError, match="encoder=Loudest"):
        gwbench.load_scorer(folder)
    embeddings = gwbench.load_encoder(folder, encoder=Loudest)(strain)
    assert embeddings.shape == (4, 16)
    np.testing.assert_array_equal(embeddings, gwbench.load_encoder(folder, encoder=Loudest())(strain))
    scorer = gwbench.load_scorer(folder, encoder=Loudest)
    np.testing.assert_allclose(gwbench.predict(scorer, strain).score, scorer.score(strain).log_odds, rtol=1e-5)
    with pytest.raises(UserError, match="There is no whole encoder"):
        gwbench.load_encoder(folder, encoder=lambda: Loudest(width=4))


def test_baselines_take_objects_too(data: Any, tmp_path: Path) -> None:
    settings = {"conditioning.high": 400, "baseline.epochs": 1, "baseline.epoch_steps": 2}
    record = gwbench.run(baseline="supervised", encoder=Loudest, dataset=data, settings=settings, out=tmp_path)
    assert record.spec.title == "supervised (loudest)"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"encoder": nn.Conv1d(1, 4, 8)}, r"Conv1d gives \[2, 4, 1017\].*one vector a window"),
        ({"encoder": nn.Linear(7, 3)}, "Linear fails on strain of shape"),
        ({"encoder": 3}, "encoder=3 is no encoder"),
        ({"dataset": np.zeros((4, 2, 64))}, r"Wrap arrays: gwbench\.ArrayDataset"),
        ({"pairing": nn.Identity()}, "is no pairing"),
        ({"objective": lambda a, b: a - b}, r"The loss gives shape \[32, 128\]"),
        ({"augmentations": ["time-shift", 4]}, "augmentation=4 is no augmentation"),
        ({"augmentations": "time-shfit"}, "There is no augmentation 'time-shfit'"),
        ({"devices": 2}, "cannot be handed objects"),
    ],
)
def test_what_is_nothing_of_its_kind_is_refused(data: Any, tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(**{"data": data, "out": tmp_path, "encoder": Loudest, "objective": pull, **given})


def test_names_do_not_hide_what_is_registered() -> None:
    hiding = type("ResNet1d", (Loudest,), {"__module__": __name__, "__doc__": "Another."})
    plugin = as_plugin("encoder", hiding)
    assert isinstance(plugin, Plugin) and plugin.name == "res-net1d"
    assert as_plugin("encoder", ResNet1d) == "resnet1d"


SOURCE = """
import torch
SCALE = 2.0
def helper(x):
    return SCALE * x
class Net(torch.nn.Module):
    def forward(self, x):
        return helper(x).amax(2)
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("SCALE = 2.0", "SCALE = 3.0", False),
        ("return SCALE * x", "return SCALE + x", False),
        ("amax(2)", "amin(2)", False),
        ("def helper(x):", "def helper(x):  # why", True),
        ("import torch", "import torch\nUNUSED = 1", True),
    ],
)
def test_code_counts_as_far_as_it_is_used(tmp_path: Path, old: str, new: str, same: bool) -> None:
    def loaded(text: str, name: str) -> Any:
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location("own_net", path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(__import__("sys").modules, "own_net", module)
            spec.loader.exec_module(module)
            return identify(module.Net())

    before, after = loaded(SOURCE, "before"), loaded(SOURCE.replace(old, new), "after")
    assert ((before.source_hash, before.state_hash) == (after.source_hash, after.state_hash)) == same


def test_code_without_a_source_is_told_apart() -> None:
    def typed(factor: int) -> Any:
        names: dict[str, Any] = {"__name__": "typed_in"}
        exec(f"def loss(a, b):\n    return ({factor} * (a - b) ** 2).mean()", names)
        return names["loss"]

    assert identify(typed(2)) == identify(typed(2)) != identify(typed(3))
    assert identify(typed(2)).source == ""
