from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from gwbench.errors import UserError
from gwbench.evaluation.metrics import SnrAtHalf
from gwbench.experiment.record import PREDICTIONS, RECORD
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.estimates import bounded_mean
from gwbench.reporting.leaderboard.rows import Options
from gwbench.reporting.leaderboard.schema import Estimate, Leaderboard, LeaderboardTable, Row
from tests.reporting.synthetic_runs import LABEL, digest, scores_of, write_run


def table_of(root: Path, **options: Any) -> LeaderboardTable:
    (table,) = build([root], Options(**options)).tables
    return table


def row_of(table: LeaderboardTable, **plugins: str) -> Row:
    (row,) = [row for row in table.rows if plugins.items() <= row.plugins.items()]
    return row


def areas(quality: float, title: str, seeds: int = 3) -> list[float]:
    return [float(roc_auc_score(LABEL, scores_of(quality, seed, title))) for seed in range(seeds)]


BARLOW, SIMCLR = "cnn1d + cross-detector + barlow", "cnn1d + cross-detector + simclr"


def write_seeds(root: Path, seeds: int = 3, **settings: Any) -> None:
    for seed in range(seeds):
        write_run(root, seed=seed, **settings)


def test_a_row_is_a_method_over_its_seeds(tmp_path: Path) -> None:
    write_seeds(tmp_path, objective="barlow", quality=1.0)
    write_seeds(tmp_path, objective="simclr", quality=2.0)
    table = table_of(tmp_path)
    assert [row.title for row in table.rows] == [SIMCLR, BARLOW]
    assert [row.rank for row in table.rows] == [1, 2]
    for row, quality in zip(table.rows, (2.0, 1.0), strict=True):
        expected = areas(quality, row.title)
        found = row.cell.estimate
        assert found is not None and found.low is not None and found.high is not None
        assert found.mean == pytest.approx(np.mean(expected))
        assert found.sd == pytest.approx(np.std(expected, ddof=1))
        assert found.low < found.mean < found.high
        assert (found.seeds, row.cell.expected, row.cell.failed, row.cell.absent) == (3, 3, 0, 0)
        rates = []
        for seed in range(3):
            fpr, tpr, _ = roc_curve(LABEL, scores_of(quality, seed, row.title), drop_intermediate=False)
            rates.append(tpr[fpr <= 0.01].max())
        figures = row.figures
        tpr = figures["tpr-at-0.01"]
        assert isinstance(tpr, Estimate)
        assert tpr.mean == pytest.approx(np.mean(rates))
        assert figures["tpr-at-0.001"] is None  # 150 noise windows do not resolve it
        assert figures["parameters"] == 1000
        assert (figures["pretrain-seconds"], figures["samples-per-second"]) == (11.0, 100.0)
        assert figures["peak-memory"] == 2**30 + 2
        assert [run.seed for run in row.runs] == [0, 1, 2]
        np.testing.assert_allclose([run.value or 0.0 for run in row.runs], expected)
    versus = table.rows[1].versus
    assert table.best == SIMCLR
    assert table.rows[0].versus is None
    assert versus is not None and versus.p < 0.01
    assert versus.difference == pytest.approx(np.mean(areas(1.0, BARLOW)) - np.mean(areas(2.0, SIMCLR)))
    assert versus.low < versus.difference < versus.high < 0
    assert [row.groups for row in table.rows] == [(0,), (1,)]


def test_methods_that_cannot_be_told_apart_share_a_group(tmp_path: Path) -> None:
    for objective, quality in (("barlow", 1.5), ("simclr", 1.5), ("vicreg", 3.5)):
        write_seeds(tmp_path, objective=objective, quality=quality)
    rows = table_of(tmp_path).rows
    assert rows[0].plugins["objective"] == "vicreg"
    assert rows[1].groups == rows[2].groups
    assert not set(rows[0].groups) & set(rows[1].groups)


