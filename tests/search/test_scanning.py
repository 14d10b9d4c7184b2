from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gwbench
from gwbench.errors import UserError
from gwbench.experiment.scorer import RunScorer
from gwbench.search.block_scores import BlockScorer, ScanJob
from gwbench.search.record import SearchRecord, load_search_record
from tests.conftest import Heard
from tests.search.energy_run import MARGIN, RATE, WINDOW, energy_run, ring
from tests.search.strain import GPS, noise, write_segments

SECONDS = 150.0
BURST = 93.5


@pytest.fixture(scope="module")
def run() -> RunScorer:
    return energy_run()


def write_both(path: Path, seconds: float = SECONDS, scale: float = 1e-21, rate: float = RATE) -> Path:
    """Both detectors' strain with one burst, and one in H1 alone."""
    first, second = noise(seconds, rate, 11, scale), noise(seconds, rate, 12, scale)
    if seconds > BURST + 1:
        first += ring(seconds, BURST, 6 * scale, rate)
        second += ring(seconds, BURST + 0.005, 6 * scale, rate)
    return write_segments(path, {"H1": [(GPS, first)], "L1": [(GPS, second)]}, rate)


def listen(run: RunScorer, strain: Any, folder: Path, **options: Any) -> SearchRecord:
    return gwbench.scan(run, strain, searches=folder / "searches", progress=options.pop("progress", Heard()), **options)


def test_a_burst_is_the_loudest_trigger_and_louder_than_every_slide(run: RunScorer, tmp_path: Path) -> None:
    record = listen(run, write_both(tmp_path / "both.hdf"), tmp_path, stride=0.125)
    loudest = record.triggers[0]
    # the burst lies within the window, whose reference is where training signals end on average
    assert loudest.time == pytest.approx(GPS + BURST, abs=0.825 * WINDOW / RATE)
    assert record.background is not None
    assert record.background.loudest[0] < loudest.score
    assert loudest.far == 0
    assert [each.rank for each in record.triggers] == list(range(1, len(record.triggers) + 1))
    assert sum(part.score for part in loudest.detectors.values()) - 1 == pytest.approx(loudest.score, abs=1e-5)
    assert record.whitened_variance == pytest.approx({"H1": 1, "L1": 1}, rel=0.1)
    assert record.settings.stride == 0.125
    assert record.settings.conditioning == "refitted"
    assert record.livetime == SECONDS - 1.5 + 0.125  # one step for every window with its margins
    assert list(record.strain.segments) == [(GPS, GPS + SECONDS)]


def test_scores_are_those_of_the_windows_by_themselves(run: RunScorer, tmp_path: Path) -> None:
    path = write_both(tmp_path / "both.hdf", seconds=40)
    found: list[Any] = []

    class Watched:
        """Keeps what a scan's own executor was given."""

        def run(self, job: ScanJob, blocks: Any, advance: Any, say: Any) -> None:
            found.extend((job, BlockScorer(job, run).score(blocks[0], advance)))

    listen(run, path, tmp_path, stride=0.125, executor=Watched())
    _, scores = found
    strain = np.stack([noise(40, RATE, 11), noise(40, RATE, 12)])
    own = run.refit(strain)
    for place in (0, 1, 100, len(scores.score) - 1):
        begin = place * 128
        window = strain[None, :, begin : begin + WINDOW + 2 * MARGIN]
        assert own.score(window).log_odds[0] == pytest.approx(float(scores.score[place]), abs=1e-3)


