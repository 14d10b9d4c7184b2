from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from gwbench.experiment.record import PREDICTIONS
from gwbench.reporting.formats import FORMATS
from gwbench.reporting.html.leaderboard_page import NAMED, render_leaderboard
from gwbench.reporting.html.logit import ticks_between
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.columns import columns_of, legend
from gwbench.reporting.leaderboard.rows import Options
from gwbench.reporting.leaderboard.schema import Leaderboard
from tests.cli.test_run import gwbench
from tests.reporting.html.leaderboard_runs import EVIL, write_evil_runs, write_runs
from tests.reporting.html.test_page import Reader
from tests.reporting.synthetic_runs import write_run


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Leaderboard:
    return build([write_runs(tmp_path_factory.mktemp("runs"))], Options())


@pytest.fixture(scope="module")
def text(board: Leaderboard) -> str:
    return render_leaderboard(board)


def test_the_page_holds_every_cell_note_and_command_of_the_board(board: Leaderboard, text: str) -> None:
    found = Reader(text)
    assert found.open == []
    (table,) = board.tables
    assert len(table.rows) == 6
    for column in columns_of(table, board):
        assert column.title in found.text
        for row in table.rows:
            assert " ".join(column.text(row).split()) in found.text
    for line in legend(table, board):
        assert " ".join(line.split()) in found.text
    commands = [unescape(each) for each in re.findall(r"<code>(.*?)</code>", text)]
    assert sorted(commands) == sorted(run.command for row in table.rows for run in row.runs)
    assert len(commands) == 15
    for said in (table.content_hash, "1 of 16 records were passed over", "processor P, cores 2", "missing (1 failed)"):
        assert said and said in found.text


def test_the_page_has_its_figures(text: str) -> None:
    titles = re.findall(r"<figcaption><b [^>]*>(.*?)</b>", text)
    assert titles == [
        "ROC-AUC of every method",
        "Critical differences",
        "ROC curves",
        "Efficiency against SNR at FPR 0.01",
        "Label efficiency",
    ]
    assert "Fawcett" in text and "Dem\u0161ar" in text


def test_groups_in_the_figure_are_those_of_the_table(board: Leaderboard, text: str) -> None:
    """Dots on bars: one for each member of each group of two or more."""
    (figure,) = [f for f in re.findall(r"<figure>.*?</figure>", text) if "Critical differences" in f]
    groups: dict[int, int] = {}
    for row in board.tables[0].rows:
        for group in row.groups:
            groups[group] = groups.get(group, 0) + 1
    dots = sum(count for count in groups.values() if count > 1)
    assert dots >= 2
    desktop, phone = re.findall(r"<svg.*?</svg>", figure)
    for drawing in (desktop, phone):
        assert len(re.findall(r'<use [^>]*class="f-s0 l-s0"', drawing)) == dots


def test_the_same_records_give_the_same_bytes(board: Leaderboard, text: str) -> None:
    assert render_leaderboard(board) == text == FORMATS["html"](board)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_names_from_records_are_text(tmp_path: Path) -> None:
    text = render_leaderboard(build([write_evil_runs(tmp_path)], Options()))
    found = Reader(text)
    assert found.open == []
    assert "img" not in {tag for tag, _ in found.tags}
    assert len(found.inline["script"]) == 1
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert found.text.count(EVIL) > 10
    assert "No curves of" in found.text and "predictions.npz cannot be read" in found.text


def test_runs_without_scores_keep_their_row(tmp_path: Path) -> None:
    root = write_runs(tmp_path)
    for path in root.glob(f"*/{PREDICTIONS}"):
        path.unlink()
    text = render_leaderboard(build([root], Options()))
    titles = re.findall(r"<figcaption><b [^>]*>(.*?)</b>", text)
    assert titles == ["ROC-AUC of every method", "Label efficiency"]
    assert "No curves of cnn1d + cross-detector + vicreg" in Reader(text).text


def test_every_set_of_data_has_its_table(tmp_path: Path) -> None:
    write_run(tmp_path)
    write_run(tmp_path, data="other", data_seed=1)
    for number in range(NAMED + 5):
        (tmp_path / f"bad{number}").mkdir()
        (tmp_path / f"bad{number}" / "record.json").write_text("{")
    found = Reader(render_leaderboard(build([tmp_path], Options(metric="tpr-at-0.01"))))
    assert [a["href"] for tag, a in found.tags if tag == "a"] == ["#t1", "#t2"]
    assert {a.get("id") for tag, a in found.tags if tag == "section"} >= {"t1", "t2"}
    assert "bbh, data seed 1" in found.text and "data_seed=1" in found.text
    assert f"{NAMED + 5} of {NAMED + 7} records were passed over" in found.text and "and 5 more" in found.text


def test_one_that_only_failed_has_a_page_too(tmp_path: Path) -> None:
    write_run(tmp_path, failed="no")
    assert "missing (1 failed)" in render_leaderboard(build([tmp_path], Options()))


def test_marks_of_an_axis_are_spread_and_inside() -> None:
    assert ticks_between(0.5, 0.99, 4) == [0.5, 0.9, 0.99]
    close = ticks_between(0.9, 0.96, 8)
    assert close[0] == 0.9 and len(close) >= 5 and all(0.9 <= tick <= 0.96 for tick in close)


def test_the_verb_writes_the_page(
    board: Leaderboard, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(board.tables[0].rows[0].runs[0].path).parent.parent
    assert gwbench(monkeypatch, ["leaderboard", str(root), "--output", str(tmp_path / "b.html")]) == 1
    assert (tmp_path / "b.html").read_text(encoding="utf-8") == text
    assert "1 of 16 records were passed over" in capsys.readouterr().err
