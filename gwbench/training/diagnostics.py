"""What pre-training leaves to look at: how the projections of two views go together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from gwbench import seeds
from gwbench.nn.detector_encoder import embed_in_chunks

if TYPE_CHECKING:
    from gwbench.contracts import Array, View
    from gwbench.training.method import SslMethod

DIMENSIONS = 512
"""Dimensions of the projections that are kept; of wider ones an evenly spaced choice, as means of blocks would dilute
the diagonal."""

PROJECTION_CHUNK = 64
"""Windows that are projected at once."""

GENERATIVE_TAG = "generative"
"""On objectives that model each view by itself: they compare no projections."""


def cross_correlation(a: Tensor, b: Tensor) -> Tensor:
    """How two views' projections go together, dimension by dimension: Barlow Twins, arXiv:2103.03230, eq. 2.

    Args:
        a, b: [N, P] projections of the views.

    Returns:
        C [P, P] float64, from -1 to 1: C_ij is the mean over the N windows of a_i b_j, both standardised over them. 0
        where a dimension does not vary.
    """
    return _standardised(a).T @ _standardised(b) / len(a)


def diagnose(method: SslMethod, strain: Tensor, *, seed: int, device: str) -> dict[str, Array]:
    """The cross-correlation matrix of two fresh views' projections.

    The trained networks are in evaluation mode, in fp32. Nothing is learnt and no global state is left changed. The
    views are drawn as in training, from numbers that no step of it has used.

    Args:
        method: after pre-training; its networks are moved to `device`.
        strain: [N, D, T] conditioned windows of the training split.
        seed: the run's.
        device: where to compute.

    Returns:
        "cross_correlation" [K, K] float16; "dimension" [K], which of the P dimensions are in it: all, or
        `DIMENSIONS` evenly spaced ones; "width", P; "windows", N. Nothing where the views' projections are not of one
        shape [N, P], or are not finite.
    """
    networks: list[nn.Module] = [method.encoder, method.objective]
    training = {module: module.training for network in networks for module in network.modules()}
    try:
        for network in networks:
            network.to(device).eval()
        with (
            torch.inference_mode(),
            torch.autocast(torch.device(device).type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
            seeds.torch_global(seed, "diagnostics"),  # for networks that draw without a generator
        ):
            views = method.views(strain.to(device), seeds.torch_generator(seed, "diagnostics", device=device))
            a, b = (_projections(method, view) for view in views)
    finally:
        for module, mode in training.items():
            module.training = mode
    if a.ndim != 2 or a.shape != b.shape or not (torch.isfinite(a).all() and torch.isfinite(b).all()):
        return {}
    width = a.shape[1]
    kept = torch.linspace(0, width - 1, min(width, DIMENSIONS)).round().long()
    matrix = cross_correlation(a[:, kept], b[:, kept])
    return {
        "cross_correlation": matrix.numpy().astype(np.float16),
        "dimension": kept.numpy().astype(np.int32),
        "width": np.array(width, np.int32),
        "windows": np.array(len(a), np.int32),
    }


def _projections(method: SslMethod, view: View) -> Tensor:
    """[N, P] on the CPU."""

    def read(part: slice) -> list[View]:
        return [replace(view, samples=view.samples[part], detectors=view.detectors[part])]

    head = method.objective.project
    return embed_in_chunks(method.encoder, len(view.samples), read, chunk=PROJECTION_CHUNK, head=head)


def _standardised(projection: Tensor) -> Tensor:
    """[N, P] float64 with mean 0 and standard deviation 1 over the windows; 0 where a dimension does not vary."""
    values = projection.double()
    centred = values - values.mean(dim=0)
    spread = centred.square().mean(dim=0).sqrt()
    varies = spread > 1e-6 * values.abs().amax(dim=0).clamp(min=1e-30)  # below it, rounding of fp32
    return torch.where(varies, centred / spread.clamp(min=1e-300), 0.0)
