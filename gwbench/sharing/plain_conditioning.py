"""A run's conditioning as a module that can be exported: a fixed number of Fourier transforms and products.

`Conditioner` refuses strain that is not finite, and works through a fixed number of windows at a time. A graph does
neither: strain that is not finite gives scores that are not.

The transforms have the conditioner's own length, which gives its very numbers, or a power of two. Onnxruntime computes
transforms of other lengths by a chirp in float32, which leaves errors as large as whitened strain itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gwbench.data.whitening_filters import SCALE
from gwbench.errors import UserError
from gwbench.preprocessing.conditioning import SeedConditioning, Whitening

if TYPE_CHECKING:
    from gwbench.preprocessing.conditioning import Conditioner


def plain_conditioning(conditioner: Conditioner, *, power_of_two: bool = False) -> nn.Module:
    """Strain [B, D, T + 2 margin] -> conditioned [B, D, T], both float32.

    Args:
        conditioner: the run's.
        power_of_two: whether Fourier transforms are as long as a power of two.

    Raises:
        UserError: a kind of conditioning that is not known here.
    """
    if isinstance(conditioner, Whitening):
        return PlainWhitening(conditioner, power_of_two=power_of_two)
    if isinstance(conditioner, SeedConditioning):
        return PlainSeedConditioning(conditioner, power_of_two=power_of_two)
    raise UserError(
        f"Conditioning by {type(conditioner).__name__} cannot be exported. Export what takes conditioned strain, the "
        "encoder or the scorer."
    )


class PlainWhitening(nn.Module):
    """`Whitening`: its circular filter, and the filters of the samples near an end.

    A longer transform changes only the samples within the filter's reach of the strain's ends, none of which is kept.
    """

    response: Tensor
    first: Tensor
    last: Tensor

    def __init__(self, conditioner: Whitening, *, power_of_two: bool) -> None:
        super().__init__()
        self.window, self.margin = conditioner.window, conditioner.margin
        self.ends, self.reads = conditioner.edges.shape[1:]
        samples = self.window + 2 * self.margin
        self.length, response = conditioner.transform(_power_of_two(samples) if power_of_two else samples)
        _register(self, response=response, first=conditioner.first, last=conditioner.last)

    def forward(self, strain: Tensor) -> Tensor:
        """[B, D, T + 2 margin] -> [B, D, T]."""
        scaled = strain * SCALE
        filtered: Tensor = torch.fft.irfft(torch.fft.rfft(scaled, n=self.length) * self.response, n=self.length)
        inside = filtered[..., self.margin : self.margin + self.window]
        if not self.ends:
            return inside
        begin = self._end(scaled[..., : self.reads], self.first)
        end = self._end(scaled[..., -self.reads :], self.last)
        return torch.cat([begin, inside[..., self.ends : self.window - self.ends], end], dim=-1)

    def _end(self, samples: Tensor, filters: Tensor) -> Tensor:
        """[B, D, reads] by [D, reads, ends] -> [B, D, ends]."""
        return torch.matmul(samples.transpose(0, 1), filters).transpose(0, 1)


class PlainSeedConditioning(nn.Module):
    """`SeedConditioning`: its taper, its circular filter, and its products for the window's ends."""

    taper: Tensor
    response: Tensor
    inward: Tensor
    outward: Tensor

    def __init__(self, conditioner: SeedConditioning, *, power_of_two: bool) -> None:
        super().__init__()
        self.window, self.margin, self.length = conditioner.window, conditioner.margin, conditioner.transform_length
        buffers = {name: getattr(conditioner, name) for name in ("taper", "inward", "outward")}
        response = conditioner.response
        if power_of_two and self.length != _power_of_two(self.length):
            self.length, response = _relocated(response.double().cpu(), self.length, self.window)
        _register(self, response=response, **buffers)

    def forward(self, strain: Tensor) -> Tensor:
        """[B, D, T + 2 margin] -> [B, D, T]."""
        tapered = (strain * SCALE)[..., self.margin : self.margin + self.window] * self.taper
        spectrum = torch.fft.rfft(tapered, n=self.length) * self.response
        filtered: Tensor = torch.fft.irfft(spectrum, n=self.length)[..., : self.window]
        return filtered + tapered @ self.inward @ self.outward


def _relocated(response: Tensor, length: int, window: int) -> tuple[int, Tensor]:
    """A power of two, and the response there of the filter that a circle of `length` samples has within a window.

    The filter is even in time, so the response is real. It has the circle's values at all lags of a window, and the new
    circle is so long that no lag comes twice.
    """
    impulse = torch.fft.irfft(response, n=length)
    longer = _power_of_two(2 * window - 1)
    lags = torch.arange(-(window - 1), window)
    placed = response.new_zeros(longer)
    placed[lags % longer] = impulse[lags % length]
    return longer, torch.fft.rfft(placed).real


def _power_of_two(samples: int) -> int:
    return 1 << (samples - 1).bit_length()


def _register(module: nn.Module, **buffers: Tensor) -> None:
    for name, value in buffers.items():
        module.register_buffer(name, value.detach().cpu().float().clone())


__all__ = ["PlainSeedConditioning", "PlainWhitening", "plain_conditioning"]
