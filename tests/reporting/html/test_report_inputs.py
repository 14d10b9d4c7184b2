from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gwbench.errors import UserError
from gwbench.experiment.record import DIAGNOSTICS, PREDICTIONS, RECORD
from gwbench.reporting.html import report_inputs
from gwbench.reporting.html.report_inputs import read_run
from gwbench.reporting.records.entry import EntryReader, RecordEntry
from tests.reporting.html.report_runs import FEATURES, WINDOWS, embeddings, matrix, write_full_run, write_matrix
from tests.reporting.synthetic_runs import LABEL, SNR, write_run


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_full_run(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def run(kept: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    place = tmp_path / kept.name
    shutil.copytree(kept, place)
    return place


def replace_arrays(path: Path, **changed: Any) -> None:
    """Change arrays of an npz; None takes one out."""
    with np.load(path) as arrays:
        new = dict(arrays) | changed
    np.savez_compressed(path, **{name: value for name, value in new.items() if value is not None})


def edit_record(place: Path, **changed: Any) -> None:
    document = json.loads((place / RECORD).read_text())
    (place / RECORD).write_text(json.dumps(document | changed))


# --- what is there ---


def test_a_folder_and_its_record_file_give_the_same_run(kept: Path) -> None:
    by_folder, by_file = read_run(kept), read_run(kept / RECORD)
    assert by_folder.record == by_file.record
    found = by_folder
    assert found.missing == {}
    assert found.predictions is not None
    np.testing.assert_array_equal(found.predictions.label, LABEL)
    assert found.embedded is not None
    np.testing.assert_array_equal(found.embedded.embedding, embeddings())
    np.testing.assert_array_equal(found.embedded.snr, SNR)
    assert found.embedded.of == len(LABEL)
    assert found.correlation is not None
    np.testing.assert_array_equal(found.correlation.matrix, matrix().astype(np.float32))
    assert (found.correlation.windows, found.correlation.width, found.correlation.pretrained_by) == (WINDOWS, 24, None)


def test_of_many_embeddings_a_choice_is_read_row_by_row(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_inputs, "POINTS", 50)
    monkeypatch.setattr(report_inputs, "BLOCK", 3 * 4 * FEATURES)  # three rows
    found, again = read_run(run).embedded, read_run(run).embedded
    assert found is not None
    assert again is not None
    assert (len(found.embedding), found.of) == (50, 300)
    np.testing.assert_array_equal(found.embedding, again.embedding)
    rows = [int(np.flatnonzero((embeddings() == row).all(axis=1))[0]) for row in found.embedding]
    assert rows == sorted(set(rows))
    np.testing.assert_array_equal(found.label, LABEL[rows])
    assert 10 < found.label.sum() < 40


def test_what_was_not_kept_is_missing_and_no_mistake(run: Path) -> None:
    replace_arrays(run / PREDICTIONS, embedding=None)
    (run / DIAGNOSTICS).unlink()
    found = read_run(run)
    assert found.predictions is not None
    assert found.embedded is None
    assert found.correlation is None
    assert "older than the matrix" in found.missing["correlation"]
    (run / PREDICTIONS).unlink()
    found = read_run(run)
    assert found.predictions is None
    assert "predictions.npz" in found.missing["predictions"]


def test_a_run_that_took_over_a_pre_training_shows_its_matrix(run: Path) -> None:
    lender = json.loads((run / RECORD).read_text())["run_id"]
    borrower = write_full_run(
        run.parent, fraction=0.05, folder="borrower", edit=lambda d: d["details"].update(pretrained_by=lender)
    )
    (borrower / DIAGNOSTICS).unlink()
    assert "is not beside" in read_run(borrower).missing["correlation"]
    run.rename(run.parent / f"lender-{lender[:8]}")
    found = read_run(borrower).correlation
    assert found is not None
    assert found.pretrained_by == lender
    np.testing.assert_array_equal(found.matrix, matrix().astype(np.float32))
    edit_record(borrower, details={"pretrained_by": "../../*"})
    assert "is not beside" in read_run(borrower).missing["correlation"]


def test_runs_beside_it_that_differ_in_labels_alone_make_a_curve(tmp_path: Path) -> None:
    place = write_run(tmp_path, fraction=0.25)
    write_run(tmp_path, fraction=0.01, quality=1.0)
    write_run(tmp_path, fraction=1.0, quality=2.0)
    write_run(tmp_path, fraction=0.02, quality=1.2, data="rounded otherwise")
    for other in (
        {"seed": 1},
        {"data": "others", "data_seed": 1},
        {"objective": "simclr"},
        {"code": "changed"},
        {"protocol": 2},
    ):
        write_run(tmp_path, fraction=0.5, **other)
    write_run(tmp_path, fraction=0.7, failed="it did")
    shutil.copytree(place, tmp_path / "a-copy")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / RECORD).write_text("{")
    found = read_run(place)
    assert [(point.labelled, point.fraction, point.itself) for point in found.labels] == [
        (10, 0.01, False),
        (20, 0.02, False),
        (250, 0.25, True),
        (1000, 1.0, False),
    ]
    assert found.record.metrics is not None
    assert found.labels[2].auc == found.record.metrics.auc
    assert found.labels[0].auc.value < found.labels[3].auc.value


def test_of_many_runs_only_those_of_its_name_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write_run(tmp_path, fraction=0.25)
    run_id = json.loads((place / RECORD).read_text())["run_id"]
    place = place.rename(tmp_path / f"method-s0-{run_id[:8]}")
    write_run(tmp_path, fraction=0.01, folder="method-s0-00000000")
    for number in range(3):
        write_run(tmp_path, fraction=0.5, seed=number, folder=f"other-s{number}-00000000")
    opened: list[str] = []

    class Noting(EntryReader):
        def read(self, path: str) -> RecordEntry:
            opened.append(path)
            return super().read(path)

    monkeypatch.setattr(report_inputs, "EntryReader", Noting)
    assert [point.labelled for point in read_run(place).labels] == [10, 250]
    assert sorted(Path(path).parent.name for path in opened) == sorted([place.name, "method-s0-00000000"])


# --- folders that mean harm ---


def said(place: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_run(place)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_folder_an_empty_one_and_a_record_that_is_none(tmp_path: Path) -> None:
    assert "cannot be opened" in said(tmp_path / "nothing")
    assert "cannot be opened" in said(tmp_path)
    (tmp_path / RECORD).write_text('{"status": "ok"')
    assert "no JSON" in said(tmp_path)
    (tmp_path / RECORD).write_text('{"status": "ok"}')
    assert "no record" in said(tmp_path)
    (tmp_path / RECORD).unlink()
    (tmp_path / RECORD).symlink_to("/etc/hostname")
    assert "cannot be opened" in said(tmp_path)


def test_scores_of_another_run_are_refused(run: Path) -> None:
    replace_arrays(run / PREDICTIONS, score=np.linspace(0, 1, len(LABEL)).astype(np.float32))
    assert "belongs to another run" in said(run)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"score": np.full(300, np.nan)}, "300 of 300 scores are NaN"),
        ({"label": np.ones(300, np.int8)}, "both classes"),
        ({"embedding": np.zeros((299, 4))}, r"[299, 4], not [300, features]"),
        ({"embedding": np.zeros(300)}, r"[300], not [300, features]"),
        ({"embedding": np.zeros((300, 0))}, "[300, 0]"),
        ({"embedding": np.full((300, 2), np.inf)}, "not finite"),
        ({"embedding": np.array([["a"] * 2] * 300)}, "not numbers"),
        ({"embedding": np.asfortranarray(np.ones((300, 2)))}, "row by row"),
        ({"snr": None}, "snr.npy"),
    ],
)
def test_arrays_that_cannot_be_are_refused(run: Path, changed: dict[str, Any], message: str) -> None:
    replace_arrays(run / PREDICTIONS, **changed)
    assert message in said(run)


