"""Scores along a stretch against the scores of its windows, one by one, of every encoder that ships."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gwbench.contracts import Encoder, InputShape
from gwbench.nn import fragment_layers
from gwbench.nn.detector_encoder import DetectorEncoder, frozen_embedding, parse_groups
from gwbench.registry import REGISTRY
from gwbench.search import stretch_scorer
from gwbench.search.stretch_scorer import StretchScorer, shared_step

RATE, WINDOW = 2048.0, 4096

SMALL: dict[str, dict[str, Any]] = {
    "cnn1d": {"width": 4, "embed_dim": 8},
    "cqt2d": {"backbone": "test_resnet", "embed_dim": 8},
    "inceptiontime": {"width": 4, "embed_dim": 8},
    "patch-transformer": {"width": 8, "embed_dim": 8},
    "resnet1d": {"width": 4, "embed_dim": 8},
    "s4d": {"width": 8, "embed_dim": 8},
}


class LinearScorer(nn.Module):
    """Random weights on the detectors' embeddings, that make log-odds of several."""

    def __init__(self, encoder: DetectorEncoder, strain: Tensor) -> None:
        super().__init__()
        self.encoder, self.network = encoder, encoder.network
        embedding = frozen_embedding(encoder, strain)
        weight = torch.randn(embedding.shape[1], generator=torch.Generator().manual_seed(5))
        self.register_buffer("weight", 4 * weight / float((embedding @ weight).std()))
        self.offset = -2.0
        self.sizes: list[int] = []

    def parts(self, strain: Tensor) -> Tensor | None:
        if self.network:
            return None
        self.sizes.append(len(strain))
        embedding = frozen_embedding(self.encoder, strain)
        return (embedding * self.weight).unflatten(1, (strain.shape[1], -1)).sum(2)

    def forward(self, strain: Tensor) -> Tensor:
        self.sizes.append(len(strain))
        return frozen_embedding(self.encoder, strain) @ self.weight + self.offset


def noise(detectors: int, samples: int, seed: int = 0) -> Tensor:
    """White noise with a chirp in all detectors."""
    strain = torch.randn(detectors, samples, generator=torch.Generator().manual_seed(seed))
    time = torch.arange(min(samples, WINDOW)) / RATE
    strain[:, : len(time)] += 3 * torch.sin(2 * torch.pi * (30 + 60 * time) * time)
    return strain


def scorer(name: str = "cnn1d", groups: str = "shared", detectors: int = 2, **parameters: Any) -> LinearScorer:
    """An untrained encoder, whose BatchNorms have seen noise, and a linear head."""
    torch.manual_seed(3)
    network = groups == "network"
    shape = InputShape(detectors if network else 1, WINDOW, RATE)
    names = ("H1", "L1", "V1")[:detectors]
    build = REGISTRY.get("encoder", name).target
    encoder = DetectorEncoder(
        lambda: build(shape, **(SMALL[name] | parameters)), parse_groups(groups, names), network=network
    )
    strain = noise(detectors, 8 * WINDOW, seed=1).unfold(1, WINDOW, WINDOW).transpose(0, 1)
    encoder.train()
    with torch.no_grad():
        for norm in encoder.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.momentum = 1.0  # statistics are those of the last batch
        encoder.embed(strain)
    return LinearScorer(encoder.eval(), strain)


