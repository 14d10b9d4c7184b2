"""Scores of windows: the same from every input and in every output, whatever is damaged, however often it is killed."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import gwbench
from gwbench.data.dataset import Array
from gwbench.errors import UserError
from gwbench.experiment.scorer import RunScorer
from gwbench.search.predict import batches, scoring, to_file
from gwbench.search.predict.outputs import UNKNOWN
from gwbench.search.predict.predictor import predict
from gwbench.search.predict.to_file import predict_to_file
from gwbench.utils.progress import Progress
from tests.search.predict.toy_run import Loudest, noise, toy_run


class Listener(Progress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(scope="module")
def run() -> RunScorer:
    return toy_run()


def rows_of(path: Path) -> dict[str, float]:
    with path.open(newline="") as stream:
        reader = csv.DictReader(stream)
        assert reader.fieldnames == ["id", "target"]
        return {row["id"]: float(row["target"]) for row in reader}


def expected_scores(run: RunScorer, strain: Array) -> Array:
    return run.score(strain.astype("f4")).log_odds


def test_an_array_is_scored_as_the_run_scores(run: RunScorer) -> None:
    strain = noise(300)
    found = gwbench.predict(run, strain)
    wanted = run.score(strain.astype("f4"))
    assert found.ids[:3] == ["0", "1", "2"]
    np.testing.assert_array_equal(found.score, wanted.log_odds)
    np.testing.assert_allclose(found.probability, 1 / (1 + np.exp(-(0.5 * found.score - 1.0))), rtol=1e-12)
    conditioned = run.conditioner(strain.astype("f4"))
    assert found.embedding is not None
    np.testing.assert_allclose(found.embedding[:, 0], conditioned[:, 0].square().mean(1), rtol=1e-5)
    np.testing.assert_allclose([*found.whitened_variance.values()], wanted.whitened_variance, rtol=1e-6)
    assert found.conditioning == "run"
    one = predict(run, strain[7])
    np.testing.assert_allclose(one.score, wanted.log_odds[7:8], rtol=1e-6)


def test_a_scorer_without_embeddings(run: RunScorer, tmp_path: Path) -> None:
    strain = noise(5)
    plain = toy_run(scorer=Loudest())
    assert predict(plain, strain).embedding is None
    np.save(tmp_path / "set.npy", strain)
    record = predict_to_file(plain, [tmp_path / "set.npy"], tmp_path / "out.hdf5")
    assert record.embedding == 0
    with h5py.File(tmp_path / "out.hdf5") as file:
        assert set(file) == {"id", "score", "probability"}


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".hdf5"])
def test_a_submission_has_the_probability_of_every_window(run: RunScorer, tmp_path: Path, suffix: str) -> None:
    strain = noise(10)
    source = tmp_path / f"set{suffix}"
    if suffix == ".hdf5":
        with h5py.File(source, "w") as file:
            file["strain"] = strain
    elif suffix == ".npz":
        np.savez(source, strain=strain)
    else:
        np.save(source, strain)
    record = predict_to_file(run, [source], tmp_path / "submission.csv")
    wanted = run.score(strain.astype("f4")).probability
    assert rows_of(tmp_path / "submission.csv") == {f"set/{n}": value for n, value in enumerate(wanted.tolist())}
    assert record.windows == 10
    assert not record.damaged
    assert json.loads((tmp_path / "submission.csv.json").read_text())["run_id"] == "toy"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [source.name, "submission.csv", "submission.csv.json"]
    )


def test_hdf5_holds_scores_and_embeddings(run: RunScorer, tmp_path: Path) -> None:
    strain = noise(10)
    np.save(tmp_path / "set.npy", strain)
    predict_to_file(run, [tmp_path / "set.npy"], tmp_path / "out.hdf5")
    wanted = predict(run, strain)
    with h5py.File(tmp_path / "out.hdf5") as file:
        assert [name.decode() for name in file["id"][:]] == [f"set/{n}" for n in range(10)]
        np.testing.assert_array_equal(file["score"][:], wanted.score)
        np.testing.assert_array_equal(file["probability"][:], wanted.probability)
        np.testing.assert_array_equal(file["embedding"][:], wanted.embedding)
        assert dict(file.attrs)["run_id"] == "toy"


def test_parquet_holds_scores_and_embeddings(run: RunScorer, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    strain = noise(300)
    strain[4, 0, 3] = np.nan
    np.save(tmp_path / "set.npy", strain)
    predict_to_file(run, [tmp_path / "set.npy"], tmp_path / "out.parquet")
    table = parquet.read_table(tmp_path / "out.parquet")
    wanted = predict(run, strain)
    assert table.column("id").to_pylist() == [f"set/{n}" for n in range(300)]
    np.testing.assert_array_equal(table.column("score").to_numpy(), wanted.score)
    assert wanted.embedding is not None
    np.testing.assert_array_equal(np.array(table.column("embedding").to_pylist(), "f4"), wanted.embedding)


def test_parquet_without_pyarrow_says_what_to_install(
    run: RunScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gwbench.search.predict.outputs.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"gwbench-ssl\[parquet\]"):
        predict_to_file(run, [tmp_path / "nothing.npy"], tmp_path / "out.parquet")


@pytest.mark.parametrize("name", ["out.txt", "out", "out.csv.gz"])
def test_an_unknown_suffix_is_refused_before_any_work(run: RunScorer, tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="is no format of scores"):
        predict_to_file(run, [tmp_path / "nothing.npy"], tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_damaged_window_is_named_and_has_a_row(run: RunScorer, tmp_path: Path) -> None:
    folder = tmp_path / "windows"
    folder.mkdir()
    strain = noise(6)
    for number, window in enumerate(strain):
        np.save(folder / f"w{number}.npy", window)
    (folder / "w2.npy").write_bytes(b"nothing")
    record = predict_to_file(run, [folder], tmp_path / "out.csv")
    targets = rows_of(tmp_path / "out.csv")
    assert targets["w2"] == UNKNOWN == 0.5
    assert [*record.damaged] == ["w2"]
    assert "w2.npy" in record.damaged["w2"]
    good = np.delete(strain, 2, axis=0)
    wanted = run.score(good.astype("f4")).probability
    np.testing.assert_allclose([value for name, value in targets.items() if name != "w2"], wanted, rtol=1e-12)
    predict_to_file(run, [folder], tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        assert np.isnan(file["score"][2])
        assert np.isnan(file["embedding"][2]).all()
        assert not np.isnan(file["score"][3])


def test_where_nothing_can_be_read_nothing_is_written(run: RunScorer, tmp_path: Path) -> None:
    strain = noise(3)
    strain[:, 0, 0] = np.nan
    np.save(tmp_path / "set.npy", strain)
    with pytest.raises(UserError, match=r"None of the 3 windows can be read\. The first: .*window 0, holds NaN"):
        predict_to_file(run, [tmp_path / "set.npy"], tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_damaged_file_that_was_mended_is_scored_by_the_same_command(run: RunScorer, tmp_path: Path) -> None:
    folder = tmp_path / "test"
    strain = noise(4, samples=1536)
    folder.mkdir()
    for number, window in enumerate(strain):
        np.save(folder / f"{number:010x}.npy", window)
    bad = strain[2].copy()
    bad[0, 0] = np.nan  # of the same size
    np.save(folder / f"{2:010x}.npy", bad)
    first = predict_to_file(run, [tmp_path], tmp_path / "out.csv")
    assert [*first.damaged] == [f"{2:010x}"]
    assert predict_to_file(run, [tmp_path], tmp_path / "out.csv") == first
    np.save(folder / f"{2:010x}.npy", strain[2])
    assert not predict_to_file(run, [tmp_path], tmp_path / "out.csv").damaged


# --- going on ---


class Killed(BaseException):
    """As a signal would end the process, but for what runs at its end."""


@pytest.fixture
def killed_after(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Batches of 4 windows; stops after some."""
    monkeypatch.setattr(batches, "BATCH", 4)
    monkeypatch.setattr(to_file, "BATCH", 4)
    count = {"left": 10**9, "scored": 0}
    real = scoring.BatchScorer.__call__

    def counted(self: Any, source: Any, strain: Array) -> Array:
        if not count["left"]:
            raise Killed
        count["left"] -= 1
        count["scored"] += len(strain)
        return real(self, source, strain)

    monkeypatch.setattr(scoring.BatchScorer, "__call__", counted)
    return count


