"""A scan on a Ray cluster of two nodes, which stays on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gwbench
from gwbench.suite.ray_scan import ray_scan
from tests.conftest import TINY, Heard
from tests.search.strain import GPS, noise, write_segments

pytestmark = pytest.mark.timeout(400)


@pytest.mark.usefixtures("known")
def test_nodes_share_the_segments(cluster: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {key: value for key, value in TINY.items() if key.startswith("dataset.")}
    settings["dataset.detectors"] = ("H1", "L1")
    run = gwbench.run(baseline="band-power", settings=settings, device="cpu", out=tmp_path / "runs", progress=Heard())
    assert run.folder
    parts = {
        name: [(GPS + 200 * place, noise(30, 2048, seed + place)) for place in range(3)]
        for name, seed in (("H1", 0), ("L1", 50))
    }
    strain = write_segments(tmp_path / "noise.hdf", parts, 2048)
    here = gwbench.scan(run.folder, strain, searches=tmp_path / "here", progress=Heard())
    with ray_scan(Path(run.folder), plugins=(), device="cpu", address=cluster.address, most=None) as executor:
        there = gwbench.scan(run.folder, strain, searches=tmp_path / "there", executor=executor, progress=Heard())
    assert [each.time for each in there.triggers] == [each.time for each in here.triggers]
    assert [each.score for each in there.triggers] == pytest.approx([each.score for each in here.triggers], abs=1e-4)
