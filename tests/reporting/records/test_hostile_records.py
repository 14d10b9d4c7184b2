"""Folders of runs may come from anyone: what cannot be a record is named and passed over."""

from __future__ import annotations

import json
import os
import random
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gwbench.errors import UserError
from gwbench.experiment.record import LARGEST, PREDICTIONS, RECORD, load_record, read_record
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.rows import Options
from gwbench.reporting.records.discover import find_records
from gwbench.reporting.records.entry import EntryReader
from gwbench.reporting.records.predictions import read_predictions
from gwbench.utils.untrusted_files import UnusableError
from tests.reporting.synthetic_runs import LABEL, scores_of, write_run

N = len(LABEL)


def write(path: Path, content: str | bytes) -> Path:
    path.mkdir(parents=True)
    (path / RECORD).write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def edited(root: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    write_run(root, folder=name, edit=change)


def set_at(*keys: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return change


@pytest.fixture
def zoo(tmp_path: Path) -> dict[str, str]:
    """A folder of good and bad records: the bad ones by name, with what is said of them."""
    good = write_run(tmp_path / "runs", folder="good")
    text = (good / RECORD).read_text()
    runs = tmp_path / "runs"
    write(runs / "truncated", text[: len(text) // 2])
    write(runs / "empty", "")
    write(runs / "list", "[1, 2]")
    write(runs / "bytes", b"\xff\xfe\x00")
    write(runs / "deep", "[" * 100_000)
    edited(runs, "nan", set_at("metrics", "auc", "value", value=float("nan")))
    edited(runs, "infinite", set_at("phases", "pretrain", "seconds", value=1e999))
    edited(runs, "huge-number", set_at("parameters", value=10**400))
    edited(runs, "auc-of-17", set_at("metrics", "auc", value={"value": 17, "low": 16, "high": 18}))
    edited(runs, "no-metrics", set_at("metrics", value=None))
    edited(runs, "newer", set_at("schema_version", value=9))
    edited(runs, "other-schema", set_at("spec", value={"name": "of something else"}))
    edited(runs, "extra", set_at("surprise", value=1))
    write(runs / "large", text.ljust(LARGEST + 1))
    (runs / "fifo").mkdir()
    os.mkfifo(runs / "fifo" / RECORD)
    (runs / "folder" / RECORD).mkdir(parents=True)
    outside = write_run(tmp_path / "outside", folder="run", seed=9)
    (runs / "link-out").symlink_to(outside)
    (runs / "file-link").mkdir()
    (runs / "file-link" / RECORD).symlink_to(outside / RECORD)
    (runs / "broken").mkdir()
    (runs / "broken" / RECORD).symlink_to(runs / "nowhere")
    (runs / "loop").symlink_to(runs)
    (runs / "link-in").symlink_to(good)
    return {
        "truncated": "no JSON",
        "empty": "no JSON",
        "list": "no record",
        "bytes": "no JSON",
        "deep": "no JSON",
        "nan": "no JSON",
        "infinite": "no JSON",
        "huge-number": "no sensible number",
        "auc-of-17": "between 0 and 1",
        "no-metrics": "holds no metrics",
        "newer": "schema version 9 is newer than 1",
        "other-schema": "no record: spec",
        "extra": "surprise",
        "large": "16 MiB, more than the 16 MiB",
        "fifo": "not a plain file",
        "folder": "a folder",
        "link-out": "a link out of the folder",
        "file-link": "a link out of the folder",
        "broken": "a link out of the folder",
    }


def test_bad_records_are_named_and_the_good_one_is_read(tmp_path: Path, zoo: dict[str, str]) -> None:
    board = build([tmp_path / "runs"], Options())
    assert board.records == 1
    (row,) = board.tables[0].rows
    assert [run.seed for run in row.runs] == [0]
    reasons = {Path(each.path).relative_to(tmp_path / "runs").parts[0]: each.reason for each in board.skipped}
    assert set(reasons) == set(zoo)
    assert len(board.skipped) == len(zoo)
    for name, said in zoo.items():
        assert said in reasons[name], name


def test_a_run_is_read_as_strictly_as_a_leaderboard(tmp_path: Path, zoo: dict[str, str]) -> None:
    runs = tmp_path / "runs"
    assert read_record(runs / "good").folder == str(runs / "good")
    assert read_record(runs / "link-in").status == "ok"  # the folder is the user's to choose
    for name in zoo.keys() - {"link-out"}:
        with pytest.raises(UserError) as caught:
            read_record(runs / name)
        if name in ("folder", "file-link", "broken"):
            assert f"The record {runs / name / RECORD} cannot be read (" in str(caught.value)
        else:
            assert zoo[name] in str(caught.value)
            assert "Run with --rerun" in str(caught.value)
    with pytest.raises(UserError, match="There is no record in"):
        read_record(runs)


def test_nothing_usable_is_the_users_mistake(tmp_path: Path) -> None:
    write(tmp_path / "bad", "{")
    with pytest.raises(UserError, match=r"None of the 1 records.*bad/record\.json: it is no JSON"):
        build([tmp_path], Options())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"There is no record\.json in"):
        build([tmp_path / "empty"], Options())
    with pytest.raises(UserError, match="There is no folder"):
        build([tmp_path / "absent"], Options())


def test_a_folder_that_is_itself_a_run_and_one_named_twice(tmp_path: Path) -> None:
    run = write_run(tmp_path, folder="run")
    (tmp_path / "alias").symlink_to(tmp_path / "run")
    found = list(find_records([run, tmp_path, tmp_path / "alias"]))
    assert found == [(str(run / RECORD), None)]


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read everything")
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    write_run(tmp_path, folder="good")
    closed = write_run(tmp_path, folder="closed", seed=1)
    closed.chmod(0)
    try:
        (skipped,) = build([tmp_path], Options()).skipped
    finally:
        closed.chmod(0o755)
    assert "cannot be read" in skipped.reason


def test_whatever_is_done_to_a_record_it_is_read_or_named(tmp_path: Path) -> None:
    """A thousand records with something replaced at random."""
    text = (write_run(tmp_path) / RECORD).read_text()
    values: list[Any] = [None, -1, 0, 1.5, 10**30, "", "x" * 50, [], {}, [1], {"a": 1}, True]
    values += [float("nan"), float("inf"), "\x1b[2J"]
    rng = random.Random(0)
    reader, outcomes = EntryReader(), {"read": 0, "named": 0}
    path = write(tmp_path / "fuzzed", "") / RECORD
    for _ in range(1000):
        document = json.loads(text)
        place: Any = document
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = rng.choice(keys)
            if isinstance(place[key], (dict, list)) and place[key] and rng.random() < 0.8:
                place = place[key]
                continue
            if rng.random() < 0.2:
                del place[key]
            else:
                place[key] = rng.choice(values)
            break
        path.write_text(json.dumps(document))
        try:
            reader.read(str(path))
            outcomes["read"] += 1
        except UnusableError:
            outcomes["named"] += 1
    assert min(outcomes.values()) > 50


def test_a_record_that_is_read_is_the_record(tmp_path: Path) -> None:
    run = write_run(tmp_path, seed=3)
    found = load_record(run / RECORD).record
    assert (found.folder, found.spec.seed) == (str(run), 3)


# --- test scores --------------------------------------------------------------------------------------------


def npy(array: Any) -> bytes:
    stream = BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def archive(folder: Path, **members: bytes) -> None:
    with zipfile.ZipFile(folder / PREDICTIONS, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(f"{name}.npy", content)


def huge_header() -> bytes:
    """An array that says it has 10^15 numbers, and has none."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }"
    header = header.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("/tmp/gwbench-was-here",)


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (npy(scores_of(1.0, 0)[:-1]), "score is float32"),
        (npy(scores_of(1.0, 0)[None]), "score is float32"),
        (npy(np.array([Evil()] * N, dtype=object)), "score is object"),
        (npy(np.array(["1"] * N)), "score is <U1"),
        (huge_header(), "score is float64"),
        (b"\x93NUMPY" + b"\x00" * 200, "cannot be read"),
        (npy(scores_of(1.0, 0))[:-40], "cannot be read"),
        (b"", "cannot be read"),
    ],
    ids=["short", "shape", "pickle", "text", "huge", "header", "truncated", "empty"],
)
def test_test_scores_are_numbers_of_the_right_length(tmp_path: Path, score: bytes, said: str) -> None:
    archive(tmp_path, label=npy(LABEL), score=score, snr=npy(LABEL))
    with pytest.raises(UnusableError, match=said):
        read_predictions(tmp_path, N)
    assert not Path("/tmp/gwbench-was-here").exists()


def test_an_archive_that_inflates_without_end_is_not_inflated(tmp_path: Path) -> None:
    archive(tmp_path, label=npy(LABEL), score=npy(scores_of(1.0, 0)) + bytes(200 * 2**20), snr=npy(LABEL))
    assert (tmp_path / PREDICTIONS).stat().st_size < 2**20
    found = read_predictions(tmp_path, N)
    np.testing.assert_array_equal(found.score, scores_of(1.0, 0))


def test_archives_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / PREDICTIONS
    with pytest.raises(UnusableError, match="cannot be opened"):
        read_predictions(tmp_path, N)
    path.write_bytes(b"PK\x05\x06 no archive")
    with pytest.raises(UnusableError, match="cannot be read"):
        read_predictions(tmp_path, N)
    path.unlink()
    archive(tmp_path, label=npy(LABEL), score=npy(LABEL))
    with pytest.raises(UnusableError, match="snr"):
        read_predictions(tmp_path, N)
    path.rename(tmp_path / "elsewhere.npz")
    path.symlink_to(tmp_path / "elsewhere.npz")
    with pytest.raises(UnusableError, match="cannot be opened"):
        read_predictions(tmp_path, N)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UnusableError, match="not a plain file"):
        read_predictions(tmp_path, N)


def test_unlabelled_windows_are_left_out(tmp_path: Path) -> None:
    label = LABEL.copy()
    label[::10] = -1
    archive(tmp_path, label=npy(label), score=npy(scores_of(1.0, 0)), snr=npy(LABEL))
    found = read_predictions(tmp_path, N)
    np.testing.assert_array_equal(found.score, scores_of(1.0, 0)[label >= 0])
    assert set(found.label) == {0, 1}
