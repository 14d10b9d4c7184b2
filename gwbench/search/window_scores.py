"""Scores of windows that were conditioned one by one."""

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


__all__ = ["score_windows"]
