from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.metrics import average_precision_score, roc_auc_score

from gwbench.errors import UserError
from gwbench.evaluation.metrics import Metrics, evaluate_scores

Array = NDArray[Any]


def scored(n_signal: int = 900, n_noise: int = 1500, seed: int = 0) -> tuple[Array, Array, Array]:
    """Scores that grow with the SNR, which is uniform in 6 to 22 and unknown for noise."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.repeat([1, 0], [n_signal, n_noise])).astype(np.int8)
    snr = np.where(label == 1, rng.uniform(6, 22, len(label)), np.nan).astype(np.float32)
    return label, rng.normal(size=len(label)) + 0.25 * np.nan_to_num(snr), snr


def test_figures_agree_with_scikit_learn() -> None:
    label, score, snr = scored()
    found = evaluate_scores(label, score, snr)
    assert found.auc.value == pytest.approx(roc_auc_score(label, score))
    assert found.auc.low < found.auc.value < found.auc.high
    assert found.average_precision == pytest.approx(average_precision_score(label, score))
    assert (found.n_test, found.n_signal, found.n_noise, found.n_unlabelled) == (2400, 900, 1500, 0)
    assert found.level == 0.95
    assert found.knn_auc is None
    # One in a hundred of 1500 noise windows: the 16th loudest is the threshold.
    threshold = np.sort(score[label == 0])[-16]
    efficiency = found.tpr_at_fpr["0.01"]
    assert efficiency is not None
    assert efficiency.value == pytest.approx(np.mean(score[label == 1] > threshold))


def test_snr_bins_set_their_signals_against_all_noise() -> None:
    label, score, snr = scored()
    found = evaluate_scores(label, score, snr)
    # No signal below 6: that bin is left out.
    assert [(b.low, b.high) for b in found.per_snr_bin] == [
        (6, 8),
        (8, 10),
        (10, 12),
        (12, 15),
        (15, 20),
        (20, None),
    ]
    assert sum(b.n for b in found.per_snr_bin) == 900
    areas = [b.auc.value for b in found.per_snr_bin]
    assert areas == sorted(areas)
    part = (label == 0) | ((snr >= 8) & (snr < 10))
    assert areas[1] == pytest.approx(roc_auc_score(label[part], score[part]))
    # The threshold is the same in every bin, so the bins' efficiencies average to the whole's.
    whole, bins = found.tpr_at_fpr["0.01"], [b.tpr_at_fpr["0.01"] for b in found.per_snr_bin]
    assert whole is not None
    mean = sum(b.n * e.value for b, e in zip(found.per_snr_bin, bins, strict=True) if e is not None) / 900
    assert mean == pytest.approx(whole.value)


def test_bins_need_a_known_snr() -> None:
    label, score, snr = scored()
    assert evaluate_scores(label, score, np.full(len(label), np.nan)).per_snr_bin == ()
    half = snr.copy()
    half[np.flatnonzero(label == 1)[::2]] = np.nan
    assert sum(b.n for b in evaluate_scores(label, score, half).per_snr_bin) == 450


def test_edges_are_settable_and_checked() -> None:
    label, score, snr = scored()
    found = evaluate_scores(label, score, snr, snr_edges=(0, 12))
    assert [(b.low, b.high) for b in found.per_snr_bin] == [(0, 12), (12, None)]
    with pytest.raises(ValueError, match="ascend"):
        evaluate_scores(label, score, snr, snr_edges=(12, 0))
    with pytest.raises(ValueError, match="below the lowest edge 10"):
        evaluate_scores(label, score, snr, snr_edges=(10, 20))


def test_unlabelled_windows_are_left_out_and_counted() -> None:
    label, score, snr = scored()
    expected = evaluate_scores(label, score, snr, knn_score=-score)
    label = np.concatenate([label, np.full(30, -1)])
    score, snr = (np.concatenate([a, np.full(30, np.nan)]) for a in (score, snr))
    found = evaluate_scores(label, score, snr, knn_score=-score)
    assert found == expected.model_copy(update={"n_unlabelled": 30})
    assert found.knn_auc is not None
    assert found.knn_auc.value == pytest.approx(1 - found.auc.value)
    unknown = label.astype(float)
    unknown[label == -1] = np.nan
    assert evaluate_scores(unknown, score, snr, knn_score=-score) == found


def test_a_rate_the_noise_cannot_resolve_is_none() -> None:
    label, score, snr = scored(n_noise=999)
    found = evaluate_scores(label, score, snr)
    assert found.tpr_at_fpr["0.001"] is None
    assert found.tpr_at_fpr["0.01"] is not None
    assert found.per_snr_bin[0].tpr_at_fpr["0.001"] is None
    label, score, snr = scored(n_noise=1000)
    assert evaluate_scores(label, score, snr).tpr_at_fpr["0.001"] is not None
    assert set(evaluate_scores(label, score, snr, efficiency_fpr=(0.1,)).tpr_at_fpr) == {"0.1"}


@pytest.mark.parametrize("n_signal", [1, 900])
def test_json_there_and_back(n_signal: int) -> None:
    label, score, snr = scored(n_signal=n_signal)
    found = evaluate_scores(label, score, snr, knn_score=score)
    text = found.model_dump_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert Metrics.model_validate_json(text) == found
    document = json.loads(text)
    assert set(document["auc"]) == {"value", "low", "high"}
    assert document["per_snr_bin"][-1]["high"] is None or n_signal == 1


def test_perfect_scores_stay_finite() -> None:
    label, _, snr = scored()
    found = evaluate_scores(label, label.astype(float), snr)
    assert found.auc.value == 1.0
    assert 0.99 < found.auc.low < 1.0
    assert json.loads(found.model_dump_json())["auc"]["high"] == 1.0


def test_a_record_with_other_fields_or_nan_is_refused() -> None:
    label, score, snr = scored()
    document = json.loads(evaluate_scores(label, score, snr).model_dump_json())
    for change in (
        {"extra": 1},
        {"average_precision": float("nan")},
        {"auc": {"value": float("nan"), "low": 0.1, "high": 0.9}},
        {"auc": {"value": 0.95, "low": 0.1, "high": 0.9}},
        {"auc": {"value": 0.5, "low": 0.1, "high": 0.9, "extra": 1}},
    ):
        with pytest.raises(ValidationError):
            Metrics.model_validate({**document, **change})


def test_bad_input() -> None:
    label, score, snr = scored()
    with pytest.raises(UserError, match="0 signal and 2400 noise"):
        evaluate_scores(np.zeros(2400), score, snr)
    with pytest.raises(UserError, match="1 of 2400 scores are NaN"):
        evaluate_scores(label, np.where(np.arange(2400) == 5, np.nan, score), snr)
    with pytest.raises(ValueError, match=r"all \[N\]"):
        evaluate_scores(label, score[:-1], snr)


def test_the_snr_at_which_half_are_found() -> None:
    label, score, snr = scored(n_signal=4000, n_noise=4000)
    found = evaluate_scores(label, score, snr)
    # The score of a signal is normal about SNR / 4: half pass the threshold where that equals it.
    for rate in ("0.01", "0.001"):
        threshold = np.sort(score[label == 0])[-1 - int(4000 * float(rate))]
        assert found.snr_at_half[rate].value == pytest.approx(4 * threshold, rel=0.03)
    assert found.snr_at_half["0.01"].low == pytest.approx(np.nanmin(snr))
    assert found.snr_at_half["0.01"].high == pytest.approx(np.nanmax(snr))


def test_half_the_signals_need_enough_of_known_snr_and_noise_for_the_rate() -> None:
    label, score, snr = scored(n_noise=500)
    assert set(evaluate_scores(label, score, snr).snr_at_half) == {"0.01"}
    assert evaluate_scores(label, score, np.full(len(label), np.nan)).snr_at_half == {}


def test_metrics_of_before_the_figure_was_there_are_read() -> None:
    label, score, snr = scored()
    document = json.loads(evaluate_scores(label, score, snr).model_dump_json())
    del document["snr_at_half"]
    assert Metrics.model_validate(document).snr_at_half == {}
