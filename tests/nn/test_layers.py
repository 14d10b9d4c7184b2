"""The layers against torch's own, in double precision where gradients are checked."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.nn import functional as F

from gwbench.nn import fft_conv, fused
from gwbench.nn.fft_conv import block_length, correlate
from gwbench.nn.layers import Convolution, GeM, Layers, as_row, conv, stem

SPEED = Path(__file__).parents[2] / "benchmarks" / "speed" / "train.py"


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def direct(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """[B, T, C] -> [B, T', C'] by torch."""
    return F.conv1d(x.transpose(1, 2), weight, bias).transpose(1, 2)


@pytest.mark.parametrize(
    ("samples", "kernel", "block"),
    [
        (100, 9, 24),
        (40, 8, 16),
        (30, 8, 64),
        (47, 7, 16),
        (64, 5, 16),
        (65, 5, 16),
        (63, 1, 16),
        (16, 8, 16),
        (8, 8, 16),
    ],
)
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_convolution_by_spectra_is_the_convolution(
    samples: int, kernel: int, block: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = -(-(samples - kernel + 1) // (block - kernel + 1))
    monkeypatch.setattr(fft_conv, "WORKING_SET", rows * blocks * block * 3 * 8)
    x, weight, bias = given = (noise(5, samples, 3), noise(2, 3, kernel, seed=1), noise(2, seed=2))
    for each in given:
        each.requires_grad_()
    got, expected = correlate(x, weight, bias, block), direct(x, weight, bias)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
    towards = noise(*expected.shape, seed=3)
    ours, theirs = (torch.autograd.grad(y, given, towards) for y in (got, expected))
    for mine, theirs_ in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, theirs_, rtol=1e-10, atol=1e-11)


def test_gradients_of_a_convolution_by_spectra_are_those_of_its_values() -> None:
    given = [noise(2, 21, 2), noise(3, 2, 4, seed=1), noise(3, seed=2)]
    for each in given:
        each.requires_grad_()
    assert gradcheck(lambda x, w, b: correlate(x, w, b, 8), given)


def test_a_window_that_is_not_finite_leaves_the_others_alone() -> None:
    x = noise(3, 90, 2)
    clean = correlate(x, noise(2, 2, 8, seed=1), None, 24)
    x[1] = torch.nan
    torch.testing.assert_close(correlate(x, noise(2, 2, 8, seed=1), None, 24)[[0, 2]], clean[[0, 2]], rtol=0, atol=0)


def test_a_network_that_has_embedded_can_be_trained() -> None:
    x, weight = noise(2, 83, 2), noise(2, 2, 8, seed=1).requires_grad_()
    with torch.inference_mode():
        embedded = correlate(x, weight, None, 40)  # a length that no other test uses: its matrices are made here
    y = correlate(x, weight, None, 40)
    torch.testing.assert_close(y.detach(), embedded.clone(), rtol=0, atol=0)
    y.sum().backward()
    torch.testing.assert_close(weight.grad, torch.autograd.grad(direct(x, weight, None).sum(), weight)[0])


def test_long_kernels_over_many_channels_go_by_spectra_and_short_ones_do_not() -> None:
    fp32, bf16 = torch.float32, torch.bfloat16
    for channels, wider, kernel, samples in ((64, 64, 32, 4033), (64, 128, 32, 484), (128, 128, 16, 453)):
        for dtype in (fp32, bf16):
            block = block_length(samples, channels, wider, kernel, dtype)
            assert block is not None and block >= 2 * kernel and block % 2 == 0
    for channels, wider, kernel, samples in ((32, 32, 8, 1009), (64, 64, 3, 4000), (1, 64, 64, 4096), (64, 64, 32, 40)):
        assert block_length(samples, channels, wider, kernel, fp32) is None
    assert block_length(2000, 64, 64, 12, bf16) is not None  # pays earlier where the products are faster


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kernel", [3, 31, 32])
def test_a_layer_computes_what_torch_does_whichever_way_it_takes(kernel: int, padded: bool) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = conv(64, 64, kernel, padded=padded).to(memory_format=torch.channels_last)
        plain = copy.deepcopy(layer)
    plain.__class__ = nn.Conv2d
    assert isinstance(layer, Convolution)
    outcomes = []
    for each in (layer, plain):
        x = as_row(noise(4, 64, 600, dtype=torch.float32)).requires_grad_()
        y = each(x)
        y.square().mean().backward()
        outcomes.append([y.detach(), x.grad, *(p.grad for p in each.parameters())])
    for got, expected in zip(*outcomes, strict=True):
        assert got is not None and expected is not None
        assert float((got - expected).norm() / expected.norm()) < 3e-6


@pytest.mark.parametrize("channels", [1, 2, 4, 7, 8])
def test_a_strided_kernel_of_one_sample_has_the_gradients_of_its_formula_time_after_time(channels: int) -> None:
    layer = conv(channels, 8, 1, stride=2).to(memory_format=torch.channels_last)
    for time in range(100):  # where torch wrote outside its memory it took a few to die
        x, towards = noise(2, channels, 512, seed=time, dtype=torch.float32), noise(2, 8, 256, seed=-1 - time)
        row = as_row(x).requires_grad_()
        dx, dw = torch.autograd.grad(layer(row), (row, layer.weight), towards[:, :, None].float())
        weight = layer.weight.detach().double()[:, :, 0, 0]
        assert not dx[..., 1::2].any()
        torch.testing.assert_close(dx[:, :, 0, ::2].double(), weight.T @ towards, rtol=1e-4, atol=1e-4)
        expected = torch.einsum("bot,bit->oi", towards, x[..., ::2].double())
        torch.testing.assert_close(dw[:, :, 0, 0].double(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kernel", [3, 32])
def test_autocast_computes_in_bf16_and_leaves_gradients_in_the_weights_precision(kernel: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = conv(64, 64, kernel).to(memory_format=torch.channels_last)
    x = as_row(noise(4, 64, 600, dtype=torch.float32)).requires_grad_()
    exact = layer(x)
    (exact_gradient,) = torch.autograd.grad(exact.square().mean(), layer.weight)
    exact = exact.detach()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
        y.float().square().mean().backward()  # inside, as some callers have it
    assert y.dtype == torch.bfloat16 and x.grad is not None and x.grad.dtype == torch.float32
    assert layer.weight.grad is not None and layer.weight.grad.dtype == torch.float32
    assert 1e-4 < float((y.detach() - exact).norm() / exact.norm()) < 0.01
    assert float((layer.weight.grad - exact_gradient).norm() / exact_gradient.norm()) < 0.01


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("momentum", [0.1, 0.0])
def test_batchnorm_and_silu_as_one_are_the_two(
    training: bool, momentum: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "WORKING_SET", 2 * 5 * 11 * 4)  # two windows at a time
    norm = nn.BatchNorm2d(5, momentum=momentum).double()
    with torch.no_grad():
        for number, tensor in enumerate((norm.weight, norm.bias, norm.running_mean)):
            assert tensor is not None
            tensor.add_(noise(5, seed=number))
    fast, plain = Layers(norm, nn.SiLU()).train(training), nn.Sequential(copy.deepcopy(norm), nn.SiLU()).train(training)
    outcomes = []
    for layers in (fast, plain):
        x = as_row(noise(7, 5, 11)).requires_grad_()
        y = layers(x)
        y.backward(noise(*y.shape, seed=4))
        outcomes.append([y.detach(), x.grad, *(p.grad for p in layers.parameters()), *layers.buffers()])
    for got, expected in zip(*outcomes, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


def plain_gem(x: Tensor, p: Tensor, kernel: int) -> Tensor:
    """arXiv:1711.02512, eq. 3."""
    return F.avg_pool1d(x.squeeze(2).clamp(min=1e-6).pow(p), kernel).pow(1 / p)


@pytest.mark.parametrize("kernel", [2, 4, None])
def test_gem_and_its_gradients_are_those_of_the_formula(kernel: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "WORKING_SET", 2 * 5 * 11 * 4)
    layer = GeM(kernel).double()
    with torch.no_grad():
        layer.p.fill_(2.7)
    outcomes = []
    for function in (layer, lambda x: plain_gem(x, layer.p, kernel or 11).unsqueeze(2)):
        layer.p.grad = None
        x = as_row(noise(7, 5, 11)).requires_grad_()
        y = function(x)
        y.backward(noise(7, 5, 1, 11 // (kernel or 11), seed=1))
        outcomes.append([y.detach(), x.grad, layer.p.grad])
    for got, expected in zip(*outcomes, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)


def test_gem_keeps_the_precision_of_activations() -> None:
    x = as_row(noise(4, 8, 64, dtype=torch.float32))
    pooled = GeM(4)(x.bfloat16())
    assert pooled.dtype == torch.bfloat16
    torch.testing.assert_close(pooled.float(), GeM(4)(x.bfloat16().float()), rtol=2**-8, atol=0)


def test_fused_layers_keep_the_names_of_their_weights() -> None:
    assert [name for name, _ in stem(1, 4, 8, 2).named_parameters()] == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_the_speed_benchmark_runs_and_its_networks_agree() -> None:
    command = [sys.executable, str(SPEED), "--threads", "1", "--tiny", "--batch", "4", "--steps", "1", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    *_, before, last = done.stdout.splitlines()
    assert before.startswith("fp32 ratio: ") and last.startswith("ratio: ")
    assert float(before.split()[-1]) > 0 and float(last.split()[-1]) > 0
    assert re.search(r"^default ratio: \d+\.\d\d$", done.stdout, re.MULTILINE)
    (difference,) = re.findall(r"largest relative difference in fp32: (\S+)", done.stdout)
    assert float(difference) < 1e-3  # BatchNorm over four windows magnifies rounding
