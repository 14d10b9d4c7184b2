from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import gwbench
from gwbench.contracts import Encoder, Objective, Pairing, StrainInfo, View
from gwbench.experiment import train_encoder
from gwbench.experiment.record import DIAGNOSTICS, RunRecord
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.training import diagnostics
from gwbench.training.diagnostics import DIMENSIONS, cross_correlation, diagnose
from gwbench.training.method import SslMethod
from gwbench.utils.progress import Progress
from tests.conftest import TINY, TINY_OBJECTIVE, Heard

Arrays = dict[str, np.ndarray[Any, Any]]

WINDOWS, SAMPLES = 150, 8
DRAWS_KEPT: list[Tensor] = []


class Restless(Encoder):
    """Draws from the global generator even in evaluation, and would drop out in training."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_dim = SAMPLES
        self.norm = nn.BatchNorm1d(SAMPLES)
        self.drop = nn.Dropout(0.5)

    def forward(self, strain: Tensor) -> Tensor:
        DRAWS_KEPT.append(torch.rand(3))
        out: Tensor = self.drop(self.norm(strain[:, 0]))
        return out


class TwoDetectors(Pairing):
    """Detector 0 and detector 1, one in four windows of noise instead."""

    def __init__(self, info: StrainInfo | None = None) -> None:
        return

    def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        noise = torch.randn(strain[:, :1].shape, generator=generator)
        replaced = (torch.rand(len(strain), 1, 1, generator=generator) < 0.25).float()
        zeros = torch.zeros(len(strain), 1, dtype=torch.long)
        return View(strain[:, :1], zeros), View(strain[:, 1:] * (1 - replaced) + noise * replaced, zeros + 1)


class Bare(Objective):
    """Compares the embeddings themselves."""

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().mean()


class Wide(Bare):
    def __init__(self, width: int) -> None:
        super().__init__(SAMPLES)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.projector = nn.Sequential(nn.Linear(SAMPLES, width), nn.BatchNorm1d(width))


class OneSided(Bare):
    """Gives another width for every view it is asked about."""

    def project(self, embedding: Tensor) -> Tensor:
        self.width = getattr(self, "width", 2) + 1
        return embedding[:, : self.width]


def method(objective: Objective) -> SslMethod:
    return SslMethod(DetectorEncoder(Restless, [[0, 1]]), TwoDetectors(), [], objective)


def strain() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    common = torch.randn(WINDOWS, 1, SAMPLES, generator=generator)
    return common + 0.5 * torch.randn(WINDOWS, 2, SAMPLES, generator=generator)


# --- the matrix ---


def test_the_matrix_is_pearsons_correlation_of_every_pair_of_dimensions() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(3.0, 2.0, (400, 5))
    b = np.roll(a, 1, axis=1) * 10.0 + rng.normal(size=(400, 5))
    expected = np.corrcoef(a, b, rowvar=False)[:5, 5:]
    found = cross_correlation(torch.from_numpy(a).float(), torch.from_numpy(b).float())
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    assert np.abs(expected).max() > 0.9


def test_equal_views_correlate_fully_and_a_constant_dimension_with_nothing() -> None:
    a = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    a[:, 1] = 0.1
    found = cross_correlation(a, a)
    np.testing.assert_allclose(found.diagonal(), [1, 0, 1], atol=1e-12)
    assert not found[1].any()
    assert not found[:, 1].any()


# --- what is kept of a method ---


def test_projections_are_standardised_over_all_windows_not_chunk_by_chunk() -> None:
    what = method(Bare(SAMPLES))
    windows = strain()
    found = diagnose(what, windows, seed=4, device="cpu")
    generator = gwbench.seeds.torch_generator(4, "diagnostics")
    a, b = TwoDetectors().pair(windows, generator)
    # BatchNorm that has seen nothing divides by sqrt(1 + eps), which no correlation notices.
    expected = np.corrcoef(a.samples[:, 0], b.samples[:, 0], rowvar=False)[:SAMPLES, SAMPLES:]
    assert WINDOWS > 2 * diagnostics.PROJECTION_CHUNK
    np.testing.assert_allclose(found["cross_correlation"], expected, atol=1e-3)
    assert np.diag(expected).min() > 0.3
    assert found["cross_correlation"].dtype == np.float16
    assert [int(found["width"]), int(found["windows"])] == [SAMPLES, WINDOWS]
    assert found["dimension"].tolist() == list(range(SAMPLES))


def test_of_wide_projections_an_evenly_spaced_choice_of_dimensions_is_kept() -> None:
    wide = 4 * DIMENSIONS
    found = diagnose(method(Wide(wide)), strain(), seed=0, device="cpu")
    assert found["cross_correlation"].shape == (DIMENSIONS, DIMENSIONS)
    assert found["width"] == wide
    assert [found["dimension"][0], found["dimension"][-1]] == [0, wide - 1]
    assert set(np.diff(found["dimension"])) <= {3, 4, 5}


def test_nothing_is_changed_by_looking() -> None:
    what = method(Wide(4))
    what.encoder.train()
    what.objective.train()
    what.objective.projector[1].eval()  # type: ignore[union-attr, index]
    before = {name: value.clone() for name, value in [*what.encoder.state_dict().items(),
                                                      *what.objective.state_dict().items()]}  # fmt: skip
    modes = [module.training for module in [*what.encoder.modules(), *what.objective.modules()]]
    windows = strain()
    copy = windows.clone()
    DRAWS_KEPT.clear()
    state = torch.get_rng_state()
    first = diagnose(what, windows, seed=0, device="cpu")
    draws = [draw.clone() for draw in DRAWS_KEPT]
    torch.rand(7)
    again = diagnose(what, windows, seed=0, device="cpu")
    assert torch.equal(torch.rand(3), torch.rand(10, generator=torch.Generator().set_state(state))[7:])
    assert torch.equal(windows, copy)
    after = {**what.encoder.state_dict(), **what.objective.state_dict()}
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert modes == [module.training for module in [*what.encoder.modules(), *what.objective.modules()]]
    assert True in modes
    assert False in modes
    np.testing.assert_array_equal(first["cross_correlation"], again["cross_correlation"])
    assert len(draws) == 6  # three chunks of either view
    assert all(torch.equal(one, other) for one, other in zip(draws, DRAWS_KEPT[6:], strict=True))


def test_other_seeds_draw_other_views() -> None:
    one, other = (diagnose(method(Bare(SAMPLES)), strain(), seed=seed, device="cpu") for seed in (0, 1))
    assert np.abs(one["cross_correlation"] - other["cross_correlation"]).max() > 0.01


@pytest.mark.parametrize("objective", [OneSided(SAMPLES)])
def test_views_whose_projections_are_of_two_shapes_leave_nothing(objective: Objective) -> None:
    assert diagnose(method(objective), strain()[:10], seed=0, device="cpu") == {}


# --- in a run ---


def run(out: Path, **options: Any) -> RunRecord:
    settings = {**TINY, **TINY_OBJECTIVE, **options.pop("settings", {})}
    given = {"precision": "fp32", "device": "cpu", "progress": Progress(), **options}
    return gwbench.run(settings=settings, out=out, **given)


def kept(record: RunRecord) -> Arrays:
    assert record.folder
    with np.load(Path(record.folder) / DIAGNOSTICS, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return run(tmp_path_factory.mktemp("looked-at"))


def test_a_run_keeps_the_matrix_of_its_training_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[SslMethod, Tensor]] = []

    def spied(what: SslMethod, windows: Tensor, **options: Any) -> Arrays:
        seen.append((what, windows))
        return diagnose(what, windows, **options)

    monkeypatch.setattr(train_encoder, "diagnose", spied)
    found = kept(run(tmp_path, seed=5, settings={"training.epochs": 1}))
    ((what, windows),) = seen
    views = what.views(windows, gwbench.seeds.torch_generator(5, "diagnostics"))
    with torch.inference_mode():
        a, b = (what.objective.projector.eval()(what.encoder.eval()(view)).numpy() for view in views)  # type: ignore[union-attr]
    assert windows.shape == (192, 3, 4096)
    assert a.shape == (192, 16)
    np.testing.assert_allclose(found["cross_correlation"], np.corrcoef(a, b, rowvar=False)[:16, 16:], atol=2e-3)
    assert [int(found["width"]), int(found["windows"])] == [16, 192]


def test_a_run_gives_the_same_numbers_as_one_that_is_not_looked_at(
    looked_at: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_encoder, "diagnose", lambda *_, **__: {})
    without = run(tmp_path)
    assert without.folder
    assert looked_at.folder
    assert not (Path(without.folder) / DIAGNOSTICS).exists()
    one, other = (load_file(Path(str(each.folder)) / "weights.safetensors") for each in (looked_at, without))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert looked_at.metrics == without.metrics
    assert looked_at.training == without.training


def test_an_objective_that_models_each_view_by_itself_leaves_none(tmp_path: Path) -> None:
    heard = Heard()
    settings = {"objective.hidden_dim": 16, "training.epochs": 1}
    record = gwbench.run(objective="masked-strain", settings={**TINY, **settings}, out=tmp_path, precision="fp32",
                         device="cpu", progress=heard)  # fmt: skip
    assert record.folder
    assert record.status == "ok"
    assert not (Path(record.folder) / DIAGNOSTICS).exists()
    assert not any("cross-correlation" in line for line in heard.lines)


def test_a_trained_run_outlives_an_objective_that_cannot_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def project(self: Objective, embedding: Tensor) -> Tensor:
        raise TypeError("this head takes two views")

    monkeypatch.setattr(Objective, "project", project)
    heard = Heard()
    record = run(tmp_path, progress=heard, settings={"training.epochs": 1})
    assert record.status == "ok"
    assert [line for line in heard.lines if "this head takes two views" in line]
