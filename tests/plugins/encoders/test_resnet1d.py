from __future__ import annotations

import pytest
import timm
import torch

from gwbench.contracts import InputShape
from gwbench.errors import UserError
from gwbench.plugins.encoders.resnet1d import ResNet1d

SMALL = {"width": 4}
"""Settings that make it small, for tests of every combination."""

SHAPE = InputShape(channels=2, samples=1024, sample_rate=2048.0)


@pytest.mark.parametrize(("training", "tolerance"), [(False, 1e-5), (True, 1e-4)])
def test_timms_resnet18_on_an_image_of_one_row_gives_the_same_numbers(training: bool, tolerance: float) -> None:
    """Of a 3x3 kernel with padding, only the middle row meets an image of one row."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reference = timm.create_model("resnet18", in_chans=2, num_classes=128)
        ours = ResNet1d(SHAPE, width=64, kernel=3, stem_kernel=7, stride=2, pooling="mean")
        strain = torch.randn(4, 2, 1024)
    weights = [w[:, :, w.shape[2] // 2][:, :, None] if w.ndim == 4 else w for w in reference.state_dict().values()]
    state = ours.state_dict()
    ours.load_state_dict(dict(zip(state, weights, strict=True)))
    ours.train(training)
    reference.train(training)
    with torch.no_grad():
        torch.testing.assert_close(ours(strain), reference(strain[:, :, None]), rtol=tolerance, atol=tolerance)


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(UserError, match=r"encoder\.kernel=8 has no middle"):
        ResNet1d(SHAPE, kernel=8)


def test_pooling_is_over_all_of_time() -> None:
    """Behind the last ReLU the maximum is the largest, the mean the smallest, the generalised mean between."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = ResNet1d(SHAPE, width=4, pooling="gem").eval()
        features = torch.rand(3, 32, 1, 16)
    pooled = encoder.pool(features)
    expected = (features[:, :, 0] ** 3).mean(2) ** (1 / 3)
    torch.testing.assert_close(pooled, expected)
