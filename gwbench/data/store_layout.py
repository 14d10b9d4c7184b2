"""The HDF5 file that holds a dataset: its layout and its content hash.

Layout, version 1 (`N` windows of a split, `D` detectors, `T` samples of a window)::

    /                   attributes: gwbench_layout, gwbench_version, created (UTC), detectors [D] (names),
                        sample_rate (Hz), margin (samples), notes (JSON list), recipe (canonical JSON),
                        content_hash (SHA-256), complete (written last)
    /train /val /test
        strain          [N, D, T + 2 margin] float32, in chunks of one or a few whole windows
        label           [N] int8: 1 signal, 0 noise, -1 unlabelled
        snr             [N] float32: optimal network SNR, NaN where unknown
        parameters/     one [N] float64 for every known parameter of the signals

Nothing is compressed: strain is noise, and random windows must be quick to read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gwbench.contracts import StrainReader
    from gwbench.progress import Progress

LAYOUT_VERSION = 1
SPLITS = ("train", "val", "test")
HASH_BYTES = 8 * 1024 * 1024
"""Strain is hashed in pieces of about this size."""

Array = NDArray[Any]


@dataclass(frozen=True)
class StoredSplit:
    """The HDF5 datasets of one split."""

    strain: Any
    label: Any
    snr: Any
    parameters: dict[str, Any]

    @classmethod
    def of(cls, group: Any) -> StoredSplit:
        """The datasets in an HDF5 group."""
        return cls(group["strain"], group["label"], group["snr"], dict(group["parameters"].items()))


class SplitArrays(Protocol):
    """What is hashed of a split: `contracts.Split`, or the same as HDF5 datasets."""

    @property
    def strain(self) -> StrainReader:
        """[N, D, T + 2 margin] float32."""

    @property
    def label(self) -> Array:
        """[N] int8."""

    @property
    def snr(self) -> Array:
        """[N] float32."""

    @property
    def parameters(self) -> Mapping[str, Array]:
        """[N] float64 each."""


def content_hash(
    splits: Mapping[str, SplitArrays],
    detectors: Iterable[str],
    sample_rate: float,
    margin: int,
    progress: Progress,
) -> str:
    """SHA-256 of everything a result can depend on, whatever the chunking and the order of writing.

    Hashed are, one after the other: a JSON line with detectors, sample rate and margin; then for train, val and
    test, for label, snr, parameters in alphabetical order, and strain: a JSON line with split, name, dtype and
    shape, and the little-endian bytes in C order.

    Args:
        splits: the three splits by name.
        detectors: names in channel order.
        sample_rate: Hz.
        margin: extra samples on either side of a window.
        progress: told of every window read.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(_json_line([list(detectors), float(sample_rate), int(margin)]))
    with progress.task("Hash data", sum(len(splits[name].label) for name in SPLITS), "windows") as task:
        for name in SPLITS:
            split = splits[name]
            small = {"label": (split.label, "|i1"), "snr": (split.snr, "<f4")}
            small |= {f"parameters/{key}": (split.parameters[key], "<f8") for key in sorted(split.parameters)}
            for key, (values, dtype) in small.items():
                digest.update(_json_line([name, key, dtype, list(values.shape)]))
                digest.update(np.ascontiguousarray(values[:], dtype=dtype).data)
            shape = split.strain.shape
            digest.update(_json_line([name, "strain", "<f4", list(shape)]))
            step = max(1, HASH_BYTES // (4 * shape[1] * shape[2]))
            for start in range(0, shape[0], step):
                piece = np.ascontiguousarray(split.strain[start : start + step], dtype="<f4")
                digest.update(piece.data)
                task.advance(len(piece))
    return digest.hexdigest()


def canonical_json(value: Any) -> str:
    """JSON that is the same for equal values: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _json_line(value: Any) -> bytes:
    return canonical_json(value).encode() + b"\n"
