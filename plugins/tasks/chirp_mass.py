"""How heavy the binary behind a signal is."""

from __future__ import annotations

from typing import Any

import numpy as np

from gwbench.contracts import Array, Embedded, ProbeSettings, Scores, Split, Task
from gwbench.errors import UserError
from gwbench.evaluation.regression import regression_figures, ridge
from gwbench.registry import register

LEAST = 8
"""Signals among the labelled windows, and on validation, without which nothing is fitted."""


@register(
    "task",
    "log-chirp-mass",
    citation="ridge: Hoerl & Kennard, Technometrics 12 (1970) 55; interval of the rank correlation: Bonett & Wright, "
    "Psychometrika 65 (2000) 23",
    aliases=("chirp-mass",),
)
class LogChirpMass(Task):
    """The detector-frame chirp mass of signals, by ridge regression on its logarithm.

    Of the windows that hold a signal, the record reports R2 of the logarithm and the mean absolute error in solar
    masses with bootstrap intervals, and Spearman's rank correlation with Fisher's. The penalty is the one with the
    least error on validation. The dataset must tell the masses of its signals (`mass_1`, `mass_2`).
    """

    main_figure = "r2"

    def targets(self, split: Split) -> Array:
        """Logarithms of the chirp mass in solar masses [N]; NaN for noise.

        Raises:
            UserError: the dataset does not tell the masses.
        """
        if not {"mass_1", "mass_2"} <= set(split.parameters):
            raise UserError(
                "This dataset does not tell its signals' masses (mass_1, mass_2), so that there is no chirp mass to "
                "predict: use simulated binaries, or another --task."
            )
        m1, m2 = (np.asarray(split.parameters[name], np.float64) for name in ("mass_1", "mass_2"))
        return np.log((m1 * m2) ** 0.6 / (m1 + m2) ** 0.2)

    def fit_predict(self, train: Embedded, val: Embedded, test: Array, settings: ProbeSettings) -> Scores:
        """Logarithms [N_test]."""
        known, judged = np.isfinite(train.targets), np.isfinite(val.targets)
        if min(known.sum(), judged.sum()) < LEAST:
            raise UserError(
                f"{known.sum()} labelled training windows and {judged.sum()} validation windows hold a signal of known "
                f"mass, and {LEAST} of each are needed: raise --label-fraction, or use more windows."
            )
        with settings.progress.task("Probe", 1) as step:
            fitted = ridge(
                train.embeddings[known], train.targets[known], val.embeddings[judged], val.targets[judged], test
            )
            step.advance()
        path = [{"penalty": penalty, "val_mse": error} for penalty, error in fitted.path]
        return Scores(test=fitted.test, details={"probe_penalty": fitted.penalty, "probe_path": path})

    def metrics(self, test: Split, scores: Scores) -> dict[str, Any]:
        """R2, rank correlation and mean absolute error of the signals."""
        targets = self.targets(test)
        known = np.isfinite(targets)
        truth, predicted = targets[known], np.asarray(scores.test, np.float64)[known]
        figures = regression_figures(truth, predicted)
        masses = regression_figures(np.exp(truth), np.exp(predicted))
        return {
            "r2": figures["r2"],
            "rank_correlation": figures["rank_correlation"],
            "mean_absolute_error": masses["mean_absolute_error"],
            "n_signal": int(known.sum()),
        }
