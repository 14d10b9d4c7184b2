"""Runs without a label: the objective's own head scores the test windows, and no probe is fitted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from sklearn.metrics import roc_auc_score

import gwbench
from gwbench.contracts import Objective
from gwbench.errors import UserError
from gwbench.experiment.data_cache import DataCache
from gwbench.experiment.record import OBJECTIVE, RunRecord
from gwbench.experiment.spec import RunSpec
from gwbench.nn.objective_scorer import without_single_detectors
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.columns import columns_of
from gwbench.reporting.leaderboard.rows import Options
from gwbench.utils.progress import Progress
from tests.conftest import TINY, Heard

SETTINGS = {key: value for key, value in TINY.items() if key != "encoder.stride"} | {
    "encoder.stride": 8,
    "objective.hidden_dim": 16,
}


def carry_out(out: Path, fraction: float, progress: Progress | None = None, **given: Any) -> RunRecord:
    return gwbench.run(
        pairing="coincidence",
        objective="coincidence",
        settings=SETTINGS | {"evaluation.label_fraction": fraction},
        out=out,
        device="cpu",
        precision="fp32",
        progress=progress or Progress(),
        **given,
    )


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return carry_out(tmp_path_factory.mktemp("runs"), 0.0, probe_every=1)


def folder(record: RunRecord) -> Path:
    assert record.folder
    return Path(record.folder)


def predictions(record: RunRecord) -> dict[str, Any]:
    with np.load(folder(record) / "predictions.npz") as archive:
        return dict(archive)


def head(record: RunRecord, embedding: Any) -> Any:
    """[N] log-odds of embeddings by the weights that the run kept, in numpy."""
    weights = {name: np.asarray(value, np.float64) for name, value in load_file(folder(record) / OBJECTIVE).items()}
    x = (np.asarray(embedding, np.float64) - weights["head.0.running_mean"]) / np.sqrt(
        weights["head.0.running_var"] + 1e-5
    )
    x = (x * weights["head.0.weight"] + weights["head.0.bias"]) @ weights["head.1.weight"].T + weights["head.1.bias"]
    x = x / (1 + np.exp(-x))
    return (x @ weights["head.3.weight"].T + weights["head.3.bias"])[:, 0]


def test_scores_are_those_of_the_head_less_those_with_a_detector_silent(free: RunRecord) -> None:
    found = predictions(free)
    encoder = gwbench.load_encoder(folder(free)).encoder
    strain = DataCache().conditioned(free.spec, Progress()).strain["test"][:]
    wanted = head(free, found["embedding"])
    for detector in range(3):
        silent = strain.clone()
        silent[:, detector] = 0
        with torch.no_grad():
            wanted = wanted - head(free, encoder.embed(silent).numpy()) / 2
    np.testing.assert_allclose(found["score"], wanted, rtol=1e-3, atol=1e-5)
    assert free.auc == pytest.approx(roc_auc_score(found["label"], wanted), abs=2e-3)


def test_what_a_detector_says_alone_cancels() -> None:
    """Evidence of each detector, and of the network together: the second alone is left where silence says nothing."""
    strain = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 3, 4)))

    def together(given: torch.Tensor) -> torch.Tensor:
        return given.prod(dim=1).sum(dim=1)

    def log_odds(given: torch.Tensor) -> torch.Tensor:
        return together(given) - (given**2).sum(dim=(1, 2))

    torch.testing.assert_close(without_single_detectors(log_odds, strain, log_odds(strain)), together(strain))


def test_no_label_is_used_and_the_record_says_so(free: RunRecord) -> None:
    assert free.data is not None
    assert free.metrics is not None
    assert free.data.labelled == 0
    assert free.metrics.knn_auc is None
    assert not any(name.startswith("probe") for name in free.details)
    data = DataCache().conditioned(free.spec, Progress())
    scorer = gwbench.load_scorer(folder(free))
    val = scorer.score(data.splits.val.strain[:]).log_odds
    assert free.val_auc == pytest.approx(roc_auc_score(data.splits.val.label, val), abs=1e-3)
    assert free.learning_curve is not None
    assert free.learning_curve[-1].val_auc == pytest.approx(free.val_auc, abs=1e-6)


def test_the_kept_scorer_gives_the_same_scores(free: RunRecord) -> None:
    scorer = gwbench.load_scorer(folder(free))
    strain = DataCache().conditioned(free.spec, Progress()).splits.test.strain[:]
    np.testing.assert_allclose(scorer.score(strain).log_odds, predictions(free)["score"], rtol=1e-5, atol=1e-6)
    assert scorer.network
    predicted = gwbench.predict(folder(free), strain)
    np.testing.assert_allclose(predicted.score, predictions(free)["score"], rtol=1e-5, atol=1e-6)


def test_shares_of_labels_share_a_pre_training_and_stand_in_one_table(free: RunRecord) -> None:
    out = folder(free).parent
    probed = carry_out(out, 0.25)
    assert probed.details["pretrained_by"] == free.run_id
    (table,) = build([out], Options()).tables
    rows = {row.title: row for row in table.rows}
    title = free.spec.title
    assert set(rows) == {title, f"{title}, 0 labels"}
    assert table.label_fraction == 0.25
    own = rows[f"{title}, 0 labels"].cell.estimate
    assert own is not None
    assert own.mean == pytest.approx(free.auc)
    assert [cell.estimate and round(cell.estimate.mean, 6) for cell in rows[title].cells] == [
        round(free.auc, 6),
        round(probed.auc, 6),
    ]
    assert all(row.rank and row.runs for row in table.rows)
    board = build([out], Options())
    texts = {column.title: column.text(rows[title]) for column in columns_of(table, board)}
    assert texts["at 0 % labels"] == f"{free.auc:.3f}"
    (alone,) = build([out], Options(label_fraction=0.0)).tables
    assert [row.title for row in alone.rows] == [title]


def test_an_earlier_run_without_its_objective_cannot_lend(free: RunRecord, tmp_path: Path) -> None:
    probed = carry_out(tmp_path, 0.5)
    (folder(probed) / OBJECTIVE).unlink()
    heard = Heard()
    again = carry_out(tmp_path, 0.0, heard)
    assert "kept no objective to score with" in " ".join(heard.lines)
    assert predictions(again)["score"] == pytest.approx(predictions(free)["score"])


def test_an_encoder_of_other_data_scores_with_its_objective(free: RunRecord, tmp_path: Path) -> None:
    own = {key: value for key, value in SETTINGS.items() if key.startswith("dataset.")}
    settings = own | {"evaluation.label_fraction": 0.0}
    moved = gwbench.run(encoder_from=folder(free), settings=settings, data_seed=1, out=tmp_path, device="cpu")
    assert moved.data is not None
    assert moved.data.labelled == 0
    strain = DataCache().conditioned(moved.spec, Progress()).splits.test.strain[:]
    score = gwbench.load_scorer(folder(moved)).score(strain).log_odds
    np.testing.assert_allclose(score, predictions(moved)["score"], rtol=1e-5, atol=1e-6)


def test_an_objective_that_changed_after_its_run_gives_no_score(free: RunRecord, tmp_path: Path) -> None:
    changed = shutil.copytree(folder(free), tmp_path / "changed")
    with (changed / OBJECTIVE).open("ab") as file:
        file.write(b" ")
    settings = {key: value for key, value in SETTINGS.items() if key.startswith("dataset.")}
    settings["evaluation.label_fraction"] = 0.0
    with pytest.raises(UserError, match=r"cannot be used: .*: it has changed since"):
        gwbench.run(encoder_from=changed, settings=settings, data_seed=1, out=tmp_path, device="cpu")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"objective": "simclr"}, r"'simclr' has no score of its own, as these have: coincidence, coincidence-critic"),
        ({"baseline": "matched-filter"}, "the baseline 'matched-filter' uses labels. Choose another, or give a share"),
        (
            {"objective": "coincidence", "pairing": "coincidence", "task": "glitch"},
            "the task 'glitch' is learnt from labels",
        ),
    ],
)
def test_what_needs_labels_is_refused(named: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        RunSpec.create(**named, settings={"evaluation.label_fraction": 0})


def test_a_bound_that_uses_no_label_needs_none() -> None:
    assert not RunSpec.create(baseline="oracle", settings={"evaluation.label_fraction": 0}).uses_labels


def test_an_objective_has_a_score_only_where_it_says_so() -> None:
    class Plain(Objective):
        def loss(self, a: Any, b: Any) -> Any:
            return (a - b).square().mean()

    class Scoring(Plain):
        def log_odds(self, embedding: Any) -> Any:
            return embedding.sum(1)

    assert (Plain.scores_windows(), Scoring.scores_windows()) == (False, True)
    with pytest.raises(NotImplementedError, match="Plain has no score of its own"):
        Plain(4).log_odds(torch.zeros(2, 4))
