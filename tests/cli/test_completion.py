"""What a shell completes, and that it takes no time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_startup import HEAVY
from tests.reporting.synthetic_runs import write_run


def completed(words: str, folder: Path) -> tuple[list[str], set[str]]:
    """The words that bash would offer, and the packages that were imported."""
    variables = {
        "_GWBENCH_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gwbench"],
        env=os.environ | variables, cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    packages = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line], packages


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("gwbench run --encoder c", ["cnn1d", "cqt2d"]),
        ("gwbench run --baseline sup", ["supervised", "supervised-all"]),
        ("gwbench run --set training.e", ["training.epochs="]),
        ("gwbench run --logger t", ["tensorboard"]),
        ("gwbench show tr", ["training"]),
        ("gwbench show objectives bar", ["barlow"]),
        ("gwbench check cnn", ["cnn1d"]),
        ("gwbench new data", ["dataset"]),
        ("gwbench runs show go", ["good"]),
        ("gwbench runs rm go", ["good"]),
        ("gwbench show nonesuch a", []),
    ],
)
def test_names_are_offered_at_once(words: str, offered: list[str], tmp_path: Path) -> None:
    if " runs " in words:
        write_run(tmp_path / "runs", folder="good")
    found, packages = completed(words, tmp_path)
    assert found == offered
    assert "gwbench" in packages
    assert not packages & HEAVY
