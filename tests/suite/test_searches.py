from __future__ import annotations

import json
from pathlib import Path

import pytest

from gwbench.cli.main import gwbench
from gwbench.errors import UserError
from gwbench.search.record import load_search_record
from gwbench.suite.run import plan
from gwbench.suite.schema import read_suite
from gwbench.suite.searches import execute_searches, search_cells
from tests.conftest import Heard
from tests.suite.tiny import write_suite

DATA = [{"name": "bbh", "train": 192, "val": 96, "test": 128, "snr": [12, 20], "detectors": ["H1", "L1"]}]
SEARCH = {"name": "tiny", "make": {"hours": 0.8, "seed": 1}, "stride": 0.25}


def test_every_finished_cell_searches_and_is_ranked_by_what_it_reaches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = write_suite(
        tmp_path,
        datasets=DATA,
        objectives=None,
        pairings=None,
        baselines=["random-init", "oracle"],
        label_fractions=[1.0],
        searches=[SEARCH],
    )
    runs = tmp_path / "runs"
    words = ["suite", "run", str(suite), "--out", str(runs), "--device", "cpu", "--quiet"]
    with pytest.raises(SystemExit, match="0"):
        gwbench.main(words)
    out = capsys.readouterr().out
    assert "searches: 1 done now, 0 before" in out
    (path,) = runs.glob("*/searches/tiny/search.json")
    record = load_search_record(path)
    assert "random-init" in record.title
    assert record.injections is not None
    assert record.reach is not None
    assert record.reach[0].injections == record.injections.count > 5
    assert record.settings.stride == pytest.approx(0.25, rel=0.1)
    assert record.background is not None
    assert record.background.source == "noise"
    assert record.run is not None
    assert record.run.run_id == json.loads((path.parents[2] / "record.json").read_text())["run_id"]

    before = path.stat().st_mtime_ns
    with pytest.raises(SystemExit, match="0"):
        gwbench.main(words)
    assert "searches: 0 done now, 1 before" in capsys.readouterr().out
    assert path.stat().st_mtime_ns == before
    with pytest.raises(SystemExit, match="0"):
        gwbench.main(["suite", "status", str(suite), "--out", str(runs), "--device", "cpu"])
    assert "tiny: 1 of 1 done" in capsys.readouterr().out
    gwbench.main(["leaderboard", str(runs), "--format", "md"], standalone_mode=False)
    table = capsys.readouterr().out
    assert "Mpc" in table
    assert "ROC-AUC" in table

    planned = plan(suite, out=runs, device="cpu")
    cells, unable = search_cells(planned)
    assert [cell.recorded for cell in cells] == [True]
    assert len(unable) == 1
    heard = Heard()
    assert execute_searches(planned, heard).before == 1
    assert any("keeps no scorer" in line for line in heard.lines)


@pytest.mark.parametrize(
    ("searches", "said"),
    [
        ([{"name": "a b", "make": {}}], "a search needs a name"),
        ([{"name": "a"}], "say what is searched"),
        ([{"name": "a", "make": {}, "event": "GW150914"}], "leave out the other files"),
        ([{"name": "a", "event": "GW150914", "injections": "x.hdf"}], "without injections"),
        ([SEARCH, {"name": "tiny", "make": {}}], "two searches are called 'tiny'"),
        ([{**SEARCH, "strid": 1}], "there is no key 'strid'. Did you mean 'stride'?"),
        ([{"name": "a", "make": {"hours": -1}}], "-1"),
    ],
)
def test_what_cannot_be_searched_is_refused(tmp_path: Path, searches: object, said: str) -> None:
    with pytest.raises(UserError, match=r"tiny\.yaml, line ") as refused:
        read_suite(write_suite(tmp_path, searches=searches))
    assert said in str(refused.value)


def test_a_search_that_fails_is_said_and_the_others_go_on(tmp_path: Path) -> None:
    missing = {
        "name": "lost",
        "foreground": str(tmp_path / "no.hdf"),
        "injections": str(tmp_path / "no-injections.hdf"),
    }
    suite = write_suite(
        tmp_path, datasets=DATA, objectives=None, pairings=None, label_fractions=[1.0], searches=[missing]
    )
    with pytest.raises(SystemExit, match="1"):
        gwbench.main(["suite", "run", str(suite), "--out", str(tmp_path / "runs"), "--device", "cpu", "--quiet"])
