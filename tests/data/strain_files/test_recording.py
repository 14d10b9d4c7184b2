"""Bit masks of seconds, and the detector in a name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gwbench.data.strain_files.recording import DATA_QUALITY, Mask, detector_of, one_channel
from gwbench.errors import UserError

BITS = ("DATA", "CBCHIGH_CAT1", "CBCHIGH_CAT2", "CBCLOW_CAT1")


def test_bits_are_found_by_name_and_what_the_mask_lacks_is_passed() -> None:
    values = np.array([0b0111, 0b1111, 0b0110, 0b0011, 0b0101], np.uint32)
    mask = Mask(values, 100.0, 1.0, BITS, DATA_QUALITY)
    assert mask.good(100.0, 2.0, 10).tolist() == [True] * 4 + [False] * 6


def test_a_mask_is_laid_on_the_strain_by_its_times() -> None:
    mask = Mask(np.array([1, 0, 1]), 98.0, 2.0, ("DATA",), ("DATA",))
    # It covers 98-104 s, of which 100-102 s are bad; the strain covers 99-107 s.
    assert mask.good(99.0, 1.0, 8).tolist() == [True, False, False, True, True, False, False, False]


def test_a_value_that_is_missing_passes_nothing() -> None:
    assert Mask(np.array([1.0, np.nan]), 0.0, 1.0, ("DATA",), ("DATA",)).good(0.0, 1.0, 2).tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "detector"),
    [("H1", "H1"), ("V1:Hrec_hoft", "V1"), ("H1L1", None), ("h1:x", None), ("None", None), ("GEO", None)],
)
def test_a_name_says_which_detector(text: str, detector: str | None) -> None:
    assert detector_of(text) == detector


def test_an_empty_file_is_said_to_hold_no_channel() -> None:
    with pytest.raises(UserError, match=r"has no channel that is known as strain\. It holds no channel"):
        one_channel(Path("x"), [], [], [])
