"""The HDF5 file that holds a dataset: its layout and its content hash.

Layout, version 2 (`N` windows of a split, `D` detectors, `T` samples of a window)::

    /                   attributes: gwbench_layout, gwbench_version, created (UTC), detectors [D] (names),
                        sample_rate (Hz), margin (samples), notes (JSON list), recipe (canonical JSON),
                        left_out (JSON, by split: how many windows could not be read, and why the first of them),
                        content_hash (SHA-256), complete
    /train /val /test
        strain          [N, D, T + 2 margin] float32, in chunks of one or a few whole windows
        label           [N] int8: 1 signal, 0 noise, -1 unlabelled
        snr             [N] float32: optimal network SNR, NaN where unknown
        parameters/     one [N] float64 for every known parameter of the signals

Nothing is compressed: strain is noise, and random windows must be quick to read. For the same reason the chunks
of a dataset follow each other in the file without a gap (HDF5's "implicit" chunk index, which takes no space and
needs HDF5 1.10): window `i` starts `i` times a window's bytes after the first.

To read a file without gwbench::

    import h5py
    import numpy as np

    with h5py.File("dataset.h5") as file:
        rate, margin = file.attrs["sample_rate"], file.attrs["margin"]
        detectors = list(file.attrs["detectors"])
        train = file["train"]
        strain = train["strain"][:16, :, margin : train["strain"].shape[-1] - margin]
        label, snr = train["label"][:], train["snr"][:]
        parameters = {name: values[:] for name, values in train["parameters"].items()}
    time = np.arange(strain.shape[-1]) / rate
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
    from gwbench.data.dataset import StrainReader
    from gwbench.utils.progress import Progress

LAYOUT_VERSION = 2
SPLITS = ("train", "val", "test")
"""The splits in the order in which they are made, and that numbers them in seed sequences."""

HASH_BYTES = 8 * 1024 * 1024
"""Strain is hashed in pieces of about this size."""

Array = NDArray[Any]


def column_types(parameters: Iterable[str]) -> dict[str, str]:
    """The type of every dataset of a split but the strain, by its path within the split."""
    return {"label": "|i1", "snr": "<f4"} | {f"parameters/{name}": "<f8" for name in sorted(parameters)}


@dataclass(frozen=True)
class StoredSplit:
    """What a file holds of one split: HDF5 datasets, or arrays."""

    strain: Any
    label: Any
    snr: Any
    parameters: dict[str, Any]

    @classmethod
    def of(cls, group: Any) -> StoredSplit:
        """The datasets in an HDF5 group."""
        return cls(group["strain"], group["label"], group["snr"], dict(group["parameters"].items()))


class SplitArrays(Protocol):
    """The arrays of a split that are hashed: `contracts.Split`, or the same as HDF5 datasets."""

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
            columns = {"label": split.label, "snr": split.snr}
            columns |= {f"parameters/{key}": values for key, values in split.parameters.items()}
            for key, dtype in column_types(split.parameters).items():
                digest.update(_json_line([name, key, dtype, list(columns[key].shape)]))
                digest.update(np.ascontiguousarray(columns[key][:], dtype=dtype).data)
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