def test_long_strain_gives_the_same_scores_in_any_number_of_blocks(
    run: RunScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_both(tmp_path / "both.hdf")
    one = listen(run, path, tmp_path / "one", stride=0.125)
    monkeypatch.setattr("gwbench.search.scan_plan.BLOCK", 40.0)
    four = listen(run, path, tmp_path / "four", stride=0.125)
    assert one.folder
    assert four.folder
    assert len(list(Path(one.folder).glob("scores/*.npz"))) == 1
    assert len(list(Path(four.folder).glob("scores/*.npz"))) == 4
    for mine, theirs in zip(one.triggers, four.triggers, strict=True):
        assert mine.time == theirs.time
        assert mine.score == pytest.approx(theirs.score, abs=1e-3)


def test_a_finished_scan_is_read_and_a_stopped_one_goes_on(
    run: RunScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gwbench.search.scan_plan.BLOCK", 40.0)
    path = write_both(tmp_path / "both.hdf")
    alone = listen(run, path, tmp_path / "alone", stride=0.125)
    done: list[int] = []
    score = BlockScorer.score

    def stopped(self: BlockScorer, block: Any, advance: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(block.number)
        return score(self, block, advance)

    monkeypatch.setattr(BlockScorer, "score", stopped)
    with pytest.raises(KeyboardInterrupt):
        listen(run, path, tmp_path, stride=0.125)
    (folder,) = (tmp_path / "searches").iterdir()
    assert len(list(folder.glob("scores/*.npz"))) == 2
    damaged = sorted(folder.glob("scores/*.npz"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    again: list[int] = []

    def counted(self: BlockScorer, block: Any, advance: Any) -> Any:
        again.append(block.number)
        return score(self, block, advance)

    monkeypatch.setattr(BlockScorer, "score", counted)
    record = listen(run, path, tmp_path, stride=0.125)
    assert again == [0, 2, 3]
    assert record.triggers == alone.triggers
    heard = Heard()
    same = listen(run, path, tmp_path, stride=0.125, progress=heard)
    assert again == [0, 2, 3]
    assert same == record
    assert any("done before" in line for line in heard.lines)
    # other triggers of the same scores
    louder = listen(run, path, tmp_path, stride=0.125, threshold=record.triggers[2].score)
    assert again == [0, 2, 3]
    assert len(louder.triggers) == 2
    listen(run, path, tmp_path, stride=0.125, rerun=True)
    assert again == [0, 2, 3, 0, 1, 2, 3]


@pytest.mark.parametrize("name", ["events.hdf5", "events.csv", "search.json"])
def test_the_suffix_of_out_is_the_format(run: RunScorer, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    record = listen(run, write_both(tmp_path / "both.hdf"), tmp_path, stride=0.25, out=out)
    if name.endswith("json"):
        assert load_search_record(out).triggers == record.triggers
        assert json.loads(out.read_text())["kind"] == "search"
    elif name.endswith("csv"):
        first = out.read_text().splitlines()[1].split(",")
        assert float(first[1]) == pytest.approx(record.triggers[0].score)
    else:
        import h5py

        with h5py.File(out) as file:
            assert sorted(file) == ["stat", "time", "var"]
            assert file["stat"][()].max() == pytest.approx(record.triggers[0].score)


def test_an_unknown_suffix_is_refused_before_any_work(run: RunScorer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected a suffix of .*\.csv"):
        listen(run, write_both(tmp_path / "both.hdf"), tmp_path, out=tmp_path / "events.txt")
    assert not (tmp_path / "searches").exists()


def test_scores_of_all_detectors_at_once_have_slides_of_their_strain(tmp_path: Path) -> None:
    path = write_both(tmp_path / "both.hdf")
    record = listen(energy_run(together=True), path, tmp_path, stride=0.125, slides=4)
    parts = listen(energy_run(), path, tmp_path / "parts", stride=0.125, slides=4)
    assert not record.triggers[0].detectors
    assert record.background is not None
    assert record.background.slides == 4
    assert record.background.loudest[0] < record.triggers[0].score
    assert [each.score for each in record.triggers] == pytest.approx([each.score for each in parts.triggers], abs=1e-4)


def test_windows_that_are_conditioned_one_by_one(tmp_path: Path) -> None:
    run = energy_run(method="seed")
    record = listen(run, write_both(tmp_path / "both.hdf", seconds=20), tmp_path, stride=0.25)
    assert record.settings.conditioning == "run"
    assert record.whitened_variance == pytest.approx({"H1": 1, "L1": 1}, rel=0.2)


def test_one_detector_has_triggers_without_rates(tmp_path: Path) -> None:
    heard = Heard()
    record = listen(energy_run(("L1",)), write_both(tmp_path / "both.hdf"), tmp_path, stride=0.125, progress=heard)
    assert record.background is None
    assert record.triggers[0].far is None
    assert any("one detector cannot be slid" in line for line in heard.lines)
    assert any("H1" in line and "not used" in line for line in record.strain.left_out)


def test_strain_of_another_loudness_is_refused_with_the_runs_own_conditioning(run: RunScorer, tmp_path: Path) -> None:
    loud = write_both(tmp_path / "loud.hdf", scale=1e-20)
    with pytest.raises(UserError, match=r"variance of .* Scan with --conditioning refitted"):
        listen(run, loud, tmp_path, stride=0.25, conditioning="run")
    heard = Heard()
    twice = write_both(tmp_path / "twice.hdf", scale=2e-21)
    record = listen(run, twice, tmp_path, stride=0.25, conditioning="run", progress=heard)
    assert record.whitened_variance == pytest.approx({"H1": 4, "L1": 4}, rel=0.15)
    assert any("variance" in line for line in heard.lines)
    assert any("variance" in line for line in record.strain.notes)
    assert listen(run, loud, tmp_path, stride=0.25).whitened_variance == pytest.approx({"H1": 1, "L1": 1}, rel=0.1)


def test_a_stride_is_rounded_to_samples_and_said(run: RunScorer, tmp_path: Path) -> None:
    heard = Heard()
    record = listen(run, write_both(tmp_path / "both.hdf", seconds=20), tmp_path, stride=0.1, progress=heard)
    assert record.settings.stride == 102 / RATE
    assert any("102 samples" in line for line in heard.lines)
    for stride in (0.0, -1.0, 5.0, float("nan")):
        with pytest.raises(UserError, match="--stride"):
            listen(run, tmp_path / "both.hdf", tmp_path, stride=stride)
