"""The page of a search: its sections, and pictures of the loudest triggers where strain and scores are at hand."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from gwbench.cli.main import gwbench as command
from gwbench.errors import UserError
from gwbench.reporting.html.search_charts import _expected
from gwbench.reporting.html.search_report import render_search
from gwbench.reporting.html.trigger_pictures import trigger_pictures
from gwbench.reporting.searches.recognise import is_search
from gwbench.search.record import BackgroundUsed, RankedTrigger, SearchedStrain, SearchRecord, write_search_record
from gwbench.utils.progress import Progress
from tests.reporting.leaderboard.test_text_formats import EVIL
from tests.reporting.synthetic_runs import write_run
from tests.reporting.synthetic_searches import search, write_search

START, RATE = 1_000_000_000, 1024


def texts(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_a_page_has_everything_that_its_record_holds(tmp_path: Path) -> None:
    record = write_search(tmp_path, "a")
    page = render_search(tmp_path / "a", Progress())
    shown = texts(page)
    for words in (
        "Sensitive distance 2,500 ± 90 Mpc",
        "At 900 false alarms a month of 30 days: 110 of 529 injections found",
        "Distance against false-alarm rate",
        "Found against SNR",
        "Found against chirp mass",
        "Found against distance",
        "Foreground and background",
        "Triggers against inverse false-alarm rate",
        "100 s between the segments have no strain.",
        f"{record.triggers[0].time:.3f}",
    ):
        assert words in shown, words
    assert page == render_search(tmp_path / "a" / "search.json", Progress())
    assert not re.search(r"(src|href)=\"(?!#|data:)", page)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    bare = SearchRecord(
        created="2026-11-28T00:00:00+00:00",
        command="",
        title=EVIL,
        strain=SearchedStrain(files={}, detectors=("H1",), segments=((0.0, 10.0),)),
        livetime=8.0,
        whitened_variance={"H1": 7.0},
        triggers=(),
    )
    write_search_record(tmp_path / "events.json", bare)
    page = render_search(tmp_path / "events.json", Progress())
    assert "There is no trigger above the threshold." in page
    assert "variance of 7 in H1" in page
    assert "<b onload" not in page
    assert "\x1b" not in page


def test_the_background_is_scaled_to_the_time_that_was_searched() -> None:
    scores = np.sort(np.random.default_rng(0).normal(size=4000))
    thresholds = tuple(scores.tolist())
    counts = tuple(len(scores) - n for n in range(len(scores)))
    used = BackgroundUsed(livetime=1000.0, thresholds=thresholds, counts=counts)
    edges = np.linspace(-4, 5, 10)
    np.testing.assert_allclose(_expected(used, edges, 250.0), np.histogram(scores, edges)[0] / 4)


def test_pictures_of_the_loudest_trigger(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "strain.hdf5", "w") as file:
        for name in ("H1", "L1"):
            data = file.create_dataset(f"{name}/{START}", data=rng.normal(scale=1e-21, size=40 * RATE))
            data.attrs.update(start_time=START, delta_t=1 / RATE)
    score = rng.normal(size=300).astype(np.float32)
    score[120] = 9.5
    (tmp_path / "scan" / "scores").mkdir(parents=True)
    parts = np.stack([score / 2, score / 2])
    np.savez(tmp_path / "scan" / "scores" / "000000.npz", score=score, parts=parts)
    (tmp_path / "scan" / "scores" / "000001.npz").write_bytes(b"nothing")
    first = RankedTrigger(time=START + 20.0, score=9.5, var=0.3, rank=1)
    outside = RankedTrigger(time=START + 900.0, score=5.5, var=0.3, rank=2)
    strain = SearchedStrain(files={}, detectors=("H1", "L1"), segments=((START, START + 40.0),))
    record = search(triggers=0, strain=strain).model_copy(
        update={"triggers": (first, outside), "folder": str(tmp_path / "scan")}
    )
    (picture,), missing = trigger_pictures(record, [tmp_path / "strain.hdf5"])
    assert picture.title == "Trigger 1: score 9.50 at GPS 1000000020.000"
    assert "Q-transform" in picture.description
    assert "the score of windows by their time" in picture.description
    assert picture.svg.count("<image") == 2
    assert any("the strain files hold no H1 at GPS 1000000900.00" in line for line in missing)
    (course,), missing = trigger_pictures(record, [])
    assert course.description == "The score of windows by their time."
    assert "name the strain with --strain FILE" in missing[0]
    alone = record.model_copy(update={"folder": None})
    charts, missing = trigger_pictures(alone, [])
    assert not charts
    assert any("does not lie in the folder of its scan" in line for line in missing)


def test_the_verb_tells_a_search_from_a_run(tmp_path: Path) -> None:
    write_search(tmp_path, "a")
    done = CliRunner().invoke(command, ["report", str(tmp_path / "a")])
    assert done.exit_code == 0, done.stderr
    assert "Sensitive distance" in (tmp_path / "a" / "report.html").read_text()
    run = write_run(tmp_path)
    write_search_record(run, search())
    assert not is_search(run)
    assert is_search(run / "search.json")
    assert not is_search(run / "record.json")
    refused = CliRunner().invoke(command, ["report", str(run), "--strain", "x.hdf5"])
    assert isinstance(refused.exception, UserError)
    with pytest.raises(UserError, match="There is no search record"):
        render_search(tmp_path / "nothing.json", Progress())