def one_by_one(method: LinearScorer, strain: Tensor, step: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Scores and parts of windows that are cut out one by one."""
    starts = range(0, strain.shape[1] - WINDOW + 1, step)
    cut = [strain[None, :, start : start + WINDOW].clone() for start in starts]
    with torch.inference_mode():
        scores = torch.cat([method(window) for window in cut]).numpy()
        parts = None if method.network else torch.cat([method.parts(window) for window in cut]).T.numpy()
    return scores, parts


def check(method: LinearScorer, strain: Tensor, step: int) -> StretchScorer:
    along = StretchScorer(method, WINDOW, step)  # type: ignore[arg-type]
    scores, parts = along.scores(strain)
    expected, expected_parts = one_by_one(method, strain, step)
    assert scores.shape == ((strain.shape[1] - WINDOW) // step + 1,)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-4)
    assert len(scores) == 1 or scores.std() > 0.5  # windows differ by far more than that
    if expected_parts is None:
        assert parts is None
    else:
        assert parts is not None
        np.testing.assert_allclose(parts, expected_parts, rtol=0, atol=1e-4)
        np.testing.assert_allclose(parts.sum(0) + method.offset, scores, rtol=0, atol=1e-4)
    return along


def test_every_encoder_that_ships_is_here() -> None:
    assert {plugin.name for plugin in REGISTRY.list("encoder")} == set(SMALL)


@pytest.mark.parametrize("groups", ["shared", "each", "network"])
@pytest.mark.parametrize("name", SMALL)
def test_scores_are_those_of_the_windows_one_by_one(name: str, groups: str) -> None:
    along = check(scorer(name, groups), noise(2, WINDOW + 14 * 192 + 77), 192)
    assert (along.note == "") is (name in ("cnn1d", "inceptiontime", "s4d"))


@pytest.mark.parametrize("step", [192, 205, 208, 96, 1, 4096, 5000])
def test_any_step_gives_the_same_scores(step: int) -> None:
    check(scorer(), noise(2, WINDOW + 9 * step + 3), step)


@pytest.mark.parametrize("parameters", [{"stride": 1}, {"stride": 2}, {"stride": 8}])
def test_the_seed_network_and_other_strides(parameters: dict[str, int]) -> None:
    assert not check(scorer(**parameters), noise(2, WINDOW + 10 * 192), 192).note


def test_three_detectors_of_which_two_share_an_encoder() -> None:
    assert not check(scorer(groups="H1,L1|V1", detectors=3), noise(3, WINDOW + 10 * 192), 192).note


@pytest.mark.parametrize("windows", [1, 2, 6, 7, 8, 15])
def test_batches_do_not_show_in_the_scores(windows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretch_scorer, "SHARED_BATCH", 7)
    check(scorer(), noise(2, WINDOW + (windows - 1) * 192 + 100), 192)


def test_memory_does_not_grow_with_the_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more windows at once than a batch has, however long the strain."""
    monkeypatch.setattr(stretch_scorer, "SHARED_BATCH", 16)
    monkeypatch.setattr(stretch_scorer, "BATCH", 4)
    method = scorer()
    sizes = method.sizes
    for share, most in ((True, 16), (False, 4)):
        sizes.clear()
        along = StretchScorer(method, WINDOW, 192, share=share)  # type: ignore[arg-type]
        along.scores(noise(2, WINDOW + 70 * 192))
        shared = [] if along._sharing is None else along._sharing.sizes
        assert max([*sizes, *shared]) <= most


def test_a_part_of_longer_strain() -> None:
    strain = noise(3, 3 * WINDOW)[1:, 700 : 700 + WINDOW + 8 * 192]
    assert not check(scorer(), strain, 192).note


def test_strain_shorter_than_a_window() -> None:
    with pytest.raises(ValueError, match="4095 samples hold no window of 4096"):
        StretchScorer(scorer(), WINDOW, 192).scores(noise(2, WINDOW - 1))  # type: ignore[arg-type]


def test_the_scorer_stays_as_it_is() -> None:
    method = scorer()
    before = {name: type(module) for name, module in method.named_modules()}
    StretchScorer(method, WINDOW, 192).scores(noise(2, WINDOW + 5 * 192))  # type: ignore[arg-type]
    assert {name: type(module) for name, module in method.named_modules()} == before


class MeanRemoved(nn.Identity):
    """Looks like a layer that treats every number for itself, and is none."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(3, keepdim=True)


def test_sharing_that_changes_scores_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragment_layers, "ACTIVATIONS", (*fragment_layers.ACTIVATIONS, MeanRemoved))
    encoder = scorer().encoder
    encoder.encoders[0].before.insert(2, MeanRemoved())
    method = LinearScorer(encoder, noise(2, 8 * WINDOW, seed=1).unfold(1, WINDOW, WINDOW).transpose(0, 1))
    along = check(method, noise(2, WINDOW + 10 * 192), 192)
    assert "Windows are scored one by one: what they would share changes scores by up to" in along.note


class Loudest(nn.Module):
    """A method without an encoder."""

    network, offset = True, 0.0

    def parts(self, strain: Tensor) -> None:
        return None

    def forward(self, strain: Tensor) -> Tensor:
        return strain.abs().amax((1, 2))


def test_a_method_without_an_encoder() -> None:
    along = StretchScorer(Loudest(), 50, 7)  # type: ignore[arg-type]
    strain = noise(2, 1000)
    scores, parts = along.scores(strain)
    expected = [strain[:, start : start + 50].abs().max() for start in range(0, 951, 7)]
    np.testing.assert_array_equal(scores, expected)
    assert parts is None
    assert "no encoder" in along.note


@pytest.mark.parametrize(
    ("name", "parameters", "seconds", "samples"),
    [
        ("cnn1d", {}, 0.1, 192),  # 204.8: its layers share at 4, 8, 32 and 192
        ("cnn1d", {}, 0.05, 96),  # 102.4
        ("cnn1d", {}, 0.03, 64),  # 61.4
        ("cnn1d", {}, 0.2, 384),
        ("cnn1d", {"stride": 1}, 0.1, 192),  # 1, 2, 8 and 48
        ("s4d", {}, 0.1, 208),  # 16
        ("resnet1d", {}, 0.1, 205),
        ("resnet1d", {}, 1e-9, 1),
    ],
)
@pytest.mark.parametrize("groups", ["shared", "network"])
def test_the_step_at_which_windows_share_most(
    name: str, parameters: dict[str, Any], seconds: float, samples: int, groups: str
) -> None:
    method = scorer(name, groups, **parameters)
    run: Any = SimpleNamespace(scorer=method, detectors=("H1", "L1"), window=WINDOW, sample_rate=RATE)
    assert shared_step(run, seconds) == samples
    assert all(isinstance(encoder, Encoder) for encoder in method.encoder.encoders)