def test_equal_means_share_a_rank(tmp_path: Path) -> None:
    same = scores_of(1.0, 0)
    for objective, score in (("barlow", same), ("simclr", same), ("vicreg", scores_of(0.5, 0)), ("byol", None)):
        write_run(tmp_path, objective=objective, score=score, quality=3.0)
    assert sorted((row.rank or 0, row.plugins["objective"]) for row in table_of(tmp_path).rows) == [
        (1, "byol"),
        (2, "barlow"),
        (2, "simclr"),
        (4, "vicreg"),
    ]


def test_missing_seeds_and_failures_are_counted_and_not_averaged(tmp_path: Path) -> None:
    write_seeds(tmp_path, objective="barlow", quality=1.0)
    write_run(tmp_path, objective="simclr", quality=2.0, seed=0)
    write_run(tmp_path, objective="simclr", seed=1, failed="RuntimeError: the loss is NaN")
    write_run(tmp_path, objective="vicreg", seed=2, failed="OSError: disk full")
    table = table_of(tmp_path)
    partly, nothing = row_of(table, objective="simclr"), row_of(table, objective="vicreg")
    assert partly.cell.estimate is not None
    assert partly.cell.estimate.mean == pytest.approx(areas(2.0, SIMCLR, 1)[0])
    assert partly.cell.estimate.sd is None
    assert (partly.cell.estimate.seeds, partly.cell.expected, partly.cell.failed, partly.cell.absent) == (1, 3, 1, 1)
    assert nothing.cell.estimate is None and nothing.rank is None
    assert (nothing.cell.expected, nothing.cell.failed, nothing.cell.absent) == (3, 1, 2)
    assert [run.failed for run in nothing.runs] == ["OSError: disk full"]
    assert table.seeds == (0, 1, 2)
    assert table.rows[-1] == nothing


def test_every_share_of_labels_has_its_cell(tmp_path: Path) -> None:
    for fraction, quality in ((0.01, 0.5), (0.25, 1.0), (1.0, 2.0)):
        write_seeds(tmp_path, 2, objective="barlow", fraction=fraction, quality=quality)
    write_run(tmp_path, objective="simclr", fraction=0.01)
    write_run(tmp_path, objective="vicreg")
    table = table_of(tmp_path)
    assert table.label_fraction == 0.25  # as many as elsewhere, and the default of a run
    cells = row_of(table, objective="barlow").cells
    assert [cell.label_fraction for cell in cells] == [0.01, 0.25, 1.0]
    for cell, quality in zip(cells, (0.5, 1.0, 2.0), strict=True):
        assert cell.estimate is not None
        assert cell.estimate.mean == pytest.approx(np.mean(areas(quality, BARLOW, 2)))
    little, none, _ = row_of(table, objective="simclr").cells
    assert little.estimate is not None and (little.estimate.seeds, little.expected, little.absent) == (1, 2, 1)
    assert none.estimate is None and (none.expected, none.absent) == (2, 2)
    assert table_of(tmp_path, label_fraction=1.0).label_fraction == 1.0
    with pytest.raises(UserError, match=r"label fraction 0\.5\. There are: 0\.01, 0\.25, 1"):
        build([tmp_path], Options(label_fraction=0.5))


def test_other_data_protocols_and_hashes_have_tables_of_their_own(tmp_path: Path) -> None:
    write_run(tmp_path, data="a")
    write_run(tmp_path, data="a", seed=1)
    write_run(tmp_path, data="b", data_seed=1)
    write_run(tmp_path, data="a", protocol=2, folder="later")
    tables = build([tmp_path], Options()).tables
    found = {(table.content_hash, table.protocol, len(table.seeds)) for table in tables}
    assert found == {(digest("a"), 1, 2), (digest("b"), 1, 1), (digest("a"), 2, 1)}
    assert {table.differing["data_seed"] for table in tables} == {"0", "1"}


