"""What every encoder of the zoo promises, at the sizes that strain comes in."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gwbench.contracts import Encoder, InputShape
from gwbench.errors import UserError
from gwbench.plugins.encoders.cqt2d import Cqt2d
from gwbench.plugins.encoders.inceptiontime import InceptionTime
from gwbench.plugins.encoders.patch_transformer import PatchTransformer
from gwbench.plugins.encoders.resnet1d import ResNet1d
from gwbench.plugins.encoders.s4d import S4d

SMALL: dict[type[Encoder], dict[str, Any]] = {
    Cqt2d: {"backbone": "test_resnet", "hop_length": 128},
    ResNet1d: {"width": 4},
    InceptionTime: {"width": 4, "stride": 32, "modules": 2},
    PatchTransformer: {"width": 16, "depth": 2, "pooling": "cls"},
    S4d: {"width": 8, "stride": 32, "depth": 2},
}

every_encoder = pytest.mark.parametrize("kind", SMALL, ids=lambda kind: kind.__name__)


def build(kind: type[Encoder], channels: int, samples: int, **parameters: Any) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(InputShape(channels, samples, 2048.0), **{"embed_dim": 7, **SMALL[kind], **parameters})


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@every_encoder
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("samples", [2048, 4096, 8192])
def test_any_detectors_and_any_window_give_finite_embeddings_and_gradients(
    kind: type[Encoder], channels: int, samples: int
) -> None:
    encoder = build(kind, channels, samples)
    with torch.no_grad():  # timm starts the last layer of every residual branch at zero, which cuts off those before
        for parameter in encoder.parameters():
            parameter.add_(0.01 * noise(*parameter.shape))
    strain = noise(2, channels, samples)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embedding = encoder(strain)
    assert embedding.shape == (2, 7) == (2, encoder.embed_dim)
    assert bool(torch.isfinite(embedding).all())
    (embedding.float() - noise(2, 7)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool(parameter.grad.any()), name


@every_encoder
def test_the_start_and_the_end_of_a_window_and_every_detector_are_seen(kind: type[Encoder]) -> None:
    encoder = build(kind, 3, 4100).eval()
    strain = noise(2, 3, 4100).requires_grad_()
    encoder(strain).square().sum().backward()
    assert strain.grad is not None
    for detector in range(3):
        for samples in (slice(0, 32), slice(2000, 2032), slice(-32, None)):
            assert bool(strain.grad[:, detector, samples].any())


@every_encoder
def test_evaluation_is_repeatable_and_blind_to_the_neighbours_in_a_batch(kind: type[Encoder]) -> None:
    encoder = build(kind, 1, 4096).eval()
    strain = noise(3, 1, 4096)
    with torch.no_grad():
        together = encoder(strain)
        assert torch.equal(encoder(strain), together)
        beside_others = encoder(torch.cat([strain[:1], 100 * strain[1:]]))
    torch.testing.assert_close(beside_others[0], together[0], rtol=1e-5, atol=1e-6)
    assert float((together[0] - together[1]).abs().max()) > 1e-5


@every_encoder
def test_constant_and_tiny_strain_give_finite_embeddings_and_gradients(kind: type[Encoder]) -> None:
    for strain in (torch.zeros(2, 1, 4096), torch.ones(2, 1, 4096), 1e-21 * noise(2, 1, 4096)):
        encoder = build(kind, 1, 4096)
        strain.requires_grad_()
        encoder(strain).square().sum().backward()
        assert strain.grad is not None and bool(torch.isfinite(strain.grad).all())
        assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in encoder.parameters())


@every_encoder
def test_a_window_too_short_is_refused(kind: type[Encoder]) -> None:
    with pytest.raises(UserError, match=r"\b48\b.*raise dataset\.duration"):
        build(kind, 1, 48)
