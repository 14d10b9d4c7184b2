"""What an encoder's fixed front end gives is computed once per view, and once per window where views do not change."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gwbench import seeds
from gwbench.conformance.toys import strain_info
from gwbench.contracts import (
    Augmentation,
    Encoder,
    FrontEndFeatures,
    InputShape,
    Objective,
    Pairing,
    Split,
    StrainInfo,
    View,
)
from gwbench.dataloading.conditioned_split import ConditionedStrain
from gwbench.nn.detector_encoder import DetectorEncoder, frozen_embedding
from gwbench.plugins.augmentations.polarity_flip import PolarityFlip
from gwbench.plugins.encoders.cqt2d import Cqt2d
from gwbench.plugins.objectives.barlow import Barlow
from gwbench.plugins.objectives.byol import Byol
from gwbench.plugins.objectives.masked_strain import MaskedStrain
from gwbench.plugins.pairings.any_pair import AnyPair
from gwbench.plugins.pairings.cross_detector import CrossDetector
from gwbench.plugins.pairings.noise_injection import NoiseInjectionPairing
from gwbench.plugins.pairings.same_detector import SameDetector
from gwbench.training.front_end_cache import FrontEndCache
from gwbench.training.method import SslMethod
from gwbench.training.pretrain import pretrain
from gwbench.training.settings import TrainingSettings
from gwbench.training.supervised import Settings, train_on_labels
from gwbench.utils.progress import Progress, ProgressTask
from tests.conftest import Heard
from tests.plugins.baselines.label_job import ToyJob, toy_splits

WINDOWS, DETECTORS, SAMPLES = 40, 3, 4096


class Blocks(Encoder):
    """Mean squares of blocks of strain, then a linear layer; notes how many channels its front end was given."""

    fixed_front_end = True

    def __init__(self, samples: int = SAMPLES, channels: int = 1, blocks: int = 8) -> None:
        super().__init__()
        self.embed_dim, self.blocks = 4, blocks
        self.net = nn.Linear(channels * blocks, 4)
        self.given: list[int] = []
        self.given_in_training: list[int] = []

    def front_end(self, strain: Tensor) -> Tensor:
        self.given.append(strain.shape[0] * strain.shape[1])
        if self.training:
            self.given_in_training.append(self.given[-1])
        features: Tensor = strain.unflatten(2, (self.blocks, -1)).square().mean(3)
        return features

    def body(self, features: Tensor) -> Tensor:
        out: Tensor = self.net(features.flatten(1))
        return out

    def forward(self, strain: Tensor) -> Tensor:
        return self.body(self.front_end(strain))


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def networks(encoder: DetectorEncoder) -> list[Any]:
    return list(encoder.encoders)


def view_of(strain: Tensor, *detectors: int) -> View:
    index = torch.tensor(detectors).expand(len(strain), -1)
    return View(strain[:, list(detectors)], index)


# --- one view ---


def test_an_encoder_and_its_copy_share_what_a_view_gives() -> None:
    encoder = DetectorEncoder(Blocks, [[0, 1, 2]])
    target = DetectorEncoder(Blocks, [[0, 1, 2]])
    view = view_of(noise(5, 3, SAMPLES), 1)
    (network,), (copy,) = networks(encoder), networks(target)
    assert torch.equal(encoder(view), network(view.samples))
    assert torch.equal(target(view), copy(view.samples))
    assert (network.given, copy.given) == ([5, 5], [5])


def test_groups_of_detectors_share_one_pass_and_keep_their_order() -> None:
    encoder = DetectorEncoder(Blocks, [[0, 2], [1]])
    strain, detectors = noise(6, 1, SAMPLES), torch.tensor([[0], [1], [2], [1], [0], [1]])
    expected = torch.cat([networks(encoder)[int(d) % 2](row[None]) for row, d in zip(strain, detectors, strict=True)])
    for network in networks(encoder):
        network.given.clear()
    torch.testing.assert_close(encoder(View(strain, detectors)), expected)
    assert [network.given for network in networks(encoder)] == [[6], []]


def test_a_view_made_of_another_is_seen_anew() -> None:
    encoder = DetectorEncoder(Blocks, [[0, 1, 2]])
    view = view_of(noise(5, 3, SAMPLES), 0)
    first = encoder(view)
    louder = replace(view, samples=3 * view.samples)
    assert torch.equal(encoder(louder), networks(encoder)[0](3 * view.samples))
    assert not torch.allclose(encoder(louder), first)


def test_strain_that_asks_for_a_gradient_gets_it() -> None:
    encoder = DetectorEncoder(Blocks, [[0]])
    view = View(noise(2, 1, SAMPLES).requires_grad_(), torch.zeros(2, 1, dtype=torch.long))
    with torch.no_grad():
        encoder(view)
    encoder(view).sum().backward()
    assert view.samples.grad is not None and bool(view.samples.grad.any())


def test_features_are_set_when_a_view_is_made_and_never_again() -> None:
    strain, known = noise(2, 1, SAMPLES), noise(2, 1, 8)
    view = View(strain, torch.zeros(2, 1, dtype=torch.long), lookup=lambda _: known)
    network = Blocks()
    assert view.front_end_features(network.front_end) is known
    assert view.front_end_features(network.front_end) is known
    with pytest.raises(FrozenInstanceError):
        view.features = FrontEndFeatures()  # type: ignore[misc]
    for made in (replace(view, samples=strain), replace(view, detectors=view.detectors)):
        expected = strain.unflatten(2, (8, -1)).square().mean(3)
        torch.testing.assert_close(made.front_end_features(network.front_end), expected)


# --- windows that come again ---


def test_a_view_that_is_served_is_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    front_end_cache, _ = rows(None, monkeypatch)
    network, view, windows = Blocks(), view_of(noise(4, 3, SAMPLES), 0), torch.arange(4)
    first = front_end_cache.serve(view, windows)
    assert first is not view and first.samples is view.samples and first.detectors is view.detectors
    served = first.front_end_features(network.front_end)
    again = front_end_cache.serve(view, windows).front_end_features(network.front_end)
    assert torch.equal(again, served)
    assert network.given == [4]
    assert torch.equal(view.front_end_features(network.front_end), served)
    assert network.given == [4, 4]  # the view itself knows nothing of the cache


def rows(budget: float | None, monkeypatch: pytest.MonkeyPatch) -> tuple[FrontEndCache, Heard]:
    monkeypatch.setenv("GWBENCH_MEMORY", "1" if budget is None else str(budget * 4 * 8 / 2**30))
    heard = Heard()
    return FrontEndCache(WINDOWS, DETECTORS, "cpu", heard), heard


@pytest.mark.parametrize("budget", [None, 50, 0])
def test_every_row_is_computed_once_as_far_as_memory_holds_it(
    budget: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    front_end_cache, heard = rows(budget, monkeypatch)
    network, strain = Blocks(), noise(WINDOWS, DETECTORS, SAMPLES)
    rng = np.random.default_rng(0)
    seen: set[tuple[int, int]] = set()
    held = WINDOWS * DETECTORS if budget is None else budget
    for _ in range(30):
        windows = torch.from_numpy(rng.permutation(WINDOWS)[:16])
        detectors = torch.from_numpy(np.stack([rng.permutation(DETECTORS)[:2] for _ in range(16)]))
        samples = strain[windows.unsqueeze(1), detectors]
        network.given.clear()
        found = front_end_cache.serve(View(samples, detectors), windows).front_end_features(network.front_end)
        wanted = {(int(w), int(d)) for w, row in zip(windows, detectors, strict=True) for d in row}
        fresh = {(w, d) for w, d in wanted if (w, d) not in seen or w * DETECTORS + d >= held}
        assert sum(network.given) in ([2, 3] if len(fresh) == 1 else [len(fresh)])
        seen |= wanted
        expected = samples.double().unflatten(2, (8, -1)).square().mean(3)
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)
    assert len(seen) == WINDOWS * DETECTORS
    assert len(heard.lines) == (0 if budget is None else 1)
    assert all("set GWBENCH_MEMORY for more" in line for line in heard.lines)


def test_a_validation_may_ask_first(monkeypatch: pytest.MonkeyPatch) -> None:
    front_end_cache, _ = rows(None, monkeypatch)
    encoder, strain = DetectorEncoder(Blocks, [[0, 1, 2]]), noise(4, 3, SAMPLES)
    windows = torch.arange(4)
    frozen_embedding(
        encoder, [front_end_cache.serve(view, windows) for view in encoder.views(strain[:2].repeat(2, 1, 1))]
    )
    frozen_embedding(encoder, [front_end_cache.serve(view, windows + 4) for view in encoder.views(strain)])
    networks(encoder)[0].given.clear()
    embedding = encoder.embed([front_end_cache.serve(view, windows + 4) for view in encoder.views(strain)])
    embedding.sum().backward()
    assert networks(encoder)[0].given == []
    assert torch.equal(embedding, DetectorEncoder.embed(encoder, strain))


# --- pre-training ---


def conditioned(samples: int = SAMPLES) -> ConditionedStrain:
    nothing = np.full(WINDOWS, np.nan, np.float32)
    split = Split(noise(WINDOWS, DETECTORS, samples).numpy(), np.full(WINDOWS, -1, np.int8), nothing)
    toy: Any = lambda strain, **_: torch.from_numpy(strain)  # noqa: E731
    return ConditionedStrain(split, toy, "train")


def trained(
    folder: Path,
    pairing: type[Pairing],
    objective: type[Objective],
    encoder: Any = Blocks,
    *augmentations: Augmentation,
) -> tuple[list[float], list[Tensor], DetectorEncoder]:
    """Losses of 4 epochs of 2 steps of 16 windows, and the weights they end in."""
    info: StrainInfo = strain_info(DETECTORS)
    with seeds.torch_global(0, "init"):
        network = DetectorEncoder(encoder, [[0, 1, 2]])
        goal = objective(network.embed_dim)
    made: Any = pairing
    method = SslMethod(network, made(info), augmentations, goal)
    settings = TrainingSettings(epochs=4, batch_size=16, lr=1e-3)
    done = pretrain(
        method, conditioned(), settings, seed=0, precision="fp32", device="cpu", folder=folder, progress=Progress()
    )
    return done.loss, [value.clone() for value in network.state_dict().values()], network


def cqt() -> Cqt2d:
    return Cqt2d(InputShape(1, SAMPLES, 2048.0), backbone="test_resnet", embed_dim=16, hop_length=256)


def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """As encoders were trained before: every view through the whole encoder."""
    monkeypatch.setattr(DetectorEncoder, "fixed_front_end", False)


@pytest.mark.parametrize("objective", [Barlow, Byol, MaskedStrain])
@pytest.mark.parametrize("pairing", [CrossDetector, AnyPair, NoiseInjectionPairing])
def test_losses_and_weights_are_those_of_the_whole_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pairing: type[Pairing], objective: type[Objective]
) -> None:
    encoder = cqt if (pairing, objective) == (AnyPair, Byol) else Blocks
    monkeypatch.setenv("GWBENCH_MEMORY", "1")
    losses, weights, _ = trained(tmp_path / "kept", pairing, objective, encoder)
    without(monkeypatch)
    expected, others, _ = trained(tmp_path / "plain", pairing, objective, encoder)
    assert losses[0] != losses[-1]
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    for value, other in zip(weights, others, strict=True):
        torch.testing.assert_close(value, other, rtol=1e-3, atol=1e-4)


def test_a_run_that_is_stopped_and_resumed_ends_in_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GWBENCH_MEMORY", "1")
    losses, weights, _ = trained(tmp_path / "whole", AnyPair, Barlow, cqt)

    class Pressed(ProgressTask):
        steps = 0

        def advance(self, amount: float = 1, note: str = "") -> None:
            Pressed.steps += 1
            if Pressed.steps == 6:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "task", lambda *_, **__: nullcontext(Pressed()))
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "stopped", AnyPair, Barlow, cqt)
    assert (tmp_path / "stopped" / "last.ckpt").exists()
    again, others, _ = trained(tmp_path / "stopped", AnyPair, Barlow, cqt)
    assert again == losses
    assert all(torch.equal(value, other) for value, other in zip(weights, others, strict=True))


def passes(network: DetectorEncoder) -> int:
    """Channels that the front end was given in training."""
    given: list[int] = networks(network)[0].given_in_training
    return sum(given)


def test_windows_go_through_the_front_end_once_where_views_do_not_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GWBENCH_MEMORY", "1")
    steps, views = 4 * (WINDOWS // 16), 2 * 16
    *_, kept = trained(tmp_path / "a", AnyPair, Barlow)
    assert WINDOWS <= passes(kept) <= WINDOWS * DETECTORS
    *_, slow = trained(tmp_path / "b", AnyPair, Byol)
    assert passes(slow) == passes(kept)
    *_, flipped = trained(tmp_path / "c", AnyPair, Byol, Blocks, PolarityFlip(strain_info(DETECTORS)))
    assert passes(flipped) == steps * views
    *_, noisy = trained(tmp_path / "d", NoiseInjectionPairing, Byol)
    assert passes(noisy) == steps * views
    *_, masked = trained(tmp_path / "e", AnyPair, MaskedStrain)
    assert passes(masked) == steps * views
    without(monkeypatch)
    *_, plain = trained(tmp_path / "f", AnyPair, Barlow)
    assert passes(plain) == steps * views > passes(kept)


class OneView(SameDetector):
    """A pair of one and the same view of strain that does not change."""

    selects = True


@pytest.mark.parametrize("memory", ["0", "1"])
def test_one_view_that_is_both_goes_through_the_front_end_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: str
) -> None:
    monkeypatch.setenv("GWBENCH_MEMORY", memory)
    *_, network = trained(tmp_path, OneView, Byol)
    steps = 4 * (WINDOWS // 16)
    assert passes(network) == 16 * steps if memory == "0" else passes(network) < 16 * steps


def test_kernels_that_learn_are_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def learning() -> Cqt2d:
        shape = InputShape(1, SAMPLES, 2048.0)
        return Cqt2d(shape, backbone="test_resnet", embed_dim=16, hop_length=256, trainable=True)

    losses, _, network = trained(tmp_path / "a", AnyPair, Barlow, learning)
    start = learning().cqt.cqt_kernels_real
    assert not torch.equal(networks(network)[0].cqt.cqt_kernels_real, start)
    without(monkeypatch)
    expected, *_ = trained(tmp_path / "b", AnyPair, Barlow, learning)
    assert losses == expected


# --- training on labels ---


def on_labels(flip: bool) -> tuple[dict[str, Any], Any]:
    job = ToyJob(toy_splits(sizes=(64, 48, 32)), labelled=np.arange(1, 64, 2))
    with seeds.torch_global(0, "init"):
        encoder = DetectorEncoder(lambda: Blocks(samples=16), [[0, 1]])
    settings = Settings(
        epochs=5,
        epoch_steps=1,
        batch_size=8,
        lr=1e-2,
        head_lr=1e-2,
        weight_decay=0.0,
        warmup=0.1,
        patience=5,
        flip=flip,
    )
    scores = train_on_labels(job, encoder, job.labelled, settings)
    return dict(scores.details), (scores.test, sum(networks(encoder)[0].given))


def test_labelled_windows_go_through_the_front_end_once_unless_they_are_flipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GWBENCH_MEMORY", "1")
    (kept, (kept_test, still)), (_, (_, flipped)) = on_labels(False), on_labels(True)
    # one window to learn the width, 32 of training, 48 of validation and 32 of test, in 2 detectors each
    assert still == 2 * (1 + 32 + 48 + 32)
    assert flipped == 2 * (1 + 5 * 32 + 48 + 32)
    without(monkeypatch)
    plain, (plain_test, every) = on_labels(False)
    assert every == 2 * (1 + 5 * 32 + 6 * 48 + 32)
    np.testing.assert_allclose(kept["training_loss"], plain["training_loss"], rtol=1e-6)
    np.testing.assert_allclose(kept_test, plain_test, rtol=1e-5, atol=1e-6)
