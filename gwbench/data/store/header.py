"""What a data file says of itself, checked before it is trusted: version, structure, and the types of all it says."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gwbench.data.store.layout import LAYOUT_VERSION, SPLITS, StoredSplit
from gwbench.data.store.structure import first_byte
from gwbench.errors import UserError
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_files import MIB
from gwbench.utils.untrusted_text import parse_json

LARGEST_TEXT = 256 * MIB
"""Bytes of a text among the attributes: reasons for windows left out may be many."""

Parsed = TypeVar("Parsed", list[Any], dict[str, Any])


class DamagedStoreError(UserError):
    """The file is no data file of this layout, is incomplete, or cannot be read to its end."""


@dataclass(frozen=True)
class StoreHeader:
    """What a data file says of itself.

    Attributes:
        layout: version of the layout.
        gwbench_version: the gwbench that wrote it.
        created: UTC, ISO 8601.
        detectors: names in channel order.
        sample_rate: Hz.
        window: T, samples of a window without margins.
        margin: samples on either side.
        sizes: windows per split.
        content_hash: as computed when the file was written.
        notes: what a reader of the record must know.
        recipe: what the data were made from.
        left_out: by split, the `count` of windows that could not be read, and the `reasons` of the first of them
            by position; without splits that are whole.
    """

    layout: int
    gwbench_version: str
    created: str
    detectors: tuple[str, ...]
    sample_rate: float
    window: int
    margin: int
    sizes: dict[str, int]
    content_hash: str
    notes: tuple[str, ...]
    recipe: dict[str, Any]
    left_out: dict[str, Any]

    @property
    def asked(self) -> dict[str, int]:
        """Windows per split that the dataset was to have, those left out included."""
        return {name: size + self.left_out.get(name, {"count": 0})["count"] for name, size in self.sizes.items()}


def damaged(path: Path, reason: str) -> DamagedStoreError:
    """The error for a file that cannot be trusted."""
    return DamagedStoreError(f"{path} {reason}. Remove it and run again to make it anew.")


def header_of(file: Any, path: Path) -> StoreHeader:
    """The header, after a check of version, completeness and structure."""
    try:
        return _decode_header(file, path)
    except UserError:
        raise
    except OSError as error:
        if error.errno is not None:  # the disk
            raise
        raise damaged(path, f"does not hold what its layout promises ({printable(error)})") from error
    except Exception as error:  # whatever h5py makes of a link, a type or an attribute that does not decode
        raise damaged(path, f"does not hold what its layout promises ({printable(error)})") from error


def _decode_header(file: Any, path: Path) -> StoreHeader:
    attributes = file.attrs
    if "gwbench_layout" not in attributes:
        raise damaged(path, "is an HDF5 file, but none that gwbench finished writing")
    version = _whole(attributes["gwbench_layout"], 0)
    if version != LAYOUT_VERSION:
        raise damaged(path, f"has layout version {version}, this gwbench reads version {LAYOUT_VERSION}")
    if not isinstance(attributes["complete"], np.bool_):
        raise TypeError("complete is neither true nor false")
    if not attributes["complete"]:
        raise damaged(path, "is incomplete")
    detectors = _names(attributes["detectors"])
    margin = _whole(attributes["margin"], 0)
    samples = _check_structure(file, path, len(detectors))
    rate = float(attributes["sample_rate"])
    if not (math.isfinite(rate) and rate > 0 and samples > 2 * margin):
        raise ValueError(f"windows of {samples} samples with margins of {margin} at {rate} Hz")
    sizes = {name: len(file[name]["label"]) for name in SPLITS}
    return StoreHeader(
        layout=version,
        gwbench_version=_text(attributes["gwbench_version"]),
        created=_text(attributes["created"]),
        detectors=detectors,
        sample_rate=rate,
        window=samples - 2 * margin,
        margin=margin,
        sizes=sizes,
        content_hash=_hash(attributes["content_hash"]),
        notes=tuple(_text(note) for note in _json(attributes["notes"], list)),
        recipe=_json(attributes["recipe"], dict),
        left_out=_left_out(_json(attributes["left_out"], dict)),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} in the place of text")
    return value


def _hash(value: Any) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", _text(value)):
        raise ValueError("no content hash")
    return _text(value)


def _names(value: Any) -> tuple[str, ...]:
    names = tuple(value.tolist())
    if (
        not names
        or not all(isinstance(name, str) and name and name.isprintable() for name in names)
        or len(set(names)) < len(names)
    ):
        raise TypeError("detectors without names")
    return names


def _whole(value: Any, least: int) -> int:
    if not isinstance(value, np.integer) or not least <= int(value) < 2**48:
        raise TypeError(f"{printable(value, 40)} in the place of a count")
    return int(value)


def _json(value: Any, kind: type[Parsed]) -> Parsed:
    document = parse_json(_text(value).encode(errors="surrogatepass"), largest=LARGEST_TEXT, constants=True)
    if not isinstance(document, kind):
        raise TypeError(f"{type(document).__name__} in the place of {kind.__name__}")
    return document


def _left_out(document: dict[str, Any]) -> dict[str, Any]:
    """Windows that were left out, as `StoreHeader` has them."""
    for split, said in document.items():
        count, reasons = said["count"], said["reasons"]
        if split not in SPLITS or type(count) is not int or not 0 < count < 2**48:
            raise ValueError("windows left out of what is no split")
        if not all(isinstance(why, str) for why in reasons.values()):
            raise TypeError("windows left out without a reason")
    return document


def _check_structure(file: Any, path: Path, detectors: int) -> int:
    """The samples of a stored window, after a check that shapes and types agree with each other."""
    size = file.id.get_filesize()
    samples = int(_own(file, "train/strain").shape[-1])
    for name in SPLITS:
        for part in ("", "/strain", "/label", "/snr", "/parameters"):
            _own(file, name + part)
        for part in file[name]["parameters"]:
            _own(file, f"{name}/parameters/{part}")
        stored = StoredSplit.of(file[name])
        count = len(stored.label)
        expected = [(stored.strain, "<f4", (count, detectors, samples)), (stored.label, "|i1", (count,))]
        expected += [(stored.snr, "<f4", (count,))]
        expected += [(values, "<f8", (count,)) for values in stored.parameters.values()]
        for dataset, dtype, shape in expected:
            end = first_byte(dataset) + dataset.size * dataset.dtype.itemsize
            if end > size:
                raise damaged(path, f"is truncated: {dataset.name} ends at byte {end:,} of {size:,}")
            if dataset.dtype != np.dtype(dtype) or dataset.shape != shape:
                actual = f"{dataset.dtype} {dataset.shape}"
                raise damaged(path, f"has {dataset.name} as {actual}, expected {np.dtype(dtype)} {shape}")
    return samples


def _own(file: Any, name: str) -> Any:
    """A group or dataset that lies in this very file: a link could lead to any other.

    Raises:
        ValueError: it is a link, or its numbers lie in another file.
    """
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is a link")
    found = file[name]
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        raise ValueError(f"{name} lies in another file")
    return found


__all__ = ["DamagedStoreError", "StoreHeader", "damaged", "header_of"]
