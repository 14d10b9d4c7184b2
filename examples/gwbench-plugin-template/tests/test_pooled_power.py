"""pooled-power keeps its contract, and its power is that of the filtered noise."""

from __future__ import annotations

import pytest
import torch
from my_gwbench_plugins.pooled_power import PooledPower

from gwbench.conformance import Case, cases
from gwbench.contracts import InputShape


@pytest.mark.parametrize("case", cases("pooled-power", "encoder"), ids=str)
def test_contract(case: Case) -> None:
    """What `gwbench check` asks."""
    finding = case.run()
    if finding.result == "skipped":
        pytest.skip(finding.found)
    assert finding.result == "passed", f"{finding.check}: {finding.found}"


def test_white_noise_has_the_power_of_the_filter() -> None:
    """The variance of white noise of unit variance behind a filter is the sum of the squares of its taps."""
    encoder = PooledPower(InputShape(1, 4096, 2048.0), filters=3)
    noise = torch.randn(256, 1, 4096, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        measured = encoder.power(noise).mean((0, 2))
    expected = encoder.filters.weight.square().sum((1, 2))
    torch.testing.assert_close(measured, expected, rtol=0.02, atol=0.0)
