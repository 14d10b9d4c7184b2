"""A run's scorer on a batch of raw windows: score, probability, embedding and the variance of whitened strain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from gwbench.errors import UserError
from gwbench.nn.head_scorer import HeadScorer
from gwbench.preprocessing.conditioning import fit_to_strain
from gwbench.preprocessing.whitened_variance import median_variance, variance_warning, window_variance
from gwbench.search.predict.cutting import InputWindow, WindowCut, cut_for, margin_of
from gwbench.search.predict.partial import row_type
from gwbench.search.windows.source import WindowSource

if TYPE_CHECKING:
    from gwbench.contracts import Scorer
    from gwbench.data.dataset import Array
    from gwbench.experiment.scorer import RunScorer
    from gwbench.preprocessing.base import Conditioner
    from gwbench.search.predict.prediction import Conditioned

BATCH = 256
"""Windows scored at once: as many as an encoder embeds at once elsewhere, so that its products round alike."""

MEASURED = 512
"""Windows, evenly spaced, on which a conditioner is measured anew."""


class BatchScorer:
    """Scores raw windows.

    Attributes:
        run: the run.
        conditioning: whose noise the strain is whitened by.
        width: values of an embedding; 0 where the method has none, or none is asked for.

    Args:
        run: as of the attribute.
        sources: the windows that will be scored.
        conditioning: as of the attribute.
        embedding: whether embeddings are asked for.

    Raises:
        UserError: some windows do not fit the run.
    """

    def __init__(
        self, run: RunScorer, sources: Sequence[WindowSource], conditioning: Conditioned, *, embedding: bool
    ) -> None:
        self.run, self.conditioning = run, conditioning
        self._conditioner, self._scorer = _conditioner_for(run, sources, conditioning)
        self._shape = _shape_of(self._conditioner)
        self._cuts = {id(source): cut_for(source, self._shape) for source in sources if source.shape[0]}
        encoder = self._scorer.encoder if isinstance(self._scorer, HeadScorer) else None
        self._encoder = encoder if embedding else None
        views = 1 if encoder is None or encoder.network else len(self.detectors)
        self.width = views * encoder.embed_dim if encoder is not None and embedding else 0
        self.row_type = row_type(self.width, len(self.detectors))

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names in channel order."""
        return self._shape.detectors

    def __call__(self, source: WindowSource, strain: Array) -> Array:
        """Rows [n] of `row_type` of windows [n, D', K] of a source."""
        rows = np.zeros(len(strain), self.row_type)
        if not len(strain):
            return rows
        conditioned = self._conditioner(self._cuts[id(source)](strain))
        if self._encoder is not None:
            assert isinstance(self._scorer, HeadScorer)
            embedding, scores = self._scorer.embedded(conditioned)
            rows["embedding"] = embedding.cpu().numpy()
        else:
            with torch.no_grad():
                scores = self._scorer(conditioned)
        rows["score"] = scores.double().cpu().numpy()
        rows["probability"] = self.run.calibration.probability(rows["score"])
        rows["variance"] = window_variance(conditioned).cpu().numpy()
        return rows

    def variance(self, variances: Array) -> dict[str, float]:
        """The variance of whitened strain by detector, from that of windows [N, D]; empty without a window."""
        if not len(variances):
            return {}
        values = self.run.relative(median_variance(torch.from_numpy(variances)))
        return dict(zip(self.detectors, np.asarray(values).tolist(), strict=True))

    def warning(self, variance: Mapping[str, float]) -> str:
        """What is to be said of a variance; empty where nothing is.

        Raises:
            UserError: scores of such strain would mean nothing.
        """
        refitted = self.conditioning == "refitted"
        advice = "" if refitted else " `--conditioning refitted` measures it on these windows."
        try:
            said = variance_warning([*variance.values()], [*variance], refitted=refitted)
        except UserError as error:
            raise UserError(f"{error}{advice}") from None
        return f"{said}{advice}" if said else ""


def _shape_of(conditioner: Conditioner) -> InputWindow:
    return InputWindow(conditioner.detectors, conditioner.sample_rate, conditioner.window, conditioner.margin)


def _conditioner_for(
    run: RunScorer, sources: Sequence[WindowSource], conditioning: Conditioned
) -> tuple[Conditioner, Scorer]:
    """The run's conditioner and scorer; or a conditioner that is measured on the windows, and the scorer for it."""
    if conditioning == "run":
        return run.conditioner, run.scorer
    own = _shape_of(run.conditioner)
    usable = [source for source in sources if source.shape[0]]
    margins = {margin_of(source, own) for source in usable}
    if len(margins) != 1:
        raise UserError(
            "The inputs have windows of several lengths, so that no one conditioner can be measured on them. Score "
            "them with one command each, or with --conditioning run."
        )
    shape = InputWindow(own.detectors, own.sample_rate, own.window, margins.pop())
    fresh = fit_to_strain(
        _sample(usable, shape),
        sample_rate=own.sample_rate,
        margin=shape.margin,
        detectors=own.detectors,
        settings=run.conditioner.settings,
    )
    fresh.refitted = True
    return fresh, run.scorer.refitted(fresh)


def _sample(sources: Sequence[WindowSource], shape: InputWindow) -> Array:
    """Windows [n, D, T + 2 margin], evenly spaced over all of them."""
    total = sum(len(source) for source in sources)
    step = max(1, total // MEASURED)
    found: list[Array] = []
    first = 0
    for source in sources:
        cut: WindowCut = cut_for(source, shape)
        start = -first % step
        found += [cut(source.read(place, place + 1).strain) for place in range(start, len(source), step)]
        first += len(source)
    strain = np.concatenate(found)[: 2 * MEASURED]
    if not len(strain):
        raise UserError("None of the windows looked at can be read, so that no conditioner can be measured on them.")
    return strain
