from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

import gwbench
from gwbench.cli.main import gwbench as command
from gwbench.errors import UserError
from gwbench.experiment.record import RunRecord
from gwbench.experiment.scorer import load_scorer
from gwbench.search.far_efficiency import FILE, noise_events, tpr_at_far
from gwbench.utils.progress import Progress
from tests.conftest import TINY

HOURS = 0.2
STRIDE = 0.25


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return gwbench.run(
        baseline="random-init",
        settings={key: value for key, value in TINY.items() if not key.startswith("training.")},
        out=tmp_path_factory.mktemp("runs"),
        device="cpu",
        progress=Progress(),
    )


def test_the_share_of_signals_above_what_noise_reaches_so_often(record: RunRecord) -> None:
    folder = Path(str(record.folder))
    found = tpr_at_far(folder, rates=(20_000, 7200, 10), hours=HOURS, stride=STRIDE)
    assert [point.far for point in found.points] == [20_000, 7200]  # 0.2 h say nothing of 10 a month
    assert found.auc == record.auc
    assert found.livetime == pytest.approx(HOURS * 3600, rel=0.02)
    with np.load(folder / "predictions.npz") as arrays:
        signals = arrays["score"][arrays["label"] == 1]
    run = load_scorer(folder)
    events = noise_events(run, hours=HOURS, stride=STRIDE, seed=0, progress=Progress()).score
    for point in found.points:
        assert point.events == int(point.far * found.livetime / (30 * 86400) + 0.02)  # as `Background.allowed` counts
        assert point.threshold is not None
        assert np.count_nonzero(events > point.threshold) == point.events
        n = int(np.count_nonzero(signals > point.threshold))
        assert point.value == pytest.approx(n / len(signals))
        assert point.low == pytest.approx(beta.ppf(0.025, n, len(signals) - n + 1) if n else 0)
    assert found.points[0].value >= found.points[1].value


def test_noise_is_white_and_none_of_another_seed(record: RunRecord) -> None:
    run = load_scorer(Path(str(record.folder)))
    dataset = run.record.spec.dataset.build("dataset")
    (first,), (other,) = (dataset.continuous_noise(0.05, seed) for seed in (0, 1))
    rows = [
        [run.conditioner.condition_segment(row, d) for d, row in enumerate(each.strain(0))] for each in (first, other)
    ]
    for row, another in zip(*rows, strict=True):
        assert float(row.square().mean()) == pytest.approx(1, abs=0.05)
        correlation = float((row * another).mean() / (row.std() * another.std()))
        assert abs(correlation) < 5 / np.sqrt(len(row) / 4)


def test_it_is_computed_once_and_shown_beside_the_auc(record: RunRecord, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(str(record.folder))
    words = ["search", "efficiency", str(folder), "--hours", str(HOURS), "--stride", str(STRIDE)]
    words += ["--far", "7200", "--far", "1"]
    command.main([*words, "--json"], standalone_mode=False)
    (said,) = json.loads(capsys.readouterr().out)
    assert said["points"][0]["far"] == 7200
    before = (folder / FILE).stat().st_mtime_ns
    command.main(words, standalone_mode=False)
    out = capsys.readouterr().out
    assert f"{record.auc:.4f}" in out
    assert "TPR at 7200 a month" in " ".join(out.split())
    assert (folder / FILE).stat().st_mtime_ns == before


def test_what_cannot_be_counted_is_said(record: RunRecord, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no record"):
        tpr_at_far(tmp_path)
