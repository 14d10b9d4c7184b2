"""How strain is conditioned: the settings, apart from what computes, so that a run's spec needs no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from gwbench.errors import UserError


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


__all__ = ["Conditioning"]
