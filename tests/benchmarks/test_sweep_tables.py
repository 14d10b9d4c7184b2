"""The tables of sweeps in benchmarks/README.md are those of the published results."""

from __future__ import annotations

from pathlib import Path

import pytest

from gwbench.suite.sweep.comparison import compare
from gwbench.suite.sweep.run import recorded
from gwbench.suite.sweep.schema import read_sweep
from gwbench.suite.sweep.text import as_text

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("results", sorted((BENCHMARKS / "sweeps").glob("*.jsonl")), ids=lambda path: path.stem)
def test_the_table_in_the_readme_is_that_of_the_results(results: Path) -> None:
    sweep = read_sweep(results.with_suffix(".yaml"), device="cpu")
    found = recorded(sweep, results)
    assert not found.foreign
    text = as_text(sweep, compare(found.done, sweep.reference, larger_is_better=sweep.larger_is_better))
    table = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    readme = (BENCHMARKS / "README.md").read_text()
    assert table in readme, f"gwbench sweep benchmarks/sweeps/{sweep.name}.yaml --table"
    assert f"gwbench sweep benchmarks/sweeps/{sweep.name}.yaml --table" in readme
