"""One ranking over data sets: mean ranks of what was tried on all, and nothing made up for what was not."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import f, rankdata

from gwbench.cli.leaderboard import leaderboard
from gwbench.errors import UserError
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.overall import friedman, overall
from gwbench.reporting.leaderboard.overall_formats import OVERALL, overall_terminal
from gwbench.reporting.leaderboard.overall_schema import OverallRanking
from gwbench.reporting.leaderboard.ranking import rank
from gwbench.reporting.leaderboard.rows import Options
from tests.reporting.synthetic_runs import write_run

QUALITY = {"barlow": (0.5, 2.5), "simclr": (1.0, 3.0), "vicreg": (1.5, 2.0)}
"""Of every method, on each of two data sets."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("overall")
    for number in range(2):
        for objective, quality in QUALITY.items():
            write_run(root, objective=objective, quality=quality[number], data=f"data{number}", data_seed=number)
    write_run(root, objective="byol", quality=4.0, data="data0", data_seed=0)
    return root


@pytest.fixture(scope="module")
def found(runs: Path) -> OverallRanking:
    return overall(build([runs], Options()))


def test_mean_ranks_are_those_of_the_methods_on_all_data_sets(found: OverallRanking) -> None:
    rows = {row.title.rpartition(" ")[2]: row for row in found.rows}
    figures = np.array([[cell.mean for cell in rows[name].cells if cell] for name in QUALITY])
    expected = rankdata(-figures, axis=0).mean(axis=1)
    assert [rows[name].mean_rank for name in QUALITY] == pytest.approx(list(expected))
    assert [rows[name].mean_rank for name in QUALITY] == pytest.approx([2.5, 1.5, 2.0])
    assert [row.rank for row in found.rows] == [1, 2, 3, None]
    for row in found.rows[:3]:
        assert row.low is not None and row.high is not None and row.mean_rank is not None
        assert 1.0 <= row.low <= row.mean_rank <= row.high <= 3.0


def test_what_was_not_tried_is_missing_and_has_no_rank(found: OverallRanking) -> None:
    last = found.rows[-1]
    assert last.title.endswith("byol") and (last.rank, last.mean_rank, last.low, last.covered) == (None,) * 3 + (1,)
    assert sorted(cell is None for cell in last.cells) == [False, True]
    assert last.beats == 1.0  # of the three others on the same data, all
    beaten = next(row for row in found.rows if row.title.endswith("simclr"))
    assert beaten.beats == pytest.approx((1 / 3 + 1.0) / 2)
    assert any(note.startswith("1 method misses a data set") for note in found.notes)
    assert any(note.startswith("No test over data sets") for note in found.notes)


def test_intervals_of_ranks_hold_as_often_as_two_methods_swap(tmp_path: Path) -> None:
    """Two methods on one data set: the mean rank is 1 or 2, by the chance that the worse one is better."""
    for objective, quality in (("barlow", 1.0), ("simclr", 1.05)):
        write_run(tmp_path, objective=objective, quality=quality)
    close = overall(build([tmp_path], Options()))
    assert [(row.low, row.high) for row in close.rows] == [(1.0, 2.0)] * 2
    write_run(tmp_path / "far", objective="barlow", quality=0.3)
    write_run(tmp_path / "far", objective="simclr", quality=3.0)
    far = overall(build([tmp_path / "far"], Options()))
    assert [(row.low, row.high) for row in far.rows] == [(1.0, 1.0), (2.0, 2.0)]
    assert overall(build([tmp_path / "far"], Options())) == far


def test_a_metric_without_intervals_has_none_of_ranks_either(runs: Path) -> None:
    found = overall(build([runs], Options(metric="average-precision")))
    assert {row.low for row in found.rows} == {None} and found.rows[0].mean_rank is not None


def test_friedmans_test_is_iman_and_davenports_with_nemenyis_difference() -> None:
    """Their formulas (Demsar, Journal of Machine Learning Research 7 (2006), equations 2 and 3), without ties."""
    figures = np.random.default_rng(3).normal(size=(4, 14)) + np.array([0.0, 0.2, 0.4, 1.5])[:, None]
    p, critical = friedman(figures)
    mean_ranks = rankdata(-figures, axis=0).mean(axis=1)
    chi2 = 12 * 14 / (4 * 5) * (np.sum(mean_ranks**2) - 4 * 5**2 / 4)
    statistic = 13 * chi2 / (14 * 3 - chi2)
    assert p == pytest.approx(f.sf(statistic, 3, 3 * 13), rel=1e-9)
    assert critical == pytest.approx(2.569 * (4 * 5 / (6 * 14)) ** 0.5, abs=1e-3)  # q of table 5(a) for four methods


def test_small_tries_and_failures_alone_have_no_ranking(tmp_path: Path) -> None:
    write_run(tmp_path, failed="no")
    with pytest.raises(UserError, match="No finished run on all windows"):
        rank(tmp_path).overall()


def test_every_format_shows_every_method(found: OverallRanking) -> None:
    for form, text in {name: write(found) for name, write in OVERALL.items()}.items():
        assert all(objective in text for objective in (*QUALITY, "byol")), form
    document = json.loads(OVERALL["json"](found))
    assert [row["rank"] for row in document["rows"]] == [1, 2, 3, None]
    lines = list(csv.DictReader(io.StringIO(OVERALL["csv"](found))))
    assert lines[0]["rank"] == "1" and lines[-1]["rank"] == "" and lines[-1]["data_sets"] == "1"
    assert "missing" in OVERALL["md"](found) and "missing" in overall_terminal(found, 120)
    assert "simclr" in repr(found) and "missing" in found._repr_html_()
    assert list(found.to_pandas()["rank"].dropna()) == [1, 2, 3]


def test_the_command_line_writes_it_or_a_folder_of_pages(runs: Path, tmp_path: Path) -> None:
    def called(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(leaderboard, [str(runs), *words])
        return result.exit_code, str(result.exception or "") + result.output

    assert "beats" in called("--global")[1] and "No test over data sets" in called("--global")[1]
    assert called("--global", "--output", str(tmp_path / "all.md"))[0] == 0
    assert (tmp_path / "all.md").read_text().startswith("### 4 methods on 2 data sets")
    assert "--global is written as terminal, md, csv or json" in called("--global", "--format", "latex")[1]
    site = tmp_path / "site"
    assert called("--output", f"{site}/")[0] == 0
    names = sorted(path.name for path in site.iterdir())
    assert names[:2] == ["index.html", "overall.json"] and len(names) == 4
    index = (site / "index.html").read_text()
    for page in names[2:]:
        assert f'href="{page}"' in index
        assert '<a href="index.html">All tables</a>' in (site / page).read_text()
    assert "http" not in index.replace("http-equiv", "")
    before = {path.name: path.read_bytes() for path in site.iterdir()}
    assert called("--output", str(site))[0] == 0  # the folder is there now, without its slash
    assert {path.name: path.read_bytes() for path in site.iterdir()} == before
    assert "is a folder of pages" in called("--output", f"{site}/", "--format", "csv")[1]
