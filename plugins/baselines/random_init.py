"""The floor: an untrained encoder."""

from __future__ import annotations

from gwbench.contracts import Baseline, RunContext, Scores
from gwbench.registry import register


@register(
    "baseline",
    "random-init",
    citation="Saxe et al., On Random Weights and Unsupervised Feature Learning, ICML 2011",
    tags=("floor",),
)
class RandomInit(Baseline):
    """The encoder as it was initialised, never trained, with the same probe: the floor of a leaderboard."""

    needs_encoder = True

    def scores(self, context: RunContext) -> Scores:
        """Scores of the probe on the untrained encoder."""
        return context.probe(context.new_encoder())
