"""The checksum of a frame against the system's `cksum`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gwbench.data.strain_files import frame_integrity
from gwbench.data.strain_files.frame_integrity import posix_checksum


def test_the_checksum_is_that_of_the_posix_standard(tmp_path: Path) -> None:
    # POSIX.1-2017 gives no example; these are `cksum` of no byte and of the nine digits, as printed by GNU coreutils.
    (tmp_path / "x").write_bytes(b"123456789 and more")
    assert posix_checksum(tmp_path / "x", 0) == 4294967295
    assert posix_checksum(tmp_path / "x", 9) == 930766865


@pytest.mark.skipif(shutil.which("cksum") is None, reason="there is no cksum")
@pytest.mark.parametrize("size", [1, 255, 256, 70_000])
def test_it_agrees_with_cksum_piece_by_piece(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_integrity, "PIECE", 1000)
    path = tmp_path / "x"
    path.write_bytes(np.random.default_rng(size).bytes(size))
    said = subprocess.run(["cksum", path], capture_output=True, text=True, check=True).stdout
    assert posix_checksum(path, size) == int(said.split()[0])
