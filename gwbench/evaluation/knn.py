"""The score of nearest neighbours: what the embedding's geometry says without any fit.

The convention of self-supervised learning (Wu et al., CVPR 2018, section 3.4): cosine similarity, and votes
weighted by exp(similarity / temperature). Embeddings are standardised first, on the training part alone:
those of an untrained encoder point almost all the same way, and their cosine would tell rounding from rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gwbench.evaluation.linear_probe import Standardiser, labelled_part, require_finite

if TYPE_CHECKING:
    import torch

Array = NDArray[Any]

NEIGHBOURS = 20
TEMPERATURE = 0.07
BLOCK_BYTES = 128 * 2**20
"""Size of a block of similarities."""


def knn_scores(
    train_x: Array,
    train_y: Array,
    test_x: Array,
    *,
    neighbours: int = NEIGHBOURS,
    temperature: float | None = TEMPERATURE,
    device: str | torch.device = "cpu",
) -> NDArray[np.float64]:
    """The share of signals among the nearest labelled training windows.

    Args:
        train_x: [n, F] embeddings of the labelled training windows.
        train_y: [n] 1 signal, 0 noise; windows with any other label are ignored.
        test_x: [N_test, F].
        neighbours: how many vote; all of them where there are fewer.
        temperature: of the votes' weights; None lets all neighbours count the same.
        device: where similarities are computed.

    Returns:
        [N_test] between 0 and 1. Where all embeddings coincide, all scores are equal.

    Raises:
        UserError: one class only, or an embedding that is not finite.
        ValueError: wrong shapes, less than one neighbour, or a temperature that is not positive.
    """
    import torch

    if neighbours < 1 or (temperature is not None and not temperature > 0.0):
        raise ValueError(f"{neighbours} neighbours at temperature {temperature} cannot vote")
    known, signals = labelled_part(train_x, train_y, "training")
    require_finite(test_x, "test")
    if test_x.ndim != 2 or test_x.shape[1] != train_x.shape[1]:
        raise ValueError(f"embeddings differ in width: {train_x.shape}, {test_x.shape}")

    standardiser = Standardiser.fit(known)
    bank = _directions(known, standardiser, device)
    is_signal = torch.from_numpy(signals).to(device)
    k = min(neighbours, len(bank))
    step = max(1, BLOCK_BYTES // (4 * len(bank)))
    scores = np.empty(len(test_x))
    for start in range(0, len(test_x), step):
        rows = slice(start, start + step)
        query = _directions(test_x[rows], standardiser, device)
        similarity, nearest = (query @ bank.T).topk(k, dim=1)
        votes = torch.ones_like(similarity)
        if temperature is not None:
            # Relative to the nearest one, so that no exponential overflows at a small temperature.
            votes = ((similarity - similarity[:, :1]) / temperature).exp()
        share = (votes * is_signal[nearest]).sum(dim=1) / votes.sum(dim=1)
        scores[rows] = share.cpu().numpy()
    return scores


def _directions(x: Array, standardiser: Standardiser, device: str | torch.device) -> torch.Tensor:
    """Standardised embeddings [N, F] at unit length; one that is zero stays zero."""
    import torch

    directions = torch.from_numpy(standardiser.transform(x)).to(device)
    directions /= directions.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return directions
