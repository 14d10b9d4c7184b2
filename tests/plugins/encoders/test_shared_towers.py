from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gwbench.contracts import InputShape
from gwbench.errors import UserError
from gwbench.plugins.encoders.cnn1d import Cnn1d
from gwbench.plugins.encoders.shared_towers import SharedTowers

SAMPLES = 4096
SMALL = {"width": 2, "tower_width": 2, "stride": 8}


def towers(channels: int, **parameters: int) -> SharedTowers:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SharedTowers(InputShape(channels, SAMPLES, 2048.0), **{"width": 8, "embed_dim": 6, **parameters}).eval()


def strain(channels: int) -> Tensor:
    return torch.randn(4, channels, SAMPLES, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("stride", [4, 8])
def test_with_one_detector_it_is_cnn1d(stride: int) -> None:
    """Whose layers are held to a reference from outside."""
    reference = Cnn1d(InputShape(1, SAMPLES, 2048.0), width=8, embed_dim=6, stride=stride).eval()
    own = towers(1, tower_width=8, stride=stride)
    theirs = list(reference.state_dict().values())
    assert [x.shape for x in own.state_dict().values()] == [x.shape for x in theirs]
    own.load_state_dict(dict(zip(own.state_dict(), theirs, strict=True)))
    torch.testing.assert_close(own(strain(1)), reference(strain(1)))


def test_every_detector_is_read_by_the_same_filters() -> None:
    encoder, x = towers(3), strain(3)
    seen: list[Tensor] = []
    encoder.joint.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        encoder(x)
        encoder(x[:, [2, 0, 1]])
    features, permuted = (each.squeeze(2).unflatten(1, (3, 16)) for each in seen)
    torch.testing.assert_close(permuted, features[:, [2, 0, 1]])
    alone = encoder.tower(x[:, 1:2].unsqueeze(2)).squeeze(2)
    torch.testing.assert_close(features[:, 1], alone, rtol=1e-4, atol=1e-5)


def test_more_detectors_cost_weights_in_one_layer_only() -> None:
    one, three = ({n: p.numel() for n, p in towers(c).named_parameters()} for c in (1, 3))
    assert [name for name in one if one[name] != three[name]] == ["joint.0.weight"]
    assert three["joint.0.weight"] == 3 * one["joint.0.weight"]


def test_windows_that_are_too_short_are_refused() -> None:
    with pytest.raises(UserError, match="at stride 4 cannot take windows as short as 512 samples"):
        SharedTowers(InputShape(3, 512, 2048.0))
