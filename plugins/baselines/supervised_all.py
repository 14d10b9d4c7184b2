"""Training from scratch on every label."""

from __future__ import annotations

import numpy as np

from gwbench.contracts import Array, RunContext
from gwbench.plugins.baselines.supervised import Supervised
from gwbench.registry import register


@register(
    "baseline",
    "supervised-all",
    citation="a network trained on labels from scratch; AdamW: Loshchilov & Hutter, arXiv:1711.05101",
    tags=("labels", "trained", "all-labels"),
)
class SupervisedAll(Supervised):
    """The encoder and a linear head trained from scratch on every label of the training split.

    The record counts these labels; the run's label fraction has no effect. Parameters as of `supervised`.
    """

    def positions(self, context: RunContext) -> Array:
        """All training windows with a label."""
        return np.flatnonzero(context.splits.train.label >= 0)
