"""A short crash campaign; `python -m tests.crash --kills 100` is the long one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.campaign import compared, shares
from tests.crash.campaigns import CAMPAIGNS


@pytest.mark.timeout(900)
def test_killed_at_random_moments_every_command_ends_as_if_left_alone(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.crash", "--kills", "2", "--seed", "1", "--only", "run", "--only", "make"]
    words += ["--folder", str(tmp_path / "work")]
    done = subprocess.run(words, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("2 kills, 0 problems")


def test_kills_are_shared_out() -> None:
    assert sum(shares(CAMPAIGNS, 100)) == 100
    assert shares(CAMPAIGNS, len(CAMPAIGNS)) == [1] * len(CAMPAIGNS)


def test_differences_are_named() -> None:
    expected = {"run": {"auc": 0.5, "rows": [[1, 2], [3, 4]]}, "gone": 1}
    found = {"run": {"auc": 0.5, "rows": [[1, 2], [3, 5]]}, "new": 1}
    assert list(compared(expected, found)) == [
        "gone is missing",
        "new is one too many",
        "run differs: .rows[1][1] 5, expected 4",
    ]
    assert not list(compared(expected, expected))
