"""Whether there is a signal in the window."""

from __future__ import annotations

from gwbench.contracts import Array, Embedded, ProbeSettings, Scores, Split, Task
from gwbench.evaluation.knn import knn_scores
from gwbench.evaluation.linear_probe import linear_probe
from gwbench.evaluation.metrics import Metrics, evaluate_scores
from gwbench.registry import register


@register(
    "task",
    "detection",
    citation="linear probe: Alain & Bengio, arXiv:1610.01644; kNN: Wu et al., arXiv:1805.01978; "
    "AUC interval: DeLong et al., Biometrics 44 (1988) 837",
    tags=("default",),
)
class Detection(Task):
    """Signal or noise: a linear probe, and the vote of the nearest neighbours, judged by ROC-AUC and efficiency.

    The probe is a logistic regression whose regularisation the AUC on validation chooses. The record reports, with
    intervals, the AUC, the efficiency at low false-positive rates, both by optimal network SNR, and the SNR at which
    half the signals are found. It is what the evaluation protocol does where no task is named; a change of its numbers
    raises the protocol's version.
    """

    ranks_signals = True

    def targets(self, split: Split) -> Array:
        """Labels [N]: 1 signal, 0 noise, -1 unlabelled."""
        return split.label

    def fit_predict(self, train: Embedded, val: Embedded, test: Array, settings: ProbeSettings) -> Scores:
        """Log-odds of "signal", and the share of signals among the nearest neighbours."""
        with settings.progress.task("Probe", 2) as step:
            probe = linear_probe(train.embeddings, train.targets, val.embeddings, val.targets, test)
            step.advance()
            nearest = knn_scores(train.embeddings, train.targets, test, neighbours=settings.neighbours)
            step.advance()
        return Scores(
            test=probe.test_scores,
            details={
                "probe_strength": probe.strength,
                "probe_val_auc": probe.chosen.val_auc,
                "probe_converged": probe.chosen.converged,
                "probe_path": [{"strength": fit.strength, "val_auc": fit.val_auc} for fit in probe.path],
            },
            neighbours=nearest,
            val=probe.val_scores,
            head=probe.head(),
        )

    def metrics(self, test: Split, scores: Scores) -> Metrics:
        """AUC, average precision, efficiency and sensitivity of the scores."""
        return evaluate_scores(test.label, scores.test, test.snr, knn_score=scores.neighbours)
