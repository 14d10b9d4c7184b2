"""What every conditioning shares: its settings, and windows taken through it a fixed number at a time."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from gwbench.data.whitening_filters import SCALE, refuse_non_finite
from gwbench.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from gwbench.data.dataset import Array

ROWS = 64
"""Windows conditioned at once: always as many, the last ones padded.

A matrix product of few rows may round otherwise than one of many. So a window comes out the same, bit for bit,
whichever others it is read with; and what the steps hand each other stays in the processor's cache.
"""


class Conditioning(BaseModel):
    """How strain is conditioned.

    Attributes:
        method: "whiten" for least-squares whitening with the training split's PSD; "seed" for the seed
            recipe: a Tukey(0.1) taper, a zero-phase Butterworth band-pass of order 8, and strain / 1e-21.
        low: lower edge of the band, Hz.
        high: upper edge of the band, Hz.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["whiten", "seed"] = "whiten"
    low: float = 20.0
    high: float = 600.0

    @model_validator(mode="after")
    def _ordered(self) -> Conditioning:
        if not 0 < self.low < self.high < float("inf"):
            raise UserError(
                f"The band from conditioning.low={self.low:g} to conditioning.high={self.high:g} Hz is empty: "
                "expected 0 < low < high, such as 20 and 600."
            )
        return self


class Conditioner(ABC):
    """One fixed linear operator per detector, from strain to what the encoder sees.

    Attributes:
        settings: how it conditions.
        detectors: names in channel order.
        sample_rate: Hz.
        window: T, samples of a conditioned window.
        margin: samples it consumes on either side of a window.
    """

    def __init__(
        self, settings: Conditioning, detectors: Sequence[str], sample_rate: float, window: int, margin: int
    ) -> None:
        self.settings = settings
        self.detectors = tuple(detectors)
        self.sample_rate = float(sample_rate)
        self.window = int(window)
        self.margin = int(margin)
        self._constants: dict[tuple[str, torch.device], Tensor] = {}

    @property
    @abstractmethod
    def window_step(self) -> int:
        """Samples from one window to the next in what `condition_segment` gives."""

    def __call__(self, strain: Tensor | Array, *, split: str = "", positions: Array | None = None) -> Tensor:
        """Condition all detectors of some windows; the input stays as it is.

        Args:
            strain: [B, D, T + 2 margin] in strain units, float32 or float64.
            split: the split the windows come from, for the error message.
            positions: [B] of the windows in that split, for the error message.

        Returns:
            [B, D, T] float32, on the input's device.

        Raises:
            UserError: NaN or infinite strain.
        """
        import torch

        expected = (len(self.detectors), self.window + 2 * self.margin)
        if tuple(strain.shape[1:]) != expected:
            raise ValueError(f"strain of shape {tuple(strain.shape)}: expected [B, {expected[0]}, {expected[1]}]")
        device = strain.device if isinstance(strain, torch.Tensor) else None
        out = torch.empty(len(strain), len(self.detectors), self.window, device=device)
        for start in range(0, len(strain), ROWS):
            scaled = scaled_strain(strain[start : start + ROWS])
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

    def state(self) -> dict[str, Array]:
        """What `from_state` needs, as numeric arrays (fit for npz and safetensors)."""
        header = {
            "settings": self.settings.model_dump(),
            "detectors": self.detectors,
            "sample_rate": self.sample_rate,
            "window": self.window,
            "margin": self.margin,
        }
        return {"header": np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)}

    def _on(self, device: torch.device, name: str, make: Callable[[], Array]) -> Tensor:
        """A constant of the operator as float32 on a device; made once."""
        import torch

        key = (name, device)
        if key not in self._constants:
            self._constants[key] = torch.from_numpy(np.ascontiguousarray(make(), dtype=np.float32)).to(device)
        return self._constants[key]

    @abstractmethod
    def _condition(self, scaled: Tensor) -> Tensor:
        """[B, D, T] of scaled float32 strain [B, D, T + 2 margin]."""


def scaled_strain(strain: Tensor | Array) -> Tensor:
    """A float32 copy in units of 1e-21."""
    import torch

    if isinstance(strain, torch.Tensor):
        return (strain * SCALE).to(torch.float32)
    return torch.from_numpy((np.asarray(strain) * np.float32(SCALE)).astype(np.float32, copy=False))
