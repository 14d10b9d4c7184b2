"""Scores along a stretch against the scores of its windows, one by one, of every encoder that ships."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gwbench import seeds
from gwbench.contracts import Encoder, InputShape, Scorer
from gwbench.nn import fragment_layers
from gwbench.nn.detector_encoder import DetectorEncoder, frozen_embedding, parse_groups
from gwbench.nn.encoder_scorer import EncoderScorer
from gwbench.nn.layers import Layers
from gwbench.nn.linear_head import LinearHead
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
    "shared-towers": {"tower_width": 4, "width": 4, "embed_dim": 8},
    "s4d": {"width": 8, "embed_dim": 8},
}


def noise(detectors: int, samples: int, seed: int = 0) -> Tensor:
    """White noise with a chirp in all detectors."""
    strain = torch.randn(detectors, samples, generator=torch.Generator().manual_seed(seed))
    time = torch.arange(min(samples, WINDOW)) / RATE
    strain[:, : len(time)] += 3 * torch.sin(2 * torch.pi * (30 + 60 * time) * time)
    return strain


def headed(encoder: DetectorEncoder, strain: Tensor) -> EncoderScorer:
    """With random weights on the detectors' embeddings, that give log-odds of several."""
    embedding = frozen_embedding(encoder, strain).double()
    weight = torch.randn(embedding.shape[1], generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    scale = 4 / float((embedding @ weight).std())
    return EncoderScorer(encoder, LinearHead.plain(scale * weight, torch.tensor(-2.0)))


def scorer(name: str = "cnn1d", groups: str = "shared", detectors: int = 2, stride: int | None = None) -> EncoderScorer:
    """An untrained encoder, whose BatchNorms have seen noise, and a linear head."""
    network = groups == "network"
    shape = InputShape(detectors if network else 1, WINDOW, RATE)
    build: Any = REGISTRY.get("encoder", name).target
    parameters = SMALL[name] | ({} if stride is None else {"stride": stride})
    with seeds.torch_global(3, "init"):
        parsed = parse_groups(groups, ("H1", "L1", "V1")[:detectors])
        encoder = DetectorEncoder(lambda: build(shape, **parameters), parsed, network=network)
    strain = side_by_side(detectors)
    encoder.train()
    for norm in encoder.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0  # its statistics are those of the last batch
    with torch.no_grad():
        encoder.embed(strain)
    return headed(encoder.eval(), strain)


def side_by_side(detectors: int) -> Tensor:
    return noise(detectors, 8 * WINDOW, seed=1).unfold(1, WINDOW, WINDOW).transpose(0, 1)


def check(method: Scorer, strain: Tensor, step: int) -> StretchScorer:
    """Scores along a stretch are those of its windows, cut out one by one."""
    along = StretchScorer(method, WINDOW, step)
    scores, parts = along.scores(strain)
    cut = [strain[None, :, start : start + WINDOW].clone() for start in range(0, strain.shape[1] - WINDOW + 1, step)]
    with torch.inference_mode():
        expected = torch.cat([method(window) for window in cut]).numpy()
        expected_parts = [method.parts(window) for window in cut]
    assert scores.shape == expected.shape
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-4)
    assert len(scores) == 1 or scores.std() > 0.5  # windows differ by far more than that
    if method.network:
        assert parts is None
    else:
        assert parts is not None
        together = torch.cat([part for part in expected_parts if part is not None])
        np.testing.assert_allclose(parts, together.T.numpy(), rtol=0, atol=1e-4)
        np.testing.assert_allclose(parts.sum(0) + method.offset, scores, rtol=0, atol=1e-4)
    return along


def test_every_encoder_that_ships_is_here() -> None:
    assert {plugin.name for plugin in REGISTRY.list("encoder")} == set(SMALL)


@pytest.mark.parametrize("groups", ["shared", "each", "network"])
@pytest.mark.parametrize("name", SMALL)
def test_scores_are_those_of_the_windows_one_by_one(name: str, groups: str) -> None:
    along = check(scorer(name, groups), noise(2, WINDOW + 14 * 192 + 77), 192)
    assert (along.note == "") is (name in ("cnn1d", "shared-towers"))


@pytest.mark.parametrize("step", [192, 205, 208, 96, 1, 4096, 5000])
def test_any_step_gives_the_same_scores(step: int) -> None:
    check(scorer(), noise(2, WINDOW + 9 * step + 3), step)


