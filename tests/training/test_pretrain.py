from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gwbench.contracts import Encoder, Objective, Pairing, Split, StrainInfo, View
from gwbench.dataloading.conditioned_split import ConditionedStrain
from gwbench.errors import UserError
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.training.collapse import collapse, warning
from gwbench.training.epoch_batches import EpochBatches
from gwbench.training.method import SslMethod
from gwbench.training.pretrain import Pretraining, Trained, pretrain
from gwbench.training.settings import TrainingSettings
from gwbench.utils.progress import Progress

WINDOWS, SAMPLES = 48, 16


class Linear(Encoder):
    def __init__(self) -> None:
        super().__init__()
        self.embed_dim = 4
        self.net = nn.Sequential(nn.Linear(SAMPLES, 4), nn.Dropout(0.5))

    def forward(self, strain: Tensor) -> Tensor:
        out: Tensor = self.net(strain[:, 0])
        return out


class FirstTwo(Pairing):
    """Notes the windows of every step by their first sample."""

    def __init__(self, info: StrainInfo | None = None) -> None:
        self.seen: list[list[float]] = []

    def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        self.seen.append(strain[:, 0, 0].tolist())
        zeros = torch.zeros(len(strain), 1, dtype=torch.long)
        return View(strain[:, :1], zeros), View(strain[:, 1:], zeros + 1)


class Agreement(Objective):
    """Notes its steps."""

    def __init__(self) -> None:
        super().__init__(4)
        self.steps: list[tuple[int, int]] = []

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().mean()

    def after_step(self, step: int, total_steps: int) -> None:
        self.steps.append((step, total_steps))


def method() -> SslMethod:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = DetectorEncoder(Linear, [[0, 1]])
    return SslMethod(encoder, FirstTwo(), [], Agreement())


def strain() -> ConditionedStrain:
    windows = np.random.default_rng(0).normal(size=(WINDOWS, 2, SAMPLES)).astype(np.float32)
    windows[:, 0, 0] = np.arange(WINDOWS)
    nothing = np.full(WINDOWS, np.nan, np.float32)
    split = Split(windows, np.full(WINDOWS, -1, np.int8), nothing)

    def as_it_is(strain: np.ndarray[Any, Any], *, split: str, positions: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(strain)

    return ConditionedStrain(split, as_it_is, "train")  # type: ignore[arg-type]


def train(folder: Path, what: SslMethod, **settings: object) -> Trained:
    chosen = TrainingSettings.model_validate({"epochs": 3, "batch_size": 20, **settings})
    return pretrain(what, strain(), chosen, seed=0, precision="fp32", device="cpu", folder=folder, progress=Progress())


def test_an_epoch_sees_no_window_twice_and_each_epoch_another_order(tmp_path: Path) -> None:
    what = method()
    train(tmp_path, what)
    assert isinstance(what.pairing, FirstTwo)
    epochs = [what.pairing.seen[start] + what.pairing.seen[start + 1] for start in (0, 2, 4)]
    assert len(what.pairing.seen) == 6
    assert all(len(set(epoch)) == 40 for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_batches_are_a_permutation_drawn_from_the_seed_and_the_epoch() -> None:
    batches = EpochBatches(10, 5, seed=3)
    first = torch.cat(list(batches)).tolist()
    batches.set_epoch(1)
    second = torch.cat(list(batches)).tolist()
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    batches.set_epoch(0)
    assert torch.cat(list(batches)).tolist() == first


def test_the_objective_is_told_of_every_step(tmp_path: Path) -> None:
    what = method()
    train(tmp_path, what)
    assert isinstance(what.objective, Agreement)
    assert what.objective.steps == [(step, 6) for step in range(1, 7)]


def global_numpy_state() -> np.ndarray[Any, Any]:
    state: dict[str, Any] = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    key: np.ndarray[Any, Any] = state["key"]
    return key


def test_training_touches_no_global_generator_though_the_encoder_has_dropout(tmp_path: Path) -> None:
    torch_state, numpy_state = torch.get_rng_state(), global_numpy_state()
    first, second = train(tmp_path / "a", method()), train(tmp_path / "b", method())
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(global_numpy_state(), numpy_state)
    assert first.loss == second.loss


@pytest.mark.parametrize(("optimizer", "lr"), [("adamw", 0.05), ("lars", 5.0)])
def test_either_optimiser_lowers_the_loss(tmp_path: Path, optimizer: str, lr: float) -> None:
    trained = train(tmp_path, method(), optimizer=optimizer, epochs=20, lr=lr, warmup=0)
    assert trained.loss[-1] < 0.5 * trained.loss[0]


def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine() -> None:
    module = Pretraining(method(), TrainingSettings(epochs=10, lr=0.1, warmup=0.2), seed=0, total_steps=100)
    found = module.configure_optimizers()
    optimizer, scheduler = found["optimizer"], found["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert max(rates) == pytest.approx(0.1)
    assert rates[10] == pytest.approx(0.05, rel=0.15)
    assert rates[60] == pytest.approx(0.1 * 0.5 * (1 + math.cos(math.pi * 0.5)), abs=0.003)
    assert rates[-1] < 0.001


def test_biases_and_norms_do_not_decay() -> None:
    module = Pretraining(method(), TrainingSettings(weight_decay=0.3), seed=0, total_steps=10)
    decayed, spared = module.configure_optimizers()["optimizer"].param_groups
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in spared["params"]} == {1}
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.3, 0.0)


def test_a_checkpoint_that_cannot_be_read_is_said_and_training_starts_over(tmp_path: Path) -> None:
    said: list[str] = []

    class Heard(Progress):
        def say(self, message: str) -> None:
            said.append(message)

    (tmp_path / "last.ckpt").write_bytes(b"half a checkpoint")
    settings = TrainingSettings(epochs=1, batch_size=20)
    trained = pretrain(
        method(), strain(), settings, seed=0, precision="fp32", device="cpu", folder=tmp_path, progress=Heard()
    )
    assert trained.resumed_from == 0
    assert any("cannot be read" in line for line in said)
    torch.load(tmp_path / "last.ckpt", weights_only=True)


def test_a_batch_too_small_for_the_objective_is_refused(tmp_path: Path) -> None:
    what = method()
    what.objective.min_batch = 32  # type: ignore[misc]
    with pytest.raises(UserError, match="needs a batch of at least 32"):
        train(tmp_path, what)


# --- collapse ---


def test_directions_that_fill_the_sphere_have_spread_one_and_full_rank() -> None:
    embedding = torch.randn(4000, 32, generator=torch.Generator().manual_seed(0))
    found = collapse(embedding)
    assert found["spread"] == pytest.approx(1.0, abs=0.02)
    assert found["effective_rank"] == pytest.approx(32, rel=0.01)
    assert warning(found) is None


def test_constant_embeddings_have_collapsed() -> None:
    found = collapse(torch.ones(100, 32))
    assert found == {"spread": pytest.approx(0.0, abs=1e-12), "effective_rank": 0.0}
    assert "collapsed" in str(warning(found))


def test_embeddings_on_a_line_have_rank_one() -> None:
    line = torch.randn(500, 1, generator=torch.Generator().manual_seed(0)) * torch.ones(1, 32)
    found = collapse(line)
    assert found["effective_rank"] == pytest.approx(1.0, abs=1e-3)
    assert warning(found) is not None
