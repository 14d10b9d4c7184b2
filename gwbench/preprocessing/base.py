"""What every conditioning shares: a module of fixed buffers, and windows taken through it a fixed number at a time."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from gwbench.data.whitening_filters import SCALE, refuse_non_finite

if TYPE_CHECKING:
    from gwbench.data.dataset import Array
    from gwbench.preprocessing.settings import Conditioning

ROWS = 64
"""Windows conditioned at once: always as many, the last ones padded.

A matrix product of few rows may round otherwise than one of many. So a window comes out the same, bit for bit,
whichever others it is read with; and what the steps hand each other stays in the processor's cache.
"""


class Conditioner(nn.Module, ABC):
    """One fixed linear operator per detector, from strain to what the encoder sees.

    Nothing of it is trained. What was fitted are buffers that `state_dict` saves; what follows from them are buffers
    that it leaves out. Filters are kept in the precision in which they were designed, and applied in float32.

    Attributes:
        settings: how it conditions.
        detectors: names in channel order.
        sample_rate: Hz.
        window: T, samples of a conditioned window.
        margin: samples it consumes on either side of a window.
        refitted: whether it was measured on another stretch of strain than the training split (`refit`).
    """

    refitted: bool = False

    def __init__(
        self, settings: Conditioning, detectors: Sequence[str], sample_rate: float, window: int, margin: int
    ) -> None:
        super().__init__()
        self.settings = settings
        self.detectors = tuple(detectors)
        self.sample_rate = float(sample_rate)
        self.window = int(window)
        self.margin = int(margin)

    if TYPE_CHECKING:

        def __call__(self, strain: Tensor | Array, *, split: str = "", positions: Array | None = None) -> Tensor:
            """What `nn.Module` gives, with the types of `forward`."""

    @property
    def device(self) -> torch.device:
        """Where the buffers are, and where arrays are conditioned."""
        return next(self.buffers()).device

    @property
    @abstractmethod
    def window_step(self) -> int:
        """Samples from one window to the next in what `condition_segment` gives."""

    def forward(self, strain: Tensor | Array, *, split: str = "", positions: Array | None = None) -> Tensor:
        """Condition all detectors of some windows; the input stays as it is.

        Args:
            strain: [B, D, T + 2 margin] in strain units, float32 or float64.
            split: the split the windows come from, for the error message.
            positions: [B] of the windows in that split, for the error message.

        Returns:
            [B, D, T] float32, on the device of a tensor; for an array, on the conditioner's.

        Raises:
            UserError: NaN or infinite strain.
        """
        expected = (len(self.detectors), self.window + 2 * self.margin)
        if tuple(strain.shape[1:]) != expected:
            raise ValueError(f"strain of shape {tuple(strain.shape)}: expected [B, {expected[0]}, {expected[1]}]")
        device = strain.device if isinstance(strain, Tensor) else self.device
        out = torch.empty(len(strain), len(self.detectors), self.window, device=device)
        for start in range(0, len(strain), ROWS):
            scaled = self._scaled(strain[start : start + ROWS])
            count = len(scaled)
            if not torch.isfinite(scaled.sum()):
                refuse_non_finite(
                    strain, self.detectors, split, np.arange(len(strain)) if positions is None else positions
                )
            if count < ROWS:
                scaled = torch.cat([scaled, scaled.new_zeros(ROWS - count, *expected)])
            out[start : start + count] = self._condition(scaled)[:count]
        return out

    @abstractmethod
    def condition_segment(self, segment: Tensor | Array, detector: int) -> Tensor:
        """Condition a long segment of one detector's noise, to cut windows out of it.

        Args:
            segment: [L] in strain units, of at least a window and the filter's reach on both sides.
            detector: index of the detector.

        Returns:
            [M] float32, such that `.unfold(0, window, window_step)` are conditioned windows.
        """

    def refit(self, strain: Array) -> Conditioner:
        """A conditioner of the same settings and windows that is measured on other strain; this one stays as it is.

        Args:
            strain: [D, L] in strain units, a continuous stretch of at least a window and its margins; or windows
                [N, D, T + 2 margin].

        Raises:
            UserError: the strain has another shape, is too short, holds NaN or infinite values, or has no noise in the
                band.
        """
        from gwbench.preprocessing.refit import refitted

        return refitted(self, strain)

    def noise_power(self) -> Tensor | None:
        """[D, T // 2 + 1] mean |rfft|^2 of conditioned windows of noise alone; None where no PSD was measured."""
        return None

    def state(self) -> dict[str, Array]:
        """What `from_state` needs, as numeric arrays fit for npz: the settings, and the `state_dict`."""
        header = {
            "settings": self.settings.model_dump(),
            "detectors": self.detectors,
            "sample_rate": self.sample_rate,
            "window": self.window,
            "margin": self.margin,
        }
        buffers = {name: value.cpu().numpy() for name, value in self.state_dict().items()}
        return {"header": np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8), **buffers}

    @abstractmethod
    def _condition(self, scaled: Tensor) -> Tensor:
        """[B, D, T] of scaled float32 strain [B, D, T + 2 margin]."""

    def _scaled(self, strain: Tensor | Array) -> Tensor:
        """A float32 copy in units of 1e-21, on the device where it is conditioned."""
        if isinstance(strain, Tensor):
            return (strain * SCALE).to(torch.float32)
        scaled = (np.asarray(strain) * np.float32(SCALE)).astype(np.float32, copy=False)
        return torch.from_numpy(scaled).to(self.device)


def float32_tensor(values: Array) -> Tensor:
    """A copy as float32 in rows of C order; an ordinary tensor, even where `torch.inference_mode` is on."""
    with torch.inference_mode(False):
        return torch.from_numpy(np.array(values, dtype=np.float32, order="C"))