@pytest.mark.parametrize("stride", [1, 2, 8])
def test_the_seed_network_and_other_strides(stride: int) -> None:
    assert not check(scorer(stride=stride), noise(2, WINDOW + 10 * 192), 192).note


def test_three_detectors_of_which_two_share_an_encoder() -> None:
    assert not check(scorer(groups="H1,L1|V1", detectors=3), noise(3, WINDOW + 10 * 192), 192).note


@pytest.mark.parametrize("windows", [1, 2, 6, 7, 8, 15])
def test_batches_do_not_show_in_the_scores(windows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretch_scorer, "SHARED_BATCH", 7)
    check(scorer(), noise(2, WINDOW + (windows - 1) * 192 + 100), 192)


@pytest.mark.parametrize(("share", "most"), [(True, 16), (False, 4)])
def test_memory_does_not_grow_with_the_stretch(share: bool, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the strain, no more windows at once than a batch has."""
    monkeypatch.setattr(stretch_scorer, "SHARED_BATCH", 16)
    monkeypatch.setattr(stretch_scorer, "BATCH", 4)
    method, sizes = scorer(), []
    method.encoder.register_forward_pre_hook(lambda _module, given: sizes.append(len(given[0].samples)))
    StretchScorer(method, WINDOW, 192, share=share).scores(noise(2, WINDOW + 70 * 192))
    assert max(sizes) == most


def test_a_part_of_longer_strain() -> None:
    strain = noise(3, 3 * WINDOW)[1:, 700 : 700 + WINDOW + 8 * 192]
    assert not check(scorer(), strain, 192).note


def test_strain_shorter_than_a_window() -> None:
    with pytest.raises(ValueError, match="4095 samples hold no window of 4096"):
        StretchScorer(scorer(), WINDOW, 192).scores(noise(2, WINDOW - 1))


def test_the_scorer_stays_as_it_is() -> None:
    method = scorer()
    before = {name: type(module) for name, module in method.named_modules()}
    StretchScorer(method, WINDOW, 192).scores(noise(2, WINDOW + 5 * 192))
    assert {name: type(module) for name, module in method.named_modules()} == before


class MeanRemoved(nn.Identity):
    """Looks like a layer that treats every number for itself, and is none."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(3, keepdim=True)


def test_sharing_that_changes_scores_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragment_layers, "ACTIVATIONS", (*fragment_layers.ACTIVATIONS, MeanRemoved))
    encoder = scorer().encoder
    before = encoder.get_submodule("encoders.0.before")
    assert isinstance(before, Layers)
    before.insert(2, MeanRemoved())
    along = check(headed(encoder, side_by_side(2)), noise(2, WINDOW + 10 * 192), 192)
    assert "Windows are scored one by one: what they would share changes scores by up to" in along.note


class Loudest(Scorer):
    """A method without an encoder."""

    def forward(self, strain: Tensor) -> Tensor:
        return strain.abs().amax((1, 2))


def test_a_method_without_an_encoder() -> None:
    along = StretchScorer(Loudest(), 50, 7)
    strain = noise(2, 1000)
    scores, parts = along.scores(strain)
    expected = [strain[:, start : start + 50].abs().max() for start in range(0, 951, 7)]
    np.testing.assert_array_equal(scores, expected)
    assert parts is None
    assert "no encoder" in along.note


@pytest.mark.parametrize(
    ("name", "stride", "seconds", "samples"),
    [
        ("cnn1d", None, 0.1, 192),  # 204.8: its layers share at 4, 8, 32 and 192
        ("cnn1d", None, 0.05, 96),  # 102.4
        ("cnn1d", None, 0.03, 64),  # 61.4
        ("cnn1d", None, 0.2, 384),
        ("cnn1d", 1, 0.1, 192),  # 1, 2, 8 and 48
        ("s4d", None, 0.1, 208),  # 16
        ("shared-towers", None, 0.1, 192),
        ("resnet1d", None, 0.1, 205),
        ("resnet1d", None, 1e-9, 1),
    ],
)
@pytest.mark.parametrize("groups", ["shared", "network"])
def test_the_step_at_which_windows_share_most(
    name: str, stride: int | None, seconds: float, samples: int, groups: str
) -> None:
    method = scorer(name, groups, stride=stride)
    run: Any = SimpleNamespace(scorer=method, detectors=("H1", "L1"), window=WINDOW, sample_rate=RATE)
    assert shared_step(run, seconds) == samples
    assert all(isinstance(encoder, Encoder) for encoder in method.encoder.encoders)
