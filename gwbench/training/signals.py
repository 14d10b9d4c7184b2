"""How good a representation is, told without labels: what decides when a training is done.

Measured on windows of the validation split, whose labels are not seen, with a frozen copy of the networks in evaluation
mode. The views are the same at every measurement, so that differences are of the weights alone.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from gwbench import seeds
from gwbench.nn.detector_encoder import embed_in_chunks
from gwbench.training.collapse import collapse

if TYPE_CHECKING:
    from gwbench.training.method import SslMethod

WATCHED = 512
"""Windows of the validation split that are looked at, at most."""

CHUNK = 64
"""Windows embedded at once for the effective rank."""

VIEWS = 1
"""Which draws of the role "diagnostics" are of these views; the other draws of it have no such key."""

LOWER, HIGHER = -1.0, 1.0
BETTER = {"ssl_loss": LOWER, "effective_rank": HIGHER, "alignment": LOWER, "uniformity": LOWER}
"""The signals, and which way each of them improves."""


def alignment(a: Tensor, b: Tensor) -> float:
    """Mean squared distance of two views' normalised embeddings [N, F]: 0 where they agree (arXiv:2005.10242, eq. 3).

    The exponent is 2, as in the paper's experiments.
    """
    distance = F.normalize(a.double(), dim=1) - F.normalize(b.double(), dim=1)
    return float(distance.square().sum(dim=1).mean())


def uniformity(embedding: Tensor) -> float:
    """Log of the mean Gaussian potential of pairs of normalised embeddings [N, F] (arXiv:2005.10242, eq. 4, t = 2).

    0 where all are alike, lower where they spread over the sphere.
    """
    distance = torch.pdist(F.normalize(embedding.double(), dim=1))
    return float((-2 * distance.square()).exp().mean().log())


def unlabelled_signals(
    method: SslMethod, strain: Tensor, *, batch_size: int, seed: int, device: str | torch.device, paired: bool
) -> dict[str, float]:
    """The signals of a method as it is now; nothing of it is changed, and no global generator is.

    Args:
        method: under training.
        strain: [N, D, T] conditioned windows that it does not train on.
        batch_size: of the training: many losses compare the windows of a batch. Where there are fewer windows they are
            one batch; otherwise the rest that fills none is left out.
        seed: the run's.
        device: where the networks are.
        paired: whether the objective compares two views of the same windows, which then are to agree.

    Returns:
        ssl_loss: mean loss in evaluation mode.
        effective_rank: of the embeddings (RankMe, arXiv:2210.02885).
        alignment: of the views' embeddings; absent where they are not paired.
        uniformity: of one view's embeddings.
    """
    encoder, objective = copy.deepcopy((method.encoder, method.objective))
    encoder.eval()
    objective.eval()
    losses: list[float] = []
    first: list[Tensor] = []
    second: list[Tensor] = []
    size = min(batch_size, len(strain))
    kind = torch.device(device).type
    with (
        torch.no_grad(),
        torch.autocast(kind, enabled=False),
        torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
        seeds.torch_global(seed, "diagnostics", VIEWS),  # for networks that draw without a generator
    ):
        for number in range(len(strain) // size):
            batch = strain[number * size : (number + 1) * size].to(device)
            generator = seeds.torch_generator(seed, "diagnostics", VIEWS, number, device=device)
            a, b = method.views(batch, generator)
            losses.append(float(objective(a, b, encoder)))
            first.append(encoder(a).float().cpu())
            if paired:
                second.append(encoder(b).float().cpu())
    watched = embed_in_chunks(encoder, len(strain), lambda part: strain[part].to(device), chunk=CHUNK)
    one = torch.cat(first)
    figures = {"ssl_loss": sum(losses) / len(losses), "effective_rank": collapse(watched)["effective_rank"]}
    if paired and one.shape == torch.cat(second).shape:
        figures["alignment"] = alignment(one, torch.cat(second))
    return figures | {"uniformity": uniformity(one)}
