"""What overlapping windows share: values along their stretch of strain, computed once.

Windows that begin `step` samples apart see the same samples. A layer that treats all places alike and does not look
beyond a window's ends gives the same numbers in every window that holds a place, so they are computed once, over the
whole stretch. A layer with a stride counts from the window's start: windows fall into phases, and the values of one
phase are a fragment. See Giusti et al., Fast image scanning with deep max-pooling convolutional neural networks,
arXiv:1302.1700, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Fragments:
    """Values of overlapping windows, those that windows share stored once.

    Window k is row k // R of fragment k % R, and has there the places from `row * step` to `row * step + length`.

    Attributes:
        values: [R, ..., places, ...], the R fragments.
        time: dimension of the values that holds the places.
        windows: how many there are.
        step: places from one window of a fragment to the next.
        length: places of a window.
        stride: samples from one place to the next.
    """

    values: Tensor
    time: int
    windows: int
    step: int
    length: int
    stride: int = 1

    @classmethod
    def of(cls, strain: Tensor) -> Fragments | None:
        """The stretch behind windows [B, C, T] that are views of it, as `Tensor.unfold` gives them; None for others."""
        if strain.ndim != 3 or strain.stride(2) != 1:
            return None
        windows, channels, samples = strain.shape
        step = strain.stride(0)
        if windows < 2 or not 0 < step < samples:
            return None
        stretch = strain.as_strided((1, channels, (windows - 1) * step + samples), (0, *strain.stride()[1:]))
        return cls(stretch, time=2, windows=windows, step=step, length=samples)

    @property
    def rows(self) -> int:
        """Windows of a fragment."""
        return -(-self.windows // len(self.values))

    @property
    def shape(self) -> torch.Size:
        """That of the windows side by side, [windows, ..., length, ...]."""
        sizes = [self.windows, *self.values.shape[1:]]
        sizes[self.time] = self.length
        return torch.Size(sizes)

    def reshape(self, *sizes: int) -> Fragments | None:
        """What `Tensor.reshape` makes of the windows side by side, where it only moves a dimension in front of the
        places, such as detectors, to the windows or back; None where it does more.
        """
        count = math.prod(self.shape)
        sizes = tuple(count // -math.prod(sizes) if size == -1 else size for size in sizes)
        fewer, more = sorted((sizes[0], self.windows))
        if self.time != self.values.ndim - 1 or sizes[-1] != self.length or math.prod(sizes) != count or more % fewer:
            return None
        fragments, rest = divmod(len(self.values) * sizes[0], self.windows)
        if rest:
            return None
        values = self.values.reshape(fragments, *sizes[1:-1], self.values.shape[-1])
        return replace(self, values=values, windows=sizes[0], time=len(sizes) - 1)

    def pointwise(self, layer: Callable[[Tensor], Tensor], time: int | None = None) -> Fragments:
        """What a layer gives that treats every place for itself; `time` is where it moves the places to."""
        return replace(self, values=layer(self.values), time=self.time if time is None else time)

    def along(self, layer: Callable[[Tensor], Tensor], kernel: int, stride: int) -> Fragments | None:
        """What a layer gives that makes one place of `kernel`, every `stride` places from the window's start on.

        None where a window is shorter than the kernel, or where no windows would be left that share anything.
        """
        phases = stride // math.gcd(self.step, stride)
        step, length = self.step * phases // stride, (self.length - kernel) // stride + 1
        if step >= length:
            return None
        values = layer(self._split(min(phases, self.rows)))
        return replace(self, values=values, step=step, length=length, stride=self.stride * stride)

    def _split(self, parts: int) -> Tensor:
        """The values, every fragment as `parts` fragments; zeros behind the end complete them."""
        if parts == 1:
            return self.values
        size = (-(-self.rows // parts) - 1) * parts * self.step + self.length
        missing = max(0, (parts - 1) * self.step + size - self.values.shape[self.time])
        values = F.pad(self.values, [0, 0] * (self.values.ndim - 1 - self.time) + [0, missing])
        return torch.cat([values.narrow(self.time, part * self.step, size) for part in range(parts)])

    def each(self) -> Tensor:
        """The windows one by one, [windows, ..., length, ...]; channels last where there are four dimensions."""
        rows = self.values.unfold(self.time, self.length, self.step).movedim(self.time, 0)  # [rows, R, ..., length]
        windows = rows.movedim(-1, self.time + 1).flatten(0, 1)[: self.windows]
        layout = torch.channels_last if windows.ndim == 4 else torch.contiguous_format
        return windows.contiguous(memory_format=layout)
