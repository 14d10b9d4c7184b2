from __future__ import annotations

from pathlib import Path

from gwbench.reporting.html.leaderboard_page import render_leaderboard
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.rows import Options
from gwbench.reporting.records.suite_titles import ENDING, SuiteTitle, read_title, suites_of, write_title
from tests.reporting.html.test_page import Reader
from tests.reporting.synthetic_runs import write_run


def suite(*runs: str, title: str = "", about: str = "Which is best?") -> SuiteTitle:
    return SuiteTitle(name="first-try", title=title, about=about, runs=runs)


def test_a_suite_keeps_the_runs_that_it_named_before(tmp_path: Path) -> None:
    write_title(tmp_path, suite("a", "b"))
    write_title(tmp_path, suite("b", "c", title="T"))
    found = read_title(tmp_path / f"first-try{ENDING}")
    assert found and found.runs == ("a", "b", "c") and found.heading == "T"
    assert suite().heading == "First try"


def test_damaged_files_are_passed_over(tmp_path: Path) -> None:
    for name, text in (("x", "{"), ("y", "[]"), ("z", '{"name": "z", "title": 1, "about": "", "runs": []}')):
        (tmp_path / f"{name}{ENDING}").write_text(text)
    assert suites_of([str(tmp_path / "run" / "record.json")]) == []


def test_a_page_is_headed_with_the_suite_of_all_its_runs(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "runs", seed=seed).name for seed in range(2)]
    write_title(tmp_path, suite(*runs, title="<b>Loud signals"))  # one folder above the runs
    found = Reader(render_leaderboard(build([tmp_path], Options())))
    assert "b" not in {tag for tag, a in found.tags if not a}
    assert "<b>Loud signals" in found.text and "Which is best?" in found.text
    write_run(tmp_path / "runs", seed=2)  # of no suite
    text = Reader(render_leaderboard(build([tmp_path], Options()))).text
    assert "2 of its runs are of “<b>Loud signals”: Which is best?" in text
