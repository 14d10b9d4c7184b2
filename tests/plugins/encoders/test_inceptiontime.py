from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench.contracts import InputShape
from gwbench.plugins.encoders.inceptiontime import InceptionTime

SMALL = {"width": 2, "stride": 32, "modules": 2}
"""Settings that make it small, for tests of every combination."""

SHAPE = InputShape(channels=1, samples=300, sample_rate=2048.0)


class PlainModule(nn.Module):
    """An inception module with one-dimensional layers: 32 filters, kernels 40, 20, 10, bottleneck 32."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = 32 if channels > 1 else 1
        self.bottleneck = nn.Conv1d(channels, 32, 1, bias=False) if channels > 1 else None
        self.convs = nn.ModuleList([nn.Conv1d(narrow, 32, k, bias=False) for k in (40, 20, 10)])
        self.pooled = nn.Conv1d(channels, 32, 1, bias=False)
        self.norm = nn.BatchNorm1d(128)

    def forward(self, x: Tensor) -> Tensor:
        narrow = x if self.bottleneck is None else self.bottleneck(x)
        branches = [
            conv(F.pad(narrow, ((k - 1) // 2, k // 2))) for conv, k in zip(self.convs, (40, 20, 10), strict=True)
        ]
        branches.append(self.pooled(F.max_pool1d(x, 3, 1, 1)))
        return F.relu(self.norm(torch.cat(branches, 1)))


class PlainNetwork(nn.Module):
    """Six modules, a shortcut every three, an average over time, a linear layer: the paper's figures 1 and 2."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.ModuleList([PlainModule(1), PlainModule(128), PlainModule(128)])
        self.a_cut, self.a_norm = nn.Conv1d(1, 128, 1, bias=False), nn.BatchNorm1d(128)
        self.b = nn.ModuleList([PlainModule(128), PlainModule(128), PlainModule(128)])
        self.b_cut, self.b_norm = nn.Conv1d(128, 128, 1, bias=False), nn.BatchNorm1d(128)
        self.fc = nn.Linear(128, 128)

    def forward(self, x: Tensor) -> Tensor:
        for modules, cut, norm in ((self.a, self.a_cut, self.a_norm), (self.b, self.b_cut, self.b_norm)):
            start = x
            for module in modules:
                x = module(x)
            x = F.relu(x + norm(cut(start)))
        out: Tensor = self.fc(x.mean(2))
        return out


def test_the_papers_network_weight_for_weight_gives_the_same_embeddings() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = PlainNetwork()
        ours = InceptionTime(SHAPE, width=32, stride=1, pooling="mean")
        strain = torch.randn(3, 1, 300)
    state = ours.state_dict()
    weights = list(plain.state_dict().values())
    ours.load_state_dict(
        {name: weight.reshape(own.shape) for (name, own), weight in zip(state.items(), weights, strict=True)}
    )
    with torch.no_grad():
        torch.testing.assert_close(ours(strain), plain(strain), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(ours.eval()(strain), plain.eval()(strain), rtol=1e-5, atol=1e-5)


def test_the_number_of_parameters_is_the_papers() -> None:
    """Per module: 70 samples of kernels, bottleneck and pooled branch, BatchNorm; two shortcuts; the last layer."""
    first = 70 * 1 * 32 + 1 * 32 + 2 * 128
    further = 128 * 32 + 70 * 32 * 32 + 128 * 32 + 2 * 128
    shortcuts = (1 * 128 + 2 * 128) + (128 * 128 + 2 * 128)
    encoder = InceptionTime(SHAPE, width=32, stride=1, pooling="mean")
    assert sum(p.numel() for p in encoder.parameters()) == first + 5 * further + shortcuts + 128 * 128 + 128
