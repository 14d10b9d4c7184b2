"""Which of the files given serve as noise, and what the notes say of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gwbench.contracts import StrainSplits
from gwbench.errors import UserError
from gwbench.plugins.datasets.real_noise import RealNoise
from tests.plugins.datasets.test_real_noise import RATE, SMALL, Context, noise, write


def load(*paths: Path, **given: Any) -> StrainSplits:
    splits: StrainSplits = RealNoise(path=tuple(map(str, paths)), **{**SMALL, **given}).load(Context())
    return splits


def behind_train(splits: StrainSplits) -> str:
    return next(note for note in splits.notes if "behind the train windows" in note)


def test_three_files_without_a_start_give_all_their_time(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{seed}.h5", noise(40, seed=seed), start=0.0, detector="H1") for seed in range(3)]
    splits = load(*paths)
    # 120 s x 0.6, less half a guard of 0.25 s.
    assert "H1 71.9 s" in behind_train(splits)
    assert splits.notes[0].startswith("Noise is real strain out of 3 file(s)")
    assert any("The GPS time of 3 series is unknown (0.h5, 1.h5, 2.h5)" in note for note in splits.notes)


def test_the_notes_count_what_is_used_and_name_the_rest_with_the_reason(tmp_path: Path) -> None:
    used = write(tmp_path / "used.h5", noise(60), detector="H1")
    copy = write(tmp_path / "zcopy.h5", noise(60), start=0.0, detector="H1")
    short = write(tmp_path / "short.h5", noise(1, seed=1), start=5000.0, detector="H1")
    zero = write(tmp_path / "zero.h5", 0 * noise(60), start=6000.0, detector="H1")
    other = write(tmp_path / "other.h5", noise(60, seed=2), detector="K1")
    twice = write(tmp_path / "zz.h5", noise(60), detector="H1")
    notes = load(used, copy, short, zero, other, twice, detectors=("H1",)).notes
    assert notes[0].startswith("Noise is real strain out of 1 file(s)")
    for sentence in (
        "zcopy.h5 is not used: it repeats used.h5.",
        "short.h5 is not used: its longest good stretch of 1 s is shorter than a window with its margins, 1.5 s.",
        "zero.h5 is not used: it holds no good strain.",
        "other.h5 is not used: it is of K1, which no channel takes.",
        "zz.h5 is not used: its times are in other files too, or are left out.",
    ):
        assert sentence in notes


def test_different_strain_of_one_time_is_used_and_said(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{seed}.h5", noise(40, seed=seed), start=1e9, detector="H1") for seed in range(2)]
    splits = load(*paths)
    assert "H1 47.9 s" in behind_train(splits)
    assert any("0.h5 and 1.h5 claim the same time of H1 and hold different strain" in note for note in splits.notes)


def test_two_detectors_of_one_file_and_two_files_named_after_theirs(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "both.h5", "w") as file:
        for seed, name in enumerate(("H1", "L1")):
            file.create_dataset(name, data=noise(60, seed=seed)).attrs.update({"x0": 1e9, "dx": 1 / RATE})
    named = [write(tmp_path / f"{name}.hdf", noise(60, seed=seed)) for seed, name in enumerate(("H1", "L1"))]
    for paths in ([tmp_path / "both.h5"], named):
        for background in ("time-slid", "coincident"):
            splits = load(*paths, background=background)
            assert splits.detectors == ("H1", "L1")
            assert not any("take strain of" in note for note in splits.notes)
    assert load(tmp_path / "both.h5", channel=("L1",)).detectors == ("L1",)


def test_coincident_windows_need_known_detectors_and_times(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{name}.hdf", noise(60, seed=ord(name))) for name in "ab"]
    with pytest.raises(
        UserError, match=r"These name no detector: a\.hdf, b\.hdf\. Put it into the file's name, as in H1"
    ):
        load(*paths, background="coincident", detectors=("H1", "L1"))
    paths = [write(tmp_path / f"{name}.hdf", noise(60, seed=seed), start=0.0) for seed, name in enumerate(("H1", "L1"))]
    with pytest.raises(UserError, match=r"the GPS time of H1\.hdf, L1\.hdf is unknown"):
        load(*paths, background="coincident")
    assert load(*paths).detectors == ("H1", "L1")


def test_a_name_that_contradicts_the_file_is_noted(tmp_path: Path) -> None:
    notes = load(write(tmp_path / "L1_x.h5", noise(60), detector="H1")).notes
    assert "L1_x.h5 holds strain of H1, as it says itself, not of L1." in notes


def test_a_spacing_in_float32_serves_at_its_rate(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "H1.hdf", "w") as file:
        data = file.create_dataset("data", data=noise(30, rate=4000).astype(np.float32))
        data.attrs.update({"delta_t": np.float32(1 / 4000), "start_time": 1e9})
    assert load(tmp_path / "H1.hdf", sample_rate=4000.0).sample_rate == 4000
