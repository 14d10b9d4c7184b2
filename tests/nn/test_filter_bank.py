from __future__ import annotations

import pytest
import torch
from nnAudio.features.cqt import CQT1992v2
from torch import Tensor
from torch.nn import functional as F

from gwbench.nn.filter_bank import FilterBank


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def with_support(*spans: tuple[int, int], length: int) -> Tensor:
    filters = torch.zeros(len(spans), length)
    for row, (first, last) in zip(filters, spans, strict=True):
        row[first:last] = noise(last - first)
    return filters


@pytest.mark.parametrize("hop", [1, 7, 16, 64, 100])
@pytest.mark.parametrize(("samples", "length"), [(512, 256), (500, 255), (511, 100), (200, 256)])
def test_it_is_torchs_convolution_with_a_stride(samples: int, length: int, hop: int) -> None:
    spans = [(0, length), (3, length - 2), (length // 2, length // 2 + 1), (90, 99), (0, 5), (length - 1, length)]
    filters = with_support(*spans, (10, 10), length=length)
    strain = noise(3, samples)
    beyond = length // 2
    padded = F.pad(strain.double().unsqueeze(1), (beyond, beyond), mode="reflect")
    expected = F.conv1d(padded, filters.double().unsqueeze(1), stride=hop)
    found = FilterBank(filters, hop)(strain)
    assert found.shape == expected.shape
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
    assert not found[:, -1].any()


@pytest.mark.parametrize(("rate", "hop"), [(2048.0, 64), (2048.0, 33), (1024.0, 32), (4096.0, 100)])
def test_it_gives_nnaudios_transform(rate: float, hop: int) -> None:
    cqt = CQT1992v2(
        sr=rate, hop_length=hop, fmin=20.0, n_bins=50, bins_per_octave=12, output_format="Complex", verbose=False
    )
    strain = noise(4, int(2 * rate))
    kernels = (
        torch.cat([cqt.cqt_kernels_real, -cqt.cqt_kernels_imag]).squeeze(1) * cqt.lenghts.sqrt().repeat(2)[:, None]
    )
    found = FilterBank(kernels, hop)(strain).unflatten(1, (2, -1)).movedim(1, 3)
    expected = cqt(strain)
    assert float(expected.abs().max()) > 2
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-5)


def test_short_filters_are_spared_the_zeros_around_them() -> None:
    bank = FilterBank(with_support((0, 1024), (256, 768), (250, 700), (500, 520), (505, 515), length=1024), hop=16)
    sizes = [tuple(part.shape) for part in bank.buffers()]
    assert sizes == [(1, 16, 1, 64), (2, 16, 1, 33), (2, 16, 1, 2)]


def test_nothing_learns_and_nothing_is_saved() -> None:
    bank = FilterBank(noise(3, 64), hop=8)
    assert not list(bank.parameters())
    assert bank.state_dict() == {}
    strain = noise(2, 128).requires_grad_()
    bank(strain).square().sum().backward()
    assert strain.grad is not None and bool(strain.grad.all())
