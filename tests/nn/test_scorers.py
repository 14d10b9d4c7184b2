"""Heads and scorers: log-odds as the probe and the formulas give them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gwbench.contracts import Encoder, Scorer
from gwbench.evaluation.linear_probe import FARTHEST, linear_probe
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.nn.encoder_scorer import EncoderScorer
from gwbench.nn.feature_scorer import FeatureScorer
from gwbench.nn.linear_head import FAR, LinearHead


class Tanh(Encoder):
    def __init__(self, channels: int, samples: int) -> None:
        super().__init__()
        self.embed_dim = 5
        self.net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(channels * samples, 5), nn.Tanh())

    def forward(self, strain: Tensor) -> Tensor:
        out: Tensor = self.net(strain)
        return out


def head(features: int, seed: int = 0) -> LinearHead:
    mean, std, weight = np.random.default_rng(seed).normal(size=(3, features))
    return LinearHead(*map(torch.from_numpy, (mean, 1 / np.abs(std), weight, np.asarray(0.7))))


def test_the_probe_as_a_module_gives_the_probes_scores() -> None:
    rng = np.random.default_rng(1)
    label = (np.arange(200) % 2).astype(np.int8)
    x = (rng.normal(size=(200, 7)) + 0.8 * label[:, None]).astype(np.float32)
    x[:, 3] = 2.0  # a constant feature counts for nothing
    other = 30 * rng.normal(size=(50, 7)).astype(np.float32)
    found = linear_probe(x[:100], label[:100], x[100:], label[100:], other)
    module = found.head()
    np.testing.assert_allclose(module(torch.from_numpy(other)), found.test_scores, rtol=1e-12)
    np.testing.assert_allclose(module(torch.from_numpy(x[100:])), found.val_scores, rtol=1e-12, atol=1e-12)
    assert FAR == FARTHEST
    # as scikit-learn's own steps give it
    scaled = (other - found.standardiser.mean) * found.standardiser.inverse_std
    np.testing.assert_allclose(found.test_scores, scaled @ found.weight + found.intercept, rtol=1e-10)


def test_a_head_outlives_its_state() -> None:
    first = head(6)
    again = LinearHead.of_state(first.state_dict())
    x = torch.randn(4, 6)
    assert torch.equal(first(x), again(x))
    assert first(x).dtype == torch.float64
    for broken in (
        {},
        {**first.state_dict(), "weight": torch.zeros(5)},
        {**first.state_dict(), "intercept": torch.zeros(1)},
    ):
        with pytest.raises(ValueError, match="linear head"):
            LinearHead.of_state(broken)


def test_a_plain_layer_is_a_head() -> None:
    layer, x = nn.Linear(6, 1).double(), torch.randn(9, 6, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(LinearHead.plain(layer.weight[0], layer.bias[0])(x), layer(x)[:, 0])


@pytest.mark.parametrize("groups", [[[0, 1, 2]], [[0], [1], [2]], [[0, 2], [1]]])
def test_parts_are_of_one_detector_each_and_sum_to_the_score(groups: list[list[int]]) -> None:
    scorer = EncoderScorer(DetectorEncoder(lambda: Tanh(1, 8), groups), head(15)).train()
    strain = torch.randn(4, 3, 8)
    scores, parts = scorer(strain), scorer.parts(strain)
    assert not scorer.network
    assert parts is not None
    torch.testing.assert_close(parts.sum(1) + scorer.offset, scores)
    assert torch.equal(scores, scorer(strain))  # dropout is off
    assert not scores.requires_grad
    other = strain.clone()
    other[:, 1] = 0
    moved = scorer.parts(other)
    assert moved is not None
    torch.testing.assert_close(moved[:, [0, 2]], parts[:, [0, 2]])
    assert not torch.allclose(moved[:, 1], parts[:, 1])


def test_an_encoder_of_the_network_has_no_parts() -> None:
    scorer = EncoderScorer(DetectorEncoder(lambda: Tanh(3, 8), [[0, 1, 2]], network=True), head(5))
    assert scorer.parts(torch.randn(2, 3, 8)) is None
    assert scorer.network
    assert scorer.offset == 0.0
    assert scorer(torch.randn(2, 3, 8)).shape == (2,)


def test_measured_features_with_a_head() -> None:
    scorer = FeatureScorer(lambda strain: strain.mean(2), head(3))
    strain = torch.randn(4, 3, 8)
    torch.testing.assert_close(scorer(strain), head(3)(strain.mean(2)))
    assert set(scorer.state_dict()) == {"head.mean", "head.inverse_std", "head.weight", "head.intercept"}


def test_what_a_scorer_need_not_say() -> None:
    class Least(Scorer):
        def forward(self, strain: Tensor) -> Tensor:
            return strain.mean((1, 2))

    scorer, strain = Least(), torch.randn(2, 3, 8)
    assert scorer.parts(strain) is None
    assert scorer.peak_times(strain) is None
    assert scorer.refitted(None) is scorer  # type: ignore[arg-type]
    assert (scorer.offset, scorer.network) == (0.0, True)
