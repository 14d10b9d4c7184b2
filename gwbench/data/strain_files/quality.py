"""Which bits of a detector's quality channels a good second has set, and how a user names others.

Sources: GWOSC's DQmask and Injmask (https://gwosc.org/techdetails); the calibration state vector of LIGO (T1900007,
G1700234) with the bits that its observers recommend, 0 and 1; Virgo's state vector with the bits that online searches
ask for, 0, 1 and 10; LIGO's DMT-DQ_VECTOR, which has a bit set where nothing overflows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gwbench.data.strain_files.recording import (
    DATA_QUALITY,
    INJECTION_BITS,
    LISTED,
    NO_INJECTION,
    QUALITY_BITS,
)
from gwbench.errors import UserError
from gwbench.utils.printable import few

NO_MASK = "none"
"""The setting by which no mask is applied."""

STATE_BITS = (
    "HOFT_OK", "OBSERVATION_INTENT", "OBSERVATION_READY", "HOFT_PROD", "FILTERS_OK",
    "NO_STOCH_HW_INJ", "NO_CBC_HW_INJ", "NO_BURST_HW_INJ", "NO_DETCHAR_HW_INJ",
)  # fmt: skip
"""Of LIGO's and KAGRA's calibration state vector, from the lowest."""

VIRGO_BITS = ("HOFT_OK", "OBSERVATION_INTENT", *(f"BIT_{bit}" for bit in range(2, 10)), "GOOD_DATA_QUALITY_CAT1")
OVERFLOW_BITS = ("BIT_0", "NO_OMC_DCPD_ADC_OVERFLOW", "NO_ETMY_ESD_DAC_OVERFLOW")


@dataclass(frozen=True)
class MaskRule:
    """What a quality channel's bits mean.

    Attributes:
        pattern: of its name without the detector.
        bits: their names, from the lowest.
        required: those that a good second has set.
        required_if_used: those that it has set, too, unless no second of the file has: not every writer uses them.
    """

    pattern: str
    bits: tuple[str, ...]
    required: tuple[str, ...]
    required_if_used: tuple[str, ...] = ()


RULES = (
    MaskRule(r"(LOSC-|GWOSC-\d+KHZ_R\d+_)DQMASK", QUALITY_BITS, DATA_QUALITY),
    MaskRule(r"(LOSC-|GWOSC-\d+KHZ_R\d+_)INJMASK", INJECTION_BITS, NO_INJECTION),
    MaskRule(r"DQ_ANALYSIS_STATE_VECTOR", VIRGO_BITS, (*STATE_BITS[:2], VIRGO_BITS[-1])),
    MaskRule(r"(\w+-)?(CALIB_|CAL_)?STATE_VECTOR\w*", STATE_BITS, STATE_BITS[:2], STATE_BITS[5:]),
    MaskRule(r"DMT-DQ_VECTOR\w*", OVERFLOW_BITS, OVERFLOW_BITS[1:]),
)
"""Of quality channels in frames."""


def quality_note(applied: Iterable[tuple[str, Sequence[str]]]) -> str:
    """What a reader of a record must know of the quality of strain, in sentences.

    Args:
        applied: for every series, its file's name and the masks that were applied to it.
    """
    names: dict[str, None] = {}
    without: dict[str, None] = {}
    for file, masks in applied:
        names |= dict.fromkeys(masks)
        if not masks:
            without[file] = None
    text = f"Left out are gaps and what does not pass {'; '.join(names)}." if names else ""
    if without:
        listed = few(list(without), LISTED)
        text += f" No data-quality mask was applied to {listed}: gaps alone are left out there."
    return text.strip()


def rule_of(channel: str) -> MaskRule | None:
    """The rule for a channel such as "H1:GDS-CALIB_STATE_VECTOR"; None where it is no quality channel that we know."""
    name = channel.partition(":")[2]
    return next((rule for rule in RULES if re.fullmatch(rule.pattern, name)), None)


def chosen_rules(channels: Sequence[str], strain: str, quality: Sequence[str]) -> dict[str, MaskRule]:
    """The quality channels to apply to a strain channel.

    Args:
        channels: all in the file.
        strain: the strain channel, such as "H1:GDS-CALIB_STRAIN".
        quality: `NO_MASK`; or channels with a bit each, such as "GDS-CALIB_STATE_VECTOR:2" or
            "DMT-DQ_VECTOR:NO_OMC_DCPD_ADC_OVERFLOW"; or nothing, for what `RULES` say.

    Returns:
        The rule for every channel to apply. Of several state vectors, those of the strain's own subsystem, such as
        "GDS" or "DCS", are taken where there are such.

    Raises:
        UserError: `quality` names a channel that is not there, or no bit.
    """
    if tuple(quality) == (NO_MASK,):
        return {}
    detector = strain.partition(":")[0]
    own = [channel for channel in channels if channel.partition(":")[0] == detector and channel != strain]
    if quality:
        return _asked(own, detector, quality)
    rules = {channel: rule for channel in own if (rule := rule_of(channel)) is not None}
    subsystem = re.match(r"[^-_]+[-_]", strain.partition(":")[2])
    if subsystem is not None:
        of_strain = [name for name in rules if name.startswith(f"{detector}:{subsystem.group()}")]
        if of_strain:
            rules = {name: rule for name, rule in rules.items() if name in of_strain or "DMT-" in name}
    return rules


def _asked(channels: Sequence[str], detector: str, quality: Sequence[str]) -> dict[str, MaskRule]:
    """The rules that a user named."""
    wanted: dict[str, list[str]] = {}
    for text in quality:
        name, colon, bit = text.rpartition(":")
        if not colon or not name or not bit:
            raise UserError(
                f"dataset.quality={text}: expected a quality channel and a bit that must be set, such as "
                f"GDS-CALIB_STATE_VECTOR:0, or {NO_MASK}."
            )
        if name.partition(":")[1] and name.partition(":")[0] != detector:
            continue  # of another detector
        channel = f"{detector}:{name.rpartition(':')[2]}"
        if channel not in channels:
            listed = ", ".join(name for name in channels if rule_of(name)) or "none"
            raise UserError(
                f"dataset.quality={text}: the file has no channel {channel}. Its quality channels: {listed}."
            )
        known = rule_of(channel)
        bits = known.bits if known else ()
        if bit not in bits and not (bit.isdecimal() and int(bit) < 64):
            named = f" or one of {', '.join(bits)}" if bits else ""
            raise UserError(f"dataset.quality={text}: expected a bit of {channel}, 0 to 63{named}.")
        wanted.setdefault(channel, []).append(bits[int(bit)] if bit.isdecimal() and int(bit) < len(bits) else bit)
    return {channel: _rule(channel, bits) for channel, bits in wanted.items()}


def _rule(channel: str, required: Sequence[str]) -> MaskRule:
    known = rule_of(channel)
    names = list(known.bits if known else ())
    names += [str(bit) for bit in range(len(names), 64)]
    return MaskRule("", tuple(names), tuple(required))


__all__ = ["NO_MASK", "RULES", "MaskRule", "chosen_rules", "quality_note", "rule_of"]
