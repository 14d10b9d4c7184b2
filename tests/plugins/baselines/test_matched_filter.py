from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from gwbench.errors import UserError
from gwbench.plugins.baselines.matched_filter import MatchedFilter
from tests.plugins.baselines.search_job import SearchJob, search_job


@pytest.fixture(scope="module")
def job() -> SearchJob:
    return search_job((11.0, 20.0))


def test_loud_signals_are_found_at_their_snr_and_the_bank_loses_little(job: SearchJob) -> None:
    found = MatchedFilter(draws=200).scores(job)
    signal = job.label == 1
    assert roc_auc_score(job.label, found.test) > 0.995
    # Noise's six degrees of freedom add 6 to the square, the search over times some more; the weights take some.
    network, optimal = np.sqrt(2 * found.test), job.splits.test.snr[signal]
    assert np.mean(network[signal] - np.sqrt(optimal**2 + 6)) == pytest.approx(0, abs=1.0)
    assert np.std(network[signal] - optimal) < 1.5
    assert np.corrcoef(network[signal], optimal)[0, 1] > 0.9
    # In 2 s of noise the three detectors' sum of squares, of mean 6, rises to some 30 in the loudest of many trials.
    assert 4 < network[~signal].min() < network[~signal].max() < 9
    assert found.details["bank_from"] == "labelled signals"
    assert found.details["fitting_factor_5_percent"] > 0.97
    assert found.details["fitting_factor_5_percent"] <= found.details["fitting_factor_effective"] < 1
    assert 2 <= found.details["templates"] < 200


def test_scores_depend_on_the_seed_alone_and_not_on_hidden_labels(job: SearchJob) -> None:
    baseline = MatchedFilter(draws=20, most_templates=3)
    shown = replace(job, splits=replace(job.splits, test=replace(job.splits.test, label=job.label)))
    first = baseline.scores(job).test
    np.testing.assert_array_equal(first, baseline.scores(shown).test)
    assert not np.array_equal(first, baseline.scores(replace(job, seed=1)).test)


def test_without_parameters_the_bank_covers_the_ranges_given(job: SearchJob) -> None:
    train, val = (replace(split, parameters={}) for split in (job.splits.train, job.splits.val))
    bare = replace(job, splits=replace(job.splits, train=train, val=val))
    found = MatchedFilter(mass=(40.0, 60.0), spin=(-0.3, 0.3), draws=100).scores(bare)
    assert found.details["bank_from"] == "uniform ranges"
    assert roc_auc_score(job.label, found.test) > 0.995


def test_it_flattens_the_noise_that_the_seed_conditioning_leaves_coloured() -> None:
    job = search_job((11.0, 20.0), conditioning={"method": "seed"})
    found = MatchedFilter(draws=50).scores(job)
    assert roc_auc_score(job.label, found.test) > 0.97
    assert 4 < np.median(np.sqrt(2 * found.test[job.label == 0])) < 7


def test_the_bank_is_not_made_larger_than_allowed(job: SearchJob) -> None:
    assert MatchedFilter(draws=100, most_templates=2).scores(job).details["templates"] == 2


def test_without_labelled_noise_it_is_refused(job: SearchJob) -> None:
    val = replace(job.splits.val, label=np.ones_like(job.splits.val.label))
    few = replace(job, splits=replace(job.splits, val=val), labelled=np.arange(4))
    with pytest.raises(UserError, match="labelled noise windows"):
        MatchedFilter().scores(few)
