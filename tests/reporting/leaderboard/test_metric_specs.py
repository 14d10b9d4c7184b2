"""Every metric comes from its one spec, in every format."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from gwbench.experiment.record import RECORD, load_record
from gwbench.reporting.formats import FORMATS
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.metrics import COLUMNS, METRICS, RANKING, MetricSpec, number_of
from gwbench.reporting.leaderboard.rows import Options
from gwbench.reporting.leaderboard.schema import Leaderboard
from tests.reporting.synthetic_runs import write_run


def heavier(document: dict[str, Any]) -> None:
    document["parameters"] = 5000
    document["peak_memory"] = 2**32
    document["phases"]["pretrain"] = {"seconds": 99.0, "samples_per_second": 7.0}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    write_run(root, objective="barlow", quality=2.0)
    write_run(root, objective="simclr", quality=3.0, edit=heavier)
    return root


@pytest.fixture(scope="module")
def board(runs: Path) -> Leaderboard:
    return build([runs], Options())


@pytest.mark.parametrize("metric", COLUMNS, ids=lambda metric: metric.name)
def test_a_column_is_in_every_format(board: Leaderboard, metric: MetricSpec) -> None:
    rows = board.tables[0].rows
    known = any(row.figures[metric.name] is not None for row in rows)  # 150 noise windows do not resolve every FPR
    for form in ("md", "latex", "html"):
        assert (metric.title in FORMATS[form](board)) == known
    written = json.loads(FORMATS["json"](board))["tables"][0]["rows"]
    fields = list(csv.DictReader(io.StringIO(FORMATS["csv"](board))))
    for row, value, line in zip(rows, written, fields, strict=True):
        for key in metric.json_path:
            value = value[key]
        number = number_of(row.figures[metric.name])
        in_json = value["mean"] if isinstance(value, dict) else value
        in_csv = next(text for name, text in line.items() if name in (metric.field, f"{metric.field}_mean"))
        assert in_json == (None if number is None else pytest.approx(number, rel=1e-9))
        assert in_csv == ("" if number is None else str(in_json))


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("tpr-at-0.01", "simclr"),
        ("half-snr", "simclr"),
        ("parameters", "barlow"),
        ("pretrain-seconds", "barlow"),
        ("samples-per-second", "barlow"),
        ("peak-memory", "barlow"),
    ],
)
def test_rows_are_sorted_with_the_best_first(runs: Path, name: str, first: str) -> None:
    assert build([runs], Options(sort=name)).tables[0].rows[0].plugins["objective"] == first


def test_names_and_fields_are_unique_and_kebab_case() -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*(-0\.0*1)?", name) for name in METRICS)
    for each in ([metric.title for metric in METRICS.values()], [metric.field for metric in COLUMNS]):
        assert len(set(each)) == len(each)


def test_methods_are_ranked_by_what_is_best_if_large() -> None:
    assert list(RANKING) == ["auc", "knn-auc", "average-precision", "tpr-at-0.01", "tpr-at-0.001"]
    assert [name for name, metric in RANKING.items() if metric.paired] == ["auc"]
    with pytest.raises(ValueError, match="cannot be ranked by loss"):
        MetricSpec("loss", "loss", lambda record: None, ranks=True)


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"val_auc": 0.75}, 0.75),
        ({"probe_val_auc": 0.5}, 0.5),
        ({"val_auc": 0.75, "probe_val_auc": 0.5}, 0.75),
        ({"val_auc": "0.75"}, None),
        ({"val_auc": [1]}, None),
        ({"val_auc": 17.0}, None),
        ({}, None),
    ],
)
def test_details_may_be_anything(tmp_path: Path, details: dict[str, Any], expected: float | None) -> None:
    run = write_run(tmp_path, edit=lambda document: document.update(details=details))
    assert METRICS["validation-auc"].read(load_record(run / RECORD).record) == expected
