from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench.contracts import Encoder, InputShape
from gwbench.errors import UserError
from gwbench.registry import REGISTRY

SMALL = {"width": 2, "stride": 8}
"""Settings that make it small, for tests of every combination."""

SHAPE = InputShape(channels=1, samples=4096, sample_rate=2048.0)


class SeedGeM(nn.Module):
    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.p = nn.Parameter(torch.ones(1) * 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool1d(x.clamp(min=1e-6) ** self.p, self.kernel) ** (1.0 / self.p)


class SeedNetwork(nn.Module):
    """The seed network with plain one-dimensional layers, written out line by line from its description."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn1 = nn.Sequential(nn.Conv1d(1, 64, 64), nn.BatchNorm1d(64), nn.SiLU())
        self.cnn2 = nn.Sequential(nn.Conv1d(64, 64, 32), SeedGeM(2), nn.BatchNorm1d(64), nn.SiLU())
        self.cnn3 = nn.Sequential(nn.Conv1d(64, 64, 32), nn.BatchNorm1d(64), nn.SiLU())
        self.cnn4 = nn.Sequential(nn.Conv1d(64, 64, 32), SeedGeM(4), nn.BatchNorm1d(64), nn.SiLU())
        self.cnn5 = nn.Sequential(nn.Conv1d(64, 128, 32), nn.BatchNorm1d(128), nn.SiLU())
        self.cnn6 = nn.Sequential(nn.Conv1d(128, 128, 16), SeedGeM(6), nn.BatchNorm1d(128), nn.SiLU())
        self.cnn7 = nn.Sequential(nn.Conv1d(128, 256, 16), nn.BatchNorm1d(256))
        self.rnn = nn.GRU(256, 128, batch_first=True, bidirectional=True)
        self.cnn8 = nn.Sequential(nn.Conv1d(256, 256, 16), SeedGeM(4), nn.BatchNorm1d(256), nn.SiLU())
        self.cnn9 = nn.Sequential(nn.Conv1d(256, 256, 1), nn.BatchNorm1d(256), nn.SiLU())
        self.fc = nn.Linear(256 * 10, 2048)

    def forward(self, x: Tensor) -> Tensor:
        for block in (self.cnn1, self.cnn2, self.cnn3, self.cnn4, self.cnn5, self.cnn6, self.cnn7):
            x = block(x)
        x = self.rnn(x.permute(0, 2, 1))[0].permute(0, 2, 1)
        x = self.cnn9(self.cnn8(x))
        out: Tensor = self.fc(x.flatten(1))
        return out


def build(**parameters: object) -> Encoder:
    target = REGISTRY.get("encoder", "cnn1d").target
    assert target is not None
    torch.manual_seed(0)
    encoder: Encoder = target(SHAPE, **parameters)
    return encoder


@pytest.mark.parametrize(("training", "tolerance"), [(False, 1e-5), (True, 1e-4)])
def test_the_seed_network_weight_for_weight_gives_the_same_embeddings(training: bool, tolerance: float) -> None:
    """Training mode divides by the deviation of a batch of three, which magnifies rounding."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        seed = SeedNetwork()
        ours = build(width=64, embed_dim=2048, stride=1)
        weights = list(seed.state_dict().values())
        state = ours.state_dict()
        assert sum(w.numel() for w in seed.parameters()) == sum(w.numel() for w in ours.parameters()) == 8_105_220
        ours.load_state_dict(
            {name: weight.reshape(own.shape) for (name, own), weight in zip(state.items(), weights, strict=True)}
        )
        strain = torch.randn(3, 1, 4096)
    seed.train(training)
    ours.train(training)
    with torch.no_grad():
        expected, got = seed(strain), ours(strain)
    assert got.shape == (3, 2048)
    torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_every_stride_gives_the_declared_width(stride: int) -> None:
    with torch.random.fork_rng():
        encoder = build(width=4, embed_dim=7, stride=stride)
        assert encoder(torch.randn(2, 1, 4096)).shape == (2, 7) == (2, encoder.embed_dim)


def test_a_network_of_detectors_is_an_input_too() -> None:
    target = REGISTRY.get("encoder", "cnn1d").target
    assert target is not None
    with torch.random.fork_rng():
        encoder = target(InputShape(3, 4096, 2048.0), width=4, embed_dim=7, stride=8)
        assert encoder(torch.randn(2, 3, 4096)).shape == (2, 7)


def test_a_window_too_short_is_refused() -> None:
    target = REGISTRY.get("encoder", "cnn1d").target
    assert target is not None
    with pytest.raises(UserError, match="windows as short as 512 samples"):
        target(InputShape(1, 512, 2048.0), width=4, stride=1)


def test_gradients_reach_every_parameter() -> None:
    with torch.random.fork_rng():
        encoder = build(width=4, embed_dim=7, stride=8)
        encoder(torch.randn(4, 1, 4096)).square().sum().backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in encoder.parameters())
