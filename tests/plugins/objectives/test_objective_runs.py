"""Every objective through the whole job."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gwbench
from gwbench.experiment.record import RunRecord
from gwbench.utils.progress import Progress, ProgressTask
from tests.conftest import TINY, Heard

OBJECTIVES: dict[str, dict[str, int]] = {
    "byol": {"hidden_dim": 16, "output_dim": 16},
    "data2vec": {"hidden_dim": 16},
    "dcl": {"hidden_dim": 16, "output_dim": 16},
    "dino": {"hidden_dim": 16, "output_dim": 16},
    "masked-strain": {"hidden_dim": 16},
    "moco": {"hidden_dim": 16, "output_dim": 16, "queue": 96},
    "nnclr": {"hidden_dim": 16, "output_dim": 16, "queue": 96},
    "simsiam": {"hidden_dim": 16, "output_dim": 16},
    "tico": {"hidden_dim": 16, "output_dim": 16},
    "vicreg": {"hidden_dim": 16, "output_dim": 16},
}


def run(out: Path, name: str, groups: str = "shared", progress: Progress | None = None) -> RunRecord:
    importlib.import_module(f"gwbench.plugins.objectives.{name.replace('-', '_')}")
    settings: dict[str, Any] = TINY | {f"objective.{key}": value for key, value in OBJECTIVES[name].items()}
    return gwbench.run(
        objective=name,
        settings=settings,
        encoder_groups=groups,
        out=out,
        precision="fp32",
        device="cpu",
        progress=progress or Progress(),
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that are done are not done again."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("groups", ["shared", "H1,L1|V1"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_run_ends_with_finite_losses_and_a_score(name: str, groups: str, out: Path) -> None:
    done = run(out, name, groups)
    assert done.status == "ok"
    assert done.training is not None
    assert len(done.training.loss) == 2
    assert np.isfinite(done.training.loss).all()
    assert done.training.loss[0] != done.training.loss[1]
    assert 0 <= done.auc <= 1


class Interrupting(Heard):
    """Stops the run as a person would, in its second epoch."""

    @contextmanager
    def task(self, title: str, total: float, unit: str = "") -> Iterator[ProgressTask]:
        yield self

    def advance(self, amount: float = 1, note: str = "") -> None:
        if note.startswith("epoch 2/"):
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["byol", "moco"])
def test_a_stopped_run_resumes_to_the_numbers_of_one_left_alone(name: str, out: Path, tmp_path: Path) -> None:
    interrupting = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, name, progress=interrupting)
    [said] = [each for each in interrupting.lines if "random first weights" in each]  # the steps are few for its target
    resumed, alone = run(tmp_path, name), run(out, name)
    assert resumed.training is not None
    assert alone.training is not None
    assert resumed.training.resumed_from == 1
    assert alone.training.resumed_from == 0
    assert resumed.training.loss == pytest.approx(alone.training.loss, abs=1e-9)
    assert resumed.training.collapse == alone.training.collapse
    assert resumed.auc == pytest.approx(alone.auc, abs=1e-6)
    assert resumed.budget
    assert f"({resumed.budget[0]})" in said
