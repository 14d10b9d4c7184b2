from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

import gwbench
from gwbench.errors import UserError
from gwbench.experiment.record import RunRecord, read_record
from gwbench.experiment.training_outcome import TrainingOutcome
from gwbench.utils.progress import Progress
from tests.reporting.synthetic_runs import LABEL, scores_of, write_run
from tests.reporting.synthetic_searches import write_search


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[RunRecord]:
    root = tmp_path_factory.mktemp("runs")
    return [read_record(write_run(root, objective=name, quality=q)) for name, q in (("barlow", 1.0), ("vicreg", 2.0))]


def is_figure_of_its_own(figure: Figure) -> bool:
    """Nothing that pyplot would show again, and a picture for a notebook."""
    from matplotlib import pyplot as plt

    picture: Any = figure
    return not plt.get_fignums() and picture._repr_png_().startswith(b"\x89PNG")


def legend_of(figure: Figure) -> list[str]:
    legend = figure.axes[0].get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def bursts() -> gwbench.ArrayDataset:
    """White noise; half the windows hold a burst."""
    label = np.arange(100) % 2
    time = (np.arange(1536) - 768) / 2048
    burst = 2 * np.exp(-((time / 0.03) ** 2)) * np.sin(2 * np.pi * 150 * time)
    strain = np.random.default_rng(0).normal(size=(100, 2, 1536)) + label[:, None, None] * burst
    snr = np.where(label == 1, np.linspace(8.0, 16.0, 100), np.nan)
    return gwbench.ArrayDataset(1e-21 * strain, label, snr=snr, sample_rate=2048, detectors=("H1", "L1"), margin=512)


def test_roc_curves_are_those_of_the_scores(records: list[RunRecord]) -> None:
    before = dict(mpl.rcParams)
    figure = gwbench.plot_roc(*records, logarithmic=False)
    assert dict(mpl.rcParams) == before
    assert is_figure_of_its_own(figure)
    (axes,) = figure.axes
    line: Any = axes.get_lines()[0]
    fpr, tpr, _ = roc_curve(LABEL, scores_of(1.0, 0, records[0].spec.title), drop_intermediate=False)
    for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True):
        assert y == pytest.approx(tpr[fpr <= x + 1e-9].max())
    names = legend_of(figure)
    assert names[0] == f"{records[0].spec.title}: AUC {records[0].auc:.4f}"
    assert names[2] == "chance"
    assert gwbench.plot_roc(records[0].folder or "").axes[0].get_xscale() == "log"


def test_runs_of_one_title_are_told_apart(records: list[RunRecord]) -> None:
    figure = gwbench.plot_roc(records[0], records[0].model_copy(update={"run_id": "f" * 16}))
    labels = legend_of(figure)
    assert len(set(labels)) == 3
    assert "ffffffff" in labels[1]


def test_learning_is_loss_and_rank(records: list[RunRecord]) -> None:
    outcome = TrainingOutcome(
        loss=[3.0, 2.0],
        collapse=[{"spread": 1.0, "effective_rank": r} for r in (4.0, 5.0)],
        warning=None,
        resumed_from=0,
    )
    figure = gwbench.plot_learning(records[0].model_copy(update={"training": outcome}))
    assert is_figure_of_its_own(figure)
    drawn: list[Any] = [axes.get_lines()[0].get_ydata() for axes in figure.axes]
    assert [values.tolist() for values in drawn] == [[3.0, 2.0], [4.0, 5.0]]
    with pytest.raises(UserError, match="pre-trained nothing"):
        gwbench.plot_learning(records[0])


def test_a_window_of_opened_data(records: list[RunRecord]) -> None:
    splits = gwbench.open_dataset(bursts(), progress=Progress())
    figure = gwbench.plot_window(splits, "val", "loudest", high=500.0)
    assert is_figure_of_its_own(figure)
    assert len(figure.axes) == 4 * 2 + 1  # and the colours' bar
    loudest = int(np.nanargmax(splits.val.snr))
    assert f"val {loudest}" in "".join(text.get_text() for text in figure.findobj(mpl.text.Text))
    for index in (10_000, "quietest"):
        with pytest.raises(UserError, match="expected a position"):
            gwbench.plot_window(splits, "val", index)
    with pytest.raises(UserError, match="split='dev'"):
        gwbench.plot_window(splits, "dev")


def test_rankings_of_runs_and_of_searches(records: list[RunRecord], tmp_path: Path) -> None:
    runs = Path(records[0].folder or "").parent
    ranking = gwbench.leaderboard(runs)
    (axes,) = ranking.plot().axes
    assert len(axes.get_yticklabels()) == 2
    assert ranking.searches is None

    for name, distance in (("near", 900.0), ("far", 1500.0)):
        write_search(tmp_path, name, title=name, distance=distance)
    found = gwbench.leaderboard(tmp_path)
    assert found.searches is not None
    frame = found.to_pandas()
    assert sorted(frame["method"]) == ["far", "near"]
    assert list(found.to_pandas("searches")["distance"]) == list(frame["distance"])
    assert is_figure_of_its_own(found.plot())
    assert "searches of" in found._repr_html_()
    assert "2 searches" in repr(found)
    assert found.save(tmp_path / "searches.csv").read_text().startswith("rank,method")
    with pytest.raises(UserError, match="searches alone"):
        _ = found.board
    both = gwbench.leaderboard(runs, tmp_path)
    assert len(both.to_pandas()) == len(both.to_pandas("searches")) == 2
    assert gwbench.leaderboard(runs, tmp_path, kind="runs").searches is None
    with pytest.raises(UserError, match="There is no search"):
        gwbench.leaderboard(runs, kind="searches")
    with pytest.raises(UserError, match="kind='all'"):
        gwbench.leaderboard(runs, kind="all")  # type: ignore[arg-type]


def test_what_is_no_run_is_refused(records: list[RunRecord], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no run to plot"):
        gwbench.plot_roc()
    with pytest.raises(UserError, match="is no run"):
        gwbench.plot_roc(3)  # type: ignore[arg-type]
    failed = read_record(write_run(tmp_path, failed="a reason"))
    with pytest.raises(UserError, match="has no scores"):
        gwbench.plot_roc(failed)
    bare = read_record(write_run(tmp_path, predictions=False))
    with pytest.raises(UserError, match="cannot be read"):
        gwbench.plot_roc(bare)


def test_plots_choose_no_backend() -> None:
    code = "import gwbench, sys; gwbench.plot_roc; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
