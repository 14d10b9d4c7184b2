"""Which detector holds a glitch, and of which kind it is."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from gwbench.contracts import Array, Embedded, ProbeSettings, Scores, Split, Task
from gwbench.errors import UserError
from gwbench.evaluation.classification import classification_figures, multinomial_probe
from gwbench.registry import register
from gwbench.simulation.glitches import GLITCH_KINDS

NONE = "none"
"""The class of windows without a glitch."""

LOUDNESS = ("glitch_snr_", "glitch_peak_")
"""How a dataset tells how loud a detector's loudest glitch is: simulated glitches, and recorded ones."""

KIND = "glitch_kind_"


@register("task", "glitch", citation="Zevin et al., Gravity Spy, arXiv:1611.04596")
class Glitch(Task):
    """The glitch in a window, if there is one: which detector it is in, or its kind, by a multinomial regression.

    Of several glitches in a window the loudest counts; a window without one is a class of its own. The record reports
    the macro AUC (each class against the rest) and the balanced accuracy with bootstrap intervals, and the AUC of each
    class. The strength of the probe is the most likely one on validation. The dataset must have glitches, such as the
    preset `glitches`; recorded ones have no known kind.

    Args:
        ask: "detector" or "kind".
    """

    main_figure = "macro_auc"

    def __init__(self, *, ask: Literal["detector", "kind"] = "detector") -> None:
        self.ask = ask

    def targets(self, split: Split) -> Array:
        """Classes [N], 0 for a window without a glitch.

        Raises:
            UserError: the dataset has no glitches, or does not tell their kinds.
        """
        detectors, loudness = _loudness(split)
        loudest = loudness.argmax(1)
        none = ~(loudness.max(1) > 0)
        if self.ask == "detector":
            return np.where(none, 0, 1 + loudest)
        if any(f"{KIND}{name}" not in split.parameters for name in detectors):
            raise UserError(
                "This dataset does not tell the kinds of its glitches, as it does of simulated ones: set "
                "task.ask=detector, or leave out dataset.glitch_path."
            )
        kinds = np.stack([np.asarray(split.parameters[f"{KIND}{name}"], np.float64) for name in detectors], axis=1)
        kind = np.nan_to_num(kinds[np.arange(len(kinds)), loudest], nan=-1.0).astype(np.int64)
        return np.where(none, 0, 1 + kind)

    def fit_predict(self, train: Embedded, val: Embedded, test: Array, settings: ProbeSettings) -> Scores:
        """Probabilities [N_test, K]."""
        classes = 1 + int(max(train.targets.max(), val.targets.max()))
        with settings.progress.task("Probe", 1) as step:
            fitted = multinomial_probe(
                train.embeddings, train.targets, val.embeddings, val.targets, test, max(classes, self._least())
            )
            step.advance()
        path = [{"strength": strength, "val_log_likelihood": value} for strength, value in fitted.path]
        return Scores(test=fitted.test, details={"probe_strength": fitted.strength, "probe_path": path})

    def metrics(self, test: Split, scores: Scores) -> dict[str, Any]:
        """Macro AUC, balanced accuracy and the AUC of each class."""
        names = [NONE, *(_loudness(test)[0] if self.ask == "detector" else GLITCH_KINDS)]
        shares = np.asarray(scores.test, np.float64)
        if shares.shape[1] < len(names):  # classes that no window with a label has
            shares = np.pad(shares, ((0, 0), (0, len(names) - shares.shape[1])))
        return classification_figures(self.targets(test), shares, names)

    def _least(self) -> int:
        """Classes that there are at least."""
        return 2 if self.ask == "detector" else 1 + len(GLITCH_KINDS)


def _loudness(split: Split) -> tuple[list[str], Array]:
    """The detectors, and how loud the loudest glitch is in each: [N, D], 0 where there is none."""
    for start in LOUDNESS:
        names = [name.removeprefix(start) for name in split.parameters if name.startswith(start)]
        if names:
            columns = [np.asarray(split.parameters[f"{start}{name}"], np.float64) for name in names]
            return names, np.nan_to_num(np.stack(columns, axis=1))
    raise UserError(
        "This dataset has no glitches to tell apart: use --set dataset.preset=glitches, set dataset.glitch_rate, or "
        "choose another --task."
    )
