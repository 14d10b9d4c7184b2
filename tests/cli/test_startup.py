"""Help and listings answer at once: they import nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gwbench.contracts import Block, Layout
from gwbench.data.store.cache import CacheContext, CacheDir, dataset_recipe
from gwbench.utils.progress import Progress

HEAVY = {
    "jinja2",
    "lal",
    "lalsimulation",
    "lightly",
    "lightning",
    "matplotlib",
    "nnAudio",
    "pandas",
    "pycbc",
    "ray",
    "pytorch_lightning",
    "scipy",
    "sklearn",
    "statsmodels",
    "timm",
    "torch",
    "torchvision",
}
LAYOUT = Layout(("H1", "L1"), 2048.0, 64, 8, {"train": 2, "val": 2, "test": 2})


class Ones:
    """Windows of ones."""

    def block(self, rng: np.random.Generator, split: str, start: int, n: int) -> Block:
        return Block(split, start, np.ones((n, 2, 80), "f4"), np.zeros(n, "i1"), np.zeros(n, "f4"))


def imported_by(*words: str) -> set[str]:
    """Top-level packages that `gwbench WORDS` imports, as the interpreter reports them."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gwbench", *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("--version",),
        ("list",),
        ("list", "--json"),
        ("run", "--help"),
        ("show", "--help"),
        ("check", "--help"),
        ("new", "--help"),
        ("suite", "--help"),
        ("suite", "run", "--help"),
        ("leaderboard", "--help"),
        ("compare", "--help"),
        ("report", "--help"),
        ("data", "--help"),
        ("search", "--help"),
        ("search", "evaluate", "--help"),
        ("data", "make", "continuous", "--help"),
        ("data", "list"),
    ],
    ids=" ".join,
)
def test_help_and_listings_import_nothing_heavy(words: tuple[str, ...]) -> None:
    found = imported_by(*words)
    assert "gwbench" in found
    assert not found & HEAVY


def test_listing_generated_data_imports_nothing_heavy(tmp_path: Path) -> None:
    cache = CacheDir(tmp_path)
    CacheContext(0, 1, Progress(), cache, dataset_recipe("toy", 1, {}, 0, {})).stored(LAYOUT, Ones())
    found = imported_by("data", "list", "--cache-dir", str(tmp_path))
    assert "h5py" in found
    assert not found & HEAVY


def test_importing_gwbench_imports_nothing_heavy() -> None:
    code = "import sys, gwbench; dir(gwbench); print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not set(done.stdout.split()) & (HEAVY | {"numpy", "pydantic", "h5py"})