def test_what_was_stopped_goes_on_and_gives_the_same(run: RunScorer, tmp_path: Path, killed_after: Any) -> None:
    strain = noise(30)
    strain[[1, 9, 26], 0, 0] = np.nan
    np.save(tmp_path / "set.npy", strain)
    source, output = tmp_path / "set.npy", tmp_path / "out.h5"
    killed_after["left"] = 3
    with pytest.raises(Killed):
        predict_to_file(run, [source], output)
    assert not output.exists()
    rows = tmp_path / "out.h5.partial" / "rows.bin"
    os.truncate(rows, rows.stat().st_size - 7)  # the last row was being written
    with (tmp_path / "out.h5.partial" / "damaged.jsonl").open("a") as stream:
        stream.write('[12, "set/')
    killed_after.update(left=10**9, scored=0)
    listener = Listener()
    record = predict_to_file(run, [source], output, progress=listener)
    assert "Going on after 11 windows." in listener.said
    assert killed_after["scored"] == 30 - 11 - 1  # the first window of the rest is one more that is damaged
    other = tmp_path / "other.h5"
    again = predict_to_file(run, [source], other)
    assert set(record.damaged) == {"set/1", "set/9", "set/26"}
    assert record.damaged == again.damaged
    assert record.whitened_variance == again.whitened_variance
    with h5py.File(output) as one, h5py.File(other) as two:
        for name in ("id", "score", "probability", "embedding"):
            np.testing.assert_array_equal(one[name][:], two[name][:])
    assert not (tmp_path / "out.h5.partial").exists()


