"""Has the representation collapsed? Two numbers that say so without labels."""

from __future__ import annotations

from torch import Tensor

LEAST_SPREAD = 0.05
LEAST_RANK = 2.0


def collapse(embedding: Tensor) -> dict[str, float]:
    """Diagnostics of embeddings [N, F].

    Returns:
        spread: standard deviation of the L2-normalised embeddings over the samples, averaged over dimensions, times
            sqrt(F): 1 where they fill the sphere, 0 where they are all alike (Chen & He, arXiv:2011.10566, sec. 4.1).
        effective_rank: exponential of the entropy of the singular values of the centred embeddings (Roy & Vetterli
            2007; RankMe, arXiv:2210.02885, eq. 1).
    """
    import torch

    unit = torch.nn.functional.normalize(embedding.double(), dim=1)
    spread = unit.std(dim=0).mean() * embedding.shape[1] ** 0.5
    singular = torch.linalg.svdvals(embedding.double() - embedding.double().mean(dim=0))
    share = singular / singular.sum().clamp(min=1e-300)
    entropy = -(share * share.clamp(min=1e-300).log()).sum()
    rank = float(entropy.exp()) if float(singular.sum()) > 0 else 0.0
    return {"spread": float(spread), "effective_rank": rank}


def warning(last: dict[str, float]) -> str | None:
    """What to tell the user of the last epoch's diagnostics, if anything."""
    if last["spread"] >= LEAST_SPREAD and last["effective_rank"] >= LEAST_RANK:
        return None
    return (
        f"The representation hardly tells windows apart: spread {last['spread']:.3f} of 1, effective rank "
        f"{last['effective_rank']:.1f}. Train for more --epochs; if that does not help, it has collapsed: lower the "
        "learning rate (--lr, or training.lr in a file) or raise the batch size (--batch-size, or training.batch_size)."
    )
