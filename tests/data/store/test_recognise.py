"""A dataset's file is told from other HDF5 files."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest

from gwbench.data.store.recognise import is_store
from gwbench.errors import UserError


def test_what_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("none")
    with h5py.File(tmp_path / "strain.h5", "w") as file:
        file["data"] = [1.0]
    (tmp_path / "cut.h5").write_bytes((tmp_path / "strain.h5").read_bytes()[:100])
    for name in ("text.h5", "strain.h5", "cut.h5", "gone.h5", "."):
        assert not is_store(tmp_path / name)


def test_a_dataset_that_is_damaged_is_said_to_be(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "store.h5", "w") as file:
        file.attrs["gwbench_layout"] = 1
    with pytest.raises(UserError, match=r"store\.h5"):
        is_store(tmp_path / "store.h5")
