from __future__ import annotations

import math

import pytest
import torch
from timm.models.vision_transformer import Block
from torch import nn

from gwbench.contracts import InputShape
from gwbench.errors import UserError
from gwbench.plugins.encoders.patch_transformer import PatchTransformer

SMALL = {"width": 16, "depth": 1}
"""Settings that make it small, for tests of every combination."""

SHAPE = InputShape(channels=2, samples=1024, sample_rate=2048.0)
PATCH = 64


def build(**parameters: object) -> PatchTransformer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PatchTransformer(SHAPE, **{"width": 16, "depth": 2, **parameters})


def strain() -> torch.Tensor:
    return torch.randn(3, 2, 1024, generator=torch.Generator().manual_seed(1))


def test_the_layers_are_those_of_timms_vision_transformer() -> None:
    encoder = build(depth=1).eval()
    layer = encoder.layers.layers[0]
    block = Block(16, num_heads=4, mlp_ratio=2, qkv_bias=True, norm_layer=nn.LayerNorm).eval()
    names = {
        "attn.qkv.weight": layer.self_attn.in_proj_weight,
        "attn.qkv.bias": layer.self_attn.in_proj_bias,
        "attn.proj.weight": layer.self_attn.out_proj.weight,
        "attn.proj.bias": layer.self_attn.out_proj.bias,
        "mlp.fc1.weight": layer.linear1.weight,
        "mlp.fc1.bias": layer.linear1.bias,
        "mlp.fc2.weight": layer.linear2.weight,
        "mlp.fc2.bias": layer.linear2.bias,
        "norm1.weight": layer.norm1.weight,
        "norm1.bias": layer.norm1.bias,
        "norm2.weight": layer.norm2.weight,
        "norm2.bias": layer.norm2.bias,
    }
    block.load_state_dict(names)
    with torch.no_grad():
        patches = strain().reshape(3, 2, 16, PATCH).permute(0, 2, 1, 3).flatten(2)  # [B, 16 patches, 2 x 64]
        tokens = patches @ encoder.patches.weight.flatten(1).T + encoder.patches.bias + encoder.positions
        expected = encoder.head(encoder.layers.norm(block(tokens)).mean(1))
        torch.testing.assert_close(encoder(strain()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_without_positions_the_order_of_patches_does_not_matter_and_with_them_it_does(pooling: str) -> None:
    order = torch.randperm(16, generator=torch.Generator().manual_seed(2))
    shuffled = strain().reshape(3, 2, 16, PATCH)[:, :, order].flatten(2)
    encoder = build(pooling=pooling).eval()
    with torch.no_grad():
        moved = (encoder(shuffled) - encoder(strain())).abs().max()
        encoder.positions.zero_()
        torch.testing.assert_close(encoder(shuffled), encoder(strain()), rtol=1e-4, atol=1e-5)
    assert moved > 1e-3


def test_sinusoidal_positions_are_those_of_the_paper() -> None:
    positions = build(positions="sinusoidal").positions
    for position in (0, 1, 15):
        for i in range(8):
            angle = position / 10000 ** (2 * i / 16)
            assert positions[position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert positions[position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_overlapping_patches_start_every_stride_and_zeros_complete_the_last() -> None:
    encoder = PatchTransformer(InputShape(1, 1000, 2048.0), width=16, depth=1, patch=64, stride=32)
    assert len(encoder.positions) == math.ceil((1000 - 64) / 32) + 1
    assert encoder(torch.ones(2, 1, 1000)).shape == (2, 128)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"width": 18}, r"encoder\.width=18 cannot be split between encoder\.heads=4"),
        ({"stride": 65}, r"encoder\.stride=65 leaves out strain"),
    ],
)
def test_what_does_not_fit_is_refused(parameters: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(**parameters)
