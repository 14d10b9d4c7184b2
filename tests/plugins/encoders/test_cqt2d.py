from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import timm
import torch
from nnAudio.features.cqt import CQT1992v2

from gwbench.contracts import InputShape
from gwbench.errors import UserError
from gwbench.plugins.encoders.cqt2d import Cqt2d

SMALL = {"backbone": "test_resnet", "hop_length": 128, "n_bins": 24}
"""Settings that make it small, for tests of every combination."""

RATE = 2048.0
SHAPE = InputShape(channels=1, samples=4096, sample_rate=RATE)
Q = 1 / (2 ** (1 / 12) - 1)


def build(shape: InputShape = SHAPE, **parameters: Any) -> Cqt2d:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Cqt2d(shape, **{"backbone": "test_resnet", **parameters})


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("frequency", [25.0, 61.0, 150.0, 400.0])
def test_a_sine_lands_in_its_bin(frequency: float) -> None:
    time = torch.arange(4096) / RATE
    sine = torch.sin(2 * math.pi * frequency * time)[None, None]
    for scale in ("log", "magnitude"):
        image = build(scale=scale).front_end(sine)[0, 0]
        assert image[:, 24:40].mean(1).argmax().item() == round(12 * math.log2(frequency / 20.0))


def test_a_sine_of_unit_amplitude_has_half_the_root_of_its_kernels_length() -> None:
    """A kernel of unit L1 norm times the root of its length, on one of the sine's two exponentials."""
    frequency = 20.0 * 2 ** (30 / 12)
    sine = torch.sin(2 * math.pi * frequency * torch.arange(4096) / RATE)[None, None]
    expected = math.sqrt(math.ceil(Q * RATE / frequency)) / 2
    peak = build(scale="magnitude").front_end(sine)[0, 0, 30, 32]
    assert peak.item() == pytest.approx(expected, rel=1e-3)
    log_peak = build(scale="log").front_end(sine)[0, 0, 30, 32]
    assert log_peak.item() == pytest.approx(math.log(expected), abs=1e-3)


def test_white_noise_of_unit_variance_has_a_power_of_three_halves_at_every_frequency() -> None:
    """The ratio of a Hann window's mean square to its squared mean is 3/2."""
    power = build(scale="magnitude").front_end(noise(128, 1, 4096)).square().mean((0, 1, 3))
    np.testing.assert_allclose(power.numpy(), 1.5, rtol=0.12)
    assert power.mean().item() == pytest.approx(1.5, rel=0.02)


def test_the_magnitude_is_nnaudios_and_detectors_are_channels_of_the_image() -> None:
    strain = noise(2, 3, 4096)
    image = build(InputShape(3, 4096, RATE), scale="magnitude").front_end(strain)
    reference = CQT1992v2(sr=RATE, hop_length=64, fmin=20.0, n_bins=56, bins_per_octave=12, verbose=False)
    assert image.shape == (2, 3, 56, 65)
    for detector in range(3):
        torch.testing.assert_close(image[:, detector], reference(strain[:, detector]), rtol=1e-3, atol=1e-3)


def test_autocast_leaves_the_transform_in_fp32() -> None:
    encoder = build()
    strain = noise(2, 1, 4096)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(encoder.front_end(strain), encoder.front_end(strain.clone()))
        inside = encoder.front_end(strain)
    assert torch.equal(inside, encoder.front_end(strain))


def test_zero_strain_has_a_finite_gradient_in_kernels_and_strain() -> None:
    for scale in ("log", "magnitude"):
        encoder = build(scale=scale, trainable=True)
        strain = torch.zeros(2, 1, 4096, requires_grad=True)
        encoder(strain).sum().backward()
        assert strain.grad is not None and bool(torch.isfinite(strain.grad).all())
        kernels = dict(encoder.cqt.named_parameters())
        assert set(kernels) == {"cqt_kernels_real", "cqt_kernels_imag"}
        assert all(bool(torch.isfinite(kernel.grad).all()) for kernel in kernels.values())


def test_the_kernels_learn_only_where_they_should() -> None:
    assert list(build().cqt.parameters()) == []
    learning = build(trainable=True)
    learning(noise(2, 1, 4096)).square().sum().backward()
    assert all(bool(kernel.grad.any()) for kernel in learning.cqt.parameters())


@pytest.mark.parametrize(("backbone", "width"), [("test_resnet", 96), ("test_efficientnet", 256), ("test_vit", 64)])
def test_any_backbone_gives_its_own_width_or_the_one_asked_for(backbone: str, width: int) -> None:
    own = build(backbone=backbone, embed_dim=0)
    assert own(noise(2, 1, 4096)).shape == (2, width) == (2, own.embed_dim)
    assert build(backbone=backbone, embed_dim=5)(noise(2, 1, 4096)).shape == (2, 5)


def test_an_unknown_backbone_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"timm has no model 'resnet_18'\. Did you mean 'resnet18'"):
        build(backbone="resnet_18")


def test_a_backbone_that_cannot_take_so_small_an_image_is_refused_at_once() -> None:
    with pytest.raises(UserError, match="test_convnext cannot take images of 4 frequencies and 5 times"):
        build(backbone="test_convnext", n_bins=4, hop_length=1024)


def test_pretrained_weights_are_asked_for_and_an_unreachable_hub_is_a_users_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []
    create = timm.create_model

    def hub(name: str, *, pretrained: bool, **rest: Any) -> Any:
        asked.append(pretrained)
        if pretrained:
            raise OSError("no route to the hub")
        return create(name, pretrained=False, **rest)

    monkeypatch.setattr(timm, "create_model", hub)
    build()
    with pytest.raises(UserError, match=r"'test_resnet': OSError: no route to the hub.*encoder\.pretrained off"):
        build(pretrained=True)
    assert asked == [False, True]


@pytest.mark.parametrize(
    ("shape", "parameters", "message"),
    [
        (InputShape(1, 1024, RATE), {}, r"20 Hz, takes 1723 samples, more than a window's 1024"),
        (SHAPE, {"bins_per_octave": 48, "n_bins": 200}, r"takes 7041 samples, more than a window's 4096"),
        (SHAPE, {"n_bins": 80}, r"is 1918 Hz, above half the sample rate of 2048 Hz: encoder\.n_bins=69 at most"),
    ],
)
def test_a_band_that_does_not_fit_is_refused(shape: InputShape, parameters: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(shape, **parameters)
    assert 20 * 2 ** (68 / 12) < RATE / 2 < 20 * 2 ** (69 / 12)