def test_the_same_command_again_does_nothing(run: RunScorer, tmp_path: Path, killed_after: Any) -> None:
    np.save(tmp_path / "set.npy", noise(10))
    first = predict_to_file(run, [tmp_path / "set.npy"], tmp_path / "out.csv")
    killed_after["left"] = 0
    listener = Listener()
    assert predict_to_file(run, [tmp_path / "set.npy"], tmp_path / "out.csv", progress=listener) == first
    assert "is there already" in listener.said[0]
    killed_after["left"] = 10**9
    for change in ("other windows", "a damaged output"):
        if change == "other windows":
            np.save(tmp_path / "set.npy", noise(11))
        else:
            (tmp_path / "out.csv").write_text("id,target\n")
        killed_after["scored"] = 0
        predict_to_file(run, [tmp_path / "set.npy"], tmp_path / "out.csv")
        assert killed_after["scored"] == 11
        assert len(rows_of(tmp_path / "out.csv")) == 11


def test_another_run_does_not_go_on_with_its_rows(run: RunScorer, tmp_path: Path, killed_after: Any) -> None:
    np.save(tmp_path / "set.npy", noise(10))
    killed_after["left"] = 1
    with pytest.raises(Killed):
        predict_to_file(run, [tmp_path / "set.npy"], tmp_path / "out.csv")
    killed_after.update(left=10**9, scored=0)
    predict_to_file(toy_run(run_id="another"), [tmp_path / "set.npy"], tmp_path / "out.csv")
    assert killed_after["scored"] == 10


# --- what does not fit ---


def test_windows_of_another_length_are_refused_with_advice(run: RunScorer, tmp_path: Path) -> None:
    np.save(tmp_path / "set.npy", noise(40, samples=1024))
    with pytest.raises(UserError, match=r"1024 samples, and the run takes 1536.*--conditioning refitted"):
        predict_to_file(run, [tmp_path / "set.npy"], tmp_path / "out.csv")
    record = predict_to_file(run, [tmp_path / "set.npy"], tmp_path / "out.csv", conditioning="refitted")
    assert record.conditioning == "refitted"
    assert all(0.8 < value < 1.2 for value in record.whitened_variance.values())
    for samples in (1000, 2000):
        with pytest.raises(UserError, match="Cut the windows to that length"):
            predict(run, noise(4, samples=samples))
    with pytest.raises(UserError, match="has 3 channels, and the run takes windows of H1, L1"):
        predict(run, noise(4, detectors=3))
    with pytest.raises(UserError, match="holds no windows"):
        predict(run, np.ones((4, 2, 1536), int))


def test_detectors_are_taken_by_name_and_rates_compared(run: RunScorer, tmp_path: Path) -> None:
    strain = noise(4, detectors=3)
    for rate, detectors in ((1024.0, "L1,V1,H1"), (2048.0, "H1,L1,V1"), (1024.0, "K1,L1,V1")):
        with h5py.File(tmp_path / f"{detectors}-{rate:g}.h5", "w") as file:
            data = file.create_dataset("strain", data=strain)
            data.attrs.update(sample_rate=rate, detectors=detectors)
    found = predict(run, tmp_path / "L1,V1,H1-1024.h5")
    np.testing.assert_array_equal(found.score, expected_scores(run, strain[:, [2, 0]]))
    with pytest.raises(UserError, match="is sampled at 2048 Hz"):
        predict(run, tmp_path / "H1,L1,V1-2048.h5")
    with pytest.raises(UserError, match="the run needs H1"):
        predict(run, tmp_path / "K1,L1,V1-1024.h5")


def test_strain_of_other_noise_is_warned_about_or_refused(run: RunScorer, tmp_path: Path) -> None:
    np.save(tmp_path / "loud.npy", noise(20, scale=2e-21))  # variance 4
    listener = Listener()
    record = predict_to_file(run, [tmp_path / "loud.npy"], tmp_path / "out.csv", progress=listener)
    assert any("variance of 4" in line and "--conditioning refitted" in line for line in listener.said)
    assert any("variance of 4" in note for note in record.notes)
    np.save(tmp_path / "wrong.npy", noise(20, scale=1e-19))
    with pytest.raises(UserError, match="scores of it would mean nothing"):
        predict_to_file(run, [tmp_path / "wrong.npy"], tmp_path / "other.csv")
    refitted = predict(run, tmp_path / "wrong.npy", conditioning="refitted")
    assert refitted.conditioning == "refitted"


def test_two_windows_of_one_id_are_refused(run: RunScorer, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "set.npy", noise(3))
    with pytest.raises(UserError, match="Two windows have the id set/0"):
        predict_to_file(run, [tmp_path / "a" / "set.npy", tmp_path / "b" / "set.npy"], tmp_path / "out.csv")


def test_one_process_at_a_time_writes_an_output(run: RunScorer, tmp_path: Path) -> None:
    from gwbench.search.predict.partial import PartialRows, row_type

    held = PartialRows(tmp_path / "out.csv", "key", row_type(0, 2))
    np.save(tmp_path / "set.npy", noise(3))
    try:
        with pytest.raises(UserError, match=r"Another process.* writes"):
            predict_to_file(run, [tmp_path / "set.npy"], tmp_path / "out.csv")
    finally:
        held.close(remove=True)
