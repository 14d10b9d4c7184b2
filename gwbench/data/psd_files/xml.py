"""PSDs in LIGO_LW XML, read by LAL's own reader."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from gwbench.data.psd_files.spectra import Candidate, Spectrum, detector_in
from gwbench.errors import UserError
from gwbench.utils.printable import printable

MODULES = ("lal.series", "igwn_ligolw.utils")

SERIES = ("REAL8FrequencySeries", "REAL4FrequencySeries")


def read_xml(path: Path, content: bytes) -> list[Candidate]:
    """The frequency series of a document, in the process that reads files. Everything else in it is passed over.

    Raises:
        UserError: it has none.
    """
    import lal.series
    from igwn_ligolw import ligolw
    from igwn_ligolw.utils import load_fileobj

    def is_series(name: str, attributes: Any) -> bool:
        return name == ligolw.LIGO_LW.tagName and attributes.get("Name") in SERIES

    def handler(document: Any) -> Any:
        return ligolw.PartialLIGOLWContentHandler(document, is_series)

    document = load_fileobj(io.BytesIO(content), compress=False, contenthandler=handler)
    found = []
    for number, element in enumerate(document.getElementsByTagName(ligolw.LIGO_LW.tagName)):
        parse = getattr(lal.series, f"parse_{element.Name}")
        series = parse(element)
        try:
            detector = str(ligolw.Param.get_param(element, "instrument").value)
        except ValueError:
            detector = ""
        if len(series.data.data):
            values = np.asarray(series.data.data, np.float64)
            frequencies = series.f0 + np.arange(len(values), dtype=np.float64) * series.deltaF
            made = Spectrum(frequencies, values, str(series.sampleUnits))
            name = detector or f"{printable(series.name, 40) or 'series'} {number}"
            found.append(Candidate(name, lambda made=made: made, detector_in(detector)))  # type: ignore[misc]
    if not found:
        raise UserError(
            f"The PSD file {path} is XML without a frequency series: expected LIGO_LW with a REAL8FrequencySeries, as "
            "lal.series.make_psd_xmldoc and pycbc write it. Convert it, or name another."
        )
    return found


__all__ = ["MODULES", "read_xml"]
