"""The spec of a run as it was asked for, on the device that is to carry it out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.errors import UserError
from gwbench.experiment import environment
from gwbench.experiment.spec import RunSpec

if TYPE_CHECKING:
    from gwbench.experiment.encoder_source import Whose

BATCH_SIZE = "training.batch_size"
"""The setting that a small try lowers where it is not given."""


def resolve_spec(
    precision: str,
    device: str,
    *,
    settings: Mapping[str, Any] | None,
    encoder_from: str | Path | None = None,
    conditioner: Whose = "refit",
    out: str | Path = "runs",
    **fields: Any,
) -> RunSpec:
    """The spec of a run on a device.

    Args:
        precision: "fp32", "bf16" or "auto".
        device: "cpu", "cuda", "cuda:N" or "mps".
        encoder_from, conditioner, out: as of `gwbench.run`.
        settings, fields: as of `RunSpec.create`.

    Raises:
        UserError: as of `RunSpec.create`; there is no such precision.
    """
    resolved = environment.resolve_precision(precision, device)
    if encoder_from is not None:
        from gwbench.experiment.transfer import transfer_spec

        return transfer_spec(encoder_from, out=out, conditioner=conditioner, settings=settings, **fields)
    if conditioner != "refit":
        raise UserError(f"conditioner={conditioner!r} is of an encoder from another run: name that with encoder_from.")
    spec = RunSpec.create(settings=settings, precision=None if precision == "auto" else resolved, **fields)
    if spec.limit and spec.training and spec.training.batch_size > spec.limit and BATCH_SIZE not in (settings or {}):
        spec = spec.model_copy(update={"training": spec.training.model_copy(update={"batch_size": spec.limit})})
    return spec.model_copy(update={"precision": resolved}) if precision == "auto" and spec.trains else spec


__all__ = ["resolve_spec"]
