"""Convolution over time by overlap-save: blocks of the input are multiplied by the kernel's spectrum.

A kernel of K taps over C channels costs K C^2 multiplications a sample when it is slid along, and about 3 (N + C) C by
blocks of N = 3 K samples: a fifth, for 32 taps over 64 channels. Both Fourier transforms are multiplications by a fixed
real matrix, and every frequency is a multiplication of channels by channels, so that all the work is done by the
processor's matrix multiplication, which is what it does best. The transposed steps give the gradients; the kernel's
gradient uses the input's spectrum again.

A real block of N samples has N / 2 + 1 complex frequencies, of which the first and the last are real. They share the
first place, so that a spectrum is N / 2 pairs of real numbers. See Oppenheim & Schafer, Discrete-Time Signal
Processing, section 8.7.3.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCKS = range(16, 257, 8)
"""Lengths of a block to choose from."""

GAIN = {torch.bfloat16: 2.0, torch.float32: 3.0, torch.float64: 3.0}
"""How many times fewer multiplications make up for smaller matrices and further passes through memory.

Measured with training steps on one core of an AMD EPYC with AVX-512, 16 to 256 channels, 8 to 64 taps.
"""

BATCH = 64
"""Windows in the batch that the length of a block is chosen for; a fixed number, so that embeddings do not depend on
how many are made at once."""

WORKING_SET = 2**22
"""Bytes of a spectrum that is worked on at a time, so that it stays in the cache."""


@lru_cache(maxsize=256)
def block_length(samples: int, channels: int, wider: int, kernel: int, dtype: torch.dtype) -> int | None:
    """The cheapest length of a block for inputs [B, samples, channels]; None where sliding the kernel is faster."""
    valid = samples - kernel + 1

    def cost(block: int) -> int:
        """Multiplications of the forward pass, and what turning the kernel into spectra is worth."""
        step = block - kernel + 1
        one = block * (block * channels + step * wider + 2 * channels * wider)
        return BATCH * -(-valid // step) * one + 100 * block * channels * wider

    blocks = [block for block in BLOCKS if block >= 2 * kernel]
    if valid < kernel or not blocks or dtype not in GAIN:
        return None
    best = min(blocks, key=cost)
    return best if GAIN[dtype] * cost(best) < BATCH * valid * kernel * channels * wider else None


def correlate(x: Tensor, weight: Tensor, bias: Tensor | None, block: int) -> Tensor:
    """What `conv1d` computes, without padding and at stride 1, in the precision of `x`.

    Args:
        x: [B, T, C], time before channels.
        weight: [C', C, K], K at most half a block.
        bias: [C'].
        block: even number of samples to transform at a time.

    Returns:
        [B, T - K + 1, C'].
    """
    keep = torch.is_grad_enabled() and weight.requires_grad
    y: Tensor = _Correlation.apply(x, weight, bias, block, keep)
    return y


@lru_cache(maxsize=64)
def _transforms(block: int, kernel: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Real matrices of the transform, [N, N], and of the inverse's first N - K + 1 samples, [N - K + 1, N]."""
    forward = _fourier(block)
    inverse = 2 * forward / block
    inverse[:2] /= 2
    return forward.to(device, dtype), inverse[:, : block - kernel + 1].T.contiguous().to(device, dtype)


@lru_cache(maxsize=64)
def _kernel_transform(block: int, kernel: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Real matrix [N, K] from a kernel to the complex conjugate of its spectrum."""
    forward = _fourier(block)[:, :kernel]
    forward[3::2] *= -1
    return forward.to(device, dtype)


def _fourier(block: int) -> Tensor:
    """[N, N] float64: rows 2 f and 2 f + 1 are the real and the imaginary part at frequency f; row 1 is Nyquist's."""
    phase = 2 * math.pi / block * torch.outer(torch.arange(block // 2), torch.arange(block)).double()
    matrix = torch.stack([phase.cos(), -phase.sin()], 1)
    matrix[0, 1, 1::2], matrix[0, 1, ::2] = -1, 1
    return matrix.flatten(0, 1)


def _spectral_weight(weight: Tensor, block: int, dtype: torch.dtype) -> Tensor:
    """[N / 2, 2 C, 2 C'] from [C', C, K]: what the real and imaginary parts of a spectrum are multiplied by."""
    wider, channels, kernel = weight.shape
    transform = _kernel_transform(block, kernel, weight.dtype, weight.device)
    parts = (transform @ weight.permute(2, 1, 0).reshape(kernel, -1)).view(block // 2, 2, channels, wider)
    real, imaginary = parts[:, 0], parts[:, 1]
    full = weight.new_empty(block // 2, 2, channels, 2, wider, dtype=dtype)
    full[:, 0, :, 0], full[:, 0, :, 1] = real, imaginary
    full[:, 1, :, 0], full[:, 1, :, 1] = -imaginary, real
    full[0, 0, :, 1] = full[0, 1, :, 0] = 0
    full[0, 1, :, 1] = imaginary[0]
    return full.view(block // 2, 2 * channels, 2 * wider)


def _weight_gradient(full: Tensor, shape: torch.Size, block: int) -> Tensor:
    """[C', C, K] from the gradient [N / 2, 2 C, 2 C'] with respect to `_spectral_weight`."""
    wider, channels, kernel = shape
    full = full.view(block // 2, 2, channels, 2, wider)
    parts = torch.stack([full[:, 0, :, 0] + full[:, 1, :, 1], full[:, 0, :, 1] - full[:, 1, :, 0]], 1)
    parts[0, 0], parts[0, 1] = full[0, 0, :, 0], full[0, 1, :, 1]
    transform = _kernel_transform(block, kernel, full.dtype, full.device)
    return (transform.T @ parts.view(block, -1)).view(kernel, channels, wider).permute(2, 1, 0)


def _by_frequency(blocks: Tensor) -> Tensor:
    """[M, N, C] -> [N / 2, M, 2 C]."""
    count, block, channels = blocks.shape
    return blocks.view(count, block // 2, 2 * channels).transpose(0, 1).contiguous()


def _by_block(spectrum: Tensor) -> Tensor:
    """[N / 2, M, 2 C] -> [M, N, C]."""
    half, count, channels = spectrum.shape
    return spectrum.view(half, count, 2, channels // 2).permute(1, 0, 2, 3).reshape(count, 2 * half, channels // 2)


def _each(matrix: Tensor, blocks: Tensor) -> Tensor:
    """The matrix [P, N] times each of the blocks [M, N, C]."""
    return torch.bmm(matrix.expand(len(blocks), *matrix.shape), blocks)


def _overlapping(x: Tensor, block: int, step: int, count: int) -> Tensor:
    """[B, T, C] -> [B, count, N, C], one block every `step` samples; zeros after the end."""
    batch, samples, channels = x.shape
    blocks = x.new_empty(batch, count, block, channels)
    whole = max(0, (samples - block) // step + 1)
    if whole:
        blocks[:, :whole] = x.unfold(1, block, step).transpose(2, 3)
    for number in range(whole, count):
        rest = samples - number * step
        blocks[:, number, :rest], blocks[:, number, rest:] = x[:, number * step :], 0
    return blocks


def _add_overlapping(blocks: Tensor, step: int, out: Tensor) -> None:
    """The sum of [B, count, N, C], one block every `step` samples, cut to `out`, [B, T, C]; the transpose of the above.

    A block reaches no further than into the next one, which begins before the end of `out`.
    """
    count, block = blocks.shape[1:3]
    samples = out.shape[1]
    whole = min(count, samples // step)
    out[:, : whole * step].unflatten(1, (whole, step)).copy_(blocks[:, :whole, :step])
    last = (whole, 0) if whole < count else (count - 1, step)
    rest = samples - whole * step
    out[:, whole * step :] = blocks[:, last[0], last[1] : last[1] + rest]
    if count > 1:
        shared = out[:, step:].unfold(1, block - step, step)[:, : count - 1].transpose(2, 3)
        shared += blocks[:, :-1, step:]


class _Correlation(torch.autograd.Function):
    @staticmethod
    @torch.autocast("cpu", enabled=False)
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, block: int, keep: bool) -> Tensor:
        wider, channels, kernel = weight.shape
        step = block - kernel + 1
        valid = x.shape[1] - kernel + 1
        count = -(-valid // step)
        forward, inverse = _transforms(block, kernel, x.dtype, x.device)
        full = _spectral_weight(weight, block, x.dtype)
        rows = max(1, WORKING_SET // (count * block * channels * x.element_size()))
        y = x.new_empty(len(x), valid, wider)
        spectra = []
        for part, out in zip(x.split(rows), y.split(rows), strict=True):
            blocks = _overlapping(part, block, step, count).flatten(0, 1)
            spectrum = _by_frequency(_each(forward, blocks))
            product = torch.bmm(spectrum, full)
            if bias is not None:
                product[0, :, :wider] += block * bias  # at frequency 0, which `inverse` divides by the block's length
            filtered = _each(inverse, _by_block(product))
            out.copy_(filtered.view(len(part), -1, wider)[:, :valid])
            if keep:
                spectra.append(spectrum)
        ctx.save_for_backward(full, *spectra)
        ctx.block, ctx.kernel, ctx.rows, ctx.count, ctx.weight = block, kernel, rows, count, weight.dtype
        return y

    @staticmethod
    @once_differentiable
    @torch.autocast("cpu", enabled=False)
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        full, *spectra = ctx.saved_tensors
        for_x, for_weight, for_bias, *_ = ctx.needs_input_grad
        batch, valid, wider = gradient.shape
        channels = full.shape[1] // 2
        overlap = ctx.kernel - 1
        step = ctx.block - overlap
        forward, inverse = _transforms(ctx.block, ctx.kernel, gradient.dtype, gradient.device)
        backward, transposed = forward.T.contiguous(), inverse.T.contiguous()
        dx = gradient.new_empty(batch, valid + overlap, channels) if for_x else None
        total = full.new_zeros(full.shape, dtype=ctx.weight)
        for start in range(0, batch, ctx.rows):
            part = gradient[start : start + ctx.rows]
            blocks = part.new_empty(len(part), ctx.count * step, wider)
            blocks[:, :valid], blocks[:, valid:] = part, 0
            spectrum = _by_frequency(_each(transposed, blocks.view(-1, step, wider)))
            if for_weight:
                total += torch.bmm(spectra[start // ctx.rows].transpose(1, 2), spectrum)
            if dx is not None:
                per_block = _each(backward, _by_block(torch.bmm(spectrum, full.transpose(1, 2))))
                _add_overlapping(
                    per_block.view(len(part), ctx.count, ctx.block, channels), step, dx[start : start + ctx.rows]
                )
        shape = torch.Size((wider, channels, ctx.kernel))
        dw = _weight_gradient(total, shape, ctx.block) if for_weight else None
        return dx, dw, gradient.sum((0, 1)).to(ctx.weight) if for_bias else None, None, None
