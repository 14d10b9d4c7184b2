"""A run as a file that other programs load: the same numbers for any number of windows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner

import gwbench
from gwbench.cli.export import export as verb
from gwbench.contracts import InputShape
from gwbench.errors import UserError
from gwbench.experiment.record import RunRecord
from gwbench.nn.detector_encoder import DetectorEncoder, frozen_embedding
from gwbench.nn.layers import Convolution, GeM, Layers, conv
from gwbench.preprocessing.conditioning import fit_to_strain
from gwbench.preprocessing.settings import Conditioning
from gwbench.registry import REGISTRY
from gwbench.sharing import export_formats as formats
from gwbench.sharing.constants import fold_constants
from gwbench.sharing.plain_conditioning import plain_conditioning
from gwbench.sharing.plain_layers import PlainEncoder, plain
from gwbench.utils.progress import Progress
from tests.conftest import TINY, TINY_OBJECTIVE

SHAPE = InputShape(channels=2, samples=4096, sample_rate=2048.0)

SMALL: dict[str, dict[str, Any]] = {
    "cnn1d": {"width": 2, "embed_dim": 4, "stride": 8},
    "cqt2d": {"backbone": "test_resnet", "embed_dim": 4, "n_bins": 24, "fmin": 40.0},
    "inceptiontime": {"width": 2, "embed_dim": 4, "groups": 1, "modules": 1, "stride": 8},
    "patch-transformer": {"width": 8, "embed_dim": 4, "depth": 1, "heads": 2},
    "resnet1d": {"width": 2, "embed_dim": 4, "layers": (1, 1)},
    "s4d": {"width": 4, "embed_dim": 4, "depth": 1, "states": 4},
    "shared-towers": {"tower_width": 2, "width": 2, "embed_dim": 4, "stride": 8},
}


def network(name: str) -> DetectorEncoder:
    target: Any = REGISTRY.get("encoder", name).target
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DetectorEncoder(lambda: target(SHAPE, **SMALL[name]), [[0, 1]], network=True).eval()


def test_every_shipped_encoder_is_tried() -> None:
    shipped = {
        path.stem.replace("_", "-") for path in (Path(__file__).parents[2] / "plugins" / "encoders").glob("*.py")
    }
    assert set(SMALL) == shipped - {"--init--"}


@pytest.mark.parametrize("how", formats.FORMATS)
@pytest.mark.parametrize("name", SMALL)
def test_every_shipped_encoder_gives_its_numbers_in_every_format(
    name: str, how: formats.Format, tmp_path: Path
) -> None:
    encoder = network(name)
    path = tmp_path / f"encoder{formats.SUFFIXES[how][0]}"
    example = torch.randn(formats.BATCH, 2, 4096, generator=torch.Generator().manual_seed(0))
    formats.write(PlainEncoder(encoder).eval(), example, path, how, ("embedding",), {"run_id": "1", "gwbench": "0"})
    loaded = formats.load(path, how)
    for size in (1, 4):
        strain = torch.randn(size, 2, 4096, generator=torch.Generator().manual_seed(size))
        with torch.no_grad():
            (found,) = loaded(strain)
        wanted = frozen_embedding(encoder, strain)
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=0, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("how", ["torchscript", "torch-export"])
def test_a_network_that_fixes_the_number_of_windows_is_refused(
    how: formats.Format, record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`len` of a tensor is a number of Python's, which a graph holds as it was."""
    right = PlainEncoder.forward
    monkeypatch.setattr(PlainEncoder, "forward", lambda own, x: right(own, x) + torch.zeros(len(x), 1))
    with pytest.raises(UserError, match=f"cannot be written as {how}: .* Try"):
        gwbench.export(record, format=how, path=tmp_path / f"a{formats.SUFFIXES[how][0]}", progress=Progress())
    assert list(tmp_path.iterdir()) == []


def test_layers_of_torch_alone_are_left_and_give_the_same_numbers() -> None:
    torch.manual_seed(0)
    own = Layers(
        conv(1, 64, 32), torch.nn.BatchNorm2d(64), torch.nn.SiLU(), GeM(2), conv(64, 64, 32, padded=True), GeM()
    )
    own.eval()
    made = plain(own)
    assert not any(isinstance(each, (Convolution, Layers, GeM)) for each in made.modules())
    assert any(isinstance(each, Convolution) for each in own.modules())
    strain = torch.randn(2, 1, 1, 600)
    with torch.no_grad():
        np.testing.assert_allclose(made(strain).numpy(), own(strain).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize(("method", "margin"), [("whiten", 0), ("whiten", 300), ("seed", 100)])
def test_conditioning_is_the_runs_own(method: Any, margin: int, power_of_two: bool) -> None:
    """A window of 1500 samples is no power of two; the margin of 300 is longer than the filter's reach."""
    strain = np.random.default_rng(0).normal(size=(24, 2, 1500 + 2 * margin)) * 1e-21
    conditioner = fit_to_strain(
        strain,
        sample_rate=1024.0,
        margin=margin,
        detectors=("H1", "L1"),
        settings=Conditioning(method=method, high=400.0),
    )
    given = torch.from_numpy(strain[:3].astype(np.float32))
    wanted, found = conditioner(given), plain_conditioning(conditioner, power_of_two=power_of_two)(given)
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=2e-5 * float(wanted.std()))


