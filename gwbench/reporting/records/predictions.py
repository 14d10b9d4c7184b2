"""Test scores of a run, from its folder."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwbench.evaluation.labelled import known_rows
from gwbench.evaluation.metrics import Array
from gwbench.experiment.record import PREDICTIONS
from gwbench.utils.untrusted_arrays import HEADER, open_archive, parse_header


@dataclass(frozen=True)
class Predictions:
    """The labelled windows of a test split: label [N] 0 or 1, score [N], optimal network SNR [N] (NaN if unknown)."""

    label: Array
    score: Array
    snr: Array


def read_predictions(folder: str | Path, n: int) -> Predictions:
    """The scores that a run left in its folder.

    Args:
        folder: of the run.
        n: windows of its test split.

    Raises:
        UnusableError: there are none, or they are damaged or of another length.
    """
    with open_archive(Path(folder) / PREDICTIONS) as archive:
        label, score, snr = (_array(archive, name, n) for name in ("label", "score", "snr"))
    labelled = known_rows(label)
    return Predictions(label[labelled], score[labelled], snr[labelled])


def _array(archive: zipfile.ZipFile, name: str, n: int) -> Array:
    """An array [n] of numbers; what the archive says of itself is checked before any memory is asked for."""
    with archive.open(f"{name}.npy") as member:
        content = member.read(HEADER + 16 * n)
    shape, dtype, start = parse_header(content, name)
    if shape != (n,):
        raise ValueError(f"{name} is {dtype} {list(shape)}, not numbers [{n}]")
    return np.frombuffer(content, dtype=dtype, count=n, offset=start)
