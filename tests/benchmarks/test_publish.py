"""What is published is what its records give, and holds what it promises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import roc_auc_score

from benchmarks import publish
from gwbench.experiment.record import RunRecord, load_record, write_arrays
from gwbench.experiment.spec import RunSpec
from gwbench.suite.cell_run import RunOptions
from gwbench.suite.matrix import Cell, expand
from gwbench.suite.run import CellStatus, Plan
from gwbench.suite.schema import read_suite
from tests.reporting.synthetic_runs import LABEL, SNR, scores_of, write_run

ROOT = Path(__file__).parents[2]
PUBLISHED = sorted(path.name for path in (ROOT / publish.RESULTS).iterdir())
SEEDS = {0, 1, 2}
BASELINES = {"random-init", "band-power", "supervised", "supervised-all", "fine-tune", "matched-filter", "oracle"}
OBJECTIVES = {"barlow", "simclr", "byol", "vicreg"}


def runs_of(name: str) -> list[Path]:
    return sorted((ROOT / publish.RESULTS / name / "runs").iterdir())


def records_of(name: str) -> list[RunRecord]:
    return [load_record(folder / "record.json").record for folder in runs_of(name)]


def test_three_suites_are_published() -> None:
    assert {"quickstart", "g2net-like", "label-efficiency"} <= set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_tables_are_those_of_the_records(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    made = publish.tables(name)
    assert {path.name for path in made} >= set(publish.TABLES.values())
    for path, text in made.items():
        assert path.read_bytes() == text.encode(), f"{path}: `python benchmarks/publish.py --tables` makes it again"


def test_the_readme_shows_the_quickstart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert publish.README in publish.tables("quickstart")
    text = (ROOT / "README.md").read_text()
    best = json.loads((ROOT / publish.RESULTS / "quickstart" / "leaderboard.json").read_text())["tables"][0]["rows"]
    shown = [row for row in best if row["rank"] == 1]
    assert all(f"| {row['title']}" in text and f"{row['cell']['estimate']['mean']:.4f} ±" in text for row in shown)


@pytest.mark.parametrize("name", PUBLISHED)
def test_scores_and_records_belong_together_and_no_weights_are_kept(name: str) -> None:
    for folder in runs_of(name):
        assert {path.name for path in folder.iterdir()} == {"record.json", "predictions.npz"}
        record = load_record(folder / "record.json").record
        with np.load(folder / "predictions.npz", allow_pickle=False) as arrays:
            assert set(arrays) == {"label", "score", "snr"}
            area = roc_auc_score(arrays["label"], arrays["score"])
        assert record.auc == pytest.approx(area, abs=1e-9), folder.name


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_run_that_a_suite_asks_for_is_there_on_the_same_data(name: str) -> None:
    records = records_of(name)
    assert {record.status for record in records} == {"ok"}
    hashes = {(record.spec.dataset.model_dump_json(), record.data.content_hash) for record in records if record.data}
    assert len(hashes) == len({record.spec.dataset.model_dump_json() for record in records})
    suite = ROOT / "benchmarks" / f"{name}.yaml"
    assert set(read_suite(suite).file.seeds) >= SEEDS
    asked = [cell.spec for cell in expand(read_suite(suite), "bf16").cells]
    assert sorted(map(_stated, asked)) == sorted(_stated(record.spec) for record in records)


def _stated(spec: RunSpec) -> str:
    """What a suite says of a run: not the precision, which the machine chooses, whose weights are probed, and where
    recorded strain lies."""
    stated = spec.model_dump(mode="json", exclude={"precision", "encoder_from"})
    stated["dataset"]["parameters"].pop("path", None)
    return json.dumps(stated, sort_keys=True)


def _methods(name: str) -> set[tuple[Any, ...]]:
    specs = [record.spec for record in records_of(name) if record.spec.baseline is None]
    return {
        (s.encoder and s.encoder.name, s.pairing and s.pairing.name, bool(s.augmentations),
         s.objective and s.objective.name) for s in specs
    }  # fmt: skip


@pytest.mark.parametrize("name", ["g2net-like", "label-efficiency"])
def test_the_wide_suites_hold_what_was_promised(name: str) -> None:
    pairings = (("cross-detector", False), ("noise-injection", False), ("cross-detector", True))
    promised = {("cnn1d", *pairing, objective) for pairing in pairings for objective in OBJECTIVES}
    promised |= {("cqt2d", "cross-detector", False, objective) for objective in ("barlow", "simclr")}
    assert promised <= _methods(name)


@pytest.mark.parametrize("name", ["quickstart", "g2net-like", "label-efficiency"])
def test_all_baselines_are_there(name: str) -> None:
    assert {record.spec.baseline.name for record in records_of(name) if record.spec.baseline} == BASELINES


def test_finished_runs_are_copied_with_what_a_table_needs(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / "runs", seed=0), write_run(tmp_path / "runs", seed=1, failed="it burnt")]
    score = scores_of(1.5, 0).astype(np.float64)
    arrays: dict[str, Any] = {
        "label": LABEL,
        "score": score,
        "snr": SNR,
        "embedding": np.ones((len(LABEL), 5), np.float32),
    }
    write_arrays(folders[0] / "predictions.npz", arrays)
    (folders[0] / "weights.safetensors").write_bytes(b"heavy")
    records = [load_record(folder / "record.json").record for folder in folders]
    cell_statuses = [CellStatus(Cell("a run", r.spec), folder, r) for folder, r in zip(folders, records, strict=True)]
    place = RunOptions(str(tmp_path / "runs"), None, "cpu")
    found = Plan("tiny", "", place, cell_statuses, skipped=[], excluded=0, budget=None)
    target = tmp_path / "published"
    (target / "withdrawn").mkdir(parents=True)
    assert publish.copy(found, target) == 1
    assert {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()} == {
        f"{folders[0].name}/record.json",
        f"{folders[0].name}/predictions.npz",
    }
    assert not (target / "withdrawn").exists()
    copied = target / folders[0].name
    assert load_record(copied / "record.json").record.auc == records[0].auc
    with np.load(copied / "predictions.npz") as found_arrays:
        assert set(found_arrays) == {"label", "score", "snr"}
        assert found_arrays["score"].dtype == np.float32
        np.testing.assert_allclose(found_arrays["score"], score, rtol=1e-6)


def test_scores_are_shortened_only_where_their_order_stays() -> None:
    plain, close = np.array([0.1, 0.2, 0.2, -1.0]), np.array([1.0, 1.0 + 1e-12, 2.0])
    assert publish._short(plain).dtype == np.float32
    assert publish._short(close).dtype == np.float64


def test_a_suite_that_did_not_run_takes_nothing_away(tmp_path: Path) -> None:
    before = {folder.name for folder in runs_of("quickstart")}
    suite = str(ROOT / "benchmarks" / "quickstart.yaml")
    for words, said in (
        ([suite, "--runs", str(tmp_path)], "No cell of quickstart is done"),
        ([suite, "--tables"], "or --tables alone"),
        ([], "Give the suites"),
    ):
        result = CliRunner().invoke(publish.main, words)
        assert (result.exit_code, said in result.output) == (2, True), result.output
    assert {folder.name for folder in runs_of("quickstart")} == before
