"""What a strain file holds, whatever its format: strain, and bit masks that say which seconds of it are good."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwbench.data.dataset import Array
from gwbench.errors import UserError
from gwbench.utils.printable import few

DATA_QUALITY = ("DATA", *(f"{search}_CAT{level}" for search in ("CBC", "CBCHIGH") for level in (1, 2, 3)))
"""Bits of GWOSC's DQmask that a good second has set; until 2010, CBC was split into CBCHIGH and CBCLOW."""

NO_INJECTION = ("NO_CBC_HW_INJ", "NO_BURST_HW_INJ", "NO_DETCHAR_HW_INJ", "NO_STOCH_HW_INJ")
"""Bits of GWOSC's Injmask that a good second has set.

NO_CW_HW_INJ is not among them: faint continuous waves were injected during most of the observing time, and
asking for their absence would discard whole detectors.
"""

QUALITY_BITS = ("DATA", "CBC_CAT1", "CBC_CAT2", "CBC_CAT3", "BURST_CAT1", "BURST_CAT2", "BURST_CAT3")
INJECTION_BITS = (*NO_INJECTION[:3], "NO_CW_HW_INJ", NO_INJECTION[3])
"""The order of the bits where a file does not name them, as frames never do."""

LISTED = 8
"""Channels that a message lists."""


@dataclass(frozen=True)
class Mask:
    """A bit mask, usually one value a second.

    Attributes:
        values: [S] numbers whose bits count; NaN for none.
        start: GPS time of the first.
        spacing: seconds between two.
        bits: their names, from the lowest.
        required: names of the bits that good data have set; a bit that the mask lacks is passed.
    """

    values: Array
    start: float
    spacing: float
    bits: tuple[str, ...]
    required: tuple[str, ...]

    def good(self, start: float, sample_rate: float, size: int) -> Array:
        """[size] bool: which of the samples from GPS time `start` pass; those that it does not cover do not."""
        wanted = sum(1 << self.bits.index(name) for name in self.required if name in self.bits)
        passed = (_bits(self.values) & np.uint64(wanted)) == wanted
        times = self.start - start + self.spacing * np.arange(len(passed) + 1)
        edges = np.rint(times * sample_rate).clip(0, size).astype(np.int64)
        samples = np.zeros(size, dtype=bool)
        samples[edges[0] : edges[-1]] = np.repeat(passed, np.diff(edges))
        return samples


@dataclass(frozen=True)
class Recording:
    """One series of strain of one detector as a file holds it.

    Attributes:
        detector: its name, such as "H1"; None where the file does not say.
        gps_start: GPS time of the first sample; None where the file does not say.
        sample_rate: Hz.
        strain: [samples] float64.
        masks: what the file says of its quality.
        channel: what the strain is called in the file.
        quality: names of the masks.
        notes: what a reader of a record must know about it, in sentences.
    """

    detector: str | None
    gps_start: float | None
    sample_rate: float
    strain: Array
    masks: tuple[Mask, ...]
    channel: str
    quality: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def _bits(values: Array) -> Array:
    """Numbers as uint64; 0 for those that are no whole number of 64 bits."""
    values = np.asarray(values)
    if values.dtype.kind == "f":
        whole = np.isfinite(values) & (values >= 0) & (values < 2.0**63)
        values = np.where(whole, values, 0)
    return values.astype(np.uint64)


def detector_of(text: str) -> str | None:
    """The detector that a name such as "H1" or a channel such as "H1:GWOSC-4KHZ_R1_STRAIN" names."""
    match = re.match(r"([A-Z][0-9])(:|$)", text)
    return match.group(1) if match else None


def one_channel(path: Path, known: Sequence[str], present: Sequence[str], asked: Sequence[str]) -> str:
    """The one channel of a file to read.

    Args:
        path: the file, for the message.
        known: those that are strain as far as their names say.
        present: all in the file.
        asked: those to look for instead, if any.

    Raises:
        UserError: there is none or more than one.
    """
    chosen = [name for name in asked if name in present] if asked else list(known)
    if len(chosen) == 1:
        return chosen[0]
    listed = few(sorted(present), LISTED) or "no channel"
    which = f"of the channels asked for ({', '.join(asked)})" if asked else "channel that is known as strain"
    raise UserError(
        f"The strain file {path} has {'more than one' if chosen else 'none' if asked else 'no'} {which}. It holds "
        f"{listed}. Name one of them with dataset.channel."
    )
