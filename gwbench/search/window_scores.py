"""Scores of windows that slide along conditioned strain, window by window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from gwbench.contracts import Scorer
    from gwbench.data.dataset import Array

BATCH = 256
"""Windows scored at once."""


def score_windows(scorer: Scorer, windows: Tensor) -> tuple[Array, Array | None]:
    """Scores [n] and, where a score is a sum over detectors, its parts [D, n], of conditioned windows [n, D, T]."""
    scores, parts = [], []
    with torch.inference_mode():
        for batch in windows.split(BATCH):
            own = scorer.parts(batch)
            if own is not None:
                parts.append(own.T.float().cpu().numpy())
            scores.append((scorer(batch) if own is None else own.sum(1) + scorer.offset).float().cpu().numpy())
    return np.concatenate(scores), np.concatenate(parts, axis=1) if parts else None


def window_scores(scorer: Scorer, conditioned: Tensor, window: int, step: int) -> tuple[Array, Array | None]:
    """Scores of the windows `[k * step : k * step + window]` of conditioned strain.

    Args:
        scorer: conditioned strain [B, D, T] in, scores [B] out.
        conditioned: [D, L].
        window: T.
        step: samples from one window to the next.

    Returns:
        Scores [n] float32 and, where they are sums over detectors, their parts [D, n]; n = (L - T) // step + 1.
    """
    views = conditioned.unfold(1, window, step).transpose(0, 1)  # [n, D, T]
    scores, parts = [], []
    for first in range(0, len(views), BATCH):
        score, part = score_windows(scorer, views[first : first + BATCH].contiguous())
        scores.append(score)
        if part is not None:
            parts.append(part)
    return np.concatenate(scores), np.concatenate(parts, axis=1) if parts else None


__all__ = ["score_windows", "window_scores"]