@pytest.mark.parametrize("name", [PREDICTIONS, DIAGNOSTICS])
def test_a_file_that_was_cut_off_is_one_message(run: Path, name: str) -> None:
    whole = (run / name).read_bytes()
    for size in (0, 30, len(whole) // 2, len(whole) - 3):
        (run / name).write_bytes(whole[:size])
        assert f"{name} cannot be read" in said(run)


@pytest.mark.parametrize(
    "changed",
    [
        {"cross_correlation": np.eye(5)[:4]},
        {"cross_correlation": np.full((4, 4), 7.0)},
        {"cross_correlation": np.full((4, 4), np.nan)},
        {"cross_correlation": np.zeros(4)},
        {"cross_correlation": np.zeros((0, 0))},
        {"width": np.array(3)},
        {"windows": np.array(0)},
        {"windows": np.array([1, 2])},
        {"cross_correlation": np.zeros((1500, 1500)), "width": np.array(1500)},
    ],
)
def test_a_matrix_that_cannot_be_is_refused(run: Path, changed: dict[str, Any]) -> None:
    write_matrix(run, **changed)
    assert DIAGNOSTICS in said(run)


def test_a_header_that_promises_more_than_there_is_asks_for_no_memory(run: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (300, 60_000)})
    with np.load(run / PREDICTIONS) as arrays:
        rest = {name: arrays[name] for name in ("label", "score", "snr")}
    np.savez(run / PREDICTIONS, **rest)
    with zipfile.ZipFile(run / PREDICTIONS, "a") as archive:
        archive.writestr("embedding.npy", stream.getvalue() + bytes(100))
    assert "embedding is cut off" in said(run)
