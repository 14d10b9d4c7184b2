"""A dry run tells what a run does, and leaves nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import gwbench
from gwbench.errors import UserError
from gwbench.experiment.data_cache import DataCache
from gwbench.experiment.dry_run import RunPlan, plan_run
from gwbench.experiment.spec import RunSpec
from gwbench.utils.progress import Progress
from tests.conftest import TINY, TINY_OBJECTIVE

SETTINGS = TINY | TINY_OBJECTIVE


def planned(spec: RunSpec, folder: Path) -> RunPlan:
    cache = DataCache(folder / "cache", 1)
    return plan_run(spec, device="cpu", out=folder / "runs", data_cache=cache, progress=Progress())


def test_it_counts_as_the_run_does_and_leaves_nothing(tmp_path: Path) -> None:
    spec = RunSpec.create(settings=SETTINGS, precision="fp32")
    before = torch.get_rng_state()
    plan = planned(spec, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert list(tmp_path.rglob("*.h5")) == []
    assert not (tmp_path / "runs").exists()
    assert plan.windows == {"train": 192, "val": 96, "test": 128}
    assert (plan.data, plan.status) == ("to be made", "missing")
    assert plan.data_bytes == 4 * (192 + 96 + 128) * 3 * (4096 + 2 * 512)
    assert plan.conditioned_bytes == 4 * 192 * 3 * 4096
    assert plan.memory_bytes > plan.conditioned_bytes
    assert (plan.epochs, plan.batch_size, plan.steps) == (2, 32, 2 * (192 // 32))
    assert plan.labels == 48
    assert set(plan.seconds) == {"data", "pretrain", "evaluate"}
    assert plan.total_seconds is not None
    assert 0 < plan.total_seconds < 600
    assert "measured" in plan.seconds_from

    record = gwbench.run(
        settings=SETTINGS, precision="fp32", out=tmp_path / "runs", cache=tmp_path / "cache", progress=Progress()
    )
    assert plan.parameters == record.parameters
    with np.load(Path(str(record.folder)) / "predictions.npz", allow_pickle=False) as arrays:
        assert plan.embed_dim == arrays["embedding"].shape[1]
    assert plan.folder == record.folder
    again = planned(spec, tmp_path)
    assert (again.data, again.status, again.data_bytes) == ("there", "done", 0)
    other = planned(RunSpec.create(settings=SETTINGS, precision="fp32", seed=1), tmp_path)
    assert other.status == "missing"
    assert other.seconds == {name: phase.seconds for name, phase in record.phases.items()}
    assert other.seconds_from == "as 1 finished run of other seeds took"


def test_what_the_run_would_refuse_it_refuses(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="below twice the band's upper edge"):
        planned(RunSpec.create(settings=SETTINGS | {"conditioning.high": 1100}), tmp_path)
    assert list(tmp_path.rglob("*.h5")) == []


def test_a_baseline_without_a_network_has_no_steps_and_no_time_that_is_known(tmp_path: Path) -> None:
    settings = {key: value for key, value in SETTINGS.items() if key.startswith("dataset.")}
    plan = planned(RunSpec.create(baseline="band-power", settings=settings), tmp_path)
    assert (plan.steps, plan.parameters, plan.embed_dim) == (0, 0, 0)
    assert set(plan.seconds) == {"data"}
    assert "but for what the baseline does itself" in plan.seconds_from