def test_constants_are_folded() -> None:
    class Decay(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("rate", torch.tensor([0.5, 2.0]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            rate: torch.Tensor = self.get_buffer("rate")
            return x * torch.complex(rate, rate).exp().abs()

    strain = torch.ones(3, 2)
    graph = torch.export.export(Decay(), (strain,)).run_decompositions({}).module()
    fold_constants(graph)
    assert "exp" not in str(graph.graph)
    np.testing.assert_allclose(graph(strain)[0].numpy(), np.exp([0.5, 2.0]), rtol=1e-6)


# --- runs ---


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return gwbench.run(
        settings=TINY | TINY_OBJECTIVE | {"dataset.detectors": ("H1", "L1")},
        encoder_groups="each",
        precision="fp32",
        device="cpu",
        out=tmp_path_factory.mktemp("runs"),
        progress=Progress(),
    )


@pytest.fixture(scope="module")
def strain() -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).normal(size=(4, 2, 5120)) * 1e-21


def test_the_whole_of_a_run_scores_strain_in_onnxruntime_as_the_run_does(
    record: RunRecord, strain: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    made = gwbench.export(record, what="whole", path=tmp_path / "search.onnx", progress=Progress())
    session = onnxruntime.InferenceSession(str(made.path), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    assert names == ["embedding", "log_odds", "probability"]
    assert [each.name for each in session.get_inputs()] == ["strain"]
    assert session.get_inputs()[0].shape == ["batch", 2, 5120]
    found = dict(zip(names, session.run(None, {"strain": strain.astype(np.float32)}), strict=True))
    scorer, encoder = gwbench.load_scorer(str(record.folder)), gwbench.load_encoder(str(record.folder))
    wanted = scorer.scorer(scorer.conditioner(strain)).numpy()
    embedding = encoder(strain)
    np.testing.assert_allclose(found["embedding"], embedding, atol=1e-4 * np.sqrt((embedding**2).mean()))
    np.testing.assert_allclose(found["log_odds"], wanted, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found["probability"], scorer.calibration.probability(wanted), atol=1e-4)
    told = {each.key: each.value for each in onnx.load(made.path).metadata_props}
    assert json.loads(told["gwbench"]) == made.metadata
    assert told["run_id"] == record.run_id
    assert made.metadata["detectors"] == ["H1", "L1"]
    assert (made.metadata["window"], made.metadata["margin"]) == (4096, 512)
    assert made.difference["embedding"] <= made.tolerance["embedding"] == 1e-4


def test_the_verb_writes_torchscript_with_its_metadata(record: RunRecord, tmp_path: Path) -> None:
    path = tmp_path / "encoder.pt"
    words = [str(record.folder), "--format", "torchscript", "--out", str(path), "--json"]
    done = CliRunner().invoke(verb, words, catch_exceptions=False)
    shown = json.loads(done.stdout)
    assert shown["path"] == str(path)
    assert shown["largest_difference"] < 1e-5
    extra = {formats.METADATA: ""}
    with pytest.warns(FutureWarning):
        script = torch.jit.load(str(path), _extra_files=extra)
    assert json.loads(extra[formats.METADATA]) == shown["metadata"]
    assert script(torch.zeros(7, 2, 4096)).shape == (7, 16)


def test_a_file_that_disagrees_is_not_kept(record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = formats.load
    monkeypatch.setattr(formats, "load", lambda *given: lambda x: [1.001 * each for each in right(*given)(x)])
    with pytest.raises(UserError, match=r"disagrees with the run: embedding by 0\.00.* It was not kept"):
        gwbench.export(record, format="torchscript", path=tmp_path / "a.pt", progress=Progress())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "onxx"}, "expected onnx, torchscript, torch-export. Did you mean 'onnx'"),
        ({"what": "all"}, "what='all': expected encoder, scorer, whole"),
        ({"format": "onnx", "path": "a.pt"}, r"a file of onnx has a name that ends in \.onnx"),
    ],
)
def test_what_is_not_known_is_refused(record: RunRecord, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        gwbench.export(record, **options)


def test_onnx_without_its_packages_says_how_to_get_them(record: RunRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'gwbench-ssl\[export\]'"):
        gwbench.export(record)


def test_a_damaged_run_is_refused(record: RunRecord, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(str(record.folder), tmp_path / "run"))
    (folder / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match="There is no whole encoder"):
        gwbench.export(folder, format="torchscript", progress=Progress())
    with pytest.raises(UserError, match="There is no record"):
        gwbench.export(tmp_path, format="torchscript", progress=Progress())


def test_a_baseline_without_an_encoder_exports_its_scorer(tmp_path: Path) -> None:
    settings = {key: value for key, value in TINY.items() if key.startswith("dataset.")}
    made: Callable[..., RunRecord] = gwbench.run
    record = made(baseline="band-power", settings=settings, out=tmp_path, device="cpu", progress=Progress())
    with pytest.raises(UserError, match="has no encoder: band-power scores without one"):
        gwbench.export(record, format="torchscript", progress=Progress())
    done = gwbench.export(record, format="torchscript", what="whole", progress=Progress())
    assert set(done.difference) == {"log_odds", "probability"}
    assert done.path == Path(str(record.folder)) / "whole.pt"