def test_a_failed_run_stands_with_those_that_asked_for_the_same_data(tmp_path: Path) -> None:
    write_run(tmp_path, data="a")
    write_run(tmp_path, data="b", data_seed=1)
    write_run(tmp_path, seed=5, failed="ValueError: no", data_seed=1)
    write_run(tmp_path, seed=6, failed="ValueError: no", data_seed=7)
    tables = {table.content_hash: table for table in build([tmp_path], Options()).tables}
    assert tables[digest("a")].seeds == (0,)
    assert tables[digest("b")].rows[0].cell.failed == 1
    assert tables[None].rows[0].cell.estimate is None
    assert any("Every run failed" in note for note in tables[None].notes)


def test_of_two_records_of_a_cell_the_newest_that_went_well_counts(tmp_path: Path) -> None:
    write_run(tmp_path, quality=1.0, created="2026-01-01T00:00:00+00:00", folder="old")
    write_run(tmp_path, quality=2.0, created="2026-02-01T00:00:00+00:00", folder="new")
    write_run(tmp_path, failed="ValueError: no", created="2026-03-01T00:00:00+00:00", folder="failed")
    table = table_of(tmp_path)
    (row,) = table.rows
    assert row.cell.estimate is not None
    assert row.cell.estimate.mean == pytest.approx(areas(2.0, BARLOW, 1)[0])
    assert (row.cell.estimate.seeds, row.cell.failed) == (1, 0)
    assert any(note.startswith("2 older or failed records") for note in table.notes)


def test_methods_differ_by_parameters_code_and_version(tmp_path: Path) -> None:
    write_run(tmp_path, settings={"encoder.width": 8})
    write_run(tmp_path, settings={"encoder.width": 16})
    write_run(tmp_path, settings={"encoder.width": 8}, code="edited")
    write_run(tmp_path, encoder="resnet1d", settings={"training.lr": 1e-3})
    shown = sorted((row.plugins["encoder"], tuple(sorted(row.differing))) for row in table_of(tmp_path).rows)
    codes = ("objective code", "pairing code", "training.lr")
    assert shown == [("cnn1d", ("encoder code", "encoder.width", *codes))] * 3 + [("resnet1d", codes)]
    values = {row.differing.get("encoder.width") for row in table_of(tmp_path).rows}
    assert values == {"8", "16", None}


def test_groups_that_a_pairing_implies_are_no_difference(tmp_path: Path) -> None:
    for pairing, groups in (("network", "network"), ("cross-detector", "shared"), ("any-pair", "shared")):
        write_run(tmp_path, pairing=pairing, encoder_groups=groups)
    assert {row.differing.get("encoder_groups") for row in table_of(tmp_path).rows} == {None}
    write_run(tmp_path, pairing="any-pair", encoder_groups="each")
    found = {(row.plugins["pairing"], row.differing.get("encoder_groups")) for row in table_of(tmp_path).rows}
    assert found == {("network", None), ("cross-detector", None), ("any-pair", "shared"), ("any-pair", "each")}


def test_share_of_the_way_from_the_floor_of_the_encoder_to_the_ceiling(tmp_path: Path) -> None:
    quality = {"floor": 0.5, "method": 1.5, "ceiling": 3.0, "bound": 4.0, "other floor": 1.0}
    score = {name: scores_of(value, 0) for name, value in quality.items()}
    write_run(tmp_path, baseline="random-init", score=score["floor"])
    write_run(tmp_path, baseline="random-init", encoder="resnet1d", score=score["other floor"])
    write_run(tmp_path, score=score["method"])
    write_run(tmp_path, baseline="matched-filter", score=score["ceiling"])
    write_run(tmp_path, baseline="oracle", score=score["bound"])
    write_run(tmp_path, baseline="band-power", score=score["method"])
    write_run(tmp_path, encoder="inceptiontime", score=score["method"])
    table = table_of(tmp_path)
    area = {name: float(roc_auc_score(LABEL, value)) for name, value in score.items()}
    expected = (area["method"] - area["floor"]) / (area["ceiling"] - area["floor"])
    (method,) = [row for row in table.rows if row.title == BARLOW]
    assert method.share == pytest.approx(expected)
    assert row_of(table, baseline="random-init", encoder="cnn1d").share == 0.0
    ceiling, bound = row_of(table, baseline="matched-filter"), row_of(table, baseline="oracle")
    assert (ceiling.tags, bound.tags) == (("ceiling", "simulated-signals"), ("ceiling", "outer-bound"))
    assert ceiling.rank is None and bound.rank is None  # they know what no method may
    assert method.rank == 1
    assert table.best is not None and table.best not in (ceiling.title, bound.title)
    assert row_of(table, baseline="band-power").share is None  # no encoder
    assert row_of(table, encoder="inceptiontime").share is None  # no floor


