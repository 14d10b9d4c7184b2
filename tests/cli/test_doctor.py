from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def doctor(*folders: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, folders))
    environment = os.environ | ({"PYTHONPATH": path} if path else {})
    words = [sys.executable, "-m", "gwbench", "doctor"]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)


def test_a_sound_installation() -> None:
    done = doctor()
    assert done.returncode == 0
    assert "No problem found." in done.stdout
    assert "torch" in done.stdout


@pytest.mark.parametrize(
    ("name", "entry_points", "problem"),
    [
        ("gwbench", "", "pip uninstall gwbench"),
        ("toys", "[gwbench.encoders]\ntoy = toys_that_are_not_there:Toy\n", "encoder 'toy'"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, name: str, entry_points: str, problem: str) -> None:
    info = tmp_path / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    done = doctor(tmp_path)
    assert done.returncode == 1
    assert problem in done.stderr
