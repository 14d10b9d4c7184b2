from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gwbench.errors import UserError
from gwbench.experiment.record import PREDICTIONS, RECORD
from gwbench.reporting.leaderboard.compare import Difference, compare_runs
from tests.evaluation.delong import all_pairs
from tests.reporting.synthetic_runs import LABEL, digest, scores_of, write_run


def test_the_test_is_delongs(tmp_path: Path) -> None:
    one, other = scores_of(1.0, 0), scores_of(1.3, 1)
    a = write_run(tmp_path, folder="a", score=one)
    b = write_run(tmp_path, folder="b", score=other, seed=1)
    found = compare_runs(a, b / RECORD)
    area, covariance = all_pairs(LABEL, np.stack([one, other]))
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found.test is not None and found.untested is None
    assert found.test.difference == pytest.approx(area[0] - area[1])
    assert found.test.p == pytest.approx(2 * stats.norm.sf(abs(area[0] - area[1]) / error), rel=1e-6)
    assert found.test.low == pytest.approx(area[0] - area[1] - stats.norm.ppf(0.975) * error, rel=1e-6)
    assert found.a.auc is not None and found.a.auc.value == pytest.approx(area[0])
    assert (found.a.seed, found.b.seed) == (0, 1)


def test_what_differs_is_said_by_kind(tmp_path: Path) -> None:
    def elsewhere(document: dict[str, Any]) -> None:
        document["environment"]["packages"]["torch"] = "9.9"
        document["environment"]["git_commit"] = "abc"
        document["data"].update(content_hash=digest("other"), fingerprint={"files": "other"})

    a = write_run(tmp_path, settings={"training.lr": 1e-3})
    b = write_run(tmp_path, baseline="random-init", edit=elsewhere)
    found = compare_runs(a, b)
    spec = {each.name: (each.a, each.b) for each in found.spec}
    assert spec["baseline.name"] == ("-", "random-init")
    assert spec["training.lr"] == ("0.001", "-")
    assert "dataset.name" not in spec
    assert [each.name for each in found.data] == ["content_hash", "fingerprint", "fingerprint.files"]
    assert Difference(name="git commit", a="none", b="abc") in found.code
    assert any(each.name == "baseline random-init" and each.a == "-" for each in found.code)
    assert found.environment == (Difference(name="torch", a="-", b="9.9"),)
    assert found.test is None and found.untested is not None and "different data" in found.untested


def test_runs_on_data_that_were_rounded_otherwise_are_tested(tmp_path: Path) -> None:
    a, b = write_run(tmp_path, data="a"), write_run(tmp_path, data="b", quality=2.0, seed=1)
    found = compare_runs(a, b)
    assert found.test is not None and found.test.difference < 0
    assert [each.name for each in found.data] == ["content_hash"]


def test_the_same_run_is_no_different(tmp_path: Path) -> None:
    a = write_run(tmp_path)
    found = compare_runs(a, a)
    assert found.test is not None and (found.test.difference, found.test.p) == (0.0, 1.0)
    assert found.spec == found.data == found.code == found.environment == ()


def test_why_there_is_no_test(tmp_path: Path) -> None:
    a = write_run(tmp_path, folder="a")
    failed = compare_runs(a, write_run(tmp_path, folder="failed", failed="ValueError: no"))
    assert (failed.untested, failed.b.failed, failed.b.auc) == ("run B failed", "ValueError: no", None)
    gone = write_run(tmp_path, folder="gone", predictions=False)
    assert (compare_runs(a, gone).untested or "").startswith("run B: it cannot be opened")
    assert (found := compare_runs(a, gone)).a.unchecked is None and found.b.unchecked == "there is no predictions.npz"
    with np.load(a / PREDICTIONS) as arrays:  # the same windows, the other way round
        np.savez(gone / PREDICTIONS, **{name: arrays[name][::-1] for name in arrays.files})
    assert "other labels" in (compare_runs(a, gone).untested or "")
    np.savez(gone / PREDICTIONS, label=LABEL[::-1], score=scores_of(1.0, 0), snr=LABEL)
    with pytest.raises(UserError, match=r"gone/record.json is refused: .*ROC-AUC is 0\.\d+ in the record and 0\."):
        compare_runs(a, gone)


def test_no_record_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no record of a run"):
        compare_runs(tmp_path, tmp_path)
