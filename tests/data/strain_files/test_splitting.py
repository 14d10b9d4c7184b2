"""Shares of good time for splits and channels."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from gwbench.data.strain_files.reading import StrainFile
from gwbench.data.strain_files.segments import Segment, seconds
from gwbench.data.strain_files.splitting import Shares, share_out, share_together
from gwbench.errors import UserError

RATE = 16.0
FRACTIONS = {"train": 0.6, "val": 0.2, "test": 0.2}


def segment(start: float, length: float) -> Segment:
    samples = int(length * RATE)
    return Segment(StrainFile(None, start, RATE, np.zeros(samples), ((0, samples),), Path("x")), 0, samples)


def share(pools: dict[str, list[Segment]], sources: dict[str, str], guard: float = 0.5) -> Shares:
    return share_out(pools, sources, FRACTIONS, guard, shortest=32, sample_rate=RATE)


def test_one_channel_gets_every_split_by_its_fraction() -> None:
    shares = share({"H1": [segment(0, 50), segment(100, 50)]}, {"H1": "H1"})
    assert [[part.gps for part in shares[split][0]] for split in FRACTIONS] == [
        [(0, 50), (100, 109.75)],
        [(110.25, 129.75)],
        [(130.25, 150)],
    ]


def test_channels_of_one_pool_share_each_split_equally_and_apart() -> None:
    shares = share({"": [segment(0, 300)]}, {"H1": "", "L1": "", "V1": ""})
    for split, whole in (("train", 180), ("val", 60), ("test", 60)):
        assert [seconds(parts) for parts in shares[split]] == pytest.approx([whole / 3] * 3, abs=1)
    spans = sorted(part.gps for channels in shares.values() for parts in channels for part in parts)
    assert len(spans) == 9
    gaps = [begin - end for (_, end), (begin, _) in pairwise(spans)]
    assert min(gaps) >= 0.5
    assert max(gaps) <= 0.5 + 2 / RATE


def test_pools_of_other_times_are_cut_each_by_itself() -> None:
    shares = share({"H1": [segment(0, 100)], "L1": [segment(1000, 100)]}, {"H1": "H1", "L1": "L1"})
    assert [part.gps for part in shares["val"][0]] == [(60.25, 79.75)]
    assert [part.gps for part in shares["val"][1]] == [(1060.25, 1079.75)]


def test_simultaneous_pools_are_cut_together() -> None:
    shares = share({"H1": [segment(0, 100)], "L1": [segment(20, 80)]}, {"H1": "H1", "L1": "L1"})
    ends = [max(part.gps[1] for part in parts) for parts in shares["train"]]
    assert ends[0] == ends[1]
    # 180 s of good time, 20 of them alone: 108 s are reached after 20 + 44 s.
    assert ends[0] == pytest.approx(64 - 0.25, abs=1 / RATE)


@pytest.mark.parametrize(("length", "split"), [(0.5, "train"), (9.0, "val"), (0.0, "train")])
def test_too_little_time_is_refused(length: float, split: str) -> None:
    with pytest.raises(
        UserError, match=rf"channel H1 in the {split} split: .* takes 2 s .* hold {length:.1f} s, at most"
    ):
        share({"": [segment(0, length)]}, {"H1": ""})


def together(pools: dict[str, list[Segment]]) -> Shares:
    return share_together(pools, FRACTIONS, 0.5, shortest=32, sample_rate=RATE)


def test_what_all_channels_hold_is_shared_together() -> None:
    shares = together({"H1": [segment(0, 60), segment(70, 50)], "L1": [segment(20, 100)]})
    # 90 s in common: 54, 18 and 18 s.
    expected = {"train": [(20, 60), (70, 83.75)], "val": [(84.25, 101.75)], "test": [(102.25, 120)]}
    for split, spans in expected.items():
        assert [[part.gps for part in parts] for parts in shares[split]] == [spans, spans]


def test_shares_together_are_equally_long_where_the_grids_of_samples_do_not_coincide() -> None:
    shares = together({"H1": [segment(0, 50)], "L1": [segment(1.01, 50)], "V1": [segment(0.53, 50)]})
    for split in FRACTIONS:
        lengths = {len(part) for parts in shares[split] for part in parts}
        assert len(lengths) == 1
        assert min(lengths) >= 32
        starts = [parts[0].gps[0] for parts in shares[split]]
        assert max(starts) - min(starts) < 1 / RATE


def test_too_little_time_in_common_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"channel H1 and L1 together in the train split: .* hold 1\.0 s, at most 1\.0 s"
    ):
        together({"H1": [segment(0, 50)], "L1": [segment(49, 50)]})
