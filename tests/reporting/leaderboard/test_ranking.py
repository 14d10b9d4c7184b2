from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

import gwbench
from gwbench.errors import UserError
from gwbench.reporting.formats import FORMATS
from gwbench.reporting.leaderboard.ranking import Ranking
from tests.reporting.synthetic_runs import write_run


@pytest.fixture(scope="module")
def ranking(tmp_path_factory: pytest.TempPathFactory) -> Ranking:
    root = tmp_path_factory.mktemp("runs")
    for objective, quality in (("barlow", 1.0), ("vicreg", 2.5)):
        for seed in range(2):
            write_run(root, objective=objective, quality=quality, seed=seed)
    return gwbench.leaderboard(root)


def test_a_data_frame_has_what_the_csv_has(ranking: Ranking) -> None:
    frame = ranking.to_pandas()
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](ranking.board))))
    assert list(frame.columns) == list(rows[0])
    assert list(frame["method"]) == [row["method"] for row in rows]
    assert list(frame["mean"]) == pytest.approx([float(row["mean"]) for row in rows], abs=1e-9)
    assert frame["objective"][0] == "vicreg"


def test_it_is_short_in_words_and_whole_in_a_notebook(ranking: Ranking) -> None:
    assert repr(ranking).startswith("<Ranking of 2 methods in 4 runs; best on bbh (data ")
    assert "vicreg" in repr(ranking)
    page = ranking._repr_html_()
    assert page.count("<tr>") == 3
    assert "&lt;" not in page
    assert "Methods that share a letter" in page


@pytest.mark.parametrize(("name", "form"), [("a.csv", "csv"), ("a.MD", "md"), ("a.json", "json"), ("a.tex", "latex")])
def test_a_file_has_the_format_of_its_suffix(ranking: Ranking, tmp_path: Path, name: str, form: str) -> None:
    assert ranking.save(tmp_path / name).read_text() == FORMATS[form](ranking.board)
    assert ranking.save(tmp_path / "file", form).read_text() == FORMATS[form](ranking.board)


@pytest.mark.parametrize("name", ["a.xlsx", "a"])
def test_other_suffixes_are_refused(ranking: Ranking, tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"is none of \.txt, \.md, \.csv, \.json, \.tex, \.html"):
        ranking.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_record_reads_well(ranking: Ranking) -> None:
    path = ranking.board.tables[0].rows[0].runs[0].path
    record = gwbench.read_record(Path(path).parent)
    assert repr(record).startswith("<RunRecord cnn1d + cross-detector + vicreg on bbh, seed 0: ROC-AUC 0.")
    page = record._repr_html_()
    assert f"{record.auc:.4f}" in page
    assert f"{record.val_auc:.4f}" in page if record.val_auc is not None else "validation" not in page


def test_public_names_are_listed() -> None:
    assert {"leaderboard", "run", "load_encoder", "read_record", "register"} <= set(dir(gwbench))
