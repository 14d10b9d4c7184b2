"""Shares of good time for splits and channels."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from gwbench.data.segments import Stretch, seconds
from gwbench.data.shares import Shares, share_out
from gwbench.data.strain_files import StrainFile
from gwbench.errors import UserError

RATE = 16.0
FRACTIONS = {"train": 0.6, "val": 0.2, "test": 0.2}


def stretch(start: float, length: float) -> Stretch:
    samples = int(length * RATE)
    return Stretch(StrainFile(None, start, RATE, np.zeros(samples), ((0, samples),), Path("x")), 0, samples)


def share(pools: dict[str, list[Stretch]], sources: dict[str, str], guard: float = 0.5) -> Shares:
    return share_out(pools, sources, FRACTIONS, guard, shortest=32, sample_rate=RATE)


def test_one_channel_gets_every_split_by_its_fraction() -> None:
    shares = share({"H1": [stretch(0, 50), stretch(100, 50)]}, {"H1": "H1"})
    assert [[part.gps for part in shares[split][0]] for split in FRACTIONS] == [
        [(0, 50), (100, 109.75)],
        [(110.25, 129.75)],
        [(130.25, 150)],
    ]


def test_channels_of_one_pool_share_each_split_equally_and_apart() -> None:
    shares = share({"": [stretch(0, 300)]}, {"H1": "", "L1": "", "V1": ""})
    for split, whole in (("train", 180), ("val", 60), ("test", 60)):
        assert [seconds(parts) for parts in shares[split]] == pytest.approx([whole / 3] * 3, abs=1)
    spans = sorted(part.gps for channels in shares.values() for parts in channels for part in parts)
    assert len(spans) == 9
    gaps = [begin - end for (_, end), (begin, _) in pairwise(spans)]
    assert min(gaps) >= 0.5
    assert max(gaps) <= 0.5 + 2 / RATE


def test_pools_of_other_times_are_cut_each_by_itself() -> None:
    shares = share({"H1": [stretch(0, 100)], "L1": [stretch(1000, 100)]}, {"H1": "H1", "L1": "L1"})
    assert [part.gps for part in shares["val"][0]] == [(60.25, 79.75)]
    assert [part.gps for part in shares["val"][1]] == [(1060.25, 1079.75)]


def test_simultaneous_pools_are_cut_together() -> None:
    shares = share({"H1": [stretch(0, 100)], "L1": [stretch(20, 80)]}, {"H1": "H1", "L1": "L1"})
    ends = [max(part.gps[1] for part in parts) for parts in shares["train"]]
    assert ends[0] == ends[1]
    # 180 s of good time, 20 of them alone: 108 s are reached after 20 + 44 s.
    assert ends[0] == pytest.approx(64 - 0.25, abs=1 / RATE)


@pytest.mark.parametrize(("length", "split"), [(0.5, "train"), (9.0, "val"), (0.0, "train")])
def test_too_little_time_is_refused(length: float, split: str) -> None:
    with pytest.raises(
        UserError, match=rf"channel H1 in the {split} split: .* takes 2 s .* hold {length:.1f} s, at most"
    ):
        share({"": [stretch(0, length)]}, {"H1": ""})
