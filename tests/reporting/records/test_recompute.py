"""A record says what its test scores give, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import beta, norm
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from gwbench.cli.leaderboard import leaderboard
from gwbench.errors import UserError
from gwbench.experiment.record import PREDICTIONS, RECORD, load_record
from gwbench.reporting.html.report_inputs import read_run
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.compare import compare_runs
from gwbench.reporting.leaderboard.ranking import rank
from gwbench.reporting.leaderboard.rows import Options
from gwbench.reporting.records.predictions import read_predictions
from gwbench.reporting.records.recompute import check_metrics, disagreements, recomputed
from gwbench.utils.untrusted_files import UnusableError
from tests.evaluation.delong import all_pairs
from tests.reporting.synthetic_runs import LABEL, SNR, scores_of, write_run

Edit = Callable[[dict[str, Any]], None]


def setting(value: Any, *keys: str) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        place = document["metrics"]
        for key in keys[:-1]:
            place = place[int(key) if isinstance(place, list) else key]
        place[keys[-1]] = value

    return edit


FORGED: dict[str, Edit] = {
    "ROC-AUC is 0.999900 in the record": setting({"value": 0.9999, "low": 0.999, "high": 1.0}, "auc"),
    "lower end of the interval of ROC-AUC": setting(0.01, "auc", "low"),
    "average precision is 0.999900": setting(0.9999, "average_precision"),
    "TPR at FPR 0.01 is": setting({"value": 0.99, "low": 0.9, "high": 1.0}, "tpr_at_fpr", "0.01"),
    "TPR at FPR 0.001": setting({"value": 0.99, "low": 0.9, "high": 1.0}, "tpr_at_fpr", "0.001"),
    "SNR at TPR 0.5, FPR 0.01": setting(6.0, "snr_at_half", "0.01", "value"),
    "number of signals": setting(200, "n_signal"),
    "confidence of intervals": setting(0.5, "level"),
}


def forged(root: Path, edit: Edit) -> Path:
    write_run(root, objective="simclr", quality=2.0)
    return write_run(root, folder="forged", quality=1.0, edit=edit)


def record_of(run: Path) -> Any:
    return load_record(run / RECORD).record


def replace_arrays(run: Path, **arrays: Any) -> None:
    with np.load(run / PREDICTIONS) as before:
        np.savez(run / PREDICTIONS, **{**before, **arrays})


@pytest.mark.parametrize("said", FORGED)
def test_a_forged_figure_is_refused_by_every_reader(tmp_path: Path, said: str) -> None:
    run = forged(tmp_path, FORGED[said])
    board = build([tmp_path], Options())
    assert [row.plugins["objective"] for row in board.tables[0].rows] == ["simclr"]
    (skipped,) = board.skipped
    assert skipped.path == str(run / RECORD) and said in skipped.reason
    with pytest.raises(UserError, match="is refused"):
        compare_runs(run, run)
    with pytest.raises(UserError, match="holds no run that can be reported"):
        read_run(run)


def test_the_command_line_names_it_and_ends_in_one(tmp_path: Path) -> None:
    forged(tmp_path, next(iter(FORGED.values())))
    result = CliRunner().invoke(leaderboard, [str(tmp_path), "--format", "csv"])
    assert result.exit_code == 1
    assert "ROC-AUC is 0.999900 in the record and 0.7" in result.stderr
    assert "barlow" not in result.stdout
    assert "simclr" in repr(rank(tmp_path)) and "1 runs" in repr(rank(tmp_path))


def test_what_is_worked_out_is_what_others_work_out(tmp_path: Path) -> None:
    run = write_run(tmp_path, quality=1.2)
    record, score = record_of(run), scores_of(1.2, 0, record_of(run).spec.title)
    found = recomputed(record, read_predictions(run, len(LABEL)))
    assert found.auc.value == pytest.approx(roc_auc_score(LABEL, score), abs=1e-12)
    _, covariance = all_pairs(LABEL, score[None])
    area, error = found.auc.value, float(np.sqrt(np.asarray(covariance).ravel()[0]))
    logit = np.log(area / (1 - area)) - norm.ppf(0.975) * error / (area * (1 - area))
    assert found.auc.low == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-9)
    assert found.average_precision == pytest.approx(average_precision_score(LABEL, score), abs=1e-12)
    fpr, tpr, _ = roc_curve(LABEL, score, drop_intermediate=False)
    best = tpr[fpr <= 0.01].max()
    efficiency = found.tpr_at_fpr["0.01"]
    assert efficiency is not None and efficiency.value == pytest.approx(best)
    hits = round(best * 150)
    assert efficiency.low == pytest.approx(beta.ppf(0.025, hits, 150 - hits + 1), rel=1e-9)
    assert list(disagreements(record, read_predictions(run, len(LABEL)))) == []


def test_bins_are_compared_where_they_are_asked_for(tmp_path: Path) -> None:
    run = write_run(tmp_path, edit=setting(9, "per_snr_bin", "0", "n"))
    assert check_metrics(record_of(run), bins=False).unchecked is None
    with pytest.raises(UnusableError, match=r"SNR bins from 12.n is 9 in the record"):
        check_metrics(record_of(run))


def test_a_record_without_scores_is_not_checked_and_that_is_said(tmp_path: Path) -> None:
    run = forged(tmp_path, next(iter(FORGED.values())))
    (run / PREDICTIONS).unlink()
    board = build([tmp_path], Options())
    (note,) = [note for note in board.tables[0].notes if note.startswith("Not checked")]
    assert "1 runs" in note and f"{run / RECORD}: there is no predictions.npz" in note
    (run / PREDICTIONS).write_bytes(b"PK\x03\x04 cut off")
    (note,) = [note for note in build([tmp_path], Options()).tables[0].notes if note.startswith("Not checked")]
    assert "predictions.npz cannot be read" in note
    (run / PREDICTIONS).unlink()
    (run / PREDICTIONS).symlink_to(tmp_path / "elsewhere.npz")
    assert "cannot be opened" in (check_metrics(record_of(run)).unchecked or "")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"score": np.full(len(LABEL), np.nan)}, "scores are NaN"),
        ({"label": np.ones(len(LABEL))}, "both classes"),
        ({"snr": -SNR}, "below the lowest edge|SNR"),
    ],
)
def test_scores_that_give_no_metrics_are_no_proof(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    run = write_run(tmp_path)
    replace_arrays(run, **arrays)
    with pytest.raises(UnusableError, match=said):
        check_metrics(record_of(run))


def test_labels_that_were_changed_with_the_scores_are_refused(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path, seed=seed)
    forger = write_run(tmp_path, folder="forger", objective="simclr")
    with np.load(forger / PREDICTIONS) as arrays:
        np.savez(forger / PREDICTIONS, **{name: arrays[name][::-1] for name in arrays.files})
    (skipped,) = build([tmp_path], Options()).skipped
    assert skipped.path == str(forger / RECORD)
    assert "labels of its test windows are not those of 2 other records" in skipped.reason


def test_old_records_without_newer_figures_are_checked_for_the_rest(tmp_path: Path) -> None:
    def forget(document: dict[str, Any]) -> None:
        del document["metrics"]["snr_at_half"]

    assert check_metrics(record_of(write_run(tmp_path, edit=forget))).unchecked is None


def test_all_published_records_agree_to_the_last_figure() -> None:
    published = sorted((Path(__file__).parents[3] / "benchmarks" / "results").glob("*/runs/*/record.json"))
    assert len(published) > 300
    for path in published[::7]:
        assert check_metrics(load_record(path).record).unchecked is None, path


def test_a_record_whose_rates_are_other_words_shows_no_efficiency_to_a_leaderboard(tmp_path: Path) -> None:
    def rename(document: dict[str, Any]) -> None:
        document["metrics"]["tpr_at_fpr"] = {"0.01 ": {"value": 0.9, "low": 0.8, "high": 1.0}}

    run = write_run(tmp_path, edit=rename)
    with pytest.raises(UnusableError, match=r"TPR at FPR 0\.01"):
        check_metrics(record_of(run), bins=False)
