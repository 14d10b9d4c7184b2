"""Scores of windows that slide along conditioned strain: what the windows share is computed once."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from gwbench.contracts import Encoder
from gwbench.nn.shared_encoder import SharedEncoder

if TYPE_CHECKING:
    from gwbench.contracts import Scorer
    from gwbench.data.dataset import Array
    from gwbench.experiment.scorer import RunScorer

BATCH, SHARED_BATCH = 64, 512
"""Windows scored at once: so few that they stay in the cache; or, where they share most, so many that those at the ends
of a batch, which share less, hardly count."""

PLACES = 2**14
"""What is left of time in a batch where windows part: the deeper they share, the less is left of each."""

COMPARED = 8
"""Windows that are scored both ways before sharing is trusted."""

DEEP = 2
"""Depths at which windows must share to be worth the while: a first step alone costs more in memory than it saves."""

ABSOLUTE, RELATIVE = 1e-4, 1e-5
"""How far scores may lie apart both ways: in log-odds, and as a part of scores so large that fp32 resolves no more."""

NEAR = 0.1
"""By which part of itself a step may change so that windows share more."""


class StretchScorer:
    """Scores the windows `[k * step : k * step + window]` of conditioned strain of any length.

    Every `Encoder` in the scorer runs as a `SharedEncoder`. The first time, some windows are scored one by one too;
    where that gives other scores, or where windows share nothing, all windows are scored one by one.

    Args:
        scorer: in evaluation mode; it stays as it is.
        window: T, samples of a window.
        step: samples from one window to the next.
        share: whether windows may share anything.

    Attributes:
        note: why windows share nothing, in a sentence; empty where they do, and before the first scores.
    """

    def __init__(self, scorer: Scorer, window: int, step: int, *, share: bool = True) -> None:
        self._scorer, self._window, self._step = scorer, window, step
        self._sharing = sharing(scorer) if share else None
        self._trusted = False
        self.note = "" if self._sharing else "Windows are scored one by one: the method has no encoder to share."
        if not share:
            self.note = "Windows are scored one by one, as asked."

    def scores(self, conditioned: Tensor) -> tuple[Array, Array | None]:
        """Scores of all windows.

        Args:
            conditioned: [D, L], on the scorer's device.

        Returns:
            Scores [n] and, where they are sums over detectors, their parts [D, n], float32. n is (L - T) // step + 1.

        Raises:
            ValueError: the strain is shorter than a window.
        """
        if conditioned.shape[1] < self._window:
            raise ValueError(f"{conditioned.shape[1]} samples hold no window of {self._window}")
        # views of the strain, from which an encoder can tell what windows share: [n, D, T]
        windows = conditioned.contiguous().unfold(1, self._window, self._step).transpose(0, 1)
        if self._sharing is not None and not self._trusted and len(windows) > 1:
            self._compare(windows[:BATCH])
        scorer = self._scorer if self._sharing is None else self._sharing
        found = [_scored(scorer, batch) for batch in windows.split(self._batch())]
        parts = [part for _, part in found if part is not None]
        return np.concatenate([score for score, _ in found]), np.concatenate(parts, axis=1) if parts else None

    def _batch(self) -> int:
        """Windows to score at once."""
        if self._sharing is None:
            return BATCH
        deepest = max((stride for encoder in _shared(self._sharing) for stride in encoder.strides), default=0)
        return min(max(BATCH, PLACES * deepest // self._window), SHARED_BATCH)

    def _compare(self, windows: Tensor) -> None:
        """Trust sharing, or give it up, by some of these windows."""
        assert self._sharing is not None
        chosen = np.unique(np.linspace(0, len(windows) - 1, COMPARED).astype(int))
        found = _scored(self._sharing, windows)[0][chosen]
        alone = _scored(self._scorer, windows[torch.from_numpy(chosen)])[0]
        if not any(encoder.strides for encoder in _shared(self._sharing)):
            self._sharing = None
            self.note = "Windows are scored one by one: the encoder's first step looks beyond a window's ends."
        elif all(len(encoder.strides) < DEEP for encoder in _shared(self._sharing)):
            self._sharing = None
            self.note = "Windows are scored one by one: they share the encoder's first step alone, which saves no time."
        elif not np.allclose(found, alone, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True):
            self._sharing = None
            apart = np.nanmax(np.abs(found - alone))
            self.note = (
                f"Windows are scored one by one: what they would share changes scores by up to {apart:.2g}, more than "
                f"{ABSOLUTE:g}."
            )
        self._trusted = True


def sharing(scorer: Scorer) -> Scorer | None:
    """A copy of a scorer whose encoders compute once what overlapping windows share; None where it has no encoder."""
    if not any(isinstance(module, Encoder) for module in scorer.modules()):
        return None
    twin = copy.deepcopy(scorer)
    places = [
        (parent, name, child)
        for parent in twin.modules()
        for name, child in parent.named_children()
        if isinstance(child, Encoder)
    ]
    for parent, name, child in places:
        setattr(parent, name, SharedEncoder(child))
    return twin


def shared_step(run: RunScorer, seconds: float) -> int:
    """The step in samples, near to one in seconds, at which windows share most.

    Windows share a layer's values where the step is a multiple of the samples between them. That of the deepest layer
    of which a multiple is within a tenth of the step that is asked for is taken.

    Args:
        run: whose windows slide.
        seconds: from one window to the next, as asked.

    Returns:
        At least 1; where the method's windows share nothing, the nearest number of samples.
    """
    wanted = seconds * run.sample_rate
    twin = sharing(run.scorer)
    if twin is not None:
        two = torch.zeros(len(run.detectors), run.window + 1, device=_device(twin)).unfold(1, run.window, 1)
        _scored(twin, two.transpose(0, 1))
        strides: set[int] = set().union(*(encoder.strides for encoder in _shared(twin)))
        for stride in sorted(strides, reverse=True):
            step = max(1, round(wanted / stride)) * stride
            if abs(step - wanted) <= NEAR * wanted:
                return step
    return max(1, round(wanted))


def _shared(scorer: nn.Module) -> list[SharedEncoder]:
    return [module for module in scorer.modules() if isinstance(module, SharedEncoder)]


def _device(scorer: nn.Module) -> torch.device:
    return next((tensor.device for tensor in scorer.state_dict().values()), torch.device("cpu"))


def _scored(scorer: Scorer, windows: Tensor) -> tuple[Array, Array | None]:
    """Scores [n] and parts [D, n] of windows [n, D, T]."""
    with torch.inference_mode():
        parts = scorer.parts(windows)
        scores = scorer(windows) if parts is None else parts.sum(1) + scorer.offset
        return scores.float().cpu().numpy(), None if parts is None else parts.T.float().cpu().numpy()


__all__ = ["StretchScorer", "shared_step", "sharing"]