def test_methods_that_saw_simulated_signals_are_marked(tmp_path: Path) -> None:
    write_run(tmp_path, pairing="signal-injection")
    write_run(tmp_path)
    tags = {row.plugins["pairing"]: row.tags for row in table_of(tmp_path).rows}
    assert tags == {"signal-injection": ("simulated-signals",), "cross-detector": ()}


def test_plugins_that_are_not_installed_are_named(tmp_path: Path) -> None:
    def rename(document: dict[str, Any]) -> None:
        document["spec"]["pairing"]["name"] = "from-elsewhere"

    write_run(tmp_path, edit=rename)
    (row,) = table_of(tmp_path).rows
    assert row.title == "cnn1d + from-elsewhere + barlow"
    assert any("Not installed here: pairing from-elsewhere." in note for note in table_of(tmp_path).notes)


def test_what_a_record_says_of_its_plugins_needs_no_plugin(tmp_path: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["spec"]["pairing"]["name"] = "from-elsewhere"
        for used in document["plugins"]:
            used["tags"] = []
            if used["kind"] == "pairing":
                used |= {"name": "from-elsewhere", "tags": ["simulated-signals", "other"]}

    write_run(tmp_path, edit=edit)
    (row,) = table_of(tmp_path).rows
    assert row.tags == ("simulated-signals",)
    assert not any("Not installed here" in note for note in table_of(tmp_path).notes)


def test_without_scores_there_is_no_test_and_the_interval_is_wider(tmp_path: Path) -> None:
    write_seeds(tmp_path / "with", objective="barlow")
    write_seeds(tmp_path / "with", objective="simclr")
    write_seeds(tmp_path / "without", objective="barlow", predictions=False)
    write_seeds(tmp_path / "without", objective="simclr")
    known, bound = (row_of(table_of(tmp_path / name), objective="barlow") for name in ("with", "without"))
    assert known.cell.estimate is not None and bound.cell.estimate is not None
    assert known.cell.estimate.mean == bound.cell.estimate.mean
    widths = [(found.high or 0) - (found.low or 0) for found in (known.cell.estimate, bound.cell.estimate)]
    assert 1.0 < widths[1] / widths[0] < 2.0
    table = table_of(tmp_path / "without")
    assert table.best is None and all(row.versus is None and row.groups == () for row in table.rows)
    assert any("test scores of 1 runs cannot be read" in note for note in table.notes)


def test_old_records_without_the_half_snr_get_it_from_their_scores(tmp_path: Path) -> None:
    def forget(document: dict[str, Any]) -> None:
        del document["metrics"]["snr_at_half"]

    write_run(tmp_path / "new", quality=3.0)
    write_run(tmp_path / "old", quality=3.0, edit=forget)
    new, old = (table_of(tmp_path / name).rows[0].figures["half-snr"] for name in ("new", "old"))
    assert new is not None
    assert new == old


def test_half_snr_is_a_bound_where_a_seed_lies_outside() -> None:
    def at(value: float) -> SnrAtHalf:
        return SnrAtHalf(value=value, low=6.0, high=20.0)

    found = bounded_mean([at(8.0), at(10.0)])
    assert found is not None and (found.mean, found.bound) == (9.0, None)
    above, below = bounded_mean([at(18.0), at(20.0)]), bounded_mean([at(6.0)])
    assert above is not None and (above.mean, above.bound) == (19.0, "above")
    assert below is not None and below.bound == "below"
    assert bounded_mean([at(6.0), at(20.0)]) is None
    assert bounded_mean([at(8.0), None]) is None
    assert bounded_mean([]) is None


def test_other_metrics_rank_without_a_paired_test(tmp_path: Path) -> None:
    write_seeds(tmp_path, objective="barlow", quality=1.0)
    write_seeds(tmp_path, objective="simclr", quality=2.0)
    table = table_of(tmp_path, metric="tpr-at-0.01")
    first = table.rows[0]
    assert first.plugins["objective"] == "simclr"
    assert first.cell.estimate is not None and first.figures["tpr-at-0.01"] is not None
    assert first.cell.estimate == first.figures["tpr-at-0.01"]
    assert first.cell.estimate.low is not None
    assert all(row.versus is None and row.groups == () for row in table.rows)
    precision = table_of(tmp_path, metric="average-precision").rows[0].cell.estimate
    assert precision is not None and precision.low is None
    assert table_of(tmp_path, metric="knn-auc").rows[0].cell.estimate is None
    with pytest.raises(UserError, match=r"no metric 'aucc'\. Did you mean 'auc'"):
        build([tmp_path], Options(metric="aucc"))


def test_rows_are_sorted_and_put_into_sections(tmp_path: Path) -> None:
    for objective, quality in (("barlow", 1.0), ("simclr", 2.0), ("vicreg", 1.5)):
        write_run(tmp_path, objective=objective, quality=quality)
    write_run(tmp_path, encoder="resnet1d", objective="barlow", quality=1.2)
    by_name = table_of(tmp_path, sort="method").rows
    assert [row.title for row in by_name] == sorted(row.title for row in by_name)
    sections = [(row.section, row.rank) for row in table_of(tmp_path, group_by="encoder").rows]
    assert [section for section, _ in sections] == ["cnn1d"] * 3 + ["resnet1d"]
    assert [rank for _, rank in sections][:3] == sorted(rank or 0 for _, rank in sections[:3])
    with pytest.raises(UserError, match="no sort 'size'"):
        build([tmp_path], Options(sort="size"))


def test_what_is_written_does_not_depend_on_the_order_of_folders(tmp_path: Path) -> None:
    write_seeds(tmp_path / "a", objective="barlow")
    write_seeds(tmp_path / "b", objective="simclr")
    one = build([tmp_path / "a", tmp_path / "b"], Options())
    other = build([tmp_path / "b", tmp_path / "a", tmp_path], Options())
    assert one == other
    assert one.records == 6
    assert Leaderboard.model_validate(json.loads(one.model_dump_json())) == one


def test_a_record_that_its_scores_do_not_give_is_refused(tmp_path: Path) -> None:
    good = [write_run(tmp_path, objective=name, quality=1.0) for name in ("barlow", "simclr")]
    other = write_run(tmp_path, objective="vicreg", quality=3.0)  # the best, and so read first
    (other / PREDICTIONS).write_bytes((good[0] / PREDICTIONS).read_bytes())
    board = build([tmp_path], Options())
    assert {row.plugins["objective"] for row in board.tables[0].rows} == {"barlow", "simclr"}
    assert row_of(board.tables[0], objective="barlow").groups and row_of(board.tables[0], objective="simclr").groups
    (skipped,) = board.skipped
    assert skipped.path == str(other / RECORD)
    assert "ROC-AUC is 0.98" in skipped.reason and "by its test scores" in skipped.reason


def test_what_all_records_say_of_the_data_is_said_once(tmp_path: Path) -> None:
    def also(document: dict[str, Any]) -> None:
        document["data"]["notes"].append("This method saw more.")

    write_run(tmp_path)
    write_run(tmp_path, seed=1, edit=also)
    assert table_of(tmp_path).data_notes == ("Simulated.",)
