"""Strain in LIGO_LW XML, read by LAL's own reader."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gwbench.data.strain_files.detector_names import detector_named, detector_of_file
from gwbench.data.strain_files.recording import Recording
from gwbench.data.strain_files.strain_text import EARLIEST, expanded
from gwbench.errors import UserError
from gwbench.utils.reader_process import read_in_process

SERIES = ("REAL8TimeSeries", "REAL4TimeSeries")


def read_xml(path: Path, channels: Sequence[str]) -> list[Recording]:
    """The time series of a document, or those among `channels` by their names.

    Raises:
        UserError: there is none, or the file cannot be read.
    """
    modules = ("lal.series", "igwn_ligolw.utils")
    return read_in_process(
        xml_recordings, path, tuple(channels), what="strain file", kind="LIGO_LW document", modules=modules
    )


def xml_detectors(path: Path, channels: Sequence[str]) -> list[str | None]:
    """The detector of every series that `read_xml` gives. Raises `UserError` likewise."""
    return [recording.detector for recording in read_xml(path, channels)]


def xml_recordings(path: Path, channels: Sequence[str]) -> list[Recording]:
    """`read_xml` in this process."""
    import lal.series
    from igwn_ligolw import ligolw
    from igwn_ligolw.utils import load_fileobj

    def is_series(name: str, attributes: Any) -> bool:
        return name == ligolw.LIGO_LW.tagName and attributes.get("Name") in SERIES

    def handler(document: Any) -> Any:
        return ligolw.PartialLIGOLWContentHandler(document, is_series)

    content = io.BytesIO(expanded(path.read_bytes()))
    document = load_fileobj(content, compress=False, contenthandler=handler)
    recordings, present = [], []
    for element in document.getElementsByTagName(ligolw.LIGO_LW.tagName):
        series = getattr(lal.series, f"parse_{element.Name}")(element)
        try:
            said = str(ligolw.Param.get_param(element, "instrument").value)
        except ValueError:
            said = ""
        present.append(series.name)
        detector = detector_named(said) or detector_named(series.name) or detector_of_file(path)
        if channels and not {series.name, detector} & set(channels):
            continue
        start, spacing = float(series.epoch), float(series.deltaT)
        if not 0 < spacing < np.inf:
            raise UserError(f"The strain file {path}: the series {series.name!r} has no sample rate.")
        values = np.array(series.data.data, np.float64)
        known = start if start >= EARLIEST else None
        recordings.append(Recording(detector, known, round(1 / spacing, 6), values, (), series.name))
    if not recordings:
        listed = ", ".join(map(repr, present[:8])) or "none"
        raise UserError(
            f"The strain file {path} is XML without {'the series asked for' if channels else 'a time series'} (it has "
            f"{listed}): expected LIGO_LW with a REAL8TimeSeries, as lal.series writes it."
        )
    return recordings


__all__ = ["read_xml", "xml_detectors", "xml_recordings"]
