from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from gwbench.errors import UserError
from gwbench.plugins.baselines.matched_filter import MatchedFilter
from gwbench.plugins.baselines.oracle import NEEDED, Oracle
from tests.plugins.baselines.search_job import SearchJob, search_job


@pytest.fixture(scope="module")
def job() -> SearchJob:
    return search_job((2.0, 5.0), test=400)


def test_scores_are_the_normal_variates_that_theory_has(job: SearchJob) -> None:
    """log of the ratio is N(SNR^2 / 2, SNR^2) for a signal (Finn, arXiv:gr-qc/9209010)."""
    found = Oracle().scores(job).test
    signal, snr = job.label == 1, job.splits.test.snr
    pulls = (found[signal] - snr[signal] ** 2 / 2) / snr[signal]
    assert np.mean(pulls) == pytest.approx(0, abs=4 / np.sqrt(signal.sum()))
    assert np.std(pulls) == pytest.approx(1, abs=0.15)
    # Noise under a signal drawn from the same SNRs: the mean of -SNR^2 / 2 and its scatter.
    mean = -np.mean(snr[signal] ** 2) / 2
    assert np.mean(found[~signal]) == pytest.approx(mean, abs=4 * np.std(found[~signal]) / np.sqrt((~signal).sum()))


def test_it_ranks_as_the_likelihood_ratio_does_and_above_any_search(job: SearchJob) -> None:
    found = Oracle().scores(job).test
    signal, snr = job.label == 1, job.splits.test.snr
    rho = snr[signal].astype(float)
    # P(score of a signal of SNR a > that of noise asked about SNR b), averaged over both.
    separation = (rho[:, None] ** 2 + rho[None, :] ** 2) / 2 / np.sqrt(rho[:, None] ** 2 + rho[None, :] ** 2)
    expected = norm.cdf(separation).mean()
    reached = roc_auc_score(job.label, found)
    assert reached == pytest.approx(expected, abs=0.015)
    assert reached > roc_auc_score(job.label, MatchedFilter(draws=30, most_templates=6).scores(job).test) + 0.1
    assert expected < 0.999


def test_it_reads_the_waveforms_and_not_the_labels(job: SearchJob) -> None:
    shown = replace(job, splits=replace(job.splits, test=replace(job.splits.test, label=job.label)))
    np.testing.assert_array_equal(Oracle().scores(job).test, Oracle().scores(shown).test)


@pytest.mark.parametrize("missing", NEEDED)
def test_a_dataset_that_does_not_tell_the_waveforms_is_refused(job: SearchJob, missing: str) -> None:
    told = {name: values for name, values in job.splits.test.parameters.items() if name != missing}
    blind = replace(job, splits=replace(job.splits, test=replace(job.splits.test, parameters=told)))
    with pytest.raises(UserError, match=missing):
        Oracle().scores(blind)
