"""A run's conditioner from its file, which may be damaged, cut short or another run's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, ValidationError

from gwbench.contracts import Array
from gwbench.errors import UserError
from gwbench.preprocessing.conditioning import MAX_REACH, MIN_REACH, from_state
from gwbench.utils.models import FrozenModel
from gwbench.utils.untrusted_arrays import read_npz
from gwbench.utils.untrusted_files import UnusableError
from gwbench.utils.untrusted_text import parse_json
from gwbench.utils.validation_errors import reason

if TYPE_CHECKING:
    from gwbench.experiment.record import Data
    from gwbench.preprocessing.conditioning import Conditioner
    from gwbench.preprocessing.settings import Conditioning

FITTED = {"psd", "frequencies", "kernel", "edges"}
"""The arrays of a whitening conditioner."""

LONGEST = 2**28
"""Samples that a window, or a margin, may have."""


class _Header(FrozenModel):
    """What the file says of the conditioner besides its arrays (`Conditioner.state`)."""

    settings: dict[str, Any]
    detectors: tuple[str, ...]
    sample_rate: float = Field(gt=0)
    window: int = Field(gt=0, lt=LONGEST)
    margin: int = Field(ge=0, lt=LONGEST)


def read_conditioner(path: Path, settings: Conditioning, data: Data) -> Conditioner:
    """The conditioner that a run left.

    Args:
        path: of the file.
        settings, data: as the run's record has them.

    Raises:
        AbsentError: there is no such file.
        UnusableError: it is damaged, its arrays do not fit each other, or it is that of another run.
    """
    state = read_npz(path)
    try:
        header = _Header.model_validate(parse_json(np.asarray(state.pop("header"), dtype=np.uint8).tobytes()))
    except (KeyError, ValueError) as error:
        what = reason(error) if isinstance(error, ValidationError) else str(error)
        raise UnusableError(f"its header cannot be read: {what}") from None
    _compare(header, settings, data)
    if settings.method == "whiten":
        _check(state, header)
    elif state:
        raise UnusableError("it holds filters, and its settings need none")
    header_array = np.frombuffer(header.model_dump_json().encode(), dtype=np.uint8)
    try:
        return from_state({"header": header_array, **state})
    except (UserError, ValueError, RuntimeError, MemoryError) as error:
        raise UnusableError(f"no conditioner can be made of it: {error}") from None


def _compare(header: _Header, settings: Conditioning, data: Data) -> None:
    """Refuse the conditioner of other data."""
    found = (header.settings, header.detectors, header.sample_rate)
    recorded = (settings.model_dump(), data.detectors, data.sample_rate)
    for name, own, wanted in zip(("settings", "detectors", "sample rate"), found, recorded, strict=True):
        if own != wanted:
            raise UnusableError(f"its {name} {own} are not those of the record, {wanted}")


def _check(state: Mapping[str, Array], header: _Header) -> None:
    """Refuse arrays that are not finite, or do not fit each other: shapes, types, and the PSD's frequencies."""
    if state.keys() != FITTED:
        raise UnusableError(f"it holds {', '.join(sorted(state)) or 'no arrays'}, not {', '.join(sorted(FITTED))}")
    rate, detectors = header.sample_rate, len(header.detectors)
    reach = round(min(max(header.margin / rate, MIN_REACH), MAX_REACH) * rate)
    bins = len(state["frequencies"]) if state["frequencies"].ndim == 1 else 0
    shapes = {
        "psd": (detectors, bins),
        "frequencies": (bins,),
        "kernel": (detectors, 2 * reach + 1),
        "edges": (detectors, max(reach - header.margin, 0), 2 * reach),
    }
    for name, shape in shapes.items():
        values = state[name]
        if values.shape != shape or values.dtype.kind != "f":
            raise UnusableError(f"its {name} is {values.dtype} {list(values.shape)}, expected floats {list(shape)}")
        if not np.isfinite(values).all():
            raise UnusableError(f"its {name} holds NaN or infinite values")
    frequencies = state["frequencies"].astype(np.float64)
    steps = np.diff(frequencies)
    if bins < 2 or frequencies[0] != 0 or not np.allclose(steps, steps[0]) or steps[0] <= 0:
        raise UnusableError("the frequencies of its PSD do not rise from 0 in equal steps")
    if not frequencies[-1] <= rate / 2 * (1 + 1e-9) < frequencies[-1] + steps[0] * (1 + 1e-9):
        raise UnusableError(f"its PSD ends at {frequencies[-1]:g} Hz, and the strain has {rate:g} Hz")
    if (state["psd"] < 0).any() or not state["psd"].any(axis=1).all() or not state["kernel"].any(axis=1).all():
        raise UnusableError("its PSD is negative, or it or a filter is zero")
