"""Encoders over overlapping windows against the same encoders window by window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench.contracts import Encoder
from gwbench.nn.fragments import Fragments
from gwbench.nn.gru_windows import gru_windows
from gwbench.nn.layers import GeM, as_row, conv, stem
from gwbench.nn.shared_encoder import SharedEncoder

WINDOW = 96


class Somebodys(Encoder):
    """An encoder of layers and a function that says how strain goes through them."""

    def __init__(self, forward: Callable[[Any, Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.embed_dim = 1
        self._forward = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, strain: Tensor) -> Tensor:
        return self._forward(self, strain)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def windows(step: int, count: int, channels: int = 2, length: int = WINDOW) -> Tensor:
    """[count, channels, length], views of one stretch."""
    return noise(channels, (count - 1) * step + length).unfold(1, length, step).transpose(0, 1)


def lived_in(module: nn.Module) -> None:
    """Parameters and statistics as after training, drawn at random, in double precision."""
    generator = torch.Generator().manual_seed(1)
    module.double().eval()
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
            tensor.copy_(drawn + 0.5 if "var" in name else 2 + drawn if name.endswith("p") else drawn - 0.5)


def flat_layers(encoder: Any, strain: Tensor) -> Tensor:
    x = F.relu(encoder.first(strain))
    x = encoder.pool(encoder.norm(encoder.second(x)))
    x = encoder.mix(encoder.scale(x.transpose(1, 2)))
    return torch.tanh(torch.mean(x, dim=1))


def rows_and_gru(encoder: Any, strain: Tensor) -> Tensor:
    x = encoder.before(as_row(strain)).squeeze(2)
    x, last = encoder.gru(x.transpose(1, 2))
    return torch.cat([x.flatten(1), last.transpose(0, 1).flatten(1)], 1)


def with_shape(encoder: Any, strain: Tensor) -> Tensor:
    x = encoder.first(strain)
    return torch.reshape(x, (strain.shape[0], x.size(1) * x.shape[2]))


def folded(encoder: Any, strain: Tensor) -> Tensor:
    """Each channel by itself, then all together."""
    batch, channels, samples = strain.shape
    x = encoder.each(strain.reshape(batch * channels, 1, samples))
    x = encoder.all(x.reshape(batch, -1, x.shape[2]))
    return torch.flatten(x.reshape(batch, 5, -1), 1)


def flat(stride: int = 1, pool: nn.Module | None = None) -> Somebodys:
    return Somebodys(
        flat_layers,
        first=nn.Conv1d(2, 3, 5, stride=stride, dilation=2),
        second=nn.Conv1d(3, 4, 3),
        norm=nn.BatchNorm1d(4),
        pool=pool or nn.MaxPool1d(3, stride=2),
        scale=nn.LayerNorm(4),
        mix=nn.Linear(4, 6),
    )


def recurrent(**options: Any) -> Somebodys:
    before = nn.Sequential(stem(2, 4, 9, 2), conv(4, 4, 3), GeM(3), nn.Sequential(nn.BatchNorm2d(4), nn.SiLU()))
    return Somebodys(rows_and_gru, before=before, gru=nn.GRU(4, 5, **{"batch_first": True, **options}))


SHARING = {
    "flat": flat(),
    "strided": flat(stride=4),
    "average": flat(stride=2, pool=nn.AvgPool1d(4)),
    "gru": recurrent(),
    "both directions": recurrent(bidirectional=True),
    "no bias": recurrent(bidirectional=True, bias=False),
    "two layers": recurrent(num_layers=2),
    "folded": Somebodys(folded, each=nn.Conv1d(1, 3, 8, stride=4), all=nn.Conv1d(6, 5, 3, stride=2)),
    "its shape": Somebodys(with_shape, first=nn.Conv1d(2, 3, 8, stride=8)),
}


@pytest.mark.parametrize("step", [1, 3, 4, 8, 12, 24, 31, 95])
@pytest.mark.parametrize("count", [2, 3, 17, 40])
@pytest.mark.parametrize("encoder", SHARING.values(), ids=SHARING.keys())
def test_embeddings_are_those_of_the_windows_one_by_one(encoder: Somebodys, step: int, count: int) -> None:
    lived_in(encoder)
    shared, given = SharedEncoder(encoder), windows(step, count)
    with torch.inference_mode():
        expected = torch.cat([encoder(each[None].clone()) for each in given])
        torch.testing.assert_close(shared(given), expected, rtol=1e-9, atol=1e-11)
    assert shared.strides or step > 24


def test_a_place_is_computed_once() -> None:
    """8 windows, 12 samples apart: 8 x 22 places window by window, 43 along their stretch."""
    first = nn.Conv1d(2, 3, 12, stride=4)
    encoder = Somebodys(with_shape, first=first).double()
    places = []
    first.register_forward_hook(lambda _module, _given, out: places.append(out.shape[-1]))
    with torch.inference_mode():
        SharedEncoder(encoder)(windows(12, 8))
    assert places == [(7 * 12 + WINDOW - 12) // 4 + 1]


def test_the_strides_of_what_windows_share() -> None:
    encoder = recurrent()
    lived_in(encoder)
    shared = SharedEncoder(encoder)
    assert shared.strides == set()
    with torch.inference_mode():
        shared(windows(1, 2))
    assert shared.strides == {2, 6}


def padded(encoder: Any, strain: Tensor) -> Tensor:
    return torch.mean(encoder.first(strain), dim=2)


def by_value(encoder: Any, strain: Tensor) -> Tensor:
    return torch.mean(encoder.first(strain if strain.max() > 0 else -strain), dim=2)


def over_the_batch(encoder: Any, strain: Tensor) -> Tensor:
    return torch.mean(encoder.first(strain).transpose(0, 2), dim=0)


@pytest.mark.parametrize(
    ("encoder", "shares"),
    [
        (Somebodys(padded, first=nn.Conv1d(2, 3, 5, padding=2)), False),
        (Somebodys(padded, first=nn.Conv1d(2, 3, 5, padding="same")), False),
        (Somebodys(padded, first=nn.MaxPool1d(3, ceil_mode=True)), False),
        (Somebodys(padded, first=nn.BatchNorm1d(2, track_running_stats=False)), False),
        (Somebodys(padded, first=nn.InstanceNorm1d(2)), False),
        (Somebodys(padded, first=nn.LayerNorm(WINDOW)), False),
        (Somebodys(by_value, first=nn.Conv1d(2, 3, 5)), False),
        (Somebodys(over_the_batch, first=nn.Conv1d(2, 3, 5)), True),
    ],
)
def test_what_cannot_be_shared_runs_window_by_window(encoder: Somebodys, shares: bool) -> None:
    lived_in(encoder)
    shared, given = SharedEncoder(encoder), windows(5, 9)
    with torch.inference_mode():
        torch.testing.assert_close(shared(given), encoder(given.clone()), rtol=1e-9, atol=1e-11)
    assert bool(shared.strides) is shares


@pytest.mark.parametrize(
    "given",
    [
        windows(5, 9).clone(),
        windows(5, 1),
        windows(WINDOW, 4),
        windows(5, 9).flip(2),
        windows(5, 9)[:1].expand(3, -1, -1),
    ],
    ids=["copies", "one window", "side by side", "reversed", "the same"],
)
def test_windows_that_share_nothing_go_through_the_encoder(given: Tensor) -> None:
    encoder = flat()
    lived_in(encoder)
    shared = SharedEncoder(encoder)
    with torch.inference_mode():
        torch.testing.assert_close(shared(given), encoder(given), rtol=0, atol=0)
    assert not shared.strides


def test_a_part_of_the_windows_of_some_channels() -> None:
    encoder = flat()
    lived_in(encoder)
    given = windows(4, 20, channels=5)[3:17, 1:3]
    shared = SharedEncoder(encoder)
    with torch.inference_mode():
        torch.testing.assert_close(shared(given), encoder(given.clone()), rtol=1e-9, atol=1e-11)
    assert shared.strides


@pytest.mark.parametrize("sizes", [(22, 96), (11, 2, 96), (22, 1, 96), (-1, 1, 96), (11, 1, 2, -1), (2, 11, 96)])
def test_a_reshape_of_fragments_is_that_of_the_windows(sizes: tuple[int, ...]) -> None:
    given = windows(3, 11)
    start = Fragments.of(given)
    assert start is not None
    found = start.reshape(*sizes)
    assert (found is None) is (sizes[0] == 2)
    if found is not None:
        torch.testing.assert_close(found.each(), given.reshape(sizes), rtol=0, atol=0)
        assert found.shape == given.reshape(sizes).shape


@pytest.mark.parametrize("sizes", [(11, 192), (33, 64), (11, 96, 2), (22, 2, 48)])
def test_a_reshape_that_tears_windows_apart_is_not_shared(sizes: tuple[int, ...]) -> None:
    start = Fragments.of(windows(3, 11))
    assert start is not None and start.reshape(*sizes) is None


@pytest.mark.parametrize("length", [WINDOW, 37])
def test_fragments_hold_every_window(length: int) -> None:
    """After a pooling by 4 of windows 3 samples apart there are four phases; a window is found in its own."""
    given = windows(3, 11, length=length)
    start = Fragments.of(given)
    assert start is not None
    torch.testing.assert_close(start.each(), given, rtol=0, atol=0)
    pooled = start.along(lambda values: F.max_pool1d(values, 4), 4, 4)
    assert pooled is not None
    assert (len(pooled.values), pooled.step, pooled.length, pooled.stride) == (4, 3, length // 4, 4)
    torch.testing.assert_close(pooled.each(), F.max_pool1d(given.clone(), 4), rtol=0, atol=0)
    assert start.along(lambda values: values, length + 1, 1) is None


def test_a_gru_in_single_precision_is_torchs() -> None:
    gru = nn.GRU(8, 16, batch_first=True, bidirectional=True).eval()
    given = Fragments(noise(3, 40, 8).float(), time=1, windows=10, step=5, length=20)
    states, last = gru_windows(gru, given)
    expected, expected_last = gru(given.each())
    torch.testing.assert_close(states, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(last, expected_last, rtol=1e-5, atol=1e-6)
