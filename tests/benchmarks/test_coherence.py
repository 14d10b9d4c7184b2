"""benchmarks/coherence.py: evidences are integrals of the likelihood, and figures are those of a count."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import dblquad
from scipy.stats import norm, spearmanr
from sklearn.metrics import log_loss, roc_auc_score

from benchmarks.coherence import HEAD, IDEAL, Evidence, cyclic_mean, figures_of, slides

SAMPLES = 16


def evidence(templates: torch.Tensor, variance: Any, lags: tuple[int, ...]) -> Evidence:
    inner: Any = SimpleNamespace(vectors=lambda strain: strain)
    return Evidence(inner, templates, np.full(len(templates), 1 / len(templates)), np.asarray(variance), lags, SAMPLES)


def test_a_template_at_a_time_has_the_evidence_of_its_amplitude_integrated_out() -> None:
    """Of one bin, where every time gives the same |SNR|: quadratures x, y of unit noise under a Gaussian amplitude."""
    templates = torch.ones(1, 1, 1, dtype=torch.complex64)
    vectors = torch.tensor([[1.2 + 0.9j]], dtype=torch.complex64)
    x, y, variance = 1.2, 0.9, 3.0

    def ratio(a: float, b: float) -> float:  # likelihood of amplitude (a, b) against noise, times its prior
        return float(
            np.exp(a * x + b * y - (a * a + b * b) / 2) * norm.pdf(a, 0, variance**0.5) * norm.pdf(b, 0, variance**0.5)
        )

    wanted, _ = dblquad(ratio, -15, 15, -15, 15, epsabs=1e-6)
    coherent, single = evidence(templates, [variance], (0,))(vectors[None])
    assert np.exp(single[0, 0]) == pytest.approx(wanted, rel=1e-4)
    assert coherent[0] == pytest.approx(single[0, 0], rel=1e-6)


def test_one_source_is_the_mean_over_templates_times_and_delays() -> None:
    rng = np.random.default_rng(1)
    templates = torch.from_numpy(rng.standard_normal((3, 2, 5)) + 1j * rng.standard_normal((3, 2, 5))).to(
        torch.complex64
    )
    templates = templates / torch.linalg.vector_norm(templates, dim=-1, keepdim=True)
    vectors = torch.from_numpy(3 * (rng.standard_normal((2, 5)) + 1j * rng.standard_normal((2, 5)))).to(torch.complex64)
    variance, lag = np.array([4.0, 2.0]), 2
    series = np.fft.ifft((vectors * templates.conj()).numpy(), SAMPLES, norm="forward")
    each = np.exp(np.abs(series) ** 2 / 2 * (variance / (1 + variance))[:, None]) / (1 + variance)[:, None]
    total = 0.0
    for p in range(3):
        for t in range(SAMPLES):
            near = np.mean([each[p, 1, (t + step) % SAMPLES] for step in range(-lag, lag + 1)])
            total += each[p, 0, t] * near / (3 * SAMPLES)
    built = evidence(templates, variance, (0, lag))
    coherent, single = built(vectors[None])
    assert coherent[0] == pytest.approx(np.log(total), rel=1e-4)
    np.testing.assert_allclose(single[0], np.log(each.mean(axis=(0, 2))), rtol=1e-4)
    logarithm = torch.from_numpy(np.log(each))
    assert built._far_apart(logarithm) == pytest.approx(np.log(total), rel=1e-4)


@pytest.mark.parametrize("reach", [0, 1, 3, 5])
def test_cyclic_mean_is_the_mean_around_each_sample(reach: int) -> None:
    series = np.random.default_rng(2).random((2, SAMPLES))
    wanted = np.mean([np.roll(series, step, axis=1) for step in range(-reach, reach + 1)], axis=0)
    np.testing.assert_allclose(cyclic_mean(torch.from_numpy(series), reach).numpy(), wanted)


def test_every_detector_of_a_slid_window_is_of_another() -> None:
    made = slides(10, 3, seed=0)
    assert made.slid.tolist() == [False] * 10 + [True] * 10
    assert all(len(set(row)) == 3 for row in made.source[10:])
    assert all(sorted(column[10:]) == list(range(10)) for column in made.source.T)  # each strain is as often in both
    conditioned = torch.arange(30.0).reshape(10, 3, 1)
    assert made.strain(conditioned, slice(12, 13)).flatten().tolist() == [
        float(3 * window + detector) for detector, window in enumerate(made.source[12])
    ]


def test_figures_of_statistics() -> None:
    rng = np.random.default_rng(3)
    slid = np.repeat([False, True], 100)
    signals = np.repeat(rng.random(200) < 0.5, 2).reshape(200, 2)
    statistics = {IDEAL: rng.standard_normal(200) - slid, HEAD: rng.standard_normal(200) - slid}
    found = figures_of(statistics, slid, signals)
    assert found[f"{HEAD} pretext"].value == pytest.approx(roc_auc_score(~slid, statistics[HEAD]))
    assert found[f"{HEAD} signal"].value == pytest.approx(roc_auc_score(signals[:100, 0], statistics[HEAD][:100]))
    chance = 1 / (1 + np.exp(-statistics[HEAD]))
    assert found[f"{HEAD} entropy"].value == pytest.approx(log_loss(~slid, chance))
    assert found[f"{IDEAL} rank"].value == pytest.approx(spearmanr(statistics[IDEAL], statistics[HEAD]).statistic)
    assert found[f"{HEAD} rank"].value == pytest.approx(1)
